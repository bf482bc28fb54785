// SPDX-License-Identifier: GPL-2.0

//! The room of extended attributes of a mounted filesystem.
//!
//! - [`read`]: the block of an inode, checked, and what is asked of it;
//! - [`set`]: attributes are set and taken away; [`share`]: inodes with the same attributes share a
//!   block, which is theirs as long as one has it;
//! - [`namespaces`]: which names there are; [`acl`]: access control lists.
//!
//! May use: `alloc`, `disk`, `inode`, `mount`, `order`.

#![deny(unsafe_code)]

mod acl;
mod namespaces;
mod read;
mod set;
mod share;

pub(crate) use self::{
    acl::{
        init,
        Acls, //
    },
    namespaces::{
        Attributes,
        HANDLERS, //
    },
    share::release, //
};
