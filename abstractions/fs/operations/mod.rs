// SPDX-License-Identifier: GPL-2.0

//! The room of what inodes and open files can do: the traits of a filesystem, and the C tables that
//! need nothing but them.
//!
//! - [`mod@inode`]: what every inode can, and a regular file that is only read; [`writable`]: what
//!   can be changed; [`ioctl`], [`fiemap`]: what they are asked besides;
//! - [`address_space`]: what fills the page cache and empties it; [`library_writes`]: that it is
//!   the library that writes into it;
//! - [`direct_trace`]: tracepoints that show what is read and written directly.
//!
//! May use: `inode`, `mounted`.

mod address_space;
mod direct_trace;
mod fiemap;
mod inode;
mod ioctl;
mod library_writes;
mod writable;

pub use self::address_space::{
    AddressSpaceOperations,
    AddressSpaceVTable,
    AddressSpaceWriteOperations,
    CacheWrites, //
};
pub(super) use self::direct_trace::ShownRequest;
pub use self::direct_trace::{
    DirectEvent,
    DirectTracepoint, //
};
pub use self::fiemap::{
    ExtentFlags,
    FiemapRequest, //
};
pub use self::inode::{
    FileOperations,
    InodeOperations,
    StatAttributes, //
};
pub(super) use self::inode::{
    FileVTable,
    InodeVTable,
    REGULAR_FILE, //
};
pub use self::ioctl::IoctlOperations;
pub(super) use self::ioctl::IoctlVTable;
pub use self::library_writes::Called;
pub(crate) use self::library_writes::SealedWrites;
pub(super) use self::writable::in_effect;
pub use self::writable::{
    BegunSync,
    WritableFile,
    WritableInode, //
};
