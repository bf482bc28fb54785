// SPDX-License-Identifier: GPL-2.0

//! The room of what is on the disk: structures, and what can be known of them by themselves.
//!
//! - [`structures`]: the bytes; [`block_size`], [`run`]: sizes and blocks in a row;
//! - [`geometry`]: the layout of a filesystem, checked, with [`super_check`], [`backups`] and, for
//!   what can be wrong, [`geometry_error`];
//! - [`inode_decode`], [`inode_encode`], [`inode_waiting`]: inodes;
//! - [`dirent`]: the entries of directories, read, with [`dirent_plain`] for those that are as
//!   usual and [`dirent_search`] for what is in one block;
//! - [`attribute_list`], [`attribute_block`]: extended attributes; [`acl`]: access control lists.
//!
//! Pure: nothing here reads a disk, takes a lock or knows of a mounted filesystem.
//!
//! May use: no other room.

#![deny(unsafe_code)]

pub(crate) mod acl;
pub(crate) mod attribute_block;
pub(crate) mod attribute_list;
mod backups;
pub(crate) mod block_size;
pub(crate) mod dirent;
pub(crate) mod dirent_plain;
pub(crate) mod dirent_search;
pub(crate) mod geometry;
pub(crate) mod geometry_error;
pub(crate) mod inode_decode;
pub(crate) mod inode_encode;
mod inode_waiting;
pub(crate) mod run;
mod structures;
pub(crate) mod super_check;

#[cfg(CONFIG_KUNIT)]
mod attribute_block_tests;
#[cfg(CONFIG_KUNIT)]
mod dirent_tests;
#[cfg(CONFIG_KUNIT)]
mod geometry_random_tests;
#[cfg(CONFIG_KUNIT)]
mod geometry_tests;
#[cfg(CONFIG_KUNIT)]
mod inode_tests;
#[cfg(CONFIG_KUNIT)]
pub(crate) mod test_images;

#[cfg(CONFIG_KUNIT)]
pub(crate) use self::structures::incompat;
pub(crate) use self::structures::{
    compat,
    default_mount_opts,
    errors,
    ino,
    inode_flags,
    mode,
    revision,
    ro_compat,
    state,
    DirEntryHeader,
    GroupDescriptor,
    Le16,
    Le32,
    RawInode,
    SuperBlock,
    ATTRIBUTES_ROOT,
    DEFAULT_MAX_MNT_COUNT,
    DIRECT_BLOCKS,
    INDIRECT,
    INODE_POINTERS,
    LINK_MAX,
    NAME_LEN,
    SIZE_ROOT,
    SUPER_MAGIC,
    SUPER_UNIT, //
};
