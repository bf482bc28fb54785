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
///
/// Locks: `i_rwsem` of the directory is held exclusively, and that of an inode that loses or gets a
/// name in it, as the types say; in `rename` that of both directories, and of which inodes
/// [`RenameSource`](super::RenameSource) and [`RenameTarget`](super::RenameTarget) say. In
/// `tmpfile` none is held. No folio is locked.
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
}

/// An entry that is to be made in a directory.
///
/// # Invariants
///
/// `dentry` is a negative dentry in `dir`, whose name is `name`, for `'a`.
struct NewEntry<'a, T> {
    dir: ExclusiveDirectory<'a, T>,
    name: &'a [u8],
    dentry: *mut bindings::dentry,
}

impl<'a, T: FileSystem> NewEntry<'a, T> {
    /// # Safety
    ///
    /// For `'a`, the arguments must be those of an operation of the VFS that makes an entry:
    /// a directory of `T` that is locked exclusively and for which there is no other
    /// [`ExclusiveDirectory`], and a negative dentry in it.
    unsafe fn from_raw(dir: *mut bindings::inode, dentry: *mut bindings::dentry) -> Self {
        // SAFETY: The safety requirements are the same but for what the dentry is.
        let (dir, name) = unsafe { place(dir, dentry) };
        // INVARIANT: By the safety requirements.
        Self { dir, name, dentry }
    }

    /// Has `make` make a file of the type in `mode`, and gives it the entry.
    /// C: `d_instantiate_new()`.
    fn make(
        mut self,
        mode: u16,
        make: impl FnOnce(&mut ExclusiveDirectory<'a, T>, &[u8]) -> Result<CreatedInode<'a, T>>,
    ) -> Result {
        self.dir.inode().initialize_quota()?;
        let inode = make(&mut self.dir, self.name)?;
        let inode = inode.into_raw_on(self.dir.super_block().as_raw(), mode)?;
        // SAFETY:
        // - the dentry is negative by the type invariants;
        // - the inode has I_NEW, and its reference is passed on, as `into_raw_on` says.
        unsafe { bindings::d_instantiate_new(self.dentry, inode) };
        Ok(())
    }

    /// Has `link` make one more name of a file, and gives that the entry. C: `d_instantiate()`.
    fn link(
        mut self,
        inode: HeldInode<'_, T>,
        link: impl FnOnce(&mut ExclusiveDirectory<'a, T>, &[u8], HeldInode<'_, T>) -> Result,
    ) -> Result {
        self.dir.inode().initialize_quota()?;
        link(&mut self.dir, self.name, inode)?;
        // SAFETY:
        // - the inode is in use, so one more reference may be taken, which is passed on;
        // - the dentry is negative by the type invariants.
        unsafe {
            bindings::ihold(inode.as_raw());
            bindings::d_instantiate(self.dentry, inode.as_raw());
        }
        Ok(())
    }
}

/// The directory and the name of an entry in it.
///
/// # Safety
///
/// For `'a`, `dir` must be a directory of `T` that is locked exclusively and for which there is no
/// other [`ExclusiveDirectory`], and `dentry` a dentry in it.
unsafe fn place<'a, T: FileSystem>(
    dir: *mut bindings::inode,
    dentry: *mut bindings::dentry,
) -> (ExclusiveDirectory<'a, T>, &'a [u8]) {
    // SAFETY:
    // - a directory that is locked is in use, and one of `T`, locked exclusively and for nobody
    //   else, by the safety requirements;
    // - the dentry is valid, and the lock of its directory keeps its name as it is.
    unsafe {
        (
            ExclusiveDirectory::new(FsInode::from_raw(dir)),
            directory::name_of(dentry),
        )
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
        // SAFETY: The VFS calls this for a directory of the table's filesystem to make an entry.
        let entry = unsafe { NewEntry::from_raw(dir, dentry) };
        let mode = mode | bindings::S_IFDIR as u16;
        match entry.make(mode, |dir, name| D::mkdir(dir, name, mode)) {
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
        // SAFETY: The VFS calls this for a directory of the table's filesystem to make an entry.
        let entry = unsafe { NewEntry::from_raw(dir, dentry) };
        let device = DeviceNumber::from_raw(device);
        from_result(|| {
            let made = entry.make(mode, |dir, name| D::mknod(dir, name, mode, device));
            made.map(|()| 0)
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
        // SAFETY:
        // - the VFS calls this for a directory of the table's filesystem to make an entry;
        // - the target ends with a NUL, and is the caller's until this returns.
        let (entry, target) = unsafe {
            (
                NewEntry::from_raw(dir, dentry),
                CStr::from_char_ptr(target).to_bytes(),
            )
        };
        let mode = bindings::S_IFLNK as u16;
        from_result(|| {
            let made = entry.make(mode, |dir, name| D::symlink(dir, name, target));
            made.map(|()| 0)
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
        // SAFETY: The VFS has a dentry of the directory, so it is in use, and one of the table's
        // filesystem.
        let dir = unsafe { FsInode::from_raw(dir) };
        let sb = dir.super_block().as_raw();
        let mode = mode | bindings::S_IFREG as u16;
        let made = D::tmpfile(dir, mode).and_then(|inode| match inode.nlink() {
            // d_tmpfile() takes one.
            0 => Err(EINVAL),
            _ => inode.into_raw_on(sb, mode),
        });
        match made {
            // SAFETY:
            // - the file is being opened, and its dentry negative, by the safety requirements;
            // - the inode's reference is passed on to the dentry, and it has a link, as tested;
            // - it has I_NEW until here, as `into_raw_on` says;
            // - what is being opened has its dentry now, so the open may be finished.
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
        // SAFETY:
        // - the VFS calls this for a directory of the table's filesystem to make an entry;
        // - the old dentry is positive, of the same mount, and the caller's until this returns;
        // - `vfs_link()` has locked its inode exclusively.
        let (entry, inode) = unsafe {
            (
                NewEntry::from_raw(dir, dentry),
                HeldInode::new(FsInode::of_dentry(old_dentry)),
            )
        };
        from_result(|| entry.link(inode, D::link).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the VFS for a directory with this table, locked exclusively, with a positive
    /// dentry in it, whose inode is locked exclusively, too.
    unsafe extern "C" fn unlink_callback(
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
    ) -> c_int {
        // SAFETY:
        // - the directory has this table, and the VFS has locked it exclusively for the call; the
        //   dentry is in it;
        // - the dentry is positive, and the caller's until this returns;
        // - `vfs_unlink()` has locked its inode exclusively.
        let ((mut dir, name), inode) = unsafe {
            (
                place(dir, dentry),
                HeldInode::new(FsInode::of_dentry(dentry)),
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
        // SAFETY:
        // - the directory has this table, and the VFS has locked it exclusively for the call; the
        //   dentry is in it;
        // - the dentry is positive, of a directory, and the caller's until this returns;
        // - `vfs_rmdir()` has locked its inode exclusively, and it is another than `dir`, for no
        //   directory is in itself.
        let ((mut dir, name), victim) = unsafe {
            (
                place(dir, dentry),
                ExclusiveDirectory::new(FsInode::of_dentry(dentry)),
            )
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
                // SAFETY: A directory that `vfs_rename()` has locked is in use, and one of the
                // table's filesystem; no `ExclusiveDirectory` of it has been made yet.
                unsafe { FsInode::<D::FileSystem>::from_raw(dir) }.initialize_quota()?;
            }
            // SAFETY: These are the arguments of `vfs_rename()`, for the call, and the flags are
            // without RENAME_EXCHANGE, as tested.
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
        // SAFETY: The VFS calls this for a directory of the table's filesystem to make an entry.
        let entry = unsafe { NewEntry::from_raw(dir, dentry) };
        let mode = mode | bindings::S_IFREG as u16;
        from_result(|| {
            let made = entry.make(mode, |dir, name| D::create(dir, name, mode));
            made.map(|()| 0)
        })
    }
}
