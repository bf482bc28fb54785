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
//! What iomap is told is in `direct_map.rs`, what tracepoints are in `trace.rs`.
//!
//! Locks: `i_rwsem`, shared to read and exclusively to write; it is not held any more while a
//! request goes on that nobody waits for. Who cuts files waits for these, `inode_dio_wait()`.
//!
//! C counterpart: `ext2_dio_read_iter()`, `ext2_dio_write_iter()`.

use super::{
    direct_map::not_directly,
    request::{
        Direct,
        Request,
        UNDER_WAY, //
    },
    trace::{
        show,
        Awaited,
        WriteEnd, //
    },
    write_iter::WriteVTable, //
};
use crate::{
    abstractions::{
        fs::{
            inode::ExclusiveLock,
            AddressSpaceWriteOperations,
            DirectEvent,
            FsInode,
            InodeType,
            WritableFile, //
        },
        mm::FileWrites, //
    },
    bindings, //
};
use core::marker::PhantomData;

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
        // SAFETY: These are the arguments of a call that is going on, for a regular file with the
        // table of `A`, by the safety requirements. They are not used here any more.
        let mut request = unsafe { Request::<A::Inode>::from_raw(iocb, to) };
        match request.is_direct() {
            false => request.read_cached(0),
            true => Self::read(request),
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
        // SAFETY: These are the arguments of a call that is going on, for a regular file with the
        // table of `A`, by the safety requirements. They are not used here any more.
        let request = unsafe { Request::<A::Inode>::from_raw(iocb, from) };
        match request.is_direct() {
            false => WriteVTable::<A>::write_iter(request),
            true => Self::write(request),
        }
    }

    /// C: `ext2_dio_read_iter()`.
    fn read(request: Request<'_, A::Inode>) -> isize {
        let awaited = Awaited::begin::<I>(&request, DirectEvent::ReadBegin, DirectEvent::ReadEnd);
        let (request, result) = Self::read_directly(request);
        if let Some(awaited) = awaited {
            awaited.end(request.as_ref(), result);
        }
        result
    }

    /// The request, unless it goes on, and what the VFS is told. C: `xfs_file_dio_read()`.
    #[inline]
    fn read_directly(request: Request<'_, A::Inode>) -> (Option<Request<'_, A::Inode>>, isize) {
        if request.left() == 0 {
            return (Some(request), 0);
        }
        let inode = request.inode();
        request.note_access();
        let Some(lock) = request.lock_shared() else {
            return (Some(request), would_wait());
        };
        let direct = match request.read_simply::<I, A>() {
            Direct::Refused(request) => request.transfer::<I, A>(0, None),
            direct => direct,
        };
        drop(lock);
        match direct {
            // What is left is not done directly.
            Direct::Done(mut request, read)
                if request.left() != 0 && request.position() < inode.size() =>
            {
                let result = request.read_cached(read);
                (Some(request), result)
            }
            Direct::Done(request, read) => (Some(request), read as isize),
            Direct::Refused(request) => (Some(request), not_directly()),
            Direct::Failed(request, error) => (Some(request), error),
            // What is under way is not ours any more.
            Direct::UnderWay => (None, UNDER_WAY),
        }
    }

    /// C: `ext2_dio_write_iter()`.
    fn write(request: Request<'_, A::Inode>) -> isize {
        let awaited = Awaited::begin::<I>(&request, DirectEvent::WriteBegin, DirectEvent::WriteEnd);
        let (mut request, result) = Self::write_somehow(request);
        if let Some(awaited) = awaited {
            awaited.end(request.as_ref(), result);
        }
        if let Some(request) = &mut request {
            // Who asks for the rest asks for it in the same way.
            request.set_direct(true);
        }
        result
    }

    /// Writes, directly as far as that is possible. The request, unless it goes on, and what the
    /// VFS is told.
    #[inline]
    fn write_somehow(request: Request<'_, A::Inode>) -> (Option<Request<'_, A::Inode>>, isize) {
        let Some(lock) = request.lock() else {
            return (Some(request), would_wait());
        };
        let (mut request, direct) = match Self::write_directly(request, &lock) {
            Direct::Done(request, written) => (request, written),
            Direct::Refused(request) => (request, 0),
            Direct::Failed(request, error) => return (Some(request), error),
            Direct::UnderWay => return (None, UNDER_WAY),
        };
        let result = if request.left() == 0 {
            direct as isize
        } else if !request.may_not_wait() {
            Self::write_rest(&mut request, lock, direct)
        } else if direct > 0 {
            direct as isize
        } else {
            would_wait()
        };
        (Some(request), result)
    }

    /// Writes what is left after `direct` bytes through the page cache.
    fn write_rest(
        request: &mut Request<'_, A::Inode>,
        lock: ExclusiveLock<'_, A::Inode>,
        direct: usize,
    ) -> isize {
        // What is under way may be in the same pages, which it takes out of the cache when it
        // ends: they must not be dirty then.
        request.inode().wait_for_direct_io();
        request.set_direct(false);
        let start = request.position();
        let cached = WriteVTable::<A>::write(request, &lock);
        drop(lock);
        let told = cached.map_or_else(|error| error.to_errno() as isize, |cached| cached as isize);
        if told != 0 {
            show::<I>(DirectEvent::WriteBuffEnd, request, told);
        }
        match cached {
            Ok(cached) => bring_out(request, start, direct, cached),
            Err(error) if direct == 0 => error.to_errno() as isize,
            // The error is met again by who writes the rest.
            Err(_) => direct as isize,
        }
    }

    /// Writes what can be written to where it is.
    fn write_directly<'a>(
        mut request: Request<'a, A::Inode>,
        lock: &ExclusiveLock<'_, A::Inode>,
    ) -> Direct<Request<'a, A::Inode>> {
        let checked = match request.check_write(lock) {
            Ok(0) => return Direct::Done(request, 0),
            Ok(checked) => checked,
            Err(error) => return Direct::Failed(request, error.to_errno() as isize),
        };
        let inode = request.inode();
        // Checked just above where it leads.
        let position = request.position();
        let is_behind = position.saturating_add(checked as u64) > inode.size();
        let shape = position | request.alignment();
        let flags = match shape & !(u64::MAX << inode.block_bits()) {
            0 => 0,
            _ => bindings::IOMAP_DIO_FORCE_WAIT,
        };
        // Who may not wait is told so while nothing has changed. C: `ext4_dio_write_checks()`.
        if request.may_not_wait() && (is_behind || flags != 0) {
            return Direct::Refused(request);
        }
        if let Err(error) = request.note_change(lock) {
            return Direct::Failed(request, error.to_errno() as isize);
        }
        if is_behind {
            request.forget_error();
            return Direct::Refused(request);
        }
        request.transfer::<I, A>(flags, WriteEnd::<I>::operations())
    }
}

/// Brings what has got into the cache, `cached` bytes from `start` on after `direct` bytes that did
/// not, out of it and to the device. Returns how many bytes are there in all, or an error if none
/// are.
fn bring_out<I: InodeType>(
    request: &mut Request<'_, I>,
    start: u64,
    direct: usize,
    cached: usize,
) -> isize {
    if cached == 0 {
        return direct as isize;
    }
    let range = start..=start + cached as u64 - 1;
    if let Err(error) = request.bring_out(range) {
        // What was done directly is where it is. The error is met again by who writes the rest.
        request.set_position(start);
        return match direct {
            0 => error.to_errno() as isize,
            _ => direct as isize,
        };
    }
    request.sync_written(direct + cached)
}

/// For who may not wait: try again, and wait.
const fn would_wait() -> isize {
    -(bindings::EAGAIN as isize)
}
