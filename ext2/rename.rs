// SPDX-License-Identifier: GPL-2.0

//! Renaming files and directories.
//!
//! Three entries change: the new name refers to the file, the old one goes, and if a directory moves
//! to another, its `..` refers to that. If one of them cannot be changed, those before are taken
//! back; links are counted when all are done. C leaves what it has done.
//!
//! Locks: `i_rwsem` of both parents exclusively, and of whatever else [`Rename`] says, held by the
//! VFS, which has also made sure that no directory becomes its own ancestor.
//!
//! Left out: exchanging two names, and leaving a whiteout, as in C: the wrapper refuses them.

#![deny(unsafe_code)]

use crate::{
    dir_edit::Target,
    dir_write::{
        self,
        entry_of,
        target_of,
        Change,
        DirMut, //
    },
    dirent::FileType,
    super_block::Ext2, //
};
use kernel::prelude::*;
use rust_mpage_core::abstractions::fs::{
    Rename,
    RenameDirectories,
    RenameSource,
    RenameTarget, //
};

type Request<'a> = Rename<'a, Ext2>;

/// C: `ext2_rename()`.
pub(crate) fn rename(mut request: Request<'_>) -> Result {
    change_entries(&mut request)?;
    count_links(&mut request);
    Ok(())
}

fn change_entries(request: &mut Request<'_>) -> Result {
    let source = request.source.inode();
    let old_dir = old_of(&mut request.directories);
    let old = entry_of(old_dir.as_locked(), request.old_name, source)?;
    let parent = match &request.source {
        RenameSource::Reparented(dir) => Some(dir_write::parent_entry(dir.as_locked())?),
        RenameSource::File(_) | RenameSource::Directory(_) => None,
    };
    if let Some(RenameTarget::Directory(victim)) = &request.target {
        if !dir_write::is_empty(victim.as_locked())? {
            return Err(ENOTEMPTY);
        }
    }

    let placed = place(request)?;
    let source = request.source.inode();
    source.set_ctime_now();
    source.mark_dirty();

    let removed = match dir_write::remove(old_of(&mut request.directories), old) {
        Ok(change) => change,
        Err(error) => {
            placed.take_back(new_of(&mut request.directories));
            return Err(error);
        }
    };
    let parent_number = u32::try_from(new_of(&mut request.directories).number());
    if let (RenameSource::Reparented(dir), Some(parent)) = (&mut request.source, parent) {
        let result = parent_number.map_err(|_| EINVAL).and_then(|inode| {
            let file_type = FileType::Directory;
            dir_write::set_parent(dir, parent, Target { inode, file_type })
        });
        match result {
            Ok(change) => change.keep(),
            Err(error) => {
                removed.take_back(old_of(&mut request.directories));
                placed.take_back(new_of(&mut request.directories));
                return Err(error);
            }
        }
    }
    removed.keep();
    placed.keep();
    Ok(())
}

/// Makes the new name refer to the file.
fn place<'a>(request: &mut Request<'a>) -> Result<Change<'a>> {
    let name = request.new_name;
    let source = target_of(request.source.inode())?;
    let dir = new_of(&mut request.directories);

    match &request.target {
        Some(target) => {
            let place = entry_of(dir.as_locked(), name, target.inode())?;
            dir_write::replace(dir, place, source)
        }
        None => dir_write::add(dir, name, source),
    }
}

/// Counts the links that the changed entries are.
fn count_links(request: &mut Request<'_>) {
    if let Some(target) = &request.target {
        let inode = target.inode();
        inode.set_ctime_now();
        inode.drop_nlink();
        if let RenameTarget::Directory(_) = target {
            // Its own entry; nobody looks it up any more.
            inode.drop_nlink();
        }
        inode.mark_dirty();
    }
    if let RenameSource::File(_) = request.source {
        return;
    }
    // The link of `..` is that of another directory now, or of a removed one.
    if request.target.is_none() {
        let dir = new_of(&mut request.directories);
        dir.inc_nlink();
        dir.mark_dirty();
    }
    let dir = old_of(&mut request.directories);
    dir.drop_nlink();
    dir.mark_dirty();
}

fn old_of<'r, 'a>(directories: &'r mut RenameDirectories<'a, Ext2>) -> &'r mut DirMut<'a> {
    match directories {
        RenameDirectories::Same(dir) | RenameDirectories::Different { old: dir, .. } => dir,
    }
}

fn new_of<'r, 'a>(directories: &'r mut RenameDirectories<'a, Ext2>) -> &'r mut DirMut<'a> {
    match directories {
        RenameDirectories::Same(dir) | RenameDirectories::Different { new: dir, .. } => dir,
    }
}
