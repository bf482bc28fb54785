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
    Folio,
    GetBlockFn, //
};
use crate::{
    abstractions::fs::Inode,
    bindings, //
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    error::{
        to_result,
        Error,
        Result, //
    },
    ffi::c_int, //
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

/// A request to write dirty folios of a file.
///
/// # Invariants
///
/// `wbc` and `mapping` are the arguments of a `writepages` operation that is running, for `'a`,
/// and nobody else uses `wbc`.
pub struct WritebackControl<'a> {
    wbc: NonNull<bindings::writeback_control>,
    mapping: NonNull<bindings::address_space>,
    _request: PhantomData<&'a mut bindings::writeback_control>,
}

impl<'a> WritebackControl<'a> {
    /// Takes over a request for `'a`.
    ///
    /// # Safety
    ///
    /// The arguments must be those of a `writepages` operation that is running, for `'a`, and the
    /// caller must not use `wbc` while the value lives.
    pub unsafe fn from_raw(
        mapping: *mut bindings::address_space,
        wbc: *mut bindings::writeback_control,
    ) -> Self {
        // INVARIANT: By the safety requirements.
        // SAFETY: The VFS passes valid pointers.
        unsafe {
            Self {
                wbc: NonNull::new_unchecked(wbc),
                mapping: NonNull::new_unchecked(mapping),
                _request: PhantomData,
            }
        }
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
        F: for<'w> FnMut(&'w WritebackControl<'a>, DirtyFolio<'w>) -> Result,
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
            // INVARIANT: writeback_iter() returns locked folios of the mapping whose dirty flag it
            // has cleared and which are not under writeback; the lock is passed on.
            let taken = DirtyFolio {
                folio: next,
                wbc: self.wbc,
                _request: PhantomData,
            };
            error = write(self, taken).map_or_else(Error::to_errno, |()| 0);
        }
    }

    /// Why the request is made.
    pub fn reason(&self) -> WritebackReason {
        // SAFETY: The request is valid by the type invariants.
        let wbc = unsafe { self.wbc.as_ref() };
        if wbc.sync_mode == bindings::writeback_sync_modes_WB_SYNC_ALL {
            WritebackReason::Integrity
        } else if wbc.for_background() != 0 {
            WritebackReason::Memory
        } else {
            WritebackReason::Other
        }
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
/// - `wbc` is the request that picked it, valid for `'w`.
pub struct DirtyFolio<'w> {
    folio: NonNull<bindings::folio>,
    wbc: NonNull<bindings::writeback_control>,
    _request: PhantomData<&'w ()>,
}

impl DirtyFolio<'_> {
    /// Gives the folio, its lock and the duty to write it to the caller.
    pub(crate) fn into_raw(self) -> NonNull<bindings::folio> {
        ManuallyDrop::new(self).folio
    }

    /// Zeroes the folio from byte `from` to its end. What is behind the end of the file may have
    /// been written through a mapping at any time, so this is due before each write.
    /// C: `folio_zero_segment()`.
    pub fn zero_from(&self, from: usize) {
        let size = self.size();
        if from < size {
            // SAFETY: The folio is locked; what is behind the end of the file has no reader.
            unsafe { bindings::rust_mpage_helper_folio_zero_segment(self.as_raw(), from, size) };
        }
    }

    /// Unlocks the folio without writing it: it is behind the end of the file, and truncation is
    /// about to remove it.
    pub fn forget(self) {
        let folio = self.into_raw();
        // SAFETY: The lock was ours.
        unsafe { bindings::folio_unlock(folio.as_ptr()) };
    }

    /// Writes the folio block by block through buffer_heads, creating them if it has none. The
    /// folio is unlocked, and under writeback until all is written.
    ///
    /// # Errors
    ///
    /// What `get_block` says, which is then recorded for the file, too; the blocks that it had
    /// mapped are being written.
    ///
    /// C: `block_write_full_folio()`, which is not exported.
    pub fn write_through_buffers(self, inode: &Inode, get_block: GetBlockFn) -> Result {
        let size = inode.size();
        if self.position() >= size {
            self.forget();
            return Ok(());
        }
        self.zero_from(usize::try_from(size - self.position()).unwrap_or(usize::MAX));
        let wbc = self.wbc.as_ptr();
        let folio = self.into_raw().as_ptr();
        // SAFETY: The folio is locked, not under writeback, and the lock is passed on; `inode` is
        // its host, for whose folios `get_block` may be called.
        to_result(unsafe {
            bindings::__block_write_full_folio(inode.as_raw(), folio, get_block.as_raw(), wbc)
        })
    }
}

impl Deref for DirtyFolio<'_> {
    type Target = Folio;

    #[inline(always)]
    fn deref(&self) -> &Folio {
        // SAFETY: By the type invariants the folio is locked, and so stays in its mapping.
        unsafe { Folio::from_raw(self.folio.as_ptr()) }
    }
}

impl Drop for DirtyFolio<'_> {
    /// Makes the folio dirty again and unlocks it: a later writeback will have it.
    /// C: `folio_redirty_for_writepage()`.
    fn drop(&mut self) {
        // SAFETY: By the type invariants.
        unsafe {
            bindings::folio_redirty_for_writepage(self.wbc.as_ptr(), self.folio.as_ptr());
            bindings::folio_unlock(self.folio.as_ptr());
        }
    }
}
