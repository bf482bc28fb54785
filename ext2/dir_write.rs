// SPDX-License-Identifier: GPL-2.0

//! Directories: adding, removing and changing entries.
//!
//! Each change is planned by [`dir_edit`](crate::dir_edit) on bytes that are checked, made in the
//! page cache, and then written to the disk together with the directory's inode, which is waited
//! for, as C does in 7.3, whether `dirsync` is asked for or not: a name that is gone from a
//! directory does not come back after a crash to find another file in its inode.
//!
//! A change whose write-out fails is taken back, so that a directory in memory is as its caller is
//! told. C leaves it there: a failed `create()` has a name, of an inode that is free.
//!
//! Locks: the directory's `i_rwsem`, exclusively, by [`ExclusiveDirectory`]; inside it the folio.

#![deny(unsafe_code)]

use crate::{
    dir::{
        self,
        bad_entry,
        format,
        Dir,
        Place, //
    },
    dir_edit::{
        self,
        AddError,
        Edit,
        Target, //
    },
    dirent::{
        rec_len_for,
        DirError,
        DirFormat,
        FileType, //
    },
    disk::inode_flags,
    inode::Ext2Inode,
    report,
    super_block::Ext2, //
};
use core::ops::Range;
use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
};
use rust_mpage::fs::{
    ExclusiveDirectory,
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
}

impl Change<'_> {
    /// Leaves it at that.
    pub(crate) fn keep(self) {}

    /// Makes the entries what they were before. The directory has been locked since, and later
    /// changes have been taken back.
    ///
    /// This is for when something has failed: that it fails, too, can only be reported.
    pub(crate) fn take_back(self, dir: &mut DirMut<'_>) {
        let result = apply(dir, self.page, &self.inverse);
        dir.mark_dirty();
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
    let (page, edit) = plan_addition(dir, name, target)?;

    commit(dir, page, edit)
}

/// The page and the edit that add an entry.
///
/// Of a directory locked exclusively: [`Room`](crate::room::Room) is for one search at a time.
fn plan_addition<'n>(dir: &DirMut<'_>, name: &'n [u8], target: Target) -> Result<(u64, Edit<'n>)> {
    let room = &dir.data().room;
    let dir = dir.as_locked();
    let format = format(dir.inode());
    let pages = dir.pages();
    let plan = |bytes: &[u8], start: u64| {
        dir_edit::insert(format, bytes, PAGE_SIZE as u32, name, target).map_err(|error| match error
        {
            AddError::Exists => EEXIST,
            AddError::NameLength => ENAMETOOLONG,
            AddError::Corrupt(error) => bad_entry(dir, error, start),
        })
    };

    let needed = rec_len_for(u8::try_from(name.len()).map_err(|_| ENAMETOOLONG)?);

    for index in room.first_page(needed)..pages {
        let start = index << PAGE_SHIFT;
        if let Some(edit) = plan(&dir.page(index)?, start)? {
            room.found(index, needed);
            return within_limit(start, edit);
        }
    }
    room.found(pages, needed);
    let start = pages << PAGE_SHIFT;
    // A block fits in a page.
    within_limit(start, plan(&[], start)?.ok_or(EINVAL)?)
}

/// The size of a directory has 32 bits on disk.
fn within_limit(page: u64, edit: Edit<'_>) -> Result<(u64, Edit<'_>)> {
    if range_of(page, &edit).end > u32::MAX.into() {
        return Err(EFBIG);
    }
    Ok((page, edit))
}

/// Removes an entry. C: `ext2_delete_entry()`.
pub(crate) fn remove(dir: &mut DirMut<'_>, place: Place) -> Result<Change<'static>> {
    let (page, edit) = plan_at(dir.as_locked(), place, dir_edit::remove)?;

    commit(dir, page, edit)
}

/// Makes an entry refer to `target`. C: `ext2_set_link()`.
pub(crate) fn replace(
    dir: &mut DirMut<'_>,
    place: Place,
    target: Target,
) -> Result<Change<'static>> {
    let (page, edit) = plan_at(dir.as_locked(), place, |format, bytes, offset| {
        dir_edit::replace(format, bytes, offset, target)
    })?;

    commit(dir, page, edit)
}

/// Makes `..` refer to `target`; the times stay as they are. C: `ext2_set_link()`.
pub(crate) fn set_parent(
    dir: &mut DirMut<'_>,
    place: Place,
    target: Target,
) -> Result<Change<'static>> {
    let (page, edit) = plan_at(dir.as_locked(), place, |format, bytes, offset| {
        dir_edit::replace(format, bytes, offset, target)
    })?;

    let change = make(dir, page, &edit)?;
    finish(dir, change)
}

/// The page of an entry, and what `plan` makes of the page's bytes and the entry's place in it.
fn plan_at(
    dir: Dir<'_>,
    place: Place,
    plan: impl FnOnce(DirFormat, &[u8], u32) -> Result<Edit<'static>, DirError>,
) -> Result<(u64, Edit<'static>)> {
    let index = place.position >> PAGE_SHIFT;
    let start = index << PAGE_SHIFT;
    let page = dir.page(index)?;
    let edit = plan(format(dir.inode()), &page, (place.position - start) as u32)
        .map_err(|error| bad_entry(dir, error, start))?;

    Ok((start, edit))
}

/// Makes a change that changes the times, too, and writes it out.
fn commit<'n>(dir: &mut DirMut<'_>, page: u64, edit: Edit<'n>) -> Result<Change<'n>> {
    let change = make(dir, page, &edit)?;

    dir.set_mtime_and_ctime_now();
    finish(dir, change)
}

/// Makes a change in the page cache.
fn make<'n>(dir: &mut DirMut<'_>, page: u64, edit: &Edit<'n>) -> Result<Change<'n>> {
    apply(dir, page, edit)?;
    Ok(Change {
        page,
        inverse: edit.inverse(),
    })
}

/// Writes a change out, or takes it back.
fn finish<'n>(dir: &mut DirMut<'_>, change: Change<'n>) -> Result<Change<'n>> {
    // What the index of a hashed directory says is not true any more.
    let data = dir.data();
    data.set_flags(data.flags() & !inode_flags::INDEX);
    dir.mark_dirty();
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
    let mut done = None;

    dir.data().room.changes(page >> PAGE_SHIFT);
    dir.change(range_of(page, edit), |bytes| done = edit.apply(bytes))?;
    done.ok_or(EIO)
}

/// Writes a directory and its inode to the disk. C: `ext2_handle_dirsync()`.
fn write_out(dir: &DirMut<'_>) -> Result {
    dir.write_and_wait()?;
    dir.sync(Wait::Yes)
}

/// Makes a new directory one with the entries for itself and for `parent`. C: `ext2_make_empty()`.
pub(crate) fn make_empty(dir: &mut DirMut<'_>, parent: u64) -> Result {
    let format = format(dir);
    let inode = u32::try_from(dir.number()).map_err(|_| EINVAL)?;
    let parent = u32::try_from(parent).map_err(|_| EINVAL)?;
    let mut done = None;

    dir.change(0..format.block_size.bytes().into(), |bytes| {
        done = dir_edit::make_empty(format, bytes, inode, parent);
    })?;
    done.ok_or(EIO)?;
    write_out(dir)
}

/// That a directory had no names in it. It has been locked since.
#[must_use]
pub(crate) struct Empty(());

impl Empty {
    /// Counts its name and its own entry no more. No other way leads a directory's count to 0.
    pub(crate) fn drop_links(self, dir: &Ext2Inode) {
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
        let empty = dir_edit::is_empty(format(dir.inode()), &dir.page(index)?, dir.number())
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
    let entry = dir_edit::parent_entry(format(dir.inode()), &page)
        .map_err(|error| bad_entry(dir, error, 0))?;

    Ok(Place {
        position: entry.offset.into(),
        inode: entry.inode,
    })
}

/// The entry `name` of `inode`, which a lookup has found before. C: `ext2_find_entry()`.
///
/// Fails with `ENOENT` if there is none, and with `EUCLEAN` if it is another inode's.
pub(crate) fn entry_of(dir: Dir<'_>, name: &[u8], inode: &Ext2Inode) -> Result<Place> {
    let place = dir::find(dir, name)?.ok_or(ENOENT)?;

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
