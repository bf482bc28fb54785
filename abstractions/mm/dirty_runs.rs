// SPDX-License-Identifier: GPL-2.0

//! Which blocks of a file are dirty in the page cache, of a file whose folios have no buffer_heads.
//!
//! C header: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)
//!
//! Locks: the lock of one folio at a time, which is not held when the answer is there: it may be
//! out of date at once.

use super::Folio;
use crate::{
    abstractions::fs::{
        Inode,
        InodeType, //
    },
    bindings, //
};
use core::{
    ops::Range,
    ptr::NonNull, //
};
use kernel::page::PAGE_SHIFT;

/// A folio that is locked, to be looked at.
///
/// # Invariants
///
/// The folio is locked and in a mapping whose folios have no buffer_heads; lock and a reference are
/// the value's.
#[must_use = "the folio is unlocked"]
struct SeenFolio(NonNull<bindings::folio>);

impl SeenFolio {
    /// The first one of these pages of a mapping that is dirty or being written: of such a folio
    /// the last blocks may get their places only while those in front are on their way to the disk.
    ///
    /// # Safety
    ///
    /// The mapping must be valid, and have no folios with buffer_heads.
    unsafe fn next(mapping: *mut bindings::address_space, pages: Range<usize>) -> Option<Self> {
        let last = pages.end.checked_sub(1)?;
        // SAFETY: By the safety requirements.
        let folio = unsafe {
            bindings::rust_mpage_helper_lock_next_unwritten_folio(mapping, pages.start, last)
        };
        // INVARIANT: Locked and referenced by the helper, and in the mapping.
        NonNull::new(folio).map(Self)
    }

    /// The first blocks of a range of the file that are dirty in the folio, and where the file's
    /// blocks behind the folio begin.
    fn dirty(&self, range: &Range<u64>) -> (Option<Range<u64>>, u64) {
        // SAFETY: The folio is locked by the type invariants, and its mapping's have no buffers.
        let (folio, blocks) = unsafe {
            let folio = Folio::from_raw(self.0.as_ptr());
            (folio, folio.blocks())
        };
        let first = folio.position() >> blocks.block_bits();
        let whole = blocks.whole();
        let inside = |block: u64| block.saturating_sub(first).min(whole.end.into()) as u32;
        let found = match folio.flag(bindings::pageflags_PG_dirty) {
            true => blocks.next_dirty(inside(range.start)..inside(range.end)),
            // Who writes it has it locked until all of it has its places.
            false => None,
        };
        let in_file = |block: u32| first + u64::from(block);
        (
            found.map(|run| in_file(run.start)..in_file(run.end)),
            in_file(whole.end),
        )
    }
}

impl Drop for SeenFolio {
    fn drop(&mut self) {
        // SAFETY: Lock and reference are ours by the type invariants.
        unsafe {
            bindings::folio_unlock(self.0.as_ptr());
            bindings::rust_mpage_helper_folio_put(self.0.as_ptr());
        }
    }
}

/// The first of these blocks of a file that are dirty in the page cache, as many as are so in a row
/// and in one folio.
///
/// # Safety
///
/// The folios of the inode's mapping must have no buffer_heads.
pub(in crate::abstractions) unsafe fn next_dirty<I: InodeType>(
    inode: &I,
    mut range: Range<u64>,
) -> Option<Range<u64>> {
    let plain: &Inode = inode.as_ref();
    let page = |block: u64| (block << plain.block_bits() >> PAGE_SHIFT) as usize;
    // SAFETY: The inode is valid, and keeps its mapping.
    let mapping = unsafe { (*plain.as_raw()).i_mapping };

    while !range.is_empty() {
        let pages = page(range.start)..page(range.end - 1) + 1;
        // SAFETY: By the safety requirements.
        let folio = unsafe { SeenFolio::next(mapping, pages)? };
        match folio.dirty(&range) {
            (Some(found), _) => return Some(found),
            (None, next) => range.start = next.max(range.start + 1),
        }
    }
    None
}
