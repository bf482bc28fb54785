// SPDX-License-Identifier: GPL-2.0

//! What a filesystem that can be written to says of the contents of its regular files. See
//! writing.rst; the project's lint compiles this.
//!
//! Each file has its blocks in one row, and the filesystem knows where that begins ([`Rows`]). It
//! is filled from the front only: behind a gap, as `truncate(2)` leaves it, appends fail until the
//! gap is filled.

#![deny(unsafe_code)]
#![allow(missing_docs)]

use core::marker::PhantomData;
use kernel::prelude::*;
use rust_mpage::{
    block::BlockDevice,
    fs::{
        AddressSpaceOperations,
        AddressSpaceWriteOperations,
        ExclusiveInode,
        FsInode,
        Operations,
        WritableFile,
        WritableFileSystem, //
    },
    mm::{
        LockedFolio,
        Readahead,
        WritebackControl, //
    },
    BlockCount,
    BlockMapper,
    FolioWrites,
    LogicalBlock,
    Mapping,
    PhysicalBlock, //
};

/// What such a filesystem keeps for each inode: it has locks of its own for that.
pub trait Rows: WritableFileSystem {
    /// The first block of the file's row, and how many blocks of it have been given out.
    fn row(inode: &FsInode<Self>) -> Result<(u64, u64)>;

    /// Gives out blocks up to number `end`, as many as there are, and says how many blocks the file
    /// has now. `ENOSPC` if there is not one more. Marks the inode dirty.
    fn grow(inode: &FsInode<Self>, end: u64) -> Result<u64>;

    /// Takes the blocks from number `end` on back. Marks the inode dirty.
    fn shrink(inode: &FsInode<Self>, end: u64);
}

/// Where the blocks of a file are.
pub struct Map<T>(PhantomData<T>);

impl<T> Clone for Map<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Map<T> {}

impl<T> Default for Map<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Rows> BlockMapper for Map<T> {
    type Inode = FsInode<T>;

    fn lookup<'i>(
        &self,
        inode: &'i FsInode<T>,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        let (start, end) = T::row(inode)?;
        Ok(match end.checked_sub(at.0) {
            None | Some(0) => Mapping::hole(max),
            Some(left) => {
                let len = BlockCount(left.min(max.0.into()) as u32);
                Mapping::mapped(inode.device(), PhysicalBlock(start + at.0), len)
            }
        })
    }

    fn allocate<'i>(
        &self,
        inode: &'i FsInode<T>,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        let (_, end) = T::row(inode)?;
        if at.0 < end {
            return self.lookup(inode, at, max);
        }
        // Blocks in a gap would have to be zeroed here, for nobody writes them.
        if at.0 > end {
            return Err(EFBIG);
        }
        let end = T::grow(inode, at.0 + u64::from(max.0))?;
        let (start, _) = T::row(inode)?;
        let len = BlockCount(end.saturating_sub(at.0).min(max.0.into()) as u32);
        // All of them are fresh: the library zeroes what the write does not cover.
        Ok(Mapping::mapped(inode.device(), PhysicalBlock(start + at.0), len).with_new())
    }
}

/// The page cache of a file.
pub struct Pages<T>(PhantomData<T>);

impl<T: Rows> AddressSpaceOperations for Pages<T> {
    type Inode = FsInode<T>;

    fn read_folio(folio: LockedFolio<'_, FsInode<T>>) -> Result {
        rust_mpage::read_folio(Map::default(), folio)
    }

    fn readahead(request: Readahead<'_, FsInode<T>>) {
        rust_mpage::readahead(Map::default(), request)
    }

    fn bmap(inode: &FsInode<T>, block: u64) -> Result<Option<u64>> {
        let (start, end) = T::row(inode)?;
        Ok((block < end).then(|| start + block))
    }
}

impl<T: Rows> AddressSpaceWriteOperations for Pages<T> {
    // write(2) and stores to a mapping
    type Writes = FolioWrites<Map<T>>;

    fn writepages(request: WritebackControl<'_, FsInode<T>>) -> Result {
        rust_mpage::writepages(Map::default(), request)
    }

    // after a write that has failed
    fn cut_beyond_end(inode: &FsInode<T>) {
        T::shrink(inode, inode.size().div_ceil(1 << inode.block_bits()))
    }
}

/// Sets the size of a file, for `WritableInode::set_size()`: `truncate(2)`.
pub fn set_size<T: Rows>(inode: &ExclusiveInode<'_, FsInode<T>>, size: u64) -> Result {
    let map = Map::<T>::default();
    // What is behind the new end in its block is zero, on the device, too.
    let new = rust_mpage::truncate_tail(map, inode, size)?;
    // Nobody brings pages back that are cut off.
    let pages = inode.lock_pages();
    rust_mpage::set_size(map, &pages, new)?;
    T::shrink(inode, size.div_ceil(1 << inode.block_bits()));
    inode.held().set_mtime_and_ctime_now();
    inode.mark_dirty();
    Ok(())
}

/// What a new inode in memory that is a regular file is given. `File` has what has nothing to do
/// with its contents.
pub fn operations<T: Rows, File: WritableFile<FileSystem = T>>() -> Operations<T> {
    Operations::writable_regular::<File, Pages<T>>()
}
