// SPDX-License-Identifier: GPL-2.0

//! Writing inodes to their block of the inode table.
//!
//! C counterpart: `ext2_write_inode()`, `ext2_sync_inode_metadata()`.
//!
//! Locks: the spinlock of [`DiskOnly`], innermost, from taking the image of an inode until it is
//! in the buffer, so that an older image never replaces a newer one. The tree mutex, outside of it,
//! if there is a fresh branch to be written first.

#![deny(unsafe_code)]

use crate::{
    disk::RawInode,
    fresh,
    inode::{
        self,
        Ext2Inode, //
    },
    inode_data::DiskOnly,
    inode_disk::IdWidth,
    inode_encode::{
        self,
        Content,
        InodeImage, //
    },
    report,
    super_state,
    tree::Tree, //
};
use kernel::prelude::*;
use rust_mpage_core::abstractions::fs::Buffer;
use zerocopy::FromZeros;

/// Writes the inode into its block, which is then dirty.
pub(crate) fn write_inode(inode: &Ext2Inode) -> Result {
    let sb = inode.super_block();

    if inode_encode::is_large_file(inode.mode(), inode.size()) {
        super_state::enable_large_files(sb)?;
    }
    while !store(inode)? {
        // Nobody adds a branch while the mutex is held.
        write_fresh_branches(inode, &inode.data().lock_tree())?;
    }
    Ok(())
}

/// As [`write_inode`], by who has locked the tree: pointers have been cut. The block that the inode
/// is in.
pub(crate) fn store_locked(inode: &Ext2Inode, tree: &Tree) -> Result<u32> {
    write_fresh_branches(inode, tree)?;
    store(inode)?;
    block_of(inode)
}

/// The block that the inode is in.
pub(crate) fn block_of(inode: &Ext2Inode) -> Result<u32> {
    let (block, _) = inode::place(inode.super_block(), inode.number() as u32)?;
    Ok(block)
}

/// Writes the indirect blocks of branches that the disk does not know, to the medium, for the inode
/// to point to them.
fn write_fresh_branches(inode: &Ext2Inode, tree: &Tree) -> Result {
    let data = inode.data();

    if data.has_fresh_branches() {
        fresh::write(inode, tree)?;
        data.forget_fresh_branches();
    }
    Ok(())
}

/// Stores the image of the inode, unless it points to a branch that has to be written first. Whether
/// it did.
fn store(inode: &Ext2Inode) -> Result<bool> {
    let sb = inode.super_block();
    let data = inode.data();
    let ids = if sb.data().options().no_uid32 {
        IdWidth::Bits16
    } else {
        IdWidth::Bits32
    };
    let (block, offset) = inode::place(sb, inode.number() as u32)?;
    let buffer = sb.bread(block.into()).inspect_err(|_| {
        report::corrupt(
            sb,
            fmt!("cannot read inode {} in block {block}", inode.number()),
        );
    })?;
    let offset = offset as usize;

    let mut disk = data.disk_only.lock();
    let image = image(inode, &disk);
    // After the pointers: who makes one of a branch notes the branch before.
    if data.has_fresh_branches() && inode.nlink() != 0 {
        return Ok(false);
    }
    let mut raw = RawInode::new_zeroed();
    if disk.is_new {
        let size = sb.data().geometry.inode_size() as usize;
        buffer.zero(offset..offset + size)?;
    } else {
        buffer.copy_to(offset, raw.as_mut_bytes())?;
    }
    image.store(&mut raw, ids);
    buffer.copy_from(offset, raw.as_bytes())?;
    disk.is_new = false;
    if image.nlink != 0 {
        data.note_on_disk();
    }
    drop(disk);

    sb.mark_dirty(&buffer);
    Ok(true)
}

/// The inode as it is now.
fn image(inode: &Ext2Inode, disk: &DiskOnly) -> InodeImage {
    let data = inode.data();

    InodeImage {
        mode: inode.mode() | data.hidden_mode(),
        uid: inode.uid(),
        gid: inode.gid(),
        nlink: inode.nlink(),
        size: inode.size(),
        atime: inode.atime(),
        ctime: inode.ctime(),
        mtime: inode.mtime(),
        dtime: disk.dtime,
        sectors: inode.blocks(),
        flags: data.flags(),
        generation: inode.generation(),
        file_acl: data.file_acl(),
        dir_acl: disk.dir_acl,
        faddr: disk.faddr,
        frag: disk.frag,
        fsize: disk.fsize,
        content: match inode::device_of(inode) {
            Some(number) => Content::Device(number),
            None => Content::Pointers(data.pointers()),
        },
    }
}

/// Writes the inode's indirect blocks and its block of the inode table, and waits for them;
/// `ext2_sync_inode_metadata()`.
pub(crate) fn sync(inode: &Ext2Inode) -> Result {
    let sb = inode.super_block();
    let (block, _) = inode::place(sb, inode.number() as u32)?;
    let failed = |what: &str| {
        report::corrupt(sb, fmt!("inode {}: cannot write {what}", inode.number()));
    };
    let buffer: Buffer = sb.bread(block.into())?;

    inode
        .sync_metadata()
        .inspect_err(|_| failed("indirect blocks"))?;
    buffer.sync().inspect_err(|_| failed("the inode"))
}
