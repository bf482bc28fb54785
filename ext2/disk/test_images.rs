// SPDX-License-Identifier: GPL-2.0

//! Hand-made pieces of filesystems, and random numbers, for the KUnit suites of this crate.

use super::{
    geometry::Geometry,
    geometry_error::GeometryError,
    inode_decode::IdWidth,
    inode_encode::{
        Content,
        InodeImage, //
    },
    structures::{
        self,
        GroupDescriptor,
        Le32,
        RawInode,
        SuperBlock, //
    },
    super_check::SuperBlockLocation, //
};
use kernel::prelude::*;
use zerocopy::FromZeros;

/// Random numbers that are the same in each run, xorshift64.
pub(crate) struct Random(u64);

impl Random {
    /// Starts the sequence that belongs to `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// The next number, less than `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// The next number, often one of those where things change.
    pub(crate) fn edge(&mut self) -> u32 {
        let power = 1u32 << self.below(32);

        match self.below(6) {
            0 => 0,
            1 => power,
            2 => power - 1,
            3 => power.wrapping_neg(),
            4 => self.below(64) as u32,
            _ => self.next() as u32,
        }
    }
}

/// A filesystem of 8 MiB: one group of 1 KiB blocks, revision 1, 2048 inodes of 256 bytes.
#[inline(never)]
pub(crate) fn small() -> SuperBlock {
    let mut sb = large();

    sb.blocks_count.set(8192);
    sb.inodes_count.set(2048);
    sb.inodes_per_group.set(2048);
    sb.first_data_block.set(1);
    sb.log_block_size.set(0);
    sb.log_frag_size.set(0);
    sb.blocks_per_group.set(8192);
    sb
}

/// A filesystem of 8 GiB: 64 groups of 4 KiB blocks, revision 1, 8192 inodes of 256 bytes in each.
#[inline(never)]
pub(crate) fn large() -> SuperBlock {
    // Every type in it may be zero.
    let mut sb = SuperBlock {
        uuid: [7; 16],
        ..FromZeros::new_zeroed()
    };

    sb.magic.set(structures::SUPER_MAGIC);
    sb.state.set(structures::state::VALID);
    sb.rev_level.set(structures::revision::DYNAMIC);
    sb.blocks_count.set(64 * 32768);
    sb.inodes_count.set(64 * 8192);
    sb.inodes_per_group.set(8192);
    sb.first_data_block.set(0);
    sb.log_block_size.set(2);
    sb.log_frag_size.set(2);
    sb.blocks_per_group.set(32768);
    sb.first_ino.set(11);
    sb.inode_size.set(256);
    sb.feature_incompat.set(structures::incompat::FILETYPE);
    sb.feature_ro_compat
        .set(structures::ro_compat::SPARSE_SUPER | structures::ro_compat::LARGE_FILE);
    sb
}

/// The geometry of `sb` on a device that is just large enough.
#[inline(never)]
pub(crate) fn geometry_of(sb: &SuperBlock) -> Result<Geometry, GeometryError> {
    let location = SuperBlockLocation::new(
        crate::disk::super_check::block_size(sb)?,
        SuperBlockLocation::PRIMARY,
    );

    Geometry::new(sb, location, sb.blocks_count.get().into())
}

/// The descriptor of a group with its bitmaps and its inode table at these blocks.
pub(crate) fn descriptor(
    block_bitmap: u32,
    inode_bitmap: u32,
    inode_table: u32,
) -> GroupDescriptor {
    let mut descriptor: GroupDescriptor = FromZeros::new_zeroed();

    descriptor.block_bitmap = Le32::new(block_bitmap);
    descriptor.inode_bitmap = Le32::new(inode_bitmap);
    descriptor.inode_table = Le32::new(inode_table);
    descriptor
}

/// A file, each of whose fields is another.
pub(crate) fn image() -> InodeImage {
    InodeImage {
        mode: 0o100644,
        uid: 0x12_3456,
        gid: 0x65_4321,
        nlink: 3,
        size: 0x1_2345_6789,
        atime: -5,
        ctime: 1_000_000_000,
        mtime: i32::MAX.into(),
        dtime: 0,
        sectors: 0x1_0000_0010,
        flags: 0x10,
        generation: 77,
        file_acl: 700,
        dir_acl: 99,
        faddr: 5,
        frag: 6,
        fsize: 7,
        content: Content::Pointers(core::array::from_fn(|i| 600 + i as u32)),
    }
}

/// What the disk has of an image in a place that was empty.
pub(crate) fn stored(image: &InodeImage, ids: IdWidth) -> RawInode {
    let mut raw = RawInode::new_zeroed();
    image.store(&mut raw, ids);
    raw
}
