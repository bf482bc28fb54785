// SPDX-License-Identifier: GPL-2.0

//! Access control lists, which are attributes without a name.
//!
//! C counterpart: `fs/ext2/acl.c`.
//!
//! Locks: that of the inode's attributes.

#![deny(unsafe_code)]

use super::{
    namespaces::Security,
    read,
    set, //
};
use crate::{
    disk::{
        acl::{
            entries,
            list_of,
            ListEntry, //
        },
        attribute_block::Name,
        attribute_list::kind, //
    },
    inode::Ext2Inode,
    mount::{
        report,
        Ext2, //
    },
};
use kernel::prelude::*;
use rust_mpage::fs::{
    Acl,
    AclEntry,
    AclKind,
    AclOperations,
    CreatedInode,
    SetMode,
    WritableInode, //
};

/// The lists of an ext2 filesystem.
pub(crate) struct Acls;

/// Where a list is.
fn name_of(kind: AclKind) -> Name<'static> {
    Name {
        kind: match kind {
            AclKind::Access => kind::ACCESS_ACL,
            AclKind::Default => kind::DEFAULT_ACL,
        },
        name: b"",
    }
}

/// A list from the disk, unless it is empty. Fails with `EINVAL` if it makes no sense.
fn decode(value: &[u8]) -> Result<Option<Acl>> {
    if value.is_empty() {
        return Ok(None);
    }
    let entries = entries(value).ok_or(EINVAL)?;
    let mut count = 0;
    for entry in entries.clone() {
        entry.ok_or(EINVAL)?;
        count += 1;
    }
    if count == 0 {
        return Ok(None);
    }
    let entries = entries.flatten().map(|entry| AclEntry {
        tag: entry.tag,
        permissions: entry.permissions,
        id: entry.id,
    });
    Acl::new(count, entries).map(Some)
}

impl AclOperations for Acls {
    type FileSystem = Ext2;

    /// C: `ext2_get_acl()`. One that makes no sense is `EUCLEAN`.
    fn get(inode: &Ext2Inode, kind: AclKind) -> Result<Option<Acl>> {
        match read::get(inode, name_of(kind), |value| Ok(decode(value))) {
            Err(ENODATA) => Ok(None),
            Err(error) => Err(error),
            Ok(Err(EINVAL)) => {
                report::corrupt(
                    inode.super_block(),
                    fmt!("inode {}: bad access control list", inode.number()),
                );
                Err(EUCLEAN)
            }
            Ok(list) => list,
        }
    }

    /// C: `__ext2_set_acl()`.
    fn set(inode: &Ext2Inode, kind: AclKind, acl: Option<&Acl>) -> Result {
        let list = |acl: &Acl| {
            list_of(acl.entries().map(|entry| ListEntry {
                tag: entry.tag,
                permissions: entry.permissions,
                id: entry.id,
            }))
        };
        let value = acl.map(list).transpose()?;
        set::set(inode, name_of(kind), value.as_deref(), SetMode::default())
    }
}

/// Gives a new file of `dir` the attributes that it has from the beginning: lists and labels;
/// `name` is what it will be called, if it will be. C: what `ext2_new_inode()` does with them.
pub(crate) fn init<I: WritableInode<FileSystem = Ext2>>(
    inode: &CreatedInode<'_, Ext2>,
    dir: &Ext2Inode,
    name: Option<&[u8]>,
) -> Result {
    inode.inherit_acls::<I>(dir)?;
    inode.init_security::<Security>(dir, name)
}
