// SPDX-License-Identifier: GPL-2.0

//! Linux 7.2. It writes an inode to its block and waits for that with one operation, `write_inode`.

use super::{
    Create,
    SyncInode, //
};
use crate::bindings;
use kernel::prelude::*;

/// Initialises `slot` with an initializer.
///
/// # Safety
///
/// `slot` must be valid for writing, not be used if this fails, and not move until it is dropped.
pub(crate) unsafe fn raw_try_init<T, E>(slot: *mut T, init: impl PinInit<T, E>) -> Result<(), E> {
    // SAFETY: By the safety requirements.
    unsafe { init.__pinned_init(slot) }
}

/// The operation that makes files by [`Create`].
///
/// # Safety
///
/// As of [`Create::create`].
pub(crate) unsafe extern "C" fn create<T: Create>(
    idmap: *mut bindings::mnt_idmap,
    dir: *mut bindings::inode,
    dentry: *mut bindings::dentry,
    mode: bindings::umode_t,
    _excl: bool,
) -> c_int {
    // SAFETY: By the safety requirements.
    unsafe { T::create(idmap, dir, dentry, mode) }
}

/// The operations of a superblock, which lack that of later kernels.
pub(crate) const fn super_operations(
    _sync: SyncInode,
    others: bindings::super_operations,
) -> bindings::super_operations {
    others
}

/// The end of the operation `write_inode` for one who waits: calls `sync`, which is that of
/// [`super_operations`].
///
/// # Safety
///
/// `inode` and `wbc` must be the arguments of the operation, whose caller waits for the inode, and
/// `sync` may be called with them.
pub(crate) unsafe fn sync_when_written(
    inode: *mut bindings::inode,
    wbc: *mut bindings::writeback_control,
    sync: SyncInode,
) -> c_int {
    // SAFETY: By the safety requirements.
    unsafe { sync(inode, wbc) }
}

/// C: `simple_fsync_noflush()` of later kernels, which also waits for the flusher that is about to
/// write the inode to its block: that is not dirty then.
///
/// # Safety
///
/// As of an operation `fsync`.
pub(crate) unsafe fn simple_fsync_noflush(
    file: *mut bindings::file,
    start: bindings::loff_t,
    end: bindings::loff_t,
    datasync: c_int,
) -> c_int {
    // SAFETY: By the safety requirements.
    let error = unsafe { bindings::simple_fsync_noflush(file, start, end, datasync) };
    if error != 0 {
        return error;
    }
    // SAFETY: The file is open, so it has its inode.
    let inode = unsafe { (*file).f_inode };
    // SAFETY: The inode of an open file is valid.
    let state = unsafe { bindings::rust_mpage_helper_inode_state(inode) };
    match state & bindings::inode_state_flags_enum_I_SYNC {
        0 => 0,
        // SAFETY: As above.
        _ => unsafe { bindings::sync_inode_metadata(inode, 1) },
    }
}

/// The module that a crate is, by the crate's root.
#[cfg(CONFIG_KUNIT)]
macro_rules! this_module {
    ($root:tt) => {
        &$root::THIS_MODULE
    };
}
#[cfg(CONFIG_KUNIT)]
pub(crate) use this_module;
