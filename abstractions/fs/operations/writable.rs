// SPDX-License-Identifier: GPL-2.0

//! What a filesystem does when an inode or a file is changed.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/fileattr.h`](srctree/include/linux/fileattr.h)
//!
//! Locks: the VFS holds `i_rwsem` exclusively when attributes change.

use super::{
    DirectEvent,
    DirectTracepoint,
    FileOperations,
    InodeOperations,
    IoctlOperations, //
};
use crate::{
    abstractions::fs::{
        ExclusiveInode,
        FsInode,
        HeldInode, //
    },
    bindings, //
};
use kernel::prelude::*;

/// What is known when a sync of a part of a file begins.
#[derive(Clone, Copy, Default)]
pub struct BegunSync {
    /// Whether the inode, which is written with it, leads to what has not been written, or will:
    /// then all of the file is.
    pub is_whole: bool,
    /// When that was, for who has asked.
    pub mark: u64,
}

/// What every inode can do that can be changed.
pub trait WritableInode: InodeOperations {
    /// Sets the size in bytes, which is another than the inode's. C: `ext2_setsize()`.
    ///
    /// Called for inodes of any type; `EINVAL` for those whose size cannot be set. `i_rwsem` is
    /// held exclusively, and nothing inside of it.
    fn set_size(inode: &ExclusiveInode<'_, FsInode<Self::FileSystem>>, size: u64) -> Result;

    /// Takes note of a mode that the inode gets. Returns that which is to be in effect, of the same
    /// type, and without permissions that `mode` has not. `i_rwsem` is held exclusively.
    fn set_mode(inode: HeldInode<'_, Self::FileSystem>, mode: u16) -> u16;

    /// The mode of which [`set_mode`](Self::set_mode) took note, also with what is not in effect.
    fn noted_mode(inode: &FsInode<Self::FileSystem>) -> u16;

    /// Who may do what with the inode has changed, or may have: by its mode, its owners, or its
    /// access control list. Called when it has, with `i_rwsem` held exclusively.
    fn rights_changed(inode: &FsInode<Self::FileSystem>) {
        let _ = inode;
    }

    /// Writes what of the inode and its metadata has been brought to its blocks, and waits for it.
    /// Cheap where all of it has been written. C: `sync_inode_metadata`.
    ///
    /// Called by `fsync(2)` without locks, and with `i_rwsem` held exclusively where an access
    /// control list is set and the inode is synchronous.
    fn sync_metadata(inode: &FsInode<Self::FileSystem>) -> Result;

    /// Whether [`sync_metadata`](Self::sync_metadata) would write or wait for what leads to the
    /// data. Direct writes ask, with `i_rwsem` held exclusively, and may
    /// not wait: so nothing is waited for.
    fn has_unsynced_metadata(inode: &FsInode<Self::FileSystem>) -> bool;

    /// Brings the names of the inode, and those that lead to them, to the device, as far as they
    /// are new. The inode is there. `fsync(2)` calls it, without locks.
    fn sync_names(inode: &FsInode<Self::FileSystem>) -> Result;

    /// Whether there is nothing for [`sync_names`](Self::sync_names) to do. Called as
    /// [`has_unsynced_metadata`](Self::has_unsynced_metadata).
    fn names_are_synced(inode: &FsInode<Self::FileSystem>) -> bool;

    /// What is to be known before a part of a file is synced. Nothing of a directory. Called
    /// without locks: what is written to the file meanwhile is for the next sync.
    fn begin_sync(inode: &FsInode<Self::FileSystem>) -> BegunSync {
        let _ = inode;
        BegunSync::default()
    }

    /// All of the file has been synced, `mark` having been told by [`begin_sync`](Self::begin_sync)
    /// before. Called without locks.
    fn end_whole_sync(inode: &FsInode<Self::FileSystem>, mark: u64) {
        let _ = (inode, mark);
    }

    /// Pages of a directory [could not be
    /// written](crate::abstractions::fs::InodeType::has_unwritten_pages): `fsync(2)` is
    /// about to say so. Called without locks.
    fn pages_failed(inode: &FsInode<Self::FileSystem>) {
        let _ = inode;
    }

    /// The flags that `chattr(1)` knows, `FS_*_FL`. Asked of files and directories, without locks,
    /// or, by who is about to set them, with `i_rwsem` held exclusively.
    fn file_flags(inode: &FsInode<Self::FileSystem>) -> u32;

    /// Sets these flags, of which those that cannot be set are ignored. The VFS has checked that
    /// the user may, and marks the inode to be written. `i_rwsem` is held exclusively.
    fn set_file_flags(inode: HeldInode<'_, Self::FileSystem>, flags: u32) -> Result;
}

/// What a regular file can do that can be written to.
pub trait WritableFile: FileOperations + IoctlOperations {
    /// An open file that could be written to is closed. Others may be open still.
    ///
    /// Called without locks, when the last reference of the open file goes: by `close(2)`, on the
    /// way back to a program, at the end of a process. Others may write to the file meanwhile, and
    /// the filesystem may be frozen.
    fn release_writer(inode: &FsInode<Self::FileSystem>);

    /// The filesystem's tracepoint for an event of direct I/O, if that is on: what has it show
    /// one. Called in any context where the request may be, with or without `i_rwsem`.
    #[inline]
    fn direct_tracepoint(event: DirectEvent) -> Option<DirectTracepoint> {
        let _ = event;
        None
    }
}

/// The mode that an inode gets that was to get `mode`, of which the filesystem has permitted some:
/// no more than that, and of the same type.
pub(in crate::abstractions::fs) fn in_effect(mode: u16, permitted: u16) -> u16 {
    mode & (permitted | bindings::S_IFMT as u16)
}

#[kernel::macros::kunit_tests(rust_mpage_set_mode)]
mod tests {
    use super::in_effect;

    #[test]
    fn permissions_only_go() {
        assert_eq!(in_effect(0o100_664, 0o100_644), 0o100_644);
        assert_eq!(in_effect(0o100_600, 0o100_777), 0o100_600);
    }

    #[test]
    fn the_type_stays() {
        assert_eq!(in_effect(0o100_644, 0), 0o100_000);
        assert_eq!(in_effect(0o040_755, 0o100_755), 0o040_755);
    }
}
