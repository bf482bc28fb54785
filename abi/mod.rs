// SPDX-License-Identifier: GPL-2.0

//! The C ABI edge: what C calls, and a C filesystem's `get_block_t` as a mapper.
//!
//! Each entry point converts its arguments, calls one safe function and converts back.

mod entry;
mod get_block;
mod interface_2017;
