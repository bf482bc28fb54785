// SPDX-License-Identifier: GPL-2.0

//! The room of giving and taking back what the groups have.
//!
//! - [`balloc`]: blocks of files; [`ialloc`]: inodes;
//! - [`attribute_block`]: blocks of extended attributes, which inodes share.
//!
//! May use: `disk`, `groups`, `inode`, `mount`.
//!
//! Through the filesystem's data: `order`.

#![deny(unsafe_code)]

pub(crate) mod attribute_block;
pub(crate) mod balloc;
pub(crate) mod ialloc;
