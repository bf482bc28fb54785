// SPDX-License-Identifier: GPL-2.0

//! What security modules say of new files.
//!
//! C header: [`include/linux/security.h`](srctree/include/linux/security.h)
//!
//! Locks: none; nobody else uses a new inode.

use super::{
    SetMode,
    XattrNamespace, //
};
use crate::{
    abstractions::fs::{
        CreatedInode,
        FileSystem,
        FsInode,
        InodeType, //
    },
    bindings, //
};
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
        // SAFETY: Both inodes are valid, and the name is null or has so many bytes; the callback is
        // for inodes of the filesystem.
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
/// Called for a new inode of the filesystem with an array of attributes that one without a name
/// ends.
unsafe extern "C" fn init_callback<N: XattrNamespace>(
    inode: *mut bindings::inode,
    attributes: *const bindings::xattr,
    _data: *mut c_void,
) -> c_int {
    // SAFETY: Who makes an inode of the filesystem has it in use for the call.
    let inode = unsafe { FsInode::from_raw(inode) };
    from_result(|| {
        let mut set = |name: &CStr, value: &[u8]| {
            N::set(inode, name.to_bytes(), Some(value), SetMode::default())
        };
        // SAFETY: Such an array is what `security_inode_init_security()` calls this with.
        unsafe { for_each(attributes, &mut set) }.map(|()| 0)
    })
}

/// Calls `act` with the name and the value of each attribute, until that fails.
///
/// # Safety
///
/// `attributes` must be an array of attributes that one without a name ends, with names that a NUL
/// ends and values that are as long as they say.
unsafe fn for_each(
    attributes: *const bindings::xattr,
    act: &mut dyn FnMut(&CStr, &[u8]) -> Result,
) -> Result {
    let mut next = attributes;
    loop {
        // SAFETY:
        // - `next` is in the array, since the last one that was passed had a name;
        // - a name ends with a NUL by the safety requirements, if there is one;
        // - a value is as long as it says by the safety requirements, and one of no bytes is not
        //   looked at.
        let (name, value) = unsafe {
            if (*next).name.is_null() {
                return Ok(());
            }
            let value = match (*next).value_len {
                0 => &[],
                len => core::slice::from_raw_parts((*next).value.cast::<u8>(), len),
            };
            (CStr::from_char_ptr((*next).name), value)
        };
        act(name, value)?;
        // SAFETY: This was not the last.
        next = unsafe { next.add(1) };
    }
}

#[kernel::macros::kunit_tests(rust_mpage_security)]
mod tests {
    use super::*;

    fn attribute(name: Option<&'static CStr>, value: &'static [u8]) -> bindings::xattr {
        bindings::xattr {
            name: name.map_or(ptr::null(), |name| name.as_char_ptr()),
            value: match value.len() {
                0 => ptr::null_mut(),
                _ => value.as_ptr().cast_mut().cast(),
            },
            value_len: value.len(),
        }
    }

    /// The tests' kernel has no security module, which would give these.
    #[test]
    fn labels_are_set_one_after_the_other() {
        let labels = [
            attribute(Some(c"first"), b"some value"),
            attribute(Some(c"second"), b""),
            attribute(Some(c"third"), b"\0\x01"),
            attribute(None, b""),
        ];
        let mut seen = 0;
        let mut check = |name: &CStr, value: &[u8]| {
            let want: (&CStr, &[u8]) = match seen {
                0 => (c"first", b"some value"),
                1 => (c"second", b""),
                _ => (c"third", b"\0\x01"),
            };
            assert_eq!((name, value), want);
            seen += 1;
            Ok(())
        };
        // SAFETY: The array ends with an attribute without a name; names and values are static.
        let result = unsafe { for_each(labels.as_ptr(), &mut check) };
        assert_eq!((result, seen), (Ok(()), 3));
    }

    #[test]
    fn the_first_that_cannot_be_set_is_the_last() {
        let labels = [
            attribute(Some(c"first"), b"1"),
            attribute(Some(c"second"), b"2"),
            attribute(None, b""),
        ];
        let mut calls = 0;
        let mut fail = |_: &CStr, _: &[u8]| {
            calls += 1;
            Err(ENOSPC)
        };
        // SAFETY: The array ends with an attribute without a name; names and values are static.
        let result = unsafe { for_each(labels.as_ptr(), &mut fail) };
        assert_eq!((result, calls), (Err(ENOSPC), 1));
    }
}
