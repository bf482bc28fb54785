// SPDX-License-Identifier: GPL-2.0

//! The first block of a new directory or symbolic link, which is on the medium before anything
//! there leads to it.
//!
//! What is written for that is in the device's cache: what the block has when it is new. The page
//! of a directory may have names by then, which wait for the inodes that they lead to, as these do
//! for their first blocks. So the page is not written before the block has been ([`settle`]), nor
//! the block after the page, nor once it may be somebody else's ([`forget`]). Directories that come
//! together cost one flush of the device.
//!
//! C counterpart: none; `ext2_make_empty()` writes the directory and its inode, and waits.
//!
//! Locks: those of [`branches`](crate::order::branches).

use super::data::Ext2Inode;
use kernel::prelude::*;

/// Has the block, which begins with `contents` and has zeroes after them, on the medium before the
/// image of its inode leads to it. It is in the page cache of the inode, too, and dirty there.
///
/// Fails with `ENOMEM`.
pub(crate) fn note(inode: &Ext2Inode, contents: &[u8]) -> Result {
    let sb = inode.super_block();
    let branches = &sb.data().order.branches;
    let number = inode.number() as u32;
    let [block, ..] = inode.data().pointers();
    let buffer = sb.new_block(block.into())?;

    // In whole words.
    let (words, rest) = contents.split_at(contents.len() & !(size_of::<u32>() - 1));
    let mut last = [0; size_of::<u32>()];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    buffer.copy_from(0, words)?;
    if !rest.is_empty() {
        buffer.copy_from(words.len(), &last)?;
    }
    sb.mark_dirty(&buffer);
    let batch = branches
        .add(sb, number, Some(&buffer))
        .inspect_err(|_| buffer.clone().forget())?;
    inode
        .data()
        .note_fresh(0, batch, branches.settled_of(number));
    Ok(())
}

/// Brings the block to the medium before the inode's page is written, unless it has been.
///
/// Fails with `EIO` if it cannot be written.
pub(super) fn settle(inode: &Ext2Inode) -> Result {
    let sb = inode.super_block();
    let batch = inode.data().disk_only.lock().batch_of_first();

    match batch {
        None => Ok(()),
        Some(batch) => sb
            .data()
            .order
            .branches
            .settle(sb, batch, inode.number() as u32),
    }
}

/// Has the block not written any more, if it has not been, nor waited for: it is about to be freed.
pub(crate) fn forget(inode: &Ext2Inode) {
    let [block, ..] = inode.data().pointers();

    if block == 0 || !inode.data().disk_only.lock().give_up_first() {
        return;
    }
    if let Some(buffer) = inode.super_block().cached(block.into()) {
        buffer.forget();
    }
}
