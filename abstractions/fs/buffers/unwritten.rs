// SPDX-License-Identifier: GPL-2.0

//! The metadata blocks of a mounted filesystem that may not be on the device yet.
//!
//! A buffer whose write has failed is clean, so nothing keeps it in memory, and nobody writes it
//! again; what only it had goes with it. So a block that is marked dirty is referenced from here
//! until it has been seen to be written, and one whose write has failed stays.
//!
//! - Those that failed are made valid and dirty again, and the filesystem hears of them, when it is
//!   synced, when an inode is written and the device has had an error since the last look, and when
//!   it is unmounted.
//! - Those that are written are given up then, when there are twice as many as were left the last
//!   time, and when memory is short. What is kept is so at most as much as has been dirty, and the
//!   blocks are charged to whom they were charged when they were read.
//!
//! Marking a block that is here already costs a look at its state. The list is one of pointers in
//! the buffers themselves, so that keeping a block needs no memory and cannot fail: nobody else
//! uses `b_private` of a device's buffers, nor the first of the bits that `enum bh_state_bits`
//! leaves to filesystems. All that matters of a buffer is in one word, `b_state`, which is read and
//! changed as one: a write of the block holds its lock from before it clears the dirty bit until it
//! has set the one of its failure. So a buffer whose state has neither of the three is written.
//!
//! C counterpart: none. C ext2 forgets such blocks; ext4 has its journal.
//!
//! Locks: `sweeping`, while the blocks are looked at; inside it what
//! [`FileSystem::write_failed`](crate::fs::FileSystem::write_failed) takes, the buffer lock, and
//! `queue`, for a list operation.

use super::Buffer;
use crate::{
    abstractions::block::WriteErrors,
    bindings, //
};
use core::ptr;
use kernel::{
    new_mutex,
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex,
        SpinLock, //
    }, //
};

pub(super) const fn bit(number: bindings::bh_state_bits) -> usize {
    1 << number
}

/// The bit of a buffer's state that says that it is kept.
pub(super) const KEPT: usize = bit(bindings::bh_state_bits_BH_PrivateStart);

/// Those of a buffer that is not written.
const NOT_WRITTEN: usize = bit(bindings::bh_state_bits_BH_Dirty)
    | bit(bindings::bh_state_bits_BH_Lock)
    | bit(bindings::bh_state_bits_BH_Write_EIO);

/// How many blocks are kept before they are looked at for no other reason.
pub(super) const FEW: usize = 64;

/// Blocks, the one first that has been here longest.
///
/// # Invariants
///
/// A list of buffers linked by `b_private`, whose last is `last`. Each has the bit [`KEPT`], and is
/// on no other list; the reference of each is the list's.
struct Queue {
    first: *mut bindings::buffer_head,
    last: *mut bindings::buffer_head,
}

// SAFETY: References to buffers may be held and dropped by any thread.
unsafe impl Send for Queue {}

impl Queue {
    const fn new() -> Self {
        // INVARIANT: Empty.
        Self {
            first: ptr::null_mut(),
            last: ptr::null_mut(),
        }
    }

    /// Puts a buffer at the end.
    ///
    /// # Safety
    ///
    /// It has the bit [`KEPT`], which the caller has set or has popped it with.
    unsafe fn push(&mut self, buffer: Buffer) {
        let raw = buffer.into_raw();

        // SAFETY: The buffer is valid and referenced, and `b_private` is for whoever has it kept.
        unsafe { (*raw).b_private = ptr::null_mut() };
        // INVARIANT: The bit is set, and the reference is the list's now.
        self.append(Self {
            first: raw,
            last: raw,
        });
    }

    fn pop(&mut self) -> Option<Buffer> {
        let raw = self.first;
        if raw.is_null() {
            return None;
        }
        // SAFETY: By the type invariants the buffer is valid, and `b_private` its successor.
        self.first = unsafe { (*raw).b_private.cast() };
        // SAFETY: The list's reference is the value's now.
        Some(unsafe { Buffer::from_raw(raw) })
    }

    /// Takes all.
    fn take(&mut self) -> Self {
        core::mem::replace(self, Self::new())
    }

    /// Puts all of `other` at the end.
    fn append(&mut self, other: Self) {
        if other.first.is_null() {
            return;
        }
        if self.first.is_null() {
            self.first = other.first;
        } else {
            // SAFETY: By the type invariants the last buffer is valid, and nobody else changes it.
            unsafe { (*self.last).b_private = other.first.cast() };
        }
        self.last = other.last;
    }
}

/// Blocks that may not be on the device yet.
#[pin_data(PinnedDrop)]
pub struct Unwritten {
    #[pin]
    queue: SpinLock<Queue>,
    /// Held by who looks at the blocks, which are not all in the queue then.
    #[pin]
    pub(in crate::abstractions::fs) sweeping: Mutex<()>,
    /// How many are kept.
    count: Atomic<usize>,
    /// How many have to be kept to be looked at.
    due: Atomic<usize>,
    /// What was seen of the device's errors.
    pub(in crate::abstractions::fs) errors: WriteErrors,
}

/// Who is `sweeping`.
pub(in crate::abstractions::fs) struct Sweep<'a>(pub(in crate::abstractions::fs) &'a Unwritten);

impl Unwritten {
    /// None. Fails with `ENOMEM`.
    // Not inlined elsewhere: a lock class has one name, and each crate its own copy of that.
    #[inline(never)]
    pub fn new() -> Result<Pin<KBox<Self>>> {
        let none = pin_init!(Self {
            queue <- new_spinlock!(Queue::new(), "fs_unwritten"),
            sweeping <- new_mutex!((), "fs_unwritten_sweeping"),
            count: Atomic::new(0),
            due: Atomic::new(FEW),
            errors: WriteErrors::new(),
        });
        KBox::pin_init(none, GFP_KERNEL)
    }

    /// Keeps a block that has been marked dirty just now.
    #[inline]
    pub(in crate::abstractions::fs) fn keep(&self, buffer: &Buffer) {
        // Later than the dirty bit, in the same word: who takes the bit away sees the block dirty.
        if buffer.state() & KEPT == 0 {
            self.add(buffer);
        }
    }

    fn add(&self, buffer: &Buffer) {
        if buffer.set_state(KEPT) & KEPT != 0 {
            return;
        }
        // SAFETY: The bit was set just above.
        unsafe { self.queue.lock().push(buffer.clone()) };
        let count = self.count.fetch_add(1, Relaxed) + 1;
        if count >= self.due.load(Relaxed) {
            self.give_up_written(count);
        }
    }

    /// How many blocks are kept.
    pub(in crate::abstractions::fs) fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Gives up those of the `most` oldest blocks that are written, unless somebody looks at them.
    /// Waits for nothing. How many were given up.
    pub(in crate::abstractions::fs) fn give_up_written(&self, most: usize) -> usize {
        let Some(_sweeping) = self.sweeping.try_lock() else {
            return 0;
        };
        Sweep(self).over(most, |_| {})
    }
}

impl Sweep<'_> {
    /// Gives up those of the `most` oldest blocks that are written, and shows `unwritten` the
    /// others. How many were given up.
    pub(in crate::abstractions::fs) fn over(
        &self,
        most: usize,
        mut unwritten: impl FnMut(&Buffer),
    ) -> usize {
        let this = self.0;
        let mut old = this.queue.lock().take();
        let mut left = Queue::new();
        let mut given_up = 0;

        for _ in 0..most {
            let Some(buffer) = old.pop() else {
                break;
            };
            if release_if_written(&buffer) {
                given_up += 1;
                continue;
            }
            unwritten(&buffer);
            // SAFETY: It was popped from a queue, and has not been released.
            unsafe { left.push(buffer) };
        }
        {
            let mut queue = this.queue.lock();
            old.append(queue.take());
            old.append(left);
            queue.append(old);
        }
        let count = this.count.fetch_sub(given_up, Relaxed) - given_up;
        let due = count.saturating_mul(2).max(FEW);
        this.due.store(due, Relaxed);
        given_up
    }
}

/// Takes the bit [`KEPT`] from a buffer that is written. Who marks it dirty from then on keeps it
/// again.
fn release_if_written(buffer: &Buffer) -> bool {
    let release = |state| (state & NOT_WRITTEN == 0).then_some(state & !KEPT);

    buffer.update_state(release).is_ok()
}

impl Unwritten {
    /// Gives all up, written or not: who they are of is unmounted. They are not to outlive it,
    /// wherever the filesystem keeps this.
    pub(in crate::abstractions::fs) fn give_up_all(&self) {
        // Those that somebody looks at are in the queue again when he has.
        let _sweeping = self.sweeping.lock();
        let mut queue = self.queue.lock().take();
        let mut given_up = 0;

        while let Some(buffer) = queue.pop() {
            buffer.clear_state(KEPT);
            given_up += 1;
        }
        self.count.fetch_sub(given_up, Relaxed);
    }
}

#[pinned_drop]
impl PinnedDrop for Unwritten {
    fn drop(self: Pin<&mut Self>) {
        self.give_up_all();
    }
}
