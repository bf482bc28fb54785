// SPDX-License-Identifier: GPL-2.0

//! Where the blocks of a file are: the mapper that `rust_mpage` asks.
//!
//! Locks: none to look; the inode's tree mutex to allocate.

#![deny(unsafe_code)]

use super::{
    allocate::Request,
    delay,
    known,
    way, //
};
use crate::inode::{
    self,
    Ext2Inode, //
};
use core::ops::Range;
use kernel::prelude::*;
use rust_mpage::{
    block::BlockDevice,
    BlockCount,
    BlockMapper,
    Extent,
    LogicalBlock,
    Mapping,
    PhysicalBlock, //
};

/// The mapper.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mapper;

impl BlockMapper for Mapper {
    type Inode = Ext2Inode;

    fn lookup<'i>(
        &self,
        inode: &'i Ext2Inode,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        if inode.is_directory() {
            // A page is read: what it had before may have been changed on the disk.
            inode.data().room.page_is_read();
        }
        known::lookup(inode, at.0, max.0)
    }

    fn lookup_to_overwrite<'i>(
        &self,
        inode: &'i Ext2Inode,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        let mapping = known::lookup(inode, at.0, max.0)?;
        if let Extent::Mapped { start, .. } = *mapping.extent() {
            // Blocks of the filesystem have 32 bits.
            inode::check_own(inode, start.0 as u32, mapping.len().0)?;
        }
        Ok(mapping)
    }

    fn recall<'i>(
        &self,
        inode: &'i Ext2Inode,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Option<Mapping<&'i BlockDevice>> {
        if way::number_of_last(inode, at.0) == 0 {
            // The pointers are in memory.
            return self.lookup_to_overwrite(inode, at, max).ok();
        }
        let (first, count) = known::recall(inode, at.0, max.0)?;
        let start = PhysicalBlock(first.into());
        Some(Mapping::mapped(inode.device(), start, BlockCount(count)))
    }

    fn allocate<'i>(
        &self,
        inode: &'i Ext2Inode,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        let path = way::path_to(inode, at.0)?;
        let mut blocks = Request::new(inode, at.0, &path, max.0).blocks()?;
        // Of what had been promised a whole run has got its place.
        if blocks.count > max.0 {
            if blocks.is_new {
                let rest = u64::from(blocks.first) + u64::from(max.0);
                inode.forget_cached_blocks(rest, blocks.count - max.0);
            }
            blocks.count = max.0;
        }
        Ok(blocks.mapping(inode, &path))
    }

    fn forget(&self, inode: &Ext2Inode, blocks: Range<u64>) {
        delay::forget(inode, blocks)
    }
}
