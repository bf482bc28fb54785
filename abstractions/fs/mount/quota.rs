// SPDX-License-Identifier: GPL-2.0

//! The files that hold what is counted for users and groups, and how that is turned on and off.
//!
//! C header: [`include/linux/quotaops.h`](srctree/include/linux/quotaops.h)
//!
//! Locks: `s_umount` is held exclusively by who turns quota on, off, suspends or resumes it. The
//! files are read and written inside the kernel's locks of quota, and inside [`QuotaLock`] by one
//! at a time.
//!
//! Left out: quota files that have no name, or are found at mount.

#[cfg(CONFIG_QUOTA)]
use super::write::sync_filesystem;
use super::{
    write::WriteVTable,
    WritableFileSystem,
    WriteTable, //
};
#[cfg(CONFIG_QUOTA)]
use crate::abstractions::fs::{
    inode::InodeCache,
    quota::{
        active_files,
        file_of,
        is_active,
        TYPES, //
    },
    InodeRef,
    InodeType, //
};
use crate::{
    abstractions::fs::{
        quota::{
            QuotaLock,
            QuotaTable,
            QuotaUse, //
        },
        FileSystem,
        FsInode,
        HeldInode,
        SuperBlock, //
    },
    bindings, //
};
use core::marker::PhantomData;
#[cfg(CONFIG_QUOTA)]
use core::{
    ptr::{
        self,
        NonNull, //
    },
    slice, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*, //
};

/// A filesystem whose files can hold what the kernel counts. C: parts of `struct super_operations`.
///
/// A quota file is a regular file of the filesystem that is not counted itself. The kernel reads
/// and writes it past its pages. A filesystem that lets others write to it meanwhile, or cuts it,
/// loses what is counted: the kernel checks what it reads.
///
/// Locks: `read_quota` and `write_quota` are called with the [`QuotaLock`] that `quota_lock` tells,
/// inside of the locks of the kernel's quota code (`dq_lock`, `dqio_sem`) and of what those hold
/// who come to that; `quota_lock` itself takes none.
pub trait QuotaFileSystem: WritableFileSystem {
    /// What has its quota files read and written by one at a time, if it is always the same; what
    /// is counted may be lost otherwise.
    fn quota_lock(sb: &SuperBlock<Self>) -> &QuotaLock;

    /// Reads from byte `at` on. How many bytes: less at the end of the file. C: `quota_read`.
    fn read_quota(file: &FsInode<Self>, at: u64, out: &mut [u8]) -> Result<usize>;

    /// Writes from byte `at` on, into blocks of the device that are to be written, and leaves the
    /// size of the file alone. How many bytes: less if some could not be written. C: `quota_write`.
    fn write_quota(file: &FsInode<Self>, at: u64, bytes: &[u8]) -> Result<usize>;

    /// The kernel is about to read a file as a quota file: brings what is in its pages to the
    /// device, and has what it has from there read anew. `s_umount` is held, and the file's
    /// `i_rwsem` and `invalidate_lock` exclusively, so that its blocks stay its own, and nobody
    /// writes to it, or stores to its pages, afterwards.
    fn prepare_quota_file(file: &FsInode<Self>) -> Result;

    /// Notes what a file is used for, which is not to be changed by anybody while it is
    /// [`QuotaUse::On`]. Its `i_rwsem` is held exclusively, and it is marked to be written
    /// afterwards.
    fn mark_quota_file(file: HeldInode<'_, Self>, is: QuotaUse);
}

impl<T: QuotaFileSystem> WriteTable<T> {
    /// The table of `T`, with quota.
    pub const fn with_quota() -> Self {
        Self {
            table: &QuotaVTable::<T>::OPERATIONS,
            mounted: T::mounted,
            quota: Some(QuotaVTable::<T>::TABLE),
        }
    }
}

/// Writes what is counted into the quota files. C: `dquot_writeback_dquots()`.
///
/// # Safety
///
/// `s_umount` must be held.
unsafe fn write_back<T: FileSystem>(sb: &SuperBlock<T>) -> Result {
    if !sb.has_quota() {
        return Ok(());
    }
    // SAFETY: The superblock is valid, and locked by the safety requirements.
    to_result(unsafe { bindings::rust_mpage_helper_dquot_writeback_dquots(sb.as_raw()) })
}

/// As [`write_back`], and stores the inodes of the files, which have another time then: all others
/// have been written before.
///
/// # Safety
///
/// `s_umount` must be held.
unsafe fn write_back_all<T: FileSystem>(sb: &SuperBlock<T>) -> Result {
    // SAFETY: By the safety requirements.
    let written = unsafe { write_back(sb) };
    #[cfg(CONFIG_QUOTA)]
    // SAFETY: The superblock is locked for this call, which turns nothing off, and so does nobody
    // else without that lock exclusively.
    for file in unsafe { active_files(sb) }.into_iter().flatten() {
        file.write_now();
    }
    written
}

/// The operations of a superblock of `T`, which has quota.
pub(super) struct QuotaVTable<T>(PhantomData<T>);

impl<T: QuotaFileSystem> QuotaVTable<T> {
    /// How quota is turned on and off.
    pub(super) const TABLE: QuotaTable<T> =
        QuotaTable::new(&Self::QUOTACTL, &Self::COUNTING, T::mark_quota_file);

    pub(super) const OPERATIONS: bindings::super_operations = bindings::super_operations {
        sync_fs: Some(Self::sync_fs_callback),
        freeze_fs: Some(Self::freeze_callback),
        put_super: Some(Self::put_super_callback),
        #[cfg(CONFIG_QUOTA)]
        quota_read: Some(Self::quota_read_callback),
        #[cfg(CONFIG_QUOTA)]
        quota_write: Some(Self::quota_write_callback),
        ..WriteVTable::<T>::OPERATIONS
    };

    #[cfg(CONFIG_QUOTA)]
    const QUOTACTL: bindings::quotactl_ops = bindings::quotactl_ops {
        quota_on: Some(Self::quota_on_callback),
        quota_off: Some(Self::quota_off_callback),
        quota_sync: Some(Self::quota_sync_callback),
        get_state: Some(bindings::dquot_get_state),
        set_info: Some(bindings::dquot_set_dqinfo),
        get_dqblk: Some(bindings::dquot_get_dqblk),
        set_dqblk: Some(bindings::dquot_set_dqblk),
        get_nextdqblk: Some(bindings::dquot_get_next_dqblk),
        ..pin_init::zeroed()
    };
    #[cfg(not(CONFIG_QUOTA))]
    const QUOTACTL: bindings::quotactl_ops = pin_init::zeroed();

    /// As `dquot_operations`, with space that is reserved.
    #[cfg(CONFIG_QUOTA)]
    const COUNTING: bindings::dquot_operations = bindings::dquot_operations {
        write_dquot: Some(bindings::dquot_commit),
        alloc_dquot: Some(bindings::dquot_alloc),
        destroy_dquot: Some(bindings::dquot_destroy),
        acquire_dquot: Some(bindings::dquot_acquire),
        release_dquot: Some(bindings::dquot_release),
        mark_dirty: Some(bindings::dquot_mark_dquot_dirty),
        write_info: Some(bindings::dquot_commit_info),
        get_reserved_space: Some(InodeCache::<T>::get_reserved_space_callback),
        get_next_id: Some(bindings::dquot_get_next_id),
        ..pin_init::zeroed()
    };
    #[cfg(not(CONFIG_QUOTA))]
    const COUNTING: bindings::dquot_operations = pin_init::zeroed();

    /// # Safety
    ///
    /// As of `WriteVTable::sync_fs_callback`.
    unsafe extern "C" fn sync_fs_callback(sb: *mut bindings::super_block, wait: c_int) -> c_int {
        // SAFETY: The filesystem is mounted.
        let mounted = unsafe { SuperBlock::<T>::from_raw(sb) };
        let written = match (mounted.is_frozen(), wait) {
            // It has been written, and the device is not to change.
            (true, _) => Ok(()),
            // SAFETY: `s_umount` is held.
            (false, 0) => unsafe { write_back(mounted) },
            // SAFETY: As above.
            (false, _) => unsafe { write_back_all(mounted) },
        };
        if let Err(error) = written {
            // Who syncs the filesystem next hears of it. Here it would keep the rest from being
            // synced if nobody waits yet, and who waits finds nothing dirty any more.
            mounted.note_write_error(error);
        }
        // SAFETY: By the safety requirements.
        match unsafe { WriteVTable::<T>::sync_fs_callback(sb, wait) } {
            0 if wait != 0 => from_result(|| written.map(|()| 0)),
            result => result,
        }
    }

    /// Inodes that have gone since all was synced are not counted on the device, either.
    ///
    /// # Safety
    ///
    /// As of `WriteVTable::freeze_callback`, with `s_umount` held.
    unsafe extern "C" fn freeze_callback(sb: *mut bindings::super_block) -> c_int {
        // SAFETY: The filesystem is mounted.
        let mounted = unsafe { SuperBlock::<T>::from_raw(sb) };
        if !mounted.is_read_only() {
            // SAFETY: `s_umount` is held.
            if let Err(error) = unsafe { write_back_all(mounted) } {
                mounted.note_write_error(error);
                if T::is_to_be_read_only(mounted) {
                    mounted.mark_read_only();
                }
                return error.to_errno();
            }
        }
        // SAFETY: By the safety requirements.
        unsafe { WriteVTable::<T>::freeze_callback(sb) }
    }

    /// # Safety
    ///
    /// As of `WriteVTable::put_super_callback`.
    unsafe extern "C" fn put_super_callback(sb: *mut bindings::super_block) {
        #[cfg(CONFIG_QUOTA)]
        for (of, _) in TYPES {
            // An error is that it is not turned on, or in the log.
            //
            // SAFETY: The filesystem has its data until the next call, and `s_umount` is held
            // exclusively by who unmounts.
            let _ = unsafe { Self::turn_off(SuperBlock::from_raw(sb), of, QuotaUse::Suspended) };
        }
        // SAFETY: By the safety requirements.
        unsafe { WriteVTable::<T>::put_super_callback(sb) }
    }
}

#[cfg(CONFIG_QUOTA)]
impl<T: QuotaFileSystem> QuotaVTable<T> {
    /// Turns quota of a kind off; its file is used as `then` says. C: `ext2_quota_off()`.
    ///
    /// # Safety
    ///
    /// `s_umount` must be held exclusively.
    unsafe fn turn_off(sb: &SuperBlock<T>, of: c_int, then: QuotaUse) -> Result {
        // SAFETY: By the safety requirements; not used after it is turned off.
        let file = unsafe { file_of(sb, of) }.map(|file| file.as_raw());
        // SAFETY: The kernel has a reference to the inode until it is turned off.
        let file = file.and_then(|file| NonNull::new(unsafe { bindings::igrab(file) }));
        // SAFETY: The inode is one of `T`'s, and the reference is passed on.
        let file = file.map(|file| unsafe { InodeRef::<T>::from_raw(file) });

        // One that is suspended is anybody's, and nothing changes on the device any more. A
        // filesystem that has become read-only by an error has suspended nothing.
        let active = is_active(sb, of);
        // SAFETY: The superblock is valid, and locked by the safety requirements.
        to_result(unsafe { bindings::dquot_quota_off(sb.as_raw(), of) })?;
        if let Some(file) = file.filter(|_| active) {
            Self::TABLE.mark(&file, then);
            if sb.is_read_only() {
                // It may not be written any more when the filesystem is unmounted.
                file.write_now();
            }
        }
        Ok(())
    }

    /// Makes a file ready to be a quota file, and keeps everybody else from changing it from then
    /// on: nobody is at it, nothing is promised to it, which would stay reserved for its owners,
    /// and nothing has been stored to it that the kernel would not read. C: none.
    ///
    /// Fails with `EBUSY` while a device may store to its pages, which nobody can forbid.
    fn take_over(file: HeldInode<'_, T>) -> Result {
        // What is under way has begun with the lock.
        file.wait_for_direct_io();
        // Who stores to a page that has been written asks for that first, and waits for the lock.
        let pages = file.lock_invalidate();
        T::prepare_quota_file(pages.inode())?;
        if pages.has_pinned_pages() {
            return Err(EBUSY);
        }
        file.begin_quota_file();
        Ok(())
    }

    /// C: `ext2_quota_on()`.
    ///
    /// # Safety
    ///
    /// Called by `quotactl(2)` for a mounted filesystem with `s_umount` held exclusively, with a
    /// path that is the caller's.
    unsafe extern "C" fn quota_on_callback(
        sb: *mut bindings::super_block,
        of: c_int,
        format: c_int,
        path: *const bindings::path,
    ) -> c_int {
        // SAFETY: The path is the caller's, with a positive dentry.
        let (file, file_sb) = unsafe { ((*(*path).dentry).d_inode, (*(*path).dentry).d_sb) };
        // SAFETY: The inode is one of this filesystem, and the path keeps it.
        let file = ptr::eq(sb, file_sb).then(|| unsafe { FsInode::<T>::from_raw(file) });
        // SAFETY: The filesystem is mounted, and locked for the call.
        let mounted = unsafe { SuperBlock::<T>::from_raw(sb) };
        // SAFETY: As above.
        let is_on = unsafe { file_of(mounted, of) }.is_some();
        // What the kernel refuses in any case, with an error of its own, is left alone.
        let taken = file.filter(|file| file.is_regular() && !is_on && !mounted.is_read_only());
        if taken.is_some_and(|file| file.is_quota_file()) {
            // It is that of another kind.
            return EBUSY.to_errno();
        }
        if let Some(Err(error)) = taken.map(|file| file.with_lock(Self::take_over)) {
            return error.to_errno();
        }
        // SAFETY: The arguments are passed on.
        let error = unsafe { bindings::dquot_quota_on(sb, of, format, path) };
        if error != 0 {
            // Nobody else turns anything on meanwhile.
            if let Some(file) = taken {
                file.with_lock(|file| file.end_quota_file());
            }
        } else {
            // SAFETY: The filesystem is locked for the call; it has been turned on just now.
            if let Some(file) = unsafe { file_of(mounted, of) } {
                Self::TABLE.mark(file, QuotaUse::On);
            }
        }
        error
    }

    /// # Safety
    ///
    /// Called by `quotactl(2)` for a mounted filesystem with `s_umount` held exclusively.
    unsafe extern "C" fn quota_off_callback(sb: *mut bindings::super_block, of: c_int) -> c_int {
        from_result(|| {
            // What is reserved is to be counted: there is no place for it in the file. C:
            // `ext4_quota_off()`.
            //
            // SAFETY: The filesystem is mounted, and locked for the call. An error is kept in the
            // mapping of the file, for those who sync that.
            let _ = unsafe { sync_filesystem(SuperBlock::<T>::from_raw(sb)) };
            // SAFETY: As above.
            unsafe { Self::turn_off(SuperBlock::from_raw(sb), of, QuotaUse::Off) }.map(|()| 0)
        })
    }

    /// As `dquot_quota_sync()`, for who reads the files: what is reserved is in them only when it
    /// has its place.
    ///
    /// # Safety
    ///
    /// Called by `quotactl(2)` for a mounted filesystem with `s_umount` held.
    unsafe extern "C" fn quota_sync_callback(sb: *mut bindings::super_block, of: c_int) -> c_int {
        // SAFETY: The filesystem is mounted, and locked for the call. An error is kept in the
        // mapping of the file, for those who sync that.
        let _ = unsafe { sync_filesystem(SuperBlock::<T>::from_raw(sb)) };
        // SAFETY: As above.
        unsafe { bindings::dquot_quota_sync(sb, of) }
    }

    /// # Safety
    ///
    /// Called by the kernel's quota code for a mounted filesystem that has a quota file of the
    /// kind, with room for `len` bytes.
    unsafe extern "C" fn quota_read_callback(
        sb: *mut bindings::super_block,
        of: c_int,
        data: *mut c_char,
        len: usize,
        at: bindings::loff_t,
    ) -> isize {
        let bytes = data.cast::<u8>();
        // The caller need not have.
        //
        // SAFETY: The room is the caller's.
        unsafe { bytes.write_bytes(0, len) };
        // SAFETY: As above, and for this call; there are values just written.
        let out = unsafe { slice::from_raw_parts_mut(bytes, len) };
        // SAFETY: The filesystem is mounted, and the kernel reads or writes the file in this call.
        let file = unsafe { file_of(SuperBlock::<T>::from_raw(sb), of) };
        count(file.ok_or(EINVAL).and_then(|file| {
            let at = u64::try_from(at).map_err(|_| EINVAL)?;
            let read = T::quota_lock(file.super_block()).with(|| T::read_quota(file, at, out));
            Ok(read?.min(len))
        }))
    }

    /// # Safety
    ///
    /// As of [`Self::quota_read_callback`], with `len` bytes.
    unsafe extern "C" fn quota_write_callback(
        sb: *mut bindings::super_block,
        of: c_int,
        data: *const c_char,
        len: usize,
        at: bindings::loff_t,
    ) -> isize {
        // SAFETY: The bytes are the caller's, who does not change them.
        let bytes = unsafe { slice::from_raw_parts(data.cast::<u8>(), len) };
        // SAFETY: The filesystem is mounted, and the kernel reads or writes the file in this call.
        let file = unsafe { file_of(SuperBlock::<T>::from_raw(sb), of) };
        count(file.ok_or(EINVAL).and_then(|file| {
            let at = u64::try_from(at).map_err(|_| EINVAL)?;
            T::quota_lock(file.super_block()).with(|| {
                let written = T::write_quota(file, at, bytes)?.min(len);
                note_written(file, at.saturating_add(written as u64));
                Ok(written)
            })
        }))
    }
}

/// What `ext2_quota_write()` does last. The caller has the [`QuotaLock`].
#[cfg(CONFIG_QUOTA)]
fn note_written<T: FileSystem>(file: &FsInode<T>, end: u64) {
    if end > file.size() {
        let end = i64::try_from(end).unwrap_or(i64::MAX);
        // SAFETY: The inode is valid. It is a regular file, so nobody has a slice of its pages; the
        // size changes in one piece.
        unsafe { bindings::rust_mpage_helper_i_size_write(file.as_raw(), end) };
    }
    file.inc_version();
    // SAFETY: The inode is valid. Others leave the times of a quota file in use alone, and who sets
    // them at the same time sets the same.
    unsafe { bindings::rust_mpage_helper_set_mtime_and_ctime_current(file.as_raw()) };
    file.mark_dirty();
}

/// A number of bytes, or an error, for C.
#[cfg(CONFIG_QUOTA)]
fn count(result: Result<usize>) -> isize {
    match result {
        Ok(bytes) => isize::try_from(bytes).unwrap_or(isize::MAX),
        Err(error) => error.to_errno() as isize,
    }
}
