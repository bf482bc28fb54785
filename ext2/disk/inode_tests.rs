// SPDX-License-Identifier: GPL-2.0

//! KUnit suite for inodes: good ones, the same with one thing wrong, random bytes.

use kernel::prelude::*;

#[kunit_tests(rust_ext2_inode)]
mod tests {
    use super::*;
    use crate::disk::{
        geometry_error::{
            BadBlocks,
            BadBlocksReason, //
        },
        inode_decode::{
            DeviceNumber,
            DiskInode,
            IdWidth,
            InodeError,
            InodeKind, //
        },
        structures::{
            Le32,
            RawInode,
            INODE_POINTERS, //
        },
        test_images::{
            geometry_of,
            small,
            Random, //
        },
    };

    /// What is made of an inode of mode `mode` with one link, and this change.
    #[inline(never)]
    fn inode(mode: u16, change: fn(&mut RawInode)) -> Result<DiskInode, InodeError> {
        let geometry = geometry_of(&small()).map_err(|_| InodeError::Deleted)?;
        let mut raw: RawInode = zerocopy::FromZeros::new_zeroed();

        raw.mode.set(mode);
        raw.links_count.set(1);
        change(&mut raw);
        DiskInode::decode(&raw, &geometry, IdWidth::Bits32)
    }

    fn kind_of(mode: u16, change: fn(&mut RawInode)) -> Result<InodeKind, InodeError> {
        inode(mode, change).map(|i| i.kind)
    }

    /// A symbolic link with the target `target`, in the inode.
    fn fast_link(raw: &mut RawInode) {
        raw.size_low.set(59);
        raw.block = [Le32::new(0x6161_6161); INODE_POINTERS];
    }

    #[test]
    fn all_fields_of_a_regular_file() -> Result {
        let file = inode(0o100644, |raw| {
            raw.uid_low.set(1);
            raw.uid_high.set(2);
            raw.gid_low.set(3);
            raw.gid_high.set(4);
            raw.links_count.set(u16::MAX);
            raw.size_low.set(5);
            raw.size_high.set(6);
            raw.atime.set(0x8000_0000);
            raw.ctime.set(0x7fff_ffff);
            raw.mtime.set(u32::MAX);
            raw.blocks.set(8);
            raw.flags.set(0x30);
            raw.generation.set(9);
            raw.file_acl.set(8191);
            raw.faddr.set(10);
            raw.frag = 11;
            raw.fsize = 12;
            raw.block = [Le32::new(13); INODE_POINTERS];
        })
        .map_err(|e| e.errno())?;

        assert_eq!((file.mode, file.kind), (0o100644, InodeKind::Regular));
        assert_eq!((file.uid, file.gid, file.nlink), (0x20001, 0x40003, 65535));
        assert_eq!((file.size, file.sectors), (6 << 32 | 5, 8));
        assert_eq!(
            (file.atime, file.ctime, file.mtime),
            (i32::MIN, i32::MAX, -1)
        );
        assert_eq!((file.flags, file.generation), (0x30, 9));
        assert_eq!((file.file_acl, file.dir_acl), (8191, 0));
        assert_eq!((file.faddr, file.frag, file.fsize), (10, 11, 12));
        assert!(file.block == [Le32::new(13); INODE_POINTERS]);
        assert!(file.fast_symlink_target().is_none());
        Ok(())
    }

    #[test]
    fn owners_of_16_bits() -> Result {
        let geometry = geometry_of(&small()).map_err(|e| e.errno())?;
        let mut raw: RawInode = zerocopy::FromZeros::new_zeroed();
        raw.mode.set(0o100644);
        raw.links_count.set(1);
        raw.uid_low.set(u16::MAX);
        raw.uid_high.set(1);
        raw.gid_high.set(1);

        let inode = DiskInode::decode(&raw, &geometry, IdWidth::Bits16).map_err(|e| e.errno())?;
        assert_eq!((inode.uid, inode.gid), (65535, 0));
        Ok(())
    }

    #[test]
    fn without_links() {
        let error = |mode, change: fn(&mut RawInode)| inode(mode, change).err();

        assert_eq!(
            error(0, |raw| raw.links_count.set(0)),
            Some(InodeError::Deleted)
        );
        assert_eq!(
            error(0o100644, |raw| {
                raw.links_count.set(0);
                raw.dtime.set(1);
            }),
            Some(InodeError::Deleted)
        );
        assert_eq!(
            error(0o100644, |raw| raw.links_count.set(0)),
            Some(InodeError::NoLinks { mode: 0o100644 })
        );
        assert_eq!(InodeError::Deleted.errno(), ESTALE);
        assert_eq!(InodeError::NoLinks { mode: 0 }.errno(), EUCLEAN);
    }

    #[test]
    fn sizes() {
        let size = |mode, change: fn(&mut RawInode)| inode(mode, change).map(|i| i.size);

        assert_eq!(
            size(0o100000, |raw| raw.size_high.set(0x7fff_ffff)),
            Ok(0x7fff_ffff << 32)
        );
        assert_eq!(
            size(0o100000, |raw| raw.size_high.set(0x8000_0000)),
            Err(InodeError::Size { size: 1 << 63 })
        );
        // Only a regular file has the high part.
        assert_eq!(
            size(0o040000, |raw| {
                raw.size_low.set(u32::MAX);
                raw.size_high.set(u32::MAX);
            }),
            Ok(u32::MAX.into())
        );
    }

    #[test]
    fn types() {
        let number = |major, minor| DeviceNumber { major, minor };

        assert_eq!(kind_of(0o040755, |_| {}), Ok(InodeKind::Directory));
        assert_eq!(kind_of(0o010644, |_| {}), Ok(InodeKind::Fifo));
        assert_eq!(kind_of(0o140644, |_| {}), Ok(InodeKind::Socket));
        assert_eq!(
            kind_of(0o060644, |raw| raw.block[0].set(0x0801)),
            Ok(InodeKind::BlockDevice(number(8, 1)))
        );
        // The old form has 16 bits; the rest of the pointer, and the next, are not looked at.
        assert_eq!(
            kind_of(0o020644, |raw| {
                raw.block[0].set(0xffff_04ff);
                raw.block[1].set(0x0801);
            }),
            Ok(InodeKind::CharacterDevice(number(4, 255)))
        );
        assert_eq!(
            kind_of(0o020644, |raw| raw.block[1].set(u32::MAX)),
            Ok(InodeKind::CharacterDevice(number(0xfff, 0xfffff)))
        );
        assert_eq!(
            kind_of(0o060644, |raw| raw.block[1].set(0x1234_5678)),
            Ok(InodeKind::BlockDevice(number(0x456, 0x12378)))
        );
        for mode in [0o000644, 0o030000, 0o110000, 0o160000, 0o170000] {
            assert_eq!(kind_of(mode, |_| {}), Err(InodeError::UnknownType { mode }));
        }
    }

    #[test]
    fn device_numbers_come_back() {
        for (major, minor) in [(8, 1), (255, 255), (256, 0), (0, 256), (0xfff, 0xfffff)] {
            let (old, new) = DeviceNumber { major, minor }.encode();
            let mut block = [Le32::new(0); INODE_POINTERS];
            block[0] = old;
            block[1] = new;
            assert_eq!(DeviceNumber::decode(&block), DeviceNumber { major, minor });
        }
    }

    #[test]
    fn attribute_blocks() {
        let error = |change: fn(&mut RawInode)| inode(0o100644, change).err();
        let bad = |start, reason| {
            Some(InodeError::AttributeBlock(BadBlocks {
                start,
                count: 1,
                reason,
            }))
        };

        assert_eq!(error(|raw| raw.file_acl.set(3)), None);
        assert_eq!(
            error(|raw| raw.file_acl.set(1)),
            bad(1, BadBlocksReason::Outside)
        );
        assert_eq!(
            error(|raw| raw.file_acl.set(2)),
            bad(2, BadBlocksReason::GroupDescriptors)
        );
        assert_eq!(
            error(|raw| raw.file_acl.set(8192)),
            bad(8192, BadBlocksReason::Outside)
        );
        assert_eq!(
            error(|raw| raw.file_acl.set(u32::MAX)),
            bad(u32::MAX, BadBlocksReason::Outside)
        );
    }

    #[test]
    fn fast_symlinks() -> Result {
        let link = inode(0o120777, fast_link).map_err(|e| e.errno())?;
        assert_eq!(link.kind, InodeKind::FastSymlink);
        assert!(link.fast_symlink_target() == Some(&[b'a'; 59]));

        // The only block is that of its attributes.
        assert_eq!(
            kind_of(0o120777, |raw| {
                fast_link(raw);
                raw.file_acl.set(100);
                raw.blocks.set(2);
            }),
            Ok(InodeKind::FastSymlink)
        );
        let bad = |size| Err(InodeError::SymlinkLength { size });
        let sized = |change: fn(&mut RawInode)| kind_of(0o120777, change);
        assert_eq!(sized(|_| {}), bad(0));
        assert_eq!(
            sized(|raw| {
                fast_link(raw);
                raw.size_low.set(60);
            }),
            bad(60)
        );
        assert_eq!(
            sized(|raw| {
                fast_link(raw);
                raw.size_low.set(u32::MAX);
            }),
            bad(u32::MAX.into())
        );
        assert_eq!(
            sized(|raw| {
                fast_link(raw);
                raw.block[14].set(0x6161);
            }),
            bad(59)
        );
        Ok(())
    }

    #[test]
    fn slow_symlinks() {
        let slow = |change: fn(&mut RawInode)| {
            kind_of(0o120777, change).map(|kind| kind == InodeKind::SlowSymlink)
        };

        assert_eq!(
            slow(|raw| {
                raw.blocks.set(2);
                raw.size_low.set(1023);
            }),
            Ok(true)
        );
        assert_eq!(
            slow(|raw| {
                raw.blocks.set(2);
                raw.size_low.set(1024);
            }),
            Err(InodeError::SymlinkLength { size: 1024 })
        );
        assert_eq!(
            slow(|raw| raw.blocks.set(2)),
            Err(InodeError::SymlinkLength { size: 0 })
        );
        // Attributes that are not counted: fewer blocks than those of the attributes.
        assert_eq!(
            slow(|raw| {
                raw.file_acl.set(100);
                raw.size_low.set(70);
            }),
            Ok(true)
        );
    }

    #[test]
    fn random_inodes() -> Result {
        let geometry = geometry_of(&small()).map_err(|e| e.errno())?;
        let mut random = Random::new(5);
        let mut good = 0;

        for _ in 0..20000 {
            let mut raw: RawInode = zerocopy::FromZeros::new_zeroed();
            for byte in raw.as_mut_bytes() {
                *byte = random.next() as u8;
            }
            if random.below(2) == 0 {
                raw.file_acl.set(random.below(10000) as u32);
                raw.size_high.set(0);
                raw.size_low.set(random.below(80) as u32);
                raw.blocks.set(2 * random.below(2) as u32);
            }
            if let Ok(inode) = DiskInode::decode(&raw, &geometry, IdWidth::Bits32) {
                let target = inode.fast_symlink_target().map(|t| t.len() as u64);
                let fast = inode.kind == InodeKind::FastSymlink;
                good += 1;
                assert!(inode.nlink > 0 && inode.size <= i64::MAX as u64);
                assert_eq!(target, fast.then_some(inode.size));
                assert!(inode.file_acl < geometry.blocks_count());
            }
        }
        assert!(good > 1000);
        Ok(())
    }
}
