// SPDX-License-Identifier: GPL-2.0

//! Reads ahead those parts of the inode table that who lists a directory and asks for each inode,
//! as `ls -l` does, will need next.
//!
//! How many names that is of is decided in [`Listing`](crate::inode::listing::Listing). The names
//! are those of pages that have just been listed. The blocks of their inodes are begun to be read
//! in the order of the disk, so that those side by side are one request; nothing is waited for. Any
//! number may be in an entry: what is read is a block of an inode table that was checked when
//! mounting, or nothing.
//!
//! Locks: the directory's `i_rwsem`, by [`LockedDirectory`](rust_mpage::fs::LockedDirectory).
//!
//! C counterpart: none.

#![deny(unsafe_code)]

use super::{
    find::Place,
    pages::{
        format,
        Dir, //
    },
};
use crate::{
    disk::dirent::Entries,
    inode::{
        table_block,
        Ahead, //
    },
};
use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};
use rust_mpage::block::plugged;

/// The most blocks that are begun to be read at once.
const MOST_BLOCKS: usize = 64;

/// The most pages that are looked at for names at once.
const MOST_PAGES: u64 = 16;

/// Notes that a name was looked up, and reads ahead the inodes of others if that is worth it.
#[inline]
pub(super) fn note_looked_up(dir: Dir<'_>, place: Place) {
    if let Some(ahead) = dir.data().index.listing.looked_up(place.position) {
        read(dir, ahead);
    }
}

#[cold]
fn read(dir: Dir<'_>, ahead: Ahead) {
    let mut blocks = Blocks::new();
    // Where nothing more can be said about, nobody tries again.
    let (names, to) = collect(dir, ahead, &mut blocks).unwrap_or((0, ahead.end));

    dir.data().index.listing.has_read(names, to);
    plugged(|| {
        for &block in blocks.in_order() {
            dir.super_block().readahead_block(block.into());
        }
    });
}

/// Collects the blocks of the inodes of some names. Of how many they are, and where the next is.
fn collect(dir: Dir<'_>, ahead: Ahead, blocks: &mut Blocks) -> Result<(u32, u32)> {
    let end = u64::from(ahead.end).min(dir.size());
    let first = u64::from(ahead.from) >> PAGE_SHIFT;
    let mut names = 0;

    for index in first..end.div_ceil(PAGE_SIZE as u64) {
        let start = index << PAGE_SHIFT;
        let at = |offset: u32| u32::try_from(start + u64::from(offset)).map_err(|_| EFBIG);
        if index - first >= MOST_PAGES {
            return Ok((names, at(0)?));
        }
        let page = dir.page(index)?;
        let from = u64::from(ahead.from).saturating_sub(start) as u32;
        for entry in Entries::starting_at(format(dir.inode()), &page, from) {
            // Who comes to what is wrong says so.
            let entry = entry.map_err(|error| error.errno())?;
            if !entry.in_use() {
                continue;
            }
            if names >= ahead.names || start + u64::from(entry.offset) >= end {
                return Ok((names, at(entry.offset)?));
            }
            let block = table_block(dir.super_block(), entry.inode);
            if !block.is_none_or(|block| blocks.add(block)) {
                return Ok((names, at(entry.offset)?));
            }
            names += 1;
        }
    }
    Ok((names, ahead.end))
}

/// Numbers of blocks.
struct Blocks {
    numbers: [u32; MOST_BLOCKS],
    len: usize,
}

impl Blocks {
    fn new() -> Self {
        Self {
            numbers: [0; MOST_BLOCKS],
            len: 0,
        }
    }

    /// Adds one, if it is not the last that was added. Whether there was room.
    #[inline]
    fn add(&mut self, number: u32) -> bool {
        let last = self.len.checked_sub(1);
        if last.and_then(|last| self.numbers.get(last)) == Some(&number) {
            return true;
        }
        let Some(slot) = self.numbers.get_mut(self.len) else {
            return false;
        };
        *slot = number;
        self.len += 1;
        true
    }

    /// All of them, the lowest first. (One that comes twice is not read twice.)
    fn in_order(&mut self) -> &[u32] {
        let numbers = self.numbers.get_mut(..self.len).unwrap_or_default();

        numbers.sort_unstable();
        numbers
    }
}

#[kunit_tests(rust_ext2_dir_tables_ahead)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_in_order() {
        let mut blocks = Blocks::new();

        assert_eq!(blocks.in_order(), &[]);
        for number in [7, 7, 7, 3, 3, 9, 0] {
            assert!(blocks.add(number));
        }
        assert_eq!(blocks.in_order(), &[0, 3, 7, 9]);
    }

    #[test]
    fn there_are_not_more_than_there_is_room_for() {
        let mut blocks = Blocks::new();

        for number in (0..MOST_BLOCKS as u32).rev() {
            assert!(blocks.add(number));
        }
        assert!(blocks.add(0) && !blocks.add(77));
        assert!(blocks.in_order().iter().copied().eq(0..MOST_BLOCKS as u32));
    }
}
