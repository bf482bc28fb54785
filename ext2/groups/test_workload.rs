// SPDX-License-Identifier: GPL-2.0

//! Allocations at random, for the tests of the search for free blocks, and a digest of what they
//! gave.

use super::search_tests::{
    GROUP,
    GROUPS, //
};
use crate::disk::test_images::Random;

/// What a step of the workload does.
pub(crate) enum Action {
    Discard,
    Free(u32),
    /// Without a goal, that is the block after the last one allocated.
    Allocate {
        goal: Option<u32>,
        count: u32,
    },
}

/// A step of the workload.
pub(crate) struct Step {
    pub(crate) file: usize,
    pub(crate) action: Action,
}

/// A workload of 4000 steps on four files.
pub(crate) struct Workload {
    random: Random,
    left: u32,
}

impl Workload {
    pub(crate) fn new() -> Self {
        Self {
            random: Random::new(73),
            left: 4000,
        }
    }
}

impl Iterator for Workload {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        self.left = self.left.checked_sub(1)?;
        let random = &mut self.random;
        let file = random.below(4) as usize;
        let action = match random.below(16) {
            0 => Action::Discard,
            1..=7 => Action::Free(random.below((GROUPS * GROUP).into()) as u32),
            kind => Action::Allocate {
                goal: (kind == 8).then(|| random.below((GROUPS * GROUP).into()) as u32),
                count: 1 + (random.below(64) >> random.below(7)) as u32,
            },
        };
        Some(Step { file, action })
    }
}

/// A digest of allocations, FNV-1a.
pub(crate) struct Digest {
    value: u64,
    last: u32,
}

impl Digest {
    pub(crate) fn new() -> Self {
        Self {
            value: 0xcbf2_9ce4_8422_2325,
            last: 0,
        }
    }

    /// Adds an allocation.
    pub(crate) fn add(&mut self, first: u32, count: u32) {
        for number in [first, count] {
            self.value = (self.value ^ u64::from(number)).wrapping_mul(0x100_0000_01b3);
        }
        self.last = first + count;
    }

    /// The block after the last one allocated.
    pub(crate) fn last(&self) -> u32 {
        self.last
    }

    pub(crate) fn value(&self) -> u64 {
        self.value
    }
}
