// SPDX-License-Identifier: GPL-2.0

//! Superblocks.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! A superblock is an [`AnySuperBlock`] to whoever reads blocks, a [`NewSuperBlock`] while the
//! filesystem fills it, and a [`SuperBlock`] once the filesystem's data hangs on it. The data is
//! dropped exactly once: when filling fails, or in `put_super`, after the last inode is gone and
//! before the device is released.
//!
//! Writing is in `write.rs`, quota in `quota.rs`, what a mounted filesystem is, in `mounted`.

use super::{
    registration::cache_of,
    write,
    Access,
    MountableFileSystem, //
};
use crate::{
    abstractions::fs::{
        buffers::Found,
        inode::InodeCache,
        mounted::message,
        AnySuperBlock,
        Buffer,
        FileSystem,
        Level,
        SuperBlock, //
    },
    bindings, //
};
use core::{
    marker::PhantomData,
    ops::Deref,
    pin::Pin,
    ptr, //
};
use kernel::{
    error::from_result,
    fmt,
    prelude::*,
    seq_file::SeqFile,
    types::ForeignOwnable, //
};

/// What a filesystem says about itself, `struct kstatfs`.
#[derive(Clone, Copy, Default)]
pub struct StatFs {
    /// The filesystem's magic number.
    pub magic: u32,
    /// The block size in bytes, which is the unit of the following three.
    pub block_size: u32,
    /// Blocks for data.
    pub blocks: u64,
    /// Free blocks.
    pub free_blocks: u64,
    /// Free blocks that are not reserved.
    pub available_blocks: u64,
    /// Inodes.
    pub files: u64,
    /// Free inodes.
    pub free_files: u64,
    /// The filesystem's identifier.
    pub id: u64,
    /// The longest name in bytes.
    pub name_length: u32,
}

/// What the VFS has to know about a filesystem.
#[derive(Clone, Copy)]
pub struct SuperAttributes {
    /// The filesystem's magic number.
    pub magic: u32,
    /// The size in bytes that no file exceeds.
    pub max_bytes: u64,
    /// How many links a file can have; 0 if there is no limit.
    pub max_links: u32,
    /// The first time that can be stored, in seconds since 1970.
    pub min_time: i64,
    /// The last one.
    pub max_time: i64,
}

/// A superblock that is being filled.
///
/// # Invariants
///
/// As of [`AnySuperBlock`]; nobody else uses the superblock for `'a`, nor `log`, which is null or
/// the log of the context that it is mounted by.
pub struct NewSuperBlock<'a, T> {
    sb: &'a AnySuperBlock,
    log: *mut bindings::fc_log,
    _filesystem: PhantomData<T>,
}

impl<T> Deref for NewSuperBlock<'_, T> {
    type Target = AnySuperBlock;

    fn deref(&self) -> &AnySuperBlock {
        self.sb
    }
}

impl<T: FileSystem> NewSuperBlock<'_, T> {
    /// Uses the smallest blocks that the device allows and that are at least `size` bytes large.
    /// C: `sb_min_blocksize()`.
    pub fn set_min_block_size(&mut self, size: u32) -> Result {
        let size = i32::try_from(size)?;
        // SAFETY: The superblock is valid and ours alone.
        match unsafe { bindings::sb_min_blocksize(self.as_raw(), size) } {
            0 => Err(EINVAL),
            _ => Ok(()),
        }
    }

    /// Uses blocks of `size` bytes. Fails with `EINVAL` if the device or the kernel cannot.
    /// C: `sb_set_blocksize()`.
    pub fn set_block_size(&mut self, size: u32) -> Result {
        let size = i32::try_from(size)?;
        // SAFETY: The superblock is valid and ours alone.
        match unsafe { bindings::sb_set_blocksize(self.as_raw(), size) } {
            0 => Err(EINVAL),
            _ => Ok(()),
        }
    }

    /// Whether a filesystem that is not this one should be refused without a message, because the
    /// kernel is trying one filesystem after the other.
    pub fn is_silent(&self) -> bool {
        // SAFETY: The superblock is valid and ours alone.
        unsafe { (*self.as_raw()).s_flags & bindings::RUST_MPAGE_SB_SILENT != 0 }
    }

    /// Sets what the VFS has to know.
    pub fn set_attributes(&mut self, attributes: &SuperAttributes) {
        let sb = self.as_raw();
        // SAFETY: The superblock is valid and ours alone, so its fields may be set.
        unsafe {
            (*sb).s_magic = attributes.magic as usize;
            (*sb).s_maxbytes = i64::try_from(attributes.max_bytes).unwrap_or(i64::MAX);
            (*sb).s_max_links = attributes.max_links;
            (*sb).s_time_min = attributes.min_time;
            (*sb).s_time_max = attributes.max_time;
        }
    }

    /// Reads block number `block`. C: `sb_bread()`.
    ///
    /// Fails with `EIO` if the block cannot be read or is not on the device.
    pub fn bread(&self, block: u64) -> Result<Buffer> {
        // What failed was an earlier mount's.
        match Buffer::read(self, block, || ())? {
            Found::AsIs(buffer) | Found::Rescued(buffer) => Ok(buffer),
        }
    }

    /// Prints a message that names the filesystem and the device, and tells it to who mounts.
    pub fn message(&self, level: Level, message: fmt::Arguments<'_>) {
        // SAFETY: `s_id` is NUL-terminated.
        unsafe { message::print(level, T::NAME, self.id().as_char_ptr(), message) }
        // SAFETY: By the type invariants.
        unsafe { message::tell_mounter(self.log, level, T::NAME, message) }
    }
}

/// Fills `sb`, the callback of `get_tree_bdev()`.
///
/// # Safety
///
/// `sb` must be a new superblock with an open device that nobody else uses yet; `log` null, or the
/// log of the context that it is mounted by, which nobody else uses meanwhile.
pub(in crate::abstractions::fs) unsafe fn fill<T: MountableFileSystem>(
    sb: *mut bindings::super_block,
    log: *mut bindings::fc_log,
    context: &mut T::Context,
) -> Result {
    // SAFETY: `sb` is valid and has a device by the safety requirements.
    let any: &AnySuperBlock = unsafe { &*sb.cast() };
    // INVARIANT: By the safety requirements.
    let mut new = NewSuperBlock::<T> {
        sb: any,
        log,
        _filesystem: PhantomData,
    };
    let data = T::fill_super(&mut new, context)?;

    // SAFETY:
    // - `sb` is valid, and nobody else uses it yet, by the safety requirements: its fields are this
    //   function's to set;
    // - the tables are those of `T`, whose data is set in front of them;
    // - quota is set up in front of the first use of the superblock, for one of `T`.
    unsafe {
        (*sb).s_fs_info = data.into_foreign();
        match &T::ACCESS {
            Access::ReadOnly => (*sb).s_op = &SuperVTable::<T>::OPERATIONS,
            Access::ReadWrite(table) => {
                (*sb).s_op = table.as_raw();
                if let Some(quota) = table.quota() {
                    quota.set_up(sb);
                }
                (*sb).s_iflags |= bindings::SB_I_CGROUPWB as c_ulong;
            }
        }
        (*sb).s_export_op = T::EXPORT.map_or(ptr::null(), |table| table.as_raw());
        (*sb).s_xattr = T::XATTRS.map_or(ptr::null(), |table| table.as_raw());
    }
    // SAFETY: The data was set just above.
    let result = unsafe { mount_root::<T>(sb) };
    if result.is_err() {
        // SAFETY: No root, so there will be no `put_super`; the inodes that `mount_root` got have
        // been dropped, and nobody else knows the superblock.
        unsafe { drop_data::<T>(sb) };
    }
    result
}

/// # Safety
///
/// `sb` must be valid and have the data of `T`.
unsafe fn mount_root<T: MountableFileSystem>(sb: *mut bindings::super_block) -> Result {
    // SAFETY: By the safety requirements.
    let root = T::root(unsafe { SuperBlock::from_raw(sb) })?;
    let root = root.into_raw_on(sb)?;
    // SAFETY: d_make_root() takes the reference over, even when it fails.
    let dentry = unsafe { bindings::d_make_root(root) };
    if dentry.is_null() {
        return Err(ENOMEM);
    }
    if let Access::ReadWrite(table) = &T::ACCESS {
        // SAFETY: By the safety requirements.
        if let Err(error) = table.mounted(unsafe { SuperBlock::from_raw(sb) }) {
            // SAFETY: The reference is ours. The root's inode goes with it, because a superblock
            // that is not active keeps none.
            unsafe { bindings::dput(dentry) };
            return Err(error);
        }
    }
    // SAFETY: `sb` is valid and not mounted yet.
    unsafe { (*sb).s_root = dentry };
    Ok(())
}

/// # Safety
///
/// `sb` must be valid and have the data of `T`; nobody may use it any more.
pub(super) unsafe fn drop_data<T: FileSystem>(sb: *mut bindings::super_block) {
    // SAFETY: By the safety requirements; not used below.
    T::unwritten(unsafe { SuperBlock::from_raw(sb) }).give_up_all();
    // SAFETY:
    // - `sb` is valid, and nobody else uses it any more, by the safety requirements;
    // - `s_fs_info` was set from a box in `fill` and is reset here, so this happens once.
    unsafe {
        let data = (*sb).s_fs_info;
        (*sb).s_fs_info = ptr::null_mut();
        drop(Pin::<KBox<T::Data>>::from_foreign(data));
    }
}

/// The operations of a superblock of `T`.
pub(super) struct SuperVTable<T>(PhantomData<T>);

impl<T: MountableFileSystem> SuperVTable<T> {
    /// Those of a filesystem that is only read.
    pub(in crate::abstractions::fs) const OPERATIONS: bindings::super_operations =
        bindings::super_operations {
            alloc_inode: Some(Self::alloc_inode_callback),
            destroy_inode: Some(InodeCache::<T>::destroy_inode_callback),
            free_inode: Some(InodeCache::<T>::free_inode_callback),
            evict_inode: Some(write::evict_callback::<T>),
            put_super: Some(Self::put_super_callback),
            statfs: Some(Self::statfs_callback),
            show_options: Some(Self::show_options_callback),
            ..pin_init::zeroed()
        };

    /// # Safety
    ///
    /// Called for a superblock of a [`Registration`](super::Registration) of `T`.
    unsafe extern "C" fn alloc_inode_callback(
        sb: *mut bindings::super_block,
    ) -> *mut bindings::inode {
        // SAFETY: The superblock is valid and of `T`, and its type in a registration of `T`, as it
        // is mounted or being filled.
        unsafe { cache_of::<T>((*sb).s_type).map_or(ptr::null_mut(), |cache| cache.alloc(sb)) }
    }

    /// # Safety
    ///
    /// Called by `generic_shutdown_super()` for a superblock that `fill` has filled, after its
    /// inodes are gone.
    pub(super) unsafe extern "C" fn put_super_callback(sb: *mut bindings::super_block) {
        // SAFETY: `s_root` was set, so `fill` has left the data, and this is called once. Nobody
        // else uses the superblock any more.
        unsafe { drop_data::<T>(sb) }
    }

    /// # Safety
    ///
    /// Called for a mounted filesystem, with a place for the answer.
    unsafe extern "C" fn statfs_callback(
        dentry: *mut bindings::dentry,
        out: *mut kernel::bindings::kstatfs,
    ) -> c_int {
        let out = out.cast::<bindings::kstatfs>();
        from_result(|| {
            // SAFETY: The dentry belongs to a mounted superblock of this filesystem.
            let sb = unsafe { SuperBlock::<T>::from_raw((*dentry).d_sb) };
            let stat = T::statfs(sb)?;
            // SAFETY: `out` is valid and the caller's, who has zeroed it.
            unsafe {
                (*out).f_type = stat.magic as c_long;
                (*out).f_bsize = stat.block_size as c_long;
                (*out).f_blocks = stat.blocks;
                (*out).f_bfree = stat.free_blocks;
                (*out).f_bavail = stat.available_blocks;
                (*out).f_files = stat.files;
                (*out).f_ffree = stat.free_files;
                (*out).f_fsid.val = [stat.id as i32, (stat.id >> 32) as i32];
                (*out).f_namelen = stat.name_length as c_long;
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called for a mounted filesystem, with a seq_file that nobody else uses.
    unsafe extern "C" fn show_options_callback(
        seq: *mut bindings::seq_file,
        root: *mut bindings::dentry,
    ) -> c_int {
        // SAFETY:
        // - the dentry belongs to a mounted superblock of this filesystem;
        // - `seq` is valid and locked by the caller.
        let (sb, seq) = unsafe {
            (
                SuperBlock::<T>::from_raw((*root).d_sb),
                SeqFile::from_raw(seq),
            )
        };
        from_result(|| T::show_options(sb, seq).map(|()| 0))
    }
}

/// The mounted filesystem that a reconfiguration is for.
///
/// # Safety
///
/// `fc` must be a valid context of a reconfiguration of a filesystem `T`.
pub(super) unsafe fn of_context<'a, T: FileSystem>(
    fc: *mut bindings::fs_context,
) -> &'a SuperBlock<T> {
    // SAFETY: Reconfiguration begins with `root` set to the mounted filesystem's, referenced by
    // the context.
    unsafe { SuperBlock::from_raw((*(*fc).root).d_sb) }
}
