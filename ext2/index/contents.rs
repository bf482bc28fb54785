// SPDX-License-Identifier: GPL-2.0

//! What is known of the names in the first blocks of a directory, and of what these blocks have
//! room for.
//!
//! Locks: none; who changes it has it for himself.

#![deny(unsafe_code)]

use super::{
    memory::Memory,
    rooms::{
        Rooms,
        Units, //
    },
    table::{
        Candidates,
        Table, //
    },
};
use rust_mpage::mm::SpareParts;

/// A name that is in a directory: its hash, and where its entry starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Name {
    pub(crate) hash: u32,
    pub(crate) position: u32,
}

/// What was changed in a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// A name has come to a block.
    Added(Name),
    /// A name has come in a new block, the last, which has that room left.
    AddedBlock(Name, Units),
    /// A name has gone, where there is that room.
    Removed(Name, Units),
}

/// What is known.
pub(crate) struct Contents {
    table: Table,
    rooms: Rooms,
}

impl Contents {
    /// Nothing.
    pub(crate) const fn new() -> Self {
        Self {
            table: Table::new(),
            rooms: Rooms::new(),
        }
    }

    /// All names of so many blocks are known.
    pub(crate) fn covered(&self) -> u32 {
        // A directory has no so many blocks.
        self.rooms.len() as u32
    }

    /// Where a name may be, if it is in one of the covered blocks.
    pub(crate) fn find(&self, hash: u32) -> Candidates {
        self.table.find(hash)
    }

    /// Learns the names of the block that follows the covered ones, `count` of them, and its room.
    /// Whether it is covered now. If not, there was no memory, and nothing has changed, or too many
    /// names have one hash, and nothing is known any more.
    pub(crate) fn learn(
        &mut self,
        count: usize,
        names: impl Iterator<Item = Name>,
        room: Units,
        memory: &impl Memory,
    ) -> bool {
        if !self.table.prepare(count, memory) || !self.rooms.prepare(memory) {
            return false;
        }
        let mut learned = 0;
        for name in names {
            learned += usize::from(self.table.insert(name.hash, name.position, memory));
        }
        self.rooms.push(room);
        if learned != count {
            self.forget();
        }
        learned == count
    }

    /// The first block that has room for an entry, if one of the covered ones has.
    pub(crate) fn first_room(&self, needed: Units) -> Option<u32> {
        self.rooms.first(needed).map(|block| block as u32)
    }

    /// Says what room a block has.
    pub(crate) fn set_room(&mut self, block: u32, room: Units) {
        self.rooms.set(block as usize, room);
    }

    /// Notes a change that was made in a block. If that is not possible all is forgotten.
    pub(crate) fn note(&mut self, change: Change, block: u32, memory: &impl Memory) {
        let is_true = match change {
            Change::Added(name) => self.add(name, block, memory),
            Change::AddedBlock(name, room) => self.add_block(name, block, room, memory),
            Change::Removed(name, room) => self.remove(name, block, room),
        };
        if !is_true {
            self.forget();
        }
    }

    /// A name has come to a block. Whether what is known is true: else it is to be forgotten.
    fn add(&mut self, name: Name, block: u32, memory: &impl Memory) -> bool {
        block >= self.covered() || self.table.insert(name.hash, name.position, memory)
    }

    /// A name has come in a new block, which is the last of the directory. As [`add`](Self::add).
    fn add_block(&mut self, name: Name, block: u32, room: Units, memory: &impl Memory) -> bool {
        match block.cmp(&self.covered()) {
            core::cmp::Ordering::Greater => true,
            core::cmp::Ordering::Equal => {
                // Without memory it is not one of the covered ones.
                self.learn(1, core::iter::once(name), room, memory);
                true
            }
            core::cmp::Ordering::Less => false,
        }
    }

    /// A name has left a block, where there is room in its place. As [`add`](Self::add).
    fn remove(&mut self, name: Name, block: u32, room: Units) -> bool {
        if block >= self.covered() {
            return true;
        }
        self.rooms.raise(block as usize, room);
        self.table.remove(name.hash, name.position)
    }

    /// Knows nothing any more, and has no memory.
    pub(crate) fn forget(&mut self) {
        *self = Self::new();
    }

    /// Gets its memory back. Without any nothing is known.
    #[inline]
    pub(crate) fn attach(&mut self, parts: SpareParts) {
        self.table.attach(parts.words);
        self.rooms.attach(parts.bytes);
    }

    /// Its memory, to be got back.
    #[inline]
    pub(crate) fn detach(&mut self) -> SpareParts {
        SpareParts {
            words: self.table.detach(),
            bytes: self.rooms.detach(),
        }
    }

    /// How many names are known.
    #[cfg(CONFIG_KUNIT)]
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}
