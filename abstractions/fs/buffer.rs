// SPDX-License-Identifier: GPL-2.0

//! Metadata blocks in the device's page cache.
//!
//! C header: [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)
//!
//! The bytes of a [`Buffer`] are shared with whoever else has the device open, so there is no
//! slice of them: they are copied out, or read word by word, with one access each.
//!
//! Left out: changing blocks.

use super::AnySuperBlock;
use crate::bindings;
use core::ptr::NonNull;
use kernel::prelude::*;

/// A block of a filesystem's device, read and referenced.
///
/// # Invariants
///
/// `head` points to a `struct buffer_head` that has been uptodate and mapped in low memory, and on
/// which `self` owns a reference.
pub struct Buffer {
    head: NonNull<bindings::buffer_head>,
}

// SAFETY: A reference to a buffer may be dropped by any thread.
unsafe impl Send for Buffer {}
// SAFETY: The methods only read fields that do not change while the buffer is referenced, and the
// data with single accesses.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Reads block number `block`, in blocks of the superblock's block size. C: `sb_bread()`.
    ///
    /// Fails with `EIO` if the block cannot be read or is not on the device.
    #[inline]
    pub(super) fn read(sb: &AnySuperBlock, block: u64) -> Result<Self> {
        let raw = sb.as_raw();
        // SAFETY: The superblock is valid and has an open device; the block size is the one that
        // the device was set to. __bread_gfp() checks the block number.
        let head = unsafe {
            bindings::__bread_gfp(
                (*raw).s_bdev,
                block,
                (*raw).s_blocksize as u32,
                bindings::RUST_MPAGE_GFP_MOVABLE,
            )
        };
        // INVARIANT: __bread_gfp() returns an uptodate buffer, referenced for the caller. Buffers
        // of block devices are never in high memory.
        NonNull::new(head).map(|head| Self { head }).ok_or(EIO)
    }

    /// The block's size in bytes.
    #[inline(always)]
    pub fn size(&self) -> usize {
        // SAFETY: The buffer is valid; its size does not change while it is referenced.
        unsafe { (*self.head.as_ptr()).b_size }
    }

    #[inline(always)]
    fn words(&self) -> *const u32 {
        // SAFETY: The buffer is valid; its data does not move while it is referenced. Blocks are
        // aligned to at least 512 bytes.
        unsafe { (*self.head.as_ptr()).b_data.cast::<u32>().cast_const() }
    }

    /// The little-endian 32-bit word number `index` of the block, or `None` beyond its end.
    #[inline(always)]
    pub fn le32(&self, index: usize) -> Option<u32> {
        if index >= self.size() / size_of::<u32>() {
            return None;
        }
        // SAFETY: The word is within the block. The single access is C's READ_ONCE().
        Some(u32::from_le(unsafe {
            self.words().add(index).read_volatile()
        }))
    }

    /// Copies bytes out, beginning at byte `offset` of the block.
    ///
    /// `offset` and the length are multiples of four. Fails with `EINVAL` if they are not, and
    /// with `EUCLEAN` if the block ends before.
    pub fn copy_to(&self, offset: usize, out: &mut [u8]) -> Result {
        const WORD: usize = size_of::<u32>();
        if offset % WORD != 0 || out.len() % WORD != 0 {
            return Err(EINVAL);
        }
        for (word, bytes) in (offset / WORD..).zip(out.chunks_exact_mut(WORD)) {
            let value = self.le32(word).ok_or(EUCLEAN)?;
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        Ok(())
    }
}

impl Drop for Buffer {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The reference is ours by the type invariants and given up here.
        unsafe { bindings::__brelse(self.head.as_ptr()) }
    }
}
