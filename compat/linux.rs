// SPDX-License-Identifier: GPL-2.0

//! Linux 7.3.

use super::{
    Create,
    SyncInode, //
};
use crate::bindings;
use kernel::prelude::*;

pub(crate) use crate::bindings::simple_fsync_noflush;
pub(crate) use pin_init::raw_try_init;

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
) -> c_int {
    // SAFETY: By the safety requirements.
    unsafe { T::create(idmap, dir, dentry, mode) }
}

/// The operations of a superblock whose inodes are synced by `sync`.
pub(crate) const fn super_operations(
    sync: SyncInode,
    others: bindings::super_operations,
) -> bindings::super_operations {
    bindings::super_operations {
        sync_inode_metadata: Some(sync),
        ..others
    }
}

/// The end of the operation `write_inode` for one who waits: has `sync` called, which is that of
/// [`super_operations`].
///
/// # Safety
///
/// `inode` and `_wbc` must be the arguments of the operation, whose caller waits for the inode, and
/// `_sync` may be called with them.
pub(crate) unsafe fn sync_when_written(
    inode: *mut bindings::inode,
    _wbc: *mut bindings::writeback_control,
    _sync: SyncInode,
) -> c_int {
    // SAFETY: The inode is valid. The caller asks for its metadata next, and takes the mark back:
    // an inode that has it never leaves memory.
    unsafe { bindings::rust_mpage_helper_set_inode_metadata_writeback(inode) };
    0
}

/// The module that a crate is, by the crate's root.
#[cfg(CONFIG_KUNIT)]
macro_rules! this_module {
    ($root:tt) => {
        kernel::module::this_module::<$root::LocalModule>()
    };
}
#[cfg(CONFIG_KUNIT)]
pub(crate) use this_module;
