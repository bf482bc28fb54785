// SPDX-License-Identifier: GPL-2.0

//! Blocks in a row.

use kernel::prelude::*;

/// Some blocks in a row, or the bits that stand for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    /// The first.
    pub(crate) first: u32,
    /// How many.
    pub(crate) count: u32,
}

impl Run {
    /// No blocks.
    pub(crate) const NONE: Self = Self { first: 0, count: 0 };

    /// What of it is in front of other blocks, and what behind them; either may be none.
    pub(crate) fn around(self, others: Self) -> (Self, Self) {
        let end = |run: Self| u64::from(run.first) + u64::from(run.count);
        let front = u64::from(others.first)
            .clamp(self.first.into(), end(self))
            .saturating_sub(self.first.into()) as u32;
        let behind = end(self).saturating_sub(end(others)).min(self.count.into()) as u32;
        let behind = behind.min(self.count - front);
        (
            Self {
                first: self.first,
                count: front,
            },
            Self {
                first: self.first.saturating_add(self.count - behind),
                count: behind,
            },
        )
    }
}

/// How many blocks in a row are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    /// So many are needed now: a window is to have room for them.
    pub(crate) needed: u32,
    /// As many as this are taken, as if each more were asked for by itself and next.
    pub(crate) most: u32,
}

#[kunit_tests(rust_ext2_run)]
mod tests {
    use super::*;

    const fn run(first: u32, count: u32) -> Run {
        Run { first, count }
    }

    #[test]
    fn what_is_around_others() {
        let all = run(100, 10);

        assert_eq!(all.around(run(103, 2)), (run(100, 3), run(105, 5)));
        assert_eq!(all.around(run(100, 1)), (run(100, 0), run(101, 9)));
        assert_eq!(all.around(run(109, 1)), (run(100, 9), run(110, 0)));
        assert_eq!(all.around(all), (run(100, 0), run(110, 0)));
        assert_eq!(all.around(run(90, 100)), (run(100, 0), run(110, 0)));
        // All of it, once.
        assert_eq!(all.around(Run::NONE), (run(100, 0), run(100, 10)));
        assert_eq!(all.around(run(110, 1)), (run(100, 10), run(110, 0)));
        assert_eq!(all.around(run(300, 1)), (run(100, 10), run(110, 0)));
    }
}
