// SPDX-License-Identifier: GPL-2.0

//! A few words that are read together without a lock.
//!
//! Whoever changes them makes a count odd before and even after. Who reads them looks at the count
//! before and after, and has read what belongs together if it was even and stayed the same. The
//! count has 64 bits, so that it does not come round while a reader is held up.
//!
//! C counterpart: `seqcount_t`, of 32 bits.
//!
//! Locks: none. Of two who change the words at once one gives up.

#![deny(unsafe_code)]

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        barrier::{
            smp_mb,
            Read,
            Write, //
        },
    },
};

/// `N` words.
pub(crate) struct Sequenced<const N: usize> {
    sequence: Atomic<u64>,
    words: [Atomic<u64>; N],
}

impl<const N: usize> Sequenced<N> {
    pub(crate) fn new(words: [u64; N]) -> Self {
        Self {
            sequence: Atomic::new(0),
            words: words.map(Atomic::new),
        }
    }

    /// The words, unless somebody is changing them.
    #[inline]
    pub(crate) fn read(&self) -> Option<[u64; N]> {
        let sequence = self.sequence.load(Acquire);
        let words = self.words.each_ref().map(|word| word.load(Relaxed));
        // The words before the second look at the count.
        smp_mb(Read);
        let steady = sequence & 1 == 0 && self.sequence.load(Relaxed) == sequence;
        steady.then_some(words)
    }

    /// Changes the words; not if somebody else is at it. Whether it did.
    pub(crate) fn write(&self, words: [u64; N]) -> bool {
        let sequence = self.sequence.load(Relaxed);
        let mine = sequence & 1 == 0
            && self
                .sequence
                .cmpxchg(sequence, sequence.wrapping_add(1), Acquire)
                .is_ok();
        if !mine {
            return false;
        }
        // The odd count before the words.
        smp_mb(Write);
        for (to, word) in self.words.iter().zip(words) {
            to.store(word, Relaxed);
        }
        self.sequence.store(sequence.wrapping_add(2), Release);
        true
    }
}

#[kunit_tests(rust_ext2_sequenced)]
mod tests {
    use super::*;

    #[test]
    fn while_the_words_change_others_do_without() {
        let words = Sequenced::new([1, 2]);
        assert!(words.write([3, 4]));
        assert_eq!(words.read(), Some([3, 4]));
        words.sequence.store(5, Relaxed);
        assert_eq!(words.read(), None);
        assert!(!words.write([9, 9]));
        words.sequence.store(6, Relaxed);
        assert_eq!(words.read(), Some([3, 4]));
    }

    /// A reader that was held up while 2^31 changes were made.
    #[test]
    fn the_count_does_not_come_round() {
        let words = Sequenced::new([1]);
        words.sequence.store(u64::from(u32::MAX) - 1, Relaxed);
        assert!(words.write([2]));
        assert_eq!(words.sequence.load(Relaxed), 1 << 32);
        assert_eq!(words.read(), Some([2]));
    }
}
