// SPDX-License-Identifier: GPL-2.0

//! Where a new entry goes: to the first place that has room, as in C, so that both drivers make the
//! same directories of the same operations.
//!
//! Of a directory that is known, see [`find`](crate::dir::find), that is found in the block that
//! has it; of another by a walk from the first page on that can have it.
//!
//! C counterpart: `ext2_add_link()`.
//!
//! Locks: the directory's `i_rwsem`, exclusively, by
//! [`ExclusiveDirectory`](rust_mpage::fs::ExclusiveDirectory).

#![deny(unsafe_code)]

use super::{
    edit::{
        Edit,
        Target, //
    },
    find,
    insertion::{
        self,
        AddError, //
    },
    pages::{
        bad_entry,
        format,
        Dir, //
    },
    write::{
        DirMut,
        Plan, //
    },
};
use crate::{
    disk::dirent::rec_len_for,
    index::Units, //
};
use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};

/// Plans to add an entry, where there is none of this name.
///
/// Of a directory locked exclusively: [`Room`](crate::inode::room::Room) is for one search at a
/// time.
pub(crate) fn plan_addition<'n>(
    dir: &DirMut<'_>,
    name: &'n [u8],
    target: Target,
) -> Result<Plan<'n>> {
    let new = New {
        dir: dir.as_locked(),
        name,
        target,
        needed: rec_len_for(u8::try_from(name.len()).map_err(|_| ENAMETOOLONG)?),
    };
    let (page, edit) = match new.find_known()? {
        Some(found) => found,
        None => new.walk(dir)?,
    };
    Plan::of_addition(page, edit, target)
}

/// What is to be added to which directory.
#[derive(Clone, Copy)]
struct New<'n, 'd> {
    dir: Dir<'d>,
    name: &'n [u8],
    target: Target,
    /// The bytes that it takes.
    needed: u32,
}

/// Where a page starts, and what is to be done in it.
type Found<'n> = (u64, Edit<'n>);

impl<'n> New<'n, '_> {
    /// The first room, if it is known where that is.
    fn find_known(self) -> Result<Option<Found<'n>>> {
        let Self { dir, needed, .. } = self;
        let format = format(dir.inode());
        let Some(index) = find::index_of(dir.inode()) else {
            return Ok(None);
        };
        // What cannot be read may be behind the first room.
        if !find::learn_rest(dir, index).unwrap_or(false) {
            return Ok(None);
        }
        let blocks = u32::try_from(dir.size() >> format.block_size.bits()).map_err(|_| EFBIG)?;
        let units = Units::of_room(needed);
        let room = &dir.inode().data().room;

        loop {
            let block = match index.first_room(units, blocks) {
                // Memory was short in between.
                None => return Ok(None),
                Some(None) => return self.append().map(Some),
                Some(Some(block)) => block,
            };
            let position = u64::from(block) << format.block_size.bits();
            let start = position & !(PAGE_SIZE as u64 - 1);
            let page = dir.page(start >> PAGE_SHIFT)?;
            let within = (position - start) as u32;
            let from = (room.begin_in(position, needed) - start) as u32;
            let edit = insertion::insert_in_block(format, &page, from, self.name, self.target)
                .map_err(|error| self.error(error, start))?;
            if let Some(edit) = edit {
                let entry = start + u64::from(edit.range().start);
                room.found_in(position, entry, needed);
                return Ok(Some((start, edit)));
            }
            // It had room when that was noted, which other entries have taken since.
            let room = find::room_of(format, &page, within);
            index.set_room(block, room.min(units.less()));
        }
    }

    /// In a new block.
    fn append(self) -> Result<Found<'n>> {
        let size = self.dir.size();
        let start = size & !(PAGE_SIZE as u64 - 1);
        let edit = insertion::append(
            format(self.dir.inode()),
            (size - start) as usize,
            PAGE_SIZE as u32,
            self.name,
            self.target,
        );
        // A block fits in a page.
        let edit = edit.map_err(|error| self.error(error, start))?;
        Ok((start, edit.ok_or(EINVAL)?))
    }

    /// The first room, by a walk.
    fn walk(self, dir: &DirMut<'_>) -> Result<Found<'n>> {
        let room = &dir.data().room;
        let format = format(self.dir.inode());
        let pages = self.dir.pages();

        for index in room.first_page(self.needed)..pages {
            let start = index << PAGE_SHIFT;
            let page = self.dir.page(index)?;
            let edit = insertion::insert(format, &page, PAGE_SIZE as u32, self.name, self.target)
                .map_err(|error| self.error(error, start))?;
            if let Some(edit) = edit {
                room.found(index, self.needed);
                return Ok((start, edit));
            }
        }
        room.found(pages, self.needed);
        self.append()
    }

    fn error(self, error: AddError, start: u64) -> Error {
        match error {
            AddError::Exists => EEXIST,
            AddError::NameLength => ENAMETOOLONG,
            AddError::Corrupt(error) => bad_entry(self.dir, error, start),
        }
    }
}
