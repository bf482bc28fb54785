// SPDX-License-Identifier: GPL-2.0

//! Reads the directories ahead that who goes through a tree will come to next.
//!
//! `find`, `rsync` and `rm -r` list a directory, and then each directory in it. Each that is listed
//! is reason to read a few more of those that follow, see [`Listing`](crate::inode::Listing): the
//! inode, if the inode table is in memory, and the first pages, without waiting for them. Who
//! removes one after the other will remove all names of the next one, too, so more is read ahead
//! there of what that needs.
//!
//! Locks: `i_rwsem` of the directory that has the names, and of one that is in it, if that need not
//! be waited for.
//!
//! C counterpart: none.

#![deny(unsafe_code)]

use super::{
    ahead::{
        self,
        Taken, //
    },
    find::Place,
    pages::Dir, //
};
use crate::{
    disk::{
        dirent::{
            DirEntry,
            FileType, //
        },
        DIRECT_BLOCKS, //
    },
    inode::{
        self,
        Ahead,
        Ext2Inode, //
    },
};
use kernel::page::PAGE_SIZE;
use rust_mpage::{
    block::plugged,
    fs::Cached, //
};

/// Notes that a directory was looked up at `place`, and reads others ahead if that is worth it.
pub(super) fn note_found(dir: Dir<'_>, place: Place, found: &Ext2Inode) {
    let known = &dir.data().index;

    found.data().index.found_in(dir.number() as u32);
    if !known.descent.is_made_use_of() {
        return;
    }
    if let Some(ahead) = known.descent.ahead() {
        let begun = plugged(|| ahead::take(dir, ahead, &mut |entry| begin(dir, entry)));
        let (count, to) = begun.unwrap_or((0, ahead.end));
        known.descent.has_read(count, to);
    }
    if known.removal.is_made_use_of() {
        prepare_next(dir, place);
    }
}

/// Reads ahead what is needed to remove all of the directory that follows `place`, if it has been
/// read.
fn prepare_next(dir: Dir<'_>, place: Place) {
    let Ok(here) = u32::try_from(place.position) else {
        return;
    };
    let next = Ahead {
        from: here.saturating_add(1),
        end: u32::MAX,
        names: 1,
    };
    // What follows may be behind what is in memory.
    let _ = ahead::take(dir, next, &mut |entry| {
        if !is_subdirectory(entry) {
            return Taken::No;
        }
        if let Cached::Here(child) = dir.super_block().cached_inode(entry.inode.into()) {
            child.try_with_directory(ahead::prepare_removal);
        }
        Taken::Yes
    });
}

/// Whether an entry is of a directory in this one, as far as it says so.
fn is_subdirectory(entry: &DirEntry<'_>) -> bool {
    entry.file_type == Some(FileType::Directory) && !matches!(entry.name, b"." | b"..")
}

/// Notes that somebody lists a directory from the beginning.
pub(super) fn note_listed(dir: Dir<'_>) {
    let known = &dir.data().index;
    let Some(parent) = known.parent() else {
        return;
    };
    let is_cleared = dir
        .super_block()
        .with_cached_inode(parent.into(), |parent| {
            let known = &parent.data().index;
            known.descent.count();
            known.removal.is_made_use_of()
        });

    if matches!(is_cleared, Cached::Here(true)) {
        known.removal.expect_all();
    }
}

/// Begins to read a directory, if the entry is of one.
fn begin(dir: Dir<'_>, entry: &DirEntry<'_>) -> Taken {
    let sb = dir.super_block();

    if !is_subdirectory(entry) {
        return Taken::No;
    }
    match inode::is_directory_in_memory(sb, entry.inode) {
        None => {
            inode::preread(sb, entry.inode);
            Taken::Later
        }
        // Who comes to what is wrong says so.
        Some(false) => Taken::No,
        Some(true) => {
            if let Ok(child) = inode::get(sb, entry.inode) {
                child.try_with_directory(|child| child.read_ahead(0..direct_pages(child)));
            }
            Taken::Yes
        }
    }
}

/// As many pages as can be read without an array of pointers.
fn direct_pages(dir: Dir<'_>) -> u64 {
    let block_size = u64::from(dir.super_block().data().geometry.block_size().bytes());

    (DIRECT_BLOCKS as u64 * block_size / PAGE_SIZE as u64).max(1)
}
