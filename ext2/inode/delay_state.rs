// SPDX-License-Identifier: GPL-2.0

//! What is known of a file's promised blocks without its tree mutex, which has them, see
//! [`delayed`](crate::tree::delayed).
//!
//! Locks: none; the number of blocks changes under the tree mutex.

#![deny(unsafe_code)]

use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    }, //
};

/// Whether blocks have been promised, and whether somebody trusts that they will not be for long.
pub(crate) struct DelayState {
    blocks: Atomic<u32>,
    /// How many of them have got their places, and are counted as the inode's, by who has the tree
    /// locked.
    giving: Atomic<u32>,
    /// How often promised blocks have got their places.
    given: Atomic<u64>,
    /// How often they had when all of the file began to be written, the last time that it was.
    written: Atomic<u64>,
    /// 0 or 1.
    emptied: Atomic<u32>,
    /// Whether somebody has closed the file, and nobody has written to it since: 0 or 1.
    closed: Atomic<u32>,
}

/// How often blocks had got their places at some time.
#[derive(Clone, Copy)]
pub(crate) struct Given(u64);

impl From<Given> for u64 {
    fn from(given: Given) -> Self {
        given.0
    }
}

impl From<u64> for Given {
    fn from(given: u64) -> Self {
        Self(given)
    }
}

impl DelayState {
    pub(super) const fn new() -> Self {
        Self {
            blocks: Atomic::new(0),
            giving: Atomic::new(0),
            given: Atomic::new(0),
            written: Atomic::new(0),
            closed: Atomic::new(0),
            emptied: Atomic::new(0),
        }
    }

    /// How many blocks have been promised and have no place yet, arrays of pointers included. Of
    /// those of a folio the caller knows, if it is locked.
    #[inline]
    pub(crate) fn blocks(&self) -> u32 {
        // Who finds none sees that they have been given.
        self.blocks.load(Acquire)
    }

    /// Notes how many there are, the tree being locked.
    #[inline]
    pub(crate) fn set_blocks(&self, count: u32) {
        self.blocks.store(count, Release);
        if self.giving.load(Relaxed) != 0 {
            self.giving.store(0, Relaxed);
        }
    }

    /// Notes that so many of them are counted as the inode's until [`Self::set_blocks`], the tree
    /// being locked.
    pub(crate) fn add_giving(&self, count: u32) {
        self.giving
            .store(self.giving.load(Relaxed) + count, Relaxed);
    }

    /// And that so many are not, after all.
    pub(crate) fn sub_giving(&self, count: u32) {
        let left = self.giving.load(Relaxed).saturating_sub(count);
        self.giving.store(left, Relaxed);
    }

    /// How many blocks the inode will have more than it is counted to have.
    pub(crate) fn to_come(&self) -> u32 {
        self.blocks().saturating_sub(self.giving.load(Relaxed))
    }

    /// Notes that promised blocks have got their places, the tree being locked.
    pub(crate) fn note_given(&self) {
        self.given.store(self.given.load(Relaxed) + 1, Relaxed);
    }

    /// How often they have, to be asked before all of the file is written.
    pub(crate) fn given(&self) -> Given {
        Given(self.given.load(Relaxed))
    }

    /// Notes that all of the file has been written since.
    pub(crate) fn note_written(&self, since: Given) {
        self.written.store(since.0, Relaxed);
    }

    /// Whether blocks lead to what has not been written, or will when a page of theirs is.
    pub(crate) fn leads_to_unwritten(&self) -> bool {
        self.blocks() != 0 || self.given.load(Relaxed) != self.written.load(Relaxed)
    }

    /// Notes that the file is closed, the tree being locked.
    pub(crate) fn note_closed(&self) {
        self.closed.store(1, Relaxed);
    }

    /// Notes that somebody writes to the file.
    #[inline]
    pub(crate) fn note_writer(&self) {
        if self.is_closed() {
            self.closed.store(0, Relaxed);
        }
    }

    /// Whether somebody has closed the file, and nobody has written to it since.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed) != 0
    }

    /// Notes that the file has been cut to nothing.
    pub(crate) fn note_emptied(&self) {
        self.emptied.store(1, Relaxed);
    }

    /// Whether it has been, since this was asked last.
    pub(crate) fn take_emptied(&self) -> bool {
        self.emptied.load(Relaxed) != 0 && self.emptied.xchg(0, Relaxed) != 0
    }
}

#[kunit_tests(rust_ext2_delay_state)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_while_it_is_written_is_not_written() {
        let state = DelayState::new();
        assert!(!state.leads_to_unwritten());
        state.set_blocks(3);
        assert!(state.leads_to_unwritten());
        let begun = state.given();
        state.note_given();
        state.set_blocks(0);
        state.note_written(begun);
        assert!(state.leads_to_unwritten());
        state.note_written(state.given());
        assert!(!state.leads_to_unwritten());
    }

    #[test]
    fn what_is_given_is_to_come_no_more() {
        let state = DelayState::new();
        state.set_blocks(9);
        state.add_giving(4);
        state.add_giving(2);
        assert_eq!((state.blocks(), state.to_come()), (9, 3));
        state.sub_giving(2);
        assert_eq!(state.to_come(), 5);
        state.set_blocks(5);
        assert_eq!(state.to_come(), 5);
    }
}
