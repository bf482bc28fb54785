// SPDX-License-Identifier: GPL-2.0

//! The room of directories: names in them, and what that does to the links of inodes.
//!
//! - [`read`]: looking up names, and reading entries; [`find`]: where a name is; [`pages`]: what
//!   both look at; [`ahead`]: what is read of the next names that were listed, [`descent`]: of the
//!   next directories;
//! - [`edit`]: what is to be changed in the bytes of a directory, pure, and [`insertion`], new
//!   entries; [`addition`]: where in the directory these go; [`write`]: changing it; [`in_step`]:
//!   what is known of it changes, too;
//! - [`links`]: counts of links; [`names`]: files that come and go; [`rename`]: that get another
//!   name, and [`rename_changes`]: what that changes.
//!
//! May use: `alloc`, `disk`, `index`, `inode`, `mount`, `xattr`.
//!
//! Through the filesystem's data: `order`.

#![deny(unsafe_code)]

mod addition;
mod ahead;
mod descent;
mod edit;
mod find;
mod in_step;
mod insertion;
mod links;
mod names;
mod pages;
mod read;
mod rename;
mod rename_changes;
mod write;

#[cfg(CONFIG_KUNIT)]
mod edit_tests;
#[cfg(CONFIG_KUNIT)]
mod index_tests;

pub(crate) use self::find::find;
