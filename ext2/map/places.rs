// SPDX-License-Identifier: GPL-2.0

//! Places that a file can have: those that the disk does not say are another file's, and that can
//! be written.
//!
//! Of blocks that the allocator gives some may have been another file's, and the disk cannot be
//! told that they are not any more, see [`cuts`](crate::order::cuts). Nobody gets these: they stay
//! in use, nobody's, and for e2fsck to find.
//!
//! What has to be on the disk before anything leads to it, see [`fresh`](super::fresh), may be
//! given a place that cannot be written. It gets another, and then it is known that it was the
//! place, which stays in use, too: free, it would be the next one that is found. Where no place
//! can be written it is the device, and all are free again.
//!
//! C counterpart: none; `ext2_alloc_branch()` does not wait for what it writes.
//!
//! Locks: who allocates has the inode's tree mutex.

#![deny(unsafe_code)]

use super::{
    allocate::Request,
    fresh::Refused, //
};
use crate::{
    alloc::balloc,
    disk::run::{
        Run,
        Wanted, //
    },
    groups::{
        space::Promised,
        windows::BlockAllocInfo, //
    },
};
use kernel::prelude::*;

/// How many runs of blocks are given up that nobody can have, and how many places are tried that
/// cannot be written, before the error is the caller's.
const TRIES: usize = 8;

/// Places that could not be written.
struct Unwritable {
    blocks: [u32; TRIES],
    count: usize,
}

impl Unwritable {
    const fn none() -> Self {
        Self {
            blocks: [0; TRIES],
            count: 0,
        }
    }

    /// Adds one. Whether another place is to be tried.
    fn add(&mut self, block: u32) -> bool {
        if let Some(place) = self.blocks.get_mut(self.count) {
            *place = block;
            self.count += 1;
        }
        self.count < TRIES
    }

    fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.blocks.iter().copied().take(self.count)
    }
}

impl Request<'_> {
    /// Has `give` give blocks to the file; again, and so elsewhere, if it finds one that cannot be
    /// written. It has taken back all others then.
    ///
    /// Fails with `EIO` if no place could be written, and as `give` does.
    pub(super) fn where_it_can_be_written<'s, T>(
        &self,
        promised: &mut Option<Promised<'s>>,
        mut give: impl FnMut(&mut Option<Promised<'s>>) -> Result<T, Refused>,
    ) -> Result<T> {
        let mut unwritable = Unwritable::none();
        let result = loop {
            match give(promised) {
                Ok(given) => break Ok(given),
                Err(Refused::Failed(error)) => break Err(error),
                Err(Refused::Unwritable(block)) => {
                    self.replace(1, promised);
                    if !unwritable.add(block) {
                        break Err(EIO);
                    }
                }
            }
        };
        for block in unwritable.iter() {
            match result {
                Ok(_) => balloc::abandon_unwritable(self.inode, block),
                Err(_) => balloc::free_blocks(self.inode, block, 1),
            }
        }
        result
    }

    /// Allocates up to `wanted.most` blocks in a row that the disk does not say are another file's.
    pub(super) fn get_run(
        &self,
        info: &mut BlockAllocInfo,
        goal: u32,
        wanted: Wanted,
        promised: &mut Option<Promised<'_>>,
    ) -> Result<Run> {
        let inode = self.inode;
        let sb = inode.super_block();
        let mut tries = TRIES;

        loop {
            let run = match promised.as_mut().filter(|it| it.count() != 0) {
                Some(promised) => {
                    // All of them are to be written now.
                    let needed = wanted.most.min(promised.count());
                    let wanted = Wanted { needed, ..wanted };
                    let run = balloc::promised_blocks(inode, info, goal, wanted, promised)?;
                    inode.data().delay.add_giving(run.count);
                    run
                }
                None => balloc::new_blocks(inode, info, goal, wanted)?,
            };
            let result = sb.data().order.cuts.settle(sb, run.first, run.count);
            tries -= 1;
            match result {
                Ok(()) => return Ok(run),
                // The disk cannot be told that they are not another file's: nobody gets them.
                Err(EIO) => {
                    self.replace(run.count, promised);
                    balloc::abandon_blocks(inode, run.first, run.count);
                }
                Err(_) => self.take_back(run, promised),
            }
            if tries == 0 || result != Err(EIO) {
                return result.map(|()| run);
            }
        }
    }

    /// So many blocks that were given are lost: if they were promised, others are.
    fn replace(&self, count: u32, promised: &mut Option<Promised<'_>>) {
        if let Some(promised) = promised {
            self.inode.data().delay.sub_giving(count);
            promised.replace(count);
        }
    }

    /// Frees blocks that have been given for nothing.
    pub(super) fn take_back(&self, run: Run, promised: &mut Option<Promised<'_>>) {
        if run.count == 0 {
            return;
        }
        match promised {
            Some(promised) => {
                self.inode.data().delay.sub_giving(run.count);
                balloc::take_back(self.inode, run, promised);
            }
            None => balloc::free_blocks(self.inode, run.first, run.count),
        }
    }

    /// As [`Self::take_back`], but for one that cannot be written.
    pub(super) fn take_back_but(
        &self,
        run: Run,
        refused: Refused,
        promised: &mut Option<Promised<'_>>,
    ) {
        let (front, behind) = match refused {
            Refused::Unwritable(first) => run.around(Run { first, count: 1 }),
            Refused::Failed(_) => run.around(Run::NONE),
        };
        self.take_back(front, promised);
        self.take_back(behind, promised);
    }
}
