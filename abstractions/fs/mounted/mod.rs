// SPDX-License-Identifier: GPL-2.0

//! The room of the mounted filesystem: what it is to all that is made for it.
//!
//! - [`file_system`]: the types that it keeps with a mount and an inode, and the [`tables`] that
//!   the VFS finds with it;
//! - [`super_block`]: what its data hangs on, with its flags in [`super_flags`]; [`metadata`]: its
//!   blocks, those that could not be written among them; [`message`]: what it says.
//!
//! May use: `buffers`.

mod file_system;
pub(super) mod message;
mod metadata;
mod metadata_tests;
mod super_block;
mod super_flags;
mod tables;

pub use self::file_system::FileSystem;
pub use self::message::{
    Level,
    RateLimit, //
};
pub use self::super_block::SuperBlock;
pub use self::tables::{
    AclTable,
    ExportTable,
    XattrTable, //
};
