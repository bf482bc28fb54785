// SPDX-License-Identifier: GPL-2.0

//! What kernels have in different ways, as the newest has it; nothing elsewhere asks for a version.
//!
//! `linux` is of this kernel. Outside the kernel's tree, `Kbuild` of this folder chooses one for an
//! older kernel, and with it what nobody names: the crate `kernel` with what it lacks there, and a
//! C header.
//!
//! May use: `bindings`.

#[cfg_attr(linux_7_2, path = "linux_7_2/linux.rs")]
mod linux;

use core::borrow::Borrow;

#[cfg(CONFIG_KUNIT)]
pub(crate) use self::linux::this_module;
pub(crate) use self::linux::{
    create,
    raw_try_init,
    simple_fsync_noflush,
    super_operations,
    sync_when_written, //
};
use crate::bindings;
use kernel::prelude::*;

/// What makes a file in a directory; see [`create`]. C: `create` of `struct inode_operations`.
pub(crate) trait Create {
    /// # Safety
    ///
    /// Only the VFS may call it: for a directory with the table that this is in, locked
    /// exclusively, with a negative dentry in it.
    unsafe fn create(
        idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        mode: bindings::umode_t,
    ) -> c_int;
}

/// Brings an inode that has been written to its block to the device, and waits.
/// C: `sync_inode_metadata` of `struct super_operations`.
pub(crate) type SyncInode =
    unsafe extern "C" fn(*mut bindings::inode, *mut bindings::writeback_control) -> c_int;

/// The value of a parameter of a module, of which kernels give a copy or a reference.
pub fn parameter<T: Copy>(value: impl Borrow<T>) -> T {
    *value.borrow()
}
