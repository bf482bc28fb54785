// SPDX-License-Identifier: GPL-2.0

//! Counted references to folios.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)
//!
//! Locks: none. Giving one back may free the folio.

use super::Folio;
use crate::bindings;
use core::ptr::NonNull;

/// A reference to a folio, which need not be locked, nor in a mapping any more.
///
/// # Invariants
///
/// The folio is valid, and `self` owns a reference to it.
#[must_use = "the reference is given back"]
pub(in crate::abstractions) struct FolioRef(NonNull<bindings::folio>);

impl FolioRef {
    /// One more reference to a folio. C: `folio_get()`.
    #[inline]
    pub(super) fn of(folio: &Folio) -> Self {
        // SAFETY: The folio is valid by its invariants.
        unsafe { bindings::rust_mpage_helper_folio_get(folio.as_raw()) };
        // INVARIANT: Taken just above.
        Self(NonNull::from(folio).cast())
    }

    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// The folio must be valid, and the reference the caller's.
    #[inline]
    pub(in crate::abstractions) unsafe fn from_raw(folio: NonNull<bindings::folio>) -> Self {
        // INVARIANT: By the safety requirements.
        Self(folio)
    }

    /// The C pointer.
    #[inline]
    pub(in crate::abstractions) fn as_raw(&self) -> *mut bindings::folio {
        self.0.as_ptr()
    }
}

impl Drop for FolioRef {
    /// C: `folio_put()`.
    fn drop(&mut self) {
        // SAFETY: The reference is ours by the type invariants, and given up here.
        unsafe { bindings::rust_mpage_helper_folio_put(self.0.as_ptr()) };
    }
}
