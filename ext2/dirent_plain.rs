// SPDX-License-Identifier: GPL-2.0

//! A quick look at a directory entry: whether it is right, in a form that a loop over many entries
//! can ask of each. What is wrong, if something is, is for [`dirent`](super::dirent) to say.

use super::{
    dirent::ALIGN,
    disk::DirEntryHeader, //
};

/// The header of an entry that has nothing wrong with it, and a name. Some others are right, too, and
/// are to be looked at more closely.
#[derive(Clone, Copy)]
pub(crate) struct Plain {
    /// The inode, 0 if the entry is not in use.
    pub(crate) inode: u32,
    /// Bytes to the next entry or the end of the block.
    pub(crate) rec_len: u32,
    /// Bytes of the name, which begins [`Self::NAME`] bytes into the entry.
    pub(crate) name_len: u32,
}

impl Plain {
    /// Where the name begins, in bytes from the start of the entry.
    const NAME: usize = size_of::<DirEntryHeader>();

    /// That of the entry at the start of `rest`, which ends with the block. The conditions are those
    /// of [`Entries`](super::dirent::Entries).
    #[inline(always)]
    pub(crate) fn of(rest: &[u8], inodes_count: u32) -> Option<Self> {
        let word = u64::from_le_bytes(*rest.first_chunk()?);
        let header = Self {
            inode: word as u32,
            rec_len: u32::from((word >> 32) as u16),
            name_len: u32::from((word >> 48) as u8),
        };
        // A multiple of `ALIGN` that a name fits in is enough for an entry of that name.
        let is_right = header.name_len != 0
            && header.rec_len % ALIGN == 0
            && header.rec_len >= Self::NAME as u32 + header.name_len
            && header.rec_len as usize <= rest.len()
            && header.inode <= inodes_count;
        is_right.then_some(header)
    }

    /// Bytes behind the name that another entry can have.
    #[inline(always)]
    pub(crate) fn slack(self) -> u32 {
        let used = (Self::NAME as u32 + self.name_len).next_multiple_of(ALIGN);
        self.rec_len.saturating_sub(used)
    }
}

/// A name that is looked for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    len: u32,
    /// Its last byte: names in one directory differ there rather than at the beginning.
    last: u8,
}

impl Wanted {
    pub(crate) fn new(name: &[u8]) -> Self {
        Self {
            // A name that is longer than this is in no entry.
            len: u32::try_from(name.len()).unwrap_or(u32::MAX),
            last: name.last().copied().unwrap_or(0),
        }
    }

    /// Whether an entry, which `rest` begins with, is in use and may have the name.
    #[inline(always)]
    pub(crate) fn may_be(self, header: Plain, rest: &[u8]) -> bool {
        header.name_len == self.len
            && rest.get(Plain::NAME - 1 + self.len as usize) == Some(&self.last)
            && header.inode != 0
    }
}
