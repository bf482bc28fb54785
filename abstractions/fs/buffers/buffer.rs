// SPDX-License-Identifier: GPL-2.0

//! Metadata blocks in the device's page cache.
//!
//! C header: [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)
//!
//! The bytes of a [`Buffer`] are shared with whoever else has the block, and with whoever else has
//! the device open, so there is no slice of them: they are copied in and out, or accessed word by
//! word, with one access each. What belongs together is changed under a lock of the filesystem.
//!
//! Locks: the buffer lock, [`LockedBuffer`], keeps a block from being written to the device, so
//! that what is changed under it gets there together. It is the innermost, and may sleep.

use super::AnySuperBlock;
use crate::{
    abstractions::update::update,
    bindings, //
};
use core::{
    mem::ManuallyDrop,
    ops::{
        Deref,
        Range, //
    },
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{
        Atomic,
        Full,
        Relaxed, //
    }, //
};

/// A block of a filesystem's device, referenced.
///
/// # Invariants
///
/// `head` points to a `struct buffer_head` that has been uptodate and mapped in low memory, and on
/// which `self` owns a reference.
pub struct Buffer {
    pub(super) head: NonNull<bindings::buffer_head>,
}

// SAFETY: A reference to a buffer may be dropped by any thread.
unsafe impl Send for Buffer {}
// SAFETY: The methods read fields that do not change while the buffer is referenced, call C
// functions that may be called with nothing but a reference, and access the data with single
// accesses, volatile or atomic.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Takes over a buffer.
    ///
    /// # Safety
    ///
    /// The type invariants must hold for `head`, and the reference must be the caller's.
    pub(in crate::abstractions::fs) unsafe fn from_raw(head: *mut bindings::buffer_head) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            // SAFETY: The buffer is valid, so it is not null.
            head: unsafe { NonNull::new_unchecked(head) },
        }
    }

    /// The C pointer, and the reference.
    pub(super) fn into_raw(self) -> *mut bindings::buffer_head {
        ManuallyDrop::new(self).as_raw()
    }

    /// The C pointer.
    #[inline(always)]
    pub(super) fn as_raw(&self) -> *mut bindings::buffer_head {
        self.head.as_ptr()
    }

    /// Whether it is a block of the superblock's device. One that has left the device's page cache,
    /// as all do when the device is closed for the last time, is of none.
    #[inline]
    pub(in crate::abstractions::fs) fn is_of(&self, sb: &AnySuperBlock) -> bool {
        // SAFETY: Both are valid.
        unsafe { ptr::addr_of!((*self.as_raw()).b_bdev).read_volatile() == (*sb.as_raw()).s_bdev }
    }

    /// The block's size in bytes.
    #[inline(always)]
    pub fn size(&self) -> usize {
        // SAFETY: The buffer is valid; its size does not change while it is referenced.
        unsafe { (*self.as_raw()).b_size }
    }

    /// The block's number on the device.
    #[inline(always)]
    pub fn number(&self) -> u64 {
        // SAFETY: The buffer is valid; a buffer of a device keeps its number.
        unsafe { (*self.as_raw()).b_blocknr }
    }

    /// The start of the data, which is aligned to at least 512 bytes.
    #[inline(always)]
    pub(super) fn data(&self) -> *mut u8 {
        // SAFETY: The buffer is valid; its data does not move while it is referenced.
        unsafe { (*self.as_raw()).b_data.cast::<u8>() }
    }

    /// The address of word number `index` of type `W`, if the block has it.
    #[inline(always)]
    fn word<W>(&self, index: usize) -> Option<*mut W> {
        if index >= self.size() / size_of::<W>() {
            return None;
        }
        // SAFETY: The word is within the block.
        Some(unsafe { self.data().cast::<W>().add(index) })
    }

    /// The little-endian 32-bit word number `index` of the block, or `None` beyond its end.
    #[inline(always)]
    pub fn le32(&self, index: usize) -> Option<u32> {
        let word = self.word::<u32>(index)?;
        // SAFETY: The word is within the block, and aligned. The single access is C's READ_ONCE().
        Some(u32::from_le(unsafe { word.read_volatile() }))
    }

    /// The little-endian 16-bit word number `index` of the block, or `None` beyond its end.
    #[inline(always)]
    pub fn le16(&self, index: usize) -> Option<u16> {
        let word = self.word::<u16>(index)?;
        // SAFETY: As in `le32`.
        Some(u16::from_le(unsafe { word.read_volatile() }))
    }

    /// Sets the little-endian 32-bit word number `index`. Fails with `EUCLEAN` beyond the end.
    #[inline]
    pub fn set_le32(&self, index: usize, value: u32) -> Result {
        let word = self.word::<u32>(index).ok_or(EUCLEAN)?;
        // SAFETY: The word is within the block, and aligned. The single access is C's
        // WRITE_ONCE(): who reads the word gets the old value or the new one.
        unsafe { word.write_volatile(value.to_le()) };
        Ok(())
    }

    /// The 32-bit word number `index`, as it is in memory, to change it atomically.
    #[inline]
    fn atomic(&self, index: usize) -> Option<&Atomic<u32>> {
        let word = self.word::<u32>(index)?;
        // SAFETY: The word is within the block, aligned, and stays while the buffer is referenced.
        // Whoever else accesses it does so with single accesses.
        Some(unsafe { Atomic::from_ptr(word) })
    }

    /// Changes the little-endian 32-bit word number `index` in one step: `change` makes the new
    /// value of the old one, and may be asked several times, or refuses with `None`.
    ///
    /// The old value; `None` beyond the end of the block, or if `change` refuses.
    pub fn update_le32(&self, index: usize, change: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        let word = self.atomic(index)?;
        let changed = update(
            word.load(Relaxed),
            |old, new| word.cmpxchg(old, new, Full),
            |word| change(u32::from_le(word)).map(u32::to_le),
        );
        changed.ok().map(u32::from_le)
    }

    /// Copies bytes out, beginning at byte `offset` of the block.
    ///
    /// `offset` and the length are multiples of four. Fails with `EINVAL` if they are not, and
    /// with `EUCLEAN` if the block ends before.
    pub fn copy_to(&self, offset: usize, out: &mut [u8]) -> Result {
        for (word, bytes) in words(offset, out.len())?.zip(out.chunks_exact_mut(WORD)) {
            let value = self.le32(word).ok_or(EUCLEAN)?;
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        Ok(())
    }

    /// Copies bytes in, beginning at byte `offset` of the block.
    ///
    /// `offset` and the length are multiples of four. Fails with `EINVAL` if they are not, and
    /// with `EUCLEAN` if the block ends before; nothing is changed then.
    pub fn copy_from(&self, offset: usize, bytes: &[u8]) -> Result {
        let words = words(offset, bytes.len())?;
        if words.end > self.size() / WORD {
            return Err(EUCLEAN);
        }
        for (word, bytes) in words.zip(bytes.chunks_exact(WORD)) {
            let value = u32::from_le_bytes(bytes.try_into().map_err(|_| EINVAL)?);
            self.set_le32(word, value)?;
        }
        Ok(())
    }

    /// Fills bytes with zeroes. Limits and errors are those of [`Self::copy_from`].
    pub fn zero(&self, range: Range<usize>) -> Result {
        let words = words(range.start, range.end.saturating_sub(range.start))?;
        if words.end > self.size() / WORD {
            return Err(EUCLEAN);
        }
        for word in words {
            self.set_le32(word, 0)?;
        }
        Ok(())
    }

    /// Marks the block to be written. C: `mark_buffer_dirty()`.
    ///
    /// Whether an earlier write of it has failed, of which nobody has heard.
    #[inline]
    pub(in crate::abstractions::fs) fn mark_dirty(&self) -> bool {
        self.mark_dirty_while(|| ())
    }

    /// As [`Self::mark_dirty`]. `meanwhile` is what others do, such as to fail to write what the
    /// block was before; they are not waited for.
    #[inline(always)]
    pub(super) fn mark_dirty_while(&self, meanwhile: impl FnOnce()) -> bool {
        let failed = self.rescue();
        self.make_uptodate();
        meanwhile();
        // SAFETY: The buffer is valid and referenced.
        unsafe { bindings::rust_mpage_helper_mark_buffer_dirty(self.as_raw()) };
        failed
    }

    /// Puts the block, which is dirty, onto the list of an inode's metadata blocks, unless it is on
    /// one. Whether it was marked dirty again for that. C: the second half of
    /// `mmb_mark_buffer_dirty()`.
    ///
    /// # Safety
    ///
    /// The list must be initialised, and emptied before it is freed.
    pub(in crate::abstractions::fs) unsafe fn enlist(
        &self,
        list: *mut bindings::mapping_metadata_bhs,
    ) -> bool {
        // SAFETY: The buffer is valid. Who takes it off a list looks whether it is dirty
        // afterwards.
        let current = unsafe { ptr::addr_of!((*self.as_raw()).b_mmb).read_volatile() };
        if !current.is_null() {
            return false;
        }
        // A write could fail that is on its way, and the kernel warns of who marks dirty what is
        // not uptodate then. Rare: a sync has just taken the block off the list.
        let locked = self.lock();
        locked.make_uptodate();
        // SAFETY: The buffer is valid, uptodate and locked; the list by the safety requirements.
        unsafe { bindings::mmb_mark_buffer_dirty(self.as_raw(), list) };
        true
    }

    /// If a write of the block has failed: what is in memory is right, and is to be written again.
    /// Whether one had, and nobody has heard of it.
    pub(in crate::abstractions::fs) fn rescue(&self) -> bool {
        self.has_write_error() && self.lock().rescue_locked()
    }

    /// Makes the contents valid again after a write of them has failed, which has changed none.
    pub(super) fn make_uptodate(&self) {
        // SAFETY: The buffer is valid, and has been uptodate by the type invariants.
        unsafe { bindings::rust_mpage_helper_set_buffer_uptodate(self.as_raw()) }
    }

    /// Whether the block is to be written.
    pub fn is_dirty(&self) -> bool {
        // SAFETY: The buffer is valid; the flag is read atomically.
        unsafe { bindings::rust_mpage_helper_buffer_dirty(self.as_raw()) }
    }

    /// Whether the block is on the device as it is in memory: it is not dirty, not being written,
    /// and has not failed to be.
    pub fn is_synced(&self) -> bool {
        const UNSYNCED: usize = 1 << bindings::bh_state_bits_BH_Dirty
            | 1 << bindings::bh_state_bits_BH_Lock
            | 1 << bindings::bh_state_bits_BH_Write_EIO;

        self.state() & UNSYNCED == 0
    }

    /// Writes the block if it is dirty, and waits until it is on the device.
    /// C: `sync_dirty_buffer()`.
    ///
    /// Fails with `EIO` if this write fails, or an earlier one has and nobody has heard of it. A
    /// block whose write has failed is to be written again.
    pub(in crate::abstractions::fs) fn sync(&self) -> Result {
        self.sync_once()?;
        // Somebody has changed it meanwhile, or has taken the error before it was seen here, and
        // then it is to be written again.
        match self.is_synced() {
            true => Ok(()),
            false => self.sync_once(),
        }
    }

    fn sync_once(&self) -> Result {
        let failed_before = self.rescue();
        // SAFETY: The buffer is valid and referenced.
        let written = to_result(unsafe { bindings::sync_dirty_buffer(self.as_raw()) });
        let failed = self.rescue();

        match failed_before || failed {
            true => Err(EIO),
            false => written,
        }
    }

    /// Begins to write the block if it is dirty; a write that is on its way is waited for first.
    /// C: `write_dirty_buffer()`.
    pub(in crate::abstractions::fs) fn start_write(&self) {
        // SAFETY: The buffer is valid and referenced.
        unsafe { bindings::rust_mpage_helper_write_dirty_buffer(self.as_raw()) }
    }

    /// Whether a write of the block has failed. C: `buffer_write_io_error()`.
    fn has_write_error(&self) -> bool {
        // SAFETY: The buffer is valid; the flag is read atomically.
        unsafe { bindings::rust_mpage_helper_buffer_write_io_error(self.as_raw()) }
    }

    /// Gives the block up: what has not been written need not be. For blocks that are about to be
    /// freed. C: `bforget()`.
    ///
    /// A write that is on its way is waited for: if it failed later, the block would be written
    /// again, over what its next owner has there.
    pub fn forget(self) {
        let this = ManuallyDrop::new(self);
        let raw = this.as_raw();
        let locked = this.lock();
        // SAFETY: The buffer is valid, referenced and locked.
        unsafe { bindings::rust_mpage_helper_clear_buffer_dirty(raw) };
        locked.take_write_error();
        drop(locked);
        // SAFETY: The reference is ours by the type invariants and given up here.
        unsafe { bindings::__bforget(raw) }
    }

    /// Waits for a write of the block to end, and keeps the next from beginning.
    /// C: `lock_buffer()`.
    pub fn lock(&self) -> LockedBuffer<'_> {
        // SAFETY: The buffer is valid and referenced.
        unsafe { bindings::rust_mpage_helper_lock_buffer(self.as_raw()) };
        // INVARIANT: Locked just above.
        LockedBuffer(self)
    }
}

const WORD: usize = size_of::<u32>();

/// The words that bytes take.
fn words(offset: usize, len: usize) -> Result<Range<usize>> {
    if offset % WORD != 0 || len % WORD != 0 {
        return Err(EINVAL);
    }
    let end = offset.checked_add(len).ok_or(EINVAL)?;
    Ok(offset / WORD..end / WORD)
}

impl Clone for Buffer {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: The buffer is valid and referenced.
        unsafe { bindings::rust_mpage_helper_get_bh(self.as_raw()) };
        // INVARIANT: The reference just taken is the new value's.
        Self { head: self.head }
    }
}

impl Drop for Buffer {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The reference is ours by the type invariants and given up here.
        unsafe { bindings::__brelse(self.as_raw()) }
    }
}

/// A block that is not being written, and will not be as long as this lives.
///
/// # Invariants
///
/// The buffer is locked, and the lock is this value's.
#[must_use = "the lock is released"]
pub struct LockedBuffer<'a>(&'a Buffer);

impl Deref for LockedBuffer<'_> {
    type Target = Buffer;

    #[inline(always)]
    fn deref(&self) -> &Buffer {
        self.0
    }
}

impl LockedBuffer<'_> {
    /// As [`Buffer::rescue`]; no write is on its way that could fail yet.
    pub(super) fn rescue_locked(&self) -> bool {
        let failed = self.take_write_error();
        if failed {
            // SAFETY: The buffer is valid, and mapped, as one is that a write has failed for. Its
            // contents have been valid, and the write has not changed them.
            unsafe { bindings::mark_buffer_dirty(self.0.as_raw()) };
        }
        failed
    }

    /// Forgets that a write of the block has failed. Whether one had.
    pub(super) fn take_write_error(&self) -> bool {
        // SAFETY: The buffer is valid; the flag is changed atomically.
        unsafe { bindings::rust_mpage_helper_clear_buffer_write_error(self.0.as_raw()) }
    }
}

impl Drop for LockedBuffer<'_> {
    fn drop(&mut self) {
        // SAFETY: The lock is ours by the type invariants and given up here.
        unsafe { bindings::unlock_buffer(self.0.as_raw()) }
    }
}

#[kernel::macros::kunit_tests(rust_mpage_buffer)]
mod tests {
    use super::words;
    use kernel::prelude::*;

    #[test]
    fn bytes_are_whole_words() {
        assert_eq!(words(0, 0), Ok(0..0));
        assert_eq!(words(128, 128), Ok(32..64));
        assert_eq!(words(1, 4), Err(EINVAL));
        assert_eq!(words(4, 6), Err(EINVAL));
        assert_eq!(words(usize::MAX - 3, 4), Err(EINVAL));
    }
}
