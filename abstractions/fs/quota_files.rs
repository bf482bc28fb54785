// SPDX-License-Identifier: GPL-2.0

//! The files that hold what is counted for users and groups, and how that is turned on and off.
//!
//! C header: [`include/linux/quotaops.h`](srctree/include/linux/quotaops.h)
//!
//! Locks: `s_umount` is held exclusively by who turns quota on, off, suspends or resumes it. The files
//! are read and written inside the kernel's locks of quota, of which `dqio_sem` has one write at a time.
//!
//! Left out: quota files that have no name, or are found at mount.

use super::{
    write::WriteVTable,
    AccessChange,
    FileSystem,
    FsInode,
    InodeRef,
    InodeType,
    SuperBlock,
    WritableFileSystem, //
};
use crate::bindings;
use core::{
    marker::PhantomData,
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
/// A quota file is a regular file of the filesystem that is not counted itself. The kernel reads and
/// writes it past its pages, and nobody else does meanwhile; nobody cuts it.
pub trait QuotaFileSystem: WritableFileSystem {
    /// Reads from byte `at` on. How many bytes: less at the end of the file. C: `quota_read`.
    fn read_quota(file: &FsInode<Self>, at: u64, out: &mut [u8]) -> Result<usize>;

    /// Writes from byte `at` on, into blocks of the device that are to be written, and leaves the size
    /// of the file alone. How many bytes: less if some could not be written. C: `quota_write`.
    fn write_quota(file: &FsInode<Self>, at: u64, bytes: &[u8]) -> Result<usize>;

    /// The kernel is about to read a file as a quota file: what is in its pages has to be on the device,
    /// and what it has from there to be read anew. `s_umount` is held, and the file's `i_rwsem`
    /// exclusively, so that its blocks stay its own.
    fn prepare_quota_file(file: &FsInode<Self>) -> Result;

    /// Notes what a file is used for, which is not to be changed by anybody while it is
    /// [`QuotaUse::On`]. Its `i_rwsem` is held exclusively, and it is marked to be written afterwards.
    fn mark_quota_file(file: &FsInode<Self>, is: QuotaUse);
}

/// What a quota file is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaUse {
    /// The kernel reads and writes it.
    On,
    /// The kernel does not any more, nor does anybody else: the filesystem is about to be read-only or
    /// unmounted.
    Suspended,
    /// It is a file as any other.
    Off,
}

/// How a filesystem's quota is turned on and off.
pub(super) struct QuotaTable<T> {
    operations: &'static bindings::quotactl_ops,
    mark: fn(&FsInode<T>, QuotaUse),
}

impl<T: QuotaFileSystem> QuotaTable<T> {
    pub(super) const fn new() -> Self {
        Self {
            operations: &QuotaVTable::<T>::QUOTACTL,
            mark: T::mark_quota_file,
        }
    }
}

impl<T: FileSystem> QuotaTable<T> {
    /// Lets quota be turned on.
    ///
    /// # Safety
    ///
    /// `sb` must be being filled, with the operations of [`QuotaVTable`].
    pub(super) unsafe fn set_up(&self, sb: *mut bindings::super_block) {
        // SAFETY: By the safety requirements; the table is static.
        unsafe { bindings::rust_mpage_helper_set_quota_operations(sb, self.operations) }
    }

    /// Writes everything that is counted, and stops counting, before a filesystem becomes read-only.
    /// C: `dquot_suspend()`.
    ///
    /// # Safety
    ///
    /// `s_umount` must be held exclusively.
    pub(super) unsafe fn suspend(&self, sb: &SuperBlock<T>) -> Result {
        // SAFETY: The superblock is locked for this call; suspending turns nothing off.
        let files = unsafe { active_files(sb) };

        // SAFETY: By the safety requirements; the superblock is valid.
        to_result(unsafe { bindings::rust_mpage_helper_dquot_suspend(sb.as_raw()) })?;
        // They are to be on the device, too, and anybody's there: e2fsck's, or who mounts it next.
        for file in files.into_iter().flatten() {
            self.mark(file, QuotaUse::Suspended);
            // What was written past the pages is seen from now on. The kernel does that when quota is
            // turned off only.
            //
            // SAFETY: The inode is valid, and locked meanwhile.
            locked(file, || unsafe {
                bindings::truncate_pagecache(file.as_raw(), 0)
            });
            // An error is kept in the mapping of the device, for those who sync that.
            //
            // SAFETY: The inode is valid and referenced.
            let _ = unsafe { bindings::write_inode_now(file.as_raw(), 1) };
        }
        Ok(())
    }

    /// Goes on counting, when a filesystem may be written to again; `tell` hears of each kind of quota
    /// that does not. C: `dquot_resume()`, which forgets the error of users if groups have none.
    ///
    /// # Safety
    ///
    /// `s_umount` must be held exclusively.
    pub(super) unsafe fn resume(&self, sb: &SuperBlock<T>, tell: impl Fn(&str)) {
        for (of, whose) in TYPES {
            // SAFETY: By the safety requirements; the superblock is valid.
            let resumed = unsafe { bindings::rust_mpage_helper_dquot_resume(sb.as_raw(), of) };
            if resumed < 0 {
                tell(whose);
            }
        }
        // SAFETY: The superblock is locked for this call, and what could not be resumed is off already.
        for file in unsafe { active_files(sb) }.into_iter().flatten() {
            self.mark(file, QuotaUse::On);
        }
    }

    fn mark(&self, file: &FsInode<T>, is: QuotaUse) {
        locked(file, || (self.mark)(file, is));
        file.mark_dirty();
    }
}

/// Calls `act` with `i_rwsem` held exclusively.
fn locked<T: FileSystem, R>(file: &FsInode<T>, act: impl FnOnce() -> R) -> R {
    // SAFETY: The inode is valid; the lock is released below.
    unsafe { bindings::rust_mpage_helper_inode_lock(file.as_raw()) };
    let result = act();
    // SAFETY: Locked above.
    unsafe { bindings::rust_mpage_helper_inode_unlock(file.as_raw()) };
    result
}

/// Whether quota is to go on after a remount: it was suspended, and the filesystem can be written to.
pub(super) fn is_to_go_on(change: AccessChange, has_succeeded: bool) -> bool {
    match change {
        AccessChange::Unchanged => false,
        AccessChange::ToReadOnly => !has_succeeded,
        AccessChange::ToReadWrite => has_succeeded,
    }
}

/// The kinds of quota that there are, and whose.
const TYPES: [(c_int, &str); 2] = [
    (bindings::quota_type_USRQUOTA as c_int, "users"),
    (bindings::quota_type_GRPQUOTA as c_int, "groups"),
];

/// The quota file of a kind, if quota of that kind is turned on or suspended.
///
/// # Safety
///
/// For `'a`, `s_umount` must be held exclusively and that kind not be turned off, or the kernel be
/// reading or writing the file.
unsafe fn file_of<'a, T: FileSystem>(sb: &'a SuperBlock<T>, of: c_int) -> Option<&'a FsInode<T>> {
    let index = usize::try_from(of).ok()?;
    // SAFETY: The superblock is valid. The pointers change in one piece.
    let files = unsafe { ptr::addr_of!((*sb.as_raw()).s_dquot.files).read_volatile() };
    let file = NonNull::new(*files.get(index)?)?;
    // SAFETY: A quota file is a regular file of the same filesystem that has been opened by its name, so
    // it is an inode of `T`'s cache with its data. The kernel has a reference to it while it is there,
    // which it is for `'a` by the safety requirements.
    Some(unsafe { FsInode::from_raw(file.as_ptr()) })
}

/// Whether quota of a kind is turned on, and not suspended. C: `sb_has_quota_active()`.
fn is_active<T: FileSystem>(sb: &SuperBlock<T>, of: c_int) -> bool {
    // SAFETY: The superblock is valid; the kernel reads the word without a lock, too.
    unsafe { bindings::rust_mpage_helper_sb_has_quota_active(sb.as_raw(), of) }
}

/// The quota files that are in use, and not suspended.
///
/// # Safety
///
/// For `'a`, `s_umount` must be held exclusively and no quota be turned off.
unsafe fn active_files<'a, T: FileSystem>(
    sb: &'a SuperBlock<T>,
) -> [Option<&'a FsInode<T>>; TYPES.len()] {
    TYPES.map(|(of, _)| {
        if !is_active(sb, of) {
            return None;
        }
        // SAFETY: By the safety requirements.
        unsafe { file_of(sb, of) }
    })
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

/// The operations of a superblock of `T`, which has quota.
pub(super) struct QuotaVTable<T>(PhantomData<T>);

impl<T: QuotaFileSystem> QuotaVTable<T> {
    pub(super) const OPERATIONS: bindings::super_operations = bindings::super_operations {
        sync_fs: Some(Self::sync_fs_callback),
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
        quota_sync: Some(bindings::dquot_quota_sync),
        get_state: Some(bindings::dquot_get_state),
        set_info: Some(bindings::dquot_set_dqinfo),
        get_dqblk: Some(bindings::dquot_get_dqblk),
        set_dqblk: Some(bindings::dquot_set_dqblk),
        get_nextdqblk: Some(bindings::dquot_get_next_dqblk),
        ..pin_init::zeroed()
    };
    #[cfg(not(CONFIG_QUOTA))]
    const QUOTACTL: bindings::quotactl_ops = pin_init::zeroed();

    /// # Safety
    ///
    /// As of `WriteVTable::sync_fs_callback`.
    unsafe extern "C" fn sync_fs_callback(sb: *mut bindings::super_block, wait: c_int) -> c_int {
        // SAFETY: The filesystem is mounted, and `s_umount` held.
        let written = unsafe { write_back(SuperBlock::<T>::from_raw(sb)) };
        if let Err(error) = written {
            // Who syncs the filesystem next hears of it. Here it would keep the rest from being synced
            // if nobody waits yet, and who waits finds nothing dirty any more.
            //
            // SAFETY: The filesystem is mounted.
            unsafe {
                bindings::errseq_set(ptr::addr_of_mut!((*sb).s_wb_err), error.to_errno());
            }
        }
        // SAFETY: By the safety requirements.
        match unsafe { WriteVTable::<T>::sync_fs_callback(sb, wait) } {
            0 if wait != 0 => from_result(|| written.map(|()| 0)),
            result => result,
        }
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

        // One that is suspended is anybody's, and nothing changes on the device any more. A filesystem
        // that has become read-only by an error has suspended nothing.
        let active = is_active(sb, of);
        // SAFETY: The superblock is valid, and locked by the safety requirements.
        to_result(unsafe { bindings::dquot_quota_off(sb.as_raw(), of) })?;
        if let Some(file) = file.filter(|_| active) {
            QuotaTable::<T>::new().mark(&file, then);
        }
        Ok(())
    }

    /// C: `ext2_quota_on()`.
    ///
    /// # Safety
    ///
    /// Called by `quotactl(2)` for a mounted filesystem with `s_umount` held exclusively, with a path
    /// that is the caller's.
    unsafe extern "C" fn quota_on_callback(
        sb: *mut bindings::super_block,
        of: c_int,
        format: c_int,
        path: *const bindings::path,
    ) -> c_int {
        // SAFETY: The path is the caller's, with a positive dentry.
        let (file, file_sb) = unsafe { ((*(*path).dentry).d_inode, (*(*path).dentry).d_sb) };
        if ptr::eq(sb, file_sb) {
            // SAFETY: The inode is one of this filesystem, and the path keeps it.
            let file = unsafe { FsInode::<T>::from_raw(file) };
            if file.is_regular() && !file.is_quota_file() {
                if let Err(error) = locked(file, || T::prepare_quota_file(file)) {
                    return error.to_errno();
                }
            }
        }
        // SAFETY: The arguments are passed on.
        let error = unsafe { bindings::dquot_quota_on(sb, of, format, path) };
        if error == 0 {
            // SAFETY: The filesystem is mounted, and locked for the call; it has been turned on just now.
            if let Some(file) = unsafe { file_of(SuperBlock::<T>::from_raw(sb), of) } {
                QuotaTable::<T>::new().mark(file, QuotaUse::On);
            }
        }
        error
    }

    /// # Safety
    ///
    /// Called by `quotactl(2)` for a mounted filesystem with `s_umount` held exclusively.
    unsafe extern "C" fn quota_off_callback(sb: *mut bindings::super_block, of: c_int) -> c_int {
        // SAFETY: The filesystem is mounted, and locked for the call.
        let result = unsafe { Self::turn_off(SuperBlock::from_raw(sb), of, QuotaUse::Off) };
        from_result(|| result.map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the kernel's quota code for a mounted filesystem that has a quota file of the kind,
    /// with room for `len` bytes.
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
            T::read_quota(file, at, out)
        }))
    }

    /// # Safety
    ///
    /// As of [`Self::quota_read_callback`], with `len` bytes. The kernel writes to a quota file one at a
    /// time.
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
            let written = T::write_quota(file, at, bytes)?;
            note_written(file, at + written as u64);
            Ok(written)
        }))
    }
}

/// What `ext2_quota_write()` does last.
#[cfg(CONFIG_QUOTA)]
fn note_written<T: FileSystem>(file: &FsInode<T>, end: u64) {
    if end > file.size() {
        let end = i64::try_from(end).unwrap_or(i64::MAX);
        // SAFETY: The inode is valid. It is a regular file, so nobody has a slice of its pages; nobody
        // else makes it longer, as only the kernel writes to it, one at a time.
        unsafe { bindings::rust_mpage_helper_i_size_write(file.as_raw(), end) };
    }
    file.inc_version();
    file.set_mtime_and_ctime_now();
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

#[kernel::macros::kunit_tests(rust_mpage_quota_files)]
mod tests {
    use super::{
        is_to_go_on,
        AccessChange, //
    };

    #[test]
    fn quota_goes_on_where_the_filesystem_can_be_written_to() {
        assert!(is_to_go_on(AccessChange::ToReadWrite, true));
        assert!(!is_to_go_on(AccessChange::ToReadWrite, false));
        assert!(!is_to_go_on(AccessChange::ToReadOnly, true));
        assert!(is_to_go_on(AccessChange::ToReadOnly, false));
        assert!(!is_to_go_on(AccessChange::Unchanged, true));
        assert!(!is_to_go_on(AccessChange::Unchanged, false));
    }
}
