// SPDX-License-Identifier: GPL-2.0

//! When what of direct requests is shown to who traces them.
//!
//! C header: [`include/linux/iomap.h`](srctree/include/linux/iomap.h)
//!
//! Each request that begins ends, and is shown as it is then; one that goes on when the call
//! returns, which nobody may look at any more, as it was when it began, with nothing left to do.
//! C looks at it.
//!
//! C counterparts: the calls of `trace_ext2_dio_*()` in `fs/ext2/file.c`, and
//! `ext2_dio_write_end_io()`.

use super::request::{
    Request,
    UNDER_WAY, //
};
use crate::{
    abstractions::fs::{
        operations::{
            DirectTracepoint,
            ShownRequest, //
        },
        DirectEvent,
        FileSystem,
        FsInode,
        WritableFile, //
    },
    bindings, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::ffi::{
    c_int,
    c_uint, //
};

/// Shows a request as it is.
#[inline]
pub(super) fn show<I: WritableFile>(
    event: DirectEvent,
    request: &Request<'_, FsInode<I::FileSystem>>,
    result: isize,
) {
    if let Some(tracepoint) = I::direct_tracepoint(event) {
        tracepoint.show(&request.shown(result));
    }
}

/// Somebody wants to see how a request ends.
pub(super) struct Awaited<'a> {
    end: DirectTracepoint,
    begun: ShownRequest<'a>,
}

impl<'a> Awaited<'a> {
    /// Shows how a request begins. What has its end shown, if that is wanted.
    #[inline]
    pub(super) fn begin<I: WritableFile>(
        request: &Request<'a, FsInode<I::FileSystem>>,
        begin: DirectEvent,
        end: DirectEvent,
    ) -> Option<Self> {
        show::<I>(begin, request, 0);
        I::direct_tracepoint(end).map(|end| Self {
            end,
            begun: request.shown(0),
        })
    }

    /// Shows how it has ended; a request that is not there any more goes on.
    pub(super) fn end<T: FileSystem>(
        self,
        request: Option<&Request<'_, FsInode<T>>>,
        result: isize,
    ) {
        match request {
            Some(request) => self.end.show(&request.shown(result)),
            None => self.end.show(&self.begun.given_away(UNDER_WAY)),
        }
    }
}

/// What is done at the end of what is written directly, to files that are an `I`.
pub(super) struct WriteEnd<I>(PhantomData<I>);

impl<I: WritableFile> WriteEnd<I> {
    const OPERATIONS: &'static bindings::iomap_dio_ops = &bindings::iomap_dio_ops {
        end_io: Some(Self::end_io_callback),
        submit_io: None,
        bio_set: ptr::null_mut(),
    };

    /// The table, if somebody wants to see the end.
    #[inline]
    pub(super) fn operations() -> Option<&'static bindings::iomap_dio_ops> {
        I::direct_tracepoint(DirectEvent::WriteEndio).map(|_| Self::OPERATIONS)
    }

    /// C: `ext2_dio_write_end_io()`; the size has not changed.
    ///
    /// # Safety
    ///
    /// Called by iomap for a request to write, before it is over.
    unsafe extern "C" fn end_io_callback(
        iocb: *mut bindings::kiocb,
        size: isize,
        error: c_int,
        _flags: c_uint,
    ) -> c_int {
        if let Some(tracepoint) = I::direct_tracepoint(DirectEvent::WriteEndio) {
            // SAFETY: The request is valid and its file open, for it is not over.
            let shown = unsafe { ShownRequest::from_raw(iocb, size as usize, error as isize) };
            tracepoint.show(&shown);
        }
        error
    }
}
