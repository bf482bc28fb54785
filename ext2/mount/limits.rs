// SPDX-License-Identifier: GPL-2.0

//! Limits and totals that follow from the geometry: the largest file, the space that is never free.
//!
//! Locks: none, these are computed from what never changes.

use crate::{
    disk::{
        geometry::Geometry,
        DIRECT_BLOCKS, //
    },
    tree::path::{
        BlockPath,
        MAX_DEPTH, //
    },
};
use kernel::prelude::*;

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

    /// Blocks that can never hold data, for `statfs` with the option `bsddf`: what is before group
    /// 0, superblocks, group descriptors and their copies, bitmaps and inode tables.
    ///
    /// `ext2_statfs()` counts more copies of descriptors with `meta_bg` than there are, and more
    /// copies of everything with `sparse_super2`, so that fewer blocks are left than are free.
    pub(crate) fn overhead_blocks(&self) -> u64 {
        u64::from(self.first_data_block())
            + self.copies().blocks()
            + u64::from(self.groups_count()) * (2 + u64::from(self.inode_table_blocks()))
    }
}

#[kunit_tests(rust_ext2_limits)]
mod tests {
    use super::*;
    use crate::disk::{
        ro_compat,
        test_images::{
            geometry_of,
            large,
            small, //
        },
    };

    #[test]
    fn largest_files() -> Result {
        let known: [u64; 3] = [17247252480, 275415851008, 2196873666560];

        for (log, bytes) in known.into_iter().enumerate() {
            let mut sb = large();
            sb.log_block_size.set(log as u32);
            sb.log_frag_size.set(log as u32);
            sb.blocks_per_group.set(8192);
            sb.first_data_block.set(u32::from(log == 0));
            sb.blocks_count.set(8192);
            sb.inodes_per_group.set(4096);
            sb.inodes_count.set(4096);
            assert_eq!(geometry_of(&sb).map(|g| g.max_file_size()), Ok(bytes));
        }
        Ok(())
    }

    #[test]
    fn overhead() -> Result {
        for sparse in [0, ro_compat::SPARSE_SUPER] {
            for groups in [1u32, 2, 3, 4, 64, 130, 700] {
                let mut sb = small();
                sb.blocks_count.set(groups * 8192 + 1);
                sb.inodes_count.set(groups * 2048);
                sb.feature_ro_compat.set(sparse);
                let g = geometry_of(&sb).map_err(|e| e.errno())?;
                let tables = u64::from(groups) * 514;
                let copies = (0..groups).filter(|&group| g.has_super(group)).count() as u64;
                let each = 1 + u64::from(g.descriptor_blocks());
                assert_eq!(g.overhead_blocks(), 1 + tables + copies * each);
            }
        }
        Ok(())
    }
}
