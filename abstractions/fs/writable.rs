// SPDX-License-Identifier: GPL-2.0

//! The tables of inodes and open files that can be changed, made of what a filesystem does then,
//! [`WritableInode`] and [`WritableFile`].
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/fileattr.h`](srctree/include/linux/fileattr.h)
//!
//! Locks: the VFS holds `i_rwsem` exclusively when attributes change.

use super::{
    AclTable,
    AddressSpaceWriteOperations,
    CacheWrites,
    DeviceNumber,
    ExclusiveInode,
    FileSystem,
    FsInode,
    HeldInode,
    InodeType,
    LinkTarget,
    Operations,
    WritableFile,
    WritableInode, //
};
use crate::{
    abstractions::{
        fs::{
            inode::Content,
            io::{
                DirectVTable,
                SeekVTable, //
            },
            operations::{
                in_effect,
                AddressSpaceVTable,
                FileVTable,
                InodeVTable,
                IoctlVTable,
                REGULAR_FILE, //
            },
            xattr::AclVTable, //
        },
        mm::{
            FaultVTable,
            FileWrites, //
        },
    },
    bindings,
    compat, //
};
use core::marker::PhantomData;
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*, //
};

/// What says who may do what.
const RIGHTS: u32 = bindings::ATTR_MODE | bindings::ATTR_UID | bindings::ATTR_GID;

impl<T: FileSystem> Operations<T> {
    /// A regular file, read and written through the page cache.
    pub fn writable_regular<I, A>() -> Self
    where
        I: WritableFile<FileSystem = T>,
        A: AddressSpaceWriteOperations<Inode = FsInode<T>>,
        A::Writes: FileWrites<Inode = FsInode<T>>,
    {
        Self {
            inode: &WritableFileVTable::<I, A>::INODE,
            file: Some(&WritableFileVTable::<I, A>::FILE),
            mapping: Some(&AddressSpaceVTable::<A>::FILE_OPERATIONS),
            content: Content::WritableFile,
            _filesystem: PhantomData,
        }
    }

    /// A symbolic link that can be changed, read and written through the page cache.
    pub fn writable_symlink<I, A>() -> Self
    where
        I: WritableInode<FileSystem = T>,
        A: AddressSpaceWriteOperations<Inode = FsInode<T>>,
        A::Writes: CacheWrites<Inode = FsInode<T>>,
    {
        Self {
            inode: &WritableVTable::<I>::SYMLINK,
            file: None,
            mapping: Some(&AddressSpaceVTable::<A>::WRITE_OPERATIONS),
            content: Content::Symlink,
            _filesystem: PhantomData,
        }
    }

    /// A symbolic link that can be changed, and whose target is kept with the inode.
    pub fn writable_fast_symlink<I>(target: LinkTarget) -> Self
    where
        I: WritableInode<FileSystem = T>,
    {
        Self {
            inode: &WritableVTable::<I>::FAST_SYMLINK,
            file: None,
            mapping: None,
            content: Content::FastSymlink(target),
            _filesystem: PhantomData,
        }
    }

    /// A device, a FIFO or a socket that can be changed.
    pub fn writable_special<I>(device: DeviceNumber) -> Self
    where
        I: WritableInode<FileSystem = T>,
    {
        Self {
            inode: &WritableVTable::<I>::SPECIAL,
            file: None,
            mapping: None,
            content: Content::Special(device),
            _filesystem: PhantomData,
        }
    }
}

/// Tables of what inodes can do.
pub(super) struct WritableVTable<I>(PhantomData<I>);

impl<I: WritableInode> WritableVTable<I> {
    const SYMLINK: bindings::inode_operations = bindings::inode_operations {
        setattr: Some(Self::setattr_callback),
        ..InodeVTable::<I>::SYMLINK
    };
    const FAST_SYMLINK: bindings::inode_operations = bindings::inode_operations {
        setattr: Some(Self::setattr_callback),
        ..InodeVTable::<I>::FAST_SYMLINK
    };
    const SPECIAL: bindings::inode_operations = bindings::inode_operations {
        setattr: Some(Self::setattr_callback),
        get_inode_acl: AclTable::<I::FileSystem>::GET,
        set_acl: AclVTable::<I>::SET,
        ..InodeVTable::<I>::SPECIAL
    };

    /// As `simple_fsync()`, except that a directory of which a page could not be written is written
    /// once more, and with the names: `ext4_sync_parent()`.
    ///
    /// # Safety
    ///
    /// Called by the VFS with an open file of the filesystem.
    pub(super) unsafe extern "C" fn fsync_callback(
        file: *mut bindings::file,
        start: bindings::loff_t,
        end: bindings::loff_t,
        datasync: c_int,
    ) -> c_int {
        from_result(|| {
            // SAFETY: The file is open, and of the filesystem.
            let inode = unsafe { FsInode::<I::FileSystem>::from_raw((*file).f_inode) };
            // Blocks get their places in runs: what of a run is not in the range would be on the
            // disk as its blocks were.
            let begun = I::begin_sync(inode);
            let (start, end) = match begun.is_whole {
                true => (0, bindings::loff_t::MAX),
                false => (start, end),
            };
            if inode.has_unwritten_pages() {
                // That it fails is an error of the mapping, and so seen below.
                let _ = inode.rewrite_pages();
            }
            // SAFETY: The arguments are passed on.
            let synced =
                to_result(unsafe { compat::simple_fsync_noflush(file, start, end, datasync) });
            if inode.has_unwritten_pages() {
                I::pages_failed(inode);
                return synced.and(Err(EIO));
            }
            synced?;
            inode.or_dirty_again(I::sync_metadata)?;
            if start == 0 && end == bindings::loff_t::MAX {
                I::end_whole_sync(inode, begun.mark);
            }
            I::sync_names(inode)?;
            inode.device().flush()?;
            Ok(0)
        })
    }

    /// C: `ext2_setattr()`.
    ///
    /// # Safety
    ///
    /// Called by the VFS with a positive dentry of an inode with this table, whose `i_rwsem` is
    /// held exclusively.
    pub(super) unsafe extern "C" fn setattr_callback(
        idmap: *mut bindings::mnt_idmap,
        dentry: *mut bindings::dentry,
        attr: *mut bindings::iattr,
    ) -> c_int {
        from_result(|| {
            // SAFETY:
            // - the dentry is positive, of the table's filesystem, and the caller's until this
            //   returns;
            // - `notify_change()` is called with the inode's `i_rwsem` held exclusively.
            let inode = unsafe { HeldInode::new(FsInode::<I::FileSystem>::of_dentry(dentry)) };
            let raw = inode.as_raw();
            // SAFETY: The attributes are the caller's, who does not change them meanwhile.
            let valid = unsafe { (*attr).ia_valid };
            // As of what is immutable, which it is when it is in use for longer.
            if inode.is_quota_file() && valid & (bindings::ATTR_UID | bindings::ATTR_GID) != 0 {
                return Err(EPERM);
            }
            // SAFETY:
            // - these are the arguments of `setattr`, which `setattr_prepare()` takes first;
            // - the inode is held, and the attributes are prepared, for `dquot_transfer()`;
            // - the attributes are the caller's, who does not change them meanwhile.
            let (size, mode) = unsafe {
                to_result(bindings::setattr_prepare(idmap, dentry, attr))?;
                to_result(bindings::rust_mpage_helper_dquot_setattr(idmap, raw, attr))?;
                ((*attr).ia_size, (*attr).ia_mode)
            };
            if valid & bindings::ATTR_SIZE != 0 {
                let size = u64::try_from(size).map_err(|_| EINVAL)?;
                if size != inode.size() {
                    // SAFETY: `i_rwsem` is held exclusively, and so nobody reads a directory.
                    I::set_size(&unsafe { ExclusiveInode::new(inode.inode()) }, size)?;
                }
            }
            if valid & bindings::ATTR_MODE != 0 {
                let mode = in_effect(mode, I::set_mode(inode, mode));
                // SAFETY: The attributes are the caller's, who has no use for the mode afterwards.
                unsafe { (*attr).ia_mode = mode };
            }
            // SAFETY: The inode is valid and locked by the caller; the attributes are prepared.
            unsafe { bindings::setattr_copy(idmap, raw, attr) };
            if valid & RIGHTS != 0 {
                I::rights_changed(inode.inode());
            }
            inode.mark_dirty();
            if valid & bindings::ATTR_MODE != 0 {
                // SAFETY: As above.
                let error =
                    unsafe { bindings::rust_mpage_helper_acl_chmod(idmap, dentry, inode.mode()) };
                to_result(error)?;
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the VFS with a positive dentry of an inode with this table.
    pub(super) unsafe extern "C" fn fileattr_get_callback(
        dentry: *mut bindings::dentry,
        attr: *mut bindings::file_kattr,
    ) -> c_int {
        // SAFETY: The dentry is positive, of the table's filesystem, and the caller's until this
        // returns.
        let flags = I::file_flags(unsafe { FsInode::of_dentry(dentry) });
        // SAFETY: The attributes are the caller's.
        unsafe { bindings::fileattr_fill_flags(attr, flags) };
        0
    }

    /// C: `ext2_fileattr_set()`.
    ///
    /// # Safety
    ///
    /// Called by the VFS with a positive dentry of an inode with this table, whose `i_rwsem` is
    /// held exclusively.
    pub(super) unsafe extern "C" fn fileattr_set_callback(
        _idmap: *mut bindings::mnt_idmap,
        dentry: *mut bindings::dentry,
        attr: *mut bindings::file_kattr,
    ) -> c_int {
        from_result(|| {
            // SAFETY: The attributes are the caller's.
            if unsafe { bindings::rust_mpage_helper_fileattr_has_fsx(attr) } {
                return Err(EOPNOTSUPP);
            }
            // SAFETY:
            // - the dentry is positive, of the table's filesystem, and the caller's until this
            //   returns;
            // - `vfs_fileattr_set()` has locked its inode exclusively;
            // - the attributes are the caller's.
            let (inode, flags) = unsafe {
                (
                    HeldInode::new(FsInode::<I::FileSystem>::of_dentry(dentry)),
                    bindings::rust_mpage_helper_fileattr_flags(attr),
                )
            };
            if inode.is_quota_file() {
                return Err(EPERM);
            }
            I::set_file_flags(inode, flags)?;
            inode.set_ctime_now();
            inode.mark_dirty();
            Ok(0)
        })
    }
}

/// The tables of what a regular file and an open regular file can do.
struct WritableFileVTable<I, A>(PhantomData<(I, A)>);

impl<I, A> WritableFileVTable<I, A>
where
    I: WritableFile,
    A: AddressSpaceWriteOperations<Inode = FsInode<I::FileSystem>>,
    A::Writes: FileWrites<Inode = A::Inode>,
{
    const INODE: bindings::inode_operations = bindings::inode_operations {
        getattr: Some(Self::getattr_callback),
        setattr: Some(WritableVTable::<I>::setattr_callback),
        get_inode_acl: AclTable::<I::FileSystem>::GET,
        set_acl: AclVTable::<I>::SET,
        fileattr_get: Some(WritableVTable::<I>::fileattr_get_callback),
        fileattr_set: Some(WritableVTable::<I>::fileattr_set_callback),
        ..FileVTable::<I>::INODE
    };

    const FILE: bindings::file_operations = bindings::file_operations {
        fsync: Some(WritableVTable::<I>::fsync_callback),
        llseek: Some(SeekVTable::<A>::llseek_callback),
        read_iter: Some(DirectVTable::<I, A>::read_iter_callback),
        write_iter: Some(DirectVTable::<I, A>::write_iter_callback),
        unlocked_ioctl: Some(IoctlVTable::<I>::ioctl_callback),
        compat_ioctl: Some(IoctlVTable::<I>::compat_callback),
        splice_write: Some(bindings::iter_file_splice_write),
        mmap_prepare: Some(Self::mmap_prepare_callback),
        release: Some(Self::release_callback),
        fop_flags: bindings::RUST_MPAGE_FOP_BUFFER_RASYNC | bindings::RUST_MPAGE_FOP_DONTCACHE,
        ..REGULAR_FILE
    };

    /// What a mapping of a file does on a page fault.
    const FAULTS: &'static bindings::vm_operations_struct = &FaultVTable::<A::Writes>::OPERATIONS;

    /// As of every inode, and what requests of direct I/O have to be aligned to. C: parts of
    /// `xfs_vn_getattr()`.
    ///
    /// # Safety
    ///
    /// Called by the VFS for an inode with this table.
    unsafe extern "C" fn getattr_callback(
        idmap: *mut bindings::mnt_idmap,
        path: *const bindings::path,
        stat: *mut bindings::kstat,
        request_mask: u32,
        query_flags: c_uint,
    ) -> c_int {
        // SAFETY:
        // - a path has a valid dentry, and that a superblock, for the call;
        // - the superblock of a filesystem of `I` has a device, which is open while it is mounted,
        //   and so has its sizes;
        // - `stat` is the caller's, for this operation to fill;
        // - the last is called as this function is, for an inode of the same filesystem.
        unsafe {
            if request_mask & bindings::STATX_DIOALIGN != 0 {
                let device = (*(*(*path).dentry).d_sb).s_bdev;
                (*stat).result_mask |= bindings::STATX_DIOALIGN;
                (*stat).dio_mem_align = bindings::rust_mpage_helper_bdev_memory_alignment(device);
                (*stat).dio_offset_align = bindings::rust_mpage_helper_bdev_block_size(device);
            }
            InodeVTable::<I>::getattr_callback(idmap, path, stat, request_mask, query_flags)
        }
    }

    /// # Safety
    ///
    /// Called by the VFS for a file with this table that is being mapped.
    unsafe extern "C" fn mmap_prepare_callback(desc: *mut bindings::vm_area_desc) -> c_int {
        // SAFETY:
        // - the description is the caller's, of a file that is being mapped, for the call;
        // - this operation may say what the mapping does, and faults in files with this table are
        //   for `FAULTS`.
        unsafe {
            let error = bindings::generic_file_mmap_prepare(desc);
            if error == 0 {
                (*desc).vm_ops = Self::FAULTS;
            }
            error
        }
    }

    /// # Safety
    ///
    /// Called by the VFS, once, for an open file with this table that nobody uses any more.
    unsafe extern "C" fn release_callback(
        inode: *mut bindings::inode,
        file: *mut bindings::file,
    ) -> c_int {
        // SAFETY: The file is valid until this returns, and nobody uses it any more.
        if unsafe { (*file).f_mode } & bindings::RUST_MPAGE_FMODE_WRITE != 0 {
            // SAFETY: The file keeps its inode until this returns, and that has this table.
            I::release_writer(unsafe { FsInode::from_raw(inode) });
        }
        0
    }
}
