// SPDX-License-Identifier: GPL-2.0

//! Freed blocks get a new owner only when the disk knows that the old one has lost them.
//!
//! Who frees blocks [`add`](Cuts::add)s them with the metadata block that cuts them off, whose
//! buffer is dirty by then; who gets blocks from the allocator [`settle`](Cuts::settle)s them
//! before pointing to them, which writes these metadata blocks, and flushes the device, if any of
//! the blocks is among those freed. A new file that was never written needs none of it. So what it
//! costs is a write and a flush now and then where a disk is nearly full or files come and go; C
//! has no such order, and e2fsck finds blocks with two owners after a crash.
//!
//! What is written is a batch that was taken aside: others add to the next, and allocate, unless
//! they want one of these very blocks. A guard that is freed itself is no guard any more: what cut
//! it off is one for all that it was the guard of, and is in the same batch.
//!
//! Locks: `running`, while a batch is written, inside of an inode's tree mutex or of that of its
//! attributes; inside it `pending`, for list operations.

#![deny(unsafe_code)]

use super::{
    ordered::Ordered,
    pending_cuts::{
        PendingCuts,
        CAPACITY, //
    },
    write::{
        write_sorted,
        Waiting, //
    },
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Mutex, //
    },
};
use rust_mpage::{
    fs::{
        Buffer,
        SuperBlock, //
    },
    mm::without_fs_reclaim, //
};

/// Cuts, and the buffers of their guards, which stay in memory.
///
/// # Invariants
///
/// There is memory for as many guards as `cuts` takes.
struct Batch {
    cuts: PendingCuts,
    guards: KVVec<Buffer>,
}

impl Batch {
    fn new() -> Result<Self> {
        // INVARIANT: There is.
        Ok(Self {
            cuts: PendingCuts::new()?,
            guards: KVVec::with_capacity(CAPACITY, GFP_KERNEL)?,
        })
    }

    /// Adds a cut. Whether there was room.
    fn add(&mut self, first: u32, count: u32, guard: &Buffer) -> bool {
        let number = guard.number() as u32;
        let is_new = !self.cuts.has_guard(number);
        let has_room = self.cuts.add(first, count, number).is_ok();
        if is_new && has_room {
            // There is memory.
            let _ = self.guards.push_within_capacity(guard.clone());
        }
        has_room
    }

    fn clear(&mut self) {
        self.cuts.clear();
        self.guards.clear();
    }

    /// Takes over all of `other`. Fails with `ENOMEM`; then nothing has changed.
    fn absorb(&mut self, other: &mut Self) -> Result {
        let more = other.guards.len();
        without_fs_reclaim(|| self.guards.reserve(more, GFP_KERNEL))?;
        self.cuts.absorb(&mut other.cuts)?;
        for guard in other.guards.drain_all() {
            // There is memory.
            let _ = self.guards.push_within_capacity(guard);
        }
        Ok(())
    }
}

/// The cuts of a filesystem, by what becomes of them.
struct Pending {
    /// Nobody wants the blocks.
    waiting: Batch,
    /// Their guards are being written.
    under_way: Batch,
    /// A guard of theirs could not be written.
    stuck: Batch,
}

impl Pending {
    fn has(&self, first: u32, count: u32) -> bool {
        [&self.waiting, &self.under_way, &self.stuck]
            .iter()
            .any(|batch| batch.cuts.has(first, count))
    }
}

/// The freed blocks of a filesystem that the disk may say are in use.
#[pin_data]
pub(crate) struct Cuts {
    #[pin]
    pending: Mutex<Pending>,
    /// For who writes guards: memory for those of as many cuts as can wait, so that a block can be
    /// freed when there is no other.
    #[pin]
    running: Mutex<KVVec<Waiting<u64>>>,
    /// Whether there are any: 0 or 1. So that allocation need not take a lock.
    any: Atomic<u32>,
}

impl Cuts {
    /// None.
    pub(super) fn new() -> impl PinInit<Self, Error> {
        let pending = || -> Result<Pending> {
            Ok(Pending {
                waiting: Batch::new()?,
                under_way: Batch::new()?,
                stuck: Batch::new()?,
            })
        };
        try_pin_init!(Self {
            pending <- new_mutex!(pending()?, "ext2_cuts"),
            running <- new_mutex!(
                KVVec::with_capacity(CAPACITY, GFP_KERNEL)?,
                "ext2_cuts_running"
            ),
            any: Atomic::new(0),
        }? Error)
    }

    /// Notes blocks that are about to be freed and that `guard`, a dirty metadata block, has cut
    /// off. To be called before a block of them is forgotten that may be a guard itself.
    ///
    /// Needs no memory, unless some that has been cut off before could not be written.
    ///
    /// Fails with `EIO` or `ENOMEM`: the blocks must not be freed.
    pub(crate) fn add<F: Ordered>(
        &self,
        sb: &SuperBlock<F>,
        first: u32,
        count: u32,
        guard: u32,
    ) -> Result {
        let buffer = sb.bread(guard.into())?;

        loop {
            let mut pending = self.pending.lock();
            if count == 1 && pending.under_way.cuts.has_guard(first) {
                // It is written now, or what it guards waits for `guard`, too. There may be no
                // one who writes it, if there was no memory to keep what failed: it is tried again.
                drop(pending);
                match self.write(sb, |pending| pending.under_way.cuts.has_guard(first)) {
                    Ok(()) | Err(EIO) => continue,
                    Err(error) => return Err(error),
                }
            }
            if pending.waiting.add(first, count, &buffer) {
                break;
            }
            drop(pending);
            // Full. What cannot be written is kept elsewhere, and not this caller's.
            match self.write(sb, |_| true) {
                Ok(()) | Err(EIO) => (),
                Err(error) => return Err(error),
            }
        }
        // Before the bits of the blocks are cleared, which is ordered against who sets them.
        self.any.xchg(1, Full);
        Ok(())
    }

    /// Makes sure that the disk does not say of these blocks, just allocated, that they are another
    /// file's.
    ///
    /// Fails with `EIO`: nobody can have those that are [`pending`](Self::next_pending) still; and
    /// with `ENOMEM`.
    pub(crate) fn settle<F: Ordered>(&self, sb: &SuperBlock<F>, first: u32, count: u32) -> Result {
        match self.settle_once(sb, first, count) {
            // It may be an error of before, that nobody had heard of.
            Err(EIO) => self.settle_once(sb, first, count),
            result => result,
        }
    }

    fn settle_once<F: Ordered>(&self, sb: &SuperBlock<F>, first: u32, count: u32) -> Result {
        if self.any.load(Relaxed) == 0 || !self.pending.lock().has(first, count) {
            return Ok(());
        }
        self.write(sb, |pending| pending.has(first, count))?;
        if self.pending.lock().has(first, count) {
            return Err(EIO);
        }
        Ok(())
    }

    /// The first of `count` blocks from `first` on of which the disk may say that they are another
    /// file's, and of how many in a row, after [`settle`](Self::settle) has failed.
    pub(crate) fn next_pending(&self, first: u32, count: u32) -> Option<(u32, u32)> {
        let pending = self.pending.lock();
        [&pending.waiting, &pending.under_way, &pending.stuck]
            .iter()
            .filter_map(|batch| batch.cuts.next(first, count))
            .min()
    }

    /// Brings the guards of all cuts to the medium, if they are `wanted` still once nobody else
    /// does.
    fn write<F: Ordered>(
        &self,
        sb: &SuperBlock<F>,
        wanted: impl FnOnce(&Pending) -> bool,
    ) -> Result {
        let mut running = self.running.lock();
        let guards = &mut *running;
        {
            let mut pending = self.pending.lock();
            let pending = &mut *pending;
            if !wanted(pending) {
                return Ok(());
            }
            let count = pending.waiting.guards.len() + pending.stuck.guards.len();
            without_fs_reclaim(|| guards.reserve(count, GFP_KERNEL))?;
            for batch in [&pending.waiting, &pending.stuck] {
                for buffer in batch.guards.iter() {
                    let guard = Waiting::new(buffer.number(), Some(buffer.clone()));
                    // There is memory.
                    let _ = guards.push_within_capacity(guard);
                }
            }
            core::mem::swap(&mut pending.waiting, &mut pending.under_way);
        }

        let flushed = write_sorted(sb, guards);
        for guard in guards.iter() {
            F::corrupt(
                sb,
                fmt!(
                    "cannot write metadata block {}: error {}",
                    guard.what,
                    guard.errno(flushed)
                ),
            );
        }

        let is_written = guards.is_empty();
        guards.clear();

        let mut pending = self.pending.lock();
        let pending = &mut *pending;
        if is_written {
            pending.under_way.clear();
            pending.stuck.clear();
            if pending.waiting.cuts.is_empty() {
                self.any.store(0, Relaxed);
            }
            return Ok(());
        }
        // Which of the blocks a guard is for is not known.
        pending.stuck.absorb(&mut pending.under_way)?;
        Err(EIO)
    }
}
