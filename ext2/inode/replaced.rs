// SPDX-License-Identifier: GPL-2.0

//! Files that take the place of others.
//!
//! Editors and package managers write a new file and rename it over the old one, or cut the old one
//! to nothing and write it anew, and not all of them say `fsync(2)`. Where blocks get their places
//! late, a crash would leave an empty file of what was never in danger before. So what has been
//! written is on the disk when the new file takes the name, and on its way there when it is closed.
//!
//! C counterpart: none, for `ext2` does not delay; `ext4_alloc_da_blocks()`, which starts the
//! writes of a file that is renamed, too, and leaves it to the journal to wait.
//!
//! Locks: the caller's; pages are written, and the tree mutex is taken for that.

#![deny(unsafe_code)]

use super::{
    kinds::is_regular,
    write::store,
    Ext2Inode, //
};
use crate::disk::inode_encode;
use kernel::prelude::*;
use rust_mpage::mm::without_fs_reclaim;

/// Has all blocks of a file that have been promised given their places, and written: somebody asks
/// where they are.
pub(crate) fn write_delayed(inode: &Ext2Inode) -> Result {
    match inode.data().delay.blocks() {
        0 => Ok(()),
        _ => write_all(inode),
    }
}

/// Writes all pages and waits for them.
fn write_all(inode: &Ext2Inode) -> Result {
    let given = inode.data().delay.given();
    inode.write_and_wait()?;
    inode.data().delay.note_written(given);
    Ok(())
}

/// Whether the file may have got blocks later than when they were written to.
fn delays(inode: &Ext2Inode) -> bool {
    let data = inode.super_block().data();
    is_regular(inode) && (data.options().delays_allocation() || inode.data().delay.blocks() != 0)
}

/// A file is about to take the name of another. What it has, written by now or not, is on the
/// device before the name can be, and so are the arrays of pointers that lead to it; the inode
/// comes with the name. An error is for who syncs the file.
pub(crate) fn replaces_by_name(inode: &Ext2Inode) {
    if delays(inode) {
        let _ = write_all(inode).and_then(|()| inode.sync_metadata());
    }
}

/// A file that could be written to is closed. If it has been cut to nothing while it was open, what
/// has been written since begins to be written, and the image of the inode says where: that with
/// which the block of the inode table would get to the disk for the sake of another is the one of
/// an empty file.
///
/// An image that has to wait for arrays of pointers is left to the flusher: each such file would
/// cost a flush of the device.
pub(crate) fn closed(inode: &Ext2Inode) {
    if !delays(inode) || inode.size() == 0 || !inode.data().delay.take_emptied() {
        return;
    }
    inode.start_write();
    // It stays dirty: the flusher may be at it already, with what there was before.
    let waits = inode.data().disk_only.lock().fresh != 0;
    if waits || inode_encode::is_large_file(inode.mode(), inode.size()) {
        return;
    }
    // Else it is on the disk as it is, or stays as it was there.
    if let Some(_change) = inode.start_change() {
        let _ = without_fs_reclaim(|| store(inode));
    }
}
