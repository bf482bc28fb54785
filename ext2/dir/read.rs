// SPDX-License-Identifier: GPL-2.0

//! Directories: looking up names, reading entries.
//!
//! Directories are read page by page through the page cache. Every walk over a page checks the
//! entries that it passes, see [`dirent`](crate::disk::dirent).
//!
//! Locks: the directory's `i_rwsem`, by [`LockedDirectory`].
//!
//! Left out: changing directories, which is [`write`](crate::dir::write); hashed directories are
//! read as linear ones, which they are, too.

#![deny(unsafe_code)]

use super::links;
use crate::{
    disk::{
        dirent::{
            self,
            DirError,
            DirFormat,
            Entries,
            FileType, //
        },
        NAME_LEN, //
    },
    inode::{
        self,
        Directory,
        Ext2Inode, //
    },
    mount::{
        report,
        Ext2, //
    },
};
use core::ops::ControlFlow;
use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::atomic::Relaxed, //
};
use rust_mpage::fs::{
    DirectoryOperations,
    DirectoryPage,
    DirectoryReader,
    EntryType,
    InodeRef,
    LockedDirectory, //
};

/// A directory whose contents do not change.
pub(crate) type Dir<'a> = LockedDirectory<'a, Ext2>;

impl DirectoryOperations for Directory {
    fn lookup<'d>(dir: Dir<'d>, name: &[u8]) -> Result<Option<InodeRef<'d, Ext2>>> {
        if name.len() > NAME_LEN {
            return Err(ENAMETOOLONG);
        }
        let Some(Place { inode: ino, .. }) = find(dir, name)? else {
            return Ok(None);
        };
        match inode::get(dir.inode().super_block(), ino) {
            Err(error) if error == ESTALE => {
                report::corrupt(
                    dir.super_block(),
                    fmt!(
                        "directory {}: entry for the deleted inode {ino}",
                        dir.number()
                    ),
                );
                Err(EUCLEAN)
            }
            Ok(inode) => {
                // One that was deleted is in memory as long as somebody has it open.
                links::check_file(&inode)?;
                Ok(Some(inode))
            }
            Err(error) => Err(error),
        }
    }

    fn iterate(dir: Dir<'_>, reader: &mut DirectoryReader<'_>) -> Result {
        loop {
            let position = reader.position();
            if position >= dir.size() {
                return Ok(());
            }

            let index = position >> PAGE_SHIFT;
            let start = index << PAGE_SHIFT;
            let end = dir.size().min(start + PAGE_SIZE as u64);
            let from = (position - start) as u32;
            let result = dir
                .page(index)
                .and_then(|page| emit_page(dir, reader, &page, start, from));
            match result {
                Ok(ControlFlow::Continue(())) => reader.set_position(end),
                Ok(ControlFlow::Break(())) => return Ok(()),
                // An error would be lost behind what has been handed out. The next call starts at
                // what is wrong, and has nothing to hand out first.
                Err(_) if reader.has_emitted() => return Ok(()),
                Err(error) => {
                    report::corrupt(
                        dir.super_block(),
                        fmt!("directory {}: cannot be read at byte {start}", dir.number()),
                    );
                    // Who tries again gets on, to what follows.
                    reader.set_position(end);
                    return Err(error);
                }
            }
        }
    }
}

/// Hands out the entries of the page at byte `start`, from byte `from` of the page on. `Break` if
/// the reader has no more room. The position is left at an entry that is wrong.
fn emit_page(
    dir: Dir<'_>,
    reader: &mut DirectoryReader<'_>,
    page: &DirectoryPage<'_>,
    start: u64,
    from: u32,
) -> Result<ControlFlow<()>> {
    for entry in Entries::starting_at(format(dir.inode()), page, from) {
        let entry = entry.map_err(|error| {
            reader.set_position(start + u64::from(error.offset));
            bad_entry(dir, error, start)
        })?;

        // Where an entry begins now, should `from` be something else.
        reader.set_position(start + u64::from(entry.offset));
        if entry.in_use() {
            let entry_type = EntryType::from_stored(entry.file_type.map_or(0, FileType::to_entry));
            if reader
                .emit(entry.name, entry.inode.into(), entry_type)
                .is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// An entry that has been found.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Where it starts, in bytes from the start of the directory.
    pub(crate) position: u64,
    /// Its inode.
    pub(crate) inode: u32,
}

/// Finds the entry `name`. C: `ext2_find_entry()`.
pub(crate) fn find(dir: Dir<'_>, name: &[u8]) -> Result<Option<Place>> {
    let pages = dir.pages();
    // Pages are of 4 KiB or more, and the size of a directory has 32 bits.
    let hint = u64::from(dir.data().lookup_hint.load(Relaxed));
    let first = if hint < pages { hint } else { 0 };

    for index in Iterator::chain(first..pages, 0..first) {
        // A directory has no holes. Do not walk over gigabytes because a size is wrong.
        if index << PAGE_SHIFT > dir.blocks() << SECTOR_SHIFT {
            report::corrupt(
                dir.super_block(),
                fmt!(
                    "directory {}: size {} with {} blocks of 512 bytes",
                    dir.number(),
                    dir.size(),
                    dir.blocks()
                ),
            );
            return Err(EUCLEAN);
        }

        let start = index << PAGE_SHIFT;
        let page = dir.page(index)?;
        let found = dirent::find(format(dir.inode()), &page, name)
            .map_err(|error| bad_entry(dir, error, start))?;
        if let Some(entry) = found {
            dir.data().lookup_hint.store(index as u32, Relaxed);
            return Ok(Some(Place {
                position: start + u64::from(entry.offset),
                inode: entry.inode,
            }));
        }
    }
    Ok(None)
}

/// Base-2 logarithm of the unit in bytes of an inode's block count.
const SECTOR_SHIFT: u32 = 9;

/// What the filesystem's directories look like.
pub(crate) fn format(inode: &Ext2Inode) -> DirFormat {
    let geometry = &inode.super_block().data().geometry;
    DirFormat {
        block_size: geometry.block_size(),
        inodes_count: geometry.inodes_count(),
        filetype: geometry.has_filetype(),
    }
}

/// Reports that the page at byte `start` is corrupt.
pub(crate) fn bad_entry(dir: Dir<'_>, error: DirError, start: u64) -> Error {
    report::corrupt(
        dir.super_block(),
        fmt!("directory {}: {}", dir.number(), error.at(start)),
    );
    error.errno()
}
