// SPDX-License-Identifier: GPL-2.0

//! Misuse of inodes and of what belongs to a mounted filesystem that the types refuse. See
//! `make lint`, tools/testing/rmp/lint/refused.py.

#![deny(unsafe_code)]
#![allow(missing_docs)]

use kernel::prelude::*;
use rust_mpage::{
    counts::Count,
    fs::{
        BlockCache,
        Cached,
        CreatedInode,
        ExclusiveDirectory,
        FileSystem,
        FsInode,
        HeldInode,
        Iget,
        InodeRef,
        InodeView,
        LockedDirectory,
        NewInode,
        NewSuperBlock,
        Pass,
        SuperBlock,
        Wait,
        WritableFileSystem, //
    }, //
};

/// An inode is found where somebody looks for it.
pub fn lookup<'d, T: FileSystem>(
    dir: LockedDirectory<'d, T>,
    number: u64,
) -> Result<InodeRef<'d, T>> {
    match dir.inode().super_block().iget(number)? {
        Iget::Cached(inode) => Ok(inode),
        Iget::New(_) => Err(ESTALE),
    }
}

// refused: - lifetime may not live long enough
#[cfg(refused = "reference_for_ever")]
pub fn keep<T: FileSystem>(sb: &SuperBlock<T>, number: u64) -> Result<InodeRef<'static, T>> {
    match sb.iget(number)? {
        Iget::Cached(inode) => Ok(inode),
        Iget::New(_) => Err(ESTALE),
    }
}

// refused: - lifetime may not live long enough
#[cfg(refused = "new_inode_for_ever")]
pub fn keep_new<T: FileSystem>(sb: &SuperBlock<T>, number: u64) -> Result<NewInode<'static, T>> {
    match sb.iget(number)? {
        Iget::Cached(_) => Err(ESTALE),
        Iget::New(inode) => Ok(inode),
    }
}

// refused: E0621 explicit lifetime required in the type of `other`
#[cfg(refused = "reference_of_another_mount")]
pub fn lookup_elsewhere<'d, T: FileSystem>(
    _dir: LockedDirectory<'d, T>,
    other: &SuperBlock<T>,
    number: u64,
) -> Result<InodeRef<'d, T>> {
    match other.iget(number)? {
        Iget::Cached(inode) => Ok(inode),
        Iget::New(_) => Err(ESTALE),
    }
}

// refused: E0621 explicit lifetime required in the type of `other`
#[cfg(refused = "created_in_another_mount")]
pub fn create_elsewhere<'d, T: FileSystem>(
    _dir: &mut ExclusiveDirectory<'d, T>,
    other: CreatedInode<'_, T>,
) -> CreatedInode<'d, T> {
    other
}

/// What a filesystem may keep has no lifetime, and a reference has.
pub struct Kept<T: FileSystem> {
    pub number: u64,
    pub of: core::marker::PhantomData<T>,
}

// refused: E0106 missing lifetime specifier
#[cfg(refused = "reference_in_data")]
pub struct KeptReference<T: FileSystem> {
    pub journal: InodeRef<'_, T>,
}

/// What a filesystem does with an inode that is evicted.
pub fn delete<T: WritableFileSystem>(inode: &FsInode<T>) -> Result {
    T::write_inode(inode, Pass::One)
}

// refused: E0277 AlwaysRefCounted
#[cfg(refused = "reference_of_an_evicted_inode")]
pub fn count<T: FileSystem>(inode: &FsInode<T>) -> kernel::sync::aref::ARef<FsInode<T>> {
    kernel::sync::aref::ARef::from(inode)
}

// refused: E0308 expected `InodeRef<'_, T>`, found `&FsInode<T>`
#[cfg(refused = "reference_of_an_inode_in_use")]
pub fn refer<T: FileSystem>(inode: &FsInode<T>) -> InodeRef<'_, T> {
    InodeRef::from(inode)
}

// refused: E0308 `InodeRef<'m, T>` does not implement `Clone`
#[cfg(refused = "second_reference")]
pub fn again<'m, T: FileSystem>(inode: &InodeRef<'m, T>) -> InodeRef<'m, T> {
    inode.clone()
}

/// A file that is locked gets one more name.
pub fn link<T: FileSystem>(inode: HeldInode<'_, T>) {
    inode.inc_nlink();
}

// refused: E0599 no method named `inc_nlink` found for reference `&FsInode<T>`
#[cfg(refused = "links_of_an_inode_that_is_not_locked")]
pub fn link_unlocked<T: FileSystem>(inode: &FsInode<T>) {
    inode.inc_nlink();
}

// refused: E0599 no method named `set_flags` found for reference `&FsInode<T>`
#[cfg(refused = "flags_of_an_inode_that_is_not_locked")]
pub fn set_flags_unlocked<T: FileSystem>(inode: &FsInode<T>, flags: rust_mpage::fs::InodeFlags) {
    inode.set_flags(flags);
}

// refused: E0277 cannot be sent between threads safely
#[cfg(refused = "held_by_another_task")]
pub fn send_held<T: FileSystem>(inode: HeldInode<'_, T>) -> impl Send + '_ {
    inode
}

// refused: - lifetime may not live long enough
#[cfg(refused = "held_longer_than_locked")]
pub fn keep_held<T: FileSystem>(inode: &CreatedInode<'_, T>) -> HeldInode<'static, T> {
    inode.held()
}

/// Who looks at an inode that nobody uses takes what he has seen along.
pub fn look<T: FileSystem>(sb: &SuperBlock<T>, number: u64) -> Cached<u64> {
    sb.with_cached_inode(number, |inode| inode.blocks())
}

// refused: E0277 the trait bound `InodeRef<'_, T>: Copy` is not satisfied
#[cfg(refused = "visit_with_a_reference")]
pub fn give_back<T: FileSystem>(sb: &SuperBlock<T>, inode: InodeRef<'_, T>) -> Cached<()> {
    sb.with_cached_inode(inode.number(), move |_| drop(inode))
}

// refused: - lifetime may not live long enough
#[cfg(refused = "visit_that_stays")]
pub fn stay<T: FileSystem>(sb: &SuperBlock<T>, number: u64) -> Cached<&InodeView<T>> {
    sb.with_cached_inode(number, |inode| inode)
}

/// Who uses an inode may have it written.
pub fn sync<T: WritableFileSystem>(inode: &FsInode<T>) -> Result {
    inode.sync(Wait::Yes)
}

// refused: E0308 mismatched types
#[cfg(refused = "visit_as_a_user")]
pub fn use_unused<T: WritableFileSystem>(sb: &SuperBlock<T>, number: u64) -> Cached<Result> {
    sb.with_cached_inode(number, |inode| sync(inode))
}

/// Who fills a superblock makes what the mounted filesystem has.
pub fn cache<T: FileSystem>(sb: &NewSuperBlock<'_, T>) -> Result<BlockCache<T>> {
    BlockCache::new(sb, 10)
}

// refused: E0061 takes 2 arguments but 1 argument was supplied
#[cfg(refused = "cache_of_no_mount")]
pub fn cache_alone<T: FileSystem>() -> Result<BlockCache<T>> {
    BlockCache::new(10)
}

/// One of the counts.
pub fn count_one() -> Count {
    Count::number::<0>()
}

// refused: E0061 takes 0 arguments but 1 argument was supplied
#[cfg(refused = "count_that_may_not_be_there")]
pub fn count_any(which: u32) -> Count {
    Count::number(which)
}
