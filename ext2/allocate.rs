// SPDX-License-Identifier: GPL-2.0

//! Giving blocks to a hole.
//!
//! Under the tree mutex: what is missing is looked at again, the blocks are allocated at the place
//! that C's policy names, the new indirect blocks are filled, and only then, by the store of one
//! pointer or a run of them, all of it becomes part of the file. Nothing before that store has to be
//! undone but the allocation.
//!
//! What a crash leaves is decided by two rules, both beyond C, which leaves it to e2fsck:
//!
//! - A block gets a new owner only when the disk does not say any more that it is another's, see
//!   [`unsettled`](crate::unsettled).
//! - A pointer to an indirect block gets to the disk only after that block. If the pointer's array
//!   can be found on disk, the block is written here and now, and the device flushed; if not,
//!   because the branch hangs on the inode itself or on one that does, the branch is noted as fresh,
//!   and [`inode_write`](crate::inode_write) writes it before it writes the pointer.
//!
//! C counterpart: the second half of `ext2_get_blocks()`, `ext2_alloc_branch()` and
//! `ext2_splice_branch()`.
//!
//! Locks: takes the inode's tree mutex.

#![deny(unsafe_code)]

use crate::{
    array, balloc,
    bitmap::Run,
    branch::{
        self,
        Branch,
        BranchPlan,
        Gathering,
        MAX_INDIRECT, //
    },
    inode::{
        self,
        Ext2Inode, //
    },
    map::{
        self,
        Blocks,
        Found,
        Missing,
        MissingBefore, //
    },
    path::BlockPath,
    reservation::BlockAllocInfo,
};
use kernel::prelude::*;
use rust_mpage_core::abstractions::fs::{
    self,
    Buffer, //
};

/// Gives block `at` of the file, whose path is `path`, and up to `max` blocks in all from it on,
/// what they are missing; or finds that somebody else just did.
///
/// Fails with `ENOSPC`, `EIO`, `ENOMEM` or `EUCLEAN`; no block is lost then.
pub(crate) fn fill(
    inode: &Ext2Inode,
    at: u64,
    path: &BlockPath,
    missing: MissingBefore,
    max: u32,
) -> Result<Blocks> {
    let mut info = inode.data().lock_tree();

    let missing = match map::look_again(inode, path, max, missing)? {
        Found::Blocks(blocks) => return Ok(blocks),
        Found::Missing(missing) => missing,
    };
    if let Some(block) = missing.array.block() {
        array::check_own(inode, block, 1)?;
    }
    if inode::is_regular(inode) {
        info.ensure(inode.super_block().data().options().windowing());
    }

    let goal = goal(inode, &info, at, path, &missing);
    let plan = BranchPlan::new(path, missing.level, missing.nulls, max);
    let mut blocks = Gathering::new(plan);
    let branch = gather(inode, &mut info, goal, &mut blocks)
        .and_then(|()| blocks.branch(path).ok_or(EUCLEAN))
        .and_then(|branch| hang(inode, path, &missing, &branch).map(|()| branch))
        .inspect_err(|_| {
            for run in blocks.runs() {
                balloc::free_blocks(inode, run.first, run.count);
            }
        })?;

    let Run { first, count } = branch.data();
    let last = at.saturating_add(count.into()).saturating_sub(1);
    info.set_last(last as u32, first.saturating_add(count).saturating_sub(1));
    inode.set_ctime_now();
    inode.mark_dirty();
    Ok(Blocks {
        first,
        count,
        is_new: true,
    })
}

/// Where to look for free blocks first; `ext2_find_goal()`.
fn goal(
    inode: &Ext2Inode,
    info: &BlockAllocInfo,
    at: u64,
    path: &BlockPath,
    missing: &Missing,
) -> u32 {
    // The size of a file in blocks fits in 32 bits: so does the count of its sectors.
    info.goal_for(at as u32).unwrap_or_else(|| {
        let offset = path.offsets().get(missing.level).copied().unwrap_or(0);
        let before = (0..offset)
            .rev()
            .map_while(|index| missing.array.get(inode, index));
        let geometry = &inode.super_block().data().geometry;
        let group = geometry
            .inode_location(inode.number() as u32)
            .ok()
            .and_then(|location| geometry.group_first_block(location.group))
            .unwrap_or(geometry.first_data_block());
        let coloured = branch::colour(group, geometry.blocks_per_group(), fs::current_pid());

        branch::near(before, missing.array.block(), coloured)
    })
}

/// Allocates blocks until there are enough.
fn gather(
    inode: &Ext2Inode,
    info: &mut BlockAllocInfo,
    goal: u32,
    blocks: &mut Gathering,
) -> Result {
    while blocks.wanted() != 0 {
        let wanted = blocks.wanted();
        let run = balloc::new_blocks(inode, info, goal, wanted, balloc::Reservation::Use)?;
        blocks.take(run);
        let sb = inode.super_block();
        sb.data().unsettled.settle(sb, run.first, run.count)?;
    }
    Ok(())
}

/// Makes the branch part of the file. On failure, nothing points to it.
fn hang(inode: &Ext2Inode, path: &BlockPath, missing: &Missing, branch: &Branch) -> Result {
    let data = inode.data();
    let root = path.offsets().first().copied().unwrap_or(0);
    let splice = branch.splice().ok_or(EUCLEAN)?;

    make_indirect(
        inode,
        branch,
        missing.level > 0 && !data.has_fresh_branch(root),
    )?;
    if missing.level == 0 && branch.indirect().next().is_some() {
        data.note_fresh_branch(root);
    }
    for (index, block) in splice.iter() {
        missing.array.set(inode, index, block)?;
    }
    missing.array.mark_dirty(inode);
    Ok(())
}

/// Fills the branch's indirect blocks, and writes them if what they will hang on `is_on_disk`.
fn make_indirect(inode: &Ext2Inode, branch: &Branch, is_on_disk: bool) -> Result {
    let mut made: [Option<Buffer>; MAX_INDIRECT] = [const { None }; MAX_INDIRECT];
    let mut result = Ok(());

    for (slot, (block, pointers)) in made.iter_mut().zip(branch.indirect()) {
        match inode.super_block().new_block(block.into()) {
            Ok(buffer) => {
                let buffer = slot.insert(buffer);
                result = pointers
                    .iter()
                    .try_for_each(|(index, block)| buffer.set_le32(index as usize, block));
                inode.mark_metadata_dirty(buffer);
                if is_on_disk {
                    result = result.and_then(|()| buffer.sync());
                }
            }
            Err(error) => result = Err(error),
        }
        if result.is_err() {
            break;
        }
    }
    if is_on_disk && made.iter().any(Option::is_some) {
        result = result.and_then(|()| inode.super_block().device().flush());
    }
    if result.is_err() {
        for buffer in made.into_iter().flatten() {
            buffer.forget();
        }
    }
    result
}
