// SPDX-License-Identifier: GPL-2.0

//! Names and inodes reach the disk in the order that they have to: what a directory's pages wait
//! for, and what `fsync(2)` brings along.
//!
//! Locks: as [`names`](crate::order::names) and [`removals`](crate::order::removals).

#![deny(unsafe_code)]

use super::{
    data::Ext2Inode,
    first_block, //
};
use kernel::{
    prelude::*,
    sync::atomic::Acquire, //
};
use rust_mpage::mm::without_fs_reclaim;

/// Reports that pages of a directory could not be written, if they could not: `errors=` acts.
pub(crate) fn report_unwritten(dir: &Ext2Inode) {
    let removals = &dir.super_block().data().order.removals;
    removals.report_unwritten(dir);
}

/// Has the pages of a directory, the folio of one of which is locked, wait for the inodes that the
/// names in it lead to: no other name comes into it.
///
/// Fails with `EIO` if one cannot be written.
pub(crate) fn settle_names(dir: &Ext2Inode) -> Result {
    let sb = dir.super_block();

    first_block::settle(dir)?;
    let batch = dir.data().names.load(Acquire);
    match batch {
        0 => Ok(()),
        _ => sb.data().order.names.settle(sb, batch, dir.number() as u32),
    }
}

/// Brings the names of an inode that may not be on the disk there, and those of the directories
/// that they are in. The inodes themselves are stored with them. For `fsync(2)`.
pub(crate) fn sync_names(inode: &Ext2Inode) -> Result {
    let sb = inode.super_block();
    let removals = &sb.data().order.removals;
    let Some(own) = inode.data().new_names() else {
        return Ok(());
    };
    let mut way = KVVec::new();
    let mut names = own;

    loop {
        let directory = match names.directory {
            // The name may have been in what is lost.
            Some(number) if removals.is_stuck(number) => return Err(EIO),
            Some(number) => removals.write_directory(sb, number)?,
            None => None,
        };
        // It has left memory, or there are several.
        let Some(directory) = directory else {
            removals.write_all(sb)?;
            break;
        };
        match directory.data().new_names() {
            Some(of_directory) => names = of_directory,
            None => break,
        }
        without_fs_reclaim(|| way.push((directory, names), GFP_KERNEL))?;
    }
    // Not before all of the way is there.
    inode.data().note_names_on_disk(own);
    for (directory, names) in way.iter() {
        directory.data().note_names_on_disk(*names);
    }
    Ok(())
}
