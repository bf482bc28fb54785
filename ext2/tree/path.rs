// SPDX-License-Identifier: GPL-2.0

//! Where in an inode's tree of block pointers a block of a file is found.
//!
//! The tree hangs from the fifteen pointers in the inode: twelve point to data, the others to an
//! indirect, a double and a triple indirect block. A [`BlockPath`] names the pointer to follow at
//! each level, and knows how much of the file each of these pointers covers: that is what gives a
//! missing pointer its length as a hole, and a run of pointers its end.
//!
//! Pure arithmetic: what the pointers hold is the caller's to read and to check against
//! [`geometry`](crate::disk::geometry).
//!
//! Locks: none, these are plain values. Reading the pointers of an inode that may change needs the
//! protection of whoever changes them.

use crate::disk::{
    block_size::BlockSize,
    DIRECT_BLOCKS,
    INDIRECT, //
};
use core::ops::Range;
use kernel::{
    fmt,
    prelude::*, //
};

/// The most pointers on the way to a data block: one in the inode, three in indirect blocks.
pub(crate) const MAX_DEPTH: usize = 4;

/// A block index that no ext2 file can have with this block size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BlockTooBig {
    /// The logical block that was asked for.
    pub(crate) block: u64,
    /// How many logical blocks a file can have.
    pub(crate) limit: u64,
}

impl BlockTooBig {
    /// `EIO`, as from `ext2_get_blocks()`.
    pub(crate) fn errno(&self) -> Error {
        EIO
    }
}

impl fmt::Display for BlockTooBig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "block {} is beyond the {} blocks that a file can have",
            self.block, self.limit
        )
    }
}

/// The way from an inode to one of its data blocks; the counterpart of `ext2_block_to_path()`.
///
/// Level 0 is the array of pointers in the inode, level `depth() - 1` the array that holds the
/// pointer to the data.
///
/// # Invariants
///
/// `depth` is between 1 and [`MAX_DEPTH`]; the first `depth` items of `offsets` are in the range of
/// the arrays they index; `within` is less than what the pointer at level 0 covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BlockPath {
    size: BlockSize,
    depth: usize,
    offsets: [u32; MAX_DEPTH],
    /// The block's index in the subtree below the pointer at level 0.
    within: u64,
}

impl BlockPath {
    /// How many logical blocks a file can have, as far as the tree of pointers goes. The size of a
    /// file has a lower limit with large blocks, see
    /// [`Geometry::max_file_size`](crate::disk::geometry::Geometry::max_file_size).
    pub(crate) const fn capacity(size: BlockSize) -> u64 {
        let bits = size.pointer_bits();

        DIRECT_BLOCKS as u64 + (1 << bits) + (1 << (2 * bits)) + (1 << (3 * bits))
    }

    /// Which of the arrays of pointers to data has the one to block `block`, the inode's own being
    /// number 0, and the blocks that this array has the pointers to.
    #[inline(always)]
    pub(crate) fn last_array(size: BlockSize, block: u64) -> (u64, Range<u64>) {
        let Some(within) = block.checked_sub(DIRECT_BLOCKS as u64) else {
            return (0, 0..DIRECT_BLOCKS as u64);
        };
        // Every subtree is a number of whole arrays, so they need not be told apart.
        let array = within >> size.pointer_bits();
        let start = DIRECT_BLOCKS as u64 + (array << size.pointer_bits());
        (array + 1, start..start + u64::from(size.pointers()))
    }

    /// Finds the way to logical block `block`.
    pub(crate) fn new(size: BlockSize, block: u64) -> Result<Self, BlockTooBig> {
        if block < DIRECT_BLOCKS as u64 {
            // INVARIANT: `block` indexes a direct pointer, which covers just the block itself.
            return Ok(Self {
                size,
                depth: 1,
                offsets: [block as u32, 0, 0, 0],
                within: 0,
            });
        }

        let mut within = block - DIRECT_BLOCKS as u64;
        for levels in 1..MAX_DEPTH {
            let covered = 1u64 << (levels as u32 * size.pointer_bits());

            if within < covered {
                return Ok(Self::below_root(size, levels, within));
            }
            within -= covered;
        }

        Err(BlockTooBig {
            block,
            limit: Self::capacity(size),
        })
    }

    /// The way to block `within` of the subtree that has `levels` levels of indirect blocks.
    fn below_root(size: BlockSize, levels: usize, within: u64) -> Self {
        let bits = size.pointer_bits();
        let mask = u64::from(size.pointers() - 1);
        let mut offsets = [0u32; MAX_DEPTH];

        for (level, offset) in offsets.iter_mut().enumerate().take(levels + 1) {
            *offset = if level == 0 {
                (INDIRECT + levels - 1) as u32
            } else {
                ((within >> ((levels - level) as u32 * bits)) & mask) as u32
            };
        }

        // INVARIANT: `levels` is less than `MAX_DEPTH`, the offsets below level 0 are masked to the
        // size of an indirect block, and the caller compared `within` with what the root covers.
        Self {
            size,
            depth: levels + 1,
            offsets,
            within,
        }
    }

    /// The number of pointers to follow, the last one being that to the data.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The number of pointers in an indirect block.
    pub(crate) fn pointers(&self) -> u32 {
        self.size.pointers()
    }

    /// For each level, which pointer of its array to follow.
    pub(crate) fn offsets(&self) -> &[u32] {
        self.offsets.get(..self.depth).unwrap_or(&self.offsets)
    }

    /// Which pointer of its array to follow at `level`, which is less than [`depth`](Self::depth).
    pub(crate) fn offset(&self, level: usize) -> u32 {
        self.offsets.get(level).copied().unwrap_or(0)
    }

    /// How many logical blocks one pointer at `level` covers.
    pub(crate) fn span(&self, level: usize) -> u64 {
        let below = self.depth.saturating_sub(1).saturating_sub(level) as u32;

        1 << (below * self.size.pointer_bits())
    }

    /// How many pointers at `level`, this path's own and those after it in the same array, cover
    /// the same number of blocks each and follow each other in the file.
    ///
    /// In the inode these are the direct pointers, or the one pointer to an indirect block.
    pub(crate) fn siblings(&self, level: usize) -> u32 {
        let offset = self.offset(level);
        let end = match (level, self.depth) {
            (0, 1) => DIRECT_BLOCKS as u32,
            (0, _) => offset + 1,
            _ => self.size.pointers(),
        };

        end.saturating_sub(offset)
    }

    /// How many blocks follow this one until the array that holds its pointer ends: the next
    /// block after those is found by reading another indirect block. `*boundary` of
    /// `ext2_block_to_path()`.
    pub(crate) fn blocks_to_boundary(&self) -> u32 {
        self.siblings(self.depth.saturating_sub(1))
            .saturating_sub(1)
    }

    /// How many logical blocks, from this one on, are a hole, when at `level` this path's pointer
    /// and those after it, `nulls` in all, are null.
    ///
    /// `nulls` counts within the [`siblings`](Self::siblings) of the level; it is at least 1, the
    /// path's own pointer.
    pub(crate) fn hole_len(&self, level: usize, nulls: u32) -> u64 {
        let span = self.span(level);
        let nulls = nulls.clamp(1, self.siblings(level).max(1));

        // At most 2^14 pointers of 2^28 blocks, or one of 2^42.
        span * u64::from(nulls) - (self.within & (span - 1))
    }
}

/// What a stretch of block pointers begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PointerRun {
    /// `len` null pointers.
    Null {
        /// Number of pointers.
        len: u32,
    },
    /// `len` pointers to blocks that follow each other on the device.
    Blocks {
        /// The block that the first of them points to. Not checked against the filesystem.
        first: u32,
        /// Number of pointers.
        len: u32,
    },
}

impl PointerRun {
    /// Measures the run that `pointers` begins with; `None` if there are none.
    ///
    /// The caller limits the run by the number of pointers, of which it reads one more than is in
    /// the run.
    #[inline(always)]
    pub(crate) fn of(mut pointers: impl Iterator<Item = u32>) -> Option<Self> {
        let first = pointers.next()?;

        if first == 0 {
            let more = pointers.take_while(|pointer| *pointer == 0).count();
            return Some(Self::Null {
                len: more as u32 + 1,
            });
        }

        let more = pointers
            .zip(u64::from(first) + 1..)
            .take_while(|(pointer, expected)| u64::from(*pointer) == *expected)
            .count();
        Some(Self::Blocks {
            first,
            len: more as u32 + 1,
        })
    }
}

#[kunit_tests(rust_ext2_path)]
mod tests {
    use super::*;

    const ALL_BITS: core::ops::RangeInclusive<u32> = BlockSize::MIN_BITS..=BlockSize::MAX_BITS;

    /// The path found without shifts or masks: by walking over whole subtrees.
    fn walk(pointers: u64, block: u64) -> Option<(usize, [u32; 4])> {
        let mut rest = block;
        let roots = [
            (12, 0u32, 1),
            (1, 12, pointers),
            (1, 13, pointers * pointers),
            (1, 14, pointers * pointers * pointers),
        ];

        for (levels, (count, first, mut span)) in roots.into_iter().enumerate() {
            let mut offsets = [first, 0, 0, 0];
            let mut depth = 1;
            if rest >= count * span {
                rest -= count * span;
                continue;
            }
            while rest >= span {
                rest -= span;
                offsets[0] += 1;
            }
            for offset in offsets.iter_mut().skip(1).take(levels) {
                span /= pointers;
                while rest >= span {
                    rest -= span;
                    *offset += 1;
                }
                depth += 1;
            }
            return Some((depth, offsets));
        }
        None
    }

    /// Every block where some level of the tree starts or ends, for one block size.
    fn edges(size: BlockSize) -> [u64; 14] {
        let p = u64::from(size.pointers());
        let double = 12 + p;
        let triple = double + p * p;

        [
            0,
            6,
            11,
            12,
            12 + p - 1,
            double,
            double + p,
            double + 7 * p + 3,
            triple - 1,
            triple,
            triple + p,
            triple + p * p,
            triple + p * p * (p - 1) + p * 5 + 9,
            triple + p * p * p - 1,
        ]
    }

    /// The last array of a path is the one that has so many blocks in front and behind.
    #[test]
    fn arrays_of_pointers_to_data() {
        for bits in ALL_BITS {
            let size = BlockSize::from_bits(bits);
            assert!(size.is_some_and(|size| edges(size).iter().all(|&block| {
                let (array, blocks) = BlockPath::last_array(size, block);
                BlockPath::new(size, block).is_ok_and(|path| {
                    let last = path.depth() - 1;
                    let direct = if last == 0 { path.offsets()[0] } else { 0 };
                    blocks.contains(&block)
                        && (array == 0) == (last == 0)
                        && blocks.end - block == u64::from(path.siblings(last))
                        && (last > 0 || block == u64::from(direct))
                })
            })));
        }
    }

    fn agrees(size: BlockSize, block: u64) -> bool {
        match (
            BlockPath::new(size, block),
            walk(size.pointers().into(), block),
        ) {
            (Ok(path), Some((depth, offsets))) => {
                let last = offsets[depth - 1];
                let end = if depth == 1 { 12 } else { size.pointers() };

                path.depth() == depth
                    && path.offsets() == &offsets[..depth]
                    && path.blocks_to_boundary() == end - 1 - last
            }
            (Err(e), None) => e.block == block && e.limit == BlockPath::capacity(size),
            _ => false,
        }
    }

    /// Whether `len` is how far the pointer at `level` on the way to `block` reaches.
    fn reaches(size: BlockSize, block: u64, level: usize, len: u64) -> bool {
        let prefix = |b: u64| {
            walk(size.pointers().into(), b).map(|(depth, offsets)| {
                let mut offsets = offsets;
                offsets[level + 1..].fill(0);
                (depth, offsets)
            })
        };

        len > 0 && prefix(block + len - 1) == prefix(block) && prefix(block + len) != prefix(block)
    }

    #[test]
    fn agrees_with_a_walk_at_every_edge_of_every_block_size() {
        for size in ALL_BITS.filter_map(BlockSize::from_bits) {
            for edge in edges(size) {
                for block in edge.saturating_sub(2)..=edge + 2 {
                    assert!(agrees(size, block));
                }
            }
        }
    }

    #[test]
    fn agrees_with_a_walk_for_all_of_a_small_file() -> Result {
        let size = BlockSize::from_bits(10).ok_or(EINVAL)?;

        for block in 0..12 + 256 + 3 * 256 {
            assert!(agrees(size, block));
        }
        Ok(())
    }

    #[test]
    fn known_paths_with_1k_blocks() -> Result {
        let size = BlockSize::from_bits(10).ok_or(EINVAL)?;
        let offsets = |block| BlockPath::new(size, block).map(|p| (p.depth, p.offsets));

        assert_eq!(offsets(11), Ok((1, [11, 0, 0, 0])));
        assert_eq!(offsets(12), Ok((2, [12, 0, 0, 0])));
        assert_eq!(offsets(267), Ok((2, [12, 255, 0, 0])));
        assert_eq!(offsets(268), Ok((3, [13, 0, 0, 0])));
        assert_eq!(offsets(65803), Ok((3, [13, 255, 255, 0])));
        assert_eq!(offsets(65804), Ok((4, [14, 0, 0, 0])));
        assert_eq!(offsets(16843019), Ok((4, [14, 255, 255, 255])));
        Ok(())
    }

    #[test]
    fn beyond_the_tree() {
        for size in ALL_BITS.filter_map(BlockSize::from_bits) {
            let limit = BlockPath::capacity(size);
            let too_big = |block| Err(BlockTooBig { block, limit });

            assert!(BlockPath::new(size, limit - 1).is_ok());
            assert_eq!(BlockPath::new(size, limit), too_big(limit));
            assert_eq!(BlockPath::new(size, 1 << 63), too_big(1 << 63));
            assert_eq!(BlockPath::new(size, u64::MAX), too_big(u64::MAX));
        }
        assert_eq!(
            BlockSize::from_bits(10).map(BlockPath::capacity),
            Some(16843020)
        );
        assert_eq!(
            BlockSize::from_bits(12).map(BlockPath::capacity),
            Some(1074791436)
        );
    }

    #[test]
    fn a_hole_reaches_to_the_end_of_its_subtree() -> Result {
        for size in ALL_BITS.filter_map(BlockSize::from_bits) {
            for edge in edges(size) {
                let path = BlockPath::new(size, edge).map_err(|e| e.errno())?;

                for level in 0..path.depth() {
                    assert!(reaches(size, edge, level, path.hole_len(level, 1)));
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_hole_of_several_null_pointers() -> Result {
        let size = BlockSize::from_bits(10).ok_or(EINVAL)?;
        let at = |block, level, nulls| {
            BlockPath::new(size, block).map(|p| (p.siblings(level), p.hole_len(level, nulls)))
        };

        // Direct pointers, as far as the first indirect block.
        assert_eq!(at(3, 0, 1), Ok((9, 1)));
        assert_eq!(at(3, 0, 9), Ok((9, 9)));
        assert_eq!(at(3, 0, 100), Ok((9, 9)));
        // The indirect block itself is missing; its root has no siblings.
        assert_eq!(at(12 + 10, 0, 1), Ok((1, 246)));
        assert_eq!(at(12 + 10, 0, 2), Ok((1, 246)));
        // Pointers in the indirect block.
        assert_eq!(at(12 + 10, 1, 1), Ok((246, 1)));
        assert_eq!(at(12 + 10, 1, 246), Ok((246, 246)));
        // Indirect blocks missing from the double indirect block.
        assert_eq!(at(268 + 5, 1, 1), Ok((256, 251)));
        assert_eq!(at(268 + 5, 1, 4), Ok((256, 1019)));
        assert_eq!(at(268 + 5, 1, 256), Ok((256, 65531)));
        // The double and the triple indirect block missing.
        assert_eq!(at(268 + 5, 0, 1), Ok((1, 65531)));
        assert_eq!(at(65804 + 5, 0, 1), Ok((1, 16777211)));
        assert_eq!(at(65804 + 5, 1, 3), Ok((256, 3 * 65536 - 5)));
        // A run of none, and a level that the path has not.
        assert_eq!(at(3, 0, 0), Ok((9, 1)));
        assert_eq!(at(3, 7, 1).map(|(_, len)| len), Ok(1));
        Ok(())
    }

    fn run(blocks: [u32; 5], limit: usize) -> Option<PointerRun> {
        PointerRun::of(blocks.into_iter().take(limit))
    }

    #[test]
    fn runs_of_pointers() {
        let blocks = |first, len| Some(PointerRun::Blocks { first, len });
        let null = |len| Some(PointerRun::Null { len });

        assert_eq!(run([0; 5], 0), None);
        assert_eq!(run([0; 5], 5), null(5));
        assert_eq!(run([0; 5], 3), null(3));
        assert_eq!(run([0, 0, 7, 0, 0], 5), null(2));
        assert_eq!(run([7, 8, 9, 10, 11], 5), blocks(7, 5));
        assert_eq!(run([7, 8, 9, 10, 11], 2), blocks(7, 2));
        assert_eq!(run([7, 8, 0, 9, 10], 5), blocks(7, 2));
        assert_eq!(run([7, 7, 7, 7, 7], 5), blocks(7, 1));
        assert_eq!(run([9, 8, 7, 6, 5], 5), blocks(9, 1));
        // The successor of the last block number is not block 0.
        assert_eq!(run([u32::MAX, 0, 1, 2, 3], 5), blocks(u32::MAX, 1));
        assert_eq!(
            run([u32::MAX - 1, u32::MAX, 0, 1, 2], 5),
            blocks(u32::MAX - 1, 2)
        );
    }
}
