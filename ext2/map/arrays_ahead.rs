// SPDX-License-Identifier: GPL-2.0

//! Where the arrays of pointers go that promised blocks need: in front of the blocks, side by side.
//!
//! C gives each array the place where the file is when it comes to it, so that the blocks behind one are
//! never next to those behind another. Of what has been promised is known how many arrays it needs. The
//! first of several reserves a window for all, where the file goes on, and the blocks begin behind it. A
//! window is known in memory only: nothing in it is claimed before it is used, so nothing is lost with
//! it.
//!
//! So arrays are not where a file is read that needs them. Those side by side are read together by who
//! reads from the beginning to the end: one request, and not one for each.
//!
//! C counterpart: none; FFS has an area for metadata in each group.
//!
//! Locks: who allocates has the inode's tree mutex, who reads needs none.

#![deny(unsafe_code)]

use super::allocate::Request;
use crate::{
    disk::run::Wanted,
    groups::space::Promised,
    inode::{
        array::PointerArray,
        tree::Tree,
        Ext2Inode, //
    },
    tree::branch::Gathering, //
};
use kernel::prelude::*;
use rust_mpage::block::plugged;

/// As many bytes of arrays are read together, at most.
const MOST_BYTES: u32 = 1 << 16;

impl Request<'_> {
    /// Allocates the arrays of a branch among those to come, if more are promised than it needs or some
    /// have been before it. The file goes on at `goal`.
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

/// Begins to read an array in `block`, to which pointer `index` of `above` leads, and those after it, if
/// they are side by side, and who comes to it has been to the one before. Where C has put them, no two
/// are.
#[inline]
pub(super) fn read(inode: &Ext2Inode, above: &PointerArray, index: u32, block: u32) {
    let is_beside = |pointer: u32| Some(pointer) == block.checked_add(1);
    if above.get(inode, index + 1).is_some_and(is_beside) {
        read_together(inode, above, index, block);
    }
}

#[cold]
fn read_together(inode: &Ext2Inode, above: &PointerArray, index: u32, block: u32) {
    let sb = inode.super_block();
    let before = index
        .checked_sub(1)
        .and_then(|index| above.get(inode, index))
        .filter(|&before| before != 0 && matches!(above, PointerArray::Indirect(_)));
    let goes_on = before.is_none_or(|before| sb.is_cached(before.into()));
    if !goes_on || sb.is_cached(block.into()) {
        return;
    }
    let pointers = (index..).map_while(|index| above.get(inode, index));
    let most = MOST_BYTES >> inode.block_bits();
    let beside = pointers.zip(block..).take(most as usize);
    let count = beside
        .take_while(|(pointer, block)| pointer == block)
        .count() as u32;

    if sb.data().geometry.check_data_blocks(block, count).is_ok() {
        plugged(|| {
            for block in (block..).take(count as usize) {
                sb.readahead_block(block.into());
            }
        });
    }
}
