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
        DirMut,
        Empty, //
    },
    dirent::FileType,
    links::{
        self,
        Checked,
        Subdirectory, //
    },
    super_block::Ext2, //
};
use kernel::prelude::*;
use rust_mpage::fs::{
    Rename,
    RenameDirectories,
    RenameSource,
    RenameTarget, //
};

type Request<'a> = Rename<'a, Ext2>;

/// C: `ext2_rename()`.
pub(crate) fn rename(mut request: Request<'_>) -> Result {
    let links = check_links(&mut request)?;
    change_entries(&mut request)?;
    count_links(&mut request, links);
    Ok(())
}

/// What becomes of counts of links.
struct Links {
    /// The target has no names in it.
    empty: Option<Empty>,
    /// The old directory has one subdirectory less.
    goes: Option<Checked>,
    /// The new directory has one more.
    comes: Option<Checked>,
}

/// Checks that counts of links can become what they have to, and that a directory that is replaced
/// is empty.
fn check_links(request: &mut Request<'_>) -> Result<Links> {
    let empty = match &request.target {
        Some(RenameTarget::Directory(victim)) => Some(dir_write::check_empty(victim.as_locked())?),
        Some(RenameTarget::File(_)) | None => None,
    };
    let mut links = Links {
        empty,
        goes: None,
        comes: None,
    };
    links::check_file(request.source.inode())?;
    if !request.source.is_directory() {
        return Ok(links);
    }
    let moves = matches!(request.directories, RenameDirectories::Different { .. });
    if moves || request.target.is_some() {
        let old_dir = old_of(&mut request.directories);
        links.goes = Some(links::check(old_dir, Subdirectory::Goes)?);
    }
    if moves && request.target.is_none() {
        let new_dir = new_of(&mut request.directories);
        links.comes = Some(links::check(new_dir, Subdirectory::Comes)?);
    }
    Ok(links)
}

fn change_entries(request: &mut Request<'_>) -> Result {
    let source = request.source.inode();
    let old_dir = old_of(&mut request.directories);
    let old = entry_of(old_dir.as_locked(), request.old_name, source)?;
    let parent = match &request.source {
        RenameSource::Reparented(dir) => Some(dir_write::parent_entry(dir.as_locked())?),
        RenameSource::File(_) | RenameSource::Directory(_) => None,
    };

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
fn count_links(request: &mut Request<'_>, links: Links) {
    if let Some(target) = &request.target {
        let inode = target.inode();
        inode.set_ctime_now();
        match links.empty {
            Some(empty) => links::directory_lost_name(inode, empty),
            None => links::file_lost_name(inode),
        }
    }
    // The link of `..` is that of another directory now, or of a removed one.
    if let Some(comes) = links.comes {
        links::count(new_of(&mut request.directories), comes);
    }
    if let Some(goes) = links.goes {
        links::count(old_of(&mut request.directories), goes);
    }
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
