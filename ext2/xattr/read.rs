// SPDX-License-Identifier: GPL-2.0

//! The block of attributes of an inode.
//!
//! A copy of it is looked at: who has the device open can change the block at any time.
//!
//! C counterparts: `ext2_xattr_get()`, `ext2_xattr_list()`.
//!
//! Locks: that of the inode's attributes, by [`get`] and [`list`]; the others are for who has it.

#![deny(unsafe_code)]

use crate::{
    disk::{
        attribute_block::{
            AttributeBlock,
            BlockError,
            Name, //
        },
        attribute_list::Attribute, //
    },
    inode::{
        self,
        Ext2Inode, //
    },
    mount::{
        report,
        Ext2, //
    },
};
use kernel::prelude::*;
use rust_mpage::{
    fs::{
        Buffer,
        SuperBlock, //
    },
    mm::without_fs_reclaim, //
};

/// The block of attributes of an inode.
pub(super) struct OwnBlock {
    pub(super) buffer: Buffer,
    bytes: KVec<u8>,
}

impl OwnBlock {
    /// That of `inode`, checked, whose attributes are locked; `None` if it has none.
    ///
    /// Fails with `EIO` if it cannot be read, and with `EUCLEAN`.
    pub(super) fn of(inode: &Ext2Inode) -> Result<Option<Self>> {
        let block = inode.data().file_acl();
        if block == 0 {
            return Ok(None);
        }
        let sb = inode.super_block();
        inode::check_own(inode, block, 1)?;
        let buffer = sb.bread(block.into()).inspect_err(|_| {
            report::unreadable(
                sb,
                fmt!(
                    "inode {}: cannot read its attributes in block {block}",
                    inode.number()
                ),
            );
        })?;
        let bytes = copy(&buffer)?;
        AttributeBlock::new(&bytes).map_err(|error| corrupt(inode, block, error))?;
        Ok(Some(Self { buffer, bytes }))
    }

    /// What is in it.
    pub(super) fn block(&self) -> Result<AttributeBlock<'_>> {
        // It was checked.
        AttributeBlock::new(&self.bytes).map_err(|_| EUCLEAN)
    }
}

/// Reports that the block of attributes of an inode is corrupt.
pub(super) fn corrupt(inode: &Ext2Inode, block: u32, error: BlockError) -> Error {
    report::corrupt(
        inode.super_block(),
        fmt!(
            "inode {}: the block of its extended attributes, {block}, {error}",
            inode.number()
        ),
    );
    EUCLEAN
}

/// A copy of a block.
pub(super) fn copy(buffer: &Buffer) -> Result<KVec<u8>> {
    let mut bytes = without_fs_reclaim(|| KVec::from_elem(0u8, buffer.size(), GFP_KERNEL))?;
    buffer.copy_to(0, &mut bytes)?;
    Ok(bytes)
}

/// Lets the block be found by who has the same attributes. C: `ext2_xattr_cache_insert()`.
pub(super) fn note(sb: &SuperBlock<Ext2>, buffer: &Buffer, bytes: &[u8]) {
    let hash = AttributeBlock::new(bytes).map_or(0, |block| block.hash());

    if hash != 0 {
        sb.data().attribute_blocks.insert(hash, buffer.number());
    }
}

/// Calls `give` with the value of an attribute.
///
/// Fails with `ENODATA` if there is none, with `ERANGE` if no name is so long, with `EIO`, and with
/// `EUCLEAN`.
pub(super) fn get<R>(
    inode: &Ext2Inode,
    name: Name<'_>,
    give: impl FnOnce(&[u8]) -> Result<R>,
) -> Result<R> {
    if name.name.len() > super::set::NAME_MAX {
        return Err(ERANGE);
    }
    let _locked = inode.data().attribute_block.lock();
    let own = OwnBlock::of(inode)?.ok_or(ENODATA)?;
    note(inode.super_block(), &own.buffer, &own.bytes);
    give(own.block()?.find(name).ok_or(ENODATA)?)
}

/// Calls `tell` with each attribute.
pub(super) fn list(inode: &Ext2Inode, mut tell: impl FnMut(Attribute<'_>) -> Result) -> Result {
    let _locked = inode.data().attribute_block.lock();
    match OwnBlock::of(inode)? {
        Some(own) => {
            note(inode.super_block(), &own.buffer, &own.bytes);
            own.block()?.attributes().try_for_each(&mut tell)
        }
        None => Ok(()),
    }
}
