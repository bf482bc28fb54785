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

use super::allocate::Request;
use crate::{
    disk::run::Wanted,
    groups::space::Promised,
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
        if tree.ahead.window().is_none() {
            let alone = tree.delayed.arrays() <= blocks.indirect_wanted();
            if alone || tree.info.window_size().is_none() {
                return Ok(());
            }
            tree.begin_ahead(&self.inode.super_block().data().windows);
        }
        loop {
            let count = blocks.indirect_wanted();
            if count == 0 {
                return Ok(());
            }
            let window = tree.ahead.window();
            let from = window.map_or(goal, |window| window.start as u32);
            let wanted = Wanted {
                needed: count,
                most: count,
            };
            let run = self.get_run(&mut tree.ahead, from, wanted, promised)?;
            blocks.take(run);
        }
    }
}
