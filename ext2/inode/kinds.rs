// SPDX-License-Identifier: GPL-2.0

//! The kinds of inodes and of page caches that there are, and of which an inode is. What the VFS
//! can do with each is where that is done, as far as it is not the same for all.
//!
//! Locks: none.

#![deny(unsafe_code)]

use super::data::Ext2Inode;
use crate::{
    disk::{
        inode_decode::DeviceNumber,
        inode_flags,
        mode, //
    },
    mount::Ext2, //
};
use core::marker::PhantomData;
use rust_mpage::fs::{
    InodeOperations,
    InodeView,
    StatAttributes, //
};

/// The pages of regular files.
pub(crate) struct PageCache;

/// The pages of what has buffers, which `W` writes.
pub(crate) struct BufferedPages<W>(PhantomData<W>);

/// Targets of symbolic links.
pub(crate) struct Targets;

/// Names, in directories.
pub(crate) struct Names;

/// The pages of symbolic links that have their target in a block.
pub(crate) type LinkPages = BufferedPages<Targets>;

/// The pages of directories: they are written after the inodes that the names in them lead to.
pub(crate) type DirectoryPages = BufferedPages<Names>;

/// What every file can do.
pub(crate) struct File;

impl InodeOperations for File {
    type FileSystem = Ext2;

    const ATTRIBUTES: StatAttributes = StatAttributes::APPEND
        .with(StatAttributes::COMPRESSED)
        .with(StatAttributes::ENCRYPTED)
        .with(StatAttributes::IMMUTABLE)
        .with(StatAttributes::NO_DUMP);

    fn attributes(inode: &Ext2Inode) -> StatAttributes {
        stat_attributes(inode)
    }

    fn sectors_to_come(inode: &Ext2Inode) -> u64 {
        let size = inode.super_block().data().geometry.block_size();
        u64::from(inode.data().delay.to_come()) * u64::from(size.sectors())
    }
}

/// What directories can do.
pub(crate) struct Directory;

impl InodeOperations for Directory {
    type FileSystem = Ext2;

    const ATTRIBUTES: StatAttributes = File::ATTRIBUTES;

    fn attributes(inode: &Ext2Inode) -> StatAttributes {
        File::attributes(inode)
    }
}

/// Whether the inode has a tree of block pointers: files, directories, and symbolic links with
/// their target in a block.
pub(crate) fn has_block_tree(inode: &InodeView<Ext2>) -> bool {
    match inode.mode() & mode::TYPE_MASK {
        mode::REGULAR | mode::DIRECTORY => true,
        mode::SYMLINK => !inode.data().is_fast_symlink(),
        _ => false,
    }
}

/// Whether it is a regular file.
pub(crate) fn is_regular(inode: &Ext2Inode) -> bool {
    inode.mode() & mode::TYPE_MASK == mode::REGULAR
}

/// The number of the device that the inode stands for, if it does.
pub(crate) fn device_of(inode: &InodeView<Ext2>) -> Option<DeviceNumber> {
    match inode.mode() & mode::TYPE_MASK {
        mode::CHARACTER | mode::BLOCK => {
            let number = inode.device_number();
            Some(DeviceNumber {
                major: number.major(),
                minor: number.minor(),
            })
        }
        _ => None,
    }
}

/// The flags that `statx(2)` shows.
fn stat_attributes(inode: &Ext2Inode) -> StatAttributes {
    let flags = inode.data().flags();
    [
        (inode_flags::APPEND, StatAttributes::APPEND),
        (inode_flags::COMPRESS, StatAttributes::COMPRESSED),
        (inode_flags::IMMUTABLE, StatAttributes::IMMUTABLE),
        (inode_flags::NO_DUMP, StatAttributes::NO_DUMP),
    ]
    .into_iter()
    .filter(|(flag, _)| flags & flag != 0)
    .fold(StatAttributes::NONE, |all, (_, shown)| all.with(shown))
}
