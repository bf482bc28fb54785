// SPDX-License-Identifier: GPL-2.0

//! The last arrays of pointers that a promised run needs behind one array, made together.
//!
//! An array has to be on the medium before a pointer to it is, and where the disk may have what
//! leads to it, the device is flushed in between. For what is appended to a file behind such a
//! place that would be once for each array: every 256 blocks with blocks of 1 KiB. Of a promised
//! run it is known how many arrays it needs. All of them are written without pointers, the device
//! is flushed once, and then they become part of the file. What has got its place behind them is
//! noted in them one by one. A crash in between leaves arrays without pointers in the file, which
//! e2fsck takes for what they are.
//!
//! C counterpart: none; ext2 orders nothing.
//!
//! Locks: who allocates has the inode's tree mutex.

#![deny(unsafe_code)]

use super::{
    allocate::Request,
    delay,
    search::{
        self,
        Missing, //
    },
};
use crate::{
    disk::run::Run,
    groups::space::Promised,
    inode::{
        array::PointerArray,
        tree::Tree, //
    },
    tree::delayed::MissingArrays, //
};
use kernel::prelude::*;
use rust_mpage::{
    block::plugged,
    fs::Buffer, //
};

/// How many are made together at most.
const MOST: u32 = 64;

impl Request<'_> {
    /// Makes the arrays of pointers that what is promised from the request's first block on needs,
    /// all that are missing side by side in `missing.array`, and hangs them there. The first of
    /// them; the file goes on at `goal`.
    ///
    /// [`None`] if that is one array only, if nothing has to be flushed for it, or if they cannot
    /// be made: who asks makes the first alone then, and hears what is wrong.
    pub(super) fn make_leaves(
        &self,
        tree: &mut Tree,
        goal: u32,
        missing: &Missing,
        promised: &mut Option<Promised<'_>>,
    ) -> Option<PointerArray> {
        let count = self.leaves(tree, missing);
        if count < 2 {
            return None;
        }
        let mut leaves = Leaves {
            runs: KVec::new(),
            buffers: KVec::with_capacity(count as usize, GFP_KERNEL).ok()?,
        };
        let made = self
            .allocate_leaves(tree, goal, count, promised, &mut leaves)
            .and_then(|()| self.make_buffers(&mut leaves))
            .and_then(|()| self.write_leaves(&leaves))
            .and_then(|()| self.hang_leaves(tree, missing, &leaves));
        if made.is_err() {
            leaves.buffers.into_iter().for_each(Buffer::forget);
            for run in leaves.runs {
                self.take_back(run, promised);
                // Each is made by itself then, and found to be bad where it is.
                tree.ahead.forget_hits(run.count);
            }
            return None;
        }
        let first = leaves.buffers.into_iter().next()?;
        Some(PointerArray::Indirect(first))
    }

    /// How many arrays of pointers to data are to be made together.
    fn leaves(&self, tree: &Tree, missing: &Missing) -> u32 {
        let at = self.at as u32;
        let is_next_to_last = missing.level + 2 == self.path.depth();
        // Behind a pointer of the inode's that no image has, or that is to be set, they are noted.
        let waits = missing.level != 0 && !self.inode.data().is_fresh(self.path.offset(0));
        match tree.delayed.run_from(at) {
            Some(run) if is_next_to_last && waits => {
                let behind_first = self.path.blocks_to_boundary() + 1;
                let nulls =
                    search::nulls_from(self.inode, &missing.array, self.path, missing.level);
                arrays_of(run.end - at, behind_first, self.path.pointers()).min(nulls)
            }
            Some(_) | None => 0,
        }
    }

    /// Allocates so many blocks for arrays, where arrays go.
    fn allocate_leaves(
        &self,
        tree: &mut Tree,
        goal: u32,
        mut count: u32,
        promised: &mut Option<Promised<'_>>,
        leaves: &mut Leaves,
    ) -> Result {
        let goes_ahead = self.goes_ahead(tree, count, false);
        while count != 0 {
            leaves.runs.reserve(1, GFP_KERNEL)?;
            let run = match goes_ahead {
                true => self.get_ahead(tree, goal, count, promised)?,
                false => self.get_exactly(&mut tree.info, goal, count, promised)?,
            };
            leaves.runs.push(run, GFP_KERNEL)?;
            count -= run.count;
        }
        Ok(())
    }

    /// Makes arrays without pointers.
    fn make_buffers(&self, leaves: &mut Leaves) -> Result {
        let sb = self.inode.super_block();
        for run in &leaves.runs {
            for block in (run.first..).take(run.count as usize) {
                let buffer = sb.new_block(block.into())?;
                // None of what a sync of the inode writes, until there are pointers in it.
                sb.mark_dirty(&buffer);
                leaves.buffers.push(buffer, GFP_KERNEL)?;
            }
        }
        Ok(())
    }

    /// Brings them to the medium. No write is on its way any more when it fails: the blocks may be
    /// somebody else's then.
    fn write_leaves(&self, leaves: &Leaves) -> Result {
        let sb = self.inode.super_block();
        plugged(|| {
            for buffer in &leaves.buffers {
                // What waits for it below hears of an error.
                let _ = sb.start_write(buffer);
            }
        });
        let writes = leaves.buffers.iter().map(|buffer| sb.sync_buffer(buffer));
        writes.fold(Ok(()), Result::and)?;
        sb.device().flush()
    }

    /// Makes them part of the file.
    fn hang_leaves(&self, tree: &mut Tree, missing: &Missing, leaves: &Leaves) -> Result {
        let inode = self.inode;
        let index = self.path.offset(missing.level);
        let last = index.saturating_add(leaves.buffers.len() as u32 - 1);
        missing.array.get(inode, last).ok_or(EUCLEAN)?;

        let blocks = leaves
            .runs
            .iter()
            .flat_map(|run| (run.first..).take(run.count as usize));
        let first = self.at as u32;
        let behind_first = first.saturating_add(self.path.blocks_to_boundary() + 1);
        let arrays = MissingArrays::new(first, self.path, missing.level);
        let size = delay::block_size(inode);
        for (number, block) in (0..).zip(blocks) {
            missing.array.set(inode, index + number, block)?;
            let at = match number {
                0 => first,
                _ => behind_first + (number - 1) * self.path.pointers(),
            };
            tree.delayed.made(size, arrays.beside(at));
        }
        missing.array.mark_dirty(inode);
        tree.hole = None;
        Ok(())
    }
}

/// Arrays that are being made.
struct Leaves {
    runs: KVec<Run>,
    /// Of each block of the runs, in their order.
    buffers: KVec<Buffer>,
}

/// How many arrays of `pointers` pointers a run of `len` blocks needs, `behind_first` of which fit
/// in the first; [`MOST`] at most.
fn arrays_of(len: u32, behind_first: u32, pointers: u32) -> u32 {
    1 + len
        .saturating_sub(behind_first)
        .div_ceil(pointers.max(1))
        .min(MOST - 1)
}

#[kunit_tests(rust_ext2_leaves)]
mod tests {
    use super::*;

    #[test]
    fn as_many_arrays_as_a_run_needs() {
        assert_eq!(arrays_of(1, 256, 256), 1);
        assert_eq!(arrays_of(256, 256, 256), 1);
        assert_eq!(arrays_of(257, 256, 256), 2);
        assert_eq!(arrays_of(3, 1, 256), 2);
        assert_eq!(arrays_of(258, 1, 256), 3);
        assert_eq!(arrays_of(u32::MAX, 1, 256), MOST);
    }
}
