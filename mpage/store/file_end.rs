// SPDX-License-Identifier: GPL-2.0

//! The end of a file, and what is behind it in its last page.
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
//! file.

use super::{
    plain,
    BlockMapper,
    GetBlockFn,
    GrabbedFolio, //
};
use crate::abstractions::fs::{
    ExclusiveInode,
    FileSystem,
    FsInode,
    Inode,
    InodeType,
    InvalidateLock, //
};
use kernel::{
    error::{
        code::EFBIG,
        Result, //
    },
    page::PAGE_SIZE,
};

/// Zeroes the rest of the block that file position `from` is in, if the file has that block. To be
/// called before the file is cut at `from`.
///
/// # Errors
///
/// If the block has to be read and cannot be; the mapper's.
///
/// C: `block_truncate_page()`, which finds the wrong block in a large folio.
pub fn truncate_tail<M: BlockMapper>(
    _mapper: M,
    inode: &ExclusiveInode<'_, M::Inode>,
    from: u64,
) -> Result {
    if is_block_end(plain(inode.inode()), from) {
        return Ok(());
    }
    GrabbedFolio::of(inode, from)?.zero_block_from(from, GetBlockFn::of::<M>())
}

/// Sets the size of a file and drops the pages beyond it, `pages` keeping away who would bring others.
/// Where a file grows there are zeros behind its old end; the rest of the last block of one that
/// shrinks has been zeroed by the caller, with [`truncate_tail`].
///
/// # Errors
///
/// `EFBIG` if no file can be so large; `EINVAL` if `pages` are another's; for a file that grows `EIO` if its last block cannot be
/// read, `ENOMEM`, and the mapper's. The size is as it was then.
///
/// C: `truncate_setsize()`.
pub fn set_size<M, T>(
    _mapper: M,
    inode: &ExclusiveInode<'_, FsInode<T>>,
    pages: &InvalidateLock<'_, T>,
    size: u64,
) -> Result
where
    M: BlockMapper<Inode = FsInode<T>>,
    T: FileSystem,
{
    extend::<M>(inode, size)?;
    inode.truncate_setsize(pages, size)
}

/// Moves the end of a file on to `size`, with zeros behind the old end. Nothing happens if the file
/// is not smaller.
///
/// # Errors
///
/// As of [`OldEnd::clear`]; `EFBIG` if no file can be so large.
fn extend<M: BlockMapper>(inode: &ExclusiveInode<'_, M::Inode>, size: u64) -> Result {
    if size > i64::MAX as u64 {
        return Err(EFBIG);
    }
    let _old_end = OldEnd::clear::<M>(inode, size)?;
    if size > plain(inode.inode()).size() {
        inode.write_size(size);
    }
    Ok(())
}

/// Whether a block of the file ends at file position `pos`.
fn is_block_end(inode: &Inode, pos: u64) -> bool {
    pos & !(u64::MAX << inode.block_bits()) == 0
}

/// The end of a file that is about to move on.
///
/// The folio has the page of the file in which the end is. In that page there are zeros behind the
/// end, which are dirty if the file has a block for them, and no mapping can store to it without
/// waiting for the folio's lock.
pub(super) struct OldEnd<'i, I>(GrabbedFolio<'i, I>);

impl<'i, I: InodeType> OldEnd<'i, I> {
    /// Makes the end of a file ready to move on, if it is in front of file position `pos` and not
    /// at the end of a page.
    ///
    /// # Errors
    ///
    /// If the last block has to be read and cannot be; the mapper's; `ENOMEM`.
    pub(super) fn clear<M>(inode: &ExclusiveInode<'i, I>, pos: u64) -> Result<Option<Self>>
    where
        M: BlockMapper<Inode = I>,
    {
        let size = plain(inode.inode()).size();
        if pos <= size || size % PAGE_SIZE as u64 == 0 {
            return Ok(None);
        }
        let folio = GrabbedFolio::of(inode, size)?;
        folio.keep_stores_away();
        if !is_block_end(plain(inode.inode()), size) {
            folio.zero_block_from(size, GetBlockFn::of::<M>())?;
        }
        // The blocks behind it: the file has none there, but the page may.
        folio.zero(size..size.next_multiple_of(PAGE_SIZE as u64));
        Ok(Some(Self(folio)))
    }

    /// The folio, if file position `pos` is in it.
    pub(super) fn into_folio_of(self, pos: u64) -> Result<GrabbedFolio<'i, I>, Self> {
        match self.0.has(pos) {
            true => Ok(self.0),
            false => Err(self),
        }
    }

    /// The folio.
    pub(super) fn into_folio(self) -> GrabbedFolio<'i, I> {
        self.0
    }
}
