// SPDX-License-Identifier: GPL-2.0

//! New entries, as functions of bytes: to the first place that has room.
//!
//! Locks: none, as [`edit`](crate::dir::edit).

use super::edit::{
    nothing_at,
    Content,
    Edit,
    Length,
    Target, //
};
use crate::disk::{
    dirent::{
        rec_len_for,
        DirEntry,
        DirError,
        DirFormat,
        Entries, //
    },
    dirent_plain::Wanted,
};
use core::ops::Range;
use kernel::prelude::*;

/// Why an entry cannot be added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AddError {
    /// There is an entry of that name.
    Exists,
    /// The name is empty, or longer than any can be.
    NameLength,
    /// The directory is corrupt.
    Corrupt(DirError),
}

impl From<DirError> for AddError {
    fn from(error: DirError) -> Self {
        Self::Corrupt(error)
    }
}

/// What is to be added.
#[derive(Clone, Copy)]
struct New<'n> {
    format: DirFormat,
    name: &'n [u8],
    target: Target,
    /// The bytes that it takes.
    needed: u32,
}

impl<'n> New<'n> {
    fn of(format: DirFormat, name: &'n [u8], target: Target) -> Result<Self, AddError> {
        match u8::try_from(name.len()) {
            Ok(len @ 1..) => Ok(Self {
                format,
                name,
                target,
                needed: rec_len_for(len),
            }),
            _ => Err(AddError::NameLength),
        }
    }

    /// The entry, and whatever follows it up to the next.
    fn content(&self, rec_len: u32) -> Content<'n> {
        Content::Entry {
            inode: self.target.inode,
            rec_len,
            name: self.name,
            file_type: self.target.stored_type(self.format),
        }
    }

    /// In the place of an entry that is not in use, or behind one that is, if there is room.
    fn at(&self, entry: &DirEntry<'_>) -> Option<Edit<'n>> {
        let used = match entry.in_use() {
            true => used_len(entry),
            false => 0,
        };
        let room = entry.rec_len.saturating_sub(used);
        (room >= self.needed).then(|| Edit {
            range: entry.offset..entry.end(),
            offset: entry.offset.saturating_add(used),
            before: Content::Inode(0),
            after: self.content(room),
            previous: entry.in_use().then_some(Length {
                offset: entry.offset,
                before: entry.rec_len,
                after: used,
            }),
            starts_block: false,
        })
    }

    /// In a new block, of these bytes.
    fn in_new_block(&self, range: Range<u32>) -> Edit<'n> {
        Edit {
            offset: range.start,
            range,
            before: Content::Inode(0),
            after: self.content(self.format.block_size.bytes()),
            previous: None,
            starts_block: true,
        }
    }
}

/// Plans a new entry in the first place of a page that has room for it; the inner loop of
/// `ext2_add_link()`.
///
/// `bytes` is what of the page is in the directory, whole blocks; the page has `capacity` bytes,
/// and the directory can grow into what is left of it. `None` if there is no room. Whether there is
/// an entry of that name is seen only up to the place that is found, as in C: the caller has looked
/// for it in all of the directory.
pub(crate) fn insert<'n>(
    format: DirFormat,
    bytes: &[u8],
    capacity: u32,
    name: &'n [u8],
    target: Target,
) -> Result<Option<Edit<'n>>, AddError> {
    let new = New::of(format, name, target)?;
    let wanted = Wanted::new(name);
    let mut entries = Entries::new(format, bytes);
    while let Some(entry) = entries.next_that(|header, rest| {
        header.inode == 0 || header.slack() >= new.needed || wanted.may_be(header, rest)
    }) {
        let entry = entry?;
        if entry.in_use() && entry.name == name {
            return Err(AddError::Exists);
        }
        if let Some(edit) = new.at(&entry) {
            return Ok(Some(edit));
        }
    }
    let range = new_block(format, bytes.len(), capacity);
    Ok(range.map(|range| new.in_new_block(range)))
}

/// As [`insert`], in one block from the entry on that starts at byte `from`, with no look at names.
pub(crate) fn insert_in_block<'n>(
    format: DirFormat,
    bytes: &[u8],
    from: u32,
    name: &'n [u8],
    target: Target,
) -> Result<Option<Edit<'n>>, AddError> {
    let new = New::of(format, name, target)?;
    let size = format.block_size.bytes();
    let end = (from & !(size - 1)).saturating_add(size) as usize;
    let bytes = bytes.get(..end).ok_or(nothing_at(from))?;
    let mut entries = Entries::from_entry(format, bytes, from);
    while let Some(entry) =
        entries.next_that(|header, _| header.inode == 0 || header.slack() >= new.needed)
    {
        if let Some(edit) = new.at(&entry?) {
            return Ok(Some(edit));
        }
    }
    Ok(None)
}

/// Plans a new entry in a new block, behind the `len` bytes that the page has of the directory.
/// `None` if the page has no room for the block.
pub(crate) fn append<'n>(
    format: DirFormat,
    len: usize,
    capacity: u32,
    name: &'n [u8],
    target: Target,
) -> Result<Option<Edit<'n>>, AddError> {
    let new = New::of(format, name, target)?;
    let range = new_block(format, len, capacity);
    Ok(range.map(|range| new.in_new_block(range)))
}

/// The block behind `len` bytes, if the page has it.
fn new_block(format: DirFormat, len: usize, capacity: u32) -> Option<Range<u32>> {
    let start = u32::try_from(len).ok()?;
    let end = start.checked_add(format.block_size.bytes())?;
    (end <= capacity).then_some(start..end)
}

/// What of an entry in use is not slack.
fn used_len(entry: &DirEntry<'_>) -> u32 {
    // A name has at most 255 bytes.
    rec_len_for(entry.name.len() as u8)
}
