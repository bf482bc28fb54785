// SPDX-License-Identifier: GPL-2.0

//! The room of the shape of a file's tree of block pointers, and what is remembered of it.
//!
//! - [`path`]: the way to a block, pointer by pointer;
//! - [`branch`]: what it takes to give blocks to a hole; [`cut`]: which pointers a truncation cuts;
//! - [`run_cache`]: runs of blocks that reads have found;
//! - [`delayed`]: blocks that have been promised and have no place yet; [`array_numbers`],
//!   [`run_set`]: what it keeps them in.
//!
//! Arithmetic, and memory. Who reads, fills and cuts trees is `map`.
//!
//! May use: `disk`, `sync`.

#![deny(unsafe_code)]

mod array_numbers;
pub(crate) mod branch;
pub(crate) mod cut;
pub(crate) mod delayed;
pub(crate) mod path;
pub(crate) mod run_cache;
mod run_set;
