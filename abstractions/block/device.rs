// SPDX-License-Identifier: GPL-2.0

//! Block devices.
//!
//! C header: [`include/linux/blk_types.h`](srctree/include/linux/blk_types.h)

use crate::bindings;
use core::{
    ops::Range,
    ptr, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};

/// A position on a block device, in sectors of 512 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sector(pub u64);

impl Sector {
    /// Base-2 logarithm of a sector's size in bytes.
    pub const SHIFT: u32 = bindings::SECTOR_SHIFT;

    /// The first sector of a block of `1 << block_bits` bytes. `None` if no device can have it, or
    /// blocks are smaller than sectors.
    #[inline]
    pub(crate) fn of_block(block: u64, block_bits: u32) -> Option<Self> {
        let shift = block_bits.checked_sub(Self::SHIFT)?;
        let sector = block.checked_shl(shift)?;
        (sector >> shift == block).then_some(Self(sector))
    }

    /// The sector that is behind so many whole sectors' bytes from this one on; what is less than a
    /// sector of them does not count.
    #[inline]
    pub(super) fn advanced_by(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(u64::from(bytes >> Self::SHIFT)))
    }
}

/// A block device.
///
/// # Invariants
///
/// Wraps a valid, opened `struct block_device`. A shared reference lives no longer than the
/// opening: for a filesystem's device that is the life of the mount.
#[repr(transparent)]
pub struct BlockDevice(Opaque<bindings::block_device>);

// SAFETY: A `struct block_device` may be used from any context; the methods here only read fields
// that are stable while the device is open or are read atomically by C, too.
unsafe impl Send for BlockDevice {}
// SAFETY: As above.
unsafe impl Sync for BlockDevice {}

impl BlockDevice {
    /// Borrows a block device from its C pointer.
    ///
    /// # Safety
    ///
    /// `ptr` must point to a valid `struct block_device` that stays open for `'a`.
    #[inline]
    pub unsafe fn from_raw<'a>(ptr: *mut bindings::block_device) -> &'a Self {
        // SAFETY: By the safety requirements; `Self` is a transparent wrapper.
        unsafe { &*ptr.cast() }
    }

    /// The C pointer.
    #[inline]
    pub fn as_raw(&self) -> *mut bindings::block_device {
        self.0.get()
    }

    /// The size in whole sectors; 0 while the driver has set none. C: `bdev_nr_sectors()`.
    #[inline]
    pub fn sectors(&self) -> u64 {
        // SAFETY: The device is valid by the type invariants; C reads this field without a lock.
        unsafe { ptr::addr_of!((*self.as_raw()).bd_nr_sectors).read_volatile() }
    }

    /// Writes what is dirty in the device's page cache, and waits for it. C: `sync_blockdev()`.
    ///
    /// Fails with `EIO`, or what else the device says, also of an earlier write that nobody has
    /// heard of.
    pub fn sync(&self) -> Result {
        // SAFETY: The device is valid by the type invariants. May sleep, as callers may.
        to_result(unsafe { bindings::sync_blockdev(self.as_raw()) })
    }

    /// Gives up what is in the device's page cache and not dirty: somebody may have the device open
    /// beside a filesystem that has written past it. C: `invalidate_bdev()`.
    pub(crate) fn drop_clean(&self) {
        // SAFETY: The device is valid by the type invariants. May sleep, as callers may.
        unsafe { bindings::invalidate_bdev(self.as_raw()) }
    }

    /// Waits until the writes that have ended are on the medium, and not just in the device's
    /// volatile cache, if it has one. C: `blkdev_issue_flush()`.
    ///
    /// Fails with `EIO`, or what else the device says.
    pub fn flush(&self) -> Result {
        // SAFETY: The device is valid by the type invariants. May sleep, as callers may.
        to_result(unsafe { bindings::blkdev_issue_flush(self.as_raw()) })
    }

    /// Forgets what the device's own cache has of `len` blocks from `first` on, for they are a
    /// file's now: a buffer that was dirty when they belonged to somebody else must not be written
    /// over the file. Waits for writes on their way. Blocks have `1 << block_bits` bytes; of larger
    /// ones of the cache only those are forgotten that are the file's as a whole.
    /// C: `clean_bdev_aliases()`.
    pub(crate) fn forget_cached(&self, first: u64, len: u32, block_bits: u32) {
        let Some(blocks) = cached_blocks(first, len, block_bits, self.cache_bits()) else {
            return;
        };
        let len = blocks.end - blocks.start;
        // SAFETY: The device is valid by the type invariants. May sleep, as callers may.
        unsafe { bindings::clean_bdev_aliases(self.as_raw(), blocks.start, len) };
    }

    /// Base-2 logarithm of the size of blocks that the device's own cache has.
    fn cache_bits(&self) -> u32 {
        // SAFETY: The device is valid and open by the type invariants, and so has its page cache,
        // with an inode.
        u32::from(unsafe { (*(*(*self.as_raw()).bd_mapping).host).i_blkbits })
    }

    /// Starts the write of a block of `1 << block_bits` bytes if the device's cache has it, dirty.
    /// C: `write_boundary_block()`, which is not exported.
    pub(crate) fn push_cached(&self, block: u64, block_bits: u32) {
        // SAFETY:
        // - the device is valid by the type invariants;
        // - a buffer that is found is valid, for it comes with a reference;
        // - that reference is given back, and the buffer not used any more.
        unsafe {
            let bh = bindings::__find_get_block_nonatomic(self.as_raw(), block, 1 << block_bits);
            if !bh.is_null() {
                if bindings::rust_mpage_helper_buffer_dirty(bh) {
                    bindings::write_dirty_buffer(bh, 0);
                }
                bindings::__brelse(bh);
            }
        }
    }
}

/// What somebody has seen of the errors of writing what a device's own page cache has.
/// C: `errseq_t`.
pub struct WriteErrors(Atomic<u32>);

impl WriteErrors {
    /// None. Errors that nobody has heard of are new, whenever they were.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Where the device counts them.
    fn of(device: &BlockDevice) -> *mut bindings::errseq_t {
        // SAFETY: The device is valid and open by the type invariants, and so has its page cache.
        unsafe { ptr::addr_of_mut!((*(*device.as_raw()).bd_mapping).wb_err) }
    }

    /// Whether there were any since `advance()`. C: `errseq_check()`.
    #[inline]
    pub fn has_new(&self, device: &BlockDevice) -> bool {
        // SAFETY: The place is valid; the single access is C's READ_ONCE().
        let now = unsafe { Self::of(device).read_volatile() };
        now != self.0.load(Relaxed)
    }

    /// All that there were are seen. With several callers at a time some that have been seen may be
    /// new once more, but none is passed over. C: `errseq_check_and_advance()`.
    pub(in crate::abstractions) fn advance(&self, device: &BlockDevice) {
        let mut since = self.0.load(Relaxed);
        // SAFETY: Both places are valid, and the second is ours.
        unsafe { bindings::errseq_check_and_advance(Self::of(device), &mut since) };
        self.0.store(since, Relaxed);
    }
}

impl PartialEq for BlockDevice {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self, other)
    }
}

impl Eq for BlockDevice {}

/// Which blocks of `1 << cache_bits` bytes are in `len` blocks of `1 << block_bits` bytes from
/// `first` on, as a whole. [`None`] if none are, or no device has them.
fn cached_blocks(first: u64, len: u32, block_bits: u32, cache_bits: u32) -> Option<Range<u64>> {
    let end = first.checked_add(len.into())?;
    if block_bits == cache_bits {
        return Some(first..end);
    }
    let block = 1u64.checked_shl(block_bits)?;
    let cached = 1u64.checked_shl(cache_bits)?;
    let start = first.checked_mul(block)?.div_ceil(cached);
    let end = end.checked_mul(block)? / cached;
    (start < end).then_some(start..end)
}

#[kernel::macros::kunit_tests(rust_mpage_device)]
mod tests {
    use super::{
        cached_blocks,
        Sector, //
    };

    #[test]
    fn a_block_that_no_device_has_has_no_sector() {
        let sector = |block, bits| Sector::of_block(block, bits).map(|sector| sector.0);
        assert_eq!(sector(3, 9), Some(3));
        assert_eq!(sector(3, 12), Some(24));
        assert_eq!(sector(u64::MAX >> 3, 12), Some(u64::MAX - 7));
        assert_eq!(sector(1 << 61, 12), None);
        assert_eq!(sector(3, 8), None);
        assert_eq!(sector(0, 0), None);
        assert_eq!(sector(1, 73), None);
    }

    #[test]
    fn blocks_are_forgotten_in_the_size_that_the_cache_has() {
        assert_eq!(cached_blocks(5, 3, 12, 12), Some(5..8));
        assert_eq!(cached_blocks(5, 3, 12, 10), Some(20..32));
        assert_eq!(cached_blocks(4, 8, 10, 12), Some(1..3));
    }

    #[test]
    fn what_is_another_file_s_in_part_is_not_forgotten() {
        assert_eq!(cached_blocks(5, 8, 10, 12), Some(2..3));
        assert_eq!(cached_blocks(5, 3, 10, 12), None);
        assert_eq!(cached_blocks(u64::MAX, 3, 12, 12), None);
        assert_eq!(cached_blocks(1 << 60, 3, 12, 10), None);
    }
}
