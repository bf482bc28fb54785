// SPDX-License-Identifier: GPL-2.0

//! What a rename is about.
//!
//! The types say what `vfs_rename()` has locked: both directories, which may be one; what is
//! replaced; and what is renamed, unless it is a directory that stays where it is.
//!
//! Left out: `RENAME_EXCHANGE` and `RENAME_WHITEOUT`.

use super::{
    directory,
    ExclusiveDirectory, //
};
use crate::{
    abstractions::fs::{
        FileSystem,
        FsInode,
        HeldInode,
        InodeType, //
    },
    bindings, //
};

/// The directories of a rename.
pub enum RenameDirectories<'a, T> {
    /// The file stays in its directory.
    Same(ExclusiveDirectory<'a, T>),
    /// The file moves.
    Different {
        /// From here.
        old: ExclusiveDirectory<'a, T>,
        /// To here.
        new: ExclusiveDirectory<'a, T>,
    },
}

/// What gets another name.
pub enum RenameSource<'a, T> {
    /// Not a directory.
    File(HeldInode<'a, T>),
    /// A directory that stays where it is. It is not locked.
    Directory(&'a FsInode<T>),
    /// A directory that gets another parent.
    Reparented(ExclusiveDirectory<'a, T>),
}

/// What loses its name to something else of the same kind.
pub enum RenameTarget<'a, T> {
    /// Not a directory.
    File(HeldInode<'a, T>),
    /// A directory, which has to be empty.
    Directory(ExclusiveDirectory<'a, T>),
}

impl<'a, T: FileSystem> RenameSource<'a, T> {
    /// The inode.
    pub fn inode(&self) -> &'a FsInode<T> {
        match self {
            Self::File(inode) => inode.inode(),
            Self::Directory(inode) => inode,
            Self::Reparented(directory) => directory.inode(),
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        !matches!(self, Self::File(_))
    }
}

impl<'a, T: FileSystem> RenameTarget<'a, T> {
    /// The inode.
    pub fn inode(&self) -> &'a FsInode<T> {
        match self {
            Self::File(inode) => inode.inode(),
            Self::Directory(directory) => directory.inode(),
        }
    }

    /// The inode, to be changed.
    pub fn held(&self) -> HeldInode<'_, T> {
        match self {
            Self::File(inode) => *inode,
            Self::Directory(directory) => directory.held(),
        }
    }
}

/// A request to rename.
pub struct Rename<'a, T> {
    /// Where the names are.
    pub directories: RenameDirectories<'a, T>,
    /// The name that it has.
    pub old_name: &'a [u8],
    /// The name that it gets.
    pub new_name: &'a [u8],
    /// What is renamed.
    pub source: RenameSource<'a, T>,
    /// What has the new name, and is replaced: another inode than the source's, and a directory if
    /// and only if that is one.
    pub target: Option<RenameTarget<'a, T>>,
}

impl<'a, T: FileSystem> Rename<'a, T> {
    /// # Safety
    ///
    /// The arguments must be those that `vfs_rename()` calls a filesystem of `T` with, without
    /// `RENAME_EXCHANGE`, and used for `'a` by nobody else who changes directories.
    pub(in crate::abstractions::fs) unsafe fn new(
        old_dir: *mut bindings::inode,
        old_dentry: *mut bindings::dentry,
        new_dir: *mut bindings::inode,
        new_dentry: *mut bindings::dentry,
    ) -> Self {
        // SAFETY:
        // - the dentries are valid, and keep their inodes and names while the parents are locked;
        // - `old_dir` and `new_dir` are directories of `T` that `lock_rename()` has locked, and two
        //   if their addresses are;
        // - the source is an inode of `T`; one that is no directory or moves to another one
        //   `vfs_rename()` has locked, and it is none of the parents, for no directory is in itself
        //   or below itself;
        // - what is replaced, if it is there, is an inode of `T` that `vfs_rename()` has locked,
        //   and none of the others.
        unsafe {
            let exclusive = |inode| ExclusiveDirectory::new(FsInode::from_raw(inode));
            let source = FsInode::from_raw((*old_dentry).d_inode);
            let target = (*new_dentry).d_inode;

            Self {
                directories: if old_dir == new_dir {
                    RenameDirectories::Same(exclusive(old_dir))
                } else {
                    RenameDirectories::Different {
                        old: exclusive(old_dir),
                        new: exclusive(new_dir),
                    }
                },
                old_name: directory::name_of(old_dentry),
                new_name: directory::name_of(new_dentry),
                source: match (source.is_directory(), old_dir == new_dir) {
                    (false, _) => RenameSource::File(HeldInode::new(source)),
                    (true, true) => RenameSource::Directory(source),
                    (true, false) => RenameSource::Reparented(ExclusiveDirectory::new(source)),
                },
                target: (!target.is_null()).then(|| {
                    let target = FsInode::from_raw(target);
                    if target.is_directory() {
                        RenameTarget::Directory(ExclusiveDirectory::new(target))
                    } else {
                        RenameTarget::File(HeldInode::new(target))
                    }
                }),
            }
        }
    }
}
