// SPDX-License-Identifier: GPL-2.0

//! How a write has the blocks that it fills: at once, or promised for when they go to the disk.
//!
//! Locks: the lock of the folio that is written to, and perhaps that of the file's old end.
//!
//! C counterpart: none; what of `iomap_begin` and `iomap_end` is about delayed allocation.

use crate::{
    abstractions::block::BlockDevice,
    mpage::mapping::{
        BlockCount,
        BlockMapper,
        LogicalBlock,
        Mapping, //
    },
};
use core::convert::Infallible;
use kernel::error::Result;

/// What a write gets of blocks.
pub enum Backed<'i, P> {
    /// They have a place; [`Mapping::with_new`] if since now.
    Mapped(Mapping<&'i BlockDevice>),
    /// They have none, and reading them gives zeros. They will get one when they are written, which
    /// does not fail for want of room. So many blocks, at least 1.
    Promised(P, BlockCount),
}

/// How a write has the blocks that it fills.
///
/// Every [`BlockMapper`] is one, which allocates them at once. A filesystem that gives blocks out
/// when they are written has a type of its own. As of that, the locks named here are those that the
/// library has, and who answers what is not so spoils his own files.
pub trait Backer: 'static {
    /// The mapper that knows where blocks are.
    type Mapper: BlockMapper;

    /// Blocks that have been promised. They come back if it is dropped.
    type Promise<'i>;

    /// Has block `at` of the file and those behind it, `max` blocks at most (at least 1), for who
    /// is about to fill them: all that have a place have had it, or none; and all that have been
    /// promised were so before, or none.
    ///
    /// As [`BlockMapper::allocate`] otherwise, and called with the locks that a write or a fault
    /// holds there; never by writeback. What the promise itself keeps locked until it is kept or
    /// dropped is inside of these, and meanwhile nothing is waited for but memory that is copied
    /// from, if it is there.
    ///
    /// # Errors
    ///
    /// Any; it reaches the writer.
    fn back<'i>(
        inode: &'i <Self::Mapper as BlockMapper>::Inode,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Backed<'i, Self::Promise<'i>>>;

    /// As [`Self::back`] for all of `count` blocks (at least 1), if it is known at once how they
    /// are had: they have had a place, or they are promised now. [`None`] in all other cases; then
    /// [`Self::back`] is asked. Who asks fills all of each block, or has what is in memory of it.
    ///
    /// `is_behind` says that they begin at the end of the file or behind it; otherwise all of them
    /// are in the file, at least in part.
    ///
    /// For who writes in small pieces, for each of which this is called: nothing is waited for, and
    /// no memory allocated. Called by `write(2)` alone: `i_rwsem` is held exclusively, and the lock
    /// of the folio with `at`, and perhaps that of the folio with the old end of the file.
    #[inline]
    fn back_at_once<'i>(
        inode: &'i <Self::Mapper as BlockMapper>::Inode,
        at: LogicalBlock,
        count: BlockCount,
        is_behind: bool,
    ) -> Option<Option<Self::Promise<'i>>> {
        if is_behind {
            return None;
        }
        let mapping = Self::Mapper::default().recall(inode, at, count)?;
        (mapping.len().0 >= count.0).then_some(None)
    }

    /// The first `blocks` of the promised blocks have been filled. They become dirty before the
    /// folio is unlocked; the rest of the promise comes back.
    ///
    /// Called with the locks that were held when the promise was made, and cannot fail.
    fn keep(promise: Self::Promise<'_>, blocks: BlockCount);
}

impl<M: BlockMapper> Backer for M {
    type Mapper = M;
    type Promise<'i> = Infallible;

    #[inline]
    fn back<'i>(
        inode: &'i M::Inode,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Backed<'i, Infallible>> {
        Ok(Backed::Mapped(M::default().allocate(inode, at, max)?))
    }

    fn keep(promise: Infallible, _blocks: BlockCount) {
        match promise {}
    }
}
