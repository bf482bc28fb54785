// SPDX-License-Identifier: GPL-2.0

//! What a filesystem does when it can be written to: inodes and superblocks on their way to the
//! device, and inodes on their way out.
//!
//! C header: [`include/linux/fs/super_types.h`](srctree/include/linux/fs/super_types.h)
//!
//! Locks: `s_umount` is held when a superblock is synced, frozen, reconfigured and given up. An
//! inode that is evicted is used by nobody else. One that is deleted is so within
//! `sb_start_intwrite()`, which freezing waits for.
//!
//! What is counted of an inode is no more when it has been deleted, see `quota.rs`.

use super::{
    pass::{
        self,
        Pass, //
    },
    super_block::SuperVTable,
    syncing::Syncing,
    MountableFileSystem, //
};
#[cfg(CONFIG_QUOTA)]
use crate::abstractions::fs::inode::InodeCache;
use crate::{
    abstractions::{
        block::BlockDevice,
        fs::{
            inode::wait_for_visits,
            quota::QuotaTable,
            ExclusiveInode,
            FileSystem,
            FsInode,
            InodeType,
            SuperBlock,
            Wait, //
        },
    },
    bindings,
    compat, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*, //
};

/// A filesystem that can be written to. C: parts of `struct super_operations`.
///
/// No function here gets an inode that could not be read or has never been made.
///
/// Locks:
///
/// - `mounted`, `freeze`, `unfreeze` and `put_super` are called with `s_umount` held exclusively,
///   and `sync_fs` with it held at least shared.
/// - `write_inode` and `sync_inode_metadata` are called by the flusher, who may hold `s_umount`
///   shared, by `fsync(2)` without locks, and by who brings an inode to the device while it has
///   others of the filesystem's, such as `i_rwsem` of a directory. No folio is locked, and one
///   inode is written by one at a time.
/// - `delete_inode` and `free_inode` are called within `sb_start_intwrite()`, `release_inode`
///   perhaps by memory reclaim, and all three with what the one holds who gives back the last
///   reference to the inode. Nobody else has that.
/// - `is_to_be_read_only` takes no lock.
pub trait WritableFileSystem: MountableFileSystem {
    /// The filesystem has been mounted, for reading only or not: its root is there, and it is not
    /// in use yet. This is where it is marked as mounted on the device.
    ///
    /// On an error the mount fails, and [`Self::put_super`] is not called.
    fn mounted(sb: &SuperBlock<Self>) -> Result;

    /// Copies the inode into its block, and marks that dirty; or marks the inode as dirty again, to
    /// be asked once more. C: `write_inode`.
    fn write_inode(inode: &FsInode<Self>, pass: Pass) -> Result;

    /// Writes what [`Self::write_inode`] has marked, and the metadata blocks of the inode, and
    /// waits for them. Cheap where all of it has been written. C: `sync_inode_metadata`.
    fn sync_inode_metadata(inode: &FsInode<Self>) -> Result;

    /// Takes the contents of a file that has no link and no user any more from the device. Its
    /// pages are gone. Not called while the filesystem is read-only: the file is left to e2fsck.
    ///
    /// On an error its number stays in use.
    fn delete_inode(inode: &ExclusiveInode<'_, FsInode<Self>>) -> Result;

    /// Gives up what is kept for an inode that is not needed any more; after
    /// [`Self::delete_inode`], if that is called.
    fn release_inode(inode: &ExclusiveInode<'_, FsInode<Self>>);

    /// Lets the number of an inode be used again, after [`Self::delete_inode`] has succeeded.
    fn free_inode(inode: &ExclusiveInode<'_, FsInode<Self>>);

    /// Brings the filesystem's own metadata to its blocks, and, if asked to wait, to the device;
    /// the caller writes and waits for all blocks of the device afterwards. C: `sync_fs`.
    fn sync_fs(sync: Syncing<'_, Self>, wait: Wait) -> Result;

    /// Makes what is on the device a whole filesystem. Nobody writes until [`Self::unfreeze`].
    /// C: `freeze_fs`.
    fn freeze(sb: &SuperBlock<Self>) -> Result;

    /// The filesystem is about to be written to again. C: `unfreeze_fs`, which may fail, and leaves
    /// the filesystem frozen: nobody may be there to thaw it once more.
    fn unfreeze(sb: &SuperBlock<Self>);

    /// Whether the filesystem is to be read-only, for [`AnySuperBlock::set_read_only`] could not
    /// make it so while it was frozen. Asked when it is not any more.
    fn is_to_be_read_only(sb: &SuperBlock<Self>) -> bool;

    /// The filesystem is unmounted. All its inodes are gone. What is left of its metadata is to be
    /// written now, see [`SuperBlock::write_metadata`]. C: `put_super`.
    fn put_super(sb: &SuperBlock<Self>);
}

/// The C table of a filesystem's [`WritableFileSystem`].
pub struct WriteTable<T: 'static> {
    pub(super) table: &'static bindings::super_operations,
    pub(super) mounted: fn(&SuperBlock<T>) -> Result,
    pub(super) quota: Option<QuotaTable<T>>,
}

impl<T: WritableFileSystem> WriteTable<T> {
    /// The table of `T`.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            table: &WriteVTable::<T>::OPERATIONS,
            mounted: T::mounted,
            quota: None,
        }
    }
}

impl<T> WriteTable<T> {
    pub(in crate::abstractions::fs) fn as_raw(&self) -> *const bindings::super_operations {
        self.table
    }

    /// How quota is turned on and off, if the filesystem has any.
    pub(in crate::abstractions::fs) fn quota(&self) -> Option<&QuotaTable<T>> {
        self.quota.as_ref()
    }

    /// Calls [`WritableFileSystem::mounted`].
    pub(in crate::abstractions::fs) fn mounted(&self, sb: &SuperBlock<T>) -> Result {
        (self.mounted)(sb)
    }
}

/// Lets the pages of an inode that is evicted go. C: `truncate_inode_pages_final()`.
///
/// # Safety
///
/// `inode` must be being evicted.
unsafe fn drop_pages(inode: *mut bindings::inode) {
    // SAFETY: The inode is valid, and its mapping is its own.
    unsafe { bindings::truncate_inode_pages_final(ptr::addr_of_mut!((*inode).i_data)) }
}

/// The end of an inode. C: `clear_inode()`.
///
/// # Safety
///
/// `inode` must be an inode of `T`'s cache that is being evicted and has no pages, and the caller
/// must not use it any more.
unsafe fn clear<T: FileSystem>(inode: *mut bindings::inode) {
    // SAFETY:
    // - the inode comes from `T`'s cache, so it has a list of metadata blocks, and nobody puts any
    //   onto it later, because nobody uses the inode;
    // - it is being evicted and has no pages, by the safety requirements, so it may be cleared.
    unsafe {
        bindings::mmb_invalidate(FsInode::<T>::metadata_of(inode));
        bindings::clear_inode(inode);
    }
}

/// Evicts an inode, and leaves the device alone.
///
/// # Safety
///
/// Called by the VFS, once and last but for `free_inode`, for an inode of `T`'s cache.
pub(super) unsafe extern "C" fn evict_callback<T: FileSystem>(inode: *mut bindings::inode) {
    // SAFETY:
    // - the inode comes from `T`'s cache, and is being evicted, by the safety requirements;
    // - it has no pages after the second step, and this is the VFS's last use of it.
    unsafe {
        wait_for_visits::<T>(inode);
        drop_pages(inode);
        clear::<T>(inode);
    }
}

/// The operations of a superblock of `T`.
pub(in crate::abstractions::fs) struct WriteVTable<T>(PhantomData<T>);

impl<T: WritableFileSystem> WriteVTable<T> {
    pub(in crate::abstractions::fs) const OPERATIONS: bindings::super_operations =
        compat::super_operations(
            Self::sync_inode_metadata_callback,
            bindings::super_operations {
                write_inode: Some(Self::write_inode_callback),
                evict_inode: Some(Self::evict_inode_callback),
                sync_fs: Some(Self::sync_fs_callback),
                freeze_fs: Some(Self::freeze_callback),
                unfreeze_fs: Some(Self::unfreeze_callback),
                put_super: Some(Self::put_super_callback),
                nr_cached_objects: Some(Self::nr_cached_objects_callback),
                free_cached_objects: Some(Self::free_cached_objects_callback),
                #[cfg(CONFIG_QUOTA)]
                get_dquots: Some(InodeCache::<T>::get_dquots_callback),
                ..SuperVTable::<T>::OPERATIONS
            },
        );

    /// # Safety
    ///
    /// Called by the VFS for a dirty inode of the filesystem that is not bad. Only what has been
    /// filled is marked dirty.
    unsafe extern "C" fn write_inode_callback(
        inode: *mut bindings::inode,
        wbc: *mut bindings::writeback_control,
    ) -> c_int {
        from_result(|| {
            // SAFETY: By the safety requirements.
            let this = unsafe { FsInode::from_raw(inode) };
            // SAFETY: The VFS passes a request that is valid for the call.
            let pass = unsafe { Pass::from_raw(wbc) };
            this.or_dirty_again(|inode| T::write_inode(inode, pass))?;
            // SAFETY: As above.
            if unsafe { pass::is_waited_for(wbc) } {
                // Who waits later asks without the kernel, see `FsInode::sync_written()`.
                let sync = Self::sync_inode_metadata_callback;
                // SAFETY: The caller waits for the inode, which is valid, and has just been
                // written.
                to_result(unsafe { compat::sync_when_written(inode, wbc, sync) })?;
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the VFS for an inode that `write_inode_callback` has been called for.
    unsafe extern "C" fn sync_inode_metadata_callback(
        inode: *mut bindings::inode,
        _wbc: *mut bindings::writeback_control,
    ) -> c_int {
        // SAFETY: By the safety requirements.
        let inode = unsafe { FsInode::<T>::from_raw(inode) };
        from_result(|| inode.sync_written().map(|()| 0))
    }

    /// What `ext2_evict_inode()` does, but for a file without a link in a filesystem that has
    /// become read-only: nothing on the device changes then.
    ///
    /// # Safety
    ///
    /// Called by the VFS, once and last but for `free_inode`, for an inode of `T`'s cache.
    unsafe extern "C" fn evict_inode_callback(raw: *mut bindings::inode) {
        // SAFETY: The inode comes from `T`'s cache, and is being evicted, by the safety
        // requirements.
        unsafe {
            wait_for_visits::<T>(raw);
            drop_pages(raw);
        }
        // SAFETY: The inode comes from `T`'s cache, and is being evicted until `clear()`.
        if let Some(inode) = unsafe { FsInode::<T>::from_evicted(raw) } {
            // SAFETY: It is being evicted by the safety requirements.
            unsafe { Self::evict(inode) };
            // SAFETY: As above. Nothing above has made pages, unless by mistake.
            unsafe { drop_pages(raw) };
        }
        // SAFETY:
        // - the inode is valid, and nobody counts anything for it any more;
        // - it comes from `T`'s cache, is evicted, and has no pages; nobody uses it any more.
        unsafe {
            bindings::rust_mpage_helper_dquot_drop(raw);
            clear::<T>(raw);
        }
    }

    /// # Safety
    ///
    /// The inode must be being evicted.
    unsafe fn evict(inode: &FsInode<T>) {
        // SAFETY: Nobody else uses an inode that is evicted.
        let inode = unsafe { ExclusiveInode::new(inode) };
        let sb = inode.super_block();

        if inode.nlink() == 0 && !sb.is_read_only() {
            // SAFETY: The superblock is valid.
            unsafe { bindings::rust_mpage_helper_sb_start_intwrite(sb.as_raw()) };
            // It is no less to be deleted if that cannot be found, and then counted until
            // quotacheck.
            let _ = inode.initialize_quota();
            let deleted = T::delete_inode(&inode);
            T::release_inode(&inode);
            if deleted.is_ok() {
                T::free_inode(&inode);
                // SAFETY: The inode is valid, and has been counted.
                unsafe { bindings::rust_mpage_helper_dquot_free_inode(inode.as_raw()) };
            }
            // Who has nothing any more goes from the quota file: before it can be frozen.
            // SAFETY: The inode is valid, and nobody counts anything for it any more.
            unsafe { bindings::rust_mpage_helper_dquot_drop(inode.as_raw()) };
            // SAFETY: Started above.
            unsafe { bindings::rust_mpage_helper_sb_end_intwrite(sb.as_raw()) };
        } else {
            // An error is noted in the mapping of the device, for those who sync that.
            let _ = inode.sync_metadata();
            T::release_inode(&inode);
        }
    }

    /// # Safety
    ///
    /// Called by the VFS for a mounted filesystem with `s_umount` held.
    pub(super) unsafe extern "C" fn sync_fs_callback(
        sb: *mut bindings::super_block,
        wait: c_int,
    ) -> c_int {
        // SAFETY: By the safety requirements.
        let sb = unsafe { SuperBlock::<T>::from_raw(sb) };
        if T::is_to_be_read_only(sb) {
            // It could not be frozen after all.
            let _ = sb.set_read_only();
        }
        sb.rescue_all();
        // The kernel's quota code asks for it all the same; and sync(2) while the filesystem is
        // frozen, when the device is not to change.
        if sb.is_read_only() || sb.is_frozen() {
            return 0;
        }
        // SAFETY: The VFS holds `s_umount` for the call.
        let sync = unsafe { Syncing::new(sb) };
        from_result(|| T::sync_fs(sync, Wait::from_raw(wait)).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the VFS for a mounted filesystem.
    pub(super) unsafe extern "C" fn freeze_callback(sb: *mut bindings::super_block) -> c_int {
        // SAFETY: By the safety requirements.
        let sb = unsafe { SuperBlock::<T>::from_raw(sb) };
        from_result(|| {
            // It was not when this began.
            if sb.is_read_only() {
                return Err(EROFS);
            }
            T::freeze(sb).map(|()| 0).inspect_err(|_| {
                if T::is_to_be_read_only(sb) {
                    sb.mark_read_only();
                }
            })
        })
    }

    /// # Safety
    ///
    /// Called by the VFS for a mounted filesystem.
    unsafe extern "C" fn unfreeze_callback(sb: *mut bindings::super_block) -> c_int {
        // SAFETY: By the safety requirements.
        let sb = unsafe { SuperBlock::<T>::from_raw(sb) };
        T::unfreeze(sb);
        if T::is_to_be_read_only(sb) {
            sb.mark_read_only();
        }
        0
    }

    /// # Safety
    ///
    /// Called by the VFS for a filesystem that has been mounted, and is not unmounted before the
    /// call is over.
    unsafe extern "C" fn nr_cached_objects_callback(
        sb: *mut bindings::super_block,
        _control: *mut bindings::shrink_control,
    ) -> c_long {
        // SAFETY: By the safety requirements.
        T::unwritten(unsafe { SuperBlock::from_raw(sb) }).count() as c_long
    }

    /// # Safety
    ///
    /// As of [`Self::nr_cached_objects_callback`]; `control` is the caller's.
    unsafe extern "C" fn free_cached_objects_callback(
        sb: *mut bindings::super_block,
        control: *mut bindings::shrink_control,
    ) -> c_long {
        // SAFETY:
        // - the superblock is one of `T` that is mounted until the call is over, by the safety
        //   requirements;
        // - the control is the caller's, who does not change it meanwhile.
        let (sb, most) = unsafe { (SuperBlock::from_raw(sb), (*control).nr_to_scan) };
        T::unwritten(sb).give_up_written(most) as c_long
    }

    /// # Safety
    ///
    /// As of [`SuperVTable::put_super_callback`].
    pub(super) unsafe extern "C" fn put_super_callback(sb: *mut bindings::super_block) {
        // SAFETY: The superblock has its data until the next call.
        T::put_super(unsafe { SuperBlock::from_raw(sb) });
        // SAFETY: By the safety requirements; the reference above has gone out of scope.
        unsafe { SuperVTable::<T>::put_super_callback(sb) }
        // SAFETY: The superblock is valid while it is being shut down, and has its device until it
        // has been.
        let device = unsafe { BlockDevice::from_raw((*sb).s_bdev) };
        // What could not be written is dirty still, and in the log.
        let _ = device.sync();
        device.drop_clean();
    }
}

/// Getting an inode to the device.
impl<T: WritableFileSystem> FsInode<T> {
    /// Writes the inode if it is dirty, and, if asked to wait, its metadata blocks.
    /// C: `sync_inode_metadata()`.
    pub fn sync(&self, wait: Wait) -> Result {
        self.write_if_dirty(wait)?;
        match wait {
            Wait::No => Ok(()),
            Wait::Yes => self.sync_written(),
        }
    }

    /// Writes what has been brought to its blocks, and waits for it. The kernel's functions do not
    /// do that for an inode which the flusher has written: C marks such an inode
    /// (`I_METADATA_WRITEBACK`), which keeps it in memory until somebody calls `fsync(2)`.
    fn sync_written(&self) -> Result {
        self.or_dirty_again(T::sync_inode_metadata)
    }
}

/// Writes everything that is dirty. C: `sync_filesystem()`.
///
/// # Safety
///
/// `s_umount` of the superblock must be held.
pub(super) unsafe fn sync_filesystem<T>(sb: &SuperBlock<T>) -> Result {
    // SAFETY: The superblock is valid, and locked by the safety requirements.
    to_result(unsafe { bindings::sync_filesystem(sb.as_raw()) })
}
