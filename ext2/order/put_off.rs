// SPDX-License-Identifier: GPL-2.0

//! Inodes that are written later than they are asked to be, with others: a sync does not end before
//! they are stored.
//!
//! Which they are nobody knows but the flusher, which finds them dirty; here is how often there was
//! one.
//!
//! Locks: `stored`, a mutex, while inodes are stored.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        Mutex, //
    }, //
};

/// How often inodes have been put off.
#[pin_data]
pub(super) struct PutOff {
    count: Atomic<u64>,
    /// Of which those up to here have been stored since.
    #[pin]
    stored: Mutex<u64>,
}

impl PutOff {
    /// Never.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            count: Atomic::new(0),
            stored <- new_mutex!(0, "ext2_put_off"),
        })
    }

    /// Notes that an inode has been put off.
    pub(super) fn note(&self) {
        self.count.fetch_add(1, Release);
    }

    /// Calls `store`, which stores those that have been put off, if there are any.
    ///
    /// Who comes meanwhile, for the same inodes perhaps, waits until they are stored.
    pub(super) fn store(&self, store: impl FnOnce()) {
        let mut stored = self.stored.lock();
        let noted = self.count.load(Acquire);
        if *stored != noted {
            store();
            *stored = noted;
        }
    }
}

#[kunit_tests(rust_ext2_put_off)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_meanwhile_waits() -> Result {
        let put_off = KBox::pin_init(PutOff::new(), GFP_KERNEL)?;
        let mut times = 0;

        put_off.store(|| times += 1);
        assert_eq!(times, 0);
        put_off.note();
        put_off.store(|| {
            times += 1;
            // As long as these are not stored nobody learns that they are.
            assert!(put_off.stored.try_lock().is_none());
            // That one may be stored now, or not.
            put_off.note();
        });
        put_off.store(|| times += 1);
        put_off.store(|| times += 1);
        assert_eq!(times, 2);
        Ok(())
    }
}
