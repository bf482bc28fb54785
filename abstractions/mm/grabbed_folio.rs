// SPDX-License-Identifier: GPL-2.0

//! Folios of the cache whose contents are changed.
//!
//! C headers: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h),
//! [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)
//!
//! Locks: a [`GrabbedFolio`] is locked. The blocks are asked for with the lock held.

use super::{
    Folio,
    GetBlockFn, //
};
use crate::{
    abstractions::fs::Inode,
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
    error::{
        code::{
            EIO,
            ENOMEM, //
        },
        from_err_ptr,
        to_result,
        Result, //
    },
    page::PAGE_SHIFT,
};

/// A folio of the cache, found or made.
///
/// # Invariants
///
/// The folio is locked and in its mapping; lock and a reference are the value's.
pub struct GrabbedFolio(NonNull<bindings::folio>);

impl GrabbedFolio {
    /// The one that has file position `pos`, to be changed. C: `__filemap_get_folio()` with
    /// `FGP_WRITEBEGIN`.
    pub(crate) fn of(inode: &Inode, pos: u64) -> Result<Self> {
        // SAFETY: The inode is valid, and so is its mapping.
        let folio = from_err_ptr(unsafe {
            let mapping = (*inode.as_raw()).i_mapping;
            bindings::__filemap_get_folio_mpol(
                mapping,
                (pos >> PAGE_SHIFT) as usize,
                bindings::RUST_MPAGE_FGP_WRITEBEGIN,
                (*mapping).gfp_mask,
                ptr::null_mut(),
            )
        })?;
        // INVARIANT: The folio is locked and referenced by the flags.
        NonNull::new(folio).map(Self).ok_or(ENOMEM)
    }

    /// Takes over a folio that was given away by [`Self::into_raw`].
    ///
    /// # Safety
    ///
    /// The type invariants must hold, and lock and reference must be the caller's.
    pub(in crate::abstractions) unsafe fn from_raw(folio: NonNull<bindings::folio>) -> Self {
        // INVARIANT: By the safety requirements.
        Self(folio)
    }

    /// Gives the folio, its lock and the reference to the caller.
    pub(in crate::abstractions) fn into_raw(self) -> NonNull<bindings::folio> {
        ManuallyDrop::new(self).0
    }

    /// Whether file position `pos` is in the folio.
    pub(crate) fn has(&self, pos: u64) -> bool {
        let offset = pos.checked_sub(self.position());
        offset.is_some_and(|offset| offset < self.size() as u64)
    }

    /// Makes who stores to the folio through a mapping from now on wait for its lock, in
    /// `page_mkwrite`. C: as in `pagecache_isize_extended()`.
    pub(crate) fn keep_stores_away(&self) {
        // SAFETY: The folio is locked and in its mapping by the type invariants. What was dirty in
        // the page tables of those who map it is dirty in the folio afterwards.
        unsafe {
            if bindings::folio_mkclean(self.as_raw()) != 0 {
                bindings::folio_mark_dirty(self.as_raw());
            }
        }
    }

    /// Zeroes the bytes of the folio that have these positions in the file.
    pub(crate) fn zero(&self, range: Range<u64>) {
        let size = self.size();
        let offset = |pos: u64| {
            let offset = pos.saturating_sub(self.position());
            usize::try_from(offset).map_or(size, |offset| offset.min(size))
        };
        let (start, end) = (offset(range.start), offset(range.end));
        if start < end {
            // SAFETY: The folio is locked, and the range in it.
            unsafe { bindings::rust_mpage_helper_folio_zero_segment(self.as_raw(), start, end) };
        }
    }

    /// Makes ready up to `len` bytes from file position `pos` on to be changed, as many as the folio
    /// has: blocks that are not covered wholly are read, missing ones allocated.
    ///
    /// # Errors
    ///
    /// What `get_block` says; `EIO` if a block cannot be read.
    ///
    /// C: `__block_write_begin()`.
    pub(crate) fn make_ready(&self, pos: u64, len: u32, get_block: GetBlockFn) -> Result {
        let left = (self.position() + self.size() as u64).saturating_sub(pos);
        let len = u32::try_from(left).map_or(len, |left| len.min(left));
        // SAFETY: The folio is locked, and `len` bytes are in it; `get_block` may be called for its
        // inode by the invariants of `GetBlockFn`.
        to_result(unsafe {
            bindings::__block_write_begin(
                self.as_raw(),
                pos as bindings::loff_t,
                len,
                get_block.as_raw(),
            )
        })
    }

    /// Marks what was copied to a folio that [`Self::make_ready`] has made ready for `len` bytes at
    /// `pos` valid and dirty. Returns how many bytes count, perhaps fewer than `copied`.
    ///
    /// C: `block_write_end()`.
    pub(crate) fn commit(&self, pos: u64, len: u32, copied: u32) -> u32 {
        // SAFETY: The folio is locked, and has buffers. The result is between 0 and `copied`.
        unsafe {
            bindings::block_write_end(pos as bindings::loff_t, len, copied, self.as_raw()) as u32
        }
    }

    /// Zeroes the rest of the block that file position `from` is in and marks it dirty, if the file
    /// has the block; reads it before, if it is not there. `from` is in the folio.
    ///
    /// # Errors
    ///
    /// What `get_block` says; `EIO` if the block cannot be read.
    pub(crate) fn zero_block_from(
        &self,
        inode: &Inode,
        from: u64,
        get_block: GetBlockFn,
    ) -> Result {
        let block_end = (from | !(u64::MAX << inode.block_bits())).saturating_add(1);
        let bh = self.buffer(inode, from);
        // SAFETY: The buffers of a locked folio stay as they are, and nobody else maps them; the
        // inode is referenced, and one that the function is for.
        unsafe {
            if !bindings::rust_mpage_helper_buffer_mapped(bh) {
                let map = get_block.as_raw().ok_or(EIO)?;
                to_result(map(inode.as_raw(), from >> inode.block_bits(), bh, 0))?;
                if !bindings::rust_mpage_helper_buffer_mapped(bh) {
                    // A hole: there is nothing that could be seen.
                    return Ok(());
                }
            }
            if self.is_uptodate() {
                bindings::rust_mpage_helper_set_buffer_uptodate(bh);
            }
            let read = bindings::rust_mpage_helper_bh_read(bh);
            if read < 0 {
                return to_result(read);
            }
        }
        self.zero(from..block_end);
        // SAFETY: The buffer is valid and uptodate.
        unsafe { bindings::rust_mpage_helper_mark_buffer_dirty(bh) };
        Ok(())
    }

    /// The buffer of the block that file position `pos` is in; makes buffers if there are none.
    fn buffer(&self, inode: &Inode, pos: u64) -> *mut bindings::buffer_head {
        let bits = inode.block_bits();
        // SAFETY: The folio is locked, so its buffers are a ring that stays as it is; it has one
        // for each block. create_empty_buffers() does not fail.
        unsafe {
            let mut bh = bindings::rust_mpage_helper_folio_buffers(self.as_raw());
            if bh.is_null() {
                bh = bindings::create_empty_buffers(self.as_raw(), 1 << bits, 0);
            }
            for _ in 0..pos.saturating_sub(self.position()) >> bits {
                bh = (*bh).b_this_page;
            }
            bh
        }
    }
}

impl Deref for GrabbedFolio {
    type Target = Folio;

    #[inline(always)]
    fn deref(&self) -> &Folio {
        // SAFETY: By the type invariants the folio is locked, and so stays in its mapping.
        unsafe { Folio::from_raw(self.0.as_ptr()) }
    }
}

impl Drop for GrabbedFolio {
    /// Unlocks the folio and puts it.
    fn drop(&mut self) {
        // SAFETY: Lock and reference are ours by the type invariants.
        unsafe {
            bindings::folio_unlock(self.0.as_ptr());
            bindings::rust_mpage_helper_folio_put(self.0.as_ptr());
        }
    }
}

/// The folios of a write, from its begin to its end.
pub struct BegunWrite {
    /// Where the data goes: made ready.
    pub(crate) folio: GrabbedFolio,
    /// The folio with the file's old end, if there is a gap behind that and it is another folio.
    pub(crate) old_end: Option<GrabbedFolio>,
}
