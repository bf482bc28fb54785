// SPDX-License-Identifier: GPL-2.0

//! Renaming files and directories.
//!
//! Three entries change: the new name refers to the file, the old one goes, and if a directory
//! moves to another, its `..` refers to that. If one of them cannot be changed, those before are
//! taken back. Links that come are counted before, and those that go when all is done. C leaves
//! what it has done.
//!
//! A crash leaves the old name or the new one. It can leave both if they are in different blocks,
//! as no two blocks are written at once: the one with the old name is written later than the other,
//! see [`moved`](crate::order::moved). A directory that moves has both names on the medium when
//! its `..` changes there, and loses the old one there before the new one can go: with one name
//! only, it never has the `..` of the other.
//!
//! Locks: `i_rwsem` of both parents exclusively, and of whatever else [`Rename`] says, held by the
//! VFS, which has also made sure that no directory becomes its own ancestor.
//!
//! Left out: exchanging two names, and leaving a whiteout, as in C: the wrapper refuses them.
//!
//! Steps are not inlined: what each has on the stack would be there while others wait for the
//! device.

#![deny(unsafe_code)]

use super::{
    addition::plan_addition,
    edit::Target,
    find::Place,
    links::{
        self,
        Checked,
        Subdirectory, //
    },
    rename_changes::{
        bring_back,
        new_of,
        old_of,
        waits_for_new_name,
        Changes,
        OldName,
        Removed,
        Request, //
    },
    write::{
        self,
        entry_of,
        target_of,
        Change,
        DirMut,
        Empty,
        Plan, //
    },
};
use crate::{
    disk::dirent::FileType,
    inode::{
        self,
        KeptLinks, //
    }, //
};
use kernel::{
    page::PAGE_SHIFT,
    prelude::*, //
};
use rust_mpage::fs::{
    RenameDirectories,
    RenameSource,
    RenameTarget, //
};

/// C: `ext2_rename()`.
pub(crate) fn rename(mut request: Request<'_>) -> Result {
    let links = check_links(&mut request)?;
    let mut kept = Kept::new(&mut request, &links)?;
    if request.target.is_some() {
        inode::replaces_by_name(request.source.inode());
    }
    let comes = links.comes.is_some();

    let source = request.source.inode();
    source.super_block().data().order.removals.bound(source);
    // Before a `..` is this link.
    if let Some(comes) = links.comes {
        links::count(new_of(&mut request.directories), comes);
    }
    match change_entries(&mut request, &mut kept) {
        Ok(old_name) => {
            count_links(&mut request, links.empty, links.goes);
            kept.settle(&mut request, old_name);
            Ok(())
        }
        Err(error) => {
            kept.settle_failure(&mut request);
            note_again(&mut request);
            if comes {
                links::uncount(new_of(&mut request.directories));
            }
            Err(error)
        }
    }
}

/// All has been taken back: names are there again that may be gone from the disk.
fn note_again(request: &mut Request<'_>) {
    let old_dir = old_of(&mut request.directories).number() as u32;
    request.source.inode().data().note_new_name(old_dir);
    if let Some(target) = &request.target {
        let new_dir = new_of(&mut request.directories).number() as u32;
        target.inode().data().note_new_name(new_dir);
    }
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
#[inline(never)]
fn check_links(request: &mut Request<'_>) -> Result<Links> {
    let empty = match &request.target {
        Some(RenameTarget::Directory(victim)) => {
            let empty = write::check_empty(victim.as_locked())?;
            inode::settle_moved(victim)?;
            Some(empty)
        }
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

/// Links of names that the disk may have though they are gone, or may have got though they are not
/// there.
struct Kept<'a> {
    /// Of what is renamed.
    source: KeptLinks<'a>,
    /// Of what is replaced.
    target: Option<KeptLinks<'a>>,
    /// Of the directory that has one subdirectory less.
    old_parent: Option<KeptLinks<'a>>,
    /// Of the directory that a directory moves to.
    new_parent: Option<KeptLinks<'a>>,
}

impl<'a> Kept<'a> {
    #[inline(never)]
    fn new(request: &mut Request<'a>, links: &Links) -> Result<Self> {
        let moves = matches!(request.source, RenameSource::Reparented(_));
        let target = request.target.as_ref().map(RenameTarget::inode);

        Ok(Self {
            source: KeptLinks::none(request.source.inode())?,
            target: target
                .map(|target| KeptLinks::new(target, links::of_last_name(target)))
                .transpose()?,
            old_parent: match links.goes {
                Some(_) => Some(of_parent(old_of(&mut request.directories))?),
                None => None,
            },
            new_parent: match (moves, target) {
                (true, Some(_)) => Some(of_parent(new_of(&mut request.directories))?),
                // The `..` of the new one, if that fails.
                (true, None) => Some(KeptLinks::none(new_of(&mut request.directories).inode())?),
                (false, _) => None,
            },
        })
    }

    /// All is done, and the links that go are counted.
    fn settle(self, request: &mut Request<'_>, old_name: OldName) {
        match old_name {
            OldName::NeverOnDisk => drop(self.source),
            OldName::MaybeOnDisk => self.source.until_written(old_of(&mut request.directories)),
        }
        if let Some(target) = self.target {
            target.settle(new_of(&mut request.directories));
        }
        match (self.old_parent, &request.source, &request.target) {
            (Some(parent), RenameSource::Reparented(dir), _) => parent.until_written(dir),
            // One that is replaced had the link.
            (Some(parent), _, Some(target)) => parent.until_gone(target.inode()),
            (_, _, _) => (),
        }
        if let (Some(parent), Some(target)) = (self.new_parent, &request.target) {
            parent.until_gone(target.inode());
        }
    }

    /// All has been taken back.
    fn settle_failure(self, request: &mut Request<'_>) {
        self.source.until_written(new_of(&mut request.directories));
        if let Some(mut parent) = self.new_parent {
            parent.keep(1);
            parent.until_written(request.source.inode());
        }
    }
}

fn of_parent<'a>(parent: &mut DirMut<'a>) -> Result<KeptLinks<'a>> {
    KeptLinks::of_parent(parent.inode(), 1)
}

fn change_entries(request: &mut Request<'_>, kept: &mut Kept<'_>) -> Result<OldName> {
    let source = request.source.inode();
    let old_dir = old_of(&mut request.directories);
    let old = entry_of(old_dir.as_locked(), request.old_name, source)?;
    let parent = match &request.source {
        RenameSource::Reparented(dir) => Some(write::parent_entry(dir.as_locked())?),
        RenameSource::File(_) | RenameSource::Directory(_) => None,
    };

    let changes = move_name(request, old, parent, kept)?;
    // What is replaced loses its contents now.
    if let Err(error) = bring_replacement(request) {
        changes.take_back(request);
        return Err(error);
    }
    let number = new_of(&mut request.directories).number() as u32;
    request.source.inode().data().note_new_name(number);
    Ok(changes.keep())
}

/// Whether something on the disk is replaced that has no other name.
fn deletes(request: &Request<'_>) -> bool {
    request.target.as_ref().is_some_and(|target| {
        let target = target.inode();
        target.nlink() <= links::of_last_name(target) && target.data().is_on_disk()
    })
}

/// If something on the disk is replaced that has no other name, brings the new name to the medium:
/// a crash leaves the old contents or the new ones.
fn bring_replacement(request: &mut Request<'_>) -> Result {
    match deletes(request) {
        true => write::bring_to_medium(new_of(&mut request.directories)),
        false => Ok(()),
    }
}

/// Makes the new name refer to the file, and removes the old one. On the disk there is never none:
/// if both are in one block that is written at once; else, if the disk may have the old name, the
/// new one is brought there before. Of a directory that moves, both names are brought there, the
/// old one first, and then the `..` at `parent`.
#[inline(never)]
fn move_name<'a>(
    request: &mut Request<'a>,
    old: Place,
    parent: Option<Place>,
    kept: &mut Kept<'_>,
) -> Result<Changes<'a>> {
    let plan = plan_new_name(request)?;
    let source = request.source.inode();
    source.set_ctime_now();
    source.mark_dirty();

    if let RenameDirectories::Same(dir) = &mut request.directories {
        if plan.is_in_block_of(dir, old) {
            return Ok(Changes {
                placed: plan.commit_with_removal(dir, old)?,
                removed: None,
            });
        }
    }
    if parent.is_some() && source.data().new_names().is_some() {
        // There is no other time at which its `..` can change on the medium than while both names
        // are there. That the disk has its image says nothing of the old one.
        write::bring_to_medium(old_of(&mut request.directories))?;
    }
    // The disk may have both.
    kept.source.keep(1);
    let placed = plan.commit(new_of(&mut request.directories))?;
    match remove_old_name(request, old, placed.page(), parent) {
        Ok(removed) => Ok(Changes {
            placed,
            removed: Some(removed),
        }),
        Err(error) => {
            placed.take_back(new_of(&mut request.directories));
            Err(error)
        }
    }
}

/// Removes the old name. If the disk may have it, it goes from there only after the new one is
/// there. Of a directory that moves, the new one and `..` are brought to the medium before, and the
/// removal, too.
#[inline(never)]
fn remove_old_name(
    request: &mut Request<'_>,
    old: Place,
    new_page: u64,
    parent: Option<Place>,
) -> Result<Removed> {
    let source = request.source.inode();
    let old_dir = old_of(&mut request.directories);
    if parent.is_none() {
        if let Some(name) = write::remove_unless_on_disk(old_dir, old, source)? {
            return Ok(Removed {
                name,
                parent: None,
                old_name: OldName::NeverOnDisk,
            });
        }
    }
    let old_page = old.position >> PAGE_SHIFT;
    if parent.is_some() || deletes(request) || !waits_for_new_name(request, old_page, new_page)? {
        write::bring_to_medium(new_of(&mut request.directories))?;
    }
    let parent = change_parent(request, parent)?;
    let moves = parent.is_some();
    let removed = match write::remove(old_of(&mut request.directories), old) {
        Ok(name) => Removed {
            name,
            parent,
            old_name: OldName::MaybeOnDisk,
        },
        Err(error) => {
            bring_back(request, parent, old_page, new_page);
            return Err(error);
        }
    };
    // The new name can go any time from now on, and must not leave the old one with this `..`.
    match moves.then(|| write::bring_to_medium(old_of(&mut request.directories))) {
        Some(Err(error)) => {
            removed.take_back(request, new_page);
            Err(error)
        }
        Some(Ok(())) | None => Ok(removed),
    }
}

/// Makes the `..` of a directory that moves refer to its new parent, on the medium, too.
///
/// C changes it after the old name is gone, and orders nothing: a crash may leave one name and the
/// `..` of the other, which e2fsck asks about.
#[inline(never)]
fn change_parent(
    request: &mut Request<'_>,
    parent: Option<Place>,
) -> Result<Option<Change<'static>>> {
    let number = u32::try_from(new_of(&mut request.directories).number());
    let (RenameSource::Reparented(dir), Some(parent)) = (&mut request.source, parent) else {
        return Ok(None);
    };
    let target = Target {
        inode: number.map_err(|_| EINVAL)?,
        file_type: FileType::Directory,
    };
    let changed = write::set_parent(dir, parent, target);
    let result = changed.and_then(|change| match write::bring_to_medium(dir) {
        Ok(()) => Ok(Some(change)),
        Err(error) => {
            change.take_back(dir);
            Err(error)
        }
    });
    if result.is_err() {
        // The medium may have what has been taken back. As in `take_parent_back`.
        let _ = write::bring_to_medium(dir);
    }
    result
}

/// Plans that the new name refers to the file.
#[inline(never)]
fn plan_new_name<'a>(request: &mut Request<'a>) -> Result<Plan<'a>> {
    let name = request.new_name;
    let source = target_of(request.source.inode())?;
    let dir = new_of(&mut request.directories);

    match &request.target {
        Some(target) => {
            let place = entry_of(dir.as_locked(), name, target.inode())?;
            write::plan_replacement(dir, place, source)
        }
        None => plan_addition(dir, name, source),
    }
}

/// Counts the links that are gone with the changed entries.
#[inline(never)]
fn count_links(request: &mut Request<'_>, empty: Option<Empty>, goes: Option<Checked>) {
    if let Some(target) = &request.target {
        let inode = target.held();
        inode.set_ctime_now();
        match empty {
            Some(empty) => links::directory_lost_name(inode, empty),
            None => links::file_lost_name(inode),
        }
    }
    // The link of `..` is that of another directory now, or of a removed one.
    if let Some(goes) = goes {
        links::count(old_of(&mut request.directories), goes);
    }
}
