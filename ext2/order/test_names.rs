// SPDX-License-Identifier: GPL-2.0

//! What is on a simulated disk, and the rules of names for that: inodes with counts of links, and
//! directories of a page each.

use super::test_device::Medium;

pub(super) const INODES: usize = 10;
pub(super) const DIRECTORIES: usize = 3;
pub(super) const SLOTS: usize = 6;

/// An inode on the disk.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Image {
    /// Which of the inodes that have had the number.
    pub(super) generation: u32,
    pub(super) links: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) inode: usize,
    pub(super) generation: u32,
}

pub(super) type Page = [Option<Entry>; SLOTS];

#[derive(Clone, Copy)]
pub(super) enum Write {
    Image(usize, Image),
    Page(usize, Page),
}

#[derive(Clone, Copy)]
pub(super) struct Disk {
    pub(super) images: [Image; INODES],
    pub(super) pages: [Page; DIRECTORIES],
    /// The inodes, by their generations, that have been on it with a name since a sync, and of
    /// which no name has been removed: they may have moved. Else 0.
    pub(super) lasting: [u32; INODES],
}

impl Disk {
    /// Nothing is there.
    pub(super) fn new() -> Self {
        Self {
            images: [Image::default(); INODES],
            pages: [[None; SLOTS]; DIRECTORIES],
            lasting: [0; INODES],
        }
    }
}

impl Medium for Disk {
    type Write = Write;

    fn put(&mut self, write: &Write) {
        match *write {
            Write::Image(at, image) => self.images[at] = image,
            Write::Page(at, page) => self.pages[at] = page,
        }
    }

    /// Each name leads to what was named so, which has a link for it; and what has only moved
    /// has a name.
    fn wrong(&self) -> Option<&'static str> {
        for (number, image) in self.images.iter().enumerate() {
            let entries = self.pages.iter().flatten().flatten();
            let mut names = entries.filter(|entry| entry.inode == number);
            if names.clone().count() > image.links as usize {
                return Some("an inode with more names than links");
            }
            if names
                .clone()
                .any(|entry| entry.generation != image.generation)
            {
                return Some("a name that leads to another inode");
            }
            let lasting = self.lasting[number];
            if lasting != 0 && !names.any(|entry| entry.generation == lasting) {
                return Some("an inode that moved and has lost its name");
            }
        }
        None
    }
}
