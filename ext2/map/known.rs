// SPDX-License-Identifier: GPL-2.0

//! Questions about where the blocks of a file are, answered by the runs that earlier ones have
//! found, as far as these go. For reading: what is missing stays missing.
//!
//! Locks: none, see [`search`] and [`run_cache`](crate::tree::run_cache).

#![deny(unsafe_code)]

use super::{
    search::{
        self,
        Found, //
    },
    way, //
};
use crate::{
    inode::Ext2Inode,
    sync::cut_count::Cuts,
    tree::{
        path::BlockPath,
        run_cache::{
            CachedRun,
            Search, //
        },
    },
};
use core::ops::Range;
use kernel::prelude::*;
use rust_mpage::{
    block::BlockDevice,
    BlockCount,
    Mapping,
    PhysicalBlock, //
};

/// What block `at` and those behind it are, `max` at most.
pub(crate) fn lookup(inode: &Ext2Inode, at: u64, max: u32) -> Result<Mapping<&BlockDevice>> {
    let Some(place) = Place::of(inode, at) else {
        return search(inode, at, max);
    };
    if let Some(blocks) = place.known(inode) {
        return Ok(place.mapping(inode, blocks, max));
    }
    match inode.data().runs.plan(place.array, place.cuts) {
        Search::Asked => search(inode, at, max),
        Search::Run => place.learn(inode, max),
    }
}

/// The block of the device that block `at` is, and how many follow it there, itself included and
/// `max` at most; if that is known without a look at the tree. They are the file's own: nothing
/// that the filesystem itself needs.
#[inline(always)]
pub(crate) fn recall(inode: &Ext2Inode, at: u64, max: u32) -> Option<(u32, u32)> {
    let (first, left) = Place::of(inode, at)?.known(inode)?;
    Some((first, left.min(max)))
}

/// As [`search::look`], for block `at`, whose path is `path`. Who writes anew what is there goes on
/// asking in the same array: then the run that goes on from the block is remembered.
pub(crate) fn look(inode: &Ext2Inode, at: u64, path: &BlockPath, max: u32) -> Result<Found> {
    let place = Place::of(inode, at);
    let found = search::look(inode, path, max)?;
    if let (Some(place), Found::Blocks(_)) = (place, &found) {
        if matches!(inode.data().runs.plan(place.array, place.cuts), Search::Run) {
            let len = place.blocks.end.saturating_sub(place.at);
            if let Some(ahead) = search::look_ahead(inode, path, len) {
                place.remember(inode, place.at, &ahead);
            }
        }
    }
    Ok(found)
}

/// Asks the tree.
fn search(inode: &Ext2Inode, at: u64, max: u32) -> Result<Mapping<&BlockDevice>> {
    let path = way::path_to(inode, at)?;
    let found = search::look(inode, &path, max)?;
    Ok(found.mapping(inode, &path, max))
}

/// A block, and the array of pointers that has its pointer.
struct Place {
    array: u32,
    /// The blocks of the array.
    blocks: Range<u32>,
    at: u32,
    /// The inode's count of cuts before anything was looked at.
    cuts: Cuts,
}

impl Place {
    /// That of block `at`; `None` if the pointer is in the inode, or nowhere.
    #[inline]
    fn of(inode: &Ext2Inode, at: u64) -> Option<Self> {
        let size = inode.super_block().data().geometry.block_size();
        let (array, blocks) = BlockPath::last_array(size, at);
        let end = u32::try_from(blocks.end).ok().filter(|_| array > 0)?;

        Some(Self {
            array: array as u32,
            blocks: blocks.start as u32..end,
            at: at as u32,
            cuts: inode.data().cuts(),
        })
    }

    /// What a run that was found earlier says.
    #[inline]
    fn known(&self, inode: &Ext2Inode) -> Option<(u32, u32)> {
        inode.data().runs.find(self.array, self.at, self.cuts)
    }

    /// The answer that a run from the block on is.
    #[inline]
    fn mapping<'i>(
        &self,
        inode: &'i Ext2Inode,
        (first, left): (u32, u32),
        max: u32,
    ) -> Mapping<&'i BlockDevice> {
        let count = left.min(max);
        let start = PhysicalBlock(first.into());
        let mapping = Mapping::mapped(inode.device(), start, BlockCount(count));
        // The end of the array: what follows is behind another indirect block.
        if self.blocks.end.checked_sub(self.at) == Some(count) {
            mapping.with_boundary()
        } else {
            mapping
        }
    }

    /// Asks the tree for the whole run that the block is in, and remembers it.
    fn learn<'i>(&self, inode: &'i Ext2Inode, max: u32) -> Result<Mapping<&'i BlockDevice>> {
        // Mostly the array is one run from its beginning on.
        let start = way::path_to(inode, self.blocks.start.into())?;
        let whole = search::look_ahead(inode, &start, self.blocks.end - self.blocks.start)
            .and_then(|found| self.remember(inode, self.blocks.start, &found));
        if let Some(blocks) = whole.and_then(|run| run.from(self.at)) {
            return Ok(self.mapping(inode, blocks, max));
        }
        let path = way::path_to(inode, self.at.into())?;
        let found = search::look(inode, &path, self.blocks.end.saturating_sub(self.at))?;
        self.remember(inode, self.at, &found);
        Ok(found.mapping(inode, &path, max))
    }

    /// Remembers what the tree has from block `start` on, if that is a run which has the block. The
    /// run, if it is one.
    fn remember(&self, inode: &Ext2Inode, start: u32, found: &Found) -> Option<CachedRun> {
        let data = inode.data();
        let Found::Blocks(blocks) = found else {
            return None;
        };
        let run = CachedRun {
            start,
            first: blocks.first,
            count: blocks.count,
        };
        if run.from(self.at).is_some() && !data.has_been_cut_since(self.cuts) {
            // Who writes takes what is known for the file's own.
            let fs = inode.super_block().data();
            if !fs.is_group_metadata(run.first, run.count) {
                data.runs.remember(self.array, run, self.cuts);
            }
        }
        Some(run)
    }
}
