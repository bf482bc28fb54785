// SPDX-License-Identifier: GPL-2.0

//! The room of small things that several processors use at once without a lock.
//!
//! - [`sequenced`]: words that are read together;
//! - [`cut_count`]: whether what was seen of a tree is still true.
//!
//! May use: no other room.

#![deny(unsafe_code)]

pub(crate) mod cut_count;
pub(crate) mod sequenced;
