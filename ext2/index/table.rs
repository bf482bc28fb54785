// SPDX-License-Identifier: GPL-2.0

//! Where names may be, by their hash: a table with open addressing.
//!
//! An entry is a word: 32 bits of the hash, and where the name is in the directory. The table is a
//! power of two, and an entry is at the place that its hash says or behind it, with no empty place
//! between. One that goes is replaced by those behind it that may be there, so that nothing is left
//! of it.
//!
//! Locks: none; who changes it has it for himself.
//!
//! C has no counterpart. The idea is that of FreeBSD's `ufs_dirhash`.

#![deny(unsafe_code)]

use super::memory::Memory;
use kernel::prelude::*;
use rust_mpage::mm::SpareSlice;

/// A bit that each entry has, so that none is 0. Positions are multiples of four.
const IN_USE: u64 = 1 << 30;
const POSITION_SHIFT: u32 = 2;
const HASH_SHIFT: u32 = 32;

/// The first table's entries.
const FIRST: usize = 256;

/// More places than this are not looked at.
pub(crate) const CANDIDATES: usize = 4;

/// Where a name of some hash may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidates {
    positions: [u32; CANDIDATES],
    /// How many there are, or more than fit.
    count: usize,
}

impl Candidates {
    const NONE: Self = Self {
        positions: [0; CANDIDATES],
        count: 0,
    };

    fn add(&mut self, position: u32) {
        if let Some(slot) = self.positions.get_mut(self.count) {
            *slot = position;
        }
        self.count = self.count.saturating_add(1);
    }

    /// The positions, in the directory's order. `None` if there are too many.
    pub(crate) fn in_order(&mut self) -> Option<&[u32]> {
        let positions = self.positions.get_mut(..self.count)?;
        positions.sort_unstable();
        Some(positions)
    }
}

/// So many entries of one hash are in a table at most. Names are as good as never alike in it,
/// unless a hostile disk has the same name over and over: each would be looked at for each.
const MOST_ALIKE: u32 = 512;

/// The table.
pub(crate) struct Table {
    slots: Option<SpareSlice<u64>>,
    len: usize,
    /// How often in a row there was no memory for a larger table, six times at most.
    refusals: u32,
    /// So many more times none is asked for.
    skip: u32,
}

fn slot_of(hash: u32, position: u32) -> u64 {
    u64::from(hash) << HASH_SHIFT | IN_USE | u64::from(position >> POSITION_SHIFT)
}

fn hash_of(slot: u64) -> u32 {
    (slot >> HASH_SHIFT) as u32
}

fn position_of(slot: u64) -> u32 {
    ((slot & (IN_USE - 1)) as u32) << POSITION_SHIFT
}

/// Puts an entry into a table that has an empty place. Whether it did: not if too many are alike.
#[inline(always)]
fn put(slots: &mut [u64], slot: u64) -> bool {
    let mask = slots.len() - 1;
    let mut at = hash_of(slot) as usize & mask;
    let mut alike = 0;

    while let Some(place) = slots.get_mut(at) {
        if *place == 0 {
            *place = slot;
            return true;
        }
        if hash_of(*place) == hash_of(slot) {
            alike += 1;
            if alike == MOST_ALIKE {
                return false;
            }
        }
        at = (at + 1) & mask;
    }
    false
}

impl Table {
    /// Nothing, and no memory.
    pub(crate) const fn new() -> Self {
        Self {
            slots: None,
            len: 0,
            refusals: 0,
            skip: 0,
        }
    }

    /// How many entries there are.
    #[cfg(CONFIG_KUNIT)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Gets its memory back. Without any there are no entries.
    #[inline]
    pub(crate) fn attach(&mut self, slots: Option<SpareSlice<u64>>) {
        if slots.is_none() {
            self.len = 0;
        }
        self.slots = slots;
    }

    /// Its memory, to be got back.
    #[inline]
    pub(crate) fn detach(&mut self) -> Option<SpareSlice<u64>> {
        self.slots.take()
    }

    fn capacity(&self) -> usize {
        self.slots.as_ref().map_or(0, |slots| slots.len())
    }

    /// Has room for so many entries more, in a table that is then no more than three quarters full.
    /// Whether there is.
    pub(crate) fn prepare(&mut self, more: usize, memory: &impl Memory) -> bool {
        let Some(len) = self.len.checked_add(more) else {
            return false;
        };
        let fits = |capacity: usize| len <= capacity / 4 * 3;
        if fits(self.capacity()) {
            return true;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let mut capacity = self.capacity().max(FIRST);
        while !fits(capacity) {
            match capacity.checked_mul(2) {
                Some(twice) => capacity = twice,
                None => return false,
            }
        }
        let Some(mut slots) = memory.words(capacity) else {
            self.refusals = (self.refusals + 1).min(6);
            self.skip = 1 << self.refusals;
            return false;
        };
        for &slot in self.slots.iter().flat_map(|slots| slots.iter()) {
            // There are no more alike than in the old one.
            if slot != 0 {
                put(&mut slots, slot);
            }
        }
        self.slots = Some(slots);
        self.refusals = 0;
        true
    }

    /// Adds an entry. Where there is no memory for a larger table it may get fuller than
    /// [`prepare`](Self::prepare) lets it. Whether it was added.
    pub(crate) fn insert(&mut self, hash: u32, position: u32, memory: &impl Memory) -> bool {
        if !self.prepare(1, memory) && self.len >= self.capacity() / 8 * 7 {
            return false;
        }
        let Some(slots) = &mut self.slots else {
            return false;
        };
        let is_in = put(slots, slot_of(hash, position));
        self.len += usize::from(is_in);
        is_in
    }

    /// Removes an entry. Whether it was there.
    pub(crate) fn remove(&mut self, hash: u32, position: u32) -> bool {
        let Some(slots) = &mut self.slots else {
            return false;
        };
        let mask = slots.len() - 1;
        let wanted = slot_of(hash, position);
        let mut hole = hash as usize & mask;
        loop {
            match slots.get(hole) {
                Some(&slot) if slot == wanted => break,
                Some(0) | None => return false,
                Some(_) => hole = (hole + 1) & mask,
            }
        }
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = match slots.get(at) {
                Some(0) | None => break,
                Some(&slot) => slot,
            };
            // It may be moved if its place is not behind the hole.
            let from_home = at.wrapping_sub(hash_of(slot) as usize) & mask;
            if from_home >= at.wrapping_sub(hole) & mask {
                if let Some(place) = slots.get_mut(hole) {
                    *place = slot;
                }
                hole = at;
            }
        }
        if let Some(place) = slots.get_mut(hole) {
            *place = 0;
        }
        self.len -= 1;
        true
    }

    /// Where a name with this hash may be.
    pub(crate) fn find(&self, hash: u32) -> Candidates {
        let mut found = Candidates::NONE;
        let Some(slots) = &self.slots else {
            return found;
        };
        let mask = slots.len() - 1;
        let mut at = hash as usize & mask;

        while let Some(&slot) = slots.get(at) {
            if slot == 0 {
                break;
            }
            if hash_of(slot) == hash {
                found.add(position_of(slot));
            }
            at = (at + 1) & mask;
        }
        found
    }
}

#[kunit_tests(rust_ext2_index_table)]
mod tests {
    use super::{
        super::memory::Machine,
        *, //
    };

    #[test]
    fn words_have_hash_and_position() {
        for position in [0, 4, 0x7fff_fffc, 0xffff_fffc] {
            let slot = slot_of(0xdead_beef, position);
            assert!(hash_of(slot) == 0xdead_beef && position_of(slot) == position);
        }
        assert!(slot_of(0, 0) != 0);
    }

    #[test]
    fn entries_of_one_hash_are_all_found() {
        let mut table = Table::new();
        for position in [40, 16, 28] {
            assert!(table.insert(7, position, &Machine));
        }
        assert_eq!(table.find(7).in_order(), Some(&[16, 28, 40][..]));
        assert_eq!(table.find(8).in_order(), Some(&[][..]));
        assert!(table.insert(7, 52, &Machine) && table.find(7).in_order().is_some());
        // More than fit: whoever asks has to look everywhere.
        assert!(table.insert(7, 64, &Machine) && table.find(7).in_order().is_none());
        assert!(table.remove(7, 28) && !table.remove(7, 28));
        assert_eq!(table.find(7).in_order(), Some(&[16, 40, 52, 64][..]));
    }

    #[test]
    fn the_same_name_over_and_over_is_refused() {
        let mut table = Table::new();
        for number in 0..MOST_ALIKE {
            assert!(table.insert(9, number * 4, &Machine));
        }
        assert!(!table.insert(9, 0x10000, &Machine));
        assert!(table.insert(10, 0x10000, &Machine));
        assert_eq!(table.len(), MOST_ALIKE as usize + 1);
        assert_eq!(table.find(10).in_order(), Some(&[0x10000][..]));
    }

    /// There is no memory for a while, and then there is.
    #[test]
    fn a_refusal_is_not_for_ever() {
        struct Once(core::cell::Cell<u32>);
        impl Memory for Once {
            fn words(&self, count: usize) -> Option<SpareSlice<u64>> {
                let left = self.0.get();
                self.0.set(left.saturating_sub(1));
                (left == 0).then(|| Machine.words(count)).flatten()
            }
            fn bytes(&self, count: usize) -> Option<SpareSlice<u8>> {
                Machine.bytes(count)
            }
        }
        let memory = Once(core::cell::Cell::new(3));
        let mut table = Table::new();
        let asked = (0..100).position(|_| table.prepare(5, &memory));
        assert_eq!(asked, Some(1 + 2 + 1 + 4 + 1 + 8));
    }

    /// Hashes at the end of the table, whose entries go on at its beginning.
    #[test]
    fn what_is_behind_a_removed_entry_is_found() {
        let mut table = Table::new();
        let last = FIRST as u32 - 1;
        let entries = [(last, 4), (last, 8), (0, 12), (last - 1, 16), (1, 20)];
        for (hash, position) in entries {
            assert!(table.insert(hash, position, &Machine));
        }
        assert!(table.remove(last, 4));
        assert_eq!(table.find(last).in_order(), Some(&[8][..]));
        assert_eq!(table.find(0).in_order(), Some(&[12][..]));
        assert_eq!(table.find(1).in_order(), Some(&[20][..]));
        assert!(table.remove(last - 1, 16) && table.remove(1, 20) && table.remove(last, 8));
        assert!(table.remove(0, 12) && table.len() == 0);
        assert!(table
            .slots
            .iter()
            .all(|slots| slots.iter().all(|&slot| slot == 0)));
    }
}
