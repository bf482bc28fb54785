// SPDX-License-Identifier: GPL-2.0

//! The mount options of a mounted filesystem, which a remount may change.
//!
//! They are asked for at each allocation and each write of an inode, on all processors, and hardly
//! ever change: so to read them is to read words that nobody writes.
//!
//! C counterpart: `s_mount_opt` and others of `struct ext2_sb_info`, read without a lock, each by
//! itself. Here they are read together.
//!
//! Locks: a spinlock for those who change them; who reads them meanwhile waits for it. No raw
//! spinlock is held by either.

#![deny(unsafe_code)]

use super::options::{
    Options,
    WORDS, //
};
use crate::sync::sequenced::Sequenced;
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        SpinLock, //
    }, //
};

/// The options, as they are now.
#[pin_data]
pub(crate) struct LiveOptions {
    words: Sequenced<WORDS>,
    /// Whether they say that blocks get their places when they are written, for who asks at each
    /// write.
    delays: Atomic<u32>,
    #[pin]
    writers: SpinLock<()>,
}

impl LiveOptions {
    pub(crate) fn new(options: Options) -> impl PinInit<Self> {
        pin_init!(Self {
            words: Sequenced::new(options.words()),
            delays: Atomic::new(options.delays_allocation().into()),
            writers <- new_spinlock!((), "ext2_options"),
        })
    }

    /// The options.
    #[inline]
    pub(crate) fn get(&self) -> Options {
        loop {
            if let Some(words) = self.words.read() {
                return Options::of_words(words);
            }
            // Who changes them is done when the lock can be had. With PREEMPT_RT he may have been
            // preempted, by this caller.
            drop(self.writers.lock());
        }
    }

    /// As [`Options::delays_allocation`].
    #[inline]
    pub(crate) fn delays_allocation(&self) -> bool {
        self.delays.load(Relaxed) != 0
    }

    /// Changes them.
    pub(crate) fn change(&self, change: impl FnOnce(Options) -> Options) {
        let _writer = self.writers.lock();
        let options = change(self.get());
        // Nobody else is at it.
        self.words.write(options.words());
        self.delays
            .store(options.delays_allocation().into(), Relaxed);
    }
}

#[kunit_tests(rust_ext2_live_options)]
mod tests {
    use super::*;

    /// Reading waits for nobody who is only about to change something.
    #[test]
    fn reading_needs_no_lock() -> Result {
        let first = Options::of_words([0, 1]);
        let live = KBox::pin_init(LiveOptions::new(first), GFP_KERNEL)?;

        live.change(|options| {
            assert_eq!(options, first);
            assert_eq!(live.get(), first);
            Options::of_words([1, 2])
        });
        assert_eq!(live.get(), Options::of_words([1, 2]));
        assert!(!live.delays_allocation());
        live.change(|_| Options::of_words([1 << 10, 0]));
        assert!(live.delays_allocation() && live.get().delays_allocation());
        Ok(())
    }
}
