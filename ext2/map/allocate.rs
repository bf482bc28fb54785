// SPDX-License-Identifier: GPL-2.0

//! Giving blocks to a hole.
//!
//! Under the tree mutex: what is missing is looked at again, the blocks are allocated at the place
//! that C's policy names, the new indirect blocks are filled, and only then, by the store of one
//! pointer or a run of them, all of it becomes part of the file. Nothing before that store has to
//! be undone but the allocation.
//!
//! A file that grows asks for block after block in the same array of pointers. That array is kept
//! at hand in the [`Tree`], and questions about it are answered under the mutex at once, if nobody
//! else has it. Whoever asks for what the file has never waits for the mutex, unless something is
//! cut off meanwhile: who has it may wait for the device.
//!
//! What a crash leaves is decided by two rules, both beyond C, which leaves it to e2fsck:
//!
//! - A block gets a new owner only when the disk does not say any more that it is another's, see
//!   [`places`](super::places).
//! - A pointer to an indirect block, or to a block of a directory, gets to the disk only after that
//!   block, see [`fresh`].
//!
//! C counterpart: the second half of `ext2_get_blocks()`, and `ext2_splice_branch()`.
//!
//! Locks: takes the inode's tree mutex.

#![deny(unsafe_code)]

use super::{
    delay,
    fresh::{
        self,
        Refused, //
    },
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
    disk::run::{
        Run,
        Wanted, //
    },
    groups::space::Promised,
    inode::{
        self,
        array::PointerArray,
        tree::Tree,
        Ext2Inode, //
    },
    tree::{
        branch::{
            self,
            Branch,
            BranchPlan,
            Gathering, //
        },
        delayed::MissingArrays,
        path::{
            BlockPath,
            PointerRun, //
        },
    },
};
use kernel::prelude::*;
use rust_mpage::fs;

/// A question for blocks of a file that is written to: what is missing is allocated.
pub(crate) struct Request<'a> {
    pub(super) inode: &'a Ext2Inode,
    /// The first block.
    pub(super) at: u64,
    pub(super) path: &'a BlockPath,
    /// The number of the array that has the pointer to it, see [`Tree`].
    array: u64,
    /// How many blocks there shall be at most, from the first on.
    pub(super) max: u32,
}

impl<'a> Request<'a> {
    /// For block `at` of the file, whose path is `path`, and up to `max` blocks in all from it on.
    pub(crate) fn new(inode: &'a Ext2Inode, at: u64, path: &'a BlockPath, max: u32) -> Self {
        Self {
            inode,
            at,
            path,
            array: way::number_of_last(inode, at),
            max,
        }
    }

    /// The blocks, given to the file now if it has none there.
    ///
    /// Fails with `ENOSPC`, `EIO`, `ENOMEM` or `EUCLEAN`; no block is lost then.
    pub(crate) fn blocks(&self) -> Result<Blocks> {
        if let Some((first, count)) = known::recall(self.inode, self.at, self.max) {
            return Ok(Blocks::there(first, count));
        }
        if let Some(blocks) = self.in_kept_array()? {
            return Ok(blocks);
        }
        let cuts = self.inode.data().cuts();
        match known::look(self.inode, self.at, self.path, self.max)? {
            Found::Blocks(blocks) => self.there(blocks.first, blocks.count),
            Found::Missing(missing) => self.fill(MissingBefore::new(missing, cuts)),
        }
    }

    /// Answers from the array that the file grew in last, if it is the one; nobody cuts it off
    /// while the tree is locked. If somebody else has locked the tree, and may be waiting for the
    /// device, there is no answer: what the file has is found without the mutex.
    fn in_kept_array(&self) -> Result<Option<Blocks>> {
        let Some(mut tree) = self.inode.data().try_lock_tree() else {
            return Ok(None);
        };
        let Some(array) = tree.take_array(self.array) else {
            return Ok(None);
        };
        let blocks =
            match search::run_at(self.inode, &array, self.path, self.last_level(), self.max) {
                PointerRun::Null { len } => self.fill_array(&mut tree, &array, len),
                PointerRun::Blocks { first, len } => self.there(first, len),
            };
        tree.keep_array(self.array, array);
        self.give_up_if_closed(&mut tree);
        blocks.map(Some)
    }

    /// Gives the file what is missing; or finds that somebody else just did.
    fn fill(&self, missing: MissingBefore) -> Result<Blocks> {
        let inode = self.inode;
        let mut tree = inode.data().lock_tree();

        let missing = match search::look_again(inode, self.path, self.max, missing)? {
            Found::Blocks(blocks) => return self.there(blocks.first, blocks.count),
            Found::Missing(missing) => missing,
        };
        if let Some(block) = missing.array.block() {
            inode::check_own(inode, block, 1)?;
        }
        if inode::is_regular(inode) {
            let windowing = inode.super_block().data().options().windowing();
            tree.info.ensure(windowing);
        }
        let blocks = match missing.level == self.last_level() {
            true => self.fill_array(&mut tree, &missing.array, missing.nulls),
            false => self.fill_branch(&mut tree, &missing),
        };
        // Of directories and symbolic links nobody says that they are not written to any more.
        if blocks.is_ok() && missing.level == self.last_level() && inode::is_regular(inode) {
            tree.keep_array(self.array, missing.array);
        }
        self.give_up_if_closed(&mut tree);
        blocks
    }

    /// Gives up what is kept for a file that grows, if the last of what was written before it was
    /// closed has got its place.
    fn give_up_if_closed(&self, tree: &mut Tree) {
        let delay = &self.inode.data().delay;
        if delay.is_closed() && delay.blocks() == 0 {
            tree.give_up(&self.inode.super_block().data().windows);
        }
    }

    /// Gives blocks to null pointers to data; there are `nulls` of them in `array`, as far as they
    /// matter.
    fn fill_array(&self, tree: &mut Tree, array: &PointerArray, nulls: u32) -> Result<Blocks> {
        let level = self.last_level();
        let goal = self.goal(tree, array, level);
        let together = delay::together(tree, self.at as u32, self.max);
        let nulls = match together > nulls {
            true => search::nulls_from(self.inode, array, self.path, level),
            false => nulls,
        };
        let wanted = Wanted {
            needed: 1,
            most: nulls.min(together).max(1),
        };
        self.pay(tree, level, |tree, promised| {
            self.fill_nulls(tree, array, goal, wanted, promised)
        })
    }

    /// Gives `wanted` blocks, looked for from `goal` on, to the null pointers in `array`, which is
    /// that of the last level.
    fn fill_nulls(
        &self,
        tree: &mut Tree,
        array: &PointerArray,
        goal: u32,
        wanted: Wanted,
        promised: &mut Option<Promised<'_>>,
    ) -> Result<Blocks> {
        let level = self.last_level();
        let run = self.where_it_can_be_written(promised, |promised| {
            let run = self.get_run(&mut tree.info, goal, wanted, promised)?;
            fresh::initialise(self.inode, self.path, run, level)
                .inspect_err(|refused| self.take_back_but(run, *refused, promised))?;
            Ok(run)
        })?;
        array
            .set_all(self.inode, self.path.offset(level), run)
            .inspect_err(|_| self.take_back(run, promised))?;
        array.mark_dirty(self.inode);
        self.note_given(array, self.given(tree, run, level))
    }

    /// Gives blocks behind the pointer at `level`, with what has been promised of them, if it has
    /// been.
    fn pay(
        &self,
        tree: &mut Tree,
        level: usize,
        give: impl FnOnce(&mut Tree, &mut Option<Promised<'a>>) -> Result<Blocks>,
    ) -> Result<Blocks> {
        let mut promised = delay::promised(self.inode, tree, self.at as u32, self.path, level);
        if promised.is_some() {
            // What stays promised may be in more runs than before.
            if let Err(error) = tree.delayed.make_room(self.at as u32, GFP_KERNEL) {
                delay::settle(self.inode, tree, promised);
                return Err(error.into());
            }
        }
        let result = give(tree, &mut promised);
        delay::settle(self.inode, tree, promised);
        result
    }

    /// Gives blocks to where indirect blocks are missing, too.
    fn fill_branch(&self, tree: &mut Tree, missing: &Missing) -> Result<Blocks> {
        let goal = self.goal(tree, &missing.array, missing.level);
        let together = delay::together(tree, self.at as u32, self.max);
        let plan = BranchPlan::new(self.path, missing.level, missing.nulls, together);
        self.pay(tree, missing.level, |tree, promised| {
            if let Some(array) = self.make_leaves(tree, goal, missing, promised) {
                let most = together.min(self.path.blocks_to_boundary() + 1).max(1);
                let wanted = Wanted { needed: 1, most };
                return self.fill_nulls(tree, &array, goal, wanted, promised);
            }
            let data = self.where_it_can_be_written(promised, |promised| {
                let mut blocks = Gathering::new(plan);
                self.gather(tree, goal, &mut blocks, promised)
                    .and_then(|()| blocks.branch(self.path).ok_or(EUCLEAN))
                    .map_err(Refused::from)
                    .and_then(|branch| self.hang(missing, &branch).map(|()| branch.data()))
                    .inspect_err(|refused| {
                        for run in blocks.runs() {
                            self.take_back_but(run, *refused, promised);
                        }
                    })
            })?;
            self.note_given(&missing.array, self.given(tree, data, missing.level))
        })
    }

    /// Notes that a directory has blocks by pointers in `array`. If that fails they are the
    /// directory's, and cut off by who wanted them: behind its end.
    fn note_given(&self, array: &PointerArray, given: Blocks) -> Result<Blocks> {
        fresh::note_pointers(self.inode, array).map(|()| given)
    }

    /// Allocates blocks until there are enough.
    fn gather(
        &self,
        tree: &mut Tree,
        goal: u32,
        blocks: &mut Gathering,
        promised: &mut Option<Promised<'_>>,
    ) -> Result {
        self.gather_arrays(tree, goal, blocks, promised)?;
        while let Some(wanted) = blocks.wanted() {
            let run = self.get_run(&mut tree.info, goal, wanted, promised)?;
            blocks.take(run);
        }
        Ok(())
    }

    /// Where to look for free blocks first, for a pointer in `array`, which is that at `level`;
    /// `ext2_find_goal()`.
    fn goal(&self, tree: &mut Tree, array: &PointerArray, level: usize) -> u32 {
        // The size of a file in blocks fits in 32 bits: so does the count of its sectors.
        tree.info.goal_for(self.at as u32).unwrap_or_else(|| {
            let inode = self.inode;
            let before = (0..self.path.offset(level))
                .rev()
                .map_while(|index| array.get(inode, index));
            let geometry = &inode.super_block().data().geometry;
            let group = geometry
                .inode_location(inode.number() as u32)
                .ok()
                .and_then(|location| geometry.group_first_block(location.group))
                .unwrap_or(geometry.first_data_block());
            let coloured = branch::colour(group, geometry.blocks_per_group(), fs::current_pid());

            branch::near(before, array.block()).unwrap_or_else(|| self.begin(tree, coloured))
        })
    }

    /// Makes the branch part of the file. On failure, nothing points to it.
    fn hang(&self, missing: &Missing, branch: &Branch) -> Result<(), Refused> {
        let inode = self.inode;
        let root = self.path.offset(0);
        let splice = branch.splice().ok_or(EUCLEAN)?;

        // Before there are blocks that would have to be forgotten.
        for (index, _) in splice.iter() {
            missing.array.get(inode, index).ok_or(EUCLEAN)?;
        }
        fresh::initialise(inode, self.path, branch.data(), missing.level)?;
        fresh::make_indirect(inode, branch, root, missing.level)?;
        for (index, block) in splice.iter() {
            missing.array.set(inode, index, block)?;
        }
        missing.array.mark_dirty(inode);
        Ok(())
    }

    /// Blocks that the file has had. They will be written to, so nothing of the filesystem's own
    /// may be there.
    fn there(&self, first: u32, count: u32) -> Result<Blocks> {
        inode::check_own(self.inode, first, count)?;
        Ok(Blocks::there(first, count))
    }

    /// Blocks that are part of the file since now, and the arrays of pointers to them that were
    /// missing behind the pointer at `level`.
    fn given(&self, tree: &mut Tree, run: Run, level: usize) -> Blocks {
        let Run { first, count } = run;
        let at = self.at as u32;
        if tree.delayed.run_from(at).is_some() {
            self.inode.data().delay.note_given();
        } else {
            // Who wrote what had been promised has changed the time.
            self.inode.set_ctime_now();
        }
        if self.inode.data().delay.blocks() != 0 {
            let size = delay::block_size(self.inode);
            let made = MissingArrays::new(at, self.path, level);
            tree.delayed.made(size, made);
            tree.delayed.remove(size, at..at.saturating_add(count));
        }
        tree.hole = None;
        let last = self.at.saturating_add(count.into()).saturating_sub(1);

        tree.info
            .set_last(last as u32, first.saturating_add(count).saturating_sub(1));
        self.inode.mark_dirty();
        Blocks {
            first,
            count,
            is_new: true,
        }
    }

    /// The level of the array with the pointer to the data.
    fn last_level(&self) -> usize {
        self.path.depth().saturating_sub(1)
    }
}
