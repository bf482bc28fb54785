// SPDX-License-Identifier: GPL-2.0

//! The names that attributes have.
//!
//! C counterparts: `ext2_xattr_user_handler`, `ext2_xattr_trusted_handler`,
//! `ext2_xattr_security_handler`, `ext2_xattr_prefix()`.
//!
//! Locks: that of the inode's attributes.

#![deny(unsafe_code)]

use super::{
    read,
    set, //
};
use crate::{
    disk::{
        attribute_block::Name,
        attribute_list::kind, //
    },
    inode::Ext2Inode,
    mount::Ext2, //
};
use kernel::prelude::*;
use rust_mpage::fs::{
    capable_sys_admin,
    SetMode,
    XattrHandler,
    XattrHandlers,
    XattrNames,
    XattrNamespace,
    XattrOperations,
    XattrValue, //
};

/// The attributes of an ext2 filesystem.
pub(crate) struct Attributes;

/// The handlers of all names. C: `ext2_xattr_handlers`.
pub(crate) static HANDLERS: XattrHandlers<Ext2, 3> = XattrHandlers::new(&[
    XattrHandler::<Ext2>::of::<User>(),
    XattrHandler::<Ext2>::of::<Trusted>(),
    XattrHandler::<Ext2>::of::<Security>(),
]);

/// What users know of their files.
struct User;

/// What the administrator knows of them.
struct Trusted;

/// What security modules do, capabilities among them.
pub(super) struct Security;

fn get(inode: &Ext2Inode, kind: u8, name: &[u8], out: &mut XattrValue<'_>) -> Result {
    read::get(inode, Name { kind, name }, |value| out.give(value))
}

/// Fails with `EOPNOTSUPP` if there are no attributes of users: the mount option `nouser_xattr`.
fn check_users(inode: &Ext2Inode) -> Result {
    match inode.super_block().data().options().has_user_attributes() {
        true => Ok(()),
        false => Err(EOPNOTSUPP),
    }
}

impl XattrNamespace for User {
    type FileSystem = Ext2;

    const PREFIX: &'static CStr = c"user.";

    fn get(inode: &Ext2Inode, name: &[u8], out: &mut XattrValue<'_>) -> Result {
        check_users(inode)?;
        get(inode, kind::USER, name, out)
    }

    fn set(inode: &Ext2Inode, name: &[u8], value: Option<&[u8]>, mode: SetMode) -> Result {
        check_users(inode)?;
        let kind = kind::USER;
        set::set(inode, Name { kind, name }, value, mode)
    }
}

impl XattrNamespace for Trusted {
    type FileSystem = Ext2;

    const PREFIX: &'static CStr = c"trusted.";

    fn get(inode: &Ext2Inode, name: &[u8], out: &mut XattrValue<'_>) -> Result {
        get(inode, kind::TRUSTED, name, out)
    }

    fn set(inode: &Ext2Inode, name: &[u8], value: Option<&[u8]>, mode: SetMode) -> Result {
        let kind = kind::TRUSTED;
        set::set(inode, Name { kind, name }, value, mode)
    }
}

impl XattrNamespace for Security {
    type FileSystem = Ext2;

    const PREFIX: &'static CStr = c"security.";

    fn get(inode: &Ext2Inode, name: &[u8], out: &mut XattrValue<'_>) -> Result {
        get(inode, kind::SECURITY, name, out)
    }

    fn set(inode: &Ext2Inode, name: &[u8], value: Option<&[u8]>, mode: SetMode) -> Result {
        let kind = kind::SECURITY;
        set::set(inode, Name { kind, name }, value, mode)
    }
}

impl XattrOperations for Attributes {
    type FileSystem = Ext2;

    /// Names of no kind that is known are not told.
    fn list(inode: &Ext2Inode, names: &mut XattrNames<'_>) -> Result {
        let heeds_acls = inode.super_block().heeds_acls();
        let prefix = |of: u8| match of {
            kind::USER => check_users(inode).ok().map(|()| User::PREFIX),
            kind::TRUSTED => capable_sys_admin().then_some(Trusted::PREFIX),
            kind::SECURITY => Some(Security::PREFIX),
            kind::ACCESS_ACL if heeds_acls => Some(c"system.posix_acl_access"),
            kind::DEFAULT_ACL if heeds_acls => Some(c"system.posix_acl_default"),
            _ => None,
        };

        read::list(inode, |attribute| match prefix(attribute.kind) {
            Some(prefix) => names.add(prefix, attribute.name),
            None => Ok(()),
        })
    }
}
