// SPDX-License-Identifier: GPL-2.0

//! Where the arrays of pointers go that promised blocks need: in front of the blocks, side by side.
//!
//! C gives each array the place where the file is when it comes to it, so that the blocks behind
//! one are never next to those behind another. Of what has been promised is known how many arrays
//! it needs. The first of several reserves a window for all, where the file goes on, and the blocks
//! begin behind it. A window is known in memory only: nothing in it is claimed before it is used,
//! so nothing is lost with it.
//!
//! So arrays are not where a file is read that needs them; see [`read_arrays`](super::read_arrays).
//!
//! C counterpart: none; FFS has an area for metadata in each group.
//!
//! Locks: who allocates has the inode's tree mutex.

#![deny(unsafe_code)]

use super::{
    allocate::Request,
    delay, //
};
use crate::{
    disk::run::{
        Run,
        Wanted, //
    },
    groups::{
        search,
        space::Promised,
        windows::BlockAllocInfo, //
    },
    inode::tree::Tree,
    tree::branch::Gathering, //
};
use kernel::prelude::*;

impl Request<'_> {
    /// Allocates the arrays of a branch among those to come, if more are promised than it needs or
    /// some have been before it. The file goes on at `goal`.
    pub(super) fn gather_arrays(
        &self,
        tree: &mut Tree,
        goal: u32,
        blocks: &mut Gathering,
        promised: &mut Option<Promised<'_>>,
    ) -> Result {
        if promised.is_none() {
            return Ok(());
        }
        let now = blocks.indirect_wanted();
        let alone = tree.delayed.arrays() <= now;
        if !self.goes_ahead(tree, now, alone) {
            return Ok(());
        }
        loop {
            let count = blocks.indirect_wanted();
            if count == 0 {
                return Ok(());
            }
            let run = self.get_ahead(tree, goal, count, promised)?;
            blocks.take(run);
        }
    }

    /// Whether arrays, `now` so many, go in front: into the window that has been reserved for them,
    /// if there is room for all that are promised, or for as many as can be, or one that is, unless
    /// these are `alone`.
    pub(super) fn goes_ahead(&self, tree: &mut Tree, now: u32, alone: bool) -> bool {
        if !tree.ahead.has_room_for(tree.delayed.arrays(), now) {
            if alone || tree.info.window_size().is_none() {
                return false;
            }
            let coming = delay::coming(self.inode, tree, self.at as u32).unwrap_or_default();
            let more = coming.hoped.div_ceil(self.path.pointers());
            tree.begin_ahead(&self.inode.super_block().data().windows, more);
        }
        true
    }

    /// Where the first of a file's blocks is looked for, if it may be anywhere, and `goal` is a
    /// good place: where all that has been promised has room, and behind the room for its arrays.
    pub(super) fn begin(&self, tree: &mut Tree, goal: u32) -> u32 {
        let sb = self.inode.super_block();
        let Some(coming) = delay::coming(self.inode, tree, self.at as u32) else {
            return goal;
        };
        if tree.delayed.arrays() == 0 || tree.info.window_size().is_none() {
            return goal;
        }
        let goal = search::roomy(sb, goal, coming);
        // One alone is where it is in C, behind the blocks that the inode itself points to, and is
        // written with them; behind another array they go when that is made.
        let alone = tree.delayed.arrays() == 1;
        if self.path.depth() > 1 || !self.goes_ahead(tree, 1, alone) {
            return goal;
        }
        search::reserve(sb, &mut tree.ahead, goal)
            .and_then(|window| u32::try_from(window.end + 1).ok())
            .unwrap_or(goal)
    }

    /// Allocates up to `count` arrays side by side in that window.
    pub(super) fn get_ahead(
        &self,
        tree: &mut Tree,
        goal: u32,
        count: u32,
        promised: &mut Option<Promised<'_>>,
    ) -> Result<Run> {
        let window = tree.ahead.window();
        let from = window.map_or(goal, |window| window.start as u32);
        self.get_exactly(&mut tree.ahead, from, count, promised)
    }

    /// Allocates up to `count` arrays side by side.
    pub(super) fn get_exactly(
        &self,
        info: &mut BlockAllocInfo,
        goal: u32,
        count: u32,
        promised: &mut Option<Promised<'_>>,
    ) -> Result<Run> {
        let wanted = Wanted {
            needed: count,
            most: count,
        };
        self.get_run(info, goal, wanted, promised)
    }
}
