// SPDX-License-Identifier: GPL-2.0

//! The C ABI edge: what C calls, and C's `get_block_t` on both sides.
//!
//! Each entry point converts its arguments, calls one safe function and converts back.

mod entry;
mod get_block;
mod interface_2017;

pub(crate) use self::get_block::get_block_of;
