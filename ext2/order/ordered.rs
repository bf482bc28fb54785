// SPDX-License-Identifier: GPL-2.0

//! What is asked of a filesystem whose metadata is written in order.

#![deny(unsafe_code)]

use super::{
    branches::{
        FreshBranches,
        Settled, //
    },
    removals::Removals, //
};
use kernel::{
    fmt,
    prelude::*, //
};
use rust_mpage::fs::{
    Buffer,
    FsInode,
    InodeView,
    SuperBlock,
    WritableFileSystem, //
};

/// A filesystem whose metadata is written in order.
pub(crate) trait Ordered: WritableFileSystem {
    /// Its branches that wait.
    fn branches(sb: &SuperBlock<Self>) -> &FreshBranches;

    /// Its names that wait to be gone.
    fn removals(sb: &SuperBlock<Self>) -> &Removals;

    /// Reports that something could not be written.
    fn corrupt(sb: &SuperBlock<Self>, what: fmt::Arguments<'_>);

    /// Where an inode is: its block of the inode table, and the byte in that.
    fn place(sb: &SuperBlock<Self>, inode: u32) -> Result<(u32, u32)>;

    /// Stores the image of an inode, as far as it may be on the disk when its branches are as
    /// `settled` says. Whether that is all of it.
    fn store_known(
        inode: &InodeView<Self>,
        buffer: &Buffer,
        offset: usize,
        settled: Settled,
    ) -> Result<bool>;

    /// Takes links from the image of an inode that is not in memory.
    fn take_links(buffer: &Buffer, offset: usize, links: u32) -> Result;

    /// Whether the image at byte `offset` of `buffer` is one of a file with this block of
    /// attributes.
    fn has_attributes(buffer: &Buffer, offset: usize, block: u32) -> Result<bool>;

    /// Lowers the count of inodes that have a block of attributes.
    fn lose_owner(sb: &SuperBlock<Self>, block: u32) -> Result;

    /// The images of an inode have so many links more, from now on.
    fn keep_links(inode: &FsInode<Self>, links: u32);

    /// So many of them are given up.
    fn give_up_links(inode: &InodeView<Self>, links: u32);

    /// Stores the image of a directory with all that it has in front of byte `end`.
    fn store_up_to(directory: &FsInode<Self>, end: u64) -> Result;

    /// A directory leaves memory. Whether names may be on the disk that have moved from it, and not
    /// where they are now.
    fn moves_end(directory: &FsInode<Self>) -> bool;

    /// Whether names of it are kept back from the disk.
    fn is_held_back(inode: &FsInode<Self>) -> bool;

    /// Whether the disk may have the inode.
    fn is_on_disk(inode: &FsInode<Self>) -> bool;
}
