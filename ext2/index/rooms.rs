// SPDX-License-Identifier: GPL-2.0

//! What the blocks of a directory have room for, so that the first that has room for a name is
//! found without a look at the others.
//!
//! A tree over the blocks: each node has the larger of its two. What a block is said to have is
//! never less than it has. It may be more, for what a new entry leaves is not looked for: who finds
//! no room in a block says so, and that is what it has then.
//!
//! Locks: none; who changes it has it for himself.
//!
//! C has no counterpart: `ext2_add_link()` begins with the first block.

#![deny(unsafe_code)]

use super::memory::Memory;
use kernel::prelude::*;
use rust_mpage::mm::SpareSlice;

/// Blocks of the first tree.
const FIRST: usize = 16;

/// Bytes in a unit.
const UNIT: u32 = 4;

/// Room for one entry, in units of four bytes. Of more than the longest entry takes it does not
/// matter how much it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Units(u8);

impl Units {
    /// None.
    #[cfg(CONFIG_KUNIT)]
    pub(crate) const NONE: Self = Self(0);

    /// Enough for any entry, or not known.
    pub(crate) const ANY: Self = Self(u8::MAX);

    /// As many as there are in `bytes`.
    pub(crate) fn of_room(bytes: u32) -> Self {
        Self(u8::try_from(bytes / UNIT).unwrap_or(u8::MAX))
    }

    /// Less than these, if there is less.
    pub(crate) fn less(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

/// The rooms of the blocks.
pub(crate) struct Rooms {
    /// Node n has nodes 2n and 2n + 1 below it; those of the second half are the blocks.
    nodes: Option<SpareSlice<u8>>,
    len: usize,
}

impl Rooms {
    /// No blocks, and no memory.
    pub(crate) const fn new() -> Self {
        Self {
            nodes: None,
            len: 0,
        }
    }

    /// How many blocks there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Gets its memory back. Without any there are no blocks.
    #[inline]
    pub(crate) fn attach(&mut self, nodes: Option<SpareSlice<u8>>) {
        if nodes.is_none() {
            self.len = 0;
        }
        self.nodes = nodes;
    }

    /// Its memory, to be got back.
    #[inline]
    pub(crate) fn detach(&mut self) -> Option<SpareSlice<u8>> {
        self.nodes.take()
    }

    fn capacity(&self) -> usize {
        self.nodes.as_ref().map_or(0, |nodes| nodes.len() / 2)
    }

    /// Has memory for one more block. Whether there is.
    pub(crate) fn prepare(&mut self, memory: &impl Memory) -> bool {
        if self.len < self.capacity() {
            return true;
        }
        let capacity = (self.capacity() * 2).max(FIRST);
        let Some(mut nodes) = capacity.checked_mul(2).and_then(|n| memory.bytes(n)) else {
            return false;
        };
        if let Some(old) = &self.nodes {
            let old_blocks = old.iter().skip(self.capacity());
            for (to, from) in nodes.iter_mut().skip(capacity).zip(old_blocks) {
                *to = *from;
            }
        }
        for node in (1..capacity).rev() {
            update(&mut nodes, node);
        }
        self.nodes = Some(nodes);
        true
    }

    /// Adds a block, for which there is memory.
    pub(crate) fn push(&mut self, room: Units) {
        self.len += 1;
        self.set(self.len - 1, room);
    }

    /// Says what a block has.
    pub(crate) fn set(&mut self, block: usize, room: Units) {
        let capacity = self.capacity();
        let Some(nodes) = &mut self.nodes else {
            return;
        };
        if block >= self.len {
            return;
        }
        let mut node = capacity + block;
        if let Some(leaf) = nodes.get_mut(node) {
            *leaf = room.0;
        }
        while node > 1 {
            node /= 2;
            if !update(nodes, node) {
                break;
            }
        }
    }

    /// Says that a block has that much, or more.
    pub(crate) fn raise(&mut self, block: usize, room: Units) {
        if self.get(block).is_some_and(|known| known < room) {
            self.set(block, room);
        }
    }

    fn get(&self, block: usize) -> Option<Units> {
        let nodes = self.nodes.as_ref()?;
        (block < self.len).then_some(Units(*nodes.get(self.capacity() + block)?))
    }

    /// The first block that has room for `needed`, if any does.
    pub(crate) fn first(&self, needed: Units) -> Option<usize> {
        let nodes = self.nodes.as_ref()?;
        let has = |node: usize| nodes.get(node).is_some_and(|&room| room >= needed.0);
        let mut node = 1;
        if !has(node) {
            return None;
        }
        while node < self.capacity() {
            node *= 2;
            if !has(node) {
                node += 1;
            }
        }
        Some(node - self.capacity()).filter(|&block| block < self.len)
    }
}

/// Has a node say the larger of the two below it. Whether that is something else.
fn update(nodes: &mut [u8], node: usize) -> bool {
    let below = |index: usize| nodes.get(index).copied().unwrap_or(0);
    let larger = below(2 * node).max(below(2 * node + 1));

    match nodes.get_mut(node) {
        Some(old) if *old != larger => {
            *old = larger;
            true
        }
        _ => false,
    }
}

#[kunit_tests(rust_ext2_index_rooms)]
mod tests {
    use super::{
        super::memory::Machine,
        *, //
    };
    use crate::disk::test_images::Random;

    #[test]
    fn units_are_whole() {
        assert_eq!(Units::of_room(15), Units(3));
        assert_eq!(Units::of_room(264), Units(66));
        assert_eq!(Units::of_room(4096), Units::ANY);
        assert!(Units::NONE.less() == Units::NONE && Units(3).less() == Units(2));
    }

    /// Against a list that is searched from its beginning.
    #[test]
    fn the_first_room_is_found() -> Result {
        let mut random = Random::new(14);
        let mut rooms = Rooms::new();
        let mut list: KVec<u8> = KVec::new();

        assert_eq!(rooms.first(Units(0)), None);
        for _ in 0..4000 {
            let room = random.below(70) as u8;
            match random.below(8) {
                0 if list.len() < 300 => {
                    assert!(rooms.prepare(&Machine));
                    rooms.push(Units(room));
                    list.push(room, GFP_KERNEL)?;
                }
                1..4 if !list.is_empty() => {
                    let block = random.below(list.len() as u64) as usize;
                    rooms.set(block, Units(room));
                    *list.get_mut(block).ok_or(EINVAL)? = room;
                }
                4 if !list.is_empty() => {
                    let block = random.below(list.len() as u64) as usize;
                    rooms.raise(block, Units(room));
                    let known = list.get_mut(block).ok_or(EINVAL)?;
                    *known = room.max(*known);
                }
                _ => {
                    let needed = room.max(1);
                    let first = list.iter().position(|&room| room >= needed);
                    assert_eq!(rooms.first(Units(needed)), first);
                }
            }
            assert_eq!(rooms.len(), list.len());
        }
        Ok(())
    }
}
