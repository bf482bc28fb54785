// SPDX-License-Identifier: GPL-2.0

//! A device with a cache that may be lost, for the KUnit suites with a simulated disk.
//!
//! What the medium may have if the power goes is looked at after each write: all that was written
//! up to there, or any part of what was not flushed.

use crate::disk::test_images::Random;
use kernel::prelude::*;

/// What is on a disk.
pub(super) trait Medium: Copy {
    /// A block, and what it gets.
    type Write;

    /// The block has got it.
    fn put(&mut self, write: &Self::Write);

    /// What is against the rules, if anything is.
    fn wrong(&self) -> Option<&'static str>;
}

/// The device.
pub(super) struct Device<M: Medium> {
    /// What was flushed.
    pub(super) medium: M,
    cache: KVec<M::Write>,
    random: Random,
    seed: u64,
    /// How many there were.
    pub(super) writes: usize,
    /// One of so many requests fails; 0 for none.
    pub(super) failing: u64,
    /// What was against the rules, the first time that anything was.
    pub(super) wrong: Option<&'static str>,
}

impl<M: Medium> Device<M> {
    pub(super) fn new(medium: M, seed: u64, failing: u64) -> Self {
        Self {
            medium,
            cache: KVec::new(),
            random: Random::new(seed),
            seed,
            writes: 0,
            failing,
            wrong: None,
        }
    }

    fn request(&mut self) -> Result {
        match self.failing != 0 && self.random.below(self.failing) == 0 {
            true => Err(EIO),
            false => Ok(()),
        }
    }

    /// Writes a block to the cache.
    pub(super) fn write(&mut self, write: M::Write) -> Result {
        self.request()?;
        self.cache.push(write, GFP_KERNEL)?;
        self.writes += 1;
        let last = self.cache.len() - 1;
        self.look(|_| true);
        self.look(|number| number == last);
        for _ in 0..4 {
            let bits = self.random.next();
            self.look(|number| bits >> (number % 64) & 1 != 0);
        }
        Ok(())
    }

    /// What there is with only those of the cache.
    fn look(&mut self, has: impl Fn(usize) -> bool) {
        let mut medium = self.medium;
        for (_, write) in self.cache.iter().enumerate().filter(|(at, _)| has(*at)) {
            medium.put(write);
        }
        if let (None, Some(wrong)) = (self.wrong, medium.wrong()) {
            let (seed, write) = (self.seed, self.writes);
            kernel::kunit::err(fmt!("    # {wrong}: seed {seed}, write {write}\n"));
            self.wrong = Some(wrong);
        }
    }

    /// Brings the cache to the medium.
    pub(super) fn flush(&mut self) -> Result {
        self.request()?;
        for write in self.cache.drain_all() {
            self.medium.put(&write);
        }
        Ok(())
    }
}
