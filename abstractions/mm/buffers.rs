// SPDX-License-Identifier: GPL-2.0

//! Folios read through buffer_heads.
//!
//! C header: [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)
//!
//! Only what a folio that already has buffers needs, or one that the filesystem filled itself;
//! everything else is read without buffer_heads.

use super::{
    GetBlockFn,
    LockedFolio, //
};
use crate::{
    abstractions::block::BlockDevice,
    bindings, //
};
use core::mem::ManuallyDrop;
use kernel::error::{
    code::{
        EIO,
        ENOMEM, //
    },
    to_result,
    Result, //
};

/// What a mapper said of a block whose contents it has already put into the folio.
#[derive(Clone, Copy)]
pub struct BlockState<'d> {
    /// The device of the block.
    pub device: &'d BlockDevice,
    /// The block's number on it, in filesystem blocks.
    pub block: u64,
    /// Whether the mapping ends in front of metadata.
    pub boundary: bool,
}

impl LockedFolio {
    /// Reads the folio block by block through buffer_heads, creating them if it has none. The
    /// folio is unlocked once that is done. C: `block_read_full_folio()`.
    ///
    /// # Errors
    ///
    /// `EIO` if the read has failed already, as on a device that is gone. (What `get_block` says
    /// is lost in C.)
    pub fn read_through_buffers(self, get_block: GetBlockFn) -> Result {
        let folio = ManuallyDrop::new(self).as_raw();
        // SAFETY: The folio is valid; the reference is given back below.
        unsafe { bindings::rust_mpage_helper_folio_get(folio) };
        // SAFETY: The folio is locked and the lock is passed on; `get_block` may be called for its
        // inode by the invariants of `GetBlockFn`.
        let result =
            to_result(unsafe { bindings::block_read_full_folio(folio, get_block.as_raw()) });
        // SAFETY: We hold a reference until the put.
        let failed = unsafe {
            let failed = bindings::rust_mpage_helper_folio_read_failed(folio);
            bindings::rust_mpage_helper_folio_put(folio);
            failed
        };
        result.and(if failed { Err(EIO) } else { Ok(()) })
    }

    /// Records that block `index` of the folio, of `1 << block_bits` bytes, is uptodate and where
    /// it lives, so that reading the rest through buffers leaves it alone. A folio of one block
    /// without buffers is marked uptodate itself. C: `map_buffer_to_folio()`.
    pub fn adopt_block(
        &self,
        index: usize,
        block_bits: u32,
        state: BlockState<'_>,
    ) -> Result<Adopted> {
        if !self.has_buffers() && self.size() == 1 << block_bits {
            return Ok(Adopted::WholeFolio);
        }
        // SAFETY: The folio is locked by the type invariants.
        let head = unsafe {
            if self.has_buffers() {
                bindings::rust_mpage_helper_folio_buffers(self.as_raw())
            } else {
                bindings::create_empty_buffers(self.as_raw(), 1 << block_bits, 0)
            }
        };
        if head.is_null() {
            return Err(ENOMEM);
        }
        let mut buffer = head;
        for _ in 0..index {
            // SAFETY: The buffers of a locked folio are a ring that stays as it is.
            buffer = unsafe { (*buffer).b_this_page };
        }
        // SAFETY: As above; nobody else maps buffers of a locked folio, and what others may do to
        // their states meanwhile is kept: bits are set one by one, atomically.
        unsafe {
            (*buffer).b_bdev = state.device.as_raw();
            (*buffer).b_blocknr = state.block;
            if state.boundary {
                bindings::rust_mpage_helper_set_buffer_boundary(buffer);
            }
            bindings::rust_mpage_helper_set_buffer_uptodate(buffer);
            bindings::rust_mpage_helper_set_buffer_mapped(buffer);
        }
        Ok(Adopted::Block)
    }
}

/// What [`LockedFolio::adopt_block`] made of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopted {
    /// It is the whole folio, which may be ended as uptodate.
    WholeFolio,
    /// The folio's buffers know it; the rest has to be read through them.
    Block,
}
