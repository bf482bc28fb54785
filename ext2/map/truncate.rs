// SPDX-License-Identifier: GPL-2.0

//! Cutting files: their size, their pages, and the blocks behind their end.
//!
//! [`Cut`] says which pointers go. They are taken a handful at a time: set to null where they are,
//! in memory and in the image of the inode; then the cut is counted, for those who look without a
//! lock; then what they pointed to is noted as not to be used before the disk knows of the cut; and
//! only then it is freed. So no block has two owners, in memory or after a crash, which C leaves to
//! e2fsck.
//!
//! A block that cannot be read on the way is reported and stays allocated.
//!
//! C counterpart: `ext2_setsize()`, `ext2_truncate_blocks()`, `ext2_write_failed()`,
//! `ext2_free_branches()`, `ext2_free_data()`.
//!
//! Locks: `invalidate_lock` keeps readers and faults away from the pages that go, and, inside it,
//! the tree mutex those who allocate.

#![deny(unsafe_code)]

use super::{
    delay,
    fresh,
    mapper::Mapper,
    way::read_indirect, //
};
use crate::{
    alloc::balloc,
    inode::{
        self,
        array::PointerArray,
        Ext2Inode, //
    },
    mount::{
        report,
        Ext2, //
    },
    tree::{
        cut::{
            Cut,
            Joiner, //
        },
        delayed::Delayed,
        path::{
            BlockPath,
            MAX_DEPTH, //
        },
    },
};
use core::ops::Range;
use kernel::prelude::*;
use rust_mpage::fs::{
    ExclusiveInode,
    InvalidateLock,
    Wait, //
};

/// How many pointers are taken at a time.
const HANDFUL: usize = 32;

/// Sets the size of a file; `ext2_setsize()`.
///
/// Fails with `EINVAL` if the inode has no blocks, with `EPERM` if it must not change, with
/// `EFBIG`, and with `EIO`.
pub(crate) fn set_size(inode: &ExclusiveInode<'_, Ext2Inode>, size: u64) -> Result {
    if !inode::has_block_tree(inode) {
        return Err(EINVAL);
    }
    // One that is about to be a quota file is not immutable yet.
    if inode.is_append() || inode.is_immutable() || inode.is_quota_file() {
        return Err(EPERM);
    }
    if size == 0 && inode.size() != 0 {
        inode.data().delay.note_emptied();
    }
    inode.wait_for_direct_io();
    let new = rust_mpage::truncate_tail(Mapper, inode, size)?;

    let pages = inode.lock_pages();
    rust_mpage::set_size(Mapper, &pages, new)?;
    cut(&pages, size);
    drop(pages);

    inode.held().set_mtime_and_ctime_now();
    inode.mark_dirty();
    if inode.needs_sync() {
        inode.sync(Wait::Yes)?;
    }
    Ok(())
}

/// Frees what a file has behind its end; `ext2_truncate_blocks()` with the file's size.
///
/// After a write that failed half-way, the page cache behind the end being cut already, and before
/// an inode is deleted.
pub(crate) fn cut_beyond_end(inode: &Ext2Inode) {
    if inode::has_block_tree(inode) {
        cut(&inode.lock_invalidate(), inode.size());
    }
}

/// Frees the blocks of the file of `pages` behind `size`; `__ext2_truncate_blocks()`.
fn cut(pages: &InvalidateLock<'_, Ext2>, size: u64) {
    let inode = pages.inode();
    let block_size = inode.super_block().data().geometry.block_size();
    let first = size.div_ceil(block_size.bytes().into());
    let Ok(path) = BlockPath::new(block_size, first) else {
        // No file has blocks there.
        return;
    };

    let mut tree = inode.data().lock_tree();
    // No file has blocks beyond 32 bits.
    let first = first.min(u32::MAX.into()) as u32;
    delay::remove(inode, &mut tree, first..u32::MAX);
    Truncation {
        inode,
        delayed: &tree.delayed,
    }
    .cut_at(&path, first);
    tree.hole = None;
    tree.give_up(&inode.super_block().data().windows);
}

/// A truncation under way; the tree mutex is held.
struct Truncation<'a> {
    inode: &'a Ext2Inode,
    /// What has been promised in front of the cut.
    delayed: &'a Delayed,
}

/// What tells the disk of a cut.
#[derive(Clone, Copy)]
enum Guard {
    /// The disk does not know what was cut off.
    NotNeeded,
    /// This metadata block, which is dirty.
    Block(u32),
    /// Nothing does: what was cut off must not be used again.
    Missing,
}

impl From<Result<u32>> for Guard {
    fn from(block: Result<u32>) -> Self {
        block.map_or(Self::Missing, Self::Block)
    }
}

impl Truncation<'_> {
    /// Cuts the tree in front of block `first`, whose path is `path`.
    fn cut_at(&self, path: &BlockPath, first: u32) {
        let (cut, arrays) = self.plan(path, first);

        for (level, array) in arrays.iter().enumerate().take(cut.levels()).rev() {
            if let Some(array) = array {
                let root = path.offset(0);
                self.cut_array(array, root, cut.range(level), |index| {
                    cut.height(level, index)
                });
            }
        }
    }

    /// Reads the arrays of pointers on the path, and decides what goes. An array stays if blocks
    /// behind it have been promised: it was there when they were.
    fn plan(&self, path: &BlockPath, first: u32) -> (Cut, [Option<PointerArray>; MAX_DEPTH]) {
        let inode = self.inode;
        let mut arrays = [const { None }; MAX_DEPTH];
        let mut array = PointerArray::Inode;
        let last = Cut::depth_to_look_at(path).saturating_sub(1);

        for (level, (slot, &offset)) in arrays.iter_mut().zip(path.offsets()).enumerate() {
            let pointer = array.get(inode, offset).unwrap_or(0);
            if level == last || pointer == 0 {
                *slot = Some(array);
                let is_empty = |level: usize| {
                    let array = arrays.get(level).and_then(Option::as_ref);
                    let offset = path.offsets().get(level).copied().unwrap_or(0);
                    array.is_some_and(|array| array.is_null_before(inode, offset))
                        && !self.has_promised(path, level, first)
                };
                return (Cut::new(path, level + 1, is_empty), arrays);
            }
            match read_indirect(inode, pointer) {
                Ok(next) => *slot = Some(core::mem::replace(&mut array, next)),
                Err(_) => {
                    *slot = Some(array);
                    self.report_unreadable(pointer);
                    return (Cut::before_unreadable(path, level + 1), arrays);
                }
            }
        }
        // Not reached: `last` is one of the path's levels.
        (Cut::new(path, 1, |_| false), arrays)
    }

    /// Whether anything has been promised in front of block `first` behind the array at `level` of
    /// its path.
    fn has_promised(&self, path: &BlockPath, level: usize, first: u32) -> bool {
        let height = path.depth().saturating_sub(level + 1) as u32;
        self.delayed
            .has_in_front(delay::block_size(self.inode), height, first)
    }

    /// Cuts the pointers in `range` of an array that stays, which is behind pointer `root` or the
    /// inode's own, and frees what hangs on them, which for pointer `index` has `height(index)`
    /// levels of indirect blocks.
    fn cut_array(
        &self,
        array: &PointerArray,
        root: u32,
        range: Range<u32>,
        height: impl Fn(u32) -> usize,
    ) {
        let mut joiner = Joiner::default();
        let mut guard = Guard::NotNeeded;

        for start in range.clone().step_by(HANDFUL) {
            let taken = Taken::from(self.inode, array, start, range.end);
            if taken.is_empty() {
                continue;
            }
            guard = self.make_known(array);
            if height(start) != 0 && fresh::note_cut(self.inode, array, root).is_err() {
                // The disk may have the array as it was. What it leads to there stays.
                guard = Guard::Missing;
            }
            for (index, block) in taken.iter() {
                match height(index) {
                    0 => self.free_joined(&mut joiner, block, guard),
                    height => self.free_subtree(block, height, guard),
                }
            }
        }
        self.free_rest(joiner, guard);
    }

    /// Lets everybody know that pointers of `array` have been cut: first who looks at the tree,
    /// then the metadata block that is the guard of what was cut off.
    fn make_known(&self, array: &PointerArray) -> Guard {
        let inode = self.inode;
        inode.data().count_cut();
        array.mark_dirty(inode);
        let block = match array {
            // It may be on the disk though its inode is not: it is written with what is fresh of
            // others, and the inode, once it is stored, leads to what of it is there then.
            PointerArray::Indirect(_) => array.block().ok_or(EUCLEAN),
            PointerArray::Inode if !inode.data().is_on_disk() => return Guard::NotNeeded,
            // The image of a deleted inode has no links, which is as good.
            PointerArray::Inode if inode.data().is_deleted() => inode::block_of(inode),
            PointerArray::Inode => inode::store(inode),
        };
        block.into()
    }

    /// Frees an indirect block and all that hangs on it; `ext2_free_branches()`. `height` is at
    /// least 1.
    fn free_subtree(&self, block: u32, height: usize, guard: Guard) {
        let array = match read_indirect(self.inode, block) {
            Ok(array) => array,
            Err(_) => return self.report_unreadable(block),
        };
        let mut joiner = Joiner::default();
        let end = self.pointers();

        for start in (0..end).step_by(HANDFUL) {
            // They are set to null here, too: where the disk has the same block twice in a tree,
            // the second time is soon over.
            for (_, block) in Taken::from(self.inode, &array, start, end).iter() {
                match height {
                    0 | 1 => self.free_joined(&mut joiner, block, guard),
                    height => self.free_subtree(block, height - 1, guard),
                }
            }
        }
        self.free_rest(joiner, guard);
        if let PointerArray::Indirect(buffer) = array {
            match self.note(block, 1, guard) {
                Ok(()) => balloc::free_metadata(self.inode, block, buffer),
                Err(_) => balloc::abandon_blocks(self.inode, block, 1),
            }
        }
    }

    fn free_joined(&self, joiner: &mut Joiner, block: u32, guard: Guard) {
        if let Some((first, count)) = joiner.add(block) {
            self.free(first, count, guard);
        }
    }

    fn free_rest(&self, joiner: Joiner, guard: Guard) {
        if let Some((first, count)) = joiner.finish() {
            self.free(first, count, guard);
        }
    }

    /// Frees blocks that nothing points to any more.
    fn free(&self, first: u32, count: u32, guard: Guard) {
        match self.note(first, count, guard) {
            Ok(()) => balloc::free_blocks(self.inode, first, count),
            Err(_) => balloc::abandon_blocks(self.inode, first, count),
        }
    }

    /// Has blocks that nothing points to any more not used again before the disk is told.
    ///
    /// Fails if it cannot be told.
    fn note(&self, first: u32, count: u32, guard: Guard) -> Result {
        let sb = self.inode.super_block();
        match guard {
            Guard::NotNeeded => Ok(()),
            Guard::Block(guard) => sb.data().order.cuts.add(sb, first, count, guard),
            Guard::Missing => Err(EIO),
        }
    }

    fn pointers(&self) -> u32 {
        let geometry = &self.inode.super_block().data().geometry;

        geometry.block_size().pointers()
    }

    fn report_unreadable(&self, block: u32) {
        let inode = self.inode;

        report::corrupt(
            inode.super_block(),
            fmt!(
                "inode {}: indirect block {block} cannot be read, what it points to is not freed",
                inode.number()
            ),
        );
    }
}

/// Pointers that have been cut.
struct Taken {
    start: u32,
    blocks: [u32; HANDFUL],
}

impl Taken {
    /// Cuts pointers of `array` from number `start` on, a handful at most and none from `end` on.
    fn from(inode: &Ext2Inode, array: &PointerArray, start: u32, end: u32) -> Self {
        let mut blocks = [0; HANDFUL];

        for (block, index) in blocks.iter_mut().zip(start..end) {
            *block = array.get(inode, index).unwrap_or(0);
            if *block != 0 && array.set(inode, index, 0).is_err() {
                *block = 0;
            }
        }
        Self { start, blocks }
    }

    fn is_empty(&self) -> bool {
        self.blocks.iter().all(|&block| block == 0)
    }

    /// Each with its number in the array.
    fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let all = (self.start..).zip(self.blocks.iter().copied());
        all.filter(|&(_, block)| block != 0)
    }
}
