// SPDX-License-Identifier: GPL-2.0

//! The room of extended attributes.
//!
//! - [`attributes`]: which function is for which names; [`acl`]: access control lists, which are
//!   attributes to the disk only; [`security`]: what security modules give new files;
//! - [`mbcache`]: blocks that hold the same.
//!
//! May use: `inode`, `mount`, `mounted`, `new_inode`, `operations`.

mod acl;
mod attributes;
mod mbcache;
mod security;

pub(super) use self::acl::AclVTable;
pub use self::acl::{
    Acl,
    AclEntry,
    AclKind,
    AclOperations, //
};
pub use self::attributes::{
    SetMode,
    XattrHandler,
    XattrHandlers,
    XattrNames,
    XattrNamespace,
    XattrOperations,
    XattrValue, //
};
pub use self::mbcache::BlockCache;
