// SPDX-License-Identifier: GPL-2.0

//! The index of a directory.
//!
//! What it says of names that are there is only where to look: the entry is looked at. What it says of
//! names that are not there is believed, for it is always true of the covered blocks:
//!
//! - they were learned with the directory locked, from entries that were checked, whole blocks only;
//! - each change of an entry is told after it was made in the page, before the directory is unlocked;
//! - whoever cannot say whether a change was made, or finds that what is known is not so, has all
//!   forgotten, and so has who has no memory to note a change;
//! - a page is what was changed in it until it has been written, and on the disk afterwards. One
//!   that could not be written stays in memory until it has been, or the inode goes.
//!
//! Locks: `contents`, a mutex, inside of `i_rwsem` of the directory and with no folio locked. With it
//! held memory is allocated without entering a filesystem, so who evicts an inode may take it. Who
//! gives up its memory only tries to take it.

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
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
};
use rust_mpage::{
    hash::HashKey,
    mm::{
        GivenUp,
        Spare,
        SpareMember, //
    },
};

/// What is known, and the entry among those who can give up memory, if there is any.
struct Inner {
    contents: Contents,
    member: Option<SpareMember>,
}

/// The index of a directory.
#[pin_data]
pub(crate) struct Index {
    key: HashKey,
    /// Whether it was used lately: 0 or 1.
    used: Atomic<u32>,
    #[pin]
    inner: Mutex<Inner>,
}

impl Index {
    /// An index that knows nothing.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                key: HashKey::random(),
                used: Atomic::new(1),
                inner <- new_mutex!(
                    Inner {
                        contents: Contents::new(),
                        member: None,
                    },
                    "ext2_index"
                ),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// The hash of a name in this directory.
    #[inline]
    pub(crate) fn hash(&self, name: &[u8]) -> u32 {
        self.key.hash(name) as u32
    }

    /// Where a name with this hash may be in the covered blocks, and how many these are.
    pub(crate) fn find(&self, hash: u32) -> (Candidates, u32) {
        self.note_used();
        let inner = self.inner.lock();
        (inner.contents.find(hash), inner.contents.covered())
    }

    /// How many blocks are covered.
    pub(crate) fn covered(&self) -> u32 {
        self.inner.lock().contents.covered()
    }

    /// Learns a block with `count` names, if it is the one behind the covered ones. Whether it is covered now.
    pub(crate) fn learn(
        this: &Arc<Self>,
        block: u32,
        count: usize,
        names: impl Iterator<Item = Name>,
        room: Units,
    ) -> bool {
        let mut inner = this.inner.lock();
        if block != inner.contents.covered() {
            // Another one has been here meanwhile, or all was given up.
            return block < inner.contents.covered();
        }
        // Who has given up all is a member no more.
        let is_member = |member: &SpareMember| block != 0 || member.is_in();
        if !inner.member.as_ref().is_some_and(is_member) {
            inner.member = SpareMember::new(this.clone());
        }
        inner.member.is_some() && inner.contents.learn(count, names, room, &Machine)
    }

    /// The first block with room for an entry, of a directory of which `blocks` blocks, all, are
    /// covered: `Some(None)` if none has. `None` if that is not known.
    pub(crate) fn first_room(&self, needed: Units, blocks: u32) -> Option<Option<u32>> {
        let inner = self.inner.lock();
        (inner.contents.covered() == blocks).then(|| inner.contents.first_room(needed))
    }

    /// Notes what room a block was found to have.
    pub(crate) fn set_room(&self, block: u32, room: Units) {
        self.inner.lock().contents.set_room(block, room);
    }

    /// Notes a change that was made, in a block.
    pub(crate) fn note(&self, change: Change, block: u32) {
        self.note_used();
        self.inner.lock().contents.note(change, block, &Machine);
    }

    /// Knows nothing any more.
    pub(crate) fn forget(&self) {
        self.inner.lock().contents.forget();
    }

    /// Has nothing any more that others know of. The inode leaves memory.
    pub(crate) fn close(&self) {
        let (member, contents) = {
            let mut inner = self.inner.lock();
            (inner.member.take(), inner.contents.forget())
        };
        drop(contents);
        // Outside of its lock, for nothing but the order.
        drop(member);
    }

    fn note_used(&self) {
        if self.used.load(Relaxed) == 0 {
            self.used.store(1, Relaxed);
        }
    }
}

impl Spare for Index {
    fn take_used(&self) -> bool {
        self.used.xchg(0, Relaxed) != 0
    }

    fn give_up(&self) -> Option<GivenUp> {
        Some(self.inner.try_lock()?.contents.forget())
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
    fn it_is_given_up_when_it_is_not_used() -> Result {
        let index = Index::new()?;

        assert!(Index::learn(
            &index,
            0,
            1,
            [name(&index, b"one", 24)].into_iter(),
            Units::NONE
        ));
        assert!(index.take_used() && !index.take_used());
        index.find(7);
        assert!(index.take_used());
        let guard = index.inner.lock();
        assert!(index.give_up().is_none());
        drop(guard);
        assert!(index
            .give_up()
            .is_some_and(|given_up| given_up.words.is_some()));
        assert_eq!(index.covered(), 0);
        index.close();
        Ok(())
    }
}
