// SPDX-License-Identifier: GPL-2.0

//! New blocks of metadata are on the disk before anything there leads to them: arrays of pointers,
//! and the blocks that a directory grows by.
//!
//! If the array that will lead to one can be found on disk, the block is written here and now, and
//! the device flushed; if not, because the branch hangs on the inode itself or on one that does, it
//! is one of the [`branches`](crate::order::branches) that are written before the inode is. A new
//! block of a directory is written here, as one without names; only that the device is flushed may
//! wait.
//!
//! The other way round, a directory has its size on the disk only after the pointers behind which
//! it has grown: it has no holes.
//!
//! An array that no image leads to may have been written, by anybody, with a pointer to one that
//! was not. If that pointer is cut then, the array waits to be written again: what it had led to
//! never is.
//!
//! What is written here and cannot be may get another place, see [`places`](super::places).
//!
//! C counterpart: `ext2_alloc_branch()`, which waits for nothing.
//!
//! Locks: who allocates has the inode's tree mutex.

#![deny(unsafe_code)]

use crate::{
    disk::{
        run::Run,
        SIZE_ROOT, //
    },
    inode::{
        array::PointerArray,
        Ext2Inode, //
    },
    tree::{
        branch::{
            Branch,
            MAX_INDIRECT, //
        },
        path::BlockPath, //
    },
};
use kernel::prelude::*;
use rust_mpage::fs::Buffer;

/// Why blocks cannot become a file's.
#[derive(Clone, Copy)]
pub(super) enum Refused {
    /// This one of them cannot be written.
    Unwritable(u32),
    /// For another reason.
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Has new blocks of a directory on disk without names before anything leads to them, from an
/// array at `level`. The first of a new directory is written by who makes it.
pub(super) fn initialise(
    inode: &Ext2Inode,
    path: &BlockPath,
    run: Run,
    level: usize,
) -> Result<(), Refused> {
    if !inode.is_directory() || inode.size() == 0 {
        return Ok(());
    }
    let sb = inode.super_block();
    for block in (run.first..).take(run.count as usize) {
        let buffer = sb.new_block(block.into())?;
        // An entry that is not in use: its inode, 0, and its length.
        buffer.set_le32(1, sb.block_size() & u32::from(u16::MAX))?;
        sb.mark_dirty(&buffer);
        write_now(inode, &buffer).inspect_err(|_| buffer.clone().forget())?;
    }
    let root = path.offset(0);
    let batch = sb
        .data()
        .order
        .branches
        .add(sb, inode.number() as u32, None)?;
    if level == 0 {
        let roots = match path.depth() {
            0 | 1 => run.count,
            _ => 1,
        };
        let settled = sb.data().order.branches.settled_of(inode.number() as u32);
        (root..root + roots).for_each(|root| inode.data().note_fresh(root, batch, settled));
    } else if !inode.data().note_fresher(root, batch) {
        sb.device().flush()?;
    }
    Ok(())
}

/// Has the size of a directory not be on the disk before the pointers that `array` has got just
/// now, if that is not the inode's own: the directory would have a hole, and what is in the page
/// before could not be read until e2fsck has been there.
///
/// Fails with `EIO` if there is no memory to wait later, and the array cannot be written: the
/// directory must not have the size.
pub(super) fn note_pointers(inode: &Ext2Inode, array: &PointerArray) -> Result {
    let PointerArray::Indirect(buffer) = array else {
        return Ok(());
    };
    if !inode.is_directory() {
        return Ok(());
    }
    let sb = inode.super_block();
    let number = inode.number() as u32;
    let branches = &sb.data().order.branches;
    match branches.add(sb, number, Some(buffer)) {
        Ok(batch) => {
            let settled = branches.settled_of(number);
            inode.data().note_fresh(SIZE_ROOT, batch, settled);
            Ok(())
        }
        Err(_) => write_unnoted(inode, buffer),
    }
}

/// Has an array that has lost arrays be on the disk as it is now before an image leads to it with
/// pointer `root`, if none does: the disk may have it as it was before, with pointers to what was
/// not written and is not any more.
///
/// To be called before those are forgotten. Fails with `EIO` if there is no memory to wait later,
/// and the array cannot be written: those must not be forgotten.
pub(super) fn note_cut(inode: &Ext2Inode, array: &PointerArray, root: u32) -> Result {
    let PointerArray::Indirect(buffer) = array else {
        return Ok(());
    };
    if !inode.data().is_fresh(root) {
        return Ok(());
    }
    let sb = inode.super_block();
    match sb
        .data()
        .order
        .branches
        .add(sb, inode.number() as u32, Some(buffer))
    {
        // If one has been stored meanwhile, all that it led to was there.
        Ok(batch) => {
            inode.data().note_fresher(root, batch);
            Ok(())
        }
        Err(_) => write_unnoted(inode, buffer),
    }
}

/// Has an array on the disk that nobody can wait for later, for lack of memory. What fails is dirty
/// still.
fn write_unnoted(inode: &Ext2Inode, buffer: &Buffer) -> Result {
    let sb = inode.super_block();
    sb.sync_buffer(buffer)?;
    sb.device().flush()
}

/// Writes a block, and waits for it.
fn write_now(inode: &Ext2Inode, buffer: &Buffer) -> Result<(), Refused> {
    match inode.super_block().sync_buffer(buffer) {
        // Blocks of the filesystem have 32 bits.
        Err(EIO) => Err(Refused::Unwritable(buffer.number() as u32)),
        result => Ok(result?),
    }
}

/// Fills the branch's indirect blocks, which an array at `level` behind pointer `root` will lead
/// to, and writes them if the disk may have that array.
pub(super) fn make_indirect(
    inode: &Ext2Inode,
    branch: &Branch,
    root: u32,
    level: usize,
) -> Result<(), Refused> {
    let mut made: [Option<Buffer>; MAX_INDIRECT] = [const { None }; MAX_INDIRECT];
    let result = fill_indirect(inode, branch, &mut made)
        .map_err(Refused::from)
        .and_then(|()| note_or_write(inode, &made, root, level));

    if result.is_err() {
        for buffer in made.into_iter().flatten() {
            buffer.forget();
        }
    }
    result
}

fn fill_indirect(
    inode: &Ext2Inode,
    branch: &Branch,
    made: &mut [Option<Buffer>; MAX_INDIRECT],
) -> Result {
    for (slot, (block, pointers)) in made.iter_mut().zip(branch.indirect()) {
        let buffer = slot.insert(inode.super_block().new_block(block.into())?);
        let blocks = pointers.blocks();
        let (index, count) = (pointers.index() as usize, blocks.count as usize);
        buffer.set_ascending(index, count, blocks.first)?;
    }
    Ok(())
}

/// Has indirect blocks written before what leads to them.
fn note_or_write(
    inode: &Ext2Inode,
    made: &[Option<Buffer>; MAX_INDIRECT],
    root: u32,
    level: usize,
) -> Result<(), Refused> {
    let sb = inode.super_block();
    let data = inode.data();

    if level == 0 || data.is_fresh(root) {
        let mut batch = 0;
        for buffer in made.iter().flatten() {
            inode.mark_metadata_dirty(buffer);
            let branches = &sb.data().order.branches;
            batch = branches.add(sb, inode.number() as u32, Some(buffer))?;
        }
        if level == 0 {
            let settled = sb.data().order.branches.settled_of(inode.number() as u32);
            data.note_fresh(root, batch, settled);
            return Ok(());
        }
        if data.note_fresher(root, batch) {
            return Ok(());
        }
        // The image has been stored meanwhile.
    }
    for buffer in made.iter().flatten() {
        // None of what a sync of the inode writes: if it fails here that is no error of the file.
        sb.mark_dirty(buffer);
        write_now(inode, buffer)?;
    }
    match made.iter().any(Option::is_some) {
        true => Ok(sb.device().flush()?),
        false => Ok(()),
    }
}
