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

use super::request::Request;
use crate::{
    abstractions::{
        fs::{
            inode::ExclusiveLock,
            AddressSpaceWriteOperations,
            Called,
            ExclusiveInode,
            Inode, //
        },
        mm::FileWrites, //
    },
    bindings, //
};
use core::marker::PhantomData;
use kernel::prelude::*;

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
    pub(super) fn write_iter(mut request: Request<'_, A::Inode>) -> isize {
        if request.may_not_wait() {
            // As ext4: a write into the cache may have to wait anywhere.
            return -(bindings::EOPNOTSUPP as isize);
        }
        let lock = ExclusiveLock::new(request.inode());
        let written = Self::check_and_write(&mut request, &lock);
        drop(lock);
        match written {
            Ok(0) => 0,
            Ok(written) => request.sync_written(written),
            Err(error) => error.to_errno() as isize,
        }
    }

    fn check_and_write(
        request: &mut Request<'_, A::Inode>,
        lock: &ExclusiveLock<'_, A::Inode>,
    ) -> Result<usize> {
        if request.check_write(lock)? == 0 {
            return Ok(0);
        }
        request.note_change(lock)?;
        Self::write(request, lock)
    }

    /// Writes as much as can be; an error is one only if that is nothing. What was made ready
    /// behind the end of the file for nothing is taken back.
    pub(super) fn write(
        request: &mut Request<'_, A::Inode>,
        lock: &ExclusiveLock<'_, A::Inode>,
    ) -> Result<usize> {
        let inode = lock.exclusive();
        let plain: &Inode = inode.inode().as_ref();
        let before = plain.size();
        let pos = request.position();
        let mut progress = Progress {
            pos,
            written: 0,
            ready: pos,
        };
        let result = Self::perform(request, &inode, &mut progress);
        let size = plain.size();
        if size != before {
            plain.mark_dirty();
        }
        if result.is_err() && progress.ready > size {
            inode.drop_pages_beyond_end();
            A::cut_beyond_end(inode.inode());
        }
        request.set_position(progress.pos);
        match progress.written {
            0 => result.map(|()| 0),
            written => Ok(written),
        }
    }

    /// Writes folio after folio. Who is being killed ends between two of them, and not before the
    /// first, as in C. C: `generic_perform_write()`.
    fn perform(
        request: &mut Request<'_, A::Inode>,
        inode: &ExclusiveInode<'_, A::Inode>,
        progress: &mut Progress,
    ) -> Result {
        let drops_behind = request.drops_behind();
        // What was not copied in one go is tried in smaller pieces.
        let mut most = usize::MAX;
        let mut left = request.left();
        while left != 0 {
            let len = left.min(most);
            let called = Called::to_write(drops_behind);
            let begun = A::Writes::begin(called, inode, progress.pos, len);
            let len = begun.as_ref().map_or(len, |folio| folio.len());
            progress.ready = progress.ready.max(progress.pos + len as u64);
            let mut folio = begun?;
            let was_dirty = folio.is_dirty();
            let copy = request.copy_to(&mut folio);
            let copied = copy.copied();
            let counts = A::Writes::end(copy);
            drop(folio);
            if !was_dirty {
                // For pages that have become dirty, as it asks to be called; C calls it for all.
                request.balance_dirty();
            }
            if counts < copied {
                request.revert(copied - counts);
            }
            cond_resched();
            progress.pos += counts as u64;
            progress.written += counts;
            most = match (counts, copied) {
                (0, 0) => {
                    // No folio is locked.
                    if request.fault_in(len) == len {
                        return Err(EFAULT);
                    }
                    usize::MAX
                }
                (0, copied) => copied,
                _ => usize::MAX,
            };
            left = request.left();
            if left != 0 && fatal_signal_pending() {
                return Err(EINTR);
            }
        }
        Ok(())
    }
}

/// Whether the current task is being killed. C: `fatal_signal_pending()`.
#[inline]
fn fatal_signal_pending() -> bool {
    // SAFETY: Only looks at this task.
    unsafe { bindings::rust_mpage_helper_fatal_signal_pending() }
}

/// Lets others run, if it is time. May sleep. C: `cond_resched()`.
#[inline]
fn cond_resched() {
    // SAFETY: May be called where one may sleep.
    unsafe { bindings::rust_mpage_helper_cond_resched() }
}
