// SPDX-License-Identifier: GPL-2.0

//! What can be done with inodes: the traits of a filesystem, and the C tables made of them.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! Locks: `fiemap` takes `i_rwsem` of the file.
//!
//! Left out: everything that changes something, which is in `writable.rs` and `namespace.rs`.

use super::{
    address_space::AddressSpaceVTable,
    AddressSpaceOperations,
    FiemapRequest, //
};
use crate::{
    abstractions::fs::{
        inode::Content,
        DeviceNumber,
        FileSystem,
        FsInode,
        InodeType,
        LinkTarget,
        Operations,
        XattrTable, //
    },
    bindings, //
};
use core::marker::PhantomData;
use kernel::{
    error::from_result,
    prelude::*, //
};

/// Flags of a file that `statx(2)` shows.
#[derive(Clone, Copy, Default)]
pub struct StatAttributes(u32);

impl StatAttributes {
    /// No flags.
    pub const NONE: Self = Self(0);
    /// Can only be appended to.
    pub const APPEND: Self = Self(bindings::STATX_ATTR_APPEND);
    /// Is compressed.
    pub const COMPRESSED: Self = Self(bindings::STATX_ATTR_COMPRESSED);
    /// Is encrypted.
    pub const ENCRYPTED: Self = Self(bindings::STATX_ATTR_ENCRYPTED);
    /// Cannot be changed.
    pub const IMMUTABLE: Self = Self(bindings::STATX_ATTR_IMMUTABLE);
    /// Is not dumped.
    pub const NO_DUMP: Self = Self(bindings::STATX_ATTR_NODUMP);

    /// With the flags of `other`, too.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What every inode can do. C: parts of `struct inode_operations`.
///
/// Locks: all is asked by `stat(2)`, without any.
pub trait InodeOperations: 'static {
    /// The filesystem.
    type FileSystem: FileSystem;

    /// The flags that the filesystem knows.
    const ATTRIBUTES: StatAttributes;

    /// The flags that `inode` has.
    fn attributes(inode: &FsInode<Self::FileSystem>) -> StatAttributes;

    /// How much of the disk the file will have in addition when it has been written, in units of
    /// 512 bytes: `stat(2)` counts it, the image of the inode does not. C: `ext4_file_getattr()`.
    fn sectors_to_come(inode: &FsInode<Self::FileSystem>) -> u64 {
        let _ = inode;
        0
    }
}

/// What a regular file can do, besides what every inode can.
///
/// Locks: `fiemap` is called with `i_rwsem` held exclusively.
pub trait FileOperations: InodeOperations {
    /// Says where the bytes of the file are. C: `fiemap`.
    fn fiemap(inode: &FsInode<Self::FileSystem>, request: &mut FiemapRequest<'_>) -> Result;
}

impl<T: FileSystem> Operations<T> {
    /// A regular file, read through the page cache in folios of any size.
    pub fn regular<I, A>() -> Self
    where
        I: FileOperations<FileSystem = T>,
        A: AddressSpaceOperations<Inode = FsInode<T>>,
    {
        Self {
            inode: &FileVTable::<I>::INODE,
            file: Some(&REGULAR_FILE),
            mapping: Some(&AddressSpaceVTable::<A>::OPERATIONS),
            content: Content::File,
            _filesystem: PhantomData,
        }
    }

    /// A symbolic link, read through the page cache.
    pub fn symlink<I, A>() -> Self
    where
        I: InodeOperations<FileSystem = T>,
        A: AddressSpaceOperations<Inode = FsInode<T>>,
    {
        Self {
            inode: &InodeVTable::<I>::SYMLINK,
            file: None,
            mapping: Some(&AddressSpaceVTable::<A>::OPERATIONS),
            content: Content::Symlink,
            _filesystem: PhantomData,
        }
    }

    /// A symbolic link whose target is kept with the inode.
    pub fn fast_symlink<I>(target: LinkTarget) -> Self
    where
        I: InodeOperations<FileSystem = T>,
    {
        Self {
            inode: &InodeVTable::<I>::FAST_SYMLINK,
            file: None,
            mapping: None,
            content: Content::FastSymlink(target),
            _filesystem: PhantomData,
        }
    }

    /// A device, a FIFO or a socket.
    pub fn special<I>(device: DeviceNumber) -> Self
    where
        I: InodeOperations<FileSystem = T>,
    {
        Self {
            inode: &InodeVTable::<I>::SPECIAL,
            file: None,
            mapping: None,
            content: Content::Special(device),
            _filesystem: PhantomData,
        }
    }
}

/// Tables of what inodes can do.
pub(in crate::abstractions::fs) struct InodeVTable<I>(PhantomData<I>);

impl<I: InodeOperations> InodeVTable<I> {
    pub(in crate::abstractions::fs) const SYMLINK: bindings::inode_operations =
        bindings::inode_operations {
            getattr: Some(Self::getattr_callback),
            listxattr: XattrTable::<I::FileSystem>::LIST,
            get_link: Some(bindings::page_get_link),
            ..pin_init::zeroed()
        };
    pub(in crate::abstractions::fs) const FAST_SYMLINK: bindings::inode_operations =
        bindings::inode_operations {
            getattr: Some(Self::getattr_callback),
            listxattr: XattrTable::<I::FileSystem>::LIST,
            get_link: Some(bindings::simple_get_link),
            ..pin_init::zeroed()
        };
    pub(in crate::abstractions::fs) const SPECIAL: bindings::inode_operations =
        bindings::inode_operations {
            getattr: Some(Self::getattr_callback),
            listxattr: XattrTable::<I::FileSystem>::LIST,
            ..pin_init::zeroed()
        };

    /// # Safety
    ///
    /// Called by the VFS for an inode with this table.
    pub(in crate::abstractions::fs) unsafe extern "C" fn getattr_callback(
        idmap: *mut bindings::mnt_idmap,
        path: *const bindings::path,
        stat: *mut bindings::kstat,
        request_mask: u32,
        _query_flags: c_uint,
    ) -> c_int {
        // SAFETY:
        // - the path is the caller's for the call, and its dentry positive and one of the table's
        //   filesystem;
        // - `stat` is the caller's, for this operation to fill;
        // - `idmap` is that of the path's mount, and the inode is in use.
        unsafe {
            let inode = FsInode::<I::FileSystem>::of_dentry((*path).dentry);
            (*stat).attributes |= u64::from(I::attributes(inode).0);
            (*stat).attributes_mask |= u64::from(I::ATTRIBUTES.0);
            bindings::generic_fillattr(idmap, request_mask, inode.as_raw(), stat);
            (*stat).blocks += I::sectors_to_come(inode);
        }
        0
    }
}

/// The table of what a regular file's inode can do.
pub(in crate::abstractions::fs) struct FileVTable<I>(PhantomData<I>);

impl<I: FileOperations> FileVTable<I> {
    pub(in crate::abstractions::fs) const INODE: bindings::inode_operations =
        bindings::inode_operations {
            getattr: Some(InodeVTable::<I>::getattr_callback),
            fiemap: Some(Self::fiemap_callback),
            listxattr: XattrTable::<I::FileSystem>::LIST,
            ..pin_init::zeroed()
        };

    /// # Safety
    ///
    /// Called by the VFS for an inode with this table.
    unsafe extern "C" fn fiemap_callback(
        raw: *mut bindings::inode,
        info: *mut kernel::bindings::fiemap_extent_info,
        start: u64,
        len: u64,
    ) -> c_int {
        // SAFETY:
        // - the caller has the file open, and so the inode in use, which has this table;
        // - the information is the caller's, for this operation to fill.
        let (inode, mut request) = unsafe {
            (
                FsInode::<I::FileSystem>::from_raw(raw),
                FiemapRequest::from_raw(info.cast(), start, len),
            )
        };
        from_result(|| {
            inode.with_lock(|inode| {
                request.prepare(&inode)?;
                I::fiemap(&inode, &mut request).map(|()| 0)
            })
        })
    }
}

/// What an open regular file can do.
pub(in crate::abstractions::fs) const REGULAR_FILE: bindings::file_operations =
    bindings::file_operations {
        llseek: Some(bindings::generic_file_llseek),
        read_iter: Some(read_iter_callback),
        mmap_prepare: Some(bindings::generic_file_readonly_mmap_prepare),
        open: Some(open_callback),
        fsync: Some(bindings::simple_fsync),
        #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
        get_unmapped_area: Some(bindings::thp_get_unmapped_area),
        splice_read: Some(bindings::filemap_splice_read),
        #[cfg(CONFIG_FILE_LOCKING)]
        setlease: Some(bindings::generic_setlease),
        ..pin_init::zeroed()
    };

/// `O_DIRECT` is accepted; the reads of a file that cannot be written to go through the page cache
/// all the same. Reads may be asked not to wait. A program of 32 bits that does not know of sizes
/// from 2 GiB on does not get a file of one. Whom a file is counted for is found if it is opened to
/// be written to. C: `ext2_file_open()`.
///
/// # Safety
///
/// Called by the VFS with a file that is being opened, and its inode.
pub(super) unsafe extern "C" fn open_callback(
    inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    // SAFETY:
    // - nobody else has the file yet, which is being opened: its mode is this operation's to
    //   change;
    // - the inode is that of the file, and in use.
    unsafe {
        (*file).f_mode |=
            bindings::RUST_MPAGE_FMODE_CAN_ODIRECT | bindings::RUST_MPAGE_FMODE_NOWAIT;
        bindings::rust_mpage_helper_dquot_file_open(inode, file)
    }
}

/// `generic_file_read_iter()` but for `IOCB_DIRECT`, which it would send to `direct_IO`.
///
/// # Safety
///
/// Called by the VFS with a request to read an open file.
unsafe extern "C" fn read_iter_callback(
    iocb: *mut bindings::kiocb,
    to: *mut bindings::iov_iter,
) -> isize {
    // SAFETY: The arguments are passed on.
    unsafe { bindings::filemap_read(iocb, to, 0) }
}

#[kernel::macros::kunit_tests(rust_mpage_open)]
mod tests {
    use super::*;
    use core::ptr;

    /// Opens a file of so many bytes with the operation that tables of regular files have. Returns
    /// what it says, and the mode of the open file.
    fn open(size: i64, flags: u32) -> Result<(c_int, u32)> {
        let mut inode: KBox<bindings::inode> = KBox::init(pin_init::init_zeroed(), GFP_KERNEL)?;
        let mut file: KBox<bindings::file> = KBox::init(pin_init::init_zeroed(), GFP_KERNEL)?;
        inode.i_size = size;
        file.f_flags = flags;
        let open = REGULAR_FILE.open.ok_or(EINVAL)?;
        // SAFETY: The operation looks at the size and the flags, and nobody else has them.
        let result = unsafe { open(ptr::addr_of_mut!(*inode), ptr::addr_of_mut!(*file)) };
        Ok((result, file.f_mode))
    }

    /// Programs of 64 bits always have the flag.
    #[test]
    fn a_large_file_is_opened_by_who_knows_of_them() -> Result {
        const LARGE: i64 = 1 << 31;
        const KNOWS: u32 = bindings::RUST_MPAGE_O_LARGEFILE;

        assert_eq!(open(LARGE - 1, 0)?.0, 0);
        assert_eq!(open(LARGE, 0)?.0, EOVERFLOW.to_errno());
        assert_eq!(open(i64::MAX, 0)?.0, EOVERFLOW.to_errno());
        assert_eq!(open(LARGE, KNOWS)?.0, 0);
        assert_eq!(open(i64::MAX, KNOWS)?.0, 0);
        Ok(())
    }

    #[test]
    fn direct_io_can_be_asked_for() -> Result {
        let can = bindings::RUST_MPAGE_FMODE_CAN_ODIRECT;
        assert!(open(0, 0)?.1 & can != 0);
        Ok(())
    }
}
