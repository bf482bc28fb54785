// SPDX-License-Identifier: GPL-2.0

//! The end of a file, and what is behind it in its last page.
//!
//! A mapping of a file shows whole pages, so anybody can store something behind the end, and the
//! last block on the disk may have anything there. None of it is the file's, also not when the file
//! grows. So an end that leaves a gap moves on only through here: [`OldEnd`] has the folio with the
//! old end locked, its page zeroed behind it, and taken from those who could store to it, from
//! before the size changes until after that. A store that comes later waits for the lock and finds
//! the new size. Blocks behind the end are not dirty any more either: they would be given places.
//!
//! C zeroes when the size has changed, in `pagecache_isize_extended()`: only what is in memory,
//! only where blocks are smaller than pages, and a store in between is lost.
//!
//! Locks: the lock of the folio with the old end, in front of that of any folio behind it in the
//! file.

use crate::{
    abstractions::{
        block::{
            BlockDevice,
            Sector, //
        },
        fs::{
            ExclusiveInode,
            ExclusivePages,
            FileSystem,
            FsInode,
            Inode,
            InodeType, //
        },
        mm::{
            without_fs_reclaim,
            GetBlockFn,
            GrabbedFolio, //
        },
    },
    mpage::mapping::{
        plain,
        BlockCount,
        BlockMapper,
        Extent,
        LogicalBlock,
        Mapping,
        PhysicalBlock, //
    },
};
use core::ptr;
use kernel::{
    error::{
        code::{
            EFBIG,
            EINVAL,
            EIO, //
        },
        Result, //
    },
    page::PAGE_SIZE,
};

/// A size that a file can be given: the rest of the block that its end will be in is zero.
#[must_use = "the file has the size that it had"]
pub struct NewSize<'a, I> {
    inode: &'a I,
    size: u64,
}

/// Zeroes the rest of the block that file position `size` is in, if the file has that block: it can
/// be given that size then, with [`set_size`].
///
/// # Errors
///
/// If the block has to be read and cannot be; the mapper's.
///
/// C: `block_truncate_page()`, which finds the wrong block in a large folio.
pub fn truncate_tail<'a, M: BlockMapper>(
    _mapper: M,
    inode: &ExclusiveInode<'a, M::Inode>,
    size: u64,
) -> Result<NewSize<'a, M::Inode>> {
    if !is_block_end(plain(inode.inode()), size) {
        zero_block_from::<M>(&GrabbedFolio::of(inode, size)?, size)?;
    }
    Ok(NewSize {
        inode: inode.inode(),
        size,
    })
}

/// Sets the size of the file of `pages` and drops the pages beyond it. Where a file grows there are
/// zeros behind its old end; in the last block of one that shrinks [`truncate_tail`] has put them.
///
/// # Errors
///
/// `EINVAL` if the size is meant for another file; `EFBIG` if no file can be so large; for a file
/// that grows `EIO` if its last block cannot be read, `ENOMEM`, and the mapper's. The size is as it
/// was then.
///
/// C: `truncate_setsize()`.
pub fn set_size<M, T>(
    _mapper: M,
    pages: &ExclusivePages<'_, T>,
    new: NewSize<'_, FsInode<T>>,
) -> Result
where
    M: BlockMapper<Inode = FsInode<T>>,
    T: FileSystem,
{
    let NewSize { inode, size } = new;
    if !ptr::eq(inode, pages.exclusive().inode()) {
        return Err(EINVAL);
    }
    extend::<M>(pages.exclusive(), size)?;
    pages.truncate_setsize(size)
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

/// Zeroes the rest of the block that file position `from` is in and makes it dirty, if the file has
/// the block; reads it before, if it is not there.
///
/// # Errors
///
/// `EINVAL` if the folio does not have `from`; the mapper's; what the device says.
fn zero_block_from<M: BlockMapper>(folio: &GrabbedFolio<'_, M::Inode>, from: u64) -> Result {
    let Some(blocks) = folio.blocks() else {
        return folio.zero_block_from(from, GetBlockFn::of::<M>());
    };
    let bits = plain(folio.inode()).block_bits();
    let at = LogicalBlock(from >> bits);
    let block = block_of(folio, from).ok_or(EINVAL)?;
    let one = block..block + 1;
    if !blocks.are_dirty(one.clone()) {
        let mapping = look::<M>(folio, at, BlockCount(1))?;
        let Extent::Mapped { device, start } = *mapping.extent() else {
            // A hole: there is nothing that could be seen.
            return Ok(());
        };
        if !blocks.are_valid(one.clone()) {
            folio.read_block(block, device, sector(start, bits)?)?;
        }
    }
    folio.zero(from..(at.0 + 1) << bits);
    blocks.mark_dirty_if_valid(one);
    Ok(())
}

/// Asks where blocks of a folio at the end of the file are. Writeback may have a bio with folios in
/// front of it, and wait for its lock; so nobody waits for writeback to get memory.
fn look<'i, M: BlockMapper>(
    folio: &GrabbedFolio<'i, M::Inode>,
    at: LogicalBlock,
    max: BlockCount,
) -> Result<Mapping<&'i BlockDevice>> {
    without_fs_reclaim(|| M::default().lookup(folio.inode(), at, max))
}

/// Of the blocks of a folio that lie behind file position `end` as a whole, where the file ends:
/// those that have no place need none, though the folio may be dirty as a whole; those that have
/// one, after a crash, and are in the page with the end, get zeros.
///
/// # Errors
///
/// The mapper's.
fn settle_behind<M: BlockMapper>(folio: &GrabbedFolio<'_, M::Inode>, end: u64) -> Result {
    let Some(blocks) = folio.blocks() else {
        return Ok(());
    };
    let bits = plain(folio.inode()).block_bits();
    let first = folio.position() >> bits;
    let whole = blocks.whole();
    // The end is in the folio, so these fit.
    let in_folio = |pos: u64| (pos.div_ceil(1 << bits) - first) as u32;
    let mut at = in_folio(end);
    let page_end = in_folio(end.next_multiple_of(PAGE_SIZE as u64)).min(whole.end);
    blocks.forget(page_end..whole.end);
    while at < page_end {
        let block = LogicalBlock(first + u64::from(at));
        let max = BlockCount(page_end - at);
        let mapping = look::<M>(folio, block, max)?;
        let len = mapping.len().0.min(max.0);
        if len == 0 {
            return Err(EIO);
        }
        let range = at..at + len;
        at = range.end;
        match mapping.extent() {
            Extent::Hole => blocks.forget(range),
            Extent::Mapped { .. } => folio.zero_and_dirty(range),
        }
    }
    Ok(())
}

/// Which block of a folio has file position `pos`.
fn block_of<I: InodeType>(folio: &GrabbedFolio<'_, I>, pos: u64) -> Option<u32> {
    let offset = pos.checked_sub(folio.position())?;
    // A folio is at most a huge page.
    folio
        .has(pos)
        .then_some((offset >> plain(folio.inode()).block_bits()) as u32)
}

/// The first sector of a block of `1 << bits` bytes. `EIO` if no device can have it.
pub(super) fn sector(block: PhysicalBlock, bits: u32) -> Result<Sector> {
    Sector::of_block(block.0, bits).ok_or(EIO)
}

/// Whether a block of the file ends at file position `pos`.
fn is_block_end(inode: &Inode, pos: u64) -> bool {
    pos & !(u64::MAX << inode.block_bits()) == 0
}

/// The end of a file that is about to move on.
///
/// The folio has the page of the file in which the end is, if it is in one. In that page there are
/// zeros behind the end, which are dirty if the file has a block for them; no other block behind
/// the end is dirty; and no mapping can store to the folio without waiting for its lock.
pub(super) struct OldEnd<'i, I>(GrabbedFolio<'i, I>);

impl<'i, I: InodeType> OldEnd<'i, I> {
    /// Makes the end of a file ready to move on, if it is in front of file position `pos` and in a
    /// folio. One that is at the end of a page is so only in a large folio that is in memory.
    ///
    /// # Errors
    ///
    /// If the last block has to be read and cannot be; the mapper's; `ENOMEM`.
    pub(super) fn clear<M>(inode: &ExclusiveInode<'i, I>, pos: u64) -> Result<Option<Self>>
    where
        M: BlockMapper<Inode = I>,
    {
        let size = plain(inode.inode()).size();
        if pos <= size {
            return Ok(None);
        }
        let folio = match size % PAGE_SIZE as u64 {
            0 => match GrabbedFolio::cached(inode, size) {
                Some(folio) => folio,
                None => return Ok(None),
            },
            _ => GrabbedFolio::of(inode, size)?,
        };
        folio.keep_stores_away();
        if !is_block_end(plain(inode.inode()), size) {
            zero_block_from::<M>(&folio, size)?;
        }
        // The blocks behind it: the page may have something there.
        folio.zero(size..size.next_multiple_of(PAGE_SIZE as u64));
        settle_behind::<M>(&folio, size)?;
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
