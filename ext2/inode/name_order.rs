// SPDX-License-Identifier: GPL-2.0

//! Names and inodes reach the disk in the order that they have to: what a directory's pages wait
//! for, and what `fsync(2)` brings along.
//!
//! Locks: as [`names`](crate::order::names), [`moved`](crate::order::moved) and
//! [`removals`](crate::order::removals).

#![deny(unsafe_code)]

use super::{
    data::Ext2Inode,
    first_block, //
};
use crate::order::moves::Page;
use core::ops::Range;
use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
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
fn settle_names(dir: &Ext2Inode) -> Result {
    let sb = dir.super_block();

    first_block::settle(dir)?;
    let batch = dir.data().names.load(Acquire);
    match batch {
        0 => Ok(()),
        _ => sb.data().order.names.settle(sb, batch, dir.number() as u32),
    }
}

/// Has page `index` of a directory, which is about to lose a name, wait for page `new` of the
/// directory `into`, which has got it. Whether it does; else the new name has to be brought to the
/// medium before. Both directories are locked exclusively.
///
/// Fails with `ENOMEM`.
pub(crate) fn page_waits(dir: &Ext2Inode, index: u64, into: &Ext2Inode, new: u64) -> Result<bool> {
    // What leads to it has to be there, too.
    if into.data().new_names().is_some() {
        return Ok(false);
    }
    let sb = dir.super_block();
    sb.data()
        .order
        .moved
        .add(sb, page_of(dir, index), page_of(into, new))
}

/// As [`page_waits`], of a name that is in page `back` of `into` again, where it was before and
/// what led to it does.
pub(crate) fn page_waits_for_old(
    dir: &Ext2Inode,
    index: u64,
    into: &Ext2Inode,
    back: u64,
) -> Result<bool> {
    let sb = dir.super_block();
    sb.data()
        .order
        .moved
        .add_back(sb, page_of(dir, index), page_of(into, back))
}

/// Whether page `index` of a directory, which is locked exclusively, waits for another: then it has
/// not been written since a name has gone from it.
pub(crate) fn is_page_kept_back(dir: &Ext2Inode, index: u64) -> bool {
    let moved = &dir.super_block().data().order.moved;
    moved.waits(dir.number() as u32, &(index..index.saturating_add(1)))
}

fn page_of(dir: &Ext2Inode, index: u64) -> Page {
    Page {
        directory: dir.number() as u32,
        index,
    }
}

/// Has a directory wait for no name that has moved from it: it is about to go.
///
/// Fails with `EIO` if such a name cannot be brought to the medium.
pub(crate) fn settle_moved(dir: &Ext2Inode) -> Result {
    settle_moved_in(dir, &(0..u64::MAX))
}

/// As [`settle_moved`], of some pages.
fn settle_moved_in(dir: &Ext2Inode, pages: &Range<u64>) -> Result {
    let sb = dir.super_block();
    let moved = &sb.data().order.moved;

    moved.settle(sb, dir.number() as u32, pages)
}

/// Calls `write`, which writes dirty pages of a directory, `bytes` of it, and does so until none of
/// them is left that waits for a name that has moved from it, if somebody waits for the pages.
/// `write` asks for each page, with its folio locked, whether it may be written: the error to leave
/// it with if not.
pub(crate) fn write_pages(
    dir: &Ext2Inode,
    bytes: Range<u64>,
    is_waited_for: bool,
    mut write: impl FnMut(&mut dyn FnMut(Range<u64>) -> Written) -> Result,
) -> Result {
    let moved = &dir.super_block().data().order.moved;
    let number = dir.number() as u32;
    let all = pages_of(bytes);
    let mut hurry = None;
    let mut result = Ok(());

    // Of the last time.
    report_unwritten(dir);
    loop {
        let settled = settle_moved_in(dir, &all);
        let mut is_left = false;
        let mut is_held_back = false;
        let written = write(&mut |folio| {
            let waits = moved.waits(number, &pages_of(folio));
            is_left |= waits;
            let may = match waits {
                true => Written::Later(settled),
                false => match settle_names(dir) {
                    Ok(()) => Written::Now,
                    Err(error) => Written::Later(Err(error)),
                },
            };
            is_held_back |= matches!(may, Written::Later(Err(_)));
            may
        });
        dir.data().set_held_back(is_held_back);
        result = result.and(written);
        if !is_left || !is_waited_for || settled.is_err() {
            return result;
        }
        // Names have moved meanwhile: those that come now do not.
        hurry.get_or_insert_with(|| moved.hurry());
    }
}

/// Whether a page may be written.
pub(crate) enum Written {
    /// It may.
    Now,
    /// It stays dirty, which is an error or not.
    Later(Result),
}

/// The pages with some bytes.
fn pages_of(bytes: Range<u64>) -> Range<u64> {
    bytes.start >> PAGE_SHIFT..bytes.end.div_ceil(PAGE_SIZE as u64)
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
