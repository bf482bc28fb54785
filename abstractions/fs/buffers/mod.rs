// SPDX-License-Identifier: GPL-2.0

//! The room of metadata blocks.
//!
//! - [`any_super_block`]: what blocks are read of; [`find`]: how; [`buffer`]: a block, and in
//!   [`buffer_bits`] the bits of a bitmap in it, in [`words`] runs of its words; [`buffer_state`]:
//!   the word that says what is known of it;
//! - [`unwritten`]: blocks that are kept until they are on the device.
//!
//! May use: none of the other rooms.

mod any_super_block;
mod buffer;
mod buffer_bits;
mod buffer_state;
mod find;
mod unwritten;
mod unwritten_tests;
mod words;

pub use self::any_super_block::AnySuperBlock;
pub use self::buffer::{
    Buffer,
    LockedBuffer, //
};
pub(super) use self::find::Found;
pub(super) use self::unwritten::Sweep;
pub use self::unwritten::Unwritten;
