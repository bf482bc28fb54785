// SPDX-License-Identifier: GPL-2.0

//! Direct I/O: between a program's memory and the device, past the page cache.
//!
//! C headers: [`include/linux/iomap.h`](srctree/include/linux/iomap.h),
//! [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! What is done with pages, bios, and requests that go on when the call has returned is the
//! kernel's `iomap_dio_rw()`. Here is where the blocks are, from the mapper, and what is not done
//! directly: a write to a hole, or behind the end of the file, and whatever of a write cannot be
//! done. That goes through the page cache, and is on the device and out of the cache when the call
//! returns.
//!
//! A file gets it with [`Operations::writable_regular`](crate::fs::Operations::writable_regular),
//! from the mapper that its [`FileWrites`] have.
//!
//! What iomap is told is in `direct_map.rs`.
//!
//! Locks: `i_rwsem`, shared to read and exclusively to write; it is not held any more while a
//! request goes on that nobody waits for. Who cuts files waits for these, `inode_dio_wait()`.
//!
//! C counterpart: `ext2_dio_read_iter()`, `ext2_dio_write_iter()`.

use super::{
    direct_map::{
        not_directly,
        DirectMap, //
    },
    write_iter::WriteVTable, //
};
use crate::{
    abstractions::{
        fs::{
            operations::read_iter_callback,
            AddressSpaceWriteOperations,
            FsInode,
            Inode,
            InodeType,
            WritableFile, //
        },
        mm::FileWrites, //
    },
    bindings, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    ffi::c_int,
    page::PAGE_SHIFT, //
};

/// How files that are an `I`, with the pages `A`, are read and written directly.
pub(in crate::abstractions::fs) struct DirectVTable<I, A>(PhantomData<(I, A)>);

impl<I, A> DirectVTable<I, A>
where
    I: WritableFile,
    A: AddressSpaceWriteOperations<Inode = FsInode<I::FileSystem>>,
    A::Writes: FileWrites<Inode = A::Inode>,
{
    /// `generic_file_read_iter()`, but for `IOCB_DIRECT`.
    ///
    /// # Safety
    ///
    /// Called by the VFS with a request to read an open file with the tables of `I` and `A`.
    pub(in crate::abstractions::fs) unsafe extern "C" fn read_iter_callback(
        iocb: *mut bindings::kiocb,
        to: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: The request is the caller's; the arguments are passed on.
        unsafe {
            match (*iocb).ki_flags & DIRECT {
                0 => read_iter_callback(iocb, to),
                _ => Self::read(iocb, to),
            }
        }
    }

    /// As `generic_file_write_iter()`, but for `IOCB_DIRECT`.
    ///
    /// # Safety
    ///
    /// Called by the VFS with a request to write to an open file with the tables of `I` and `A`.
    pub(in crate::abstractions::fs) unsafe extern "C" fn write_iter_callback(
        iocb: *mut bindings::kiocb,
        from: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: The request is the caller's; the arguments are passed on.
        unsafe {
            match (*iocb).ki_flags & DIRECT {
                0 => WriteVTable::<A>::write_iter(iocb, from),
                _ => Self::write(iocb, from),
            }
        }
    }

    /// C: `xfs_file_dio_read()`.
    ///
    /// # Safety
    ///
    /// As of `read_iter_callback`.
    unsafe fn read(iocb: *mut bindings::kiocb, to: *mut bindings::iov_iter) -> isize {
        // SAFETY: The request is the caller's; the file keeps its inode, which has the tables.
        unsafe {
            if bindings::rust_mpage_helper_iov_iter_count(to) == 0 {
                return 0;
            }
            let raw = (*(*iocb).ki_filp).f_inode;
            let inode = A::Inode::from_raw(raw);
            bindings::rust_mpage_helper_file_accessed((*iocb).ki_filp);
            if !bindings::rust_mpage_helper_inode_lock_shared_for(raw, iocb) {
                return would_wait();
            }
            let mut read = bindings::rust_mpage_helper_iomap_dio_read_simple(
                iocb,
                to,
                Some(DirectMap::<I, A>::begin_callback),
            );
            if read == not_directly() {
                read = bindings::iomap_dio_rw(
                    iocb,
                    to,
                    DirectMap::<I, A>::OPERATIONS,
                    ptr::null(),
                    0,
                    ptr::null_mut(),
                    0,
                );
            }
            bindings::rust_mpage_helper_inode_unlock_shared(raw);
            // What is under way is not ours any more; else what is left is not done directly.
            if read < 0
                || bindings::rust_mpage_helper_iov_iter_count(to) == 0
                || (*iocb).ki_pos as u64 >= inode.size()
            {
                return read;
            }
            bindings::filemap_read(iocb, to, read)
        }
    }

    /// C: `ext2_dio_write_iter()`.
    ///
    /// # Safety
    ///
    /// As of `write_iter_callback`.
    unsafe fn write(iocb: *mut bindings::kiocb, from: *mut bindings::iov_iter) -> isize {
        // SAFETY: The request is the caller's, and the file keeps its inode; the lock is released
        // below. What is under way, and so negative, is not looked at any more.
        unsafe {
            let raw = (*(*iocb).ki_filp).f_inode;
            if !bindings::rust_mpage_helper_inode_lock_for(raw, iocb) {
                return would_wait();
            }
            let direct = Self::write_directly(iocb, from);
            if direct < 0 || bindings::rust_mpage_helper_iov_iter_count(from) == 0 {
                bindings::rust_mpage_helper_inode_unlock(raw);
                return direct;
            }
            if (*iocb).ki_flags & bindings::RUST_MPAGE_IOCB_NOWAIT != 0 {
                bindings::rust_mpage_helper_inode_unlock(raw);
                return if direct > 0 { direct } else { would_wait() };
            }
            // What is under way may be in the same pages, which it takes out of the cache when it
            // ends: they must not be dirty then.
            bindings::inode_dio_wait(raw);
            (*iocb).ki_flags &= !DIRECT;
            let start = (*iocb).ki_pos;
            let cached = WriteVTable::<A>::write(iocb, from);
            bindings::rust_mpage_helper_inode_unlock(raw);
            let written = match cached {
                Ok(cached) => Self::bring_out(iocb, start, direct, cached as isize),
                Err(error) if direct == 0 => error.to_errno() as isize,
                // The error is met again by who writes the rest.
                Err(_) => direct,
            };
            (*iocb).ki_flags |= DIRECT;
            written
        }
    }

    /// Writes what can be written to where it is. Returns how many bytes, or an error, or
    /// `EIOCBQUEUED`, after which the request is not the caller's any more.
    ///
    /// # Safety
    ///
    /// As of `write_iter_callback`, and `i_rwsem` of the inode must be held exclusively.
    unsafe fn write_directly(iocb: *mut bindings::kiocb, from: *mut bindings::iov_iter) -> isize {
        // SAFETY: By the safety requirements.
        unsafe {
            let checked = bindings::generic_write_checks(iocb, from);
            if checked <= 0 {
                return checked;
            }
            let error = bindings::kiocb_modified(iocb);
            if error != 0 {
                return error as isize;
            }
            let inode: &Inode = A::Inode::from_raw((*(*iocb).ki_filp).f_inode).as_ref();
            // The VFS passes positions that are not negative, and has checked where they lead.
            let pos = (*iocb).ki_pos as u64;
            if pos.saturating_add(checked as u64) > inode.size() {
                return 0;
            }
            let shape = pos | bindings::iov_iter_alignment(from) as u64;
            let flags = match shape & !(u64::MAX << inode.block_bits()) {
                0 => 0,
                _ => bindings::IOMAP_DIO_FORCE_WAIT,
            };
            let written = bindings::iomap_dio_rw(
                iocb,
                from,
                DirectMap::<I, A>::OPERATIONS,
                ptr::null(),
                flags,
                ptr::null_mut(),
                0,
            );
            match written == not_directly() {
                true => 0,
                false => written,
            }
        }
    }

    /// Brings what has got into the cache, `cached` bytes from `start` on after `direct` bytes that
    /// did not, out of it and to the device. Returns how many bytes are there in all, or an error
    /// if none are.
    ///
    /// # Safety
    ///
    /// `iocb` must be the caller's, for a file that is open.
    unsafe fn bring_out(
        iocb: *mut bindings::kiocb,
        start: bindings::loff_t,
        direct: isize,
        cached: isize,
    ) -> isize {
        if cached == 0 {
            return direct;
        }
        // SAFETY: By the safety requirements.
        unsafe {
            let mapping = (*(*iocb).ki_filp).f_mapping;
            let last = start + cached as bindings::loff_t - 1;
            let error = bindings::filemap_write_and_wait_range(mapping, start, last);
            if error != 0 {
                // What was done directly is where it is. The error is met again by who writes the
                // rest.
                (*iocb).ki_pos = start;
                return if direct > 0 { direct } else { error as isize };
            }
            let page = |position: bindings::loff_t| (position >> PAGE_SHIFT) as usize;
            bindings::invalidate_mapping_pages(mapping, page(start), page(last));
            bindings::rust_mpage_helper_generic_write_sync(iocb, direct + cached)
        }
    }
}

const DIRECT: c_int = bindings::IOCB_DIRECT as c_int;

/// For who may not wait: try again, and wait.
const fn would_wait() -> isize {
    -(bindings::EAGAIN as isize)
}
