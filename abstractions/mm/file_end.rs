// SPDX-License-Identifier: GPL-2.0

//! The end of a file, and what is behind it in its last page.
//!
//! C headers: [`include/linux/mm.h`](srctree/include/linux/mm.h),
//! [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)
//!
//! A mapping of a file shows whole pages, so anybody can store something behind the end, and the
//! last block on the disk may have anything there. None of it is the file's, also not when the file
//! grows. So an end moves on only through here: [`OldEnd`] has the page with the old end locked,
//! zeroed behind it, and taken from those who could store to it, from before the size changes until
//! after that. A store that comes later waits for the lock and finds the new size.
//!
//! C zeroes when the size has changed, in `pagecache_isize_extended()`: only what is in memory, only
//! where blocks are smaller than pages, and a store in between is lost.
//!
//! Locks: the lock of the folio with the old end, in front of that of any folio behind it in the
//! file; `i_rwsem` is held by the caller.

use super::Folio;
use crate::{
    abi,
    abstractions::fs::Inode,
    bindings,
    mpage::BlockMapper, //
};
use core::{
    mem::ManuallyDrop,
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    error::{
        code::{
            EFBIG,
            EIO,
            ENOMEM, //
        },
        from_err_ptr,
        to_result,
        Result, //
    },
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
};

/// Zeroes the rest of the block that file position `from` is in, if the file has that block. To be
/// called before the file is cut at `from`, with its `i_rwsem` held.
///
/// # Errors
///
/// If the block has to be read and cannot be; the mapper's.
///
/// C: `block_truncate_page()`, which finds the wrong block in a large folio.
pub fn truncate_tail<M: BlockMapper>(_mapper: M, inode: &M::Inode, from: u64) -> Result {
    if is_block_end(inode.as_ref(), from) {
        return Ok(());
    }
    GrabbedFolio::of(inode.as_ref(), from)?.zero_block_from::<M>(inode, from)
}

/// Moves the end of a file on to `size`, with zeros behind the old end. Nothing happens if the file
/// is not smaller. To be called with `i_rwsem` held.
///
/// # Errors
///
/// As of [`OldEnd::clear`]; `EFBIG` if no file can be so large.
pub(in crate::abstractions) fn extend<M: BlockMapper>(
    _mapper: M,
    inode: &M::Inode,
    size: u64,
) -> Result {
    if size > i64::MAX as u64 {
        return Err(EFBIG);
    }
    let _old_end = OldEnd::clear::<M>(inode, size)?;
    let inode = inode.as_ref();
    if size > inode.size() {
        // SAFETY: The inode is valid, the size is checked, and the old end is ready for it.
        unsafe {
            bindings::rust_mpage_helper_i_size_write(inode.as_raw(), size as bindings::loff_t)
        };
    }
    Ok(())
}

/// The last byte of a block, as a mask.
fn block_mask(inode: &Inode) -> u64 {
    !(u64::MAX << inode.block_bits())
}

/// Whether a block of the file ends at file position `pos`.
fn is_block_end(inode: &Inode, pos: u64) -> bool {
    pos & block_mask(inode) == 0
}

/// The end of a file that is about to move on.
///
/// # Invariants
///
/// The folio has the page of the file in which the end is. In that page there are zeros behind the
/// end, which are dirty if the file has a block for them, and no mapping can store to it without
/// waiting for the folio's lock.
pub(crate) struct OldEnd(GrabbedFolio);

impl OldEnd {
    /// Makes the end of a file ready to move on, if it is in front of file position `pos` and not
    /// at the end of a page. `i_rwsem` is held.
    ///
    /// # Errors
    ///
    /// If the last block has to be read and cannot be; the mapper's; `ENOMEM`.
    pub(crate) fn clear<M: BlockMapper>(inode: &M::Inode, pos: u64) -> Result<Option<Self>> {
        let size = inode.as_ref().size();
        if pos <= size || size % PAGE_SIZE as u64 == 0 {
            return Ok(None);
        }
        let folio = GrabbedFolio::of(inode.as_ref(), size)?;
        folio.keep_stores_away();
        if !is_block_end(inode.as_ref(), size) {
            folio.zero_block_from::<M>(inode, size)?;
        }
        // The blocks behind it: the file has none there, but the page may.
        folio.zero(size, PAGE_SIZE as u64 - 1);
        // INVARIANT: As just made.
        Ok(Some(Self(folio)))
    }

    /// The folio, if file position `pos` is in it.
    pub(crate) fn into_folio_of(self, pos: u64) -> Result<GrabbedFolio, Self> {
        if pos - self.0.position() < self.0.size() as u64 {
            Ok(self.0)
        } else {
            Err(self)
        }
    }

    /// Gives the folio, its lock and the reference to the caller.
    pub(crate) fn into_raw(self) -> NonNull<bindings::folio> {
        self.0.into_raw()
    }
}

/// A folio of the cache, found or made.
///
/// # Invariants
///
/// The folio is locked and in its mapping; lock and a reference are the value's.
pub(crate) struct GrabbedFolio(NonNull<bindings::folio>);

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

    /// Takes over a folio that was given away by [`Self::into_raw`] or [`OldEnd::into_raw`].
    ///
    /// # Safety
    ///
    /// The type invariants must hold, and lock and reference must be the caller's.
    pub(crate) unsafe fn from_raw(folio: NonNull<bindings::folio>) -> Self {
        // INVARIANT: By the safety requirements.
        Self(folio)
    }

    /// Gives the folio, its lock and the reference to the caller.
    pub(crate) fn into_raw(self) -> NonNull<bindings::folio> {
        ManuallyDrop::new(self).0
    }

    /// Makes who stores to the folio through a mapping from now on wait for its lock, in
    /// `page_mkwrite`. C: as in `pagecache_isize_extended()`.
    fn keep_stores_away(&self) {
        // SAFETY: The folio is locked and in its mapping by the type invariants. What was dirty in
        // the page tables of those who map it is dirty in the folio afterwards.
        unsafe {
            if bindings::folio_mkclean(self.as_raw()) != 0 {
                bindings::folio_mark_dirty(self.as_raw());
            }
        }
    }

    /// Zeroes the folio from file position `from`, which is in it and where the file ends, to the
    /// end of the block or page, whose last byte is the `mask`.
    fn zero(&self, from: u64, mask: u64) {
        let start = (from - self.position()) as usize;
        let end = ((from | mask) - self.position()) as usize + 1;
        // SAFETY: The folio is locked. It consists of whole pages and blocks, so the range is in it.
        unsafe { bindings::rust_mpage_helper_folio_zero_segment(self.as_raw(), start, end) };
    }

    /// Zeroes the rest of the block that file position `from` is in and marks it dirty, if the file
    /// has the block; reads it before, if it is not there. `from` is in the folio.
    fn zero_block_from<M: BlockMapper>(&self, inode: &M::Inode, from: u64) -> Result {
        let inode = inode.as_ref();
        let offset = (from - self.position()) as usize;
        let bh = self.buffer(inode, offset);
        // SAFETY: The buffers of a locked folio stay as they are, and nobody else maps them; the
        // inode is referenced and one of `M::Inode`, which is what the function is for.
        unsafe {
            if !bindings::rust_mpage_helper_buffer_mapped(bh) {
                let map = abi::get_block_of::<M>().as_raw().ok_or(EIO)?;
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
        self.zero(from, block_mask(inode));
        // SAFETY: The buffer is valid and uptodate.
        unsafe { bindings::mark_buffer_dirty(bh) };
        Ok(())
    }

    /// The buffer of byte `offset` of the folio; makes buffers if it has none.
    fn buffer(&self, inode: &Inode, offset: usize) -> *mut bindings::buffer_head {
        let bits = inode.block_bits();
        // SAFETY: The folio is locked, so its buffers are a ring that stays as it is; it has one
        // for each block. create_empty_buffers() does not fail.
        unsafe {
            let mut bh = bindings::rust_mpage_helper_folio_buffers(self.as_raw());
            if bh.is_null() {
                bh = bindings::create_empty_buffers(self.as_raw(), 1 << bits, 0);
            }
            for _ in 0..offset >> bits {
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
