// SPDX-License-Identifier: GPL-2.0

//! What a filesystem is to all that is made for it.
//!
//! Left out: filesystems without a block device.

use super::{
    AclTable,
    ExportTable,
    SuperBlock,
    XattrTable, //
};
use crate::abstractions::fs::Unwritten;
use kernel::prelude::*;

/// A filesystem on a block device: what it keeps in memory, and what it has. How it is mounted is
/// its [`MountableFileSystem`](crate::fs::MountableFileSystem).
pub trait FileSystem: Sized + 'static {
    /// Its name, in messages.
    const NAME: &'static CStr;

    /// How its files get handles that survive a reboot, if they do.
    const EXPORT: Option<ExportTable<Self>> = None;

    /// The extended attributes that its files have, if they have any.
    const XATTRS: Option<XattrTable<Self>> = None;

    /// The access control lists that its files have, if they have any.
    const ACLS: Option<AclTable<Self>> = None;

    /// What it keeps for each mounted filesystem.
    type Data: Send + Sync;

    /// What it keeps for each inode. Dropped when the inode has left memory, perhaps by memory
    /// reclaim.
    type InodeData: Send + Sync;

    /// A write of metadata block `block` has failed. What is in memory is right, and is to be
    /// written again. Called where the filesystem asks for the block, or marks it dirty, or an
    /// inode is written, or the filesystem synced or unmounted; it may sleep, and hold what the
    /// filesystem holds there.
    fn write_failed(sb: &SuperBlock<Self>, block: u64);

    /// Where it keeps the metadata blocks that may not be on the device yet. One of another mount,
    /// or not always the same, may lose what could not be written.
    fn unwritten(sb: &SuperBlock<Self>) -> &Unwritten;
}
