// SPDX-License-Identifier: GPL-2.0

//! File handles, for NFS and `open_by_handle_at(2)`.
//!
//! C header: [`include/linux/exportfs.h`](srctree/include/linux/exportfs.h)
//!
//! Handles have 32-bit inode numbers and generations. A file with another number has none.

use super::LockedDirectory;
use crate::{
    abstractions::fs::{
        inode::SharedLock,
        ExportTable,
        FileSystem,
        FsInode,
        InodeRef,
        InodeType,
        SuperBlock, //
    },
    bindings, //
};
use core::marker::PhantomData;
use kernel::{
    error::from_result,
    prelude::*, //
};

/// How files are found again.
///
/// Locks: `inode` is called without any; `commit` too, or, of what has just been made and of the
/// directory that it is in, with `i_rwsem` of that held exclusively; `parent` with `i_rwsem` of the
/// directory held shared.
pub trait ExportOperations: 'static {
    /// The filesystem.
    type FileSystem: FileSystem;

    /// The file with this inode number, and this generation if it is not 0. `ESTALE` if there is
    /// no such file any more.
    fn inode(
        sb: &SuperBlock<Self::FileSystem>,
        number: u64,
        generation: u32,
    ) -> Result<InodeRef<'_, Self::FileSystem>>;

    /// Brings to the medium what has been changed of an inode: names in a directory, attributes,
    /// where it is named. Not the bytes of a file. A server says that it is done then. C:
    /// `commit_metadata`, or else `sync_inode_metadata()`.
    fn commit(inode: &FsInode<Self::FileSystem>) -> Result;

    /// The directory that `dir` is in.
    fn parent(dir: LockedDirectory<'_, Self::FileSystem>)
        -> Result<InodeRef<'_, Self::FileSystem>>;
}

impl<T: FileSystem> ExportTable<T> {
    /// The table of `E`.
    pub const fn new<E: ExportOperations<FileSystem = T>>() -> Self {
        Self {
            table: &ExportVTable::<E>::OPERATIONS,
            _filesystem: PhantomData,
        }
    }
}

/// What C says if there is no handle.
const INVALID: c_int = bindings::fid_type_FILEID_INVALID as c_int;

/// Whether there is room in a handle for these numbers: that of a file, and that of its directory
/// if that is in the handle, too. What is left of the bits would be another file.
fn has_handle(number: u64, parent: Option<u64>) -> bool {
    let fits = |number| u32::try_from(number).is_ok();
    fits(number) && parent.is_none_or(fits)
}

struct ExportVTable<E>(PhantomData<E>);

impl<E: ExportOperations> ExportVTable<E> {
    const OPERATIONS: bindings::export_operations = bindings::export_operations {
        encode_fh: Some(Self::encode_fh_callback),
        fh_to_dentry: Some(Self::fh_to_dentry_callback),
        fh_to_parent: Some(Self::fh_to_parent_callback),
        get_parent: Some(Self::get_parent_callback),
        commit_metadata: Some(Self::commit_metadata_callback),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Called with an inode of the filesystem, its directory or null, and a place for as many words
    /// as `max_len` says.
    unsafe extern "C" fn encode_fh_callback(
        inode: *mut bindings::inode,
        words: *mut u32,
        max_len: *mut c_int,
        parent: *mut bindings::inode,
    ) -> c_int {
        // SAFETY: The inode is valid, and the directory if there is one.
        let numbers = unsafe {
            let parent = (!parent.is_null()).then(|| (*parent).i_ino);
            ((*inode).i_ino, parent)
        };
        if !has_handle(numbers.0, numbers.1) {
            return INVALID;
        }
        // SAFETY: The arguments are passed on.
        unsafe { bindings::generic_encode_ino32_fh(inode, words, max_len, parent) }
    }

    /// # Safety
    ///
    /// Called with a mounted superblock of the filesystem.
    unsafe extern "C" fn get_inode_callback(
        sb: *mut bindings::super_block,
        number: u64,
        generation: u32,
    ) -> *mut bindings::inode {
        // SAFETY: By the safety requirements.
        let found = E::inode(unsafe { SuperBlock::from_raw(sb) }, number, generation);
        found
            .and_then(|inode| inode.into_raw_on(sb))
            .unwrap_or_else(Error::to_ptr)
    }

    /// # Safety
    ///
    /// Called with a referenced inode of the filesystem, which can be written to.
    unsafe extern "C" fn commit_metadata_callback(inode: *mut bindings::inode) -> c_int {
        // SAFETY: By the safety requirements.
        from_result(|| E::commit(unsafe { FsInode::from_raw(inode) }).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called with a mounted superblock of the filesystem and a handle.
    unsafe extern "C" fn fh_to_dentry_callback(
        sb: *mut bindings::super_block,
        fid: *mut bindings::fid,
        len: c_int,
        fh_type: c_int,
    ) -> *mut bindings::dentry {
        // SAFETY: The arguments are passed on.
        unsafe {
            bindings::generic_fh_to_dentry(sb, fid, len, fh_type, Some(Self::get_inode_callback))
        }
    }

    /// # Safety
    ///
    /// Called with a mounted superblock of the filesystem and a handle.
    unsafe extern "C" fn fh_to_parent_callback(
        sb: *mut bindings::super_block,
        fid: *mut bindings::fid,
        len: c_int,
        fh_type: c_int,
    ) -> *mut bindings::dentry {
        // SAFETY: The arguments are passed on.
        unsafe {
            bindings::generic_fh_to_parent(sb, fid, len, fh_type, Some(Self::get_inode_callback))
        }
    }

    /// # Safety
    ///
    /// Called with a positive dentry of a directory of the filesystem, whose `i_rwsem` is not held.
    unsafe extern "C" fn get_parent_callback(
        child: *mut bindings::dentry,
    ) -> *mut bindings::dentry {
        // SAFETY: The dentry is positive and of the filesystem, and the caller's until this
        // returns.
        let inode = unsafe { FsInode::<E::FileSystem>::of_dentry(child) };
        // reconnect_one() in fs/exportfs/expfs.c does not take it.
        let lock = SharedLock::new(inode.as_ref());
        // SAFETY: The inode is a directory, locked just above for as long as `dir` is used.
        let dir = unsafe { LockedDirectory::new(inode) };
        let sb = inode.super_block().as_raw();
        let result = E::parent(dir).and_then(|inode| inode.into_raw_on(sb));
        drop(lock);
        match result {
            // SAFETY: The reference is passed on, also if this fails.
            Ok(inode) => unsafe { bindings::d_obtain_alias(inode) },
            Err(error) => error.to_ptr(),
        }
    }
}

#[kernel::macros::kunit_tests(rust_mpage_export)]
mod tests {
    use super::has_handle;

    #[test]
    fn numbers_are_not_cut() {
        const MOST: u64 = u32::MAX as u64;

        assert!(has_handle(MOST, None));
        assert!(has_handle(2, Some(MOST)));
        assert!(!has_handle(MOST + 3, None));
        assert!(!has_handle(2, Some(MOST + 3)));
        assert!(!has_handle(u64::MAX, Some(2)));
    }
}
