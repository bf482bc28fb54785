// SPDX-License-Identifier: GPL-2.0

//! A request to mount or remount, and what who asks is told.
//!
//! C header: [`include/linux/fs_context.h`](srctree/include/linux/fs_context.h)

use crate::{
    abstractions::fs::{
        mounted::message,
        FileSystem,
        Level, //
    },
    bindings, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    fmt,
    prelude::*, //
};

/// A request to mount or remount, to tell whose it is.
///
/// # Invariants
///
/// `fc` points to a `struct fs_context` that is valid for `'a`, and that nobody else uses
/// meanwhile.
pub struct MountRequest<'a, T> {
    fc: *mut bindings::fs_context,
    _context: PhantomData<(&'a (), T)>,
}

impl<T: FileSystem> MountRequest<'_, T> {
    /// # Safety
    ///
    /// `fc` must be valid while the value lives, be of a mount or remount of a `T`, and nobody else
    /// may use it meanwhile.
    pub(super) unsafe fn new(fc: *mut bindings::fs_context) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            fc,
            _context: PhantomData,
        }
    }

    /// Prints a message that names the filesystem and the device, and tells it to who mounts.
    pub fn message(&self, level: Level, message: fmt::Arguments<'_>) {
        // SAFETY: The context is valid by the type invariants.
        // - `root`, if it is set, is a dentry of the filesystem that is reconfigured, whose
        //   superblock has a NUL-terminated `s_id`;
        // - `source`, if it is set, is a NUL-terminated path, and `name` at most its length;
        // - `device` is NUL-terminated in each case.
        unsafe {
            let device = if !(*self.fc).root.is_null() {
                ptr::addr_of!((*(*(*self.fc).root).d_sb).s_id).cast()
            } else if !(*self.fc).source.is_null() {
                let source = CStr::from_char_ptr((*self.fc).source);
                let bytes = source.to_bytes();
                let name = bytes.iter().rposition(|&b| b == b'/').map_or(0, |i| i + 1);
                source.as_char_ptr().add(name)
            } else {
                c"none".as_char_ptr()
            };
            message::print(level, T::NAME, device, message);
        }
        // SAFETY: The context is valid by the type invariants, and so its log, which nobody else
        // uses.
        unsafe { message::tell_mounter((*self.fc).log.log, level, T::NAME, message) }
    }
}
