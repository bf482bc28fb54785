// SPDX-License-Identifier: GPL-2.0

//! Folios that are under writeback, for whoever ends that.
//!
//! C header: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)
//!
//! Locks: none; the end may come in interrupt context.

use super::Folio;
use crate::bindings;
use core::{
    mem::ManuallyDrop,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::error::{
    code::EIO,
    Result, //
};

/// A folio that is under writeback.
///
/// # Invariants
///
/// The folio is under writeback, which also keeps it in its mapping, and this value owns the end
/// of that.
#[must_use = "the writeback ends with an error"]
pub(in crate::abstractions) struct WritingFolio(NonNull<bindings::folio>);

// SAFETY: Writeback may be ended by anybody, in any context.
unsafe impl Send for WritingFolio {}
// SAFETY: A shared reference allows what `Folio` allows.
unsafe impl Sync for WritingFolio {}

impl WritingFolio {
    /// Takes over the duty to end the writeback of a folio.
    ///
    /// # Safety
    ///
    /// The folio must be under writeback, and nobody else may end that.
    pub(in crate::abstractions) unsafe fn from_raw(folio: *mut bindings::folio) -> Self {
        // SAFETY: A valid folio is not at address 0. INVARIANT: By the safety requirements.
        Self(unsafe { NonNull::new_unchecked(folio) })
    }

    /// Ends the writeback, and records an error for the file if it has failed.
    /// C: `folio_end_writeback()`.
    pub(in crate::abstractions) fn end(self, result: Result) {
        let folio = ManuallyDrop::new(self).0.as_ptr();
        if let Err(error) = result {
            // SAFETY: The folio is in its mapping by the type invariants.
            unsafe {
                let mapping = (*folio).__bindgen_anon_1.__bindgen_anon_1.mapping;
                bindings::rust_mpage_helper_mapping_set_error(mapping, error.to_errno());
            }
        }
        // SAFETY: The end is ours by the type invariants.
        unsafe { bindings::folio_end_writeback(folio) };
    }
}

impl Deref for WritingFolio {
    type Target = Folio;

    #[inline]
    fn deref(&self) -> &Folio {
        // SAFETY: By the type invariants the folio stays in its mapping.
        unsafe { Folio::from_raw(self.0.as_ptr()) }
    }
}

impl Drop for WritingFolio {
    /// Nobody has written the folio.
    fn drop(&mut self) {
        // SAFETY: The duty of `self`, which is going away, passes to the new value.
        unsafe { Self::from_raw(self.0.as_ptr()) }.end(Err(EIO));
    }
}
