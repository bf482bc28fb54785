// SPDX-License-Identifier: GPL-2.0

//! The room of quota: what the kernel counts for users and groups is kept in files.
//!
//! - [`file`]: these files, read and written past the page cache; [`pieces`]: the parts of blocks
//!   that a part of a file is.
//!
//! What is counted, and when, is in the wrappers and in `alloc`.
//!
//! May use: `disk`, `inode`, `map`, `mount`.

#![deny(unsafe_code)]

pub(crate) mod file;
mod pieces;
