// SPDX-License-Identifier: GPL-2.0

//! KUnit suite for the layout of a filesystem: random superblocks.

use kernel::prelude::*;

#[kunit_tests(rust_ext2_geometry_random)]
mod geometry_random {
    use crate::disk::{
        geometry::Geometry,
        structures::incompat,
        test_images::{
            geometry_of,
            large,
            small,
            Random, //
        },
    };

    /// Whether all that `g` says stays inside the filesystem, for numbers from `random`.
    fn consistent(g: &Geometry, random: &mut Random) -> bool {
        let blocks = u64::from(g.blocks_count());
        let last = g.groups_count() - 1;
        let group = random.edge() % g.groups_count();
        let ino = random.edge();
        let (start, count) = (random.edge(), random.edge());
        let inside = |block: Option<u32>| block.is_some_and(|b| u64::from(b) < blocks);

        inside(g.group_first_block(group))
            && inside(g.group_last_block(group))
            && g.group_first_block(group) <= g.group_last_block(group)
            && g.group_last_block(last) == Some(g.blocks_count() - 1)
            && (0..g.descriptor_blocks().min(64)).all(|nr| inside(g.descriptor_block(nr)))
            && inside(g.descriptor_block(g.descriptor_blocks() - 1))
            && g.max_file_size() > 0
            && g.overhead_blocks() > 0
            && match g.inode_location(ino) {
                Ok(at) => {
                    at.group <= last
                        && at.table_block < g.inode_table_blocks()
                        && at.offset + g.inode_size() <= g.block_size().bytes()
                }
                Err(e) => e.ino == ino,
            }
            && match g.check_data_blocks(start, count) {
                Ok(()) => {
                    let end = u64::from(start) + u64::from(count);
                    start > 0 && end <= blocks && g.metadata_among(start, end).is_none()
                }
                Err(e) => (e.start, e.count) == (start, count),
            }
    }

    #[test]
    fn random_superblocks() {
        let mut random = Random::new(1);
        let mut good = 0;

        for round in 0..20000 {
            let mut sb = if round % 2 == 0 { small() } else { large() };
            for _ in 0..=random.below(3) {
                let value = random.edge();
                match random.below(14) {
                    0 => sb.blocks_count.set(value),
                    1 => sb.inodes_count.set(value),
                    2 => sb.inodes_per_group.set(value),
                    3 => sb.blocks_per_group.set(value),
                    4 => sb.first_data_block.set(value),
                    5 => sb.log_block_size.set(value),
                    6 => sb.log_frag_size.set(value),
                    7 => sb.inode_size.set(value as u16),
                    8 => sb.first_ino.set(value),
                    9 => sb.first_meta_bg.set(value),
                    10 => sb.feature_incompat.set(value & incompat::SUPPORTED),
                    11 => sb.feature_compat.set(value),
                    12 => sb.backup_bgs = [value.into(), (value % 70).into()],
                    _ => sb.rev_level.set(value),
                }
            }
            // Keep what depends on the rest right, as a hostile image would.
            if random.below(2) == 0 {
                let per_group = sb.blocks_per_group.get().max(1);
                let first = sb.first_data_block.get();
                let groups = sb
                    .blocks_count
                    .get()
                    .saturating_sub(first)
                    .div_ceil(per_group);
                sb.inodes_count
                    .set(groups.wrapping_mul(sb.inodes_per_group.get()));
            }
            if let Ok(g) = geometry_of(&sb) {
                good += 1;
                assert!(consistent(&g, &mut random));
            }
        }
        assert!(good > 1000);
    }
}
