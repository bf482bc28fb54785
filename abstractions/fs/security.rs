// SPDX-License-Identifier: GPL-2.0

//! What security modules say of new files.
//!
//! C header: [`include/linux/security.h`](srctree/include/linux/security.h)
//!
//! Locks: none; nobody else uses a new inode.

use super::{
    CreatedInode,
    FileSystem,
    FsInode,
    InodeType,
    SetMode,
    XattrNamespace, //
};
use crate::bindings;
use core::ptr;
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*, //
};

impl<T: FileSystem> CreatedInode<'_, T> {
    /// Gives a new file of `dir` its labels, which are attributes of `N`; `name` is what it will be
    /// called, if it will be. C: `security_inode_init_security()`.
    ///
    /// Fails with `ENOMEM`, or as they cannot be set.
    pub fn init_security<N>(&self, dir: &FsInode<T>, name: Option<&[u8]>) -> Result
    where
        N: XattrNamespace<FileSystem = T>,
    {
        if !cfg!(CONFIG_SECURITY) {
            return Ok(());
        }
        let (raw, len) = name.map_or((ptr::null(), 0), |name| (name.as_ptr(), name.len()));
        // SAFETY: Both inodes are valid, and the name is null or has so many bytes; the callback is for
        // inodes of the filesystem.
        to_result(unsafe {
            bindings::rust_mpage_helper_inode_init_security(
                self.as_raw(),
                dir.as_raw(),
                raw,
                len,
                Some(init_callback::<N>),
            )
        })
    }
}

/// C: `ext2_initxattrs()`.
///
/// # Safety
///
/// Called for a new inode of the filesystem with an array of attributes that one without a name ends.
unsafe extern "C" fn init_callback<N: XattrNamespace>(
    inode: *mut bindings::inode,
    attributes: *const bindings::xattr,
    _data: *mut c_void,
) -> c_int {
    // SAFETY: By the safety requirements.
    let inode = unsafe { FsInode::from_raw(inode) };
    let mut next = attributes;
    from_result(|| {
        loop {
            // SAFETY: By the safety requirements, `next` is in the array; names are NUL-terminated,
            // and values as long as is said.
            let (name, value) = unsafe {
                if (*next).name.is_null() {
                    return Ok(0);
                }
                let value = match (*next).value_len {
                    0 => &[],
                    len => core::slice::from_raw_parts((*next).value.cast::<u8>(), len),
                };
                (CStr::from_char_ptr((*next).name), value)
            };
            N::set(inode, name.to_bytes(), Some(value), SetMode::default())?;
            // SAFETY: This was not the last.
            next = unsafe { next.add(1) };
        }
    })
}
