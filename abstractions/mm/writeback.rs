// SPDX-License-Identifier: GPL-2.0

//! Writeback: the request, and the dirty folios that it consists of.
//!
//! C headers: [`include/linux/writeback.h`](srctree/include/linux/writeback.h),
//! [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)
//!
//! A folio that writeback has picked is a value, [`DirtyFolio`]: locked, and with its dirty flag
//! cleared already, so that whoever has the value owes the write. The value ends in exactly one
//! way: a bio takes it, which starts the writeback; it goes through buffers; it is given up as
//! clean; or it is made dirty again, which is also what dropping it does. So no way out of a
//! function loses data.

use super::{
    buffer_states::{
        clean,
        give_up_unmapped, //
    },
    Buffers,
    ByteRange,
    Folio,
    FolioBlocks,
    GetBlockFn,
    WritingFolio, //
};
use crate::{
    abstractions::fs::{
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
        code::EINVAL,
        to_result,
        Error,
        Result, //
    },
    ffi::c_int,
    page::PAGE_SIZE, //
};

/// Who asked for the writeback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritebackReason {
    /// Somebody waits for all of it: `fsync(2)`, `sync(2)`, unmounting. C: `WB_SYNC_ALL`.
    Integrity,
    /// There is too much dirty memory. C: `for_background`.
    Memory,
    /// It is time, or somebody would like it to be written.
    Other,
}

/// A request to write dirty folios of a file of `I`.
///
/// # Invariants
///
/// `wbc` and `mapping` are the arguments of a `writepages` operation that is running, for `'a`,
/// and nobody else uses `wbc`. The mapping's host is `inode`.
pub struct WritebackControl<'a, I> {
    wbc: NonNull<bindings::writeback_control>,
    mapping: NonNull<bindings::address_space>,
    inode: &'a I,
    _request: PhantomData<&'a mut bindings::writeback_control>,
}

impl<'a, I: InodeType> WritebackControl<'a, I> {
    /// Takes over a request for `'a`.
    ///
    /// # Safety
    ///
    /// The arguments must be those of a `writepages` operation that is running, for `'a`, for an
    /// inode of `I`, and the caller must not use `wbc` while the value lives.
    pub unsafe fn from_raw(
        mapping: *mut bindings::address_space,
        wbc: *mut bindings::writeback_control,
    ) -> Self {
        // INVARIANT: By the safety requirements.
        // SAFETY:
        // - valid pointers are not at address 0, and such are the arguments of `writepages`;
        // - the mapping has a host, which is in use while it is written, for `'a`, and an `I` by
        //   the safety requirements.
        unsafe {
            Self {
                wbc: NonNull::new_unchecked(wbc),
                mapping: NonNull::new_unchecked(mapping),
                inode: I::from_raw((*mapping).host),
                _request: PhantomData,
            }
        }
    }
}

impl<'a, I> WritebackControl<'a, I> {
    /// The inode of the file.
    #[inline]
    pub fn inode(&self) -> &'a I {
        self.inode
    }

    /// The C pointer.
    pub(crate) fn as_raw(&self) -> *mut bindings::writeback_control {
        self.wbc.as_ptr()
    }

    /// Hands the dirty folios of the request to `write`, in file order, until all are written, or
    /// as many as were asked for; if nobody waits for the writeback, also until one has failed.
    ///
    /// # Errors
    ///
    /// The first error of `write`.
    ///
    /// C: `writeback_iter()`.
    pub fn for_each<F>(&mut self, mut write: F) -> Result
    where
        F: FnMut(&WritebackControl<'a, I>, DirtyFolio<'a, I>) -> Result,
    {
        let mut folio = ptr::null_mut();
        let mut error: c_int = 0;
        loop {
            // SAFETY: The request is valid and ours by the type invariants; `folio` is what the
            // call before returned, and is in the request's batch still.
            folio = unsafe {
                bindings::writeback_iter(self.mapping.as_ptr(), self.as_raw(), folio, &mut error)
            };
            let Some(next) = NonNull::new(folio) else {
                return to_result(error);
            };
            // SAFETY: writeback_iter() returns locked folios of the mapping whose dirty flag it
            // has cleared and which are not under writeback; the lock is passed on.
            let taken = unsafe { DirtyFolio::from_raw(self, next) };
            error = write(self, taken).map_or_else(Error::to_errno, |()| 0);
        }
    }

    /// Why the request is made.
    pub fn reason(&self) -> WritebackReason {
        let wbc = self.as_raw();
        // SAFETY: The request is valid by the type invariants.
        let (mode, background) = unsafe {
            (
                (*wbc).sync_mode,
                bindings::writeback_control::for_background_raw(wbc),
            )
        };
        if mode == bindings::writeback_sync_modes_WB_SYNC_ALL {
            WritebackReason::Integrity
        } else if background != 0 {
            WritebackReason::Memory
        } else {
            WritebackReason::Other
        }
    }

    /// Behind the last byte of the file that the request is about.
    pub fn range_end(&self) -> u64 {
        self.range().end
    }

    /// The bytes of the file that the request is about.
    pub fn range(&self) -> Range<u64> {
        let wbc = self.as_raw();
        // SAFETY: The request is valid by the type invariants.
        let (cyclic, start, end) = unsafe {
            (
                bindings::writeback_control::range_cyclic_raw(wbc),
                (*wbc).range_start,
                (*wbc).range_end,
            )
        };
        if cyclic != 0 {
            0..u64::MAX
        } else {
            start as u64..(end as u64).saturating_add(1)
        }
    }

    /// The same request, for one who may have to go over the pages once more.
    pub fn again(&mut self) -> WritebackControl<'_, I> {
        // INVARIANT: As of `self`, which nobody uses meanwhile.
        WritebackControl {
            wbc: self.wbc,
            mapping: self.mapping,
            inode: self.inode,
            _request: PhantomData,
        }
    }

    /// Pages that the request still wants to be written; all of them if somebody waits for it.
    pub fn pages_wanted(&self) -> u64 {
        match self.reason() {
            WritebackReason::Integrity => u64::MAX,
            // SAFETY: The request is valid by the type invariants.
            _ => unsafe { (*self.as_raw()).nr_to_write }.max(0) as u64,
        }
    }

    /// Pages that the file has in the cache.
    pub fn pages_cached(&self) -> u64 {
        // SAFETY: The mapping is valid by the type invariants; C reads the field without a lock.
        unsafe { ptr::addr_of!((*self.mapping.as_ptr()).nrpages).read_volatile() as u64 }
    }

    /// Records an error for the file: every `fsync(2)` of a file that is open now reports it once.
    /// C: `mapping_set_error()`.
    pub fn record_error(&self, error: Error) {
        // SAFETY: The mapping is valid by the type invariants.
        unsafe {
            bindings::rust_mpage_helper_mapping_set_error(self.mapping.as_ptr(), error.to_errno())
        };
    }
}

/// A locked folio that writeback has picked.
///
/// # Invariants
///
/// - The folio is locked and this value owns the lock, which also keeps the folio in its mapping.
/// - It is not under writeback. Its dirty flag was cleared for this writeback, so this value owes
///   the write.
/// - `wbc` is the request that picked it, for `'w`, and the mapping's host is `inode`.
#[must_use = "it is made dirty again and unlocked"]
pub struct DirtyFolio<'w, I> {
    folio: NonNull<bindings::folio>,
    wbc: NonNull<bindings::writeback_control>,
    inode: &'w I,
}

impl<I: InodeType> DirtyFolio<'_, I> {
    /// Zeroes what of the folio is behind the end of the file, which is at byte `file_size` of it.
    /// C: `folio_zero_segment()`.
    pub(crate) fn zero_behind(&self, file_size: u64) {
        self.zero_from(file_size, self.size());
    }

    /// As [`Self::zero_behind`], in the page with the end only. That may have been written through
    /// a mapping at any time, so this is due before each write; pages behind it cannot have been.
    pub(crate) fn zero_page_behind(&self, file_size: u64) {
        self.zero_from(file_size, PAGE_SIZE);
    }

    /// Zeroes what is behind file position `pos`, up to the next multiple of `unit` bytes.
    fn zero_from(&self, pos: u64, unit: usize) {
        let size = self.size();
        let offset = usize::try_from(pos.saturating_sub(self.position()));
        if let Some(from) = offset.ok().filter(|from| *from < size) {
            let end = from.next_multiple_of(unit).min(size);
            // SAFETY: The folio is locked; what is behind the end of the file has no reader.
            unsafe { bindings::rust_mpage_helper_folio_zero_segment(self.as_raw(), from, end) };
        }
    }

    /// The size of the file.
    pub(in crate::abstractions) fn file_size(&self) -> u64 {
        let inode: &Inode = self.inode.as_ref();
        inode.size()
    }

    /// Writes the folio block by block through buffer_heads, creating them if it has none. The
    /// folio is unlocked, and under writeback until all is written.
    ///
    /// # Errors
    ///
    /// `EINVAL` if folios of the file have no buffers; it is as it was then. What `get_block` says,
    /// which is then recorded for the file, too; the blocks that it had mapped are being written.
    ///
    /// C: `block_write_full_folio()`, which is not exported.
    pub fn write_through_buffers(self, get_block: GetBlockFn<I>) -> Result {
        if !self.may_have_buffers() {
            return Err(EINVAL);
        }
        let file_size = self.file_size();
        if self.position() >= file_size {
            self.forget();
            return Ok(());
        }
        self.zero_behind(file_size);
        let (wbc, host) = (self.wbc.as_ptr(), self.host());
        let folio = self.into_raw().as_ptr();
        // SAFETY: The folio is locked, not under writeback, and the lock is passed on; `get_block`
        // may be called for its host, which is one of `I`.
        to_result(unsafe {
            bindings::__block_write_full_folio(host, folio, get_block.as_raw(), wbc)
        })
    }
}

impl<'w, I> DirtyFolio<'w, I> {
    /// Takes over a folio that was picked for `request`, and its lock.
    ///
    /// # Safety
    ///
    /// The type invariants must hold, and the caller must not use the lock any more.
    pub(crate) unsafe fn from_raw(
        request: &WritebackControl<'w, I>,
        folio: NonNull<bindings::folio>,
    ) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            folio,
            wbc: request.wbc,
            inode: request.inode,
        }
    }

    /// Gives the folio, its lock and the duty to write it to the caller.
    pub(crate) fn into_raw(self) -> NonNull<bindings::folio> {
        ManuallyDrop::new(self).folio
    }

    /// The blocks of the folio; [`None`] if folios of the file have buffer_heads.
    pub fn blocks(&self) -> Option<FolioBlocks<'_>> {
        // SAFETY: The folio is locked while it is borrowed.
        unsafe { (**self).blocks_without_buffers() }
    }

    /// Unlocks the folio without writing it, for there is nothing in it to be written.
    pub(crate) fn end_clean(self) {
        let folio = self.into_raw().as_ptr();
        // What the mapping knows of dirty folios is put right when writeback starts.
        //
        // SAFETY:
        // - the folio is locked and not under writeback by the type invariants;
        // - the lock is ours, and passed on;
        // - the writeback that is started here is nobody else's to end.
        let writing = unsafe {
            bindings::rust_mpage_helper_folio_start_writeback(folio);
            bindings::folio_unlock(folio);
            WritingFolio::from_raw(folio)
        };
        writing.end(Ok(()));
    }

    /// Unlocks the folio without writing it: it is behind the end of the file, and truncation is
    /// about to remove it.
    pub(crate) fn forget(self) {
        let folio = self.into_raw();
        // SAFETY: The lock was ours.
        unsafe { bindings::folio_unlock(folio.as_ptr()) };
    }

    /// Starts the writeback: from here on the folio counts as being written, until somebody ends
    /// that. Charges the bytes to the cgroup that made the folio dirty, once.
    /// C: `folio_start_writeback()`, `wbc_account_cgroup_owner()`.
    pub(in crate::abstractions) fn start_writeback(self) -> StartedFolio<'w, I> {
        let (wbc, size) = (self.wbc, self.size());
        let folio = self.into_raw();
        // SAFETY:
        // - the request is the one that picked the folio, by the type invariants;
        // - the folio is locked and not under writeback by the type invariants.
        unsafe {
            bindings::rust_mpage_helper_wbc_account_cgroup_owner(
                wbc.as_ptr(),
                folio.as_ptr(),
                size,
            );
            bindings::rust_mpage_helper_folio_start_writeback(folio.as_ptr());
        }
        // INVARIANT: The lock is passed on.
        StartedFolio {
            folio,
            wbc,
            _request: PhantomData,
        }
    }
}

impl<I> Deref for DirtyFolio<'_, I> {
    type Target = Folio;

    #[inline]
    fn deref(&self) -> &Folio {
        // SAFETY: By the type invariants the folio is locked, and so stays in its mapping.
        unsafe { Folio::from_raw(self.folio.as_ptr()) }
    }
}

impl<I> Drop for DirtyFolio<'_, I> {
    /// Makes the folio dirty again and unlocks it: a later writeback will have it.
    /// C: `folio_redirty_for_writepage()`.
    fn drop(&mut self) {
        // SAFETY:
        // - the request is the one that picked the folio, which is locked, by the type invariants;
        // - the lock is ours to release by the type invariants.
        unsafe {
            bindings::folio_redirty_for_writepage(self.wbc.as_ptr(), self.folio.as_ptr());
            bindings::folio_unlock(self.folio.as_ptr());
        }
    }
}

/// A locked folio that is under writeback.
///
/// # Invariants
///
/// - The folio is locked and this value owns the lock.
/// - It is under writeback, which somebody else ends, at any time.
/// - `wbc` is the request that picked it, and the mapping's host an inode of `I` that is in use,
///   for `'w`.
#[must_use = "the folio is unlocked"]
pub(in crate::abstractions) struct StartedFolio<'w, I> {
    folio: NonNull<bindings::folio>,
    wbc: NonNull<bindings::writeback_control>,
    _request: PhantomData<&'w I>,
}

impl<'w, I> StartedFolio<'w, I> {
    /// Makes the folio dirty: not all of it is being written.
    pub(in crate::abstractions) fn redirty(&self) {
        // SAFETY: The request is the one that picked the folio, which is locked, by the type
        // invariants.
        unsafe { bindings::folio_redirty_for_writepage(self.wbc.as_ptr(), self.folio.as_ptr()) };
    }

    /// The buffers of the folio. None if it has none.
    pub(in crate::abstractions) fn buffers(&self) -> Buffers<'_, 'w> {
        // SAFETY: The folio is locked while it is borrowed, and its host in use for `'w`, by the
        // type invariants.
        unsafe { Buffers::of(self) }
    }

    /// The blocks of the folio; [`None`] if folios of the file have buffer_heads.
    pub(in crate::abstractions) fn blocks(&self) -> Option<FolioBlocks<'_>> {
        // SAFETY: The folio is locked while it is borrowed.
        unsafe { (**self).blocks_without_buffers() }
    }

    /// Gives up the data that has no block.
    pub(in crate::abstractions) fn give_up_unmapped(&self) {
        // SAFETY: The folio is locked by the type invariants.
        unsafe { give_up_unmapped(self, 0) };
    }

    /// Has the blocks of a range of the folio clean: a bio has them, and goes out after this.
    pub(in crate::abstractions) fn clean(&self, range: ByteRange) {
        if self.has_private() {
            // SAFETY: The folio is locked by the type invariants.
            unsafe { clean(self, range.start, range.len) };
        }
    }
}

impl<I> Deref for StartedFolio<'_, I> {
    type Target = Folio;

    #[inline]
    fn deref(&self) -> &Folio {
        // SAFETY: By the type invariants the folio is locked, and so stays in its mapping.
        unsafe { Folio::from_raw(self.folio.as_ptr()) }
    }
}

impl<I> Drop for StartedFolio<'_, I> {
    /// Unlocks the folio.
    fn drop(&mut self) {
        // SAFETY: By the type invariants the lock is ours to release.
        unsafe { bindings::folio_unlock(self.folio.as_ptr()) };
    }
}
