// SPDX-License-Identifier: GPL-2.0

//! The room of directories: names in them, and what that does to the links of inodes.
//!
//! - [`read`]: looking up names, and reading entries;
//! - [`edit`]: what is to be changed in the bytes of a directory, pure; [`write`]: changing it;
//! - [`links`]: counts of links; [`names`]: files that come and go; [`rename`]: that get another name.
//!
//! May use: `alloc`, `disk`, `inode`, `mount`, `xattr`.
//!
//! Through the filesystem's data: `order`.

#![deny(unsafe_code)]

mod edit;
mod links;
mod names;
mod read;
mod rename;
mod write;

#[cfg(CONFIG_KUNIT)]
mod edit_tests;

pub(crate) use self::read::find;
