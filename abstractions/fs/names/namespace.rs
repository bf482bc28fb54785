// SPDX-License-Identifier: GPL-2.0

//! Giving files names and taking them away.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! Locks: the VFS holds `i_rwsem` of every directory whose entries change, exclusively, which
//! [`ExclusiveDirectory`] is the proof of; and of every file that gains or loses a link, see
//! `Documentation/filesystems/directory-locking.rst`.
//!
//! Left out: `atomic_open`.

use super::{
    directory::{
        self,
        DirectoryVTable, //
    },
    rename::Rename,
    DirectoryOperations,
    ExclusiveDirectory, //
};
use crate::{
    abstractions::fs::{
        inode::Content,
        operations::{
            AddressSpaceVTable,
            IoctlVTable, //
        },
        writable::WritableVTable,
        xattr::AclVTable,
        AclTable,
        AddressSpaceWriteOperations,
        CacheWrites,
        CreatedInode,
        DeviceNumber,
        FileSystem,
        FsInode,
        HeldInode,
        InodeType,
        IoctlOperations,
        Operations, //
    },
    bindings,
    compat, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    error::from_result,
    prelude::*, //
};

/// What a directory can do whose entries can be changed.
///
/// Names have no NUL and no slash, are not empty, and may be longer than the filesystem allows. A
/// file that is created is returned without its own name in the dentry cache, which it gets here.
/// Whom a directory is counted for is found before it is changed.
pub trait NamespaceOperations: DirectoryOperations + IoctlOperations {
    /// Creates a regular file.
    fn create<'d>(
        dir: &mut ExclusiveDirectory<'d, Self::FileSystem>,
        name: &[u8],
        mode: u16,
    ) -> Result<CreatedInode<'d, Self::FileSystem>>;

    /// Creates a directory, with its own entries in it.
    fn mkdir<'d>(
        dir: &mut ExclusiveDirectory<'d, Self::FileSystem>,
        name: &[u8],
        mode: u16,
    ) -> Result<CreatedInode<'d, Self::FileSystem>>;

    /// Creates a device, a FIFO or a socket.
    fn mknod<'d>(
        dir: &mut ExclusiveDirectory<'d, Self::FileSystem>,
        name: &[u8],
        mode: u16,
        device: DeviceNumber,
    ) -> Result<CreatedInode<'d, Self::FileSystem>>;

    /// Creates a symbolic link to `target`, which has no NUL and may be too long.
    fn symlink<'d>(
        dir: &mut ExclusiveDirectory<'d, Self::FileSystem>,
        name: &[u8],
        target: &[u8],
    ) -> Result<CreatedInode<'d, Self::FileSystem>>;

    /// Creates a regular file in the filesystem of `dir`, which is not locked, without a name. The
    /// file has one link, which it loses afterwards.
    fn tmpfile(
        dir: &FsInode<Self::FileSystem>,
        mode: u16,
    ) -> Result<CreatedInode<'_, Self::FileSystem>>;

    /// Gives `inode` one more name.
    fn link(
        dir: &mut ExclusiveDirectory<'_, Self::FileSystem>,
        name: &[u8],
        inode: HeldInode<'_, Self::FileSystem>,
    ) -> Result;

    /// Takes a name from `inode`, which is not a directory.
    fn unlink(
        dir: &mut ExclusiveDirectory<'_, Self::FileSystem>,
        name: &[u8],
        inode: HeldInode<'_, Self::FileSystem>,
    ) -> Result;

    /// Takes the name from `victim`; `ENOTEMPTY` if it is not empty.
    fn rmdir(
        dir: &mut ExclusiveDirectory<'_, Self::FileSystem>,
        name: &[u8],
        victim: ExclusiveDirectory<'_, Self::FileSystem>,
    ) -> Result;

    /// Gives a file another name.
    fn rename(rename: Rename<'_, Self::FileSystem>) -> Result;
}

impl<T: FileSystem> Operations<T> {
    /// A directory that can be changed, read and written through the page cache.
    pub fn writable_directory<I, A>() -> Self
    where
        I: NamespaceOperations<FileSystem = T>,
        A: AddressSpaceWriteOperations<Inode = FsInode<T>>,
        A::Writes: CacheWrites<Inode = FsInode<T>>,
    {
        Self {
            inode: &NamespaceVTable::<I>::INODE,
            file: Some(&NamespaceVTable::<I>::FILE),
            mapping: Some(&AddressSpaceVTable::<A>::WRITE_OPERATIONS),
            content: Content::Directory,
            _filesystem: PhantomData,
        }
    }
}

impl<T: FileSystem> CreatedInode<'_, T> {
    /// The directory that this is, to be given its first entries. Fails with `ENOTDIR` if it is
    /// none.
    pub fn as_directory(&mut self) -> Result<ExclusiveDirectory<'_, T>> {
        if !self.is_directory() {
            return Err(ENOTDIR);
        }
        // SAFETY: It is a directory that nobody else uses, and `self` is borrowed for as long.
        Ok(unsafe { ExclusiveDirectory::new(self) })
    }

    /// Gives the inode, which is of the mount `sb` and of the type in `mode`, to `dentry`.
    /// C: `d_instantiate_new()`.
    ///
    /// # Safety
    ///
    /// `dentry` must be a negative dentry whose directory is locked exclusively.
    unsafe fn instantiate(
        self,
        sb: *mut bindings::super_block,
        dentry: *mut bindings::dentry,
        mode: u16,
    ) -> Result {
        let inode = self.into_raw_on(sb, mode)?;
        // SAFETY: The inode has I_NEW, and the reference is passed on.
        unsafe { bindings::d_instantiate_new(dentry, inode) };
        Ok(())
    }
}

/// The tables of what a directory and an open directory can do.
pub(super) struct NamespaceVTable<D>(PhantomData<D>);

impl<D: NamespaceOperations> NamespaceVTable<D> {
    pub(in crate::abstractions::fs) const INODE: bindings::inode_operations =
        bindings::inode_operations {
            create: Some(compat::create::<Self>),
            link: Some(Self::link_callback),
            unlink: Some(Self::unlink_callback),
            symlink: Some(Self::symlink_callback),
            mkdir: Some(Self::mkdir_callback),
            rmdir: Some(Self::rmdir_callback),
            mknod: Some(Self::mknod_callback),
            rename: Some(Self::rename_callback),
            tmpfile: Some(Self::tmpfile_callback),
            setattr: Some(WritableVTable::<D>::setattr_callback),
            get_inode_acl: AclTable::<D::FileSystem>::GET,
            set_acl: AclVTable::<D>::SET,
            fileattr_get: Some(WritableVTable::<D>::fileattr_get_callback),
            fileattr_set: Some(WritableVTable::<D>::fileattr_set_callback),
            ..DirectoryVTable::<D>::INODE
        };

    pub(in crate::abstractions::fs) const FILE: bindings::file_operations =
        bindings::file_operations {
            fsync: Some(WritableVTable::<D>::fsync_callback),
            unlocked_ioctl: Some(IoctlVTable::<D>::ioctl_callback),
            compat_ioctl: Some(IoctlVTable::<D>::compat_callback),
            ..DirectoryVTable::<D>::FILE
        };

    /// The directory and the name of an entry in it.
    ///
    /// # Safety
    ///
    /// For `'a`, `dir` must be a directory with this table that is locked exclusively and for which
    /// there is no other [`ExclusiveDirectory`], and `dentry` a dentry in it.
    unsafe fn place<'a>(
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
    ) -> (ExclusiveDirectory<'a, D::FileSystem>, &'a [u8]) {
        // SAFETY: By the safety requirements. The lock of the directory keeps the name as it is.
        unsafe {
            (
                ExclusiveDirectory::new(FsInode::from_raw(dir)),
                directory::name_of(dentry),
            )
        }
    }

    /// # Safety
    ///
    /// Called by the VFS for a directory with this table, locked exclusively, with a negative
    /// dentry in it. So are the others that create something.
    unsafe extern "C" fn mkdir_callback(
        _idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        mode: bindings::umode_t,
    ) -> *mut bindings::dentry {
        // SAFETY: By the safety requirements.
        let (mut dir, name) = unsafe { Self::place(dir, dentry) };
        let mode = mode | bindings::S_IFDIR as u16;
        let initialized = dir.inode().initialize_quota();
        let made = initialized.and_then(|()| D::mkdir(&mut dir, name, mode));
        // SAFETY: By the safety requirements.
        match made.and_then(|inode| unsafe {
            inode.instantiate(dir.super_block().as_raw(), dentry, mode)
        }) {
            Ok(()) => ptr::null_mut(),
            Err(error) => error.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// As of `mkdir_callback`.
    unsafe extern "C" fn mknod_callback(
        _idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        mode: bindings::umode_t,
        device: bindings::dev_t,
    ) -> c_int {
        // SAFETY: By the safety requirements.
        let (mut dir, name) = unsafe { Self::place(dir, dentry) };
        from_result(|| {
            dir.inode().initialize_quota()?;
            let inode = D::mknod(&mut dir, name, mode, DeviceNumber::from_raw(device))?;
            // SAFETY: By the safety requirements.
            unsafe { inode.instantiate(dir.super_block().as_raw(), dentry, mode) }.map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// As of `mkdir_callback`, with a NUL-terminated target.
    unsafe extern "C" fn symlink_callback(
        _idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        target: *const c_char,
    ) -> c_int {
        // SAFETY: By the safety requirements.
        let (mut dir, name, target) = unsafe {
            let (dir, name) = Self::place(dir, dentry);
            (dir, name, CStr::from_char_ptr(target))
        };
        from_result(|| {
            dir.inode().initialize_quota()?;
            let inode = D::symlink(&mut dir, name, target.to_bytes())?;
            // SAFETY: By the safety requirements.
            unsafe {
                inode.instantiate(dir.super_block().as_raw(), dentry, bindings::S_IFLNK as u16)
            }
            .map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// Called by the VFS for a directory with this table, and a file that is being opened, with a
    /// negative dentry.
    unsafe extern "C" fn tmpfile_callback(
        _idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        file: *mut bindings::file,
        mode: bindings::umode_t,
    ) -> c_int {
        // SAFETY: By the safety requirements.
        let (dir, sb) = unsafe { (FsInode::from_raw(dir), (*dir).i_sb) };
        let mode = mode | bindings::S_IFREG as u16;
        let made = D::tmpfile(dir, mode).and_then(|inode| match inode.nlink() {
            // d_tmpfile() takes one.
            0 => Err(EINVAL),
            _ => inode.into_raw_on(sb, mode),
        });
        match made {
            // SAFETY: The file is the caller's. The inode has I_NEW until here, and the reference
            // is passed on to the file's dentry.
            Ok(inode) => unsafe {
                bindings::d_tmpfile(file, inode);
                bindings::unlock_new_inode(inode);
                bindings::rust_mpage_helper_finish_open_simple(file)
            },
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// As of `mkdir_callback`, with a positive dentry of a file that is locked exclusively.
    unsafe extern "C" fn link_callback(
        old_dentry: *mut bindings::dentry,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
    ) -> c_int {
        // SAFETY: By the safety requirements.
        let (mut dir, name, raw) = unsafe {
            let (dir, name) = Self::place(dir, dentry);
            (dir, name, (*old_dentry).d_inode)
        };
        from_result(|| {
            dir.inode().initialize_quota()?;
            // SAFETY: The inode of a positive dentry is valid, and this one is locked exclusively.
            D::link(&mut dir, name, unsafe {
                HeldInode::new(FsInode::from_raw(raw))
            })?;
            // SAFETY: As above. The new reference is passed on.
            unsafe {
                bindings::ihold(raw);
                bindings::d_instantiate(dentry, raw);
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the VFS for a directory with this table, locked exclusively, with a positive
    /// dentry in it, whose inode is locked exclusively, too.
    unsafe extern "C" fn unlink_callback(
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
    ) -> c_int {
        // SAFETY: By the safety requirements.
        let (mut dir, name, inode) = unsafe {
            let (dir, name) = Self::place(dir, dentry);
            (
                dir,
                name,
                HeldInode::new(FsInode::from_raw((*dentry).d_inode)),
            )
        };
        from_result(|| {
            dir.inode().initialize_quota()?;
            D::unlink(&mut dir, name, inode).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// As of `unlink_callback`, and the inode is a directory.
    unsafe extern "C" fn rmdir_callback(
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
    ) -> c_int {
        // SAFETY: By the safety requirements. No directory is in itself.
        let (mut dir, name, victim) = unsafe {
            let (dir, name) = Self::place(dir, dentry);
            let victim = FsInode::from_raw((*dentry).d_inode);
            (dir, name, ExclusiveDirectory::new(victim))
        };
        from_result(|| {
            dir.inode().initialize_quota()?;
            D::rmdir(&mut dir, name, victim).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// Called by `vfs_rename()` for directories with this table, locked exclusively, with a
    /// positive dentry in the old one and another dentry in the new one.
    unsafe extern "C" fn rename_callback(
        _idmap: *mut bindings::mnt_idmap,
        old_dir: *mut bindings::inode,
        old_dentry: *mut bindings::dentry,
        new_dir: *mut bindings::inode,
        new_dentry: *mut bindings::dentry,
        flags: c_uint,
    ) -> c_int {
        // With RENAME_NOREPLACE, the VFS has made sure that there is nothing to be replaced. The
        // others come with other locks.
        if flags & !bindings::RENAME_NOREPLACE != 0 {
            return EINVAL.to_errno();
        }
        from_result(|| {
            for dir in [old_dir, new_dir] {
                // SAFETY: By the safety requirements.
                unsafe { FsInode::<D::FileSystem>::from_raw(dir) }.initialize_quota()?;
            }
            // SAFETY: By the safety requirements, and the flags.
            let rename = unsafe { Rename::new(old_dir, old_dentry, new_dir, new_dentry) };
            D::rename(rename).map(|()| 0)
        })
    }
}

impl<D: NamespaceOperations> compat::Create for NamespaceVTable<D> {
    unsafe fn create(
        _idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        mode: bindings::umode_t,
    ) -> c_int {
        // SAFETY: By the safety requirements.
        let (mut dir, name) = unsafe { Self::place(dir, dentry) };
        from_result(|| {
            dir.inode().initialize_quota()?;
            let mode = mode | bindings::S_IFREG as u16;
            let inode = D::create(&mut dir, name, mode)?;
            // SAFETY: By the safety requirements.
            unsafe { inode.instantiate(dir.super_block().as_raw(), dentry, mode) }.map(|()| 0)
        })
    }
}
