// SPDX-License-Identifier: GPL-2.0

//! Where an inode is in the inode table, and which blocks can be its own.
//!
//! Locks: none, this is decided by what never changes.

#![deny(unsafe_code)]

use super::data::Ext2Inode;
use crate::{
    disk::geometry::InodeLocation,
    mount::{
        report,
        Ext2, //
    },
};
use kernel::prelude::*;
use rust_mpage::{
    block::plugged,
    fs::{
        Buffer,
        SuperBlock, //
    },
};

/// The block that has inode number `ino`, and where in it, in bytes.
pub(crate) fn place(sb: &SuperBlock<Ext2>, ino: u32) -> Result<(u32, u32)> {
    let location = location(sb, ino)?;
    let block = sb.data().inode_table_block(&location).ok_or(EUCLEAN)?;
    Ok((block, location.offset))
}

/// The block of an inode table that has an inode.
pub(crate) struct InTable {
    pub(crate) buffer: Buffer,
    pub(crate) block: u32,
    /// Where in it the inode is, in bytes.
    pub(crate) offset: u32,
}

/// Reads the block that has inode number `ino`, and begins to read those around it if it is not in
/// memory. C: `ext2_get_inode()`, which reads one block.
///
/// Fails with `EUCLEAN` if there cannot be such an inode, and with `EIO` if it cannot be read;
/// either is reported.
pub(crate) fn read_block(sb: &SuperBlock<Ext2>, ino: u32) -> Result<InTable> {
    let location = location(sb, ino)?;
    let data = sb.data();
    let block = data.inode_table_block(&location).ok_or(EUCLEAN)?;
    let around = data.inode_table_around(&location);
    let buffer = sb
        .bread_among(block.into(), around.start.into()..around.end.into())
        .inspect_err(|_| {
            report::corrupt(sb, fmt!("cannot read inode {ino} in block {block}"));
        })?;
    Ok(InTable {
        buffer,
        block,
        offset: location.offset,
    })
}

/// Begins to read the block that has inode number `ino`, and those around it, if that is not in
/// memory. C: `ext2_preread_inode()`.
pub(crate) fn preread(sb: &SuperBlock<Ext2>, ino: u32) {
    let data = sb.data();
    let Ok(location) = data.geometry.inode_location(ino) else {
        return;
    };
    let Some(block) = data.inode_table_block(&location) else {
        return;
    };

    if !sb.is_cached(block.into()) {
        plugged(|| {
            data.inode_table_around(&location)
                .for_each(|block| sb.readahead_block(block.into()));
        });
    }
}

fn location(sb: &SuperBlock<Ext2>, ino: u32) -> Result<InodeLocation> {
    sb.data().geometry.inode_location(ino).map_err(|error| {
        report::corrupt(sb, fmt!("{error}"));
        error.errno()
    })
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
