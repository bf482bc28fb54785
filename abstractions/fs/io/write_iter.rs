// SPDX-License-Identifier: GPL-2.0

//! Writing to a file: from a request of the VFS to folio after folio of the page cache.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/uio.h`](srctree/include/linux/uio.h)
//!
//! Locks: `i_rwsem` exclusively, by [`WriteVTable::write_iter`]; inside it the folios of one
//! [`WriteFolio`](crate::abstractions::mm::WriteFolio) at a time. What is written may be mapped,
//! and even of the same file: it is copied as far as it is in memory while folios are locked, and
//! brought there while none is.
//!
//! Left out: direct I/O, which is in `direct.rs`.

use crate::{
    abstractions::{
        fs::{
            AddressSpaceWriteOperations,
            Called,
            ExclusiveInode,
            Inode,
            InodeType, //
        },
        mm::FileWrites, //
    },
    bindings, //
};
use core::marker::PhantomData;
use kernel::{
    error::to_result,
    prelude::*, //
};

/// How files are written to whose pages are an `A`.
pub(in crate::abstractions::fs) struct WriteVTable<A>(PhantomData<A>);

/// A write that is going on.
struct Progress {
    /// Where in the file it goes on.
    pos: u64,
    /// Bytes that count.
    written: usize,
    /// Behind the last byte that anything was made ready for.
    ready: u64,
}

impl<A> WriteVTable<A>
where
    A: AddressSpaceWriteOperations,
    A::Writes: FileWrites<Inode = A::Inode>,
{
    /// C: `generic_file_write_iter()`, but for `IOCB_DIRECT`.
    ///
    /// # Safety
    ///
    /// `iocb` must be a request of the VFS to write to an open file whose mapping has the table of
    /// `A`, and `from` what is written.
    pub(in crate::abstractions::fs) unsafe fn write_iter(
        iocb: *mut bindings::kiocb,
        from: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: By the safety requirements; the lock is released below.
        unsafe {
            if (*iocb).ki_flags & bindings::RUST_MPAGE_IOCB_NOWAIT != 0 {
                // As ext4: a write into the cache may have to wait anywhere.
                return -(bindings::EOPNOTSUPP as isize);
            }
            let inode = (*(*(*iocb).ki_filp).f_mapping).host;
            bindings::rust_mpage_helper_inode_lock(inode);
            let mut result = bindings::generic_write_checks(iocb, from);
            if result > 0 {
                let written = to_result(bindings::kiocb_modified(iocb))
                    .and_then(|()| Self::write(iocb, from));
                result = written.map_or_else(|error| error.to_errno() as isize, |len| len as isize);
            }
            bindings::rust_mpage_helper_inode_unlock(inode);
            if result > 0 {
                result = bindings::rust_mpage_helper_generic_write_sync(iocb, result);
            }
            result
        }
    }

    /// Writes as much as can be; an error is one only if that is nothing. What was made ready
    /// behind the end of the file for nothing is taken back.
    ///
    /// # Safety
    ///
    /// As of [`Self::write_iter`], and `i_rwsem` of the inode must be held.
    pub(in crate::abstractions::fs) unsafe fn write(
        iocb: *mut bindings::kiocb,
        from: *mut bindings::iov_iter,
    ) -> Result<usize> {
        // SAFETY: The mapping's host has the table of `A`, and is in use by the caller, who has its
        // `i_rwsem`. It is no directory.
        let (mapping, inode) = unsafe {
            let mapping = (*(*iocb).ki_filp).f_mapping;
            (
                mapping,
                ExclusiveInode::new(A::Inode::from_raw((*mapping).host)),
            )
        };
        let plain: &Inode = inode.inode().as_ref();
        let before = plain.size();
        // SAFETY: The request is the caller's. The VFS passes positions that are not negative.
        let (pos, flags) = unsafe { ((*iocb).ki_pos as u64, (*iocb).ki_flags) };
        let drops_behind = flags & bindings::RUST_MPAGE_IOCB_DONTCACHE != 0;
        let mut progress = Progress {
            pos,
            written: 0,
            ready: pos,
        };
        // SAFETY: As this function's.
        let result = unsafe { Self::perform(mapping, &inode, from, &mut progress, drops_behind) };
        let size = plain.size();
        if size != before {
            plain.mark_dirty();
        }
        if result.is_err() && progress.ready > size {
            // SAFETY: The inode is valid, and its size cannot change: `i_rwsem` is held.
            unsafe { bindings::truncate_pagecache((*mapping).host, size as bindings::loff_t) };
            A::cut_beyond_end(inode.inode());
        }
        // SAFETY: As above.
        unsafe { (*iocb).ki_pos += progress.written as bindings::loff_t };
        match progress.written {
            0 => result.map(|()| 0),
            written => Ok(written),
        }
    }

    /// Writes folio after folio. C: `generic_perform_write()`.
    ///
    /// # Safety
    ///
    /// `mapping` must be that of `inode`, and the rest as of [`Self::write`].
    unsafe fn perform(
        mapping: *mut bindings::address_space,
        inode: &ExclusiveInode<'_, A::Inode>,
        from: *mut bindings::iov_iter,
        progress: &mut Progress,
        drops_behind: bool,
    ) -> Result {
        // What was not copied in one go is tried in smaller pieces.
        let mut most = usize::MAX;
        loop {
            // SAFETY: The iterator is valid and the caller's.
            let left = unsafe { bindings::rust_mpage_helper_iov_iter_count(from) };
            if left == 0 {
                return Ok(());
            }
            // SAFETY: Only looks at this task.
            if unsafe { bindings::rust_mpage_helper_fatal_signal_pending() } {
                return Err(EINTR);
            }
            let len = left.min(most);
            let called = Called::to_write(drops_behind);
            let begun = A::Writes::begin(called, inode, progress.pos, len);
            let len = begun.as_ref().map_or(len, |folio| folio.len());
            progress.ready = progress.ready.max(progress.pos + len as u64);
            let mut folio = begun?;
            let was_dirty = folio.is_dirty();
            // SAFETY: The iterator is valid, a source, and the caller's.
            let copy = unsafe { folio.copy_from(from) };
            let copied = copy.copied();
            let counts = A::Writes::end(copy);
            drop(folio);
            if !was_dirty {
                // For pages that have become dirty, as it asks to be called; C calls it for all.
                // SAFETY: The mapping is valid, and no folio locked.
                unsafe { bindings::balance_dirty_pages_ratelimited(mapping) };
            }
            // SAFETY: So many more bytes were copied than count.
            unsafe {
                if counts < copied {
                    bindings::iov_iter_revert(from, copied - counts);
                }
                bindings::rust_mpage_helper_cond_resched();
            }
            progress.pos += counts as u64;
            progress.written += counts;
            most = match (counts, copied) {
                (0, 0) => {
                    // SAFETY: The iterator is valid; no folio is locked.
                    if unsafe { bindings::fault_in_iov_iter_readable(from, len) } == len {
                        return Err(EFAULT);
                    }
                    usize::MAX
                }
                (0, copied) => copied,
                _ => usize::MAX,
            };
        }
    }
}
