// SPDX-License-Identifier: GPL-2.0

//! Superblocks, as any filesystem's: what blocks are read of.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::Buffer;
use crate::{
    abstractions::block::BlockDevice,
    bindings, //
};
use core::ptr;
use kernel::{
    prelude::*,
    types::Opaque, //
};

/// A superblock of any filesystem on a block device.
///
/// # Invariants
///
/// Wraps a valid `struct super_block` that has an open block device while a reference of this
/// type lives.
#[repr(transparent)]
pub struct AnySuperBlock(Opaque<bindings::super_block>);

// SAFETY: Superblocks are shared between processors; the methods only read fields that do not
// change while it is mounted, or that C reads without a lock, too.
unsafe impl Send for AnySuperBlock {}
// SAFETY: As above.
unsafe impl Sync for AnySuperBlock {}

impl AnySuperBlock {
    /// The C pointer.
    #[inline(always)]
    pub fn as_raw(&self) -> *mut bindings::super_block {
        self.0.get()
    }

    /// The name of the device, such as `vda`.
    pub fn id(&self) -> &CStr {
        // SAFETY: The superblock is valid, and `s_id` is set and terminated before it is filled.
        unsafe { CStr::from_char_ptr(ptr::addr_of!((*self.as_raw()).s_id).cast()) }
    }

    /// The block size in bytes.
    #[inline(always)]
    pub fn block_size(&self) -> u32 {
        // SAFETY: The superblock is valid; the field only changes while it is filled.
        unsafe { (*self.as_raw()).s_blocksize as u32 }
    }

    /// Base-2 logarithm of the block size.
    #[inline(always)]
    pub fn block_bits(&self) -> u32 {
        // SAFETY: As above.
        u32::from(unsafe { (*self.as_raw()).s_blocksize_bits })
    }

    /// The device.
    #[inline(always)]
    pub fn device(&self) -> &BlockDevice {
        // SAFETY: By the type invariants.
        unsafe { BlockDevice::from_raw((*self.as_raw()).s_bdev) }
    }

    /// The size of the device in whole blocks. C: `sb_bdev_nr_blocks()`.
    pub fn device_blocks(&self) -> u64 {
        const SECTOR_BITS: u32 = bindings::SECTOR_SHIFT;
        self.device().sectors() >> (self.block_bits() - SECTOR_BITS)
    }

    /// Gets block number `block` without reading it, filled with zeroes, and not dirty yet.
    /// C: `sb_getblk()`.
    ///
    /// Fails with `ENOMEM` without memory, or if the block is not on the device.
    pub fn new_block(&self, block: u64) -> Result<Buffer> {
        Buffer::zeroed(self, block)
    }

    /// Whether block number `block` is in memory. C: `sb_find_get_block()`.
    pub fn is_cached(&self, block: u64) -> bool {
        // SAFETY: The superblock is valid and has an open device.
        unsafe { bindings::rust_mpage_helper_sb_is_cached(self.as_raw(), block) }
    }

    /// Begins to read block number `block`, which is wanted soon. C: `sb_breadahead()`.
    pub fn readahead_block(&self, block: u64) {
        // SAFETY: The superblock is valid and has an open device.
        unsafe { bindings::rust_mpage_helper_sb_breadahead(self.as_raw(), block) }
    }
}
