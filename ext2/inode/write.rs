// SPDX-License-Identifier: GPL-2.0

//! Writing inodes to their block of the inode table.
//!
//! C counterpart: `ext2_write_inode()`, `ext2_sync_inode_metadata()`.
//!
//! An image has no pointer to a block of metadata that the medium may not have, see
//! [`branches`](crate::order::branches), and has a link for each name that the medium may have, see
//! [`removals`](crate::order::removals). If there is none in memory it has nothing but these.
//!
//! Blocks get their places just before their inode is written, and the pointers of a new file wait
//! for what they lead to. One after the other these would be a flush of the device for each inode;
//! so where many are written an inode that waits is put off, once: it stays dirty, and when the
//! next one does not wait, or it comes itself again, all that has been waited for is on the medium
//! at one go. A sync does not end before, see
//! [`store_put_off`](crate::order::branches::FreshBranches::store_put_off).
//!
//! Locks: the spinlock of [`DiskOnly`], from taking the image of an inode until it is in the
//! buffer, so that an older image never replaces a newer one. Outside of it the tree mutex, for who
//! waits for what the inode points to and would have to wait again.

#![deny(unsafe_code)]

use super::{
    data::Ext2Inode,
    disk_only::DiskOnly,
    kinds,
    place::{
        check_own,
        place,
        read_block,
        InTable, //
    },
};
use crate::{
    disk::{
        inode_decode::IdWidth,
        inode_encode::{
            self,
            Content,
            InodeImage, //
        },
        RawInode,
        ATTRIBUTES_ROOT,
        INODE_POINTERS, //
    },
    mount::{
        options::Flag,
        report,
        super_state,
        Ext2, //
    },
    order::branches::{
        FreshBranches,
        Settled, //
    }, //
};
use kernel::prelude::*;
use rust_mpage::fs::{
    self,
    Buffer,
    InodeView,
    Pass,
    SuperBlock, //
};
use zerocopy::FromZeros;

/// Writes the inode into its block, which is then dirty; or puts it off.
pub(crate) fn write_inode(inode: &Ext2Inode, pass: Pass) -> Result {
    let sb = inode.super_block();
    let branches = &sb.data().order.branches;

    if inode_encode::is_large_file(inode.mode(), inode.size()) {
        super_state::enable_large_files(sb)?;
    }
    // Of a filesystem that an error has made read-only there may be no other time.
    if pass == Pass::Many && !sb.is_read_only() && puts_off(inode, branches) {
        inode.mark_dirty();
        branches.note_put_off();
        return Ok(());
    }
    if store_within(inode, 1)?.is_none() {
        // Others may give it blocks for ever, faster than they are waited for; not meanwhile.
        let _tree = inode.data().lock_tree();
        store(inode)?;
    }
    Ok(())
}

/// Whether the inode, one of many that are written, would have to wait, and is to be asked again.
fn puts_off(inode: &Ext2Inode, branches: &FreshBranches) -> bool {
    let mut disk = inode.data().disk_only.lock();

    if disk.fresh == 0 || disk.is_put_off || branches.is_done(disk.fresh_batch) {
        return false;
    }
    disk.is_put_off = true;
    true
}

/// Stores an inode that has been put off, and will not be asked again: it leaves memory.
pub(crate) fn store_put_off(inode: &Ext2Inode) {
    let is_put_off = inode.data().disk_only.lock().is_put_off;
    if is_put_off {
        // What it fails with is in the log.
        let _ = store(inode);
    }
}

/// Stores the image of the inode, after the blocks that it is the first to point to. The block that
/// it is in, which is dirty.
pub(crate) fn store(inode: &Ext2Inode) -> Result<u32> {
    store_within(inode, usize::MAX)?.ok_or(EIO)
}

/// As [`store`], if it has not to wait more than so many times for what it points to. Else `None`.
fn store_within(inode: &Ext2Inode, times: usize) -> Result<Option<u32>> {
    let sb = inode.super_block();
    let number = inode.number() as u32;
    let InTable {
        buffer,
        block,
        offset,
    } = read_block(sb, number)?;

    for waited in 0.. {
        let image = store_image(
            inode,
            &buffer,
            offset as usize,
            |_, waiting| match waiting {
                0 => Pointers::All,
                _ => Pointers::Wait,
            },
        )?;
        match image {
            Stored::Yes => break,
            Stored::Waits(_) if waited == times => return Ok(None),
            Stored::Waits(batch) => {
                sb.data().order.branches.settle(sb, batch, number)?;
                inode.data().note_settled(batch);
            }
        }
    }
    sb.mark_dirty(&buffer);
    Ok(Some(block))
}

/// Stores the image of the inode at once, without pointers that wait for a batch of branches after
/// `settled`. Whether it has the first of them.
///
/// May be called with a spinlock held. The buffer is to be marked dirty.
pub(crate) fn store_known(
    inode: &InodeView<Ext2>,
    buffer: &Buffer,
    offset: usize,
    settled: Settled,
) -> Result<bool> {
    let mut without = 0;

    store_image(inode, buffer, offset, |disk, waiting| {
        without = disk.left_waiting(waiting, settled);
        match without {
            0 => Pointers::All,
            _ => Pointers::Without(without),
        }
    })?;
    Ok(without & 1 == 0)
}

/// As [`store`], of a directory, with all that it has in front of byte `end`. Others may make it
/// longer all the time, and not meanwhile: where an image is stored without waiting for them it may
/// end where the last one did.
///
/// Fails with `EIO` if what leads there cannot be written.
pub(super) fn store_up_to(dir: &Ext2Inode, end: u64) -> Result {
    let _tree = dir.data().lock_tree();

    match store(dir) {
        // It waits for what is behind that.
        Err(EIO) if stored_size(dir)? >= end => Ok(()),
        result => result.map(|_| ()),
    }
}

/// The size in the image that was stored last.
fn stored_size(inode: &Ext2Inode) -> Result<u64> {
    let sb = inode.super_block();
    let (block, offset) = place(sb, inode.number() as u32)?;
    let mut raw = RawInode::new_zeroed();

    sb.bread(block.into())?
        .copy_to(offset as usize, raw.as_mut_bytes())?;
    Ok(raw.size_low.get().into())
}

/// The block that the inode is in.
pub(crate) fn block_of(inode: &Ext2Inode) -> Result<u32> {
    let (block, _) = place(inode.super_block(), inode.number() as u32)?;
    Ok(block)
}

/// Which pointers an image has.
enum Pointers {
    All,
    /// It is not to be stored now.
    Wait,
    /// These keep what the disk has, as bits.
    Without(u32),
}

/// What became of an image.
enum Stored {
    Yes,
    /// It waits for a batch of branches.
    Waits(u64),
}

/// Stores the image of the inode, if `choose` says so of what is only of interest to the disk and
/// of the pointers that have to wait.
fn store_image(
    inode: &InodeView<Ext2>,
    buffer: &Buffer,
    offset: usize,
    choose: impl FnOnce(&mut DiskOnly, u32) -> Pointers,
) -> Result<Stored> {
    let sb = inode.super_block();
    let data = inode.data();
    let ids = if sb.data().options().has(Flag::NoUid32) {
        IdWidth::Bits16
    } else {
        IdWidth::Bits32
    };

    let mut disk = data.disk_only.lock();
    let mut image = image(inode, &disk);
    let is_buried = inode.nlink() == 0 && disk.kept_links != 0;
    if is_buried {
        image.bury(kinds::has_block_tree(inode));
    }
    // Of the image's pointers: who sets one of a branch notes the branch before.
    let waiting = match image.content {
        _ if image.nlink == 0 => 0,
        Content::Pointers(pointers) => disk.waiting(&pointers, image.file_acl, image.size),
        Content::Device(_) => disk.waiting(&[0; INODE_POINTERS], image.file_acl, 0),
    };
    let kept = match choose(&mut disk, waiting) {
        Pointers::All => 0,
        Pointers::Wait => return Ok(Stored::Waits(disk.fresh_batch)),
        Pointers::Without(kept) => kept,
    };

    let mut raw = RawInode::new_zeroed();
    if disk.is_new {
        let size = sb.data().geometry.inode_size() as usize;
        buffer.zero(offset..offset + size)?;
    } else {
        buffer.copy_to(offset, raw.as_mut_bytes())?;
    }
    disk.rights_changed |= !disk.is_on_disk;
    if is_buried {
        // It has no list any more, and a device has no contents that could go.
        disk.rights_changed |= raw.file_acl.get() != 0;
        if disk.rights_changed {
            image.owner_only();
        }
    }
    let block_size = sb.data().geometry.block_size();
    match disk.is_on_disk {
        true => image.keep(&raw, kept, disk.rights_changed, block_size),
        // What the image of a file without a name has is neither on the medium nor noted where it
        // was cut.
        false => image.keep(&RawInode::new_zeroed(), kept, true, block_size),
    }
    if inode_encode::is_large_file(image.mode, image.size) && !super_state::has_large_files(sb) {
        // Who writes the inode sees to that, and stores it as it is.
        image.stay_small(&raw, disk.is_on_disk);
    }
    disk.attributes_stored |= image.file_acl != 0 && image.file_acl == data.file_acl();
    image.store(&mut raw, ids);
    buffer.copy_from(offset, raw.as_bytes())?;
    disk.is_put_off &= kept != 0;
    disk.rights_changed &= is_buried || kept & 1 << ATTRIBUTES_ROOT != 0;
    disk.is_new = false;
    disk.is_on_disk |= image.nlink != 0;
    Ok(Stored::Yes)
}

/// Takes links from the image of an inode that is not in memory. One without links is deleted.
pub(crate) fn take_links(buffer: &Buffer, offset: usize, links: u32) -> Result {
    let mut raw = RawInode::new_zeroed();

    buffer.copy_to(offset, raw.as_mut_bytes())?;
    let left = inode_encode::without_links(&raw, links);
    raw.links_count.set(left);
    if left == 0 {
        raw.dtime.set(fs::now() as u32);
    }
    buffer.copy_from(offset, raw.as_bytes())
}

/// The inode as it is now.
fn image(inode: &InodeView<Ext2>, disk: &DiskOnly) -> InodeImage {
    let data = inode.data();

    InodeImage {
        mode: inode.mode() | data.hidden_mode(),
        uid: inode.uid(),
        gid: inode.gid(),
        nlink: inode.nlink().saturating_add(disk.kept_links),
        size: inode.size(),
        atime: inode.atime(),
        ctime: inode.ctime(),
        mtime: inode.mtime(),
        dtime: disk.dtime,
        sectors: sectors(inode),
        flags: data.flags(),
        generation: inode.generation(),
        file_acl: data.file_acl(),
        dir_acl: disk.dir_acl,
        faddr: disk.faddr,
        frag: disk.frag,
        fsize: disk.fsize,
        content: match kinds::device_of(inode) {
            Some(number) => Content::Device(number),
            None => Content::Pointers(data.pointers()),
        },
    }
}

/// What the image counts as the inode's, in sectors. By them alone who reads the image tells a link
/// with its target in the inode from others, and then they have to be right.
fn sectors(inode: &InodeView<Ext2>) -> u64 {
    let data = inode.data();

    if !data.is_fast_symlink() {
        return inode.blocks();
    }
    match data.file_acl() {
        0 => 0,
        _ => u64::from(inode.super_block().data().geometry.block_size().sectors()),
    }
}

/// Writes the inode's indirect blocks and its block of the inode table, and waits for them;
/// `ext2_sync_inode_metadata()`.
pub(crate) fn sync(inode: &Ext2Inode) -> Result {
    let sb = inode.super_block();
    let (block, _) = place(sb, inode.number() as u32)?;
    let failed = |what: &str, error: &Error| {
        let (number, errno) = (inode.number(), error.to_errno());
        report::corrupt(
            sb,
            fmt!("inode {number}: cannot write {what}: error {errno}"),
        );
    };

    inode
        .sync_metadata()
        .inspect_err(|error| failed("indirect blocks", error))?;
    sync_attributes(inode).inspect_err(|error| failed("extended attributes", error))?;
    sync_cached(sb, block).inspect_err(|error| failed("the inode", error))
}

/// Whether [`sync`] would write or wait for what leads to the data: not for the block of
/// attributes.
pub(crate) fn has_unsynced(inode: &Ext2Inode) -> bool {
    let sb = inode.super_block();
    let is_synced = |block: u32| {
        sb.cached(block.into())
            .is_none_or(|block| block.is_synced())
    };

    inode.has_metadata()
        || !place(sb, inode.number() as u32).is_ok_and(|(block, _)| is_synced(block))
}

/// Writes the inode's block of attributes, if it is dirty. C leaves it to the flusher.
fn sync_attributes(inode: &Ext2Inode) -> Result {
    match inode.data().file_acl() {
        0 => Ok(()),
        block if check_own(inode, block, 1).is_err() => Ok(()),
        block => sync_cached(inode.super_block(), block),
    }
}

/// Writes a block of metadata, if it is dirty, and waits for it. If it is not in memory there is
/// nothing to write.
fn sync_cached(sb: &SuperBlock<Ext2>, block: u32) -> Result {
    match sb.cached(block.into()) {
        Some(buffer) => sb.sync_buffer(&buffer),
        None => Ok(()),
    }
}

/// Whether the image at byte `offset` of `buffer` is one of a file with this block of attributes.
pub(crate) fn has_attributes(buffer: &Buffer, offset: usize, block: u32) -> Result<bool> {
    let mut raw = RawInode::new_zeroed();

    buffer.copy_to(offset, raw.as_mut_bytes())?;
    Ok(raw.links_count.get() != 0 && raw.file_acl.get() == block)
}
