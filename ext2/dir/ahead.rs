// SPDX-License-Identifier: GPL-2.0

//! Reads ahead what who goes over the names of a directory will need next: who lists it and asks
//! for each inode, as `ls -l` does, those parts of the inode table; who removes all that was
//! listed, as `rm -r` does, the arrays of pointers by which the files' blocks are freed, and
//! bitmaps.
//!
//! How many names that is of is decided in [`Listing`]. The names are those of pages that have been
//! listed and are in memory still. The blocks are begun to be read in the order of the disk, so
//! that those side by side are one request; nothing is waited for. Any number may be in an entry:
//! what is read is a block of an inode table that was checked when mounting, or nothing. What an
//! inode points to may be read for nothing, too, as it is in the inode table in memory; who wants
//! it later looks for himself.
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
    disk::dirent::{
        DirEntry,
        Entries, //
    },
    inode::{
        needed_to_free,
        table_block,
        Ahead,
        Listing, //
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

/// As many names of a directory are prepared for, all of which will be removed.
const PREPARED: u32 = 64;

/// What is wanted of one name: nothing is 0. None if that cannot be said yet.
type Wanted = Option<[u32; 5]>;

/// Notes that a name was looked up, and reads ahead the inodes of others if that is worth it.
#[inline]
pub(super) fn note_looked_up(dir: Dir<'_>, place: Place) {
    let listing = &dir.data().index.listing;

    if let Some(ahead) = listing.looked_up(place.position) {
        let sb = dir.super_block();
        read(dir, listing, ahead, Blocks::new(), &|inode| {
            Some([table_block(sb, inode).unwrap_or(0), 0, 0, 0, 0])
        });
    }
}

/// Notes that a name was removed, of which the inode is still there, and reads ahead what is needed
/// to free the blocks of it and of others if that is worth it.
#[inline]
pub(super) fn note_removed(dir: Dir<'_>, place: Place) {
    let removal = &dir.data().index.removal;

    if let Some(ahead) = removal.looked_up(place.position) {
        let sb = dir.super_block();
        let mut blocks = Blocks::new();
        // Its own come with those of the others: there is no entry of it any more.
        blocks.add_all(needed_to_free(sb, place.inode).unwrap_or_default());
        read(dir, removal, ahead, blocks, &|inode| {
            needed_to_free(sb, inode)
        });
    }
}

/// Reads ahead what is needed to free the blocks of the first names of a directory, if that is in
/// memory.
pub(super) fn prepare_removal(dir: Dir<'_>) {
    let sb = dir.super_block();
    let first = Ahead {
        from: 0,
        end: u32::MAX,
        names: PREPARED,
    };

    read_for(dir, first, Blocks::new(), &|inode| {
        needed_to_free(sb, inode)
    });
}

#[cold]
fn read<const MOST: u32>(
    dir: Dir<'_>,
    listing: &Listing<MOST>,
    ahead: Ahead,
    blocks: Blocks,
    wanted: &dyn Fn(u32) -> Wanted,
) {
    let (names, to) = read_for(dir, ahead, blocks, wanted);

    listing.has_read(names, to);
}

/// Begins to read some blocks, and those that are wanted of names. Of how many names, and where the
/// next is.
fn read_for(
    dir: Dir<'_>,
    ahead: Ahead,
    mut blocks: Blocks,
    wanted: &dyn Fn(u32) -> Wanted,
) -> (u32, u32) {
    let mut add = |entry: &DirEntry<'_>| match wanted(entry.inode) {
        Some(wanted) if blocks.add_all(wanted) => Taken::Yes,
        _ => Taken::Later,
    };
    // Where nothing more can be said about, nobody tries again.
    let read = take(dir, ahead, &mut add).unwrap_or((0, ahead.end));

    plugged(|| {
        for &block in blocks.in_order() {
            dir.super_block().readahead_block(block.into());
        }
    });
    read
}

/// What becomes of an entry.
pub(super) enum Taken {
    /// Something is read ahead for it.
    Yes,
    /// It is none of those that it is about.
    No,
    /// It can be taken later on only, and so can what follows.
    Later,
}

/// Goes over entries that were listed. How many were taken, and where the first is that was not.
pub(super) fn take(
    dir: Dir<'_>,
    ahead: Ahead,
    take: &mut dyn FnMut(&DirEntry<'_>) -> Taken,
) -> Result<(u32, u32)> {
    let end = u64::from(ahead.end).min(dir.size());
    let first = u64::from(ahead.from) >> PAGE_SHIFT;
    let mut names = 0;

    for index in first..end.div_ceil(PAGE_SIZE as u64) {
        let start = index << PAGE_SHIFT;
        let at = |offset: u32| u32::try_from(start + u64::from(offset)).map_err(|_| EFBIG);
        let from = u64::from(ahead.from).saturating_sub(start) as u32;
        if index - first >= MOST_PAGES {
            return Ok((names, at(0)?));
        }
        // One that had to go meanwhile is read by who wants a name in it.
        let Some(page) = dir.page_in_memory(index) else {
            return Ok((names, at(from)?));
        };
        for entry in Entries::starting_at(format(dir.inode()), &page, from) {
            // Who comes to what is wrong says so.
            let entry = entry.map_err(|error| error.errno())?;
            if !entry.in_use() {
                continue;
            }
            if names >= ahead.names || start + u64::from(entry.offset) >= end {
                return Ok((names, at(entry.offset)?));
            }
            match take(&entry) {
                Taken::Yes => names += 1,
                Taken::No => (),
                Taken::Later => return Ok((names, at(entry.offset)?)),
            }
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

    /// Adds those that are not 0. Whether there was room.
    fn add_all(&mut self, numbers: [u32; 5]) -> bool {
        numbers
            .into_iter()
            .filter(|&number| number != 0)
            .all(|number| self.add(number))
    }

    /// Adds one, if it is not there. Whether there was room.
    #[inline]
    fn add(&mut self, number: u32) -> bool {
        let mut last_first = self.numbers.iter().take(self.len).rev();
        if last_first.any(|&other| other == number) {
            return true;
        }
        let Some(slot) = self.numbers.get_mut(self.len) else {
            return false;
        };
        *slot = number;
        self.len += 1;
        true
    }

    /// All of them, the lowest first.
    fn in_order(&mut self) -> &[u32] {
        let numbers = self.numbers.get_mut(..self.len).unwrap_or_default();

        numbers.sort_unstable();
        numbers
    }
}

#[kunit_tests(rust_ext2_dir_ahead)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_in_order() {
        let mut blocks = Blocks::new();

        assert_eq!(blocks.in_order(), &[]);
        for number in [7, 7, 7, 3, 7, 3, 9, 0] {
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
