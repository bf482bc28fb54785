// SPDX-License-Identifier: GPL-2.0

//! The room of how a filesystem comes and goes.
//!
//! - [`registration`]: a type that can be mounted, of a [`mod@module`], and its
//!   [name](type_name);
//! - [`parameters`]: the options; [`request`]: who asks;
//! - [`super_block`]: filling one, and what every mounted filesystem can do;
//! - [`mod@write`]: what one can that can be written to, its inodes in a [`pass`];
//! - [`access_change`]: whether it can from now on;
//! - [`mod@quota`]: what one can that has quota.
//!
//! May use: `buffers`, `inode`, `mounted`, `quota`.

mod access_change;
mod module;
mod parameters;
mod pass;
mod quota;
mod registration;
mod request;
mod super_block;
mod super_block_tests;
mod syncing;
mod type_name;
mod write;

pub use self::access_change::AccessChange;
#[cfg(CONFIG_KUNIT)]
pub(crate) use self::module::is_static;
pub(crate) use self::module::ModuleWatch;
pub use self::parameters::{
    EnumTable,
    Parameter,
    ParameterTable,
    Parameters,
    Value, //
};
pub use self::pass::Pass;
pub use self::quota::QuotaFileSystem;
pub use self::registration::{
    Access,
    MountableFileSystem,
    Purpose,
    Registration, //
};
pub use self::request::MountRequest;
pub use self::super_block::{
    NewSuperBlock,
    StatFs,
    SuperAttributes, //
};
pub use self::syncing::Syncing;
pub use self::write::{
    WritableFileSystem,
    WriteTable, //
};
