// SPDX-License-Identifier: GPL-2.0

//! What the VFS finds with a filesystem besides its own operations, as the C tables that it is made
//! of: who makes them is in the rooms of what they are for.

use super::FileSystem;
use crate::bindings;
use core::marker::PhantomData;
use kernel::prelude::*;

/// The C tables of a filesystem's attributes.
pub struct XattrTable<T: 'static> {
    pub(in crate::abstractions::fs) handlers: *const *const bindings::xattr_handler,
    pub(in crate::abstractions::fs) list:
        unsafe extern "C" fn(*mut bindings::dentry, *mut u8, usize) -> isize,
    pub(in crate::abstractions::fs) _filesystem: PhantomData<T>,
}

impl<T: FileSystem> XattrTable<T> {
    /// The handlers.
    pub(in crate::abstractions::fs) fn as_raw(&self) -> *const *const bindings::xattr_handler {
        self.handlers
    }

    /// What `listxattr` of a filesystem's inodes is.
    pub(in crate::abstractions::fs) const LIST: Option<
        unsafe extern "C" fn(*mut bindings::dentry, *mut u8, usize) -> isize,
    > = match &T::XATTRS {
        Some(table) => Some(table.list),
        None => None,
    };
}

pub(super) type GetCallback =
    unsafe extern "C" fn(*mut bindings::inode, c_int, bool) -> *mut kernel::bindings::posix_acl;

/// Keeps a list of an inode of the filesystem, or none. The list is valid for the time of the call.
pub(super) type SetFunction =
    unsafe fn(*mut bindings::inode, c_int, *mut kernel::bindings::posix_acl) -> Result;

/// The functions of a filesystem's lists.
pub struct AclTable<T: 'static> {
    pub(in crate::abstractions::fs) get: GetCallback,
    pub(in crate::abstractions::fs) set: SetFunction,
    pub(in crate::abstractions::fs) _filesystem: PhantomData<T>,
}

impl<T: FileSystem> AclTable<T> {
    /// What `get_inode_acl` of a filesystem's inodes is.
    pub(in crate::abstractions::fs) const GET: Option<GetCallback> = match &T::ACLS {
        Some(table) => Some(table.get),
        None => None,
    };
}

/// The C table of a filesystem's [`ExportOperations`](crate::fs::ExportOperations).
#[derive(Clone, Copy)]
pub struct ExportTable<T: 'static> {
    pub(in crate::abstractions::fs) table: &'static bindings::export_operations,
    pub(in crate::abstractions::fs) _filesystem: PhantomData<T>,
}

impl<T: FileSystem> ExportTable<T> {
    pub(in crate::abstractions::fs) fn as_raw(&self) -> *const kernel::bindings::export_operations {
        core::ptr::from_ref(self.table).cast()
    }
}
