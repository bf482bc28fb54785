// SPDX-License-Identifier: GPL-2.0

//! The room of the index: the names of a directory found by a hash in memory.
//!
//! - [`directory`]: the index of one directory, with its lock; in it [`contents`], what is known,
//!   pure but for memory;
//! - [`table`]: where names are, by their hash; [`rooms`]: what the blocks have room for;
//! - [`memory`]: where the memory for these comes from.
//!
//! What is known begins with the first block and ends with some block, the covered ones. So it can
//! grow while a directory is walked over, and knowing nothing is no other state.
//!
//! May use: nothing.

#![deny(unsafe_code)]

mod contents;
mod directory;
mod memory;
mod rooms;
mod table;

#[cfg(CONFIG_KUNIT)]
pub(crate) use self::{
    contents::Contents,
    memory::Memory, //
};
pub(crate) use self::{
    contents::{
        Change,
        Name, //
    },
    directory::Index,
    rooms::Units, //
};
