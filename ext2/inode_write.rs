// SPDX-License-Identifier: GPL-2.0

//! Writing inodes to their block of the inode table.
//!
//! C counterpart: `ext2_write_inode()`, `ext2_sync_inode_metadata()`.
//!
//! An image has no pointer to an indirect block that the medium may not have, see
//! [`branches`](crate::order::branches).
//!
//! Locks: the spinlock of [`DiskOnly`], innermost, from taking the image of an inode until it is in
//! the buffer, so that an older image never replaces a newer one.

#![deny(unsafe_code)]

use crate::{
    disk::RawInode,
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
    super_state, //
};
use kernel::prelude::*;
use rust_mpage::fs::Buffer;
use zerocopy::FromZeros;

/// Writes the inode into its block, which is then dirty.
pub(crate) fn write_inode(inode: &Ext2Inode) -> Result {
    let sb = inode.super_block();

    if inode_encode::is_large_file(inode.mode(), inode.size()) {
        super_state::enable_large_files(sb)?;
    }
    store(inode).map(|_| ())
}

/// Stores the image of the inode, after the blocks that it is the first to point to. The block that
/// it is in, which is dirty.
pub(crate) fn store(inode: &Ext2Inode) -> Result<u32> {
    let sb = inode.super_block();
    let number = inode.number() as u32;
    let (block, offset) = inode::place(sb, number)?;
    let buffer = sb.bread(block.into()).inspect_err(|_| {
        report::corrupt(sb, fmt!("cannot read inode {number} in block {block}"));
    })?;

    while let Stored::Waits(batch) = store_image(inode, &buffer, offset as usize)? {
        sb.data().order.branches.settle(sb, batch, number)?;
        inode.data().note_settled(batch);
    }
    sb.mark_dirty(&buffer);
    Ok(block)
}

/// The block that the inode is in.
pub(crate) fn block_of(inode: &Ext2Inode) -> Result<u32> {
    let (block, _) = inode::place(inode.super_block(), inode.number() as u32)?;
    Ok(block)
}

/// What became of an image.
enum Stored {
    Yes,
    /// It waits for a batch of branches.
    Waits(u64),
}

/// Stores the image of the inode, unless one of its pointers has to wait.
fn store_image(inode: &Ext2Inode, buffer: &Buffer, offset: usize) -> Result<Stored> {
    let sb = inode.super_block();
    let data = inode.data();
    let ids = if sb.data().options().no_uid32 {
        IdWidth::Bits16
    } else {
        IdWidth::Bits32
    };

    let mut disk = data.disk_only.lock();
    let image = image(inode, &disk);
    // Of the image's pointers: who sets one of a branch notes the branch before.
    let waiting = match image.content {
        Content::Pointers(pointers) if image.nlink != 0 => disk.waiting(&pointers),
        _ => 0,
    };
    if waiting != 0 {
        return Ok(Stored::Waits(disk.fresh_batch));
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
    disk.is_on_disk |= image.nlink != 0;
    Ok(Stored::Yes)
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
