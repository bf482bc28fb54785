// SPDX-License-Identifier: GPL-2.0

//! Reading a list of pages that the caller has allocated, as filesystems did until Linux 5.17.
//!
//! Locks: as those of [`engine`](super::engine).
//!
//! C counterpart: `mpage_readpages()` of 2017.

use super::engine::Reader;
use crate::{
    abstractions::{
        block::ReadIntent,
        fs::Inode,
        mm::PageList, //
    },
    mpage::mapping::MapSource,
};

/// Puts the pages of a list into the page cache, from the lowest index on, and starts their reads.
///
/// What a page cannot be read for, the reader of the page learns when it asks for it: the others
/// are read all the same, and without `REQ_RAHEAD`, as in 2017.
///
/// Context: process context, may sleep.
pub(crate) fn readpages<M: MapSource<Inode = Inode>>(mapper: M, mut pages: PageList<'_>) {
    let mut reader = Reader::new(mapper, pages.inode(), ReadIntent::Demand);
    while let Some(folio) = pages.next() {
        reader.window.forget_hole();
        // A folio that fails is unlocked and not uptodate; nobody waits for this list.
        let _ = reader.read(folio, pages.pages_left());
    }
    reader.submit();
}
