// SPDX-License-Identifier: GPL-2.0

//! Promising blocks to what is written, to give them their places when it goes to the disk.
//!
//! A write, or the first store to a page, asks [`back`] for its blocks with the folio locked. What
//! is in a hole is promised: so many blocks are taken from the filesystem's
//! [`Space`](crate::groups::space::Space), the arrays of pointers that are missing among them, and
//! nobody else gets them. When the data has been copied the promise is kept, for just the blocks
//! that were filled, and they become dirty before the folio is unlocked. The tree is locked
//! meanwhile, which nothing waits in: what is copied from is in memory, or not copied. Writeback
//! finds what has been promised in [`allocate`](super::allocate), gives places to a whole run of
//! it, and spends the promise. Whoever takes pages from the cache that have not been written
//! forgets what was promised for them.
//!
//! So the disk is full for who writes, and never at writeback; a file that is gone before it is
//! written takes no block; and the blocks of one that grew in small pieces are in a row.
//!
//! With quota, what is promised is reserved for the owners of the file first: what is over a limit
//! is refused to who writes, and never at writeback. It stays reserved until it is counted, or
//! forgotten, and no more of it than is promised.
//!
//! Blocks get their places at once with the mount option `nodelalloc`, where writes are
//! synchronous, in quota files, when the filesystem is nearly full, and in a file with very many
//! holes between promised blocks.
//!
//! C counterpart: none in ext2; `ext4_da_write_begin()`, `ext4_da_map_blocks()`.
//!
//! Locks: takes the inode's tree mutex, the lock of the folio held. Memory is had without reclaim
//! from filesystems.

#![deny(unsafe_code)]

use super::{
    allocate::Request,
    known,
    search::{
        self,
        Blocks,
        Found,
        Missing,
        MissingBefore, //
    },
    way, //
};
use crate::{
    alloc::balloc,
    disk::{
        block_size::BlockSize,
        run::Wanted, //
    },
    groups::{
        space::Promised,
        windows::Coming, //
    },
    inode::{
        self,
        tree::{
            BegunPromise,
            KnownHole,
            Tree, //
        },
        Ext2Inode, //
    },
    tree::{
        delayed::MissingArrays,
        path::BlockPath, //
    },
};
use core::{
    mem::ManuallyDrop,
    ops::Range, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::MutexGuard, //
};
use rust_mpage::{
    Backed,
    Backer,
    BlockCount,
    LogicalBlock,
    Mapping,
    PhysicalBlock, //
};

/// Below this many blocks that nobody has been promised, or a hundred-and-twenty-eighth of all,
/// blocks get their places at once. What is promised is exact, so this is not for want of room, as
/// in ext4; but where bitmaps are not what the counts say, a full disk is then told to who writes.
const NEARLY_FULL: u64 = 64;

/// Writes to regular files, whose blocks get their places when they are written.
pub(crate) struct Delayed;

impl Backer for Delayed {
    type Mapper = super::Mapper;
    type Promise<'i> = Promise<'i>;

    fn back<'i>(
        inode: &'i Ext2Inode,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Backed<'i, Promise<'i>>> {
        inode.data().delay.note_writer();
        let is_behind_end = at.0 << inode.block_bits() >= inode.size();
        let known = match is_behind_end {
            false => known::recall(inode, at.0, max.0),
            true => None,
        };
        if let Some((first, count)) = known {
            let start = PhysicalBlock(first.into());
            let mapping = Mapping::mapped(inode.device(), start, BlockCount(count));
            return Ok(Backed::Mapped(mapping));
        }
        if inode.super_block().is_read_only() {
            return there_only(inode, at.0, max.0);
        }
        match go_on(inode, at.0, max.0) {
            Some(backed) => Ok(backed),
            None => back(inode, at.0, max.0),
        }
    }

    #[inline]
    fn back_at_once<'i>(
        inode: &'i Ext2Inode,
        at: LogicalBlock,
        count: BlockCount,
        is_behind: bool,
    ) -> Option<Option<Promise<'i>>> {
        inode.data().delay.note_writer();
        if is_behind {
            return append(inode, at.0, count.0).map(Some);
        }
        let (_, known) = known::recall(inode, at.0, count.0)?;
        (known >= count.0).then_some(None)
    }

    #[inline]
    fn keep(promise: Promise<'_>, blocks: BlockCount) {
        promise.keep(blocks.0)
    }
}

/// Blocks that have been promised to who is about to fill them. Comes back if it is not kept.
pub(crate) struct Promise<'i> {
    inode: &'i Ext2Inode,
    /// The tree, which has the rest of it; [`None`] if they have been promised before.
    tree: Option<MutexGuard<'i, Tree>>,
}

impl<'i> Promise<'i> {
    /// Of what has been claimed for blocks from `at` on, of which `arrays` are.
    #[inline]
    fn begin(
        inode: &'i Ext2Inode,
        mut tree: MutexGuard<'i, Tree>,
        at: u32,
        claimed: Promised<'_>,
        arrays: MissingArrays,
    ) -> Self {
        tree.begun = Some(BegunPromise {
            at,
            claimed: claimed.keep(),
            arrays,
        });
        let tree = Some(tree);
        Self { inode, tree }
    }

    /// The first `blocks` blocks have been filled, and are about to become dirty.
    #[inline]
    fn keep(self, blocks: u32) {
        if blocks == 0 {
            return;
        }
        let inode = self.inode;
        // Nothing is left to come back.
        let Some(mut tree) = ManuallyDrop::new(self).tree.take() else {
            return;
        };
        let Some(begun) = tree.begun.take() else {
            return;
        };
        let end = begun.at.saturating_add(blocks);
        tree.delayed
            .keep(block_size(inode), begun.at..end, begun.arrays);
        match tree.keep_all(begun.claimed) {
            // What is reserved for the owners is so, too, and the arrays go on to be promised.
            Ok(count) => inode.data().delay.set_blocks(count),
            Err(claimed) => {
                let claimed = inode.super_block().data().space.resume(claimed);
                settle(inode, &mut tree, Some(claimed));
            }
        }
    }
}

impl Drop for Promise<'_> {
    /// What has been claimed comes back.
    #[inline]
    fn drop(&mut self) {
        let Some(mut tree) = self.tree.take() else {
            return;
        };
        if let Some(begun) = tree.begun.take() {
            drop(self.inode.super_block().data().space.resume(begun.claimed));
            reserve_no_more_than(self.inode, tree.delayed.count());
        }
    }
}

/// Where block `at` and those behind it are, `max` at most, or a promise of places for them.
///
/// Fails with `ENOSPC`, `EIO`, `ENOMEM` or `EUCLEAN`.
fn back<'i>(inode: &'i Ext2Inode, at: u64, max: u32) -> Result<Backed<'i, Promise<'i>>> {
    let path = way::path_to(inode, at)?;

    if inode.data().delay.blocks() == 0 && !delays(inode) {
        let blocks = Request::new(inode, at, &path, max).blocks()?;
        return Ok(mapped(inode, &path, blocks));
    }
    let cuts = inode.data().cuts();
    let missing = match known::look(inode, at, &path, max)? {
        Found::Blocks(blocks) => {
            inode::check_own(inode, blocks.first, blocks.count)?;
            return Ok(mapped(inode, &path, blocks));
        }
        Found::Missing(missing) => MissingBefore::new(missing, cuts),
    };
    {
        let mut tree = inode.data().lock_tree();
        if let Found::Missing(missing) = search::look_again(inode, &path, max, missing)? {
            if let Some(block) = missing.array.block() {
                inode::check_own(inode, block, 1)?;
            }
            tree.hole = Some(hole(inode, at as u32, &path, &missing));
            if let Some(backed) = promise(inode, tree, at as u32, max) {
                return Ok(backed);
            }
        }
    }
    // At once, after all.
    let blocks = Request::new(inode, at, &path, max).blocks()?;
    Ok(mapped(inode, &path, blocks))
}

/// As [`back`], of a filesystem that has become read-only while the file was open to be written,
/// such as after an error: writeback would find no place. C allocates; `ext4_emergency_state()`.
///
/// Fails with `EROFS` if there are no blocks, or as [`back`].
#[cold]
fn there_only(inode: &Ext2Inode, at: u64, max: u32) -> Result<Backed<'_, Promise<'_>>> {
    let path = way::path_to(inode, at)?;
    match known::look(inode, at, &path, max)? {
        Found::Blocks(blocks) => {
            inode::check_own(inode, blocks.first, blocks.count)?;
            Ok(mapped(inode, &path, blocks))
        }
        Found::Missing(_) => Err(EROFS),
    }
}

/// As [`back`], of what goes on in the hole that the last promise was in. Who has the mutex may be
/// waiting for the device: then nobody knows.
#[inline]
fn go_on<'i>(inode: &'i Ext2Inode, at: u64, max: u32) -> Option<Backed<'i, Promise<'i>>> {
    let at = u32::try_from(at).ok()?;
    if inode.data().delay.blocks() == 0 {
        return None;
    }
    promise(inode, inode.data().try_lock_tree()?, at, max)
}

/// A promise of `count` blocks from `at` on, to who appends them to what was promised last: as
/// [`promise`], of which nothing else can come then. [`None`] if anything is not as usual.
#[inline]
fn append<'i>(inode: &'i Ext2Inode, at: u64, count: u32) -> Option<Promise<'i>> {
    let at = u32::try_from(at).ok()?;
    let sb = inode.super_block();
    if inode.data().delay.blocks() == 0 || sb.is_read_only() || !delays(inode) {
        return None;
    }
    let tree = inode.data().try_lock_tree()?;
    if !tree.goes_on_at(at, count) {
        return None;
    }
    let data = sb.data();
    // Neither what is reserved nor the last ones: these are for who looks closer.
    let left = nearly_full(inode) + u64::from(data.state.reserved_blocks());
    let claimed = data.space.claim_of_many(count, left)?;
    let claimed = balloc::reserve(inode, claimed, count)?;
    Some(Promise::begin(
        inode,
        tree,
        at,
        claimed,
        MissingArrays::NONE,
    ))
}

/// Below so many available blocks they get their places at once.
#[inline]
fn nearly_full(inode: &Ext2Inode) -> u64 {
    let blocks = inode.super_block().data().geometry.blocks_count();
    NEARLY_FULL.max(u64::from(blocks) / 128)
}

fn mapped<'i>(inode: &'i Ext2Inode, path: &BlockPath, blocks: Blocks) -> Backed<'i, Promise<'i>> {
    Backed::Mapped(blocks.mapping(inode, path))
}

/// Whether blocks of the file get their places when they are written.
#[inline]
fn delays(inode: &Ext2Inode) -> bool {
    let data = inode.super_block().data();
    data.delays_allocation()
        && inode::is_regular(inode)
        && !inode.is_sync()
        && !inode.is_quota_file()
}

/// Promises block `at`, and those behind it, `max` at most. [`None`] if they are not in the hole
/// that the tree knows, or are to have their places at once.
fn promise<'i>(
    inode: &'i Ext2Inode,
    mut tree: MutexGuard<'i, Tree>,
    at: u32,
    max: u32,
) -> Option<Backed<'i, Promise<'i>>> {
    if let Some(run) = tree.delayed.run_from(at) {
        let promise = Promise { inode, tree: None };
        return Some(Backed::Promised(promise, BlockCount(max.min(run.end - at))));
    }
    let hole = tree
        .hole
        .as_ref()
        .filter(|hole| hole.blocks.contains(&at))?;
    let data = inode.super_block().data();
    if !delays(inode) || data.space.available() < nearly_full(inode) {
        return None;
    }
    let range = at..hole.blocks.end.min(at.saturating_add(max));
    let arrays = match at > hole.blocks.start && tree.delayed.run_from(at - 1).is_some() {
        // Behind the same array as the one in front, which is promised.
        true => MissingArrays::NONE,
        false => tree
            .delayed
            .unpromised(block_size(inode), hole.missing.beside(at)),
    };
    let len = match tree.delayed.next_in(range.clone()) {
        Some(next) => next.start - at,
        None => range.end - at,
    };
    let wanted = Wanted {
        needed: arrays.count() + 1,
        most: arrays.count() + len,
    };
    let claimed = balloc::claim(inode.super_block(), wanted).ok()?;
    tree.delayed.begin(arrays, GFP_NOWAIT).ok()?;
    let whole = arrays.count() + rest_of_page(inode, at.into(), len);
    let whole = whole.min(claimed.count());
    let claimed = balloc::reserve(inode, claimed, whole)?;
    let len = claimed.count() - arrays.count();
    let promise = Promise::begin(inode, tree, at, claimed, arrays);
    Some(Backed::Promised(promise, BlockCount(len)))
}

/// How many of `count` blocks from `at` on are in the page of the first: who may not have all of
/// these gets none of them, as in C, and a write ends with the page in front.
pub(super) fn rest_of_page(inode: &Ext2Inode, at: u64, count: u32) -> u32 {
    let per_page = (PAGE_SIZE as u32) >> inode.block_bits();
    let before = (at % u64::from(per_page.max(1))) as u32;
    (per_page.max(1) - before).min(count)
}

/// The hole that is at block `at`, where `missing` is missing, as far as it is behind one array.
fn hole(inode: &Ext2Inode, at: u32, path: &BlockPath, missing: &Missing) -> KnownHole {
    let Missing { level, array, .. } = missing;
    let nulls = search::nulls_from(inode, array, path, *level);
    let most = u64::from(path.blocks_to_boundary()) + 1;
    let len = path.hole_len(*level, nulls).min(most) as u32;
    KnownHole {
        blocks: at..at.saturating_add(len),
        missing: MissingArrays::new(at, path, *level),
    }
}

/// Forgets what was promised of `blocks`: what was to be written there is not in the cache any
/// more, and the folio that it was in is locked.
pub(crate) fn forget(inode: &Ext2Inode, blocks: Range<u64>) {
    if inode.data().delay.blocks() == 0 {
        return;
    }
    let clamp = |block: u64| block.min(u32::MAX.into()) as u32;
    let mut tree = inode.data().lock_tree();
    remove(inode, &mut tree, clamp(blocks.start)..clamp(blocks.end));
}

/// As [`forget`], the tree being locked.
pub(super) fn remove(inode: &Ext2Inode, tree: &mut Tree, blocks: Range<u32>) {
    // There is room for one gap since the last promise, and for one in the arrays since the last
    // that needed any. A second one takes with it what is promised behind it, if there has been no
    // memory since: if that stays, it gets its place unpromised.
    let _ = tree.delayed.make_room(blocks.start, GFP_NOWAIT);
    tree.delayed.remove(block_size(inode), blocks);
    settle(inode, tree, None);
}

/// Keeps what is promised, `promised` being what there is beyond that, and notes how much it is.
pub(super) fn settle(inode: &Ext2Inode, tree: &mut Tree, promised: Option<Promised<'_>>) {
    let data = inode.super_block().data();
    let count = tree.settle(&data.space, promised);
    let delay = &inode.data().delay;
    tree.end_ahead(&data.windows, !delay.is_closed());
    delay.set_blocks(count);
    reserve_no_more_than(inode, count);
}

/// Gives back what is reserved for the owners of the inode beyond what is promised.
#[inline]
fn reserve_no_more_than(inode: &Ext2Inode, blocks: u32) {
    inode.reserve_no_more_than(u64::from(blocks) << inode.block_bits());
}

/// How many blocks from `at` on get their places together, of `max` that were asked for: of what
/// has been promised all in a row; else none that has been.
pub(super) fn together(tree: &Tree, at: u32, max: u32) -> u32 {
    let end = at.saturating_add(max);
    match tree.delayed.next_in(at..u32::MAX) {
        Some(run) if run.start == at => run.end - at,
        Some(run) => run.start.min(end) - at,
        None => max,
    }
}

/// What the file will ask for from block `at` on, if that has been promised: what has been in a row
/// with it, and, if there is no place for them yet, the arrays of pointers. A file that is still
/// written to may become twice as long; no more of a group is kept for that than an eighth.
pub(super) fn coming(inode: &Ext2Inode, tree: &Tree, at: u32) -> Option<Coming> {
    let delay = &inode.data().delay;
    if delay.blocks() == 0 {
        return None;
    }
    let run = tree.delayed.run_from(at)?;
    let arrays = match tree.ahead.window() {
        Some(_) => 0,
        None => tree.delayed.arrays(),
    };
    let most = inode.super_block().data().geometry.blocks_per_group() / 8;
    Some(Coming {
        known: (run.end - at).saturating_add(arrays),
        hoped: match delay.is_closed() {
            true => 0,
            false => run.end.min(most),
        },
    })
}

/// What has been promised of block `at`, and of the arrays of pointers that are missing behind the
/// pointer at `level` of its path, to be spent on them.
pub(super) fn promised<'s>(
    inode: &'s Ext2Inode,
    tree: &mut Tree,
    at: u32,
    path: &BlockPath,
    level: usize,
) -> Option<Promised<'s>> {
    let coming = coming(inode, tree, at);
    tree.info.note_coming(coming.unwrap_or_default());
    if inode.data().delay.blocks() == 0 {
        return None;
    }
    let space = &inode.super_block().data().space;
    if coming.is_some() {
        return Some(tree.take_promised(u32::MAX, space));
    }
    let missing = MissingArrays::new(at, path, level);
    let unpromised = tree.delayed.unpromised(block_size(inode), missing);
    let arrays = missing.count() - unpromised.count();
    (arrays != 0).then(|| tree.take_promised(arrays, space))
}

#[inline]
pub(super) fn block_size(inode: &Ext2Inode) -> BlockSize {
    inode.super_block().data().geometry.block_size()
}
