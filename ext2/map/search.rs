// SPDX-License-Identifier: GPL-2.0

//! Where the blocks of a file are: a walk along its tree.
//!
//! A question costs one indirect block read for each level, which the buffer cache answers, and a
//! walk along the last array of pointers for as long as the run goes. The depth of the walk is
//! bounded by the format, so that no loop on disk is one here.
//!
//! C counterpart: `ext2_get_blocks()`. It answers holes block by block; here a missing pointer is
//! a hole as long as what it would cover, and so are those after it.
//!
//! Locks: none to look. A truncation may be under way: it counts its cuts in the inode before it
//! frees what it has cut off, so a look during which none was counted has seen blocks of the file
//! only, and any other is done again under the tree mutex. Nothing that was seen is reported as
//! corrupt, or believed, before that is known. What is missing is allocated under the tree mutex,
//! by [`allocate`](crate::map::allocate).

#![deny(unsafe_code)]

use super::read_arrays;
use crate::{
    disk::geometry_error::BadBlocks,
    inode::{
        array::PointerArray,
        Ext2Inode, //
    },
    mount::report,
    sync::cut_count::Cuts,
    tree::path::{
        BlockPath,
        PointerRun, //
    },
};
use core::{
    cmp,
    ops::Range, //
};
use kernel::prelude::*;
use rust_mpage::{
    block::BlockDevice,
    fs::Buffer,
    BlockCount,
    Mapping,
    PhysicalBlock, //
};

/// What the tree has for a block and those after it.
pub(crate) enum Found {
    /// Blocks.
    Blocks(Blocks),
    /// Nothing.
    Missing(Missing),
}

impl Found {
    /// As an answer about up to `max` blocks from that of `path` on.
    pub(crate) fn mapping<'i>(
        self,
        inode: &'i Ext2Inode,
        path: &BlockPath,
        max: u32,
    ) -> Mapping<&'i BlockDevice> {
        match self {
            Found::Blocks(mut blocks) => {
                blocks.count = blocks.count.min(max);
                blocks.mapping(inode, path)
            }
            Found::Missing(missing) => {
                let len = path.hole_len(missing.level, missing.nulls);
                Mapping::hole(BlockCount(cmp::min(len, max.into()) as u32))
            }
        }
    }
}

/// Blocks of the file, in the filesystem; at least one.
pub(crate) struct Blocks {
    /// The first.
    pub(crate) first: u32,
    /// Number of blocks.
    pub(crate) count: u32,
    /// Whether they were allocated just now.
    pub(crate) is_new: bool,
}

impl Blocks {
    /// Blocks that the tree has had.
    pub(crate) fn there(first: u32, count: u32) -> Self {
        Self {
            first,
            count,
            is_new: false,
        }
    }

    pub(super) fn mapping<'i>(
        &self,
        inode: &'i Ext2Inode,
        path: &BlockPath,
    ) -> Mapping<&'i BlockDevice> {
        let start = PhysicalBlock(self.first.into());
        let mut mapping = Mapping::mapped(inode.device(), start, BlockCount(self.count));

        // The end of the array: what follows is behind another indirect block.
        if self.count > path.blocks_to_boundary() {
            mapping = mapping.with_boundary();
        }
        if self.is_new {
            mapping = mapping.with_new();
        }
        mapping
    }
}

/// A null pointer on a path.
pub(crate) struct Missing {
    /// The level of its array.
    pub(crate) level: usize,
    /// Its array.
    pub(crate) array: PointerArray,
    /// How many null pointers there are from it on in the array, as far as they matter.
    pub(crate) nulls: u32,
}

/// What was missing before the tree was locked.
pub(crate) struct MissingBefore {
    missing: Missing,
    /// The inode's count of cuts, of before it was looked for.
    cuts: Cuts,
}

impl MissingBefore {
    /// What [`look`] found to be missing, `cuts` having been asked for before.
    pub(crate) fn new(missing: Missing, cuts: Cuts) -> Self {
        Self { missing, cuts }
    }
}

/// Why a search failed.
enum SearchError {
    /// It came to blocks that no file can have.
    Corrupt(BadBlocks),
    /// An indirect block cannot be read.
    Read(Error),
}

/// Looks for up to `max` blocks from that of `path` on.
pub(crate) fn look(inode: &Ext2Inode, path: &BlockPath, max: u32) -> Result<Found> {
    let data = inode.data();
    let cuts = data.cuts();
    let mut found = search(inode, path, max);

    if data.has_been_cut_since(cuts) {
        let _tree = data.lock_tree();
        found = search(inode, path, max);
    }
    found.map_err(|error| report_failure(inode, error))
}

/// As [`look`], for what nobody has asked for yet: a fault is nobody's, and nothing is known where
/// something is being cut off.
pub(crate) fn look_ahead(inode: &Ext2Inode, path: &BlockPath, max: u32) -> Option<Found> {
    let data = inode.data();
    let cuts = data.cuts();
    let found = search(inode, path, max).ok();

    found.filter(|_| !data.has_been_cut_since(cuts))
}

/// Looks again, by who has locked the tree since, for up to `max` blocks from that of `path` on
/// that were missing; they may have come meanwhile. C: `verify_chain()` and what follows it.
pub(crate) fn look_again(
    inode: &Ext2Inode,
    path: &BlockPath,
    max: u32,
    before: MissingBefore,
) -> Result<Found> {
    let MissingBefore { missing, cuts } = before;
    // Without a cut the array that it was missing in is still one of the file.
    if !inode.data().has_been_cut_since(cuts) {
        let Missing { level, array, .. } = missing;
        if let PointerRun::Null { len: nulls } = run_at(inode, &array, path, level, max) {
            return Ok(Found::Missing(Missing {
                level,
                array,
                nulls,
            }));
        }
    }
    search(inode, path, max).map_err(|error| report_failure(inode, error))
}

fn report_failure(inode: &Ext2Inode, error: SearchError) -> Error {
    match error {
        SearchError::Read(error) => error,
        SearchError::Corrupt(bad) => {
            let sb = inode.super_block();
            report::corrupt(sb, fmt!("inode {}: {bad}", inode.number()));
            bad.errno()
        }
    }
}

/// Follows `path`, whatever happens to the tree meanwhile.
#[inline]
fn search(inode: &Ext2Inode, path: &BlockPath, max: u32) -> Result<Found, SearchError> {
    let sb = inode.super_block();
    let mut array = PointerArray::Inode;

    for level in 0..path.depth() {
        match run_at(inode, &array, path, level, max) {
            PointerRun::Null { len: nulls } => {
                return Ok(Found::Missing(Missing {
                    level,
                    array,
                    nulls,
                }));
            }
            PointerRun::Blocks { first, len } => {
                let is_last = level + 1 == path.depth();
                let count = if is_last { len } else { 1 };
                sb.data()
                    .geometry
                    .check_data_blocks(first, count)
                    .map_err(SearchError::Corrupt)?;
                if is_last {
                    return Ok(Found::Blocks(Blocks::there(first, count)));
                }
                read_arrays::read_ahead(inode, &array, path.offset(level), first);
                let buffer = sb.bread(first.into()).map_err(SearchError::Read)?;
                array = PointerArray::Indirect(buffer);
            }
        }
    }
    // The last level always answers.
    Err(SearchError::Read(EUCLEAN))
}

/// How many pointers of `array` are null from the path's own at `level` on, which is.
pub(super) fn nulls_from(
    inode: &Ext2Inode,
    array: &PointerArray,
    path: &BlockPath,
    level: usize,
) -> u32 {
    match run_at(inode, array, path, level, u32::MAX) {
        PointerRun::Null { len } => len,
        PointerRun::Blocks { .. } => 1,
    }
}

/// What these pointers of an indirect block begin with.
#[inline]
fn run_in(buffer: &Buffer, pointers: Range<u32>) -> Option<PointerRun> {
    let (at, max) = (pointers.start as usize, pointers.len());
    let first = buffer.le32(at)?;
    // The first one may have become another meanwhile; who asks finds that out.
    let len = |count: Option<usize>| count.map(|count| count.max(1) as u32);
    match first {
        0 => Some(PointerRun::Null {
            len: len(buffer.zeros_from(at, max))?,
        }),
        first => Some(PointerRun::Blocks {
            first,
            len: len(buffer.ascending_from(at, max, first))?,
        }),
    }
}

/// What the path's pointer at `level` and those after it in its array begin with, as far as it
/// matters for `max` blocks.
#[inline(always)]
pub(crate) fn run_at(
    inode: &Ext2Inode,
    array: &PointerArray,
    path: &BlockPath,
    level: usize,
    max: u32,
) -> PointerRun {
    let offset = path.offset(level);
    let is_last = level + 1 == path.depth();
    // As many pointers as could matter: those that lead to indirect blocks only if null.
    let wanted = u64::from(max).div_ceil(path.span(level)) + u64::from(!is_last);
    let end = offset + cmp::min(path.siblings(level).into(), wanted) as u32;
    let run = match array {
        PointerArray::Inode => {
            PointerRun::of((offset..end).map_while(|index| inode.data().pointer(index)))
        }
        PointerArray::Indirect(buffer) => run_in(buffer, offset..end),
    };
    // There is at least one pointer: the offsets of a path are in the range of their arrays.
    run.unwrap_or(PointerRun::Null { len: 1 })
}
