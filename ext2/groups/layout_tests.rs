// SPDX-License-Identifier: GPL-2.0

//! KUnit suite for group descriptors: good ones, the same with one thing wrong, and random ones.

use kernel::prelude::*;

#[kunit_tests(rust_ext2_group)]
mod group {
    use super::*;
    use crate::{
        disk::{
            geometry_error::BadBlocksReason,
            incompat,
            test_images::{
                descriptor,
                geometry_of,
                large,
                small,
                Random, //
            },
            SuperBlock, //
        },
        groups::layout::{
            GroupErrorReason,
            GroupLayout,
            Part, //
        },
    };

    /// The layout of group `group`, or the reason why it has none.
    #[inline(never)]
    fn layout(
        base: fn() -> SuperBlock,
        group: u32,
        blocks: (u32, u32, u32),
    ) -> Result<Result<GroupLayout, GroupErrorReason>> {
        let geometry = geometry_of(&base()).map_err(|e| e.errno())?;
        let descriptor = descriptor(blocks.0, blocks.1, blocks.2);

        Ok(GroupLayout::new(&geometry, group, &descriptor).map_err(|e| e.reason))
    }

    #[test]
    fn good_groups() -> Result {
        let found = layout(small, 0, (3, 4, 5))?;

        assert_eq!(found.map(|g| g.block_bitmap()), Ok(3));
        assert_eq!(found.map(|g| g.inode_bitmap()), Ok(4));
        assert_eq!(found.map(|g| g.inode_table_block(0)), Ok(Some(5)));
        assert_eq!(found.map(|g| g.inode_table_block(511)), Ok(Some(516)));
        assert_eq!(found.map(|g| g.inode_table_block(512)), Ok(None));
        // At the very end of the group, and in another order.
        assert!(layout(small, 0, (8191, 8190, 8190 - 512))?.is_ok());
        assert!(layout(large, 63, (63 * 32768, 63 * 32768 + 1, 64 * 32768 - 512))?.is_ok());
        Ok(())
    }

    #[test]
    fn parts_outside_their_group() -> Result {
        let outside = |part, block| Err(GroupErrorReason::Outside { part, block });
        let group_2 = 2 * 32768;

        assert_eq!(layout(small, 0, (0, 4, 5))?, outside(Part::BlockBitmap, 0));
        assert_eq!(
            layout(small, 0, (3, 8192, 5))?,
            outside(Part::InodeBitmap, 8192)
        );
        assert_eq!(
            layout(small, 0, (3, 4, 8192 - 511))?,
            outside(Part::InodeTable, 8192 - 511)
        );
        assert_eq!(
            layout(small, 0, (3, 4, u32::MAX))?,
            outside(Part::InodeTable, u32::MAX)
        );
        assert_eq!(
            layout(large, 2, (group_2 - 1, group_2, group_2 + 1))?,
            outside(Part::BlockBitmap, group_2 - 1)
        );
        assert_eq!(
            layout(large, 2, (group_2, group_2 + 32768, group_2 + 1))?,
            outside(Part::InodeBitmap, group_2 + 32768)
        );
        assert_eq!(
            layout(large, 64, (0, 1, 2))?,
            Err(GroupErrorReason::NoSuchGroup)
        );
        Ok(())
    }

    #[test]
    fn parts_over_other_metadata() -> Result {
        let over = |part, block, over| Err(GroupErrorReason::OverDescriptors { part, block, over });
        let overlap = |part, other, block| Err(GroupErrorReason::Overlap { part, other, block });

        assert_eq!(
            layout(small, 0, (1, 4, 5))?,
            over(Part::BlockBitmap, 1, BadBlocksReason::SuperBlock)
        );
        assert_eq!(
            layout(small, 0, (3, 2, 5))?,
            over(Part::InodeBitmap, 2, BadBlocksReason::GroupDescriptors)
        );
        assert_eq!(
            layout(small, 0, (1000, 1001, 2))?,
            over(Part::InodeTable, 2, BadBlocksReason::GroupDescriptors)
        );
        assert_eq!(
            layout(small, 0, (3, 3, 5))?,
            overlap(Part::BlockBitmap, Part::InodeBitmap, 3)
        );
        assert_eq!(
            layout(small, 0, (516, 4, 5))?,
            overlap(Part::BlockBitmap, Part::InodeTable, 516)
        );
        assert_eq!(
            layout(small, 0, (517, 5, 5))?,
            overlap(Part::InodeBitmap, Part::InodeTable, 5)
        );
        Ok(())
    }

    #[test]
    fn descriptors_of_a_meta_group() -> Result {
        let mut sb = large();
        sb.blocks_count.set(400 * 32768);
        sb.inodes_count.set(400 * 8192);
        sb.feature_incompat.set(incompat::META_BG);
        let geometry = geometry_of(&sb).map_err(|e| e.errno())?;
        let start = 256 * 32768;
        let new = |block_bitmap| {
            let descriptor = descriptor(block_bitmap, start + 2, start + 3);
            GroupLayout::new(&geometry, 256, &descriptor).map_err(|e| e.reason)
        };

        assert_eq!(
            new(start),
            Err(GroupErrorReason::OverDescriptors {
                part: Part::BlockBitmap,
                block: start,
                over: BadBlocksReason::GroupDescriptors
            })
        );
        assert!(new(start + 1).is_ok());
        Ok(())
    }

    #[test]
    fn overlaps_with_the_parts_of_a_group() -> Result {
        let overlaps = |start, count| {
            layout(small, 0, (10, 20, 30)).map(|g| g.map(|g| g.overlaps(start, count)))
        };

        assert_eq!(overlaps(9, 1)?, Ok(false));
        assert_eq!(overlaps(9, 2)?, Ok(true));
        assert_eq!(overlaps(11, 9)?, Ok(false));
        assert_eq!(overlaps(11, 10)?, Ok(true));
        assert_eq!(overlaps(21, 9)?, Ok(false));
        assert_eq!(overlaps(29, 2)?, Ok(true));
        assert_eq!(overlaps(541, 1)?, Ok(true));
        assert_eq!(overlaps(542, u32::MAX)?, Ok(false));
        assert_eq!(overlaps(0, u32::MAX)?, Ok(true));
        assert_eq!(overlaps(10, 0)?, Ok(false));
        Ok(())
    }

    #[test]
    fn random_descriptors() -> Result {
        let mut random = Random::new(2);
        let geometry = geometry_of(&large()).map_err(|e| e.errno())?;
        let mut good = 0;

        for _ in 0..20000 {
            let group = random.below(70) as u32;
            let first = group.wrapping_mul(32768);
            let mut block = || first.wrapping_add(random.edge() >> random.below(32));
            let descriptor = descriptor(block(), block(), block());

            if let Ok(layout) = GroupLayout::new(&geometry, group, &descriptor) {
                let parts = [
                    Some(layout.block_bitmap()),
                    Some(layout.inode_bitmap()),
                    layout.inode_table_block(0),
                    layout.inode_table_block(geometry.inode_table_blocks() - 1),
                ];
                good += 1;
                assert!(parts
                    .into_iter()
                    .all(|part| part.and_then(|b| geometry.group_of_block(b)) == Some(group)));
            }
        }
        assert!(good > 100);
        Ok(())
    }

    #[test]
    fn the_inode_table_is_read_by_parts() -> Result {
        let geometry = geometry_of(&large()).map_err(|e| e.errno())?;
        let blocks = geometry.inode_table_blocks();
        let layout = GroupLayout::new(&geometry, 1, &descriptor(33000, 33001, 33002))
            .map_err(|e| e.errno())?;

        for index in 0..blocks {
            let around = layout.inode_table_around(index);
            let first = layout.inode_table_block(index - index % 32);
            let last = layout.inode_table_block((index / 32 * 32 + 31).min(blocks - 1));

            assert_eq!(Some(around.start), first);
            assert_eq!(around.end.checked_sub(1), last);
        }
        assert!(layout.inode_table_around(blocks).is_empty());
        assert!(layout.inode_table_around(u32::MAX).is_empty());
        Ok(())
    }
}
