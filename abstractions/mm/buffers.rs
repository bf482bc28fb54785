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
    abstractions::{
        block::BlockDevice,
        fs::{
            Inode,
            InodeType, //
        },
    },
    bindings, //
};
use core::mem::ManuallyDrop;
use kernel::error::{
    code::{
        EINVAL,
        EIO,
        ENOMEM, //
    },
    to_result,
    Result, //
};

/// A mapper has filled a block of the folio that it was asked for. A C mapper, that is: one in Rust
/// gets no folio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filled(());

impl Filled {
    /// For tests of what is decided, with no folio.
    #[cfg(CONFIG_KUNIT)]
    pub(crate) const IN_A_TEST: Self = Self(());

    /// What a mapper has said, with `BH_Uptodate`.
    ///
    /// # Safety
    ///
    /// The mapper must have filled the first block of its answer in the folio.
    pub(crate) unsafe fn by_mapper() -> Self {
        Self(())
    }
}

/// Where a block is that belongs to a buffer of a folio.
#[derive(Clone, Copy)]
pub(crate) struct BlockState<'d> {
    /// The device of the block.
    pub(crate) device: &'d BlockDevice,
    /// The block's number on it, in filesystem blocks.
    pub(crate) block: u64,
    /// Whether the mapping ends in front of metadata.
    pub(crate) boundary: bool,
}

impl<I: InodeType> LockedFolio<'_, I> {
    /// Reads the folio block by block through buffer_heads, creating them if it has none. The
    /// folio is unlocked once that is done. C: `block_read_full_folio()`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if folios of the file have no buffers; it is unlocked then. `EIO` if the read has
    /// failed already, as on a device that is gone. (What `get_block` says is lost in C.)
    pub fn read_through_buffers(self, get_block: GetBlockFn<I>) -> Result {
        if !self.may_have_buffers() {
            return Err(EINVAL);
        }
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

    /// Records that block `index` of the folio, which the mapper has filled, is uptodate and where
    /// it lives, so that reading the rest through buffers leaves it alone. A folio of one block
    /// without buffers is ended. C: `map_buffer_to_folio()`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EIO` if the folio does not have so many blocks, or none that a buffer could stand
    /// for. It is unlocked then.
    pub(crate) fn adopt_block(
        self,
        index: usize,
        state: BlockState<'_>,
        _: Filled,
    ) -> Result<Adopted<Self>> {
        let block_bits = AsRef::<Inode>::as_ref(self.inode()).block_bits();
        if index >= self.size() >> block_bits {
            return Err(EIO);
        }
        if !self.has_buffers() && self.size() == 1 << block_bits {
            self.end_read(true);
            return Ok(Adopted::Ended);
        }
        if !self.may_have_buffers() {
            return Err(EIO);
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
        Ok(Adopted::Block(self))
    }
}

/// What [`LockedFolio::adopt_block`] made of a folio.
pub(crate) enum Adopted<F> {
    /// The block was the whole folio, which is uptodate.
    Ended,
    /// The folio's buffers know the block; the rest has to be read through them.
    Block(F),
}
