// SPDX-License-Identifier: GPL-2.0

//! Reads the directories ahead that who goes through a tree will come to next.
//!
//! `find`, `ls -lR`, `rsync` and `rm -r` list a directory, and then each directory in it. Each that
//! is listed after it was looked up there is reason to read a few more of those that were listed,
//! see [`Listing`](crate::inode::Listing): the inode, if the inode table is in memory, and the
//! first pages, without waiting for them. Who removes one after the other will remove all names of
//! the next one, too, so what that needs is read ahead then.
//!
//! Locks: `i_rwsem` of the directory that is listed. Of the one in which it was found, and of those
//! in that, it is taken only if it need not be waited for, shared.
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
    mount::Ext2,
};
use kernel::page::PAGE_SIZE;
use rust_mpage::{
    block::plugged,
    fs::{
        Cached,
        InodeRef, //
    },
};

/// Notes that a directory was looked up at `place` of another.
pub(super) fn note_found(dir: Dir<'_>, place: Place, found: &Ext2Inode) {
    // What is far behind in a directory is not said.
    let position = u32::try_from(place.position).unwrap_or(u32::MAX);

    found.data().index.found_in(dir.number() as u32, position);
}

/// Notes that a directory is listed from the beginning, and reads others ahead if that is worth it.
pub(super) fn note_listed(dir: Dir<'_>) {
    let known = &dir.data().index;
    let Some((parent, position)) = known.take_parent() else {
        return;
    };
    let Cached::Here(parent) = dir.super_block().cached_inode(parent.into()) else {
        return;
    };

    parent.data().index.descent.count();
    if parent.data().index.is_being_cleared() {
        known.expect_to_be_cleared();
    }
    parent.try_with_directory(|parent| read_next(parent, position));
}

/// Reads directories ahead, of which one that was found at `position` is being listed.
fn read_next(parent: Dir<'_>, position: u32) {
    let known = &parent.data().index;

    if let Some(ahead) = known.descent.ahead() {
        let begun = plugged(|| ahead::take(parent, ahead, &mut |entry| begin(parent, entry)));
        let (count, to) = begun.unwrap_or((0, ahead.end));
        known.descent.has_read(count, to);
    }
    if known.is_being_cleared() {
        prepare_next(parent, position);
    }
}

/// Reads ahead what is needed to remove all of the directory that follows `position`, if it has
/// been read.
fn prepare_next(parent: Dir<'_>, position: u32) {
    let next = Ahead {
        from: position.saturating_add(1),
        end: u32::MAX,
        names: 1,
    };
    // What follows may be behind what is in memory.
    let _ = ahead::take(parent, next, &mut |entry| {
        if !is_subdirectory(entry) {
            return Taken::No;
        }
        let cached = parent.super_block().cached_inode(entry.inode.into());
        if let Cached::Here(child) = cached {
            child.try_with_directory(ahead::prepare_removal);
        }
        Taken::Yes
    });
}

/// Whether an entry is of a directory in this one, as far as it says so.
fn is_subdirectory(entry: &DirEntry<'_>) -> bool {
    entry.file_type == Some(FileType::Directory) && !matches!(entry.name, b"." | b"..")
}

/// Begins to read a directory, if the entry is of one. Who comes to what is wrong says so.
fn begin(parent: Dir<'_>, entry: &DirEntry<'_>) -> Taken {
    let sb = parent.super_block();

    if !is_subdirectory(entry) {
        return Taken::No;
    }
    match inode::is_directory_in_memory(sb, entry.inode) {
        // A part of the inode table that cannot be read is asked for once.
        None if parent.data().index.descent_tries(entry.inode) => {
            inode::preread(sb, entry.inode);
            Taken::Later
        }
        Some(true) => {
            if let Some(child) = child(parent, entry.inode) {
                child.try_with_directory(|child| child.read_ahead(0..pages_without_arrays(child)));
            }
            Taken::Yes
        }
        None | Some(false) => Taken::No,
    }
}

/// A directory, if nobody reads or evicts its inode now.
fn child<'d>(parent: Dir<'d>, ino: u32) -> Option<InodeRef<'d, Ext2>> {
    let sb = parent.inode().super_block();

    match sb.cached_inode(ino.into()) {
        Cached::Here(child) => Some(child),
        Cached::Busy => None,
        Cached::Absent => inode::get(sb, ino).ok(),
    }
}

/// As many pages from the first on as can be read without an array of pointers, and without finding
/// any that makes no sense.
fn pages_without_arrays(dir: Dir<'_>) -> u64 {
    let geometry = &dir.super_block().data().geometry;
    let direct = DIRECT_BLOCKS as u64 * u64::from(geometry.block_size().bytes());
    let pointers = dir.data().pointers();
    let mut pointers = pointers.iter().take(DIRECT_BLOCKS);

    if !pointers.all(|&block| block == 0 || geometry.check_data_blocks(block, 1).is_ok()) {
        return 0;
    }
    match dir.size() <= direct {
        true => dir.pages(),
        false => direct / PAGE_SIZE as u64,
    }
}
