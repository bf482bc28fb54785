// SPDX-License-Identifier: GPL-2.0

//! What is on a simulated disk, and the rules of blocks for that: files and directories of a few
//! blocks, in trees of pointers.

use super::test_device::Medium;
use core::array::from_fn;

pub(super) const INODES: usize = 4;
/// Blocks that files and directories can have. Those behind them have an inode each.
pub(super) const BLOCKS: usize = 18;
/// Pointers of an array.
pub(super) const POINTERS: usize = 2;
/// For each pointer of an inode how many arrays are on the way to data.
pub(super) const ROOTS: usize = 3;
/// The first block of a file behind each of these pointers, and the end.
pub(super) const FIRST: [usize; ROOTS + 1] = [0, 1, 3, 7];

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pointer {
    pub(super) block: usize,
    /// What it leads to has the same: no block has it twice. 0 for a null pointer.
    pub(super) stamp: u32,
}

impl Pointer {
    pub(super) const fn is_null(self) -> bool {
        self.stamp == 0
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) is_used: bool,
    pub(super) is_directory: bool,
    pub(super) size: usize,
    pub(super) pointers: [Pointer; ROOTS],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents {
    Data,
    Directory(u32),
    Array(u32, [Pointer; POINTERS]),
    Inode(Image),
}

#[derive(Clone, Copy)]
pub(super) struct Disk(pub(super) [Contents; BLOCKS + INODES]);

impl Disk {
    /// Nothing is there.
    pub(super) fn new() -> Self {
        Self(from_fn(|block| match block < BLOCKS {
            true => Contents::Data,
            false => Contents::Inode(Image::default()),
        }))
    }

    /// Looks at what a pointer leads to, and counts the owners of each block there.
    pub(super) fn walk(
        &self,
        pointer: Pointer,
        height: usize,
        is_directory: bool,
        owners: &mut [u32; BLOCKS],
    ) -> Option<&'static str> {
        if pointer.is_null() {
            return None;
        }
        owners[pointer.block] += 1;
        if owners[pointer.block] > 1 {
            return Some("a block with two owners");
        }
        match self.0[pointer.block] {
            Contents::Array(stamp, pointers) if height != 0 && stamp == pointer.stamp => {
                let mut pointers = pointers.into_iter();
                pointers.find_map(|next| self.walk(next, height - 1, is_directory, owners))
            }
            _ if height != 0 => Some("a pointer to what is not its array"),
            Contents::Directory(stamp) if stamp == pointer.stamp => None,
            _ if is_directory => Some("a pointer to what is not the directory's"),
            _ => None,
        }
    }

    /// Whether a file has its block number `at`.
    fn has(&self, image: &Image, at: usize) -> bool {
        let (offsets, height) = path(at);
        let mut pointer = image.pointers[offsets[0]];
        for &offset in &offsets[1..=height] {
            match self.0[pointer.block] {
                Contents::Array(_, pointers) if !pointer.is_null() => {
                    pointer = pointers[offset];
                }
                _ => return false,
            }
        }
        !pointer.is_null()
    }
}

impl Medium for Disk {
    type Write = (usize, Contents);

    fn put(&mut self, &(block, contents): &Self::Write) {
        self.0[block] = contents;
    }

    fn wrong(&self) -> Option<&'static str> {
        let mut owners = [0; BLOCKS];
        for contents in &self.0[BLOCKS..] {
            let Contents::Inode(image) = contents else {
                return Some("a block of the inode table that is none");
            };
            if !image.is_used {
                continue;
            }
            let mut roots = (0..).zip(image.pointers);
            let found = roots.find_map(|(height, pointer)| {
                self.walk(pointer, height, image.is_directory, &mut owners)
            });
            if found.is_some() {
                return found;
            }
            if image.is_directory && !(0..image.size).all(|at| self.has(image, at)) {
                return Some("a directory with a hole");
            }
        }
        None
    }
}

/// The numbers of the pointers on the way to a block of a file, and how many arrays are there.
pub(super) fn path(at: usize) -> ([usize; ROOTS], usize) {
    let height = (0..ROOTS).rfind(|&root| FIRST[root] <= at).unwrap_or(0);
    let behind = at - FIRST[height];
    match height {
        0 => ([0, 0, 0], 0),
        1 => ([1, behind, 0], 1),
        _ => ([2, behind / POINTERS, behind % POINTERS], 2),
    }
}
