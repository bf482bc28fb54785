// SPDX-License-Identifier: GPL-2.0

//! What is in memory of the files and directories on a simulated disk, and how they grow.
//!
//! As in `map` and `inode`, from which the names of functions are that are said below.

use super::{
    batch::Batches,
    branches::Settled,
    pending_cuts::PendingCuts,
    test_blocks::{
        path,
        Contents,
        Disk,
        Image,
        Pointer,
        BLOCKS,
        FIRST,
        INODES,
        POINTERS,
        ROOTS, //
    },
    test_device::Device, //
};
use crate::{
    disk::{
        test_images::Random,
        INODE_POINTERS,
        SIZE_ROOT, //
    },
    inode::disk_only::DiskOnly, //
};
use kernel::prelude::*;

/// Where pointers are.
#[derive(Clone, Copy)]
pub(super) enum Array {
    Inode,
    Block(usize),
}

/// What the disk is told by that a pointer was cut.
#[derive(Clone, Copy)]
pub(super) enum Guard {
    NotNeeded,
    Block(usize),
    Missing,
}

/// A block that is to be on the medium before the pointer to it.
pub(super) struct Branch {
    pub(super) inode: usize,
    pub(super) block: Option<usize>,
    pub(super) has_failed: bool,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Inode {
    pub(super) image: Image,
    pub(super) disk: DiskOnly,
}

/// A block in memory.
#[derive(Clone, Copy)]
pub(super) struct Buffer {
    pub(super) contents: Contents,
    pub(super) is_dirty: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Free,
    Used,
    /// Nobody's, until all is on the medium.
    Abandoned,
}

/// What is in memory, and the device.
pub(super) struct Store {
    pub(super) inodes: [Inode; INODES],
    /// None of data.
    pub(super) buffers: [Option<Buffer>; BLOCKS + INODES],
    pub(super) states: [State; BLOCKS],
    pub(super) cuts: PendingCuts,
    pub(super) stuck: PendingCuts,
    pub(super) device: Device<Disk>,
    pub(super) random: Random,
    pub(super) stamp: u32,
    /// Whose tree of pointers nobody else may change now.
    pub(super) locked: Option<usize>,
    /// Nobody does anything while something is settled.
    pub(super) is_alone: bool,
    /// How often an image, or a freed block, had to wait.
    pub(super) waited: [u32; 2],
}

impl Store {
    pub(super) fn new(seed: u64, failing: u64) -> Result<KBox<Self>> {
        let store = Self {
            inodes: [Inode::default(); INODES],
            buffers: [None; BLOCKS + INODES],
            states: [State::Free; BLOCKS],
            cuts: PendingCuts::new()?,
            stuck: PendingCuts::new()?,
            device: Device::new(Disk::new(), seed + 1000, failing),
            random: Random::new(seed),
            stamp: 0,
            locked: None,
            is_alone: false,
            waited: [0; 2],
        };
        Ok(KBox::new(store, GFP_KERNEL)?)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.random.below(limit as u64) as usize
    }

    pub(super) fn dirty(&mut self, block: usize, contents: Contents) {
        self.buffers[block] = Some(Buffer {
            contents,
            is_dirty: true,
        });
    }

    /// Writes a block, if there is anything to write.
    pub(super) fn write(&mut self, block: usize) -> Result {
        if let Some(buffer) = self.buffers[block].as_mut().filter(|it| it.is_dirty) {
            self.device.write((block, buffer.contents))?;
            buffer.is_dirty = false;
        }
        Ok(())
    }

    /// Writes any of the dirty blocks.
    pub(super) fn write_any(&mut self) -> Result {
        let from = self.below(BLOCKS + INODES);
        let mut blocks = Iterator::chain(from..BLOCKS + INODES, 0..from);
        let block = blocks.find(|&block| self.buffers[block].is_some_and(|it| it.is_dirty));
        block.map_or(Ok(()), |block| self.write(block))
    }

    /// Writes a block of a file's data.
    pub(super) fn write_data(&mut self, inode: usize) -> Result {
        let at = self.below(FIRST[ROOTS]);
        let (_, _, pointer) = self.find(inode, at);
        match pointer.is_null() || self.inodes[inode].image.is_directory {
            true => Ok(()),
            false => self.device.write((pointer.block, Contents::Data)),
        }
    }

    /// The array with the last pointer on the way to a block of a file that is there, or that
    /// is missing first; its level; and the pointer.
    fn find(&self, inode: usize, at: usize) -> (Array, usize, Pointer) {
        let (offsets, height) = path(at);
        let (mut array, mut level) = (Array::Inode, 0);
        loop {
            let pointer = self.array(inode, array)[offsets[level]];
            if level == height || pointer.is_null() {
                return (array, level, pointer);
            }
            array = Array::Block(pointer.block);
            level += 1;
        }
    }

    pub(super) fn array(&self, inode: usize, array: Array) -> &[Pointer] {
        match array {
            Array::Inode => &self.inodes[inode].image.pointers,
            Array::Block(block) => match &self.buffers[block] {
                Some(Buffer {
                    contents: Contents::Array(_, pointers),
                    ..
                }) => pointers,
                _ => &[],
            },
        }
    }

    pub(super) fn set(&mut self, inode: usize, array: Array, index: usize, pointer: Pointer) {
        match array {
            Array::Inode => self.inodes[inode].image.pointers[index] = pointer,
            Array::Block(block) => {
                if let Some(buffer) = &mut self.buffers[block] {
                    if let Contents::Array(_, pointers) = &mut buffer.contents {
                        pointers[index] = pointer;
                        buffer.is_dirty = true;
                    }
                }
            }
        }
    }

    /// As `Cuts::write`.
    pub(super) fn write_cuts(&mut self) -> Result {
        let mut result = Ok(());
        for guards in [self.cuts.guards(), self.stuck.guards()] {
            for &guard in guards {
                let buffer = &mut self.buffers[guard as usize];
                if let Some(buffer) = buffer.as_mut().filter(|it| it.is_dirty) {
                    let written = self.device.write((guard as usize, buffer.contents));
                    buffer.is_dirty = written.is_err();
                    result = result.and(written);
                }
            }
        }
        if result.and(self.device.flush()).is_err() {
            self.stuck.absorb(&mut self.cuts)?;
            return Err(EIO);
        }
        self.cuts.clear();
        self.stuck.clear();
        Ok(())
    }

    fn is_pending(&self, block: usize) -> bool {
        self.cuts.has(block as u32, 1) || self.stuck.has(block as u32, 1)
    }

    /// A free block for an inode, as the disk says, too.
    fn allocate(&mut self) -> Result<Pointer> {
        let from = self.below(BLOCKS);
        let mut blocks = Iterator::chain(from..BLOCKS, 0..from);
        let block = blocks
            .find(|&block| self.states[block] == State::Free)
            .ok_or(ENOSPC)?;
        if self.is_pending(block) {
            self.waited[1] += 1;
            self.write_cuts()?;
        }
        self.states[block] = State::Used;
        self.stamp += 1;
        Ok(Pointer {
            block,
            stamp: self.stamp,
        })
    }

    /// Frees a block that nothing points to any more.
    pub(super) fn free(&mut self, block: usize, guard: Guard) {
        let noted = match guard {
            Guard::NotNeeded => true,
            Guard::Block(guard) => self.cuts.add(block as u32, 1, guard as u32).is_ok(),
            Guard::Missing => false,
        };
        if !noted {
            // It may be a guard, and stays one.
            self.states[block] = State::Abandoned;
            return;
        }
        self.buffers[block] = None;
        self.states[block] = State::Free;
    }

    pub(super) fn free_subtree(&mut self, pointer: Pointer, height: usize, guard: Guard) {
        for index in 0..POINTERS {
            let array = self.array(0, Array::Block(pointer.block));
            match array.get(index) {
                Some(&next) if height != 0 && !next.is_null() => {
                    self.free_subtree(next, height - 1, guard);
                }
                _ => (),
            }
        }
        self.free(pointer.block, guard);
    }

    /// Stores the image of an inode without the pointers that `left` says of those that wait.
    /// The batch to wait for, if it says that it is not to be stored.
    pub(super) fn store(
        &mut self,
        number: usize,
        left: impl FnOnce(&mut DiskOnly, u32) -> Option<u32>,
    ) -> Option<u64> {
        let inode = &mut self.inodes[number];
        let mut image = inode.image;
        let mut pointers = [0; INODE_POINTERS];
        for (to, from) in pointers.iter_mut().zip(image.pointers) {
            *to = from.stamp;
        }
        let waiting = match image.is_used {
            true => inode.disk.waiting(&pointers, 0, image.size as u64),
            false => 0,
        };
        let Some(left) = left(&mut inode.disk, waiting) else {
            self.waited[0] += 1;
            return Some(inode.disk.fresh_batch);
        };
        let old = match self.buffers[BLOCKS + number].map(|buffer| buffer.contents) {
            Some(Contents::Inode(old)) if inode.disk.is_on_disk => old,
            _ => Image::default(),
        };
        for (root, to) in image.pointers.iter_mut().enumerate() {
            if left & 1 << root != 0 {
                *to = old.pointers[root];
            }
        }
        if left != 0 && image.is_directory {
            image.size = image.size.min(old.size);
        }
        inode.disk.is_on_disk |= image.is_used;
        self.dirty(BLOCKS + number, Contents::Inode(image));
        None
    }
}

pub(super) type Branches = Batches<Branch>;

/// Where a file grows: which one, behind which of its pointers, and the level of the array that
/// gets a pointer.
#[derive(Clone, Copy)]
pub(super) struct Place {
    inode: usize,
    root: u32,
    level: usize,
}

/// Growth, which waits for no batch of branches.
impl Store {
    /// A directory gets the next block, a file any.
    pub(super) fn grow(&mut self, branches: &Branches, inode: usize) -> Result {
        let image = self.inodes[inode].image;
        // Directories have no holes.
        let at = match image.is_directory {
            true => image.size,
            false => self.below(FIRST[ROOTS]),
        };
        match at == FIRST[ROOTS] {
            true => Ok(()),
            false => self.grow_at(branches, inode, at),
        }
    }

    /// A file or directory gets block number `at`, unless it has it.
    pub(super) fn grow_at(&mut self, branches: &Branches, inode: usize, at: usize) -> Result {
        let image = self.inodes[inode].image;
        let (offsets, height) = path(at);
        let (array, level, pointer) = self.find(inode, at);
        if !pointer.is_null() {
            return Ok(());
        }
        let place = Place {
            inode,
            root: offsets[0] as u32,
            level,
        };
        // That of data first.
        let mut made = KVec::new();
        let result = self.make(branches, place, &offsets[level + 1..=height], &mut made);
        let top = match made.last() {
            Some(&top) if result.is_ok() => top,
            _ => {
                for pointer in made {
                    self.free(pointer.block, Guard::NotNeeded);
                }
                return result;
            }
        };
        self.set(inode, array, offsets[level], top);
        // As `fresh::note_pointers`.
        if let (Array::Block(block), true) = (array, image.is_directory) {
            let batch = add(branches, inode, Some(block))?;
            self.note_fresh(branches, inode, SIZE_ROOT, batch);
        }
        self.inodes[inode].image.size = image.size.max(at + 1);
        Ok(())
    }

    /// Makes a block, and the arrays that lead to it by `offsets`, those of the top first.
    fn make(
        &mut self,
        branches: &Branches,
        place: Place,
        offsets: &[usize],
        made: &mut KVec<Pointer>,
    ) -> Result {
        for _ in 0..=offsets.len() {
            made.push(self.allocate()?, GFP_KERNEL)?;
        }
        if self.inodes[place.inode].image.is_directory {
            self.initialise(branches, place, made[0])?;
        }
        for (at, &offset) in offsets.iter().rev().enumerate() {
            let mut pointers = [Pointer::default(); POINTERS];
            pointers[offset] = made[at];
            let Pointer { block, stamp } = made[at + 1];
            self.dirty(block, Contents::Array(stamp, pointers));
        }
        match offsets.is_empty() {
            true => Ok(()),
            false => self.note_or_write(branches, place, &made[1..]),
        }
    }

    /// As `first_block::note`, and `fresh::initialise`.
    fn initialise(&mut self, branches: &Branches, place: Place, to: Pointer) -> Result {
        self.dirty(to.block, Contents::Directory(to.stamp));
        if self.inodes[place.inode].image.size == 0 {
            let batch = add(branches, place.inode, Some(to.block))?;
            self.note_fresh(branches, place.inode, 0, batch);
            return Ok(());
        }
        self.write(to.block)?;
        let batch = add(branches, place.inode, None)?;
        if place.level == 0 {
            self.note_fresh(branches, place.inode, place.root, batch);
            return Ok(());
        }
        let disk = &mut self.inodes[place.inode].disk;
        match disk.note_fresher(place.root, batch) {
            true => Ok(()),
            false => self.device.flush(),
        }
    }

    /// As `fresh::note_or_write`.
    fn note_or_write(&mut self, branches: &Branches, place: Place, made: &[Pointer]) -> Result {
        let Place { inode, root, level } = place;
        if level == 0 || self.inodes[inode].disk.is_fresh(root) {
            let mut batch = 0;
            for array in made {
                batch = add(branches, inode, Some(array.block))?;
            }
            if level == 0 {
                self.note_fresh(branches, inode, root, batch);
                return Ok(());
            }
            if self.inodes[inode].disk.note_fresher(root, batch) {
                return Ok(());
            }
        }
        for array in made {
            self.write(array.block)?;
        }
        self.device.flush()
    }

    fn note_fresh(&mut self, branches: &Branches, inode: usize, root: u32, batch: u64) {
        let settled = settled_of(branches, inode);
        self.inodes[inode].disk.note_fresh(root, batch, settled);
    }

    /// Brings branches to the medium; those stay that could not be written.
    pub(super) fn settle(&mut self, branches: &Branches, waiting: &mut KVVec<Branch>) {
        if waiting.is_empty() {
            return;
        }
        for branch in waiting.iter_mut() {
            branch.has_failed = match branch.block {
                Some(block) => self.write(block).is_err(),
                None => false,
            };
        }
        let other = self.below(INODES);
        // Who asks what has failed waits until this is done.
        let is_free = self.is_used(other) && self.locked != Some(other);
        if is_free && !self.is_alone && !branches.has_failures() {
            let _ = self.grow(branches, other);
        }
        if self.device.flush().is_ok() {
            waiting.retain(|branch| branch.has_failed);
        }
    }

    pub(super) fn is_used(&self, inode: usize) -> bool {
        self.inodes[inode].image.is_used
    }
}

pub(super) fn add(branches: &Branches, inode: usize, block: Option<usize>) -> Result<u64> {
    let branch = Branch {
        inode,
        block,
        has_failed: false,
    };
    Ok(branches.add(branch)?.0)
}

pub(super) fn settled_of(branches: &Branches, inode: usize) -> Settled {
    Settled::of(branches, |branch| branch.inode == inode)
}
