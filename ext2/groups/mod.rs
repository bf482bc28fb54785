// SPDX-License-Identifier: GPL-2.0

//! The room of block groups: what each has, and where there is something free.
//!
//! - [`layout`]: where the parts of a group are, checked; [`count`]: how much is free in it;
//!   [`table`]: both, of all groups of a mounted filesystem;
//! - [`bitmap`]: finding and claiming bits; [`own_blocks`]: what a group's own bits have to be;
//! - [`space`]: how many blocks are free, and who has been promised them; [`search`]: where the
//!   blocks of a file come from; [`windows`]: which are kept for it;
//! - [`choice`]: which group a new inode goes to.
//!
//! Decides and searches; who gives blocks and inodes to files is `alloc`.
//!
//! May use: `disk`.

#![deny(unsafe_code)]

pub(crate) mod bitmap;
pub(crate) mod choice;
pub(crate) mod count;
mod layout;
pub(crate) mod own_blocks;
pub(crate) mod search;
pub(crate) mod space;
pub(crate) mod table;
pub(crate) mod windows;

#[cfg(CONFIG_KUNIT)]
mod layout_tests;
#[cfg(CONFIG_KUNIT)]
mod room_tests;
#[cfg(CONFIG_KUNIT)]
mod search_tests;
#[cfg(CONFIG_KUNIT)]
mod test_bitmap;
#[cfg(CONFIG_KUNIT)]
mod test_workload;
