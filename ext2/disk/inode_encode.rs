// SPDX-License-Identifier: GPL-2.0

//! An inode as it is written to disk.
//!
//! [`InodeImage::store`] is the pure part of `ext2_write_inode()`: it changes the fields of an
//! inode on disk that the driver knows, and leaves the others as they are, unless the inode is new.
//!
//! Locks: none, these are plain values.

use super::{
    inode_decode::{
        DeviceNumber,
        IdWidth, //
    },
    structures::{
        self,
        Le16,
        Le32,
        RawInode,
        INODE_POINTERS, //
    },
};
use kernel::prelude::*;

/// Stored for an owner whose number does not fit in 16 bits, `DEFAULT_FS_OVERFLOWUID`. C takes the
/// sysctl `fs.overflowuid`, whose default this is.
const OVERFLOW_ID: u16 = 65534;

/// The largest size of a file on a filesystem without the feature `large_file`.
const LARGEST_SMALL_FILE: u64 = 0x7fff_ffff;

/// What an inode has on disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InodeImage {
    /// Type and permissions, `i_mode`.
    pub(crate) mode: u16,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Links to the inode.
    pub(crate) nlink: u32,
    /// Size in bytes.
    pub(crate) size: u64,
    /// Access time in seconds, as the others; of a range that the VFS keeps to.
    pub(crate) atime: i64,
    /// Change time.
    pub(crate) ctime: i64,
    /// Modification time.
    pub(crate) mtime: i64,
    /// Time of deletion, 0 for an inode in use.
    pub(crate) dtime: u32,
    /// Space used, in units of 512 bytes.
    pub(crate) sectors: u64,
    /// See [`inode_flags`](disk::inode_flags).
    pub(crate) flags: u32,
    /// Changes each time that the inode number is used anew.
    pub(crate) generation: u32,
    /// The block of extended attributes, or 0.
    pub(crate) file_acl: u32,
    /// As read; not for a regular file.
    pub(crate) dir_acl: u32,
    /// As read.
    pub(crate) faddr: u32,
    /// As read.
    pub(crate) frag: u8,
    /// As read.
    pub(crate) fsize: u8,
    /// What the block pointers hold.
    pub(crate) content: Content,
}

/// Whether the filesystem has to have the feature `large_file` for an inode of this mode and size.
pub(crate) fn is_large_file(mode: u16, size: u64) -> bool {
    is_regular(mode) && size > LARGEST_SMALL_FILE
}

fn is_regular(mode: u16) -> bool {
    mode & structures::mode::TYPE_MASK == structures::mode::REGULAR
}

/// What is in the place of the block pointers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    /// Pointers to blocks, or the target of a fast symbolic link as such.
    Pointers([u32; INODE_POINTERS]),
    /// The number of a device.
    Device(DeviceNumber),
}

/// How many links are left in an image without some that are not the inode's any more.
pub(crate) fn without_links(raw: &RawInode, links: u32) -> u16 {
    u32::from(raw.links_count.get()).saturating_sub(links) as u16
}

impl InodeImage {
    /// Makes it no larger than a file is on a filesystem without the feature `large_file`, unless
    /// the image that is on the disk, `raw` if `is_on_disk`, is larger already.
    pub(crate) fn stay_small(&mut self, raw: &RawInode, is_on_disk: bool) {
        let is_large = is_on_disk && raw.size_high.get() | raw.size_low.get() >> 31 != 0;

        if is_regular(self.mode) && !is_large {
            self.size = self.size.min(LARGEST_SMALL_FILE);
        }
    }

    /// Changes `raw` to be this inode.
    pub(crate) fn store(&self, raw: &mut RawInode, ids: IdWidth) {
        raw.mode.set(self.mode);
        self.store_owner(raw, ids);
        raw.links_count.set(self.nlink.min(u16::MAX.into()) as u16);
        raw.size_low.set(self.size as u32);
        raw.atime.set(self.atime as u32);
        raw.ctime.set(self.ctime as u32);
        raw.mtime.set(self.mtime as u32);
        raw.dtime.set(self.dtime);
        raw.blocks.set(self.sectors as u32);
        raw.flags.set(self.flags);
        raw.generation.set(self.generation);
        raw.file_acl.set(self.file_acl);
        raw.size_high.set(if is_regular(self.mode) {
            (self.size >> 32) as u32
        } else {
            self.dir_acl
        });
        raw.faddr.set(self.faddr);
        raw.frag = self.frag;
        raw.fsize = self.fsize;
        self.content.store(&mut raw.block);
    }

    fn store_owner(&self, raw: &mut RawInode, ids: IdWidth) {
        let halves = |id: u32| match ids {
            IdWidth::Bits16 => (u16::try_from(id).unwrap_or(OVERFLOW_ID), 0),
            // Old kernels use the inode again and leave the upper half as it is.
            IdWidth::Bits32 if self.dtime != 0 => (id as u16, 0),
            IdWidth::Bits32 => (id as u16, (id >> 16) as u16),
        };
        let set = |(low, high): (u16, u16), to_low: &mut Le16, to_high: &mut Le16| {
            to_low.set(low);
            to_high.set(high);
        };

        set(halves(self.uid), &mut raw.uid_low, &mut raw.uid_high);
        set(halves(self.gid), &mut raw.gid_low, &mut raw.gid_high);
    }
}

impl Content {
    fn store(&self, block: &mut [Le32; INODE_POINTERS]) {
        match self {
            Self::Pointers(pointers) => {
                for (to, from) in block.iter_mut().zip(pointers) {
                    to.set(*from);
                }
            }
            Self::Device(number) => {
                let [old, new, end, ..] = block;
                (*old, *new) = number.encode();
                if old.get() == 0 {
                    end.set(0);
                }
            }
        }
    }
}

#[kunit_tests(rust_ext2_inode_encode)]
mod tests {
    use super::*;
    use crate::disk::{
        inode_decode::{
            DiskInode,
            InodeKind, //
        },
        test_images::{
            geometry_of,
            image,
            small,
            stored, //
        },
    };
    use zerocopy::FromZeros;

    #[test]
    fn links_are_taken_from_an_image() {
        let mut raw = stored(&image(), IdWidth::Bits32);

        raw.links_count.set(3);
        assert_eq!(without_links(&raw, 0), 3);
        assert_eq!(without_links(&raw, 2), 1);
        assert_eq!(without_links(&raw, 3), 0);
        assert_eq!(without_links(&raw, u32::MAX), 0);

        let many = InodeImage {
            nlink: 70_000,
            ..image()
        };
        assert_eq!(stored(&many, IdWidth::Bits32).links_count.get(), u16::MAX);
    }

    #[test]
    fn what_is_written_is_what_is_read() -> Result {
        let image = image();
        let raw = stored(&image, IdWidth::Bits32);
        let geometry = geometry_of(&small()).map_err(|e| e.errno())?;
        let disk = DiskInode::decode(&raw, &geometry, IdWidth::Bits32).map_err(|e| e.errno())?;

        assert!(disk.kind == InodeKind::Regular && disk.mode == image.mode);
        assert_eq!((disk.uid, disk.gid), (image.uid, image.gid));
        assert_eq!(
            (u32::from(disk.nlink), disk.size),
            (image.nlink, image.size)
        );
        assert_eq!(
            (disk.atime, disk.ctime, disk.mtime),
            (-5, 1_000_000_000, i32::MAX)
        );
        assert_eq!(
            (disk.sectors, disk.flags, disk.generation),
            (0x10, 0x10, 77)
        );
        assert_eq!((disk.file_acl, disk.dir_acl, disk.faddr), (700, 0, 5));
        assert_eq!((disk.frag, disk.fsize), (6, 7));
        assert!(disk.block.iter().map(|p| p.get()).eq(600..615));
        Ok(())
    }

    #[test]
    fn sizes() {
        let mut image = image();
        assert_eq!(stored(&image, IdWidth::Bits32).size_high.get(), 1);
        assert!(is_large_file(image.mode, image.size));
        assert!(is_large_file(image.mode, 0x8000_0000));
        assert!(!is_large_file(image.mode, 0x7fff_ffff));
        // The upper half is another field for all but regular files.
        image.mode = 0o040755;
        image.size = 0x1_0000_1000;
        let raw = stored(&image, IdWidth::Bits32);
        assert_eq!((raw.size_low.get(), raw.size_high.get()), (0x1000, 99));
        assert!(!is_large_file(image.mode, image.size));
    }

    #[test]
    fn no_size_needs_a_feature_that_is_not_there() {
        let size = |mode, size, on_disk: u64, is_on_disk| {
            let (mut image, mut raw) = (image(), RawInode::new_zeroed());
            raw.size_high.set((on_disk >> 32) as u32);
            raw.size_low.set(on_disk as u32);
            (image.mode, image.size) = (mode, size);
            image.stay_small(&raw, is_on_disk);
            image.size
        };
        let (file, small, large) = (0o100600, 0x7fff_ffff, 0x9000_0000);

        assert_eq!(size(file, large, 77, true), small);
        assert_eq!(size(file, small - 1, 0, true), small - 1);
        // There is one on the disk, or that is another's.
        assert_eq!(size(file, large, small + 1, true), large);
        assert_eq!(size(file, large, 1 << 32, true), large);
        assert_eq!(size(file, large, 1 << 32, false), small);
        assert_eq!(size(0o040700, large, 0, true), large);
    }

    #[test]
    fn owners() {
        let mut image = image();
        let ids = |raw: RawInode| {
            (
                raw.uid_low.get(),
                raw.uid_high.get(),
                raw.gid_low.get(),
                raw.gid_high.get(),
            )
        };

        assert_eq!(
            ids(stored(&image, IdWidth::Bits32)),
            (0x3456, 0x12, 0x4321, 0x65)
        );
        assert_eq!(ids(stored(&image, IdWidth::Bits16)), (65534, 0, 65534, 0));
        image.dtime = 1;
        assert_eq!(ids(stored(&image, IdWidth::Bits32)), (0x3456, 0, 0x4321, 0));
        image.uid = 65535;
        image.gid = 65536;
        assert_eq!(ids(stored(&image, IdWidth::Bits16)), (65535, 0, 65534, 0));
    }

    #[test]
    fn devices() {
        let mut image = image();
        let mut raw = stored(&image, IdWidth::Bits32);
        let words =
            |raw: &RawInode| [0, 1, 2, 3].map(|i: usize| raw.block.get(i).map_or(0, |p| p.get()));

        image.mode = 0o020600;
        image.content = Content::Device(DeviceNumber {
            major: 8,
            minor: 17,
        });
        image.store(&mut raw, IdWidth::Bits32);
        assert_eq!(words(&raw), [0x0811, 0, 602, 603]);
        image.content = Content::Device(DeviceNumber {
            major: 259,
            minor: 0x12345,
        });
        image.store(&mut raw, IdWidth::Bits32);
        assert_eq!(words(&raw), [0, 0x1231_0345, 0, 603]);
        assert_eq!(
            DeviceNumber::decode(&raw.block),
            DeviceNumber {
                major: 259,
                minor: 0x12345
            }
        );
    }

    #[test]
    fn what_is_not_known_stays() {
        let mut raw = RawInode::new_zeroed();
        raw.reserved1.set(1);
        raw.reserved2.set(2);
        raw.pad1.set(3);
        image().store(&mut raw, IdWidth::Bits32);
        assert_eq!(
            (raw.reserved1.get(), raw.reserved2.get(), raw.pad1.get()),
            (1, 2, 3)
        );
    }
}
