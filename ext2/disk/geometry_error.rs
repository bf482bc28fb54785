// SPDX-License-Identifier: GPL-2.0

//! What can be wrong with the layout of a filesystem, in words and as error numbers.
//!
//! Each error prints as one sentence without a full stop, fit to follow the name of the device.

use super::structures;
use kernel::{
    fmt,
    prelude::*, //
};

/// Why a superblock is not that of a filesystem that can be mounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GeometryError {
    /// The magic number is another; the one error that a silent mount does not report.
    NotExt2 {
        /// `s_magic`.
        magic: u16,
    },
    /// Incompatible features that this driver has not.
    UnsupportedFeatures {
        /// Those of `s_feature_incompat`.
        unsupported: u32,
    },
    /// A block size that the format has not.
    BlockSize {
        /// `s_log_block_size`.
        log: u32,
    },
    /// A block size that the kernel cannot use.
    BlockSizeAbovePageSize {
        /// The block size in bytes.
        size: u32,
    },
    /// Fragments that are not blocks.
    FragmentSize {
        /// `s_log_frag_size`.
        log_frag: u32,
        /// `s_log_block_size`.
        log_block: u32,
    },
    /// Inodes that are too small, larger than a block, or no power of two.
    InodeSize {
        /// `s_inode_size`.
        inode_size: u32,
    },
    /// No blocks in a group, or more than its bitmap has bits.
    BlocksPerGroup {
        /// `s_blocks_per_group`.
        blocks_per_group: u32,
        /// Bits in a bitmap.
        max: u32,
    },
    /// Fewer inodes in a group than a block holds, or more than its bitmap has bits.
    InodesPerGroup {
        /// `s_inodes_per_group`.
        inodes_per_group: u32,
        /// Inodes in a block.
        min: u32,
        /// Bits in a bitmap.
        max: u32,
    },
    /// Groups with no room for their own metadata.
    GroupTooSmall {
        /// `s_blocks_per_group`.
        blocks_per_group: u32,
        /// Blocks of metadata.
        needed: u64,
    },
    /// Group 0 does not start where the superblock is.
    FirstDataBlock {
        /// `s_first_data_block`.
        first_data_block: u32,
        /// What it must be.
        expected: u32,
    },
    /// There are no blocks in any group.
    NoBlocks {
        /// `s_blocks_count`.
        blocks_count: u32,
    },
    /// The filesystem ends after the device.
    DeviceTooSmall {
        /// `s_blocks_count`.
        blocks_count: u32,
        /// Blocks on the device.
        device_blocks: u64,
    },
    /// The number of inodes is not that of all groups together.
    InodesCount {
        /// `s_inodes_count`.
        inodes_count: u32,
        /// That of all groups.
        computed: u64,
    },
    /// The first inode that is not reserved is one that must be, or does not exist.
    FirstInode {
        /// `s_first_ino`.
        first_ino: u32,
        /// `s_inodes_count`.
        inodes_count: u32,
    },
    /// The first meta group does not exist.
    FirstMetaGroup {
        /// `s_first_meta_bg`.
        first_meta_bg: u32,
        /// Blocks of group descriptors.
        descriptor_blocks: u32,
    },
    /// The superblock, or group descriptors, are outside the filesystem.
    DescriptorsOutside {
        /// The block that they would be in.
        block: u64,
        /// `s_blocks_count`.
        blocks_count: u32,
    },
}

impl GeometryError {
    /// `EINVAL` for what is no ext2, or an ext2 that this driver does not support; `EUCLEAN` for
    /// what is corrupt. C returns `EINVAL` for all.
    pub(crate) fn errno(&self) -> Error {
        match self {
            Self::NotExt2 { .. }
            | Self::UnsupportedFeatures { .. }
            | Self::BlockSizeAbovePageSize { .. }
            | Self::FragmentSize { .. } => EINVAL,
            _ => EUCLEAN,
        }
    }
}

impl fmt::Display for GeometryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotExt2 { magic } => write!(
                f,
                "not an ext2 filesystem: the magic number is {magic:#06x}, not {:#06x}",
                structures::SUPER_MAGIC
            ),
            Self::UnsupportedFeatures { unsupported } => {
                write!(f, "unsupported features:")?;
                write_features(f, unsupported, &INCOMPAT_NAMES)
            }
            Self::BlockSize { log } => write!(f, "bad block size: 1024 bytes times 2^{log}"),
            Self::BlockSizeAbovePageSize { size } => write!(
                f,
                "unsupported block size: {size} bytes, which is more than a page"
            ),
            Self::FragmentSize {
                log_frag,
                log_block,
            } => write!(
                f,
                "unsupported fragments: log2 of the fragment size is {log_frag}, \
                 of the block size {log_block}"
            ),
            Self::InodeSize { inode_size } => write!(f, "bad inode size: {inode_size} bytes"),
            Self::BlocksPerGroup {
                blocks_per_group,
                max,
            } => write!(
                f,
                "bad number of blocks per group: {blocks_per_group}, not 1 to {max}"
            ),
            Self::InodesPerGroup {
                inodes_per_group,
                min,
                max,
            } => write!(
                f,
                "bad number of inodes per group: {inodes_per_group}, not {min} to {max}"
            ),
            Self::GroupTooSmall {
                blocks_per_group,
                needed,
            } => write!(
                f,
                "groups of {blocks_per_group} blocks have no room for {needed} blocks of metadata"
            ),
            Self::FirstDataBlock {
                first_data_block,
                expected,
            } => write!(
                f,
                "bad first data block: {first_data_block}, not {expected}"
            ),
            Self::NoBlocks { blocks_count } => write!(f, "bad number of blocks: {blocks_count}"),
            Self::DeviceTooSmall {
                blocks_count,
                device_blocks,
            } => write!(
                f,
                "the filesystem has {blocks_count} blocks, the device only {device_blocks}"
            ),
            Self::InodesCount {
                inodes_count,
                computed,
            } => write!(
                f,
                "bad number of inodes: {inodes_count}, but all groups together have {computed}"
            ),
            Self::FirstInode {
                first_ino,
                inodes_count,
            } => write!(f, "bad first inode: {first_ino}, not 11 to {inodes_count}"),
            Self::FirstMetaGroup {
                first_meta_bg,
                descriptor_blocks,
            } => write!(
                f,
                "bad first meta group: {first_meta_bg}, with {descriptor_blocks} blocks of group \
                 descriptors"
            ),
            Self::DescriptorsOutside {
                block,
                blocks_count,
            } => write!(
                f,
                "superblock or group descriptors at block {block}, with {blocks_count} blocks in \
                 the filesystem"
            ),
        }
    }
}

/// A number that is not that of an inode which may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BadInodeNumber {
    /// The number.
    pub(crate) ino: u32,
    /// Inodes in the filesystem.
    pub(crate) inodes_count: u32,
}

impl BadInodeNumber {
    /// `EUCLEAN`: such a number comes from a directory. `ext2_get_inode()` returns `EINVAL`.
    pub(crate) fn errno(&self) -> Error {
        EUCLEAN
    }
}

impl fmt::Display for BadInodeNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "bad inode number: {}, with {} inodes in the filesystem",
            self.ino, self.inodes_count
        )
    }
}

/// Why blocks cannot be what a pointer on disk says they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadBlocksReason {
    /// Not in the filesystem, or none at all.
    Outside,
    /// The superblock in use is among them.
    SuperBlock,
    /// Group descriptors in use are among them.
    GroupDescriptors,
}

/// Blocks that a pointer on disk points to and that cannot be what it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BadBlocks {
    /// The first block.
    pub(crate) start: u32,
    /// How many.
    pub(crate) count: u32,
    /// Why.
    pub(crate) reason: BadBlocksReason,
}

impl BadBlocks {
    /// `EUCLEAN`.
    pub(crate) fn errno(&self) -> Error {
        EUCLEAN
    }
}

impl fmt::Display for BadBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            BadBlocksReason::Outside => "outside the filesystem",
            BadBlocksReason::SuperBlock => "over the superblock",
            BadBlocksReason::GroupDescriptors => "over group descriptors",
        };

        match self.count {
            1 => write!(f, "block {} is {reason}", self.start),
            count => write!(f, "{count} blocks from {} are {reason}", self.start),
        }
    }
}

/// The names that `tune2fs` gives to the incompatible features.
const INCOMPAT_NAMES: [(u32, &str); 14] = [
    (0x1, "compression"),
    (0x4, "needs_recovery"),
    (0x8, "journal_dev"),
    (0x40, "extent"),
    (0x80, "64bit"),
    (0x100, "mmp"),
    (0x200, "flex_bg"),
    (0x400, "ea_inode"),
    (0x1000, "dirdata"),
    (0x2000, "metadata_csum_seed"),
    (0x4000, "large_dir"),
    (0x8000, "inline_data"),
    (0x10000, "encrypt"),
    (0x20000, "casefold"),
];

/// The names that `tune2fs` gives to the features that forbid writing, and that of another that it
/// has none for.
pub(crate) const RO_COMPAT_NAMES: [(u32, &str); 14] = [
    (0x8, "huge_file"),
    (0x10, "uninit_bg"),
    (0x20, "dir_nlink"),
    (0x40, "extra_isize"),
    (0x80, "has_snapshot"),
    (0x100, "quota"),
    (0x200, "bigalloc"),
    (0x400, "metadata_csum"),
    (0x800, "replica"),
    (0x1000, "read-only"),
    (0x2000, "project"),
    (0x4000, "shared_blocks"),
    (0x8000, "verity"),
    (0x10000, "orphan_present"),
];

/// Writes the names of the features in `bits`, a space before each, and what has none as a number.
pub(crate) fn write_features(
    f: &mut fmt::Formatter<'_>,
    bits: u32,
    names: &[(u32, &str)],
) -> fmt::Result {
    let mut unnamed = bits;

    for (bit, name) in names {
        if bits & bit != 0 {
            unnamed &= !bit;
            write!(f, " {name}")?;
        }
    }
    if unnamed != 0 {
        write!(f, " {unnamed:#x}")?;
    }
    Ok(())
}
