// SPDX-License-Identifier: GPL-2.0

//! Checks of a superblock, part by part; [`geometry`](crate::disk::geometry) puts them together.
//!
//! Mounting reads the superblock twice: once with a block size that the device can do, to learn the
//! filesystem's from [`block_size`], then with that one, from [`SuperBlockLocation`].
//!
//! Locks: none, the caller holds a copy of the superblock, or one that does not change.

use super::{
    block_size::BlockSize,
    geometry_error::GeometryError,
    structures::{
        self,
        SuperBlock, //
    },
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// Checks that `sb` is the superblock of a filesystem that this driver can read, and finds its
/// block size: all that is needed to read the superblock again with the right block size.
pub(crate) fn block_size(sb: &SuperBlock) -> Result<BlockSize, GeometryError> {
    let magic = sb.magic.get();
    if magic != structures::SUPER_MAGIC {
        return Err(GeometryError::NotExt2 { magic });
    }

    // Whatever the revision: flags have been set without raising it.
    let unsupported = sb.feature_incompat.get() & !structures::incompat::SUPPORTED;
    if unsupported != 0 {
        return Err(GeometryError::UnsupportedFeatures { unsupported });
    }

    let log = sb.log_block_size.get();
    let size = log
        .checked_add(BlockSize::MIN_BITS)
        .and_then(BlockSize::from_bits)
        .ok_or(GeometryError::BlockSize { log })?;
    if size.bytes() as usize > PAGE_SIZE {
        return Err(GeometryError::BlockSizeAbovePageSize { size: size.bytes() });
    }

    Ok(size)
}

/// Where a superblock is, once the block size is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SuperBlockLocation {
    /// The block that holds it, `logic_sb_block` in C.
    pub(crate) block: u64,
    /// Where in the block it starts, in bytes.
    pub(crate) offset: u32,
}

impl SuperBlockLocation {
    /// The value of the mount option `sb=` that stands for the primary superblock.
    pub(crate) const PRIMARY: u32 = 1;

    /// Locates the superblock that starts `kib` KiB into the device, the unit of the mount option
    /// `sb=`.
    pub(crate) fn new(size: BlockSize, kib: u32) -> Self {
        let start = u64::from(kib) * structures::SUPER_UNIT;

        Self {
            block: start >> size.bits(),
            offset: (start & u64::from(size.bytes() - 1)) as u32,
        }
    }
}

/// The size of an inode in bytes, and the first inode that is not reserved.
pub(crate) fn inode_format(sb: &SuperBlock, size: BlockSize) -> Result<(u32, u32), GeometryError> {
    if sb.rev_level.get() == structures::revision::GOOD_OLD {
        return Ok((
            structures::revision::GOOD_OLD_INODE_SIZE,
            structures::revision::GOOD_OLD_FIRST_INO,
        ));
    }

    let inode_size = u32::from(sb.inode_size.get());
    if inode_size < structures::revision::GOOD_OLD_INODE_SIZE
        || !inode_size.is_power_of_two()
        || inode_size > size.bytes()
    {
        return Err(GeometryError::InodeSize { inode_size });
    }
    Ok((inode_size, sb.first_ino.get()))
}

/// The number of inodes in a group.
pub(crate) fn inodes_per_group(
    sb: &SuperBlock,
    size: BlockSize,
    inode_size: u32,
) -> Result<u32, GeometryError> {
    let inodes_per_group = sb.inodes_per_group.get();
    let (min, max) = (size.bytes() / inode_size, size.bitmap_bits());

    if inodes_per_group < min || inodes_per_group > max {
        return Err(GeometryError::InodesPerGroup {
            inodes_per_group,
            min,
            max,
        });
    }
    Ok(inodes_per_group)
}

/// The number of blocks in a group, and that of groups.
pub(crate) fn groups(
    sb: &SuperBlock,
    size: BlockSize,
    device_blocks: u64,
) -> Result<(u32, u32), GeometryError> {
    let first_data_block = sb.first_data_block.get();
    // The block that the primary superblock, 1 KiB from the start, is in.
    let expected = (structures::SUPER_OFFSET >> size.bits()) as u32;
    if first_data_block != expected {
        return Err(GeometryError::FirstDataBlock {
            first_data_block,
            expected,
        });
    }

    let blocks_per_group = sb.blocks_per_group.get();
    let max = size.bitmap_bits();
    if blocks_per_group == 0 || blocks_per_group > max {
        return Err(GeometryError::BlocksPerGroup {
            blocks_per_group,
            max,
        });
    }

    let blocks_count = sb.blocks_count.get();
    if u64::from(blocks_count) > device_blocks {
        return Err(GeometryError::DeviceTooSmall {
            blocks_count,
            device_blocks,
        });
    }
    match blocks_count.checked_sub(first_data_block) {
        None | Some(0) => Err(GeometryError::NoBlocks { blocks_count }),
        Some(blocks) => Ok((blocks_per_group, blocks.div_ceil(blocks_per_group))),
    }
}

/// How many blocks of group descriptors follow the superblock.
pub(crate) fn leading_descriptor_blocks(
    sb: &SuperBlock,
    descriptor_blocks: u32,
) -> Result<u32, GeometryError> {
    if sb.feature_incompat.get() & structures::incompat::META_BG == 0 {
        return Ok(descriptor_blocks);
    }

    let first_meta_bg = sb.first_meta_bg.get();
    if first_meta_bg > descriptor_blocks {
        return Err(GeometryError::FirstMetaGroup {
            first_meta_bg,
            descriptor_blocks,
        });
    }
    Ok(first_meta_bg)
}
