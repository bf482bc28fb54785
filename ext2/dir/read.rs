// SPDX-License-Identifier: GPL-2.0

//! Directories: what the VFS asks of them for reading.
//!
//! Directories are read page by page through the page cache. Every walk over a page checks the
//! entries that it passes, see [`dirent`](crate::disk::dirent).
//!
//! Locks: the directory's `i_rwsem`, by
//! [`LockedDirectory`](rust_mpage::fs::LockedDirectory).
//!
//! Left out: changing directories, which is [`write`](crate::dir::write); hashed directories are
//! read as linear ones, which they are, too.

#![deny(unsafe_code)]

use super::{
    ahead,
    descent, //
    find::find,
    links,
    pages::{
        bad_entry,
        format,
        page_of_walk,
        Dir, //
    },
};
use crate::{
    disk::{
        dirent::{
            Entries,
            FileType, //
        },
        NAME_LEN, //
    },
    inode::{
        self,
        Directory, //
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
    prelude::*, //
};
use rust_mpage::fs::{
    DirectoryOperations,
    DirectoryPage,
    DirectoryReader,
    EntryType,
    InodeRef, //
};

impl DirectoryOperations for Directory {
    fn lookup<'d>(dir: Dir<'d>, name: &[u8]) -> Result<Option<InodeRef<'d, Ext2>>> {
        if name.len() > NAME_LEN {
            return Err(ENAMETOOLONG);
        }
        let Some(place) = find(dir, name)? else {
            return Ok(None);
        };
        let ino = place.inode;
        ahead::note_looked_up(dir, place);
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
                if inode.is_directory() {
                    descent::note_found(dir, place, &inode);
                }
                Ok(Some(inode))
            }
            Err(error) => Err(error),
        }
    }

    fn iterate(dir: Dir<'_>, reader: &mut DirectoryReader<'_>) -> Result {
        let from = reader.position();
        let result = emit_pages(dir, reader);

        if reader.has_emitted() {
            dir.data().index.listed(from, reader.position());
            if from == 0 {
                descent::note_listed(dir);
            }
        }
        result
    }
}

/// Hands out the entries from the reader's position on.
fn emit_pages(dir: Dir<'_>, reader: &mut DirectoryReader<'_>) -> Result {
    loop {
        let position = reader.position();
        if position >= dir.size() {
            return Ok(());
        }

        let index = position >> PAGE_SHIFT;
        let start = index << PAGE_SHIFT;
        let end = dir.size().min(start + PAGE_SIZE as u64);
        let from = (position - start) as u32;
        let result =
            page_of_walk(dir, index).and_then(|page| emit_page(dir, reader, &page, start, from));
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
