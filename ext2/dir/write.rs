// SPDX-License-Identifier: GPL-2.0

//! Directories: adding, removing and changing entries.
//!
//! Each change is planned by [`edit`](crate::dir::edit) on bytes that are checked, and made in the
//! page cache. With `dirsync` it is then written to the disk together with the directory's inode,
//! which is waited for; C does so in 7.3 whether that is asked for or not. Without, it is written
//! like data, in the order that [`order`](crate::order) keeps: so a name that is gone from a
//! directory does not come back after a crash to find another file in its inode.
//!
//! A change whose write-out fails is taken back, so that a directory in memory is as its caller is
//! told. C leaves it there: a failed `create()` has a name, of an inode that is free.
//!
//! Locks: the directory's `i_rwsem`, exclusively, by [`ExclusiveDirectory`]; inside it the folio.

#![deny(unsafe_code)]

use super::{
    addition::plan_addition,
    edit::{
        self,
        Edit,
        Target, //
    },
    find::{
        find,
        Place, //
    },
    in_step::InStep,
    pages::{
        bad_entry,
        format,
        Dir, //
    },
};
use crate::{
    disk::{
        dirent::{
            DirError,
            DirFormat,
            FileType, //
        },
        inode_flags, //
    },
    inode::{
        self,
        first_block,
        Ext2Inode, //
    },
    mount::{
        report,
        Ext2, //
    },
};
use core::ops::Range;
use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::atomic::Release,
};
use rust_mpage::fs::{
    ExclusiveDirectory,
    HeldInode,
    Wait, //
};

/// A directory that may be changed.
pub(crate) type DirMut<'a> = ExclusiveDirectory<'a, Ext2>;

/// A change that was made, and what takes it back.
#[must_use]
pub(crate) struct Change<'n> {
    /// Where the page starts, in bytes from the start of the directory.
    page: u64,
    inverse: Edit<'n>,
    /// What is to be taken back before.
    before: Option<Edit<'n>>,
}

impl Change<'_> {
    /// Which page of the directory was changed.
    pub(crate) fn page(&self) -> u64 {
        self.page >> PAGE_SHIFT
    }

    /// Leaves it at that.
    pub(crate) fn keep(self) {}

    /// Makes the entries what they were before. The directory has been locked since, and later
    /// changes have been taken back.
    ///
    /// This is for when something has failed: that it fails, too, can only be reported.
    pub(crate) fn take_back(self, dir: &mut DirMut<'_>) {
        let result = match &self.before {
            Some(edit) => apply(dir, self.page, edit),
            None => Ok(()),
        }
        .and_then(|()| apply(dir, self.page, &self.inverse));
        note_changed(dir);
        if let Err(error) = result {
            report::corrupt(
                dir.super_block(),
                fmt!(
                    "directory {}: a change cannot be taken back: error {}",
                    dir.number(),
                    error.to_errno()
                ),
            );
        }
    }
}

/// Adds an entry, where there is none of this name. C: `ext2_add_link()`.
pub(crate) fn add<'n>(dir: &mut DirMut<'_>, name: &'n [u8], target: Target) -> Result<Change<'n>> {
    plan_addition(dir, name, target)?.commit(dir)
}

/// A change that can be made.
pub(crate) struct Plan<'n> {
    /// Where the page starts, in bytes from the start of the directory.
    page: u64,
    edit: Edit<'n>,
    /// What the entry will refer to, if it refers to something else than before.
    target: Option<Target>,
}

impl<'n> Plan<'n> {
    /// To add an entry to the page at byte `page`. The size of a directory has 32 bits on disk.
    pub(super) fn of_addition(page: u64, edit: Edit<'n>, target: Target) -> Result<Self> {
        if range_of(page, &edit).end > u32::MAX.into() {
            return Err(EFBIG);
        }
        let target = Some(target);
        Ok(Self { page, edit, target })
    }

    /// Makes the change, which changes the times, too.
    #[inline(never)]
    pub(crate) fn commit(self, dir: &mut DirMut<'_>) -> Result<Change<'n>> {
        self.commit_if(dir, || true)?.ok_or(EIO)
    }

    /// As [`commit`](Self::commit), if `wanted` says so with the page locked, and so not being
    /// written.
    fn commit_if(
        self,
        dir: &mut DirMut<'_>,
        wanted: impl FnOnce() -> bool,
    ) -> Result<Option<Change<'n>>> {
        let Some(change) = self.make(dir, wanted)? else {
            return Ok(None);
        };
        dir.held().set_mtime_and_ctime_now();
        finish(dir, change).map(Some)
    }

    /// Whether the change is of one block with the entry at `place`, so that both can be changed at
    /// once. C: none.
    pub(crate) fn is_in_block_of(&self, dir: &Ext2Inode, place: Place) -> bool {
        let bits = dir.super_block().block_bits();
        let changed = range_of(self.page, &self.edit);

        changed.end <= dir.size() && changed.start >> bits == place.position >> bits
    }

    /// Makes the change, and removes the entry at `place`, which is in the same block: on the disk
    /// there will be both or neither.
    #[inline(never)]
    pub(crate) fn commit_with_removal(
        self,
        dir: &mut DirMut<'_>,
        place: Place,
    ) -> Result<Change<'n>> {
        let format = format(dir);
        let end = dir.size().min(self.page + PAGE_SIZE as u64);
        let offset = place.position.saturating_sub(self.page) as u32;
        let mut removal = Err(EIO);

        self.note(dir)?;
        dir.data().room.changes(self.page);
        let mut step = InStep::new(dir.inode());
        let mut apply = |bytes: &mut [u8], edit: &Edit<'_>| {
            let range = edit.range();
            let bytes = bytes.get_mut(range.start as usize..range.end as usize)?;
            edit.apply(bytes)?;
            step.put_down(format, self.page, edit, bytes);
            Some(())
        };
        let result = dir.change(self.page..end, |bytes| {
            if apply(bytes, &self.edit).is_none() {
                return;
            }
            removal = match edit::remove(format, bytes, offset) {
                Ok(edit) => apply(bytes, &edit).ok_or(EIO).map(|()| edit),
                Err(_) => Err(EUCLEAN),
            };
            if removal.is_err() {
                let _ = apply(bytes, &self.edit.inverse());
            }
        });
        step.finish(result)?;
        dir.held().set_mtime_and_ctime_now();
        let change = Change {
            page: self.page,
            inverse: self.edit.inverse(),
            before: Some(removal?.inverse()),
        };
        finish(dir, change)
    }

    /// Makes the change in the page cache, if it is `wanted`.
    fn make(
        self,
        dir: &mut DirMut<'_>,
        wanted: impl FnOnce() -> bool,
    ) -> Result<Option<Change<'n>>> {
        self.note(dir)?;
        if !apply_if(dir, self.page, &self.edit, wanted)? {
            return Ok(None);
        }
        Ok(Some(Change {
            page: self.page,
            inverse: self.edit.inverse(),
            before: None,
        }))
    }

    /// Notes that the directory changes, and has its pages wait for what the entry will refer to,
    /// and, if that is a directory, for the link to the directory itself.
    fn note(&self, dir: &DirMut<'_>) -> Result {
        let sb = dir.super_block();
        sb.data().order.removals.note_change(dir)?;
        let Some(target) = self.target else {
            return Ok(());
        };
        let number = dir.number() as u32;
        let names = &sb.data().order.names;

        let mut batch = names.add(sb, number, target.inode)?;
        if target.file_type == FileType::Directory {
            batch = names.add(sb, number, number)?;
        }
        dir.data().names.store(batch, Release);
        Ok(())
    }
}

/// Brings a directory, and what leads to it, to the medium. What could be written is there even if
/// this fails.
pub(crate) fn bring_to_medium(dir: &DirMut<'_>) -> Result {
    let written = dir.write_all_pages();
    let synced = dir.sync(Wait::Yes);
    let named = inode::sync_names(dir);
    let flushed = dir.super_block().device().flush();

    written.and(synced).and(named).and(flushed)
}

/// Removes an entry. Its inode has [kept links](crate::order::kept_links::KeptLinks).
/// C: `ext2_delete_entry()`.
#[inline(never)]
pub(crate) fn remove(dir: &mut DirMut<'_>, place: Place) -> Result<Change<'static>> {
    plan_at(dir.as_locked(), place, None, edit::remove)?.commit(dir)
}

/// Removes an entry of `inode`, unless the disk may have it.
#[inline(never)]
pub(crate) fn remove_unless_on_disk(
    dir: &mut DirMut<'_>,
    place: Place,
    inode: &Ext2Inode,
) -> Result<Option<Change<'static>>> {
    let plan = plan_at(dir.as_locked(), place, None, edit::remove)?;
    // The page is not written while this is asked and the entry is removed, and the inode is on the
    // disk before.
    plan.commit_if(dir, || !inode.data().is_on_disk())
}

/// Plans that an entry refers to `target`. C: `ext2_set_link()`.
pub(crate) fn plan_replacement(
    dir: &DirMut<'_>,
    place: Place,
    target: Target,
) -> Result<Plan<'static>> {
    plan_at(
        dir.as_locked(),
        place,
        Some(target),
        |format, bytes, offset| edit::replace(format, bytes, offset, target),
    )
}

/// Makes `..` refer to `target`; the times stay as they are. C: `ext2_set_link()`.
pub(crate) fn set_parent(
    dir: &mut DirMut<'_>,
    place: Place,
    target: Target,
) -> Result<Change<'static>> {
    let change = plan_replacement(dir, place, target)?
        .make(dir, || true)?
        .ok_or(EIO)?;
    finish(dir, change)
}

/// What `plan` makes of the bytes of an entry's page and the entry's place in it.
fn plan_at(
    dir: Dir<'_>,
    place: Place,
    target: Option<Target>,
    plan: impl FnOnce(DirFormat, &[u8], u32) -> Result<Edit<'static>, DirError>,
) -> Result<Plan<'static>> {
    let index = place.position >> PAGE_SHIFT;
    let start = index << PAGE_SHIFT;
    let page = dir.page(index)?;
    let edit = plan(format(dir.inode()), &page, (place.position - start) as u32)
        .map_err(|error| bad_entry(dir, error, start))?;

    Ok(Plan {
        page: start,
        edit,
        target,
    })
}

/// Notes that a directory has changed, whoever has written it since it was noted before: it has not
/// been written so. If there is no memory to say so, who syncs an inode with several new names does
/// not find this one, nor is it known, once the directory has left memory, that it is not on the
/// disk.
fn note_changed(dir: &mut DirMut<'_>) {
    let _ = dir.super_block().data().order.removals.note_change(dir);
    dir.mark_dirty();
}

/// Ends a change; with `dirsync` writes it out, or takes it back.
fn finish<'n>(dir: &mut DirMut<'_>, change: Change<'n>) -> Result<Change<'n>> {
    // What the index of a hashed directory says is not true any more. Before the directory is
    // dirty: it may be written at once.
    let data = dir.data();
    data.set_flags(data.flags() & !inode_flags::INDEX);
    note_changed(dir);
    if !dir.is_dirsync() {
        return Ok(change);
    }
    match write_out(dir) {
        Ok(()) => Ok(change),
        Err(error) => {
            change.take_back(dir);
            Err(error)
        }
    }
}

fn range_of(page: u64, edit: &Edit<'_>) -> Range<u64> {
    let range = edit.range();
    let at = |offset: u32| page.saturating_add(offset.into());

    at(range.start)..at(range.end)
}

fn apply(dir: &mut DirMut<'_>, page: u64, edit: &Edit<'_>) -> Result {
    apply_if(dir, page, edit, || true).map(|_| ())
}

/// Makes a change, if it is `wanted` when the page is locked. Whether it is.
fn apply_if(
    dir: &mut DirMut<'_>,
    page: u64,
    edit: &Edit<'_>,
    wanted: impl FnOnce() -> bool,
) -> Result<bool> {
    let format = format(dir);
    let mut step = InStep::new(dir.inode());
    let mut done = Err(EIO);

    dir.data().room.changes(range_of(page, edit).start);
    let result = dir.change(range_of(page, edit), |bytes| {
        done = match wanted() {
            true => edit.apply(bytes).ok_or(EIO).map(|()| true),
            false => Ok(false),
        };
        if let Ok(true) = done {
            step.put_down(format, page, edit, bytes);
        }
    });
    step.finish(result)?;
    done
}

/// Writes a directory and its inode to the disk. C: `ext2_handle_dirsync()`.
fn write_out(dir: &DirMut<'_>) -> Result {
    dir.write_all_pages()?;
    dir.sync(Wait::Yes)
}

/// Makes a new directory one with the entries for itself and for `parent`, which are on the medium
/// before anything there leads to it. C: `ext2_make_empty()`.
pub(crate) fn make_empty(dir: &mut DirMut<'_>, parent: u64) -> Result {
    let format = format(dir);
    let inode = u32::try_from(dir.number()).map_err(|_| EINVAL)?;
    let parent = u32::try_from(parent).map_err(|_| EINVAL)?;
    let mut done = None;

    dir.change(0..format.block_size.bytes().into(), |bytes| {
        done = edit::make_empty(format, bytes, inode, parent);
    })?;
    done.ok_or(EIO)?;
    let page = dir.as_locked().page(0)?;
    let block = page.get(..format.block_size.bytes() as usize);
    first_block::note(dir, block.ok_or(EIO)?)
}

/// That a directory had no names in it. It has been locked since.
#[must_use]
pub(crate) struct Empty(());

impl Empty {
    /// Counts its name and its own entry no more. No other way leads the count of a directory to 0
    /// that has had a name.
    pub(crate) fn drop_links(self, dir: HeldInode<'_, Ext2>) {
        dir.drop_last_links(2);
    }
}

/// Checks that there are no names in a directory. C: `ext2_empty_dir()`, for which a directory that
/// cannot be read is not empty.
///
/// Fails with `ENOTEMPTY`, or with the error of what cannot be read.
pub(crate) fn check_empty(dir: Dir<'_>) -> Result<Empty> {
    for index in 0..dir.pages() {
        let start = index << PAGE_SHIFT;
        let empty = edit::is_empty(format(dir.inode()), &dir.page(index)?, dir.number())
            .map_err(|error| bad_entry(dir, error, start))?;
        if !empty {
            return Err(ENOTEMPTY);
        }
    }
    Ok(Empty(()))
}

/// The entry of a directory for its parent. C: `ext2_dotdot()`.
pub(crate) fn parent_entry(dir: Dir<'_>) -> Result<Place> {
    let page = dir.page(0)?;
    let entry =
        edit::parent_entry(format(dir.inode()), &page).map_err(|error| bad_entry(dir, error, 0))?;

    Ok(Place {
        position: entry.offset.into(),
        inode: entry.inode,
    })
}

/// The entry `name` of `inode`, which a lookup has found before. C: `ext2_find_entry()`.
///
/// Fails with `ENOENT` if there is none, and with `EUCLEAN` if it is another inode's.
pub(crate) fn entry_of(dir: Dir<'_>, name: &[u8], inode: &Ext2Inode) -> Result<Place> {
    let place = find(dir, name)?.ok_or(ENOENT)?;

    if u64::from(place.inode) != inode.number() {
        report::corrupt(
            dir.super_block(),
            fmt!(
                "directory {}: the entry of inode {} is one of inode {}",
                dir.number(),
                inode.number(),
                place.inode
            ),
        );
        return Err(EUCLEAN);
    }
    Ok(place)
}

/// What an entry of `inode` refers to.
pub(crate) fn target_of(inode: &Ext2Inode) -> Result<Target> {
    Ok(Target {
        inode: u32::try_from(inode.number()).map_err(|_| EINVAL)?,
        file_type: FileType::from_mode(inode.mode()).ok_or(EINVAL)?,
    })
}
