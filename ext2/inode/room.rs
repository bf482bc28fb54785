// SPDX-License-Identifier: GPL-2.0

//! Where in a directory the first room for a new entry can be.
//!
//! A new entry goes to the first place that has room for it. To look for that from the beginning
//! each time makes a directory of n files cost n², so what the last search has found is
//! remembered: that the pages before the one it came to have no room for so many bytes. Only a
//! change of one of these pages can make room there. Where it is known which block has room, that
//! is remembered of the entries in the block that are before the one with the room.
//!
//! Locks: the directory's `i_rwsem`, exclusively; not for who says that a page is read, after which
//! less is known. What is noted is of a page that is in use, and not read meanwhile.
//!
//! C has no counterpart: `ext2_add_link()` begins with the first page.

#![deny(unsafe_code)]

use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// What is known of a directory's room.
pub(crate) struct Room {
    /// The pages before this one have no room for an entry of `bytes` bytes, or a longer one.
    page: Atomic<u32>,
    bytes: Atomic<u32>,
    in_block: RoomInBlock,
}

/// What is known of one block.
struct RoomInBlock {
    /// Where it starts, in bytes from the start of the directory.
    block: Atomic<u64>,
    /// An entry in it starts here, before which there is no room for an entry of `bytes` bytes, or
    /// a longer one.
    entry: Atomic<u64>,
    /// [`NOTHING`] if nothing is known.
    bytes: Atomic<u32>,
}

/// No entry has so many bytes.
const NOTHING: u32 = u32::MAX;

impl Room {
    /// Nothing is known.
    pub(crate) const fn new() -> Self {
        Self {
            page: Atomic::new(0),
            bytes: Atomic::new(0),
            in_block: RoomInBlock {
                block: Atomic::new(0),
                entry: Atomic::new(0),
                bytes: Atomic::new(NOTHING),
            },
        }
    }

    /// The first entry with which a search of the block at byte `block` can begin for room for
    /// `bytes` bytes: where that starts.
    pub(crate) fn begin_in(&self, block: u64, bytes: u32) -> u64 {
        let known = &self.in_block;
        let is_known = known.bytes.load(Relaxed) <= bytes && known.block.load(Relaxed) == block;
        match is_known {
            true => known.entry.load(Relaxed),
            false => block,
        }
    }

    /// Notes that a search for `bytes` bytes in the block at byte `block`, from
    /// [`Self::begin_in`] on, has come to the entry at byte `entry`, which has room.
    pub(crate) fn found_in(&self, block: u64, entry: u64, bytes: u32) {
        let known = &self.in_block;
        // What is known of shorter entries is worth more.
        if bytes <= known.bytes.load(Relaxed) || known.block.load(Relaxed) != block {
            known.block.store(block, Relaxed);
            known.entry.store(entry, Relaxed);
            known.bytes.store(bytes, Relaxed);
        }
    }

    /// Nothing is known of a block any more: a page is read from the disk, and where its entries
    /// start is as it is there.
    pub(crate) fn page_is_read(&self) {
        self.in_block.bytes.store(NOTHING, Relaxed);
    }

    /// The first page that can have room for an entry of `bytes` bytes.
    pub(crate) fn first_page(&self, bytes: u32) -> u64 {
        if bytes < self.bytes.load(Relaxed) {
            return 0;
        }
        self.page.load(Relaxed).into()
    }

    /// Notes that a search for `bytes` bytes, from [`Self::first_page`] on, has come to `page`,
    /// which has room or is behind the last.
    pub(crate) fn found(&self, page: u64, bytes: u32) {
        let known = self.bytes.load(Relaxed);
        // What is known of shorter entries is worth more.
        if bytes <= known || self.page.load(Relaxed) == 0 {
            self.bytes.store(bytes, Relaxed);
            self.page.store(u32::try_from(page).unwrap_or(0), Relaxed);
        }
    }

    /// Notes that entries are about to change, the first of which starts at byte `position`. The
    /// entry there stays one.
    pub(crate) fn changes(&self, position: u64) {
        let page = position >> PAGE_SHIFT;
        let known = &self.in_block;
        if position < known.entry.load(Relaxed) {
            known.bytes.store(NOTHING, Relaxed);
        }
        if page < u64::from(self.page.load(Relaxed)) {
            self.page.store(page as u32, Relaxed);
        }
    }
}

#[kunit_tests(rust_ext2_room)]
mod tests {
    use super::*;

    #[test]
    fn a_search_goes_on_where_the_last_one_ended() {
        let room = Room::new();
        assert_eq!(room.first_page(12), 0);
        room.found(3, 16);
        assert_eq!(room.first_page(16), 3);
        assert_eq!(room.first_page(264), 3);
        // A shorter entry may fit in where the other did not.
        assert_eq!(room.first_page(12), 0);
        room.found(5, 16);
        assert_eq!(room.first_page(16), 5);
    }

    #[test]
    fn what_is_known_of_shorter_entries_stays() {
        let room = Room::new();
        room.found(4, 16);
        room.found(9, 32);
        assert_eq!(room.first_page(32), 4);
        assert_eq!(room.first_page(16), 4);
        room.found(2, 12);
        assert_eq!(room.first_page(12), 2);
        assert_eq!(room.first_page(32), 2);
    }

    #[test]
    fn a_change_makes_room() {
        let room = Room::new();
        room.found(6, 16);
        room.changes(6 << PAGE_SHIFT);
        room.changes(9 << PAGE_SHIFT);
        assert_eq!(room.first_page(16), 6);
        room.changes(2 << PAGE_SHIFT);
        assert_eq!(room.first_page(16), 2);
        assert_eq!(room.first_page(12), 0);
        room.changes(0);
        assert_eq!(room.first_page(16), 0);
    }

    #[test]
    fn what_is_known_of_a_block_is_of_that_block() {
        let room = Room::new();
        assert_eq!(room.begin_in(4096, 12), 4096);
        room.found_in(4096, 5000, 20);
        assert_eq!(room.begin_in(4096, 20), 5000);
        assert_eq!(room.begin_in(4096, 264), 5000);
        // A shorter entry may fit in before, and another block is another.
        assert_eq!(room.begin_in(4096, 16), 4096);
        assert_eq!(room.begin_in(8192, 20), 8192);
        // Of a longer one, what is known of the shorter stays.
        room.found_in(4096, 5500, 24);
        assert_eq!(room.begin_in(4096, 24), 5000);
        room.found_in(4096, 5400, 20);
        assert_eq!(room.begin_in(4096, 24), 5400);
        room.changes(5400);
        assert_eq!(room.begin_in(4096, 24), 5400);
        room.changes(5396);
        assert_eq!(room.begin_in(4096, 24), 4096);
        room.found_in(4096, 4200, 264);
        assert_eq!(room.begin_in(4096, 264), 4200);
        room.page_is_read();
        assert_eq!(room.begin_in(4096, 264), 4096);
    }

    /// A directory can have no so many pages; if it had, all would be searched.
    #[test]
    fn a_page_without_a_number_is_no_page() {
        let room = Room::new();
        room.found(1 << 40, 16);
        assert_eq!(room.first_page(16), 0);
    }

    /// Against a directory that is searched from its first page each time.
    #[test]
    fn the_first_room_is_found() -> Result {
        const PAGES: usize = 12;
        let mut random = crate::disk::test_images::Random::new(11);
        let room = Room::new();
        let mut free = [40u32; PAGES];

        for _ in 0..4000 {
            if random.below(4) == 0 {
                let page = random.below(PAGES as u64) as usize;
                room.changes((page as u64) << PAGE_SHIFT);
                *free.get_mut(page).ok_or(EINVAL)? += 12;
                continue;
            }
            let bytes = 12 + 4 * random.below(6) as u32;
            let start = room.first_page(bytes) as usize;
            let has_room = |&(_, free): &(usize, &u32)| *free >= bytes;
            let first = free.iter().enumerate().find(has_room).map(|(page, _)| page);
            let found = free.iter().enumerate().skip(start).find(has_room);
            assert_eq!(found.map(|(page, _)| page), first);
            let page = first.unwrap_or(PAGES);
            room.found(page as u64, bytes);
            room.changes((page as u64) << PAGE_SHIFT);
            if let Some(free) = free.get_mut(page) {
                *free -= bytes;
            }
        }
        Ok(())
    }
}
