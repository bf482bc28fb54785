// SPDX-License-Identifier: GPL-2.0

//! Changes of a directory's entries, as functions of bytes.
//!
//! A change is planned on bytes that have been walked over and checked, which makes an [`Edit`]; it
//! says which bytes it touches, so that their blocks can be prepared for writing, and how it is
//! taken back. Every edit leaves blocks that are filled by entries, as it has found them, and
//! writes to one block only.
//!
//! What goes where is C's choice, so that both drivers make the same directories of the same
//! operations: a new entry goes to the first place that has room, and a deleted one is joined with
//! the one before it in its block.
//!
//! Locks: none. Whoever plans an edit and applies it keeps others from changing the bytes between.

use crate::disk::{
    dirent::{
        encode,
        rec_len_for,
        DirEntry,
        DirError,
        DirErrorReason,
        DirFormat,
        Entries,
        FileType, //
    },
    dirent_search::around,
    DirEntryHeader,
    Le16,
    Le32, //
};
use core::ops::Range;
use kernel::prelude::*;

/// The entry of a directory for itself.
pub(crate) const DOT: &[u8] = b".";

/// The entry of a directory for its parent.
pub(crate) const DOT_DOT: &[u8] = b"..";

/// What an entry refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// The inode's number, not 0.
    pub(crate) inode: u32,
    /// The inode's type.
    pub(crate) file_type: FileType,
}

impl Target {
    /// The type to be stored, `ext2_set_de_type()`.
    pub(super) fn stored_type(self, format: DirFormat) -> u8 {
        if format.filetype {
            self.file_type.to_entry()
        } else {
            0
        }
    }
}

/// What is written to the entry that an [`Edit`] is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Content<'n> {
    /// All of it, but what follows the name.
    Entry {
        inode: u32,
        rec_len: u32,
        name: &'n [u8],
        file_type: u8,
    },
    /// The inode and its type.
    Target { inode: u32, file_type: u8 },
    /// The inode only; 0 makes the entry unused.
    Inode(u32),
}

impl Content<'_> {
    fn is_in_use(self) -> bool {
        match self {
            Self::Entry { inode, .. } | Self::Target { inode, .. } | Self::Inode(inode) => {
                inode != 0
            }
        }
    }
}

/// What an edit does to the name in its entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NameChange {
    /// There is one that was not there.
    Comes,
    /// The same, in a block that was not there either.
    ComesInNewBlock,
    /// It is no longer there.
    Goes,
    /// It is there as it was.
    Stays,
}

/// The length of an entry that makes room, or takes it back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Length {
    pub(super) offset: u32,
    pub(super) before: u32,
    pub(super) after: u32,
}

/// A change of one entry, and of the length of the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit<'n> {
    /// The bytes from the first that may change to behind the last; within one block.
    pub(super) range: Range<u32>,
    /// Where the entry starts.
    pub(super) offset: u32,
    pub(super) before: Content<'n>,
    pub(super) after: Content<'n>,
    /// The entry before it, if its length changes.
    pub(super) previous: Option<Length>,
    /// Whether the entry is the first of a block that is new.
    pub(super) starts_block: bool,
}

impl<'n> Edit<'n> {
    /// The bytes that may change, counted as those that it was planned for.
    pub(crate) fn range(&self) -> Range<u32> {
        self.range.clone()
    }

    /// Where the entry starts.
    pub(crate) fn offset(&self) -> u32 {
        self.offset
    }

    /// What becomes of the name that is in the entry.
    pub(crate) fn name_change(&self) -> NameChange {
        match (self.before.is_in_use(), self.after.is_in_use()) {
            (false, true) if self.starts_block => NameChange::ComesInNewBlock,
            (false, true) => NameChange::Comes,
            (true, false) => NameChange::Goes,
            (true, true) | (false, false) => NameChange::Stays,
        }
    }

    /// Makes the change in the bytes of [`range`](Self::range). `None`, and nothing changed, if
    /// they are not as many, which they are if they are those.
    pub(crate) fn apply(&self, bytes: &mut [u8]) -> Option<()> {
        if bytes.len() != self.range.len() {
            return None;
        }
        if self.starts_block {
            bytes.fill(0);
        }

        let at = |offset: u32| Some(offset.checked_sub(self.range.start)? as usize);
        let previous = match self.previous {
            Some(length) => Some((at(length.offset)?, length.after)),
            None => None,
        };
        let entry = bytes.get_mut(at(self.offset)?..)?;
        match self.after {
            Content::Entry {
                inode,
                rec_len,
                name,
                file_type,
            } => encode(entry, inode, rec_len, name, file_type)?,
            Content::Target { inode, file_type } => {
                let header = header_at(entry, 0)?;
                header.inode = Le32::new(inode);
                header.file_type = file_type;
            }
            Content::Inode(inode) => header_at(entry, 0)?.inode = Le32::new(inode),
        }
        if let Some((offset, rec_len)) = previous {
            header_at(bytes, offset)?.rec_len = stored_rec_len(rec_len);
        }
        Some(())
    }

    /// The edit that takes this one back; the entries are then as they were. A block that is new
    /// stays, with an entry that is not in use.
    pub(crate) fn inverse(&self) -> Self {
        Self {
            range: self.range(),
            offset: self.offset,
            before: self.after,
            after: self.before,
            previous: self.previous.map(|length| Length {
                offset: length.offset,
                before: length.after,
                after: length.before,
            }),
            starts_block: false,
        }
    }
}

/// Plans the removal of the entry at byte `offset`, which becomes part of the one before it in the
/// same block, or one that is not in use; `ext2_delete_entry()`.
pub(crate) fn remove(
    format: DirFormat,
    bytes: &[u8],
    offset: u32,
) -> Result<Edit<'static>, DirError> {
    let (previous, entry) = entry_at(format, bytes, offset)?;
    let length = previous.map(|previous| Length {
        offset: previous.offset,
        before: previous.rec_len,
        after: previous.rec_len.saturating_add(entry.rec_len),
    });

    Ok(Edit {
        range: length.map_or(entry.offset, |previous| previous.offset)..entry.end(),
        offset: entry.offset,
        before: Content::Inode(entry.inode),
        after: Content::Inode(0),
        previous: length,
        starts_block: false,
    })
}

/// Plans that the entry at byte `offset` refers to `target`; `ext2_set_link()`.
pub(crate) fn replace(
    format: DirFormat,
    bytes: &[u8],
    offset: u32,
    target: Target,
) -> Result<Edit<'static>, DirError> {
    let (_, entry) = entry_at(format, bytes, offset)?;

    Ok(Edit {
        range: entry.offset..entry.end(),
        offset: entry.offset,
        before: Content::Target {
            inode: entry.inode,
            // What is stored without the feature, or is not known, is not worth keeping.
            file_type: entry.file_type.map_or(0, FileType::to_entry),
        },
        after: Content::Target {
            inode: target.inode,
            file_type: target.stored_type(format),
        },
        previous: None,
        starts_block: false,
    })
}

/// Finds the entry for the parent, which is the second of a directory; `ext2_dotdot()`.
///
/// Unlike C this looks at the name: what is not `..` is corrupt, and not to be overwritten.
pub(crate) fn parent_entry(format: DirFormat, bytes: &[u8]) -> Result<DirEntry<'_>, DirError> {
    let mut entries = Entries::new(format, bytes);
    let first = entries.next().transpose()?;
    let second = entries.next().transpose()?;

    match (first, second) {
        (Some(_), Some(entry)) if entry.in_use() && entry.name == DOT_DOT => Ok(entry),
        (_, Some(entry)) => Err(not_there(&entry)),
        (_, None) => Err(nothing_at(0)),
    }
}

/// Whether entries in use are those for the directory and its parent only; one page's worth of
/// `ext2_empty_dir()`. `inode` is the directory's.
pub(crate) fn is_empty(format: DirFormat, bytes: &[u8], inode: u64) -> Result<bool, DirError> {
    for entry in Entries::new(format, bytes) {
        let entry = entry?;

        let expected = match entry.name {
            _ if !entry.in_use() => true,
            DOT => u64::from(entry.inode) == inode,
            DOT_DOT => true,
            _ => false,
        };
        if !expected {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Fills the first block of a directory with the entries for `inode`, the directory, and for
/// `parent`; `ext2_make_empty()`. `None` if `block` is not a block.
pub(crate) fn make_empty(
    format: DirFormat,
    block: &mut [u8],
    inode: u32,
    parent: u32,
) -> Option<()> {
    let dot_len = rec_len_for(DOT.len() as u8);
    let size = format.block_size.bytes();
    let block = block.get_mut(..size as usize)?;
    let file_type = |inode| {
        Target {
            inode,
            file_type: FileType::Directory,
        }
        .stored_type(format)
    };

    block.fill(0);
    encode(block, inode, dot_len, DOT, file_type(inode))?;
    let rest = block.get_mut(dot_len as usize..)?;
    encode(
        rest,
        parent,
        size.checked_sub(dot_len)?,
        DOT_DOT,
        file_type(parent),
    )
}

/// The entry in use that starts at byte `offset`, and the one before it in its block.
fn entry_at<'a>(
    format: DirFormat,
    bytes: &'a [u8],
    offset: u32,
) -> Result<(Option<DirEntry<'a>>, DirEntry<'a>), DirError> {
    let around = around(format, bytes, offset)?;

    match around.next {
        Some(entry) if entry.offset == offset && entry.in_use() => Ok((around.previous, entry)),
        Some(entry) => Err(not_there(&entry)),
        None => Err(nothing_at(offset)),
    }
}

fn not_there(entry: &DirEntry<'_>) -> DirError {
    DirError {
        offset: entry.offset,
        inode: entry.inode,
        rec_len: entry.rec_len,
        name_len: entry.name.len() as u8,
        reason: DirErrorReason::NotExpected,
    }
}

pub(super) fn nothing_at(offset: u32) -> DirError {
    DirError {
        offset,
        inode: 0,
        rec_len: 0,
        name_len: 0,
        reason: DirErrorReason::NotExpected,
    }
}

/// The header of the entry at `offset`.
fn header_at(bytes: &mut [u8], offset: usize) -> Option<&mut DirEntryHeader> {
    let (header, _) = DirEntryHeader::mut_from_prefix(bytes.get_mut(offset..)?).ok()?;
    Some(header)
}

/// A length as it is stored, `ext2_rec_len_to_disk()`.
fn stored_rec_len(rec_len: u32) -> Le16 {
    Le16::new(u16::try_from(rec_len).unwrap_or(u16::MAX))
}
