// SPDX-License-Identifier: GPL-2.0

//! Misuse of the contents of files, of directories and of metadata blocks that the types refuse.
//! See `make lint`, tools/testing/rmp/lint/refused.py.

#![deny(unsafe_code)]
#![allow(missing_docs)]

use core::marker::PhantomData;
use kernel::prelude::*;
use rust_mpage::{
    fs::{
        Buffer,
        ExclusiveDirectory,
        ExclusiveInode,
        ExclusivePages,
        FileSystem,
        FsInode,
        InvalidateLock,
        SetMode,
        SuperBlock,
        WritableFileSystem,
        XattrNamespace,
        XattrValue, //
    },
    BlockMapper,
    NewSize, //
};

/// Who has the file to himself cuts it.
pub fn cut<T, M>(mapper: M, inode: &ExclusiveInode<'_, FsInode<T>>, size: u64) -> Result
where
    T: FileSystem,
    M: BlockMapper<Inode = FsInode<T>>,
{
    let new: NewSize<'_, FsInode<T>> = rust_mpage::truncate_tail(mapper, inode, size)?;
    let pages: ExclusivePages<'_, T> = inode.lock_pages();
    rust_mpage::set_size(mapper, &pages, new)
}

// refused: E0308 expected `NewSize<'_, FsInode<T>>`, found `u64`
#[cfg(refused = "size_with_something_behind_the_end")]
pub fn set_any_size<T, M>(mapper: M, pages: &ExclusivePages<'_, T>, size: u64) -> Result
where
    T: FileSystem,
    M: BlockMapper<Inode = FsInode<T>>,
{
    rust_mpage::set_size(mapper, pages, size)
}

// refused: E0308 mismatched types
#[cfg(refused = "tail_of_a_shared_inode")]
pub fn cut_tail<T, M>(mapper: M, inode: &FsInode<T>, size: u64) -> Result
where
    T: FileSystem,
    M: BlockMapper<Inode = FsInode<T>>,
{
    rust_mpage::truncate_tail(mapper, inode, size).map(drop)
}

// refused: E0308 mismatched types
#[cfg(refused = "size_of_a_shared_inode")]
pub fn set_size<T, M>(
    mapper: M,
    pages: &InvalidateLock<'_, T>,
    new: NewSize<'_, FsInode<T>>,
) -> Result
where
    T: FileSystem,
    M: BlockMapper<Inode = FsInode<T>>,
{
    rust_mpage::set_size(mapper, pages, new)
}

// refused: E0599 no method named `lock_pages` found
#[cfg(refused = "pages_of_a_shared_inode")]
pub fn lock_pages<T: FileSystem>(inode: &FsInode<T>) {
    let _ = inode.lock_pages();
}

// refused: E0061 takes 3 arguments but 4 arguments were supplied
#[cfg(refused = "size_with_the_pages_of_another_file")]
pub fn set_size_of_another<T, M>(
    mapper: M,
    inode: &ExclusiveInode<'_, FsInode<T>>,
    pages: &ExclusivePages<'_, T>,
    new: NewSize<'_, FsInode<T>>,
) -> Result
where
    T: FileSystem,
    M: BlockMapper<Inode = FsInode<T>>,
{
    rust_mpage::set_size(mapper, inode, pages, new)
}

// refused: E0624 private
#[cfg(refused = "exclusive_without_a_lock")]
pub fn claim<T: FileSystem>(inode: &FsInode<T>) {
    let _ = ExclusiveInode::new(inode);
}

// refused: E0308 mismatched types
#[cfg(refused = "deletion_of_an_inode_in_use")]
pub fn delete<T: WritableFileSystem>(inode: &FsInode<T>) -> Result {
    T::delete_inode(inode)
}

// refused: E0308 mismatched types
#[cfg(refused = "end_of_an_inode_in_use")]
pub fn release<T: WritableFileSystem>(inode: &FsInode<T>) {
    T::release_inode(inode)
}

// refused: E0308 mismatched types
#[cfg(refused = "number_of_an_inode_in_use")]
pub fn free<T: WritableFileSystem>(inode: &FsInode<T>) {
    T::free_inode(inode)
}

/// The first byte of a directory, and then another.
pub fn read_and_change<T: FileSystem>(dir: &mut ExclusiveDirectory<'_, T>) -> Result<Option<u8>> {
    let first = dir.as_locked().page(0)?.first().copied();
    dir.change(0..1, |bytes| bytes.fill(0))?;
    Ok(first)
}

// refused: E0502 cannot borrow
#[cfg(refused = "bytes_that_change")]
pub fn change_and_read<T: FileSystem>(dir: &mut ExclusiveDirectory<'_, T>) -> Result<Option<u8>> {
    let locked = dir.as_locked();
    let page = locked.page(0)?;
    dir.change(0..1, |bytes| bytes.fill(0))?;
    Ok(page.first().copied())
}

/// A mounted filesystem writes its blocks.
pub fn write<T: FileSystem>(sb: &SuperBlock<T>, buffer: &Buffer) -> Result {
    sb.sync_buffer(buffer)
}

// refused: E0624 private
#[cfg(refused = "block_without_a_mount")]
pub fn write_alone(buffer: &Buffer) -> Result {
    buffer.sync()
}

/// Attributes that say the same of each file.
pub struct Same<T>(PhantomData<T>);

impl<T: FileSystem> XattrNamespace for Same<T> {
    type FileSystem = T;

    const PREFIX: &'static CStr = c"user.";

    #[cfg(not(refused = "length_that_was_not_given"))]
    fn get(_inode: &FsInode<T>, _name: &[u8], out: &mut XattrValue<'_>) -> Result {
        out.give(b"same")
    }

    // refused: E0053 expected `()`, found `usize`
    #[cfg(refused = "length_that_was_not_given")]
    fn get(_inode: &FsInode<T>, _name: &[u8], _out: &mut XattrValue<'_>) -> Result<usize> {
        Ok(1 << 16)
    }

    fn set(_: &FsInode<T>, _name: &[u8], _value: Option<&[u8]>, _mode: SetMode) -> Result {
        Err(EROFS)
    }
}
