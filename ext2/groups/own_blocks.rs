// SPDX-License-Identifier: GPL-2.0

//! Blocks and the groups that they are in: what a group's bitmap has to say of the group's own
//! metadata, and how a run of blocks is divided among groups.
//!
//! Locks: none.

use super::{
    bitmap::{
        is_set,
        next_clear,
        Bitmap, //
    },
    layout::GroupLayout, //
};
use crate::disk::{
    geometry::Geometry,
    run::Run, //
};
use kernel::prelude::*;

/// A block of the group's metadata that the bitmap says is free, if there is one.
/// C: `ext2_valid_block_bitmap()`.
pub(crate) fn unmarked_metadata(
    bitmap: &impl Bitmap,
    geometry: &Geometry,
    group: u32,
    layout: &GroupLayout,
) -> Option<u32> {
    let first = geometry.group_first_block(group)?;
    let table = layout.inode_table_block(0)?;
    let bit = |block: u32| block.saturating_sub(first);

    [layout.block_bitmap(), layout.inode_bitmap()]
        .into_iter()
        .find(|&block| !is_set(bitmap, bit(block)))
        .or_else(|| {
            let end = bit(table) + geometry.inode_table_blocks();
            next_clear(bitmap, bit(table), end).map(|bit| first + bit)
        })
}

impl Geometry {
    /// Some blocks, group by group.
    pub(crate) fn by_group(&self, first: u32, count: u32) -> impl Iterator<Item = Run> + '_ {
        let mut rest = Run { first, count };

        core::iter::from_fn(move || {
            let group = self.group_of_block(rest.first)?;
            let left = self.group_last_block(group)?.checked_sub(rest.first)?;
            let count = rest.count.min(left.saturating_add(1));
            let run = Run {
                first: rest.first,
                count,
            };
            rest = Run {
                first: rest.first.checked_add(count)?,
                count: rest.count - count,
            };
            (count > 0).then_some(run)
        })
    }
}

#[kunit_tests(rust_ext2_group_bitmap)]
mod tests {
    use super::*;
    use crate::{
        disk::test_images::{
            descriptor,
            geometry_of,
            small, //
        },
        groups::test_bitmap::TestBitmap, //
    };

    /// Bitmaps at bits 2 and 4, the inode table at bits 10 to 17.
    fn group() -> Result<(Geometry, GroupLayout)> {
        let mut sb = small();
        sb.blocks_per_group.set(256);
        sb.blocks_count.set(1 + 3 * 256 - 100);
        sb.inodes_per_group.set(32);
        sb.inodes_count.set(3 * 32);
        let geometry = geometry_of(&sb).map_err(|e| e.errno())?;
        let first = geometry.group_first_block(1).ok_or(EINVAL)?;
        let descriptor = descriptor(first + 2, first + 4, first + 10);
        let layout = GroupLayout::new(&geometry, 1, &descriptor).map_err(|e| e.errno())?;
        Ok((geometry, layout))
    }

    #[test]
    fn metadata_has_to_be_marked() -> Result {
        let (geometry, layout) = group()?;
        let map = TestBitmap::new();
        let unmarked = |map: &TestBitmap| unmarked_metadata(map, &geometry, 1, &layout);
        for bit in Iterator::chain([2, 4].into_iter(), 10..18) {
            assert!(map.claim(bit));
        }

        assert_eq!(unmarked(&map), None);
        for bit in Iterator::chain([2, 4].into_iter(), 10..18) {
            assert!(map.release(bit));
            assert_eq!(unmarked(&map), Some(257 + bit));
            assert!(map.claim(bit));
        }
        Ok(())
    }

    #[test]
    fn blocks_are_divided_at_the_ends_of_groups() -> Result {
        let (geometry, _) = group()?;
        let runs = |first, count| {
            let mut runs = geometry.by_group(first, count);
            let mut next = || runs.next().map(|run| (run.first, run.count));
            [next(), next(), next(), next()]
        };

        assert!(runs(1, 1) == [Some((1, 1)), None, None, None]);
        assert!(runs(1, 256) == [Some((1, 256)), None, None, None]);
        assert!(runs(256, 2) == [Some((256, 1)), Some((257, 1)), None, None]);
        assert!(runs(200, 400) == [Some((200, 57)), Some((257, 256)), Some((513, 87)), None]);
        // What is not in the filesystem is in no group.
        assert!(runs(660, 100) == [Some((660, 9)), None, None, None]);
        assert!(runs(0, 5) == [None; 4]);
        assert!(runs(1, 0) == [None; 4]);
        Ok(())
    }
}
