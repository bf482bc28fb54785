// SPDX-License-Identifier: GPL-2.0

//! Limits and totals that follow from the geometry: the largest file, the space that is never free.
//!
//! Locks: none, these are computed from what never changes.

use super::{
    disk::DIRECT_BLOCKS,
    geometry::Geometry,
    path::{
        BlockPath,
        MAX_DEPTH, //
    }, //
};

impl Geometry {
    /// The largest size of a file in bytes, `ext2_max_size()`.
    ///
    /// What the tree of pointers can address, or what the 32-bit count of 512-byte units in an
    /// inode can count, indirect blocks included, whichever is less.
    pub(crate) fn max_file_size(&self) -> u64 {
        let capacity = BlockPath::capacity(self.block_size());
        let countable = u64::from(u32::MAX / self.block_size().sectors());
        let blocks = if capacity + self.indirect_blocks(capacity) <= countable {
            capacity
        } else {
            countable - self.indirect_blocks(countable)
        };

        (blocks << self.block_size().bits()).min(i64::MAX as u64)
    }

    /// How many indirect blocks a file of `blocks` blocks without holes has.
    fn indirect_blocks(&self, blocks: u64) -> u64 {
        let bits = self.block_size().pointer_bits();
        let mut rest = blocks.saturating_sub(DIRECT_BLOCKS as u64);
        let mut total = 0;

        for levels in 1..MAX_DEPTH as u32 {
            let mut nodes = rest.min(1 << (levels * bits));

            rest -= nodes;
            for _ in 0..levels {
                nodes = nodes.div_ceil(1 << bits);
                total += nodes;
            }
        }
        total
    }

    /// Blocks that can never hold data, for `statfs` with the option `bsddf`.
    ///
    /// As `ext2_statfs()` reckons: with `meta_bg` it counts more descriptor blocks than there are.
    pub(crate) fn overhead_blocks(&self) -> u64 {
        let groups = u64::from(self.groups_count());
        let with_super = if self.has_sparse_super() {
            [3u64, 5, 7]
                .into_iter()
                .map(|base| powers_below(base, groups))
                .sum::<u64>()
                + groups.min(2)
        } else {
            groups
        };

        u64::from(self.first_data_block())
            + with_super * (1 + u64::from(self.descriptor_blocks()))
            + groups * (2 + u64::from(self.inode_table_blocks()))
    }
}

/// How many powers of `base`, from the first on, are less than `limit`.
fn powers_below(base: u64, limit: u64) -> u64 {
    let mut count = 0;
    let mut power = base;
    while power < limit {
        count += 1;
        power = power.saturating_mul(base);
    }
    count
}
