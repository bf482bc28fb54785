// SPDX-License-Identifier: GPL-2.0

//! The room of a mounted filesystem as a whole.
//!
//! - [`data`]: what is kept for it, and the type that stands for it, [`Ext2`];
//! - [`super_block`]: mounting and remounting; [`super_state`]: the superblock while it is mounted,
//!   [`late_features`]: what it gets when that is needed first;
//!   [`mount_state`]: what these two decide; [`limits`]: what follows from the layout;
//! - [`options`], [`live_options`]: the mount options, asked for and in effect;
//! - [`report`]: what happens when the filesystem turns out to be corrupt.
//!
//! May use: `disk`, `groups`, `order`, `sync`, `tree`.

#![deny(unsafe_code)]

mod data;
mod late_features;
mod limits;
mod live_options;
mod mount_state;
pub(crate) mod options;
pub(crate) mod report;
pub(crate) mod super_block;
pub(crate) mod super_state;

pub(crate) use self::data::{
    Ext2,
    Ext2Data, //
};
