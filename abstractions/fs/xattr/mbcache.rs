// SPDX-License-Identifier: GPL-2.0

//! Which blocks have the contents with some hash, so that what is the same is stored once.
//!
//! C header: [`include/linux/mbcache.h`](srctree/include/linux/mbcache.h)
//!
//! A hint: entries go when memory is short. Whoever looks for a block compares its contents. The
//! methods are instances for one filesystem each, so that the module of that needs `mbcache.ko`,
//! and no other does. A kernel without mbcache has an empty cache.
//!
//! Memory reclaim calls `mbcache.ko` as long as there is a cache. So each holds the module of its
//! filesystem, and that holds `mbcache.ko`, until it is dropped: one that is not keeps both.
//!
//! Locks: inside, those of mbcache, which do not sleep.

use crate::{
    abstractions::fs::{
        FileSystem,
        NewSuperBlock, //
    },
    bindings, //
};
use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Full, //
    },
};

/// Hashes of contents, and the blocks that have them. C: `struct mb_cache`.
///
/// # Invariants
///
/// `cache` is a cache of mbcache, and this value's own; `None` if the kernel has no mbcache. If
/// there is one, this value owns a reference to the module of `fs_type`, which is part of that.
pub struct BlockCache<T> {
    cache: Option<NonNull<bindings::mb_cache>>,
    fs_type: *mut bindings::file_system_type,
    _filesystem: PhantomData<fn() -> T>,
}

// SAFETY: A cache may be given up by any thread.
unsafe impl<T> Send for BlockCache<T> {}
// SAFETY: mbcache has its own locks for everything but giving it up.
unsafe impl<T> Sync for BlockCache<T> {}

impl<T: FileSystem> BlockCache<T> {
    /// Makes a cache for the filesystem `sb` with `1 << bits` hash chains. Fails with `EINVAL` if
    /// these are none, one, or more than there are hashes, with `ENOMEM`.
    /// C: `mb_cache_create()`, which shifts by that.
    pub fn new(sb: &NewSuperBlock<'_, T>, bits: u32) -> Result<Self> {
        let bits = checked(bits)?;
        // SAFETY: The superblock is valid, and its type does not change.
        let fs_type = unsafe { (*sb.as_raw()).s_type };
        let cache = if cfg!(CONFIG_FS_MBCACHE) {
            // SAFETY: May be called from where one may sleep, and with so many bits.
            let cache = unsafe { bindings::mb_cache_create(bits) };
            let cache = NonNull::new(cache).ok_or(ENOMEM)?;
            // SAFETY: Who fills a superblock has a reference to its type's module.
            unsafe { bindings::rust_mpage_helper_get_fs_module(fs_type) };
            Some(cache)
        } else {
            None
        };
        // INVARIANT: As made, with the reference that was taken with it.
        Ok(Self {
            cache,
            fs_type,
            _filesystem: PhantomData,
        })
    }

    /// The C pointer, if there is a cache.
    fn as_raw(&self) -> Option<*mut bindings::mb_cache> {
        match self.cache {
            Some(cache) if cfg!(CONFIG_FS_MBCACHE) => Some(cache.as_ptr()),
            _ => None,
        }
    }

    /// Notes that block number `block` has contents with the hash `key`. Without memory it is not
    /// noted. C: `mb_cache_entry_create()`.
    pub fn insert(&self, key: u32, block: u64) {
        if let Some(cache) = self.as_raw() {
            // Whether it was there already or there is no memory makes no difference.
            //
            // SAFETY: The cache is valid.
            let _ = unsafe {
                bindings::mb_cache_entry_create(
                    cache,
                    bindings::RUST_MPAGE_GFP_NOFS,
                    key,
                    block,
                    true,
                )
            };
        }
    }

    /// Blocks that are noted with the hash `key`, one after the other, until `is_wanted` says so of
    /// one. That one. C: `mb_cache_entry_find_first()` and `mb_cache_entry_find_next()`.
    pub fn find<R>(&self, key: u32, mut is_wanted: impl FnMut(u64) -> Option<R>) -> Option<R> {
        let cache = self.as_raw()?;
        // SAFETY: The cache is valid.
        let mut entry = unsafe { bindings::mb_cache_entry_find_first(cache, key) };

        while !entry.is_null() {
            // SAFETY: The entry is referenced, and keeps its value.
            if let Some(found) = is_wanted(unsafe { (*entry).e_value }) {
                // SAFETY:
                // - the cache is valid, and the entry is one of it, and referenced;
                // - the reference is ours, and given up.
                unsafe {
                    bindings::mb_cache_entry_touch(cache, entry);
                    Self::put(cache, entry);
                }
                return Some(found);
            }
            // SAFETY: The entry is referenced; that is passed on.
            entry = unsafe { bindings::mb_cache_entry_find_next(cache, entry) };
        }
        None
    }

    /// Forgets what was noted of a block, which has contents with the hash `key`. Whether it is
    /// forgotten: not if somebody looks at it in [`Self::find`] just now.
    /// C: `mb_cache_entry_delete_or_get()`.
    pub fn forget(&self, key: u32, block: u64) -> bool {
        let Some(cache) = self.as_raw() else {
            return true;
        };
        // SAFETY: The cache is valid.
        let entry = unsafe { bindings::mb_cache_entry_delete_or_get(cache, key, block) };
        if entry.is_null() {
            return true;
        }
        // SAFETY: The entry is referenced, and that given up.
        unsafe { Self::put(cache, entry) };
        false
    }

    /// Gives up a reference to an entry. C: `mb_cache_entry_put()`, which is inline: a function
    /// around it would be in the module that all filesystems need.
    ///
    /// # Safety
    ///
    /// `entry` must be a valid entry of `cache`, and the reference the caller's.
    unsafe fn put(cache: *mut bindings::mb_cache, entry: *mut bindings::mb_cache_entry) {
        const ONE_USER: i32 = 2;

        // SAFETY: The entry is valid; the count is accessed atomically, by C, too.
        let left = unsafe {
            let count = Atomic::<i32>::from_ptr(ptr::addr_of_mut!((*entry).e_refcnt.counter));
            count.fetch_sub(1, Full) - 1
        };
        if left == 0 {
            // SAFETY: That was the last reference.
            unsafe { bindings::__mb_cache_entry_free(cache, entry) };
        } else if left <= ONE_USER {
            // The entry may be gone: only its address counts.
            //
            // SAFETY: Any address may be given.
            unsafe { bindings::wake_up_var(ptr::addr_of_mut!((*entry).e_refcnt).cast()) };
        }
    }
}

/// How many bits of a hash of 32 bits can choose its chain.
fn checked(bits: u32) -> Result<c_int> {
    match bits {
        1..u32::BITS => Ok(bits as c_int),
        _ => Err(EINVAL),
    }
}

impl<T> Drop for BlockCache<T> {
    fn drop(&mut self) {
        if let Some(cache) = self.cache {
            if cfg!(CONFIG_FS_MBCACHE) {
                // SAFETY: The cache is this value's own by the type invariants, and nobody can use
                // it any more.
                unsafe { bindings::mb_cache_destroy(cache.as_ptr()) };
                // SAFETY: The reference is ours by the type invariants and given up here. The one
                // of the mount is there still, and with it this code.
                unsafe { bindings::rust_mpage_helper_put_fs_module(self.fs_type) };
            }
        }
    }
}

#[kernel::macros::kunit_tests(rust_mpage_mbcache)]
mod tests {
    use super::*;

    /// C would look for the chain behind the table.
    #[test]
    fn a_table_has_chains() {
        assert_eq!((checked(1), checked(31)), (Ok(1), Ok(31)));
        for bits in [0, 32, 64, u32::MAX] {
            assert_eq!(checked(bits), Err(EINVAL));
        }
    }
}
