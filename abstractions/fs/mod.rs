// SPDX-License-Identifier: GPL-2.0

//! Filesystem objects.

mod inode;

pub use self::inode::{
    Inode,
    InodeType, //
};
