// SPDX-License-Identifier: GPL-2.0

//! Where the blocks of a file are: the mapper that `rust_mpage` asks.
//!
//! Locks: none to look; the inode's tree mutex to allocate.

#![deny(unsafe_code)]

use super::{
    allocate::Request,
    known,
    way, //
};
use crate::inode::Ext2Inode;
use kernel::prelude::*;
use rust_mpage::{
    block::BlockDevice,
    BlockCount,
    BlockMapper,
    LogicalBlock,
    Mapping, //
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
        known::lookup(inode, at.0, max.0)
    }

    fn allocate<'i>(
        &self,
        inode: &'i Ext2Inode,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        let path = way::path_to(inode, at.0)?;
        let blocks = Request::new(inode, at.0, &path, max.0).blocks()?;
        Ok(blocks.mapping(inode, &path))
    }
}
