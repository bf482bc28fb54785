// SPDX-License-Identifier: GPL-2.0

//! Inodes of one kind of filesystem, with that filesystem's data.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! An inode is allocated together with the filesystem's data in one slab object. The inode cache
//! hands out a [`NewInode`], which only its owner sees; [`NewInode::init`] writes the data and
//! makes an [`FsInode`] of it; dropping it instead gives the inode up. So whoever sees an
//! [`FsInode`] sees initialised data.
//!
//! Left out: making inodes that are not on disk yet, which is in `new_inode.rs`; changing them, which
//! is in `inode_state.rs`.

use super::{
    operations::Operations,
    DeviceNumber,
    FileSystem,
    Inode,
    InodeFlags,
    InodeRef,
    InodeType,
    InodeView,
    SuperBlock, //
};
use crate::bindings;
use core::{
    marker::PhantomData,
    mem::{
        offset_of,
        ManuallyDrop,
        MaybeUninit, //
    },
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    prelude::*,
    str::CString,
    sync::barrier::{
        smp_mb,
        Read,
        Write, //
    },
};

/// How many kinds of quota the kernel knows.
const QUOTA_TYPES: usize = bindings::MAXQUOTAS as usize;

/// A slab object: an inode and the filesystem's data.
#[repr(C)]
pub(super) struct Slot<T: FileSystem> {
    /// Initialised if `initialised` says so.
    pub(super) data: MaybeUninit<T::InodeData>,
    /// Set when the data is, read when the inode is evicted and when it is freed.
    initialised: bool,
    /// The metadata blocks that a sync of the inode has to wait for.
    metadata: bindings::mapping_metadata_bhs,
    /// Whom it is counted for.
    dquots: [*mut bindings::dquot; QUOTA_TYPES],
    inode: bindings::inode,
}

impl<T: FileSystem> Slot<T> {
    /// # Safety
    ///
    /// `inode` must have been allocated by [`InodeCache::alloc_inode_callback`] of `T`.
    #[inline(always)]
    pub(super) unsafe fn of(inode: *mut bindings::inode) -> *mut Self {
        // SAFETY: The inode is the field of a slot by the safety requirements.
        unsafe { inode.byte_sub(offset_of!(Self, inode)).cast() }
    }
}

/// An inode of the filesystem `T`.
///
/// It is in use, but that need not be by a counted reference; those are [`InodeRef`]s.
///
/// # Invariants
///
/// As of [`Inode`]; the inode was allocated by the inode cache of `T`, its data is initialised,
/// and its superblock is a [`SuperBlock<T>`].
#[repr(transparent)]
pub struct FsInode<T>(InodeView<T>);

impl<T> Deref for FsInode<T> {
    type Target = InodeView<T>;

    #[inline(always)]
    fn deref(&self) -> &InodeView<T> {
        &self.0
    }
}

impl<T> AsRef<Inode> for FsInode<T> {
    #[inline(always)]
    fn as_ref(&self) -> &Inode {
        &self.0
    }
}

// SAFETY: `FsInode` is a transparent wrapper of `InodeView`, and so of `Inode`.
unsafe impl<T: FileSystem> InodeType for FsInode<T> {
    #[inline(always)]
    unsafe fn from_raw<'a>(ptr: *mut bindings::inode) -> &'a Self {
        // SAFETY: By the safety requirements; `Self` is a transparent wrapper.
        unsafe { &*ptr.cast() }
    }
}

impl<T: FileSystem> FsInode<T> {
    /// The list of metadata blocks.
    pub(super) fn metadata(&self) -> *mut bindings::mapping_metadata_bhs {
        // SAFETY: By the type invariants, the inode comes from the inode cache.
        unsafe { Self::metadata_of(self.as_raw()) }
    }

    /// The list of metadata blocks of an inode.
    ///
    /// # Safety
    ///
    /// `inode` must come from `T`'s inode cache.
    pub(super) unsafe fn metadata_of(
        inode: *mut bindings::inode,
    ) -> *mut bindings::mapping_metadata_bhs {
        // SAFETY: The inode is the field of a slot by the safety requirements.
        unsafe { ptr::addr_of_mut!((*Slot::<T>::of(inode)).metadata) }
    }

    /// The inode that is evicted, unless it could not be read or has never been filled.
    ///
    /// # Safety
    ///
    /// `inode` must come from `T`'s inode cache and be being evicted, for `'a`.
    pub(super) unsafe fn from_evicted<'a>(inode: *mut bindings::inode) -> Option<&'a Self> {
        // SAFETY: By the safety requirements; the flag is not written any more. With its data
        // initialised, the type invariants hold.
        unsafe {
            if (*Slot::<T>::of(inode)).initialised && !bindings::is_bad_inode(inode) {
                Some(Self::from_raw(inode))
            } else {
                None
            }
        }
    }

    pub(super) fn mapping(&self) -> *mut bindings::address_space {
        // SAFETY: The inode is valid, and keeps its mapping.
        unsafe { (*self.as_raw()).i_mapping }
    }
}

/// An inode from the inode cache.
pub enum Iget<'m, T: FileSystem> {
    /// It has been read before.
    Cached(InodeRef<'m, T>),
    /// It is this caller's to read.
    New(NewInode<'m, T>),
}

/// What the VFS has to know about an inode.
#[derive(Clone, Copy)]
pub struct Attributes {
    /// The type and the permissions, as in `st_mode`.
    pub mode: u16,
    /// The owner, in the filesystem's user namespace.
    pub uid: u32,
    /// The group, in the filesystem's user namespace.
    pub gid: u32,
    /// The number of links.
    pub links: u32,
    /// The size in bytes.
    pub size: u64,
    /// The space on disk, in units of 512 bytes.
    pub blocks: u64,
    /// The time of the last access, in seconds since 1970, as the others.
    pub atime: i64,
    /// The time of the last change of the contents.
    pub mtime: i64,
    /// The time of the last change of the inode.
    pub ctime: i64,
    /// What distinguishes the file from earlier ones with the same inode number.
    pub generation: u32,
    /// The flags.
    pub flags: InodeFlags,
}

/// An inode that nobody else sees, to be filled, of a filesystem that is mounted for `'m`.
///
/// # Invariants
///
/// `inode` is an inode of `T`'s cache with `I_NEW` set by this task, whose data is not initialised,
/// and on which `self` owns a reference.
pub struct NewInode<'m, T: FileSystem> {
    inode: NonNull<bindings::inode>,
    _mount: PhantomData<&'m SuperBlock<T>>,
}

impl<'m, T: FileSystem> NewInode<'m, T> {
    /// Takes over a new inode.
    ///
    /// # Safety
    ///
    /// The type invariants must hold for `inode`, the reference must be the caller's, and the
    /// filesystem be mounted for `'m`.
    pub(super) unsafe fn from_raw(inode: NonNull<bindings::inode>) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            inode,
            _mount: PhantomData,
        }
    }

    /// The inode's number.
    pub fn number(&self) -> u64 {
        // SAFETY: The inode is valid.
        unsafe { (*self.inode.as_ptr()).i_ino }
    }

    /// Fills the inode and lets everybody see it.
    ///
    /// Fails with `EINVAL` if the operations are not those of the type in the mode, with `EUCLEAN`
    /// if no file can have the size, or as `data` does; the inode is given up then.
    pub fn init(
        self,
        attributes: &Attributes,
        operations: Operations<T>,
        data: impl PinInit<T::InodeData, Error>,
    ) -> Result<InodeRef<'m, T>> {
        let inode = self.inode.as_ptr();
        operations.check(attributes.mode)?;
        let size = i64::try_from(attributes.size).map_err(|_| EUCLEAN)?;
        // Before the data: who finds the inode with that can use it.
        self.set_attributes(attributes, size);
        // SAFETY: The inode is in a slot of ours by the type invariants, and nobody else uses it.
        // The data is not initialised.
        unsafe { init_data::<T>(inode, data)? };
        // Nothing fails from here on.
        let this = ManuallyDrop::new(self);
        operations.apply(inode, attributes.mode);
        // SAFETY: The inode is new and ours. unlock_new_inode() orders the above before others'
        // accesses.
        unsafe { bindings::unlock_new_inode(inode) };
        // SAFETY: The data is initialised, and `I_NEW` is gone. The reference is passed on.
        Ok(unsafe { InodeRef::from_raw(this.inode) })
    }

    fn set_attributes(&self, attributes: &Attributes, size: i64) {
        let raw = self.inode.as_ptr();
        // SAFETY: Nobody else looks at the inode while it is new by the type invariants, so its fields
        // are ours to set, directly and with the functions for some of them, which take no lock.
        unsafe {
            (*raw).i_mode = attributes.mode;
            bindings::rust_mpage_helper_i_uid_write(raw, attributes.uid);
            bindings::rust_mpage_helper_i_gid_write(raw, attributes.gid);
            bindings::set_nlink(raw, attributes.links);
            (*raw).i_size = size;
            (*raw).i_blocks = attributes.blocks;
            (*raw).i_atime_sec = attributes.atime;
            (*raw).i_mtime_sec = attributes.mtime;
            (*raw).i_ctime_sec = attributes.ctime;
            (*raw).i_atime_nsec = 0;
            (*raw).i_mtime_nsec = 0;
            (*raw).i_ctime_nsec = 0;
            (*raw).i_generation = attributes.generation;
            bindings::inode_set_flags(
                raw,
                attributes.flags.into_raw(),
                attributes.flags.into_raw(),
            );
        }
    }
}

impl<T: FileSystem> Drop for NewInode<'_, T> {
    fn drop(&mut self) {
        // SAFETY: The inode is new and ours; the reference is given up. C: iget_failed().
        unsafe { bindings::iget_failed(self.inode.as_ptr()) }
    }
}

/// Initialises the data of an inode.
///
/// # Safety
///
/// `inode` must come from `T`'s inode cache, its data must not be initialised, and nobody else may
/// use the inode.
pub(super) unsafe fn init_data<T: FileSystem>(
    inode: *mut bindings::inode,
    data: impl PinInit<T::InodeData, Error>,
) -> Result {
    // SAFETY: By the safety requirements. Slab objects do not move, so the data is pinned.
    unsafe {
        let slot = Slot::<T>::of(inode);
        pin_init::raw_try_init(ptr::addr_of_mut!((*slot).data).cast(), data)?;
        // After the data and the attributes, for `is_initialised`.
        smp_mb(Write);
        ptr::addr_of_mut!((*slot).initialised).write_volatile(true);
    }
    Ok(())
}

/// Whether an inode has its attributes and its data. It may be hashed and have neither yet.
///
/// # Safety
///
/// `inode` must come from `T`'s inode cache.
pub(super) unsafe fn is_initialised<T: FileSystem>(inode: *mut bindings::inode) -> bool {
    // SAFETY: By the safety requirements; the flag is written in one piece.
    let initialised = unsafe {
        let slot = Slot::<T>::of(inode);
        ptr::addr_of!((*slot).initialised).read_volatile()
    };
    smp_mb(Read);
    initialised
}

/// The slab cache that inodes of `T` come from.
///
/// # Invariants
///
/// `cache` is a cache of `Slot<T>` whose constructor has called `inode_init_once()`.
pub(super) struct InodeCache<T> {
    cache: NonNull<bindings::kmem_cache>,
    _filesystem: PhantomData<T>,
}

impl<T: FileSystem> InodeCache<T> {
    /// Makes a cache for the filesystem type `name`.
    pub(super) fn new(name: &'static CStr) -> Result<Self> {
        let name = if name == T::NAME {
            CString::try_from_fmt(fmt!("{name}_inode_cache"))
        } else {
            // Another filesystem may have the name, and a cache.
            CString::try_from_fmt(fmt!("{}_{name}_inode_cache", T::NAME))
        }?;
        // SAFETY: The name is copied; the constructor suits the size.
        let cache = unsafe {
            bindings::rust_mpage_helper_inode_cache_create(
                name.as_char_ptr(),
                size_of::<Slot<T>>() as u32,
                align_of::<Slot<T>>() as u32,
                Some(Self::init_once_callback),
            )
        };
        // INVARIANT: As made.
        Ok(Self {
            cache: NonNull::new(cache).ok_or(ENOMEM)?,
            _filesystem: PhantomData,
        })
    }

    /// # Safety
    ///
    /// Called by the slab allocator for a new object of a cache of ours.
    unsafe extern "C" fn init_once_callback(object: *mut c_void) {
        // SAFETY: The object is memory for a slot.
        unsafe {
            bindings::inode_init_once(ptr::addr_of_mut!((*object.cast::<Slot<T>>()).inode));
        }
    }

    /// # Safety
    ///
    /// Called for a superblock of a [`Registration`](super::Registration) of `T`.
    pub(super) unsafe extern "C" fn alloc_inode_callback(
        sb: *mut bindings::super_block,
    ) -> *mut bindings::inode {
        // SAFETY:
        // - the superblock's type is in a registration of `T`, as it is mounted or being filled;
        // - objects of the cache are slots of `T`, with an inode that its constructor has initialised;
        // - the slot is nobody else's yet, so its fields may be set.
        unsafe {
            let Some(cache) = super::registration::cache_of::<T>((*sb).s_type) else {
                return ptr::null_mut();
            };
            let slot = bindings::rust_mpage_helper_alloc_inode_sb(sb, cache.cache.as_ptr())
                .cast::<Slot<T>>();
            if slot.is_null() {
                return ptr::null_mut();
            }
            (*slot).initialised = false;
            (*slot).dquots = [ptr::null_mut(); QUOTA_TYPES];
            let inode = ptr::addr_of_mut!((*slot).inode);
            bindings::mmb_init(
                ptr::addr_of_mut!((*slot).metadata),
                ptr::addr_of_mut!((*inode).i_data),
            );
            inode
        }
    }

    /// # Safety
    ///
    /// Called by the kernel's quota code for an inode of `alloc_inode_callback`.
    #[cfg(CONFIG_QUOTA)]
    pub(super) unsafe extern "C" fn get_dquots_callback(
        inode: *mut bindings::inode,
    ) -> *mut *mut bindings::dquot {
        // SAFETY: The inode is the field of a slot. The kernel has locks of its own for the pointers.
        unsafe { ptr::addr_of_mut!((*Slot::<T>::of(inode)).dquots).cast() }
    }

    /// # Safety
    ///
    /// Called by the VFS, once and last, for an inode of `alloc_inode_callback`.
    pub(super) unsafe extern "C" fn free_inode_callback(inode: *mut bindings::inode) {
        // SAFETY:
        // - nobody uses the inode, and so its slot, any more: this is called after a grace period;
        // - the data is initialised if the flag says so, and dropped once;
        // - the link target is the inode's own if it is still a symbolic link, see
        //   `Operations::apply`, and null if it has none; kfree() takes both;
        // - kfree() takes any slab's objects.
        unsafe {
            let slot = Slot::<T>::of(inode);
            if (*slot).initialised {
                if u32::from((*inode).i_mode) & bindings::S_IFMT == bindings::S_IFLNK {
                    bindings::kfree((*inode).__bindgen_anon_5.i_link.cast());
                }
                (*slot).data.assume_init_drop();
            }
            bindings::kfree(slot.cast());
        }
    }
}

impl<T> Drop for InodeCache<T> {
    fn drop(&mut self) {
        // SAFETY:
        // - rcu_barrier() may be called where one may sleep;
        // - no filesystem is mounted any more, and the inodes' callbacks have run: the cache has no
        //   objects.
        unsafe {
            bindings::rcu_barrier();
            bindings::kmem_cache_destroy(self.cache.as_ptr());
        }
    }
}

/// Kept here so that the type of a device number is with the inode that has it.
pub(super) fn set_special(inode: *mut bindings::inode, mode: u16, device: DeviceNumber) {
    // SAFETY: Called by `Operations::apply` for a new inode.
    unsafe { bindings::init_special_inode(inode, mode, device.into_raw()) }
}
