// SPDX-License-Identifier: GPL-2.0

//! The index of a directory.
//!
//! What it says of names that are there is only where to look: the entry is looked at. What it says
//! of names that are not there is believed, for it is always true of the covered blocks:
//!
//! - they were learned with the directory locked, from entries that were checked, whole blocks
//!   only;
//! - each change of an entry is told after it was made in the page, before the directory is
//!   unlocked;
//! - whoever cannot say whether a change was made, or finds that what is known is not so, has all
//!   forgotten, and so has who has no memory to note a change;
//! - a page is what was changed in it until it has been written, and on the disk afterwards. One
//!   that could not be written stays in memory until it has been, or the inode goes.
//!
//! Its memory is [`Spare`]: it may be gone whenever nobody looks, and then nothing is known.
//!
//! Locks: that of `known`, a mutex, inside of `i_rwsem` of the directory and with no folio locked.
//! With it held memory is allocated without entering a filesystem, so who evicts an inode may take
//! it.

#![deny(unsafe_code)]

use super::{
    contents::{
        Change,
        Contents,
        Name, //
    },
    memory::Machine,
    rooms::Units,
    table::Candidates, //
};
use core::mem::take;
use kernel::{
    prelude::*,
    sync::Arc, //
};
use rust_mpage::{
    hash::HashKey,
    mm::Spare, //
};

/// The index of a directory.
pub(crate) struct Index {
    key: HashKey,
    known: Spare<Contents>,
}

impl Index {
    /// An index that knows nothing.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let index = Self {
            key: HashKey::random(),
            known: Spare::new(Contents::new())?,
        };
        Ok(Arc::new(index, GFP_KERNEL_ACCOUNT)?)
    }

    /// Does something with what is known.
    #[inline]
    fn with<R>(&self, act: impl FnOnce(&mut Contents) -> R) -> R {
        self.known.with(|parts, contents| {
            contents.attach(take(parts));
            let result = act(contents);
            *parts = contents.detach();
            result
        })
    }

    /// The hash of a name in this directory.
    #[inline]
    pub(crate) fn hash(&self, name: &[u8]) -> u32 {
        self.key.hash(name) as u32
    }

    /// Where a name with this hash may be in the covered blocks, and how many these are.
    pub(crate) fn find(&self, hash: u32) -> (Candidates, u32) {
        self.known.note_used();
        self.with(|contents| (contents.find(hash), contents.covered()))
    }

    /// How many blocks are covered.
    pub(crate) fn covered(&self) -> u32 {
        self.with(|contents| contents.covered())
    }

    /// Learns a block with `count` names, if it is the one behind the covered ones. Whether it is
    /// covered now.
    pub(crate) fn learn(
        &self,
        block: u32,
        count: usize,
        names: impl Iterator<Item = Name>,
        room: Units,
    ) -> bool {
        self.with(|contents| {
            if block != contents.covered() {
                // Another one has been here meanwhile, or all was given up.
                return block < contents.covered();
            }
            self.known.enter();
            contents.learn(count, names, room, &Machine)
        })
    }

    /// The first block with room for an entry, of a directory of which `blocks` blocks, all, are
    /// covered: `Some(None)` if none has. `None` if that is not known.
    pub(crate) fn first_room(&self, needed: Units, blocks: u32) -> Option<Option<u32>> {
        self.with(|contents| (contents.covered() == blocks).then(|| contents.first_room(needed)))
    }

    /// Notes what room a block was found to have.
    pub(crate) fn set_room(&self, block: u32, room: Units) {
        self.with(|contents| contents.set_room(block, room));
    }

    /// Notes a change that was made, in a block.
    pub(crate) fn note(&self, change: Change, block: u32) {
        self.known.note_used();
        self.with(|contents| contents.note(change, block, &Machine));
    }

    /// Knows nothing any more.
    pub(crate) fn forget(&self) {
        self.with(Contents::forget);
    }

    /// Has nothing any more that others know of. The inode leaves memory.
    pub(crate) fn close(&self) {
        self.known.leave();
        self.forget();
    }
}

#[kunit_tests(rust_ext2_index_directory)]
mod tests {
    use super::*;

    fn name(index: &Index, name: &[u8], position: u32) -> Name {
        Name {
            hash: index.hash(name),
            position,
        }
    }

    fn positions(index: &Index, name: &[u8]) -> Option<KVec<u32>> {
        let (mut found, _) = index.find(index.hash(name));
        let mut list = KVec::new();
        list.extend_from_slice(found.in_order()?, GFP_KERNEL).ok()?;
        Some(list)
    }

    #[test]
    fn it_is_in_step() -> Result {
        let index = Index::new()?;
        let first = [name(&index, b"one", 24), name(&index, b"two", 36)];

        assert!(Index::learn(
            &index,
            0,
            2,
            first.into_iter(),
            Units::of_room(40)
        ));
        // Not the next one.
        assert!(!Index::learn(&index, 2, 2, first.into_iter(), Units::ANY));
        assert_eq!(index.first_room(Units::of_room(40), 1), Some(Some(0)));
        assert_eq!(index.first_room(Units::of_room(44), 1), Some(None));
        assert_eq!(index.first_room(Units::of_room(12), 2), None);
        let three = name(&index, b"three", 1024);
        index.note(Change::AddedBlock(three, Units::of_room(1008)), 1);
        assert_eq!(index.covered(), 2);
        index.note(Change::Removed(first[0], Units::of_room(60)), 0);
        assert_eq!(index.first_room(Units::of_room(44), 2), Some(Some(0)));
        assert_eq!(positions(&index, b"one").as_deref(), Some(&[][..]));
        assert_eq!(positions(&index, b"three").as_deref(), Some(&[1024][..]));
        index.close();
        assert_eq!(index.covered(), 0);
        Ok(())
    }

    #[test]
    fn what_is_not_so_is_forgotten() -> Result {
        let index = Index::new()?;
        let one = name(&index, b"one", 24);

        assert!(Index::learn(&index, 0, 1, [one].into_iter(), Units::NONE));
        index.note(Change::Removed(name(&index, b"one", 28), Units::NONE), 0);
        assert_eq!(index.covered(), 0);
        // Blocks that are not covered may change.
        index.note(Change::Removed(one, Units::ANY), 0);
        index.note(Change::Added(one), 0);
        assert_eq!(positions(&index, b"one").as_deref(), Some(&[][..]));
        // What is new is not the first block, if that was covered.
        assert!(Index::learn(&index, 0, 1, [one].into_iter(), Units::NONE));
        index.note(Change::AddedBlock(one, Units::ANY), 0);
        assert_eq!(index.covered(), 0);
        index.close();
        Ok(())
    }

    #[test]
    fn without_its_memory_it_knows_nothing() -> Result {
        let index = Index::new()?;

        assert!(Index::learn(
            &index,
            0,
            1,
            [name(&index, b"one", 24)].into_iter(),
            Units::NONE
        ));
        assert_eq!(index.covered(), 1);
        // As who wants memory does it.
        index.known.with(|parts, _| drop(take(parts)));
        assert_eq!(positions(&index, b"one").as_deref(), Some(&[][..]));
        index.note(Change::Removed(name(&index, b"one", 24), Units::ANY), 0);
        assert_eq!(index.covered(), 0);
        index.close();
        Ok(())
    }
}
