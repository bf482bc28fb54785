// SPDX-License-Identifier: GPL-2.0

//! KUnit suite for the layout of a filesystem: good superblocks, and the same with one thing wrong.

use kernel::prelude::*;

#[kunit_tests(rust_ext2_geometry)]
mod geometry {
    use super::*;
    use crate::disk::{
        block_size::BlockSize,
        geometry::{
            Geometry,
            InodeLocation, //
        },
        geometry_error::{
            BadBlocksReason,
            GeometryError, //
        },
        structures::{
            compat,
            incompat,
            ro_compat,
            SuperBlock, //
        },
        super_check::{
            self,
            SuperBlockLocation, //
        },
        test_images::{
            geometry_of,
            large,
            small, //
        },
    };

    /// What is made of `base` with one change.
    #[inline(never)]
    fn changed(
        base: fn() -> SuperBlock,
        change: fn(&mut SuperBlock),
    ) -> Result<Geometry, GeometryError> {
        let mut sb = base();

        change(&mut sb);
        geometry_of(&sb)
    }

    #[inline(never)]
    fn error(base: fn() -> SuperBlock, change: fn(&mut SuperBlock)) -> Option<GeometryError> {
        changed(base, change).err()
    }

    fn bad_blocks(geometry: &Geometry, start: u32, count: u32) -> Option<BadBlocksReason> {
        geometry
            .check_data_blocks(start, count)
            .err()
            .map(|e| e.reason)
    }

    #[test]
    fn good_superblocks() -> Result {
        let g = changed(small, |_| {}).map_err(|e| e.errno())?;
        assert_eq!(g.block_size().bytes(), 1024);
        assert_eq!((g.groups_count(), g.super_block()), (1, 1));
        assert_eq!(g.inode_table_blocks(), 512);
        assert_eq!(g.group_first_block(0), Some(1));
        assert_eq!(g.group_last_block(0), Some(8191));
        assert_eq!(g.group_first_block(1), None);

        let g = changed(large, |_| {}).map_err(|e| e.errno())?;
        assert_eq!(g.block_size().bytes(), 4096);
        assert_eq!((g.groups_count(), g.super_block()), (64, 0));
        assert_eq!(g.inode_table_blocks(), 512);
        assert_eq!(g.group_first_block(63), Some(63 * 32768));
        assert_eq!(g.group_last_block(63), Some(64 * 32768 - 1));
        assert_eq!(g.group_last_block(64), None);
        assert_eq!(g.group_of_block(32767), Some(0));
        assert_eq!(g.group_of_block(32768), Some(1));
        assert_eq!(g.group_of_block(64 * 32768), None);
        Ok(())
    }

    #[test]
    fn revision_0_has_fixed_inodes() -> Result {
        let g = changed(small, |sb| {
            sb.rev_level.set(0);
            sb.inode_size.set(0);
            sb.first_ino.set(0);
        })
        .map_err(|e| e.errno())?;

        assert_eq!((g.inode_size(), g.first_ino()), (128, 11));
        assert_eq!(g.inode_table_blocks(), 256);
        Ok(())
    }

    #[test]
    fn not_an_ext2_that_can_be_read() {
        assert_eq!(
            error(small, |sb| sb.magic.set(0)),
            Some(GeometryError::NotExt2 { magic: 0 })
        );
        assert_eq!(
            error(small, |sb| sb.feature_incompat.set(0x42)),
            Some(GeometryError::UnsupportedFeatures { unsupported: 0x40 })
        );
        assert_eq!(
            error(small, |sb| {
                sb.rev_level.set(0);
                sb.feature_incompat.set(1);
            }),
            Some(GeometryError::UnsupportedFeatures { unsupported: 1 })
        );
        assert_eq!(
            error(small, |sb| sb.log_block_size.set(7)),
            Some(GeometryError::BlockSize { log: 7 })
        );
        assert_eq!(
            error(small, |sb| sb.log_block_size.set(u32::MAX)),
            Some(GeometryError::BlockSize { log: u32::MAX })
        );
        assert_eq!(
            error(small, |sb| sb.log_frag_size.set(1)),
            Some(GeometryError::FragmentSize {
                log_frag: 1,
                log_block: 0
            })
        );
        if kernel::page::PAGE_SIZE < 65536 {
            assert_eq!(
                error(small, |sb| sb.log_block_size.set(6)),
                Some(GeometryError::BlockSizeAbovePageSize { size: 65536 })
            );
        }
        // A feature that only forbids writing.
        assert!(changed(small, |sb| sb.feature_ro_compat.set(u32::MAX)).is_ok());
    }

    #[test]
    fn bad_inodes() {
        assert_eq!(
            error(small, |sb| sb.inode_size.set(64)),
            Some(GeometryError::InodeSize { inode_size: 64 })
        );
        assert_eq!(
            error(small, |sb| sb.inode_size.set(192)),
            Some(GeometryError::InodeSize { inode_size: 192 })
        );
        assert_eq!(
            error(small, |sb| sb.inode_size.set(2048)),
            Some(GeometryError::InodeSize { inode_size: 2048 })
        );
        assert!(error(small, |sb| sb.inode_size.set(0)).is_some());
        for count in [0, 3, 8193, u32::MAX] {
            let mut sb = small();
            sb.inodes_per_group.set(count);
            assert_eq!(
                geometry_of(&sb).err(),
                Some(GeometryError::InodesPerGroup {
                    inodes_per_group: count,
                    min: 4,
                    max: 8192
                })
            );
        }
        assert_eq!(
            error(small, |sb| sb.inodes_count.set(2049)),
            Some(GeometryError::InodesCount {
                inodes_count: 2049,
                computed: 2048
            })
        );
        assert_eq!(
            error(small, |sb| sb.first_ino.set(10)),
            Some(GeometryError::FirstInode {
                first_ino: 10,
                inodes_count: 2048
            })
        );
        assert!(error(small, |sb| sb.first_ino.set(2049)).is_some());
    }

    #[test]
    fn bad_groups() {
        for count in [0, 8193, u32::MAX] {
            let mut sb = small();
            sb.blocks_per_group.set(count);
            assert_eq!(
                geometry_of(&sb).err(),
                Some(GeometryError::BlocksPerGroup {
                    blocks_per_group: count,
                    max: 8192
                })
            );
        }
        // 8 inodes in 2 blocks: 6 blocks of metadata in each of the groups.
        let tight = |blocks_per_group: u32| {
            let mut sb = small();
            let groups = 120u32.div_ceil(blocks_per_group);
            sb.blocks_count.set(121);
            sb.blocks_per_group.set(blocks_per_group);
            sb.inodes_per_group.set(8);
            sb.inodes_count.set(groups * 8);
            geometry_of(&sb).err()
        };
        assert_eq!(tight(6), None);
        assert_eq!(
            tight(5),
            Some(GeometryError::GroupTooSmall {
                blocks_per_group: 5,
                needed: 6
            })
        );
        assert_eq!(
            error(small, |sb| sb.first_data_block.set(0)),
            Some(GeometryError::FirstDataBlock {
                first_data_block: 0,
                expected: 1
            })
        );
        assert_eq!(
            error(large, |sb| sb.first_data_block.set(u32::MAX)),
            Some(GeometryError::FirstDataBlock {
                first_data_block: u32::MAX,
                expected: 0
            })
        );
    }

    #[test]
    fn bad_sizes() {
        for count in [0, 1] {
            let mut sb = small();
            sb.blocks_count.set(count);
            assert_eq!(
                geometry_of(&sb).err(),
                Some(GeometryError::NoBlocks {
                    blocks_count: count
                })
            );
        }
        let sb = small();
        let location = SuperBlockLocation {
            block: 1,
            offset: 0,
        };
        assert!(Geometry::new(&sb, location, 8192).is_ok());
        assert!(Geometry::new(&sb, location, u64::MAX).is_ok());
        assert_eq!(
            Geometry::new(&sb, location, 8191).err(),
            Some(GeometryError::DeviceTooSmall {
                blocks_count: 8192,
                device_blocks: 8191
            })
        );
        // The superblock would have to be where the filesystem is not.
        for block in [8191, 8192, 1 << 32, u64::MAX] {
            let location = SuperBlockLocation { block, offset: 0 };
            assert!(Geometry::new(&sb, location, 8192).is_err());
        }
    }

    #[test]
    fn where_the_superblock_is() -> Result {
        let location = |bits, kib| {
            BlockSize::from_bits(bits).map(|size| {
                let SuperBlockLocation { block, offset } = SuperBlockLocation::new(size, kib);
                (block, offset)
            })
        };

        assert_eq!(location(10, 1), Some((1, 0)));
        assert_eq!(location(11, 1), Some((0, 1024)));
        assert_eq!(location(12, 1), Some((0, 1024)));
        assert_eq!(location(10, 8193), Some((8193, 0)));
        assert_eq!(location(12, 131072), Some((32768, 0)));
        assert_eq!(location(12, u32::MAX), Some(((1 << 30) - 1, 3072)));
        Ok(())
    }

    #[test]
    fn which_groups_have_a_superblock() -> Result {
        let sparse = changed(large, |_| {}).map_err(|e| e.errno())?;
        let full = changed(large, |sb| sb.feature_ro_compat.set(0)).map_err(|e| e.errno())?;
        let with = [
            0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125, 243, 343, 625, 729, 2187, 2401,
        ];

        for group in 0..3000 {
            assert_eq!(sparse.has_super(group), with.contains(&group));
            assert!(full.has_super(group));
        }
        // 3^20 and 3^21, the first beyond 32 bits.
        assert!(sparse.has_super(3486784401));
        assert!(!sparse.has_super(u32::MAX));
        Ok(())
    }

    #[test]
    fn where_descriptors_are() -> Result {
        let leading = changed(large, |sb| {
            sb.blocks_count.set(64 * 32768);
        })
        .map_err(|e| e.errno())?;
        assert_eq!(leading.descriptor_blocks(), 1);
        assert_eq!(leading.descriptor_block(0), Some(1));
        assert_eq!(leading.descriptor_block(1), None);

        let meta = changed(large, |sb| {
            sb.blocks_count.set(400 * 32768);
            sb.inodes_count.set(400 * 8192);
            sb.feature_incompat.set(incompat::META_BG);
            sb.first_meta_bg.set(1);
        })
        .map_err(|e| e.errno())?;
        // 128 to a block: one block after the superblock, then in groups 128, 256 and 384.
        assert_eq!(meta.descriptor_blocks(), 4);
        assert_eq!(meta.descriptor_block(0), Some(1));
        assert_eq!(meta.descriptor_block(1), Some(128 * 32768));
        assert_eq!(meta.descriptor_block(3), Some(384 * 32768));
        assert_eq!(meta.descriptor_block(4), None);
        assert_eq!(
            bad_blocks(&meta, 1, 1),
            Some(BadBlocksReason::GroupDescriptors)
        );
        assert_eq!(bad_blocks(&meta, 128 * 32768 - 1, 1), None);
        assert_eq!(
            bad_blocks(&meta, 128 * 32768 - 1, 2),
            Some(BadBlocksReason::GroupDescriptors)
        );
        assert_eq!(
            bad_blocks(&meta, 2, 399 * 32768),
            Some(BadBlocksReason::GroupDescriptors)
        );
        assert_eq!(bad_blocks(&meta, 384 * 32768 + 1, 100), None);

        // In group 0, the only one, after the superblock.
        let first = changed(small, |sb| sb.feature_incompat.set(incompat::META_BG));
        assert_eq!(first.map(|g| g.descriptor_block(0)), Ok(Some(2)));
        assert_eq!(
            error(small, |sb| {
                sb.feature_incompat.set(incompat::META_BG);
                sb.first_meta_bg.set(2);
            }),
            Some(GeometryError::FirstMetaGroup {
                first_meta_bg: 2,
                descriptor_blocks: 1
            })
        );
        // The last group is too short for its block of descriptors.
        assert_eq!(
            error(large, |sb| {
                sb.blocks_count.set(32768 * 128 + 1);
                sb.inodes_count.set(129 * 8192);
                sb.feature_incompat.set(incompat::META_BG);
                sb.feature_ro_compat.set(0);
            }),
            Some(GeometryError::DescriptorsOutside {
                block: 32768 * 128 + 1,
                blocks_count: 32768 * 128 + 1
            })
        );
        Ok(())
    }

    /// Where the second block of descriptors is, of 400 groups with `meta_bg`, if these are the
    /// features and the groups with backups.
    #[inline(never)]
    fn second_descriptor_block(compat: u32, ro_compat: u32, backups: [u32; 2]) -> Option<u32> {
        let mut sb = large();

        sb.blocks_count.set(400 * 32768);
        sb.inodes_count.set(400 * 8192);
        sb.feature_incompat.set(incompat::META_BG);
        sb.feature_compat.set(compat);
        sb.feature_ro_compat.set(ro_compat);
        sb.backup_bgs = backups.map(|group| group.into());
        geometry_of(&sb).ok()?.descriptor_block(1)
    }

    #[test]
    fn descriptors_lie_behind_a_superblock_if_there_is_one() {
        let (two, sparse) = (compat::SPARSE_SUPER2, ro_compat::SPARSE_SUPER);
        let group = 128 * 32768;

        assert_eq!(second_descriptor_block(0, 0, [0, 0]), Some(group + 1));
        assert_eq!(second_descriptor_block(0, sparse, [0, 0]), Some(group));
        assert_eq!(second_descriptor_block(two, 0, [0, 0]), Some(group));
        assert_eq!(second_descriptor_block(two, 0, [1, 399]), Some(group));
        for ro_compat in [0, sparse] {
            let behind = Some(group + 1);
            assert_eq!(second_descriptor_block(two, ro_compat, [1, 128]), behind);
        }
    }

    #[test]
    fn where_inodes_are() -> Result {
        let g = changed(large, |_| {}).map_err(|e| e.errno())?;
        let at = |group, index, table_block, offset| {
            Ok(InodeLocation {
                group,
                index,
                table_block,
                offset,
            })
        };

        assert_eq!(g.inode_location(2), at(0, 1, 0, 256));
        assert_eq!(g.inode_location(16), at(0, 15, 0, 3840));
        assert_eq!(g.inode_location(17), at(0, 16, 1, 0));
        assert_eq!(g.inode_location(8192), at(0, 8191, 511, 3840));
        assert_eq!(g.inode_location(8193), at(1, 0, 0, 0));
        assert_eq!(g.inode_location(64 * 8192), at(63, 8191, 511, 3840));
        for ino in [0, 1, 3, 10, 64 * 8192 + 1, u32::MAX] {
            assert!(g.inode_location(ino).is_err());
        }
        Ok(())
    }

    #[test]
    fn an_inode_table_with_a_part_of_a_block() -> Result {
        // 4 inodes to a block, 10 to a group: the last two are in a third block.
        let g = changed(small, |sb| {
            sb.inodes_per_group.set(12 - 2);
            sb.inodes_count.set(10);
            sb.first_ino.set(0);
            sb.rev_level.set(0);
        });
        // Inode 11, the first that is not reserved, does not exist.
        assert!(g.is_err());
        let g = changed(small, |sb| {
            sb.inodes_per_group.set(14);
            sb.inodes_count.set(14);
        })
        .map_err(|e| e.errno())?;
        assert_eq!(g.inode_table_blocks(), 4);
        assert_eq!(g.inode_location(14).map(|l| l.table_block), Ok(3));
        Ok(())
    }

    #[test]
    fn which_blocks_can_hold_data() -> Result {
        let g = changed(small, |_| {}).map_err(|e| e.errno())?;
        assert_eq!(bad_blocks(&g, 0, 1), Some(BadBlocksReason::Outside));
        assert_eq!(bad_blocks(&g, 1, 1), Some(BadBlocksReason::Outside));
        assert_eq!(
            bad_blocks(&g, 2, 1),
            Some(BadBlocksReason::GroupDescriptors)
        );
        assert_eq!(bad_blocks(&g, 3, 1), None);
        assert_eq!(bad_blocks(&g, 3, 8189), None);
        assert_eq!(bad_blocks(&g, 3, 8190), Some(BadBlocksReason::Outside));
        assert_eq!(bad_blocks(&g, 3, u32::MAX), Some(BadBlocksReason::Outside));
        assert_eq!(bad_blocks(&g, 3, 0), Some(BadBlocksReason::Outside));
        assert_eq!(bad_blocks(&g, 8191, 1), None);
        assert_eq!(bad_blocks(&g, 8192, 1), Some(BadBlocksReason::Outside));
        assert_eq!(
            bad_blocks(&g, u32::MAX, u32::MAX),
            Some(BadBlocksReason::Outside)
        );

        // A backup of the superblock in use: it and its descriptors are out of bounds.
        let mut sb = large();
        sb.feature_ro_compat.set(ro_compat::SPARSE_SUPER);
        let size = super_check::block_size(&sb).map_err(|e| e.errno())?;
        let location = SuperBlockLocation::new(size, 4 * 32768);
        let g = Geometry::new(&sb, location, 1 << 40).map_err(|e| e.errno())?;
        assert_eq!(g.descriptor_block(0), Some(32769));
        assert_eq!(bad_blocks(&g, 32767, 1), None);
        assert_eq!(bad_blocks(&g, 32767, 2), Some(BadBlocksReason::SuperBlock));
        assert_eq!(
            bad_blocks(&g, 32769, 1),
            Some(BadBlocksReason::GroupDescriptors)
        );
        assert_eq!(bad_blocks(&g, 32770, 1), None);
        Ok(())
    }
}
