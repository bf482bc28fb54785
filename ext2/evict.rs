// SPDX-License-Identifier: GPL-2.0

//! The end of inodes: of those that are deleted, and of those that only leave memory.
//!
//! The order is the wrapper's: pages are gone first; a deleted inode is marked as such and loses
//! its blocks; then nothing of it is in memory but itself; last goes its bit in the bitmap.
//!
//! C counterpart: `ext2_evict_inode()`.

#![deny(unsafe_code)]

use crate::{
    alloc::ialloc,
    inode::{
        self,
        first_block,
        Ext2Inode, //
    },
    map::{
        self,
        truncate, //
    },
    mount::report,
    xattr, //
};
use kernel::prelude::*;
use rust_mpage::fs::{
    self,
    ExclusiveInode,
    Level,
    Pass,
    Wait, //
};

/// Marks an inode without links as deleted and frees its blocks. If the disk may have a name that
/// leads to it, it stays there with its links, as an empty file.
///
/// Fails, and frees nothing, if the inode cannot be marked: what the disk says is an inode's stays
/// its own.
pub(crate) fn delete(inode: &ExclusiveInode<'_, Ext2Inode>) -> Result {
    let data = inode.data();

    if data.keeps_links() {
        free_blocks(inode);
        store(inode)
    } else {
        data.set_deletion_time(fs::now() as u32);
        store(inode)?;
        free_blocks(inode);
        Ok(())
    }
}

/// Frees the blocks of an inode that is being deleted.
fn free_blocks(inode: &ExclusiveInode<'_, Ext2Inode>) {
    if inode::has_block_tree(inode) {
        inode.clear_size();
        first_block::forget(inode);
        if inode.blocks() != 0 {
            truncate::cut_beyond_end(inode);
        }
    }
    xattr::release(inode);
}

/// Stores the image of an inode that is being deleted.
fn store(inode: &Ext2Inode) -> Result {
    let wait = if inode.needs_sync() {
        Wait::Yes
    } else {
        Wait::No
    };
    inode.mark_dirty();
    // That it did not get to the disk now is in the log, and nobody else is there to be told. The
    // block that it is in is dirty then, which is enough.
    if inode.sync(wait).is_err() {
        inode::write_inode(inode, Pass::One).inspect_err(|_| {
            report::corrupt(
                inode.super_block(),
                fmt!("inode {} cannot be deleted", inode.number()),
            );
        })?;
    }
    Ok(())
}

/// Gives back what an inode in memory holds of the filesystem.
pub(crate) fn release(inode: &ExclusiveInode<'_, Ext2Inode>) {
    let inode = inode.inode();
    // Nobody else has it: the inode is not used any more. Not waiting for it says so to lockdep, as
    // memory reclaim comes here.
    if inode.is_directory() {
        let order = &inode.super_block().data().order;
        order.removals.directory_goes(inode);
        if let Some(index) = inode.data().index.get() {
            index.close();
        }
    }
    if inode.nlink() != 0 {
        inode::store_put_off(inode);
    }
    if let Some(mut tree) = inode.data().try_lock_tree() {
        tree.give_up(&inode.super_block().data().windows);
    }
    let promised = inode.data().delay.blocks();
    if promised != 0 {
        // The pages are gone, and with them what was promised for them should be.
        inode.super_block().message(
            Level::Error,
            fmt!(
                "error: inode {} goes, and {promised} blocks are promised to it, which is a bug \
                 of the driver",
                inode.number()
            ),
        );
        map::forget(inode, 0..u64::MAX);
    }
}

/// Frees a deleted inode. The last that happens to it.
pub(crate) fn free(inode: &ExclusiveInode<'_, Ext2Inode>) {
    ialloc::free_inode(inode);
}
