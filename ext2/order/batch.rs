// SPDX-License-Identifier: GPL-2.0

//! Things that wait to be dealt with, in batches.
//!
//! Whoever adds one is told the number of the batch that it will be in. To settle a batch is to
//! deal with all that has come so far; others may add meanwhile, to the next batch, and who wants
//! the same batch waits until it is done. So what was seen to be settled is, and nobody looks at an
//! empty list while what was in it is still under way.
//!
//! What could not be dealt with is kept, and tried again with the next batch; it does not hold back
//! the others. Whoever needs one of these asks [`Batches::has_failed`].
//!
//! Locks: `running`, while a batch is dealt with; inside it `waiting`, for a list operation.

#![deny(unsafe_code)]

use core::pin::Pin;
use kernel::{
    prelude::*,
    str::CStr,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        LockClassKey,
        Mutex, //
    },
};
use rust_mpage::mm::without_fs_reclaim;

/// When this many wait, whoever adds one should settle them.
const MANY: usize = 2048;

/// What waits, and what was tried.
struct Waiting<T> {
    /// What is in batch number `number`.
    entries: KVVec<T>,
    number: u64,
    failed: KVVec<T>,
}

/// See the module's documentation.
#[pin_data]
pub(super) struct Batches<T> {
    #[pin]
    waiting: Mutex<Waiting<T>>,
    #[pin]
    running: Mutex<()>,
    /// The last batch that was dealt with.
    done: Atomic<u64>,
    /// How many have failed.
    failures: Atomic<u64>,
}

/// The names and lock classes of the two mutexes.
pub(super) type Class = (&'static CStr, Pin<&'static LockClassKey>);

impl<T> Batches<T> {
    /// Nothing waits.
    pub(super) fn new(waiting: Class, running: Class) -> impl PinInit<Self> {
        let empty = Waiting {
            entries: KVVec::new(),
            number: 1,
            failed: KVVec::new(),
        };
        pin_init!(Self {
            waiting <- Mutex::new(empty, waiting.0, waiting.1),
            running <- Mutex::new((), running.0, running.1),
            done: Atomic::new(0),
            failures: Atomic::new(0),
        })
    }

    /// Adds an entry. The number of its batch, and whether there are many now.
    ///
    /// Fails with `ENOMEM`.
    pub(super) fn add(&self, entry: T) -> Result<(u64, bool)> {
        let mut waiting = self.waiting.lock();
        without_fs_reclaim(|| waiting.entries.push(entry, GFP_KERNEL))?;
        Ok((waiting.number, waiting.entries.len() >= MANY))
    }

    /// Whether a batch has been dealt with. What failed in it counts.
    #[inline]
    pub(super) fn is_done(&self, number: u64) -> bool {
        self.done() >= number
    }

    /// The last batch that has been dealt with.
    #[inline]
    pub(super) fn done(&self) -> u64 {
        self.done.load(Acquire)
    }

    /// The number of the batch that whatever comes now will be in.
    pub(super) fn current(&self) -> u64 {
        self.waiting.lock().number
    }

    /// Whether an entry with `is` could not be dealt with.
    pub(super) fn has_failed(&self, is: impl Fn(&T) -> bool) -> bool {
        if !self.has_failures() {
            return false;
        }
        // While they are tried again they are on no list.
        let _running = self.running.lock();
        let waiting = self.waiting.lock();
        waiting.failed.iter().any(is)
    }

    /// Whether any entry could not be dealt with.
    #[inline]
    pub(super) fn has_failures(&self) -> bool {
        self.failures.load(Relaxed) != 0
    }

    /// Whether there is nothing to be dealt with, failures apart.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.lock().entries.is_empty()
    }

    /// Has batch `number` dealt with, unless it was: `work` gets what waits, and what failed
    /// before, and leaves what fails.
    ///
    /// Fails with `ENOMEM`; nothing has been lost then.
    pub(super) fn settle(&self, number: u64, work: impl FnOnce(&mut KVVec<T>)) -> Result {
        let _running = self.running.lock();
        if self.is_done(number) {
            return Ok(());
        }
        let (mut entries, current) = self.take()?;

        work(&mut entries);

        let mut waiting = self.waiting.lock();
        self.failures.store(entries.len() as u64, Relaxed);
        waiting.failed = entries;
        self.done.store(current, Release);
        Ok(())
    }

    /// As [`settle`](Self::settle), for one who needs those with `is_own`: what failed of them is
    /// tried again once.
    ///
    /// Fails with `EIO` if some of them cannot be dealt with, and with `ENOMEM`.
    pub(super) fn settle_own(
        &self,
        number: u64,
        is_own: impl Fn(&T) -> bool,
        work: impl Fn(&mut KVVec<T>),
    ) -> Result {
        if !self.is_done(number) {
            self.settle(number, &work)?;
        }
        if self.has_failed(&is_own) {
            self.settle_failed(&work)?;
            if self.has_failed(&is_own) {
                return Err(EIO);
            }
        }
        Ok(())
    }

    /// Has tried again what failed. As [`settle`](Self::settle) otherwise.
    fn settle_failed(&self, work: impl FnOnce(&mut KVVec<T>)) -> Result {
        if !self.has_failures() {
            return Ok(());
        }
        let current = self.current();
        self.settle(current, work)
    }

    /// Takes all that there is, and begins the next batch.
    fn take(&self) -> Result<(KVVec<T>, u64)> {
        let mut waiting = self.waiting.lock();
        let waiting = &mut *waiting;
        let mut all = core::mem::take(&mut waiting.failed);
        if all.is_empty() {
            core::mem::swap(&mut all, &mut waiting.entries);
        } else {
            let more = waiting.entries.len();
            if let Err(error) = without_fs_reclaim(|| all.reserve(more, GFP_KERNEL)) {
                waiting.failed = all;
                return Err(error.into());
            }
            for entry in waiting.entries.drain_all() {
                // There is memory.
                let _ = all.push_within_capacity(entry);
            }
        }
        let number = waiting.number;
        waiting.number += 1;
        Ok((all, number))
    }
}

#[kunit_tests(rust_ext2_batch)]
mod tests {
    use super::*;

    fn new() -> Result<Pin<KBox<Batches<u32>>>> {
        KBox::pin_init(
            Batches::new(
                (c"test_waiting", kernel::static_lock_class!()),
                (c"test_running", kernel::static_lock_class!()),
            ),
            GFP_KERNEL,
        )
    }

    #[test]
    fn a_batch_is_dealt_with_once() -> Result {
        let batches = new()?;
        let mut calls = 0;

        assert_eq!(batches.add(7)?.0, 1);
        assert_eq!(batches.add(8)?.0, 1);
        assert!(!batches.is_done(1) && !batches.is_empty());
        batches.settle(1, |entries| {
            calls += entries.len();
            entries.clear();
        })?;
        assert!(batches.is_done(1) && batches.is_empty() && !batches.is_done(2));
        batches.settle(1, |_| calls += 100)?;
        assert_eq!(calls, 2);
        assert_eq!(batches.add(9)?.0, 2);
        Ok(())
    }

    #[test]
    fn what_comes_meanwhile_is_in_the_next() -> Result {
        let batches = new()?;
        let mut added = Err(EINVAL);

        batches.add(1)?;
        batches.settle(1, |entries| {
            added = batches.add(2).map(|(number, _)| number);
            entries.clear();
        })?;
        assert_eq!(added, Ok(2));
        assert!(batches.is_done(1) && !batches.is_done(2) && !batches.is_empty());
        Ok(())
    }

    #[test]
    fn what_fails_is_tried_again_and_holds_nothing_back() -> Result {
        let batches = new()?;

        batches.add(1)?;
        batches.add(2)?;
        batches.settle(1, |entries| entries.retain(|&mut entry| entry == 2))?;
        assert!(batches.is_done(1));
        assert!(
            batches.has_failed(|&entry| entry == 2) && !batches.has_failed(|&entry| entry == 1)
        );

        batches.add(3)?;
        let mut seen = 0;
        batches.settle(2, |entries| {
            seen = entries.iter().sum();
            entries.retain(|&mut entry| entry == 2);
        })?;
        assert_eq!(seen, 5);
        assert!(batches.has_failed(|&entry| entry == 2));

        let is_two = |&entry: &u32| entry == 2;
        assert_eq!(batches.settle_own(2, is_two, |_| ()), Err(EIO));
        assert_eq!(batches.settle_own(2, |&entry| entry == 3, |_| ()), Ok(()));
        batches.settle_own(2, is_two, |entries| entries.clear())?;
        assert!(!batches.has_failed(|_| true));
        batches.settle_failed(|_| seen = 0)?;
        assert_eq!(seen, 5);
        Ok(())
    }
}
