// SPDX-License-Identifier: GPL-2.0

//! The room for writing: dirty folios of the page cache go to the device.
//!
//! - [`plan`]: how a folio is written; pure;
//! - [`engine`]: carries that out for the folios of a request; [`dirty_blocks`]: for one of a file
//!   without buffer_heads; [`one_page`]: for a single one;
//! - [`target`]: a folio meanwhile; [`sink`]: folios and runs become bios;
//! - [`counters`]: what was done.
//!
//! May use: `mapping`, `window`, the plan of `read` (a folio without buffers is walked through as
//! for reading), and the layer below.

pub(super) mod counters;
mod dirty_blocks;
mod engine;
mod one_page;
mod plan;
mod plan_test;
mod sink;
mod target;

pub use self::engine::{
    writepages,
    writepages_with,
    Hooked, //
};
pub(crate) use self::one_page::writepage;
