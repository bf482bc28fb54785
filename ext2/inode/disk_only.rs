// SPDX-License-Identifier: GPL-2.0

//! What of an inode in memory is only of interest to what the disk has of it. Pure.
//!
//! Locks: the spinlock that [`InodeData`](crate::inode::data::InodeData) has it in.

#![deny(unsafe_code)]

use crate::{
    disk::{
        INODE_POINTERS,
        SIZE_ROOT, //
    },
    order::branches::Settled, //
};
use kernel::prelude::*;

/// What of an inode is only of interest to the disk.
#[derive(Clone, Copy, Default)]
pub(crate) struct DiskOnly {
    /// Time of deletion.
    pub(crate) dtime: u32,
    /// Kept as read.
    pub(crate) dir_acl: u32,
    /// Kept as read.
    pub(crate) faddr: u32,
    /// Kept as read.
    pub(crate) frag: u8,
    /// Kept as read.
    pub(crate) fsize: u8,
    /// What is on disk is of an earlier inode with the number; `EXT2_STATE_NEW`.
    pub(crate) is_new: bool,
    /// An image has been stored that has the block of attributes which the inode has.
    pub(crate) attributes_stored: bool,
    /// Who may do what has changed since: the mode, an owner, or the access control list.
    pub(crate) rights_changed: bool,
    /// The disk may have the inode with links.
    pub(crate) is_on_disk: bool,
    /// Links that the image has in addition to those of the inode: the disk may have names that the
    /// directories in memory have not any more, see [`removals`](crate::order::removals).
    pub(crate) kept_links: u32,
    /// The names that the inode has got in memory.
    pub(crate) names: GivenNames,
    /// For each pointer, and [`ATTRIBUTES_ROOT`](crate::disk::ATTRIBUTES_ROOT), its bit if no image
    /// has been stored that has it and the block that it leads to may not be on disk. And
    /// [`SIZE_ROOT`] if that is so of arrays of a directory, which the disk has, and the pointers
    /// that they got last.
    pub(crate) fresh: u32,
    /// The batch of [`branches`](crate::order::branches) that the image waits for with these.
    pub(crate) fresh_batch: u64,
    /// And the one that it waits for with the first pointer, of a directory.
    pub(crate) first_batch: u64,
    /// It has been put off, so that others wait together with it.
    pub(crate) is_put_off: bool,
}

/// Where the names of an inode are that may not be on the disk, as `fsync(2)` has to know.
#[derive(Clone, Copy, Default)]
pub(crate) struct GivenNames {
    /// How many it has got.
    given: u64,
    /// How many of them are on the disk.
    on_disk: u64,
    /// The directory that all others are in; `None` if they are in several, or nobody knows.
    directory: Option<u32>,
}

/// Names that may not be on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NewNames {
    given: u64,
    /// The directory that they are in; `None` if they are in several, or nobody knows.
    pub(crate) directory: Option<u32>,
}

impl GivenNames {
    /// Of an inode that was read while directories had changes that may not be on the disk, or not.
    pub(crate) fn when_read(directories_changed: bool) -> Self {
        Self {
            given: directories_changed.into(),
            on_disk: 0,
            directory: None,
        }
    }

    /// Counts one more in a directory.
    pub(crate) fn add(&mut self, directory: u32) {
        let is_only = self.given == self.on_disk || self.directory == Some(directory);
        self.directory = is_only.then_some(directory);
        self.given += 1;
    }

    /// Those that may not be on the disk.
    pub(crate) fn new_names(&self) -> Option<NewNames> {
        (self.given != self.on_disk).then_some(NewNames {
            given: self.given,
            directory: self.directory,
        })
    }

    /// These are on the disk.
    pub(crate) fn note_on_disk(&mut self, names: NewNames) {
        // Another may have come meanwhile.
        self.on_disk = self.on_disk.max(names.given);
    }
}

impl DiskOnly {
    /// Notes, before pointer `root` is set, that the block that it leads to is on disk after a
    /// batch of [`branches`](crate::order::branches), of which the inode's are as `settled` says.
    pub(crate) fn note_fresh(&mut self, root: u32, batch: u64, settled: Settled) {
        // They do not have to wait with this one.
        if settled.has(self.fresh_batch) {
            self.fresh = 0;
        }
        if root == 0 {
            self.first_batch = batch;
        }
        self.fresh |= 1 << root;
        self.fresh_batch = self.fresh_batch.max(batch);
    }

    /// As [`note_fresh`](Self::note_fresh), of another block behind a pointer `root` that is fresh.
    /// Whether it is: else the disk may have what leads to the block.
    pub(crate) fn note_fresher(&mut self, root: u32, batch: u64) -> bool {
        let is_fresh = self.is_fresh(root);
        if is_fresh {
            self.fresh_batch = self.fresh_batch.max(batch);
        }
        is_fresh
    }

    /// Whether no image has been stored with pointer `root`.
    pub(crate) fn is_fresh(&self, root: u32) -> bool {
        self.fresh & (1 << root) != 0
    }

    /// A batch is on disk, with all that is the inode's.
    pub(crate) fn note_settled(&mut self, batch: u64) {
        if self.fresh_batch <= batch {
            self.fresh = 0;
        }
    }

    /// Which of the `waiting` pointers wait still, as bits, if the inode's branches are as
    /// `settled` says.
    pub(crate) fn left_waiting(&mut self, mut waiting: u32, settled: Settled) -> u32 {
        if settled.has(self.first_batch) {
            self.fresh &= !1;
            waiting &= !1;
        }
        if waiting != 0 && settled.has(self.fresh_batch) {
            self.fresh = 0;
            return 0;
        }
        waiting
    }

    /// The batch that the first block of a new directory or symbolic link is in, if no image has
    /// been stored that leads to it.
    pub(crate) fn batch_of_first(&self) -> Option<u64> {
        (self.fresh & 1 != 0).then_some(self.first_batch)
    }

    /// No image will lead to that block, nor wait for it. Whether one would have.
    pub(crate) fn give_up_first(&mut self) -> bool {
        let was_fresh = self.fresh & 1 != 0;
        self.fresh &= !1;
        was_fresh
    }

    /// Which of the pointers of an image, that to its block of attributes among them, have to wait,
    /// and whether its size has to, as bits. An image without contents waits for none.
    pub(crate) fn waiting(
        &self,
        pointers: &[u32; INODE_POINTERS],
        attributes: u32,
        size: u64,
    ) -> u32 {
        let all = Iterator::chain(pointers.iter(), [&attributes]);
        let bits = (0u32..).zip(all).filter(|(_, &pointer)| pointer != 0);
        let has_size = u32::from(size != 0) << SIZE_ROOT;
        bits.fold(has_size, |bits, (root, _)| bits | 1 << root) & self.fresh
    }
}

#[kunit_tests(rust_ext2_disk_only)]
mod tests {
    use super::*;
    use crate::disk::ATTRIBUTES_ROOT;

    #[test]
    fn the_block_of_attributes_waits_like_a_pointer() {
        let disk = DiskOnly {
            fresh: 1 << ATTRIBUTES_ROOT | 1 << 2,
            ..DiskOnly::default()
        };
        let mut pointers = [0; INODE_POINTERS];

        assert_eq!(disk.waiting(&pointers, 0, 0), 0);
        assert_eq!(disk.waiting(&pointers, 7, 0), 1 << ATTRIBUTES_ROOT);
        pointers[2] = 9;
        pointers[3] = 9;
        assert_eq!(disk.waiting(&pointers, 0, 0), 1 << 2);
    }

    #[test]
    fn a_size_waits_with_any_pointers() {
        let disk = DiskOnly {
            fresh: 1 << SIZE_ROOT | 1 << 2,
            ..DiskOnly::default()
        };
        assert_eq!(disk.waiting(&[0; INODE_POINTERS], 0, 1), 1 << SIZE_ROOT);
        assert_eq!(disk.waiting(&[0; INODE_POINTERS], 0, 0), 0);
    }

    #[test]
    fn names_in_two_directories_are_in_several() {
        let mut names = GivenNames::default();
        let directory = |names: &GivenNames| names.new_names().map(|new| new.directory);

        names.add(7);
        names.add(8);
        assert_eq!(directory(&names), Some(None));
        names.add(8);
        assert_eq!(directory(&names), Some(None));
        names
            .new_names()
            .into_iter()
            .for_each(|new| names.note_on_disk(new));
        names.add(9);
        assert_eq!(directory(&names), Some(Some(9)));

        assert_eq!(directory(&GivenNames::when_read(true)), Some(None));
        assert_eq!(directory(&GivenNames::when_read(false)), None);
    }
}
