// SPDX-License-Identifier: GPL-2.0

//! What a rename changes of two directories, and what takes that back.
//!
//! A rename that has failed leaves what was there, on the medium, too: the new name goes from there
//! only after the old one is there again, also if that cannot be now, unless both are in one page.
//! The `..` of a directory may be that of either name then, until all has been written.
//!
//! C counterpart: none. C leaves what it has done.
//!
//! Locks: as in [`rename`](super::rename).

#![deny(unsafe_code)]

use super::write::{
    self,
    Change,
    DirMut, //
};
use crate::{
    inode,
    mount::{
        report,
        Ext2, //
    },
};
use kernel::prelude::*;
use rust_mpage::fs::{
    Rename,
    RenameDirectories,
    RenameSource, //
};

pub(super) type Request<'a> = Rename<'a, Ext2>;

/// The old name, when it was removed.
#[derive(Clone, Copy)]
pub(super) enum OldName {
    NeverOnDisk,
    MaybeOnDisk,
}

/// What was done to the two names.
pub(super) struct Changes<'n> {
    pub(super) placed: Change<'n>,
    /// `None` if that was one change with the other.
    pub(super) removed: Option<Removed>,
}

/// The old name is gone.
pub(super) struct Removed {
    pub(super) name: Change<'static>,
    /// That of `..`, of a directory that moves.
    pub(super) parent: Option<Change<'static>>,
    pub(super) old_name: OldName,
}

impl Changes<'_> {
    /// Leaves it at that.
    pub(super) fn keep(self) -> OldName {
        self.placed.keep();
        let Some(removed) = self.removed else {
            return OldName::NeverOnDisk;
        };
        removed.name.keep();
        if let Some(parent) = removed.parent {
            parent.keep();
        }
        removed.old_name
    }

    pub(super) fn take_back(self, request: &mut Request<'_>) {
        if let Some(removed) = self.removed {
            removed.take_back(request, self.placed.page());
        }
        self.placed.take_back(new_of(&mut request.directories));
    }
}

impl Removed {
    /// Before the new name, in page `new_page`, is taken back.
    pub(super) fn take_back(self, request: &mut Request<'_>, new_page: u64) {
        let old_page = self.name.page();

        self.name.take_back(old_of(&mut request.directories));
        if matches!(self.old_name, OldName::MaybeOnDisk) {
            bring_back(request, self.parent, old_page, new_page);
        }
    }
}

/// Brings the old name, which is in its directory again and may have gone from the medium, there
/// before the new one goes. Whether it is there; else the page of the new name waits for that of
/// the old one.
fn bring_old_name_back(request: &mut Request<'_>, old_page: u64, new_page: u64) -> bool {
    let old = old_of(&mut request.directories);
    if inode::is_page_kept_back(old, old_page) || write::bring_to_medium(old).is_ok() {
        return true;
    }
    let waits = match &request.directories {
        RenameDirectories::Same(dir) => inode::page_waits_for_old(dir, new_page, dir, old_page),
        RenameDirectories::Different { old, new } => {
            inode::page_waits_for_old(new, new_page, old, old_page)
        }
    };
    if !matches!(waits, Ok(true)) {
        let source = request.source.inode();
        report::corrupt(
            source.super_block(),
            fmt!(
                "inode {}: a crash may leave it without a name",
                source.number()
            ),
        );
    }
    false
}

/// Takes a change of `..` back, on the medium, too, before the new name goes from there. If the old
/// name `is_back` not, it is not before that is.
fn take_parent_back(
    request: &mut Request<'_>,
    change: Option<Change<'static>>,
    is_back: bool,
    old_page: u64,
) {
    let old = match &request.directories {
        RenameDirectories::Same(dir) | RenameDirectories::Different { old: dir, .. } => dir,
    };
    if let (RenameSource::Reparented(dir), Some(change)) = (&mut request.source, change) {
        let waits = !is_back
            && matches!(
                inode::page_waits_for_old(dir, change.page(), old, old_page),
                Ok(true)
            );
        change.take_back(dir);
        if !waits {
            // That the device fails is in the log, and what was asked for has failed, too.
            let _ = write::bring_to_medium(dir);
        }
    }
}

/// What is left to do when the old name is in its directory again.
#[inline(never)]
pub(super) fn bring_back(
    request: &mut Request<'_>,
    parent: Option<Change<'static>>,
    old_page: u64,
    new_page: u64,
) {
    let is_back = bring_old_name_back(request, old_page, new_page);
    take_parent_back(request, parent, is_back, old_page);
}

/// Has the page of the old name wait for that of the new one, unless nothing can wait for it now.
/// Whether it does.
pub(super) fn waits_for_new_name(
    request: &Request<'_>,
    old_page: u64,
    new_page: u64,
) -> Result<bool> {
    match &request.directories {
        RenameDirectories::Same(dir) => inode::page_waits(dir, old_page, dir, new_page),
        RenameDirectories::Different { old, new } => {
            inode::page_waits(old, old_page, new, new_page)
        }
    }
}

pub(super) fn old_of<'r, 'a>(
    directories: &'r mut RenameDirectories<'a, Ext2>,
) -> &'r mut DirMut<'a> {
    match directories {
        RenameDirectories::Same(dir) | RenameDirectories::Different { old: dir, .. } => dir,
    }
}

pub(super) fn new_of<'r, 'a>(
    directories: &'r mut RenameDirectories<'a, Ext2>,
) -> &'r mut DirMut<'a> {
    match directories {
        RenameDirectories::Same(dir) | RenameDirectories::Different { new: dir, .. } => dir,
    }
}
