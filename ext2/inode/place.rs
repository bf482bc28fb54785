// SPDX-License-Identifier: GPL-2.0

//! Where an inode is in the inode table, and which blocks can be its own.
//!
//! Locks: none, this is decided by what never changes.

#![deny(unsafe_code)]

use super::data::Ext2Inode;
use crate::mount::{
    report,
    Ext2, //
};
use kernel::prelude::*;
use rust_mpage::fs::SuperBlock;

/// The block that has inode number `ino`, and where in it, in bytes.
pub(crate) fn place(sb: &SuperBlock<Ext2>, ino: u32) -> Result<(u32, u32)> {
    let data = sb.data();
    let location = data.geometry.inode_location(ino).map_err(|error| {
        report::corrupt(sb, fmt!("{error}"));
        error.errno()
    })?;
    let block = data.inode_table_block(&location).ok_or(EUCLEAN)?;
    Ok((block, location.offset))
}

/// The block that has inode number `ino`, if there can be such an inode: for who has not been asked
/// for it yet.
pub(crate) fn table_block(sb: &SuperBlock<Ext2>, ino: u32) -> Option<u32> {
    let data = sb.data();
    let location = data.geometry.inode_location(ino).ok()?;

    data.inode_table_block(&location)
}

/// Checks that blocks can be an inode's own: in the filesystem, and nothing that the filesystem
/// itself needs. What is not is reported.
pub(crate) fn check_own(inode: &Ext2Inode, first: u32, count: u32) -> Result {
    let sb = inode.super_block();
    let data = sb.data();

    data.geometry
        .check_data_blocks(first, count)
        .map_err(|error| {
            report::corrupt(sb, fmt!("inode {}: {error}", inode.number()));
            error.errno()
        })?;
    if data.is_group_metadata(first, count) {
        report::corrupt(
            sb,
            fmt!(
                "inode {}: {count} blocks from {first} on are a bitmap or inode table",
                inode.number()
            ),
        );
        return Err(EUCLEAN);
    }
    Ok(())
}
