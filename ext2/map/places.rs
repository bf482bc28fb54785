// SPDX-License-Identifier: GPL-2.0

//! Places that a file can have: those that the disk does not say are another file's, and that can
//! be written.
//!
//! Of blocks that the allocator gives some may have been another file's, and the disk cannot be
//! told that they are not any more, see [`cuts`](crate::order::cuts). Nobody gets these: they stay
//! in use, nobody's, and for e2fsck to find. What else was in the row is innocent, and free again.
//!
//! What has to be on the disk before anything leads to it, see [`fresh`](super::fresh), may be
//! given a place that cannot be written. It gets another, and then it is known that it was the
//! place, which stays in use, too: free, it would be the next one that is found. Where no place
//! can be written it is the device, and all are free again.
//!
//! For blocks that were promised others are found, as long as there are any.
//!
//! C counterpart: none; `ext2_alloc_branch()` does not wait for what it writes.
//!
//! Locks: who allocates has the inode's tree mutex.

#![deny(unsafe_code)]

use super::{
    allocate::Request,
    delay,
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
        let mut tries = TRIES;
        loop {
            let run = self.any_run(info, goal, wanted, promised)?;
            match self.settle(run) {
                Ok(()) => return Ok(run),
                Err(EIO) => self.abandon_pending(run, promised),
                Err(error) => {
                    self.take_back(run, promised);
                    return Err(error);
                }
            }
            // What was promised is somewhere. Each time there is less that cannot be had.
            if promised.is_none() {
                tries -= 1;
            }
            if tries == 0 {
                return Err(EIO);
            }
        }
    }

    /// Allocates blocks in a row, whosever they were.
    fn any_run(
        &self,
        info: &mut BlockAllocInfo,
        goal: u32,
        wanted: Wanted,
        promised: &mut Option<Promised<'_>>,
    ) -> Result<Run> {
        let Some(promised) = promised.as_mut().filter(|it| it.count() != 0) else {
            let rest = delay::rest_of_page(self.inode, self.at, self.max);
            let whole = wanted.needed.saturating_add(rest.saturating_sub(1));
            return balloc::new_blocks(self.inode, info, goal, wanted, whole);
        };
        // All of them are to be written now.
        let needed = wanted.most.min(promised.count());
        let wanted = Wanted { needed, ..wanted };
        let run = balloc::promised_blocks(self.inode, info, goal, wanted, promised)?;
        self.inode.data().delay.add_giving(run.count);
        Ok(run)
    }

    /// Makes sure that the disk does not say of blocks that they are another file's.
    fn settle(&self, run: Run) -> Result {
        let sb = self.inode.super_block();
        sb.data().order.cuts.settle(sb, run.first, run.count)
    }

    /// Has nobody get those of the blocks that the disk says are another file's; the others are
    /// free again.
    fn abandon_pending(&self, run: Run, promised: &mut Option<Promised<'_>>) {
        let cuts = &self.inode.super_block().data().order.cuts;
        let mut rest = run;
        while let Some((first, count)) = cuts.next_pending(rest.first, rest.count) {
            let (front, behind) = rest.around(Run { first, count });
            self.take_back(front, promised);
            self.replace(count, promised);
            balloc::abandon_blocks(self.inode, first, count);
            rest = behind;
        }
        self.take_back(rest, promised);
    }

    /// So many blocks that were given are lost: if they were promised, others are.
    fn replace(&self, count: u32, promised: &mut Option<Promised<'_>>) {
        if let Some(promised) = promised {
            self.inode.data().delay.sub_giving(count);
            balloc::reserve_again(self.inode, count);
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
