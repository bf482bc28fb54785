// SPDX-License-Identifier: GPL-2.0

//! What of an inode's image is not what the inode is: while something of it waits for the medium,
//! and while the disk may have a name of an inode that has none.
//!
//! C counterpart: none, see [`order`](crate::order).
//!
//! Locks: none, these are plain values.

use super::{
    block_size::BlockSize,
    inode_encode::{
        Content,
        InodeImage, //
    },
    structures::{
        self,
        RawInode,
        ATTRIBUTES_ROOT,
        INODE_POINTERS, //
    },
};
use kernel::prelude::*;

/// Permissions of the group and of all others.
const OTHERS: u16 = 0o077;

/// So many pointers of an inode lead to blocks of its own, `EXT2_NDIR_BLOCKS`.
const DIRECT_POINTERS: u32 = 12;

/// Where a symbolic link leads that has been removed, of whole words.
const REMOVED: &[u8; 12] = b"removed-link";

impl InodeImage {
    /// Makes it what an inode without a name leaves on a disk that may have one: a file or
    /// directory without contents, as e2fsck clears it without asking; a symbolic link to something
    /// else, as one without a target is not valid. `has_blocks` says whether its pointers are such.
    pub(crate) fn bury(&mut self, has_blocks: bool) {
        self.sectors = 0;
        self.file_acl = 0;
        match self.mode & structures::mode::TYPE_MASK {
            structures::mode::REGULAR | structures::mode::DIRECTORY => {
                self.size = 0;
                self.content = Content::Pointers([0; INODE_POINTERS]);
            }
            structures::mode::SYMLINK if has_blocks => {
                let mut pointers = [0; INODE_POINTERS];
                let words = REMOVED.chunks_exact(size_of::<u32>());
                for (pointer, word) in pointers.iter_mut().zip(words) {
                    let bytes = word.iter().rev();
                    *pointer = bytes.fold(0, |word, &byte| word << 8 | u32::from(byte));
                }
                self.size = REMOVED.len() as u64;
                self.content = Content::Pointers(pointers);
            }
            _ => (),
        }
    }

    /// Takes from the mode what is for others than the owner: what they may do is in a list that
    /// the image has not.
    pub(crate) fn owner_only(&mut self) {
        self.mode &= !OTHERS;
    }

    /// Keeps those pointers as they are in `raw` whose bits are in `kept`, and the block of
    /// attributes if [`ATTRIBUTES_ROOT`] is: with the mode, if that is the one of `raw` and no
    /// right has changed since, or else only what it says of the owner, as a list may say something
    /// else of all others. The block counts if it is there. The size of a directory ends before
    /// them, or where it does in `raw` if [`SIZE_ROOT`](super::SIZE_ROOT) is there: it has no
    /// holes. It does not end before blocks that the inode itself points to: one that is new has no
    /// size in `raw`, and has its first block.
    pub(crate) fn keep(
        &mut self,
        raw: &RawInode,
        kept: u32,
        rights_changed: bool,
        block_size: BlockSize,
    ) {
        if kept & (1 << ATTRIBUTES_ROOT) != 0 {
            let own = self.file_acl != 0;
            let block = u64::from(block_size.sectors());
            self.file_acl = raw.file_acl.get();
            self.sectors = match (own, self.file_acl != 0) {
                (true, false) => self.sectors.saturating_sub(block),
                (false, true) => self.sectors + block,
                _ => self.sectors,
            };
            if rights_changed || self.mode != raw.mode.get() {
                self.owner_only();
            }
        }
        let kept = kept & !(1 << ATTRIBUTES_ROOT);
        let Content::Pointers(pointers) = &mut self.content else {
            return;
        };
        for ((root, to), from) in (0u32..).zip(pointers).zip(&raw.block) {
            if kept & (1 << root) != 0 {
                *to = from.get();
            }
        }
        if kept != 0 && self.mode & structures::mode::TYPE_MASK == structures::mode::DIRECTORY {
            let blocks = kept.trailing_zeros().min(DIRECT_POINTERS);
            let there = u64::from(blocks) * u64::from(block_size.bytes());
            self.size = self.size.min(there.max(raw.size_low.get().into()));
        }
    }
}

#[kunit_tests(rust_ext2_inode_waiting)]
mod tests {
    use super::*;
    use crate::disk::{
        inode_decode::IdWidth,
        test_images::{
            image,
            stored, //
        },
        SIZE_ROOT, //
    };
    use zerocopy::{
        FromZeros,
        IntoBytes, //
    };

    const KIB: BlockSize = BlockSize::SMALLEST;

    #[test]
    fn what_is_left_of_a_removed_inode() {
        let mut file = image();
        file.bury(true);
        assert_eq!((file.size, file.sectors, file.file_acl), (0, 0, 0));
        assert!(
            matches!(file.content, Content::Pointers(pointers) if pointers.iter().all(|&p| p == 0))
        );
        assert_eq!((file.nlink, file.uid), (image().nlink, image().uid));

        // It may have given up its blocks.
        for size in [200, 0] {
            let mut link = InodeImage {
                mode: 0o120777,
                size,
                ..image()
            };
            link.bury(true);
            let raw = stored(&link, IdWidth::Bits32);
            assert_eq!(link.size, 12);
            assert_eq!(
                raw.block.as_bytes().get(..16),
                Some(&b"removed-link\0\0\0\0"[..])
            );
        }

        let mut fast = InodeImage {
            mode: 0o120777,
            ..image()
        };
        fast.bury(false);
        assert_eq!((fast.size, fast.sectors), (image().size, 0));
        assert!(matches!(fast.content, Content::Pointers(pointers) if pointers[1] == 601));
    }

    #[test]
    fn pointers_that_are_kept_are_those_of_the_disk() {
        let mut raw = stored(&image(), IdWidth::Bits32);
        for pointer in raw.block.iter_mut() {
            pointer.set(5);
        }
        raw.size_low.set(1024);
        let mut kept = image();
        kept.keep(&raw, 1 << 12 | 1, true, KIB);
        let Content::Pointers(pointers) = kept.content else {
            return assert!(false);
        };
        assert_eq!((pointers[0], pointers[1], pointers[12]), (5, 601, 5));
        assert_eq!(kept.size, image().size);

        let mut directory = InodeImage {
            mode: 0o40755,
            size: 4096,
            ..image()
        };
        directory.keep(&raw, 0, true, KIB);
        assert_eq!(directory.size, 4096);
        directory.keep(&raw, 1 << 3, true, KIB);
        assert_eq!(directory.size, 3072);
        directory.keep(&raw, 1, true, KIB);
        assert_eq!(directory.size, 1024);
    }

    /// The new attributes need not be a list, and then all keep what they have; but not if that is
    /// new, as it may have come with a list.
    #[test]
    fn the_mode_goes_with_the_attributes_that_are_kept() {
        let mut raw = stored(&image(), IdWidth::Bits32);
        let mut mode = |was: u16, rights_changed, kept| {
            raw.mode.set(was);
            raw.file_acl.set(33);
            let mut image = InodeImage {
                mode: 0o100664,
                ..image()
            };
            image.keep(&raw, kept, rights_changed, KIB);
            (image.mode, image.file_acl)
        };
        let attributes = 1 << ATTRIBUTES_ROOT;
        assert_eq!(mode(0o100664, false, attributes), (0o100664, 33));
        assert_eq!(mode(0o100664, true, attributes), (0o100600, 33));
        assert_eq!(mode(0o100644, false, attributes), (0o100600, 33));
        assert_eq!(mode(0, false, attributes), (0o100600, 33));
        assert_eq!(mode(0o100644, true, 0), (0o100664, 700));
        assert_eq!(mode(0o100644, true, 1), (0o100664, 700));
    }

    #[test]
    fn attributes_that_are_kept_count() {
        let mut raw = stored(&image(), IdWidth::Bits32);
        let mut sectors = |was: u32, is| {
            raw.file_acl.set(was);
            let mut image = InodeImage {
                file_acl: is,
                sectors: 6,
                ..image()
            };
            image.keep(&raw, 1 << ATTRIBUTES_ROOT, false, KIB);
            image.sectors
        };
        assert_eq!((sectors(0, 0), sectors(33, 34)), (6, 6));
        assert_eq!((sectors(0, 34), sectors(33, 0)), (4, 8));
    }

    /// Of a directory that the disk does not have the image has what its own pointers lead to.
    #[test]
    fn a_new_directory_has_its_first_block() {
        let new = |size, kept| {
            let mut directory = InodeImage {
                mode: 0o40755,
                size,
                ..image()
            };
            directory.keep(&RawInode::new_zeroed(), kept, false, KIB);
            directory.size
        };
        assert_eq!((new(3072, 1 << 1), new(3072, 1 << 2)), (1024, 2048));
        assert_eq!((new(3072, 1), new(0, 1 << SIZE_ROOT)), (0, 0));
        assert_eq!(new(20 * 1024, 1 << SIZE_ROOT), 12 * 1024);
        assert_eq!(new(20 * 1024, 1 << 12 | 1 << SIZE_ROOT), 12 * 1024);
    }
}
