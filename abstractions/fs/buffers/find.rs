// SPDX-License-Identifier: GPL-2.0

//! How one comes to a metadata block: read, as it is in memory, or new.
//!
//! C header: [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)
//!
//! Locks: the buffer lock, while a block without contents gets some.

use super::{
    AnySuperBlock,
    Buffer, //
};
use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    prelude::*, //
};

/// A block that was asked for.
#[must_use]
pub(in crate::abstractions::fs) enum Found {
    /// As it is on the disk, or newer.
    AsIs(Buffer),
    /// A write of it had failed, of which nobody has heard.
    Rescued(Buffer),
}

/// What becomes of a buffer that has no contents.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// They are read from the device.
    Read,
    /// Nothing: nobody is waiting for them.
    Leave,
}

impl Buffer {
    /// Reads block number `block`, in blocks of the superblock's block size, unless it is in
    /// memory. C: `sb_bread()`, which reads the disk over a block whose write has failed, too.
    ///
    /// Here what is in memory is right then, and is to be written again: [`Found::Rescued`].
    ///
    /// `missing` is called before a block is waited for that is not in memory.
    ///
    /// Fails with `EIO` if the block cannot be read or is not on the device.
    #[inline]
    pub(in crate::abstractions::fs) fn read(
        sb: &AnySuperBlock,
        block: u64,
        missing: impl FnOnce(),
    ) -> Result<Found> {
        // SAFETY: The superblock is valid and has an open device; the block size is the one that
        // the device was set to. sb_getblk() checks the block number.
        let head = unsafe { bindings::rust_mpage_helper_sb_getblk(sb.as_raw(), block) };
        // INVARIANT: sb_getblk() returns a buffer that is mapped and referenced for the caller, and
        // nobody gets the value before it is uptodate. Buffers of block devices are never in high
        // memory.
        let buffer = NonNull::new(head).map(|head| Self { head }).ok_or(EIO)?;
        if buffer.is_uptodate() {
            return Ok(Found::AsIs(buffer));
        }
        missing();
        buffer.make_valid(Missing::Read)
    }

    /// Block number `block`, if it is in memory and has contents. C:
    /// `sb_find_get_block_nonatomic()`.
    pub(in crate::abstractions::fs) fn cached(sb: &AnySuperBlock, block: u64) -> Option<Found> {
        // SAFETY: The superblock is valid and has an open device.
        let head = unsafe { bindings::rust_mpage_helper_sb_find_get_block(sb.as_raw(), block) };
        // INVARIANT: A buffer that is found is mapped and referenced for the caller, and nobody
        // gets the value before it is uptodate.
        let buffer = NonNull::new(head).map(|head| Self { head })?;
        if buffer.is_uptodate() {
            return Some(Found::AsIs(buffer));
        }
        buffer.make_valid(Missing::Leave).ok()
    }

    /// Brings valid contents into a buffer that had none when it was looked at. `ENOENT` if it has
    /// none and is to be left alone.
    #[cold]
    fn make_valid(self, missing: Missing) -> Result<Found> {
        let raw = self.as_raw();
        // A write or read of it has ended then.
        let locked = self.lock();
        if locked.rescue_locked() {
            drop(locked);
            return Ok(Found::Rescued(self));
        }
        if locked.is_uptodate() || locked.is_dirty() {
            locked.make_uptodate();
            drop(locked);
            return Ok(Found::AsIs(self));
        }
        if missing == Missing::Leave {
            return Err(ENOENT);
        }
        // __bh_read() takes the lock over.
        core::mem::forget(locked);
        // SAFETY: The buffer is valid, referenced, mapped and locked, and neither has it a change
        // that the disk does not know of, nor has a write of it failed.
        to_result(unsafe { bindings::__bh_read(raw, 0, true) })?;
        Ok(Found::AsIs(self))
    }

    /// Whether the contents are valid: not of one whose write has failed, or that was not read yet.
    #[inline]
    fn is_uptodate(&self) -> bool {
        // SAFETY: The buffer is valid and referenced.
        unsafe { bindings::rust_mpage_helper_buffer_uptodate(self.as_raw()) }
    }

    /// Gets block number `block` without reading it, and fills it with zeroes. It is not dirty yet.
    /// C: `sb_getblk()`, and what `ext2_alloc_branch()` does with it.
    ///
    /// Fails with `ENOMEM` without memory, or if the block is not on the device.
    pub(super) fn zeroed(sb: &AnySuperBlock, block: u64) -> Result<Self> {
        // SAFETY: The superblock is valid and has an open device.
        let head = unsafe { bindings::rust_mpage_helper_sb_getblk(sb.as_raw(), block) };
        // INVARIANT: A buffer that is found is mapped and referenced for the caller, and nobody
        // gets the value before it is uptodate.
        let buffer = NonNull::new(head).map(|head| Self { head }).ok_or(ENOMEM)?;
        let locked = buffer.lock();
        locked.clear();
        // Of the block's former life.
        locked.take_write_error();
        locked.make_uptodate();
        drop(locked);
        Ok(buffer)
    }
}
