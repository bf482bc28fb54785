// SPDX-License-Identifier: GPL-2.0

//! What an inode is in memory: a slab object that has the filesystem's data, too.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use crate::{
    abstractions::fs::FileSystem,
    bindings,
    compat, //
};
use core::{
    marker::PhantomData,
    mem::{
        offset_of,
        MaybeUninit, //
    },
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Full, //
        },
        barrier::{
            smp_mb,
            Read,
            Write, //
        },
    },
};

/// How many kinds of quota the kernel knows.
const QUOTA_TYPES: usize = bindings::MAXQUOTAS as usize;

/// A slab object: an inode and the filesystem's data.
#[repr(C)]
pub(super) struct Slot<T: FileSystem> {
    /// Initialised if `initialised` says so.
    pub(in crate::abstractions::fs) data: MaybeUninit<T::InodeData>,
    /// Set when the data is, read when the inode is evicted and when it is freed.
    pub(super) initialised: bool,
    /// Who looks at the inode without a reference; who evicts it waits for them.
    pub(super) visits: bindings::rust_mpage_visits,
    /// Of an inode that was visited still when it was gone: who has ended with it, of the last
    /// visitor and of who frees it. The second one frees it.
    ended: Atomic<u32>,
    /// The metadata blocks that a sync of the inode has to wait for.
    pub(in crate::abstractions::fs) metadata: bindings::mapping_metadata_bhs,
    /// The errors of the mapping after which all its pages have been written.
    pub(super) written: bindings::errseq_t,
    /// Whom it is counted for.
    dquots: [*mut bindings::dquot; QUOTA_TYPES],
    /// Bytes that are reserved for it among what these have; the kernel's, which has `i_lock` to
    /// change it.
    pub(super) reserved: bindings::qsize_t,
    inode: bindings::inode,
}

impl<T: FileSystem> Slot<T> {
    /// # Safety
    ///
    /// `inode` must have been allocated by [`InodeCache::alloc`] of `T`.
    #[inline]
    pub(in crate::abstractions::fs) unsafe fn of(inode: *mut bindings::inode) -> *mut Self {
        // SAFETY: The inode is the field of a slot by the safety requirements.
        unsafe { inode.byte_sub(offset_of!(Self, inode)).cast() }
    }
}

/// Initialises the data of an inode.
///
/// # Safety
///
/// `inode` must come from `T`'s inode cache, its data must not be initialised, and nobody else may
/// use the inode.
pub(in crate::abstractions::fs) unsafe fn init_data<T: FileSystem>(
    inode: *mut bindings::inode,
    data: impl PinInit<T::InodeData, Error>,
) -> Result {
    // SAFETY:
    // - the inode comes from `T`'s cache by the safety requirements, and so is that of a slot;
    // - the place for the data is valid, and nobody uses it, for it is not initialised and nobody
    //   else uses the inode;
    // - slab objects do not move, so the data is pinned;
    // - the flag is ours to set: others only read it, in one piece.
    unsafe {
        let slot = Slot::<T>::of(inode);
        compat::raw_try_init(ptr::addr_of_mut!((*slot).data).cast(), data)?;
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
    // SAFETY:
    // - the inode comes from `T`'s cache by the safety requirements, and so is that of a slot;
    // - the flag is written in one piece, with others reading.
    let initialised = unsafe {
        let slot = Slot::<T>::of(inode);
        ptr::addr_of!((*slot).initialised).read_volatile()
    };
    smp_mb(Read);
    initialised
}

const fn in_32_bits(number: usize) -> u32 {
    assert!(number <= u32::MAX as usize);
    number as u32
}

/// The slab cache that inodes of `T` come from.
///
/// # Invariants
///
/// `cache` is a cache of `Slot<T>` whose constructor has called `inode_init_once()`.
pub(in crate::abstractions::fs) struct InodeCache<T> {
    cache: NonNull<bindings::kmem_cache>,
    _filesystem: PhantomData<T>,
}

impl<T: FileSystem> InodeCache<T> {
    /// What the slab allocator is told. Does not compile if it cannot be: it would be cut.
    const SIZE: u32 = in_32_bits(size_of::<Slot<T>>());
    const ALIGN: u32 = in_32_bits(align_of::<Slot<T>>());

    /// Makes a cache for the filesystem type `name`.
    pub(in crate::abstractions::fs) fn new(name: &'static CStr) -> Result<Self> {
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
                Self::SIZE,
                Self::ALIGN,
                Some(Self::init_once_callback),
            )
        };
        // INVARIANT: As made.
        Ok(Self {
            cache: NonNull::new(cache).ok_or(ENOMEM)?,
            _filesystem: PhantomData,
        })
    }

    /// The C pointer.
    pub(in crate::abstractions::fs) fn as_raw(&self) -> *mut bindings::kmem_cache {
        self.cache.as_ptr()
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

    /// An inode for a superblock, with nothing in it; null without memory.
    ///
    /// # Safety
    ///
    /// `sb` must be a superblock of `T`, whose cache this is.
    pub(in crate::abstractions::fs) unsafe fn alloc(
        &self,
        sb: *mut bindings::super_block,
    ) -> *mut bindings::inode {
        // SAFETY:
        // - the superblock is valid by the safety requirements;
        // - objects of the cache are slots of `T`, with an inode that its constructor has
        //   initialised;
        // - the slot is nobody else's yet, so its fields may be set.
        unsafe {
            let slot = bindings::rust_mpage_helper_alloc_inode_sb(sb, self.cache.as_ptr())
                .cast::<Slot<T>>();
            if slot.is_null() {
                return ptr::null_mut();
            }
            (*slot).initialised = false;
            (*slot).visits = pin_init::zeroed();
            (*slot).ended = Atomic::new(0);
            (*slot).dquots = [ptr::null_mut(); QUOTA_TYPES];
            (*slot).reserved = 0;
            (*slot).written = 0;
            let inode = Slot::inode(slot);
            bindings::mmb_init(
                ptr::addr_of_mut!((*slot).metadata),
                ptr::addr_of_mut!((*inode).i_data),
            );
            inode
        }
    }

    /// # Safety
    ///
    /// Called by the kernel's quota code for an inode of [`Self::alloc`].
    #[cfg(CONFIG_QUOTA)]
    pub(in crate::abstractions::fs) unsafe extern "C" fn get_dquots_callback(
        inode: *mut bindings::inode,
    ) -> *mut *mut bindings::dquot {
        // SAFETY: The inode is the field of a slot. The kernel has locks of its own for the
        // pointers.
        unsafe { ptr::addr_of_mut!((*Slot::<T>::of(inode)).dquots).cast() }
    }

    /// # Safety
    ///
    /// As of [`Self::get_dquots_callback`].
    #[cfg(CONFIG_QUOTA)]
    pub(in crate::abstractions::fs) unsafe extern "C" fn get_reserved_space_callback(
        inode: *mut bindings::inode,
    ) -> *mut bindings::qsize_t {
        // SAFETY: The inode is the field of a slot. The kernel locks the inode to change it.
        unsafe { ptr::addr_of_mut!((*Slot::<T>::of(inode)).reserved) }
    }

    /// # Safety
    ///
    /// Called by the VFS, once, for an inode of [`Self::alloc`] that nobody finds any more, but for
    /// its link target and its attributes, where one may sleep.
    pub(in crate::abstractions::fs) unsafe extern "C" fn destroy_inode_callback(
        inode: *mut bindings::inode,
    ) {
        // SAFETY:
        // - the inode is the field of a slot, and its visits are counted;
        // - nobody uses the data any more if nobody visits the inode: lookups without a reference,
        //   under RCU, do not lead to it. Else it is the last visitor's to drop.
        unsafe {
            let slot = Slot::<T>::of(inode);
            let visits = ptr::addr_of_mut!((*slot).visits);
            if !bindings::rust_mpage_is_visited_still(inode, visits) {
                Slot::drop_data(slot);
            }
        }
    }

    /// # Safety
    ///
    /// Called by the VFS, once and last, for an inode of [`Self::alloc`], after
    /// [`Self::destroy_inode_callback`].
    pub(in crate::abstractions::fs) unsafe extern "C" fn free_inode_callback(
        inode: *mut bindings::inode,
    ) {
        // SAFETY:
        // - this is called after a grace period, so nobody uses the inode, and so its slot, any
        //   more, but who visits it still;
        // - whether there was such a one was noted before the grace period.
        unsafe {
            let slot = Slot::<T>::of(inode);
            if !(*slot).visits.is_late || Slot::is_second_to_end(slot) {
                Slot::free(slot);
            }
        }
    }
}

impl<T: FileSystem> Slot<T> {
    /// The inode of a slot.
    ///
    /// # Safety
    ///
    /// `slot` must point to memory for a slot.
    pub(super) unsafe fn inode(slot: *mut Self) -> *mut bindings::inode {
        // SAFETY: By the safety requirements.
        unsafe { ptr::addr_of_mut!((*slot).inode) }
    }

    /// Ends the inode for the last visitor of one that was gone meanwhile.
    ///
    /// # Safety
    ///
    /// Called once, by that one, who does not use the inode any more.
    pub(super) unsafe fn end_late(slot: *mut Self) {
        // SAFETY:
        // - nobody else uses the data: the inode was destroyed, and left to this caller;
        // - the slot is there until the second one has ended with it, and who is that one frees it.
        unsafe {
            Self::drop_data(slot);
            if Self::is_second_to_end(slot) {
                Self::free(slot);
            }
        }
    }

    /// Whether the other one has ended with the inode.
    ///
    /// # Safety
    ///
    /// The slot must be valid, and the caller not use it any more if this is not so.
    unsafe fn is_second_to_end(slot: *mut Self) -> bool {
        // SAFETY: By the safety requirements.
        unsafe { (*ptr::addr_of!((*slot).ended)).fetch_add(1, Full) == 1 }
    }

    /// # Safety
    ///
    /// Nobody may use the data any more, and this be called once.
    unsafe fn drop_data(slot: *mut Self) {
        // SAFETY: The data is initialised if the flag says so, and nobody's by the safety
        // requirements.
        unsafe {
            if (*slot).initialised {
                (*slot).data.assume_init_drop();
            }
        }
    }

    /// # Safety
    ///
    /// Nobody may use the slot any more.
    unsafe fn free(slot: *mut Self) {
        // SAFETY:
        // - nobody uses the slot by the safety requirements;
        // - an inode that had data has been filled;
        // - the link target is the inode's own if it is still a symbolic link, see
        //   `Operations::apply`, and null if it has none; kfree() takes both;
        // - kfree() takes any slab's objects.
        unsafe {
            let inode = Self::inode(slot);
            if (*slot).initialised
                && u32::from((*inode).i_mode) & bindings::S_IFMT == bindings::S_IFLNK
            {
                bindings::kfree((*inode).__bindgen_anon_5.i_link.cast());
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
