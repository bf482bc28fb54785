// SPDX-License-Identifier: GPL-2.0

//! Folios of the cache whose contents are changed.
//!
//! C headers: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h),
//! [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)
//!
//! Locks: a [`GrabbedFolio`] is locked. The blocks are asked for with the lock held.

use super::{
    ByteRange,
    Folio,
    GetBlockFn, //
};
use crate::{
    abstractions::fs::{
        ExclusiveInode,
        Inode,
        InodeType, //
    },
    bindings,
};
use core::{
    marker::PhantomData,
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
            EINVAL,
            EIO,
            ENOMEM, //
        },
        from_err_ptr,
        to_result,
        Result, //
    },
    page::PAGE_SHIFT,
};

/// The mapping of an inode whose pages there are operations for.
///
/// `EINVAL` if there are none, as of special files: what is kept of a page would be kept for good.
fn mapping_of<I: InodeType>(inode: &ExclusiveInode<'_, I>) -> Result<*mut bindings::address_space> {
    let plain: &Inode = inode.inode().as_ref();
    // SAFETY: The inode is valid, and so are its mapping and the table of that.
    unsafe {
        let mapping = (*plain.as_raw()).i_mapping;
        match (*(*mapping).a_ops).invalidate_folio {
            Some(_) => Ok(mapping),
            None => Err(EINVAL),
        }
    }
}

/// A folio of the cache of an inode of `I`, found or made.
///
/// # Invariants
///
/// The folio is locked and in its mapping; lock and a reference are the value's. The mapping's host
/// is an inode of `I` that is an [`ExclusiveInode`] for `'i`.
#[must_use = "the folio is unlocked"]
pub struct GrabbedFolio<'i, I>(NonNull<bindings::folio>, PhantomData<&'i I>);

impl<'i, I: InodeType> GrabbedFolio<'i, I> {
    /// The one that has file position `pos`, to be changed.
    pub(crate) fn of(inode: &ExclusiveInode<'i, I>, pos: u64) -> Result<Self> {
        Self::sized(inode, pos, 0, false)
    }

    /// The one that has file position `pos`, if it is in the cache, larger than a page, and begins
    /// in front of `pos`.
    pub(crate) fn cached(inode: &ExclusiveInode<'i, I>, pos: u64) -> Option<Self> {
        let index = pos.checked_sub(1)? >> PAGE_SHIFT;
        let mapping = mapping_of(inode).ok()?;
        // SAFETY: The mapping is that of a valid inode.
        let folio =
            unsafe { bindings::rust_mpage_helper_get_cached_folio(mapping, index as usize) };
        // INVARIANT: Locked and referenced by the helper, and in the mapping.
        let folio = Self(NonNull::new(folio)?, PhantomData);
        folio.has(pos).then_some(folio)
    }

    /// As [`Self::of`]; if there is none yet, one of up to `size` bytes is made. C:
    /// `__filemap_get_folio()` with `FGP_WRITEBEGIN` and `fgf_set_order()`, and `FGP_DONTCACHE` if
    /// it `drops_behind`.
    ///
    /// `ENOMEM`; `EINVAL` if the file has no pages.
    #[inline]
    pub(crate) fn sized(
        inode: &ExclusiveInode<'i, I>,
        pos: u64,
        size: usize,
        drops_behind: bool,
    ) -> Result<Self> {
        let mapping = mapping_of(inode)?;
        // SAFETY: The mapping is that of a valid inode.
        let folio = from_err_ptr(unsafe {
            let index = (pos >> PAGE_SHIFT) as usize;
            bindings::rust_mpage_helper_get_folio_to_write(mapping, index, size, drops_behind)
        })?;
        // INVARIANT: The folio is locked and referenced by the flags.
        let folio = NonNull::new(folio).ok_or(ENOMEM)?;
        Ok(Self(folio, PhantomData))
    }

    /// The inode whose mapping the folio is in.
    #[inline]
    pub(crate) fn inode(&self) -> &'i I {
        // SAFETY: The host is one of `I`, and in use for that long, by the type invariants.
        unsafe { I::from_raw(self.host()) }
    }

    /// Whether file position `pos` is in the folio.
    #[inline]
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
        self.zero_bytes(ByteRange {
            start,
            len: end.saturating_sub(start),
        });
    }

    /// Zeroes bytes of the folio.
    pub(super) fn zero_bytes(&self, range: ByteRange) {
        let end = range.end().min(self.size());
        if range.start < end {
            // SAFETY: The folio is locked, and the range in it.
            unsafe {
                bindings::rust_mpage_helper_folio_zero_segment(self.as_raw(), range.start, end)
            };
        }
    }

    /// Zeroes the rest of the block that file position `from` is in and marks it dirty, if the file
    /// has the block; reads it before, if it is not there.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the folio does not have `from`; what `get_block` says; `EIO` if the block cannot
    /// be read.
    pub(crate) fn zero_block_from(&self, from: u64, get_block: GetBlockFn<I>) -> Result {
        if !self.has(from) {
            return Err(EINVAL);
        }
        let inode: &Inode = self.inode().as_ref();
        let block_end = (from | !(u64::MAX << inode.block_bits())).saturating_add(1);
        let bh = self.buffer(inode, from);
        // SAFETY:
        // - the folio is locked, so its buffers stay;
        // - `get_block` may be called for the folio's inode, and for a buffer that nobody else
        //   maps;
        // - a buffer of an uptodate folio is uptodate;
        // - what is read is mapped.
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
        // SAFETY:
        // - the folio is valid and locked, and who has the lock may make buffers if there are none;
        //   that does not fail;
        // - they are a ring that stays as it is while the folio is locked.
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

impl<I> GrabbedFolio<'_, I> {
    /// Gives the folio, its lock and the reference to the caller.
    fn into_raw(self) -> NonNull<bindings::folio> {
        ManuallyDrop::new(self).0
    }
}

impl<I> Deref for GrabbedFolio<'_, I> {
    type Target = Folio;

    #[inline]
    fn deref(&self) -> &Folio {
        // SAFETY: By the type invariants the folio is locked, and so stays in its mapping.
        unsafe { Folio::from_raw(self.0.as_ptr()) }
    }
}

impl<I> Drop for GrabbedFolio<'_, I> {
    /// Unlocks the folio and puts it.
    #[inline]
    fn drop(&mut self) {
        // SAFETY:
        // - the lock is ours to release by the type invariants;
        // - so is the reference, which has kept the folio until here.
        unsafe {
            bindings::folio_unlock(self.0.as_ptr());
            bindings::rust_mpage_helper_folio_put(self.0.as_ptr());
        }
    }
}

/// A folio of which a range is ready to be changed.
///
/// # Invariants
///
/// In the blocks of the folio that `len` bytes at file position `pos` touch, what these do not
/// cover is valid; and the blocks have places on the disk, which buffers know.
#[must_use = "nothing is written to it"]
pub(crate) struct ReadyFolio<'i, I> {
    folio: GrabbedFolio<'i, I>,
    pos: u64,
    len: u32,
}

impl<'i, I: InodeType> ReadyFolio<'i, I> {
    /// Makes ready up to `len` bytes from file position `pos` on, as many as the folio has: blocks
    /// that are not covered wholly are read, missing ones allocated.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the folio does not have `pos`; what `get_block` says; `EIO` if a block cannot be
    /// read.
    ///
    /// C: `__block_write_begin()`.
    pub(crate) fn new(
        folio: GrabbedFolio<'i, I>,
        pos: u64,
        len: u32,
        get_block: GetBlockFn<I>,
    ) -> Result<Self> {
        if !folio.has(pos) {
            return Err(EINVAL);
        }
        let left = (folio.position() + folio.size() as u64).saturating_sub(pos);
        let len = u32::try_from(left).map_or(len, |left| len.min(left));
        // SAFETY: The folio is locked, and `len` bytes at `pos` are in it; `get_block` may be
        // called for its inode, which is one of `I`.
        to_result(unsafe {
            bindings::__block_write_begin(
                folio.as_raw(),
                pos as bindings::loff_t,
                len,
                get_block.as_raw(),
            )
        })?;
        // INVARIANT: Made so just above.
        Ok(Self { folio, pos, len })
    }
}

/// The folios of a write that has begun.
#[must_use = "the write does not take place"]
pub struct BegunWrite<'i, I> {
    /// Where the data goes.
    pub(crate) folio: ReadyFolio<'i, I>,
    /// The folio with the file's old end, if there is a gap behind that and it is another folio.
    pub(crate) old_end: Option<GrabbedFolio<'i, I>>,
}

impl<I> BegunWrite<'_, I> {
    /// Gives the folios, their locks and references to the caller; the second one may be null.
    pub(in crate::abstractions) fn into_raw(
        self,
    ) -> (NonNull<bindings::folio>, *mut bindings::folio) {
        let old_end = self.old_end.map(GrabbedFolio::into_raw);
        (
            self.folio.folio.into_raw(),
            old_end.map_or(ptr::null_mut(), NonNull::as_ptr),
        )
    }
}

/// The folios of a write whose data is there.
///
/// # Invariants
///
/// `copied` bytes of the ready range have been written.
#[must_use = "what has been written does not count"]
pub struct EndedWrite<'i, I> {
    folio: ReadyFolio<'i, I>,
    old_end: Option<GrabbedFolio<'i, I>>,
    copied: u32,
}

impl<'i, I: InodeType> EndedWrite<'i, I> {
    /// Takes over the folios of a write of `len` bytes at `pos`, of which `copied` have been
    /// copied.
    ///
    /// # Safety
    ///
    /// The folios must come from [`BegunWrite::into_raw`] for a write of an inode of `I`, which is
    /// an [`ExclusiveInode`] for `'i`; locks and references are passed on. The rest must be as they
    /// are said to be.
    pub(in crate::abstractions) unsafe fn from_raw(
        folio: NonNull<bindings::folio>,
        old_end: *mut bindings::folio,
        (pos, len, copied): (u64, u32, u32),
    ) -> Self {
        let grabbed = |folio| GrabbedFolio(folio, PhantomData);
        // INVARIANT: By the safety requirements.
        Self {
            folio: ReadyFolio {
                folio: grabbed(folio),
                pos,
                len,
            },
            old_end: NonNull::new(old_end).map(grabbed),
            copied,
        }
    }

    /// The inode.
    pub(crate) fn inode(&self) -> ExclusiveInode<'i, I> {
        // SAFETY: By the type invariants of the folio.
        unsafe { ExclusiveInode::new(self.folio.folio.inode()) }
    }

    /// Marks what was written valid and dirty. Returns how many bytes of the write count, perhaps
    /// fewer than were copied, and where in the file they end. The folios stay locked.
    ///
    /// C: `block_write_end()`.
    pub(crate) fn commit(&mut self) -> (u32, u64) {
        let ReadyFolio { folio, pos, len } = &self.folio;
        // SAFETY: The folio is locked and its buffers are ready for `len` bytes at `pos`, of which
        // so many have been copied.
        let written = unsafe {
            bindings::block_write_end(*pos as bindings::loff_t, *len, self.copied, folio.as_raw())
        };
        // Nothing of it counts twice.
        self.copied = 0;
        // Between 0 and `copied`.
        (written as u32, pos.saturating_add(written as u64))
    }

    /// Unlocks the folios, that of the data first.
    pub(crate) fn unlock(self) {
        drop(self.folio);
        drop(self.old_end);
    }
}
