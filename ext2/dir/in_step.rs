// SPDX-License-Identifier: GPL-2.0

//! Keeps what is known of a directory's names, its [`Index`], in step with changes of its entries.
//!
//! A change is put down while it is made, with the page locked, and noted when the page is
//! unlocked, the directory still being locked: nobody looks at either meanwhile.
//!
//! Locks: the directory's `i_rwsem`, exclusively, held by the caller.

#![deny(unsafe_code)]

use super::edit::{
    Edit,
    NameChange, //
};
use crate::{
    disk::{
        dirent::DirFormat,
        dirent_plain::Plain, //
    },
    index::{
        Change,
        Index,
        Name,
        Units, //
    },
    inode::Ext2Inode, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// What an edit, which was applied to `bytes`, has changed, and in which block. The bytes are those
/// of its range; they were planned for the page at byte `page`. `None` if no name came or went.
///
/// Fails if that cannot be said.
pub(super) fn change_of(
    format: DirFormat,
    page: u64,
    edit: &Edit<'_>,
    bytes: &[u8],
    hash: impl Fn(&[u8]) -> u32,
) -> Result<Option<(Change, u32)>> {
    let kind = edit.name_change();
    if kind == NameChange::Stays {
        return Ok(None);
    }
    let start = page.checked_add(edit.offset().into()).ok_or(EINVAL)?;
    let position = u32::try_from(start).map_err(|_| EINVAL)?;
    let within = edit.offset().checked_sub(edit.range().start);
    let rest = within
        .and_then(|within| bytes.get(within as usize..))
        .ok_or(EINVAL)?;
    // An entry that is not in use any more has its name still.
    let header = Plain::of(rest, format.inodes_count).ok_or(EINVAL)?;
    let hash = hash(header.name_in(rest).ok_or(EINVAL)?);
    let name = Name { hash, position };

    let change = match kind {
        NameChange::Comes => Change::Added(name),
        NameChange::ComesInNewBlock => Change::AddedBlock(name, Units::of_room(header.slack())),
        // It is part of the one that the range begins with, or is that.
        NameChange::Goes | NameChange::Stays => {
            let room = Plain::of(bytes, format.inodes_count).map(Plain::room);
            Change::Removed(name, room.map_or(Units::ANY, Units::of_room))
        }
    };
    Ok(Some((change, position >> format.block_size.bits())))
}

/// The most edits that are made at once.
const MOST: usize = 2;

/// What is changed, while it is changed.
#[must_use]
pub(super) struct InStep<'i> {
    index: Option<&'i Arc<Index>>,
    changes: [Option<(Change, u32)>; MOST],
    /// Whether bytes were changed.
    is_changed: bool,
    /// Whether it is not known what was.
    is_lost: bool,
}

impl<'i> InStep<'i> {
    /// Before a change of a directory.
    pub(super) fn new(dir: &'i Ext2Inode) -> Self {
        Self {
            index: dir.data().index.get(),
            changes: [None; MOST],
            is_changed: false,
            is_lost: false,
        }
    }

    /// Puts down an edit that was applied to the bytes of its range.
    pub(super) fn put_down(&mut self, format: DirFormat, page: u64, edit: &Edit<'_>, bytes: &[u8]) {
        self.is_changed = true;
        let Some(index) = self.index else {
            return;
        };
        match change_of(format, page, edit, bytes, |name| index.hash(name)) {
            Ok(None) => (),
            Ok(change) => match self.changes.iter_mut().find(|slot| slot.is_none()) {
                Some(slot) => *slot = change,
                None => self.is_lost = true,
            },
            Err(_) => self.is_lost = true,
        }
    }

    /// Notes what was changed. After an error, which may have come before the change or after it,
    /// nothing is known any more, unless no bytes were changed.
    pub(super) fn finish(self, result: Result) -> Result {
        let Some(index) = self.index else {
            return result;
        };
        if self.is_lost || (result.is_err() && self.is_changed) {
            index.forget();
            return result;
        }
        for (change, block) in self.changes.into_iter().flatten() {
            index.note(change, block);
        }
        result
    }
}
