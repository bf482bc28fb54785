// SPDX-License-Identifier: GPL-2.0

//! Pages that a caller has allocated for a file and that are not in the page cache yet.
//!
//! C headers: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h),
//! [`include/linux/list.h`](srctree/include/linux/list.h)

use super::{
    FolioRef,
    LockedFolio, //
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
    ptr::{
        self,
        NonNull, //
    }, //
};

/// A list of pages to read, as the `readpages` operation of Linux 2.5 to 5.17 got it: linked by
/// `lru`, with their index set, the lowest one last.
///
/// As an iterator it takes each page off the list, puts it into the page cache and hands it out
/// locked. A page that the cache does not take, because it has that one already or because there
/// is no memory, is given up. Dropping the value gives the rest up: the list ends empty.
///
/// # Invariants
///
/// For `'a`, `pages` is the head of a list of folios, linked by `lru`, that nobody else uses. Each
/// has its index set, is in no mapping, and owns a reference that belongs to the list. `mapping` is
/// valid, and its host is an inode that is in use for `'a`.
pub(crate) struct PageList<'a> {
    pages: *mut bindings::list_head,
    mapping: *mut bindings::address_space,
    /// What the list has, as its maker says: a hint.
    left: u32,
    /// Pages of the folio that was handed out last.
    current: u32,
    _list: PhantomData<&'a mut bindings::list_head>,
}

impl<'a> PageList<'a> {
    /// Takes over a list.
    ///
    /// # Safety
    ///
    /// For the life of the value, the type invariants must hold for `mapping` and `pages`.
    pub(crate) unsafe fn from_raw(
        mapping: *mut bindings::address_space,
        pages: *mut bindings::list_head,
        left: u32,
    ) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            pages,
            mapping,
            left,
            current: 0,
            _list: PhantomData,
        }
    }

    /// The inode that the pages are for.
    pub(crate) fn inode(&self) -> &'a Inode {
        // SAFETY: The mapping is valid, and its host in use, by the type invariants.
        unsafe { Inode::from_raw((*self.mapping).host) }
    }

    /// Pages that the list still has, beginning with the folio that [`Self::next`] returned last.
    /// At least that folio's.
    pub(crate) fn pages_left(&self) -> u32 {
        self.left.max(self.current)
    }

    /// Takes the page with the lowest index off the list.
    fn take(&mut self) -> Option<FolioRef> {
        // SAFETY: The list is valid and ours by the type invariants.
        let folio = unsafe { bindings::rust_mpage_helper_last_page(self.pages) };
        // SAFETY: The list's reference is passed on.
        NonNull::new(folio).map(|folio| unsafe { FolioRef::from_raw(folio) })
    }
}

impl<'a> Iterator for PageList<'a> {
    type Item = LockedFolio<'a, Inode>;

    /// The next page that the cache took. C: the loop of `mpage_readpages()` of 2017.
    fn next(&mut self) -> Option<LockedFolio<'a, Inode>> {
        self.left = self.left.saturating_sub(self.current);
        self.current = 0;
        loop {
            let taken = self.take()?;
            let folio = taken.as_raw();
            // SAFETY:
            // - the folio is valid, and its index is set by the type invariants;
            // - the mapping is valid by the type invariants;
            // - the folio is in no mapping; filemap_add_folio() locks it and takes a reference of
            //   its own if it succeeds.
            let added = unsafe {
                let index = ptr::addr_of!(
                    (*folio)
                        .__bindgen_anon_1
                        .__bindgen_anon_1
                        .__bindgen_anon_2
                        .index
                )
                .read();
                let gfp = bindings::rust_mpage_helper_readahead_gfp(self.mapping);
                bindings::filemap_add_folio(self.mapping, folio, index, gfp)
            };
            if added == 0 {
                // SAFETY: The folio was locked for us above, and is in the mapping; its lock and
                // the cache's reference keep it there.
                let locked = unsafe { LockedFolio::from_raw(folio) };
                self.current = locked.pages();
                return Some(locked);
            }
            self.left = self.left.saturating_sub(1);
        }
    }
}

impl Drop for PageList<'_> {
    fn drop(&mut self) {
        while self.take().is_some() {}
    }
}
