// SPDX-License-Identifier: GPL-2.0

//! The room for reading: folios of the page cache get what is on the device.
//!
//! - [`plan`]: what each part of a folio needs; [`pending`]: what of that waits for the rest; pure;
//! - [`engine`]: carries the plans of a request out; [`list`]: the same for a list of pages;
//!   [`rest`]: of a folio of which some blocks are there already;
//! - [`sink`]: folios and runs become bios;
//! - [`counters`]: what was done.
//!
//! May use: `mapping`, `window`, and the layer below.

pub(super) mod counters;
mod engine;
mod list;
mod pending;
pub(super) mod plan;
mod plan_test;
mod rest;
mod sink;

pub use self::engine::{
    read_folio,
    readahead, //
};
pub(crate) use self::list::readpages;
