// SPDX-License-Identifier: GPL-2.0

//! Writing: acts on what the folios of a writeback request need.
//!
//! Locks: the lock of one folio at a time, owned by a [`DirtyFolio`]; the mapper may take the
//! filesystem's own locks inside it.
//!
//! C counterpart: `__mpage_writepages()`.

use super::mapping::{
    plain,
    MapSource, //
};
use crate::abstractions::{
    block::plugged,
    mm::WritebackControl, //
};
use kernel::error::Result;

/// Writes the dirty folios of a request. A filesystem's `writepages` operation is this line.
///
/// # Errors
///
/// The first error of the mapper or of the I/O, as far as it is known before the I/O ends. It is
/// recorded for the file, too, as are those of the I/O.
///
/// Context: process context, may sleep. C: `mpage_writepages()`.
pub fn writepages<M: MapSource>(
    mapper: M,
    inode: &M::Inode,
    mut request: WritebackControl<'_>,
) -> Result {
    plugged(|| {
        request.for_each(|_, folio| folio.write_through_buffers(plain(inode), mapper.get_block()))
    })
}
