// SPDX-License-Identifier: GPL-2.0

//! Tracepoints that show what is read and written directly.
//!
//! C header: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h)
//!
//! A filesystem has its own, or none: it names them in
//! [`WritableFile::direct_tracepoint`](super::WritableFile::direct_tracepoint). One that is off
//! costs its static branch. They are defined in C, in `bindings/`.
//!
//! `kernel::declare_trace!` looks for tracepoints in the kernel's own bindings. What it makes is
//! made here of ours.

use crate::{
    abstractions::fs::inode::Inode,
    bindings, //
};
use core::marker::PhantomData;

/// What happens to a request that is done directly. C: `fs/ext2/trace.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectEvent {
    /// A file is about to be read.
    ReadBegin,
    /// The call that reads it returns.
    ReadEnd,
    /// A file is about to be written to.
    WriteBegin,
    /// What is written directly has been, or has failed.
    WriteEndio,
    /// What is left has been written through the page cache, or has failed.
    WriteBuffEnd,
    /// The call that writes returns.
    WriteEnd,
}

/// A request as tracepoints show it.
///
/// # Invariants
///
/// The inode is in use for `'a`.
pub(in crate::abstractions::fs) struct ShownRequest<'a> {
    raw: bindings::rust_mpage_direct_request,
    _inode: PhantomData<&'a Inode>,
}

impl ShownRequest<'_> {
    /// A request that has `count` bytes, in which `result` is what its event says of it.
    ///
    /// # Safety
    ///
    /// The request must be valid, and its file open for `'a`.
    #[inline]
    pub(in crate::abstractions::fs) unsafe fn from_raw(
        iocb: *const bindings::kiocb,
        count: usize,
        result: isize,
    ) -> Self {
        // SAFETY:
        // - the request is valid by the safety requirements;
        // - its file is open by the safety requirements.
        let raw = unsafe {
            bindings::rust_mpage_direct_request {
                inode: (*(*iocb).ki_filp).f_inode,
                pos: (*iocb).ki_pos,
                count,
                ret: result,
                ki_flags: (*iocb).ki_flags,
                aio: (*iocb).ki_complete.is_some(),
            }
        };
        // INVARIANT: An open file keeps its inode.
        Self {
            raw,
            _inode: PhantomData,
        }
    }

    /// The same request, with nothing left of it.
    pub(in crate::abstractions::fs) fn given_away(mut self, result: isize) -> Self {
        self.raw.count = 0;
        self.raw.ret = result;
        self
    }
}

/// A tracepoint that is on, for an event of direct I/O.
///
/// # Invariants
///
/// May be called with any request as it is shown.
#[derive(Clone, Copy)]
pub struct DirectTracepoint(
    unsafe extern "C" fn(request: *const bindings::rust_mpage_direct_request),
);

impl DirectTracepoint {
    /// Has everybody who looks told.
    pub(in crate::abstractions::fs) fn show(self, request: &ShownRequest<'_>) {
        // SAFETY: By the type invariants of both.
        unsafe { (self.0)(&request.raw) }
    }
}

/// The tracepoint of a name, which `bindings/` has, if it is on.
macro_rules! if_on {
    ($name:ident) => {{
        #[cfg(CONFIG_TRACEPOINTS)]
        {
            kernel::macros::paste! {
                // SAFETY: Whether a tracepoint is on may be asked at any time.
                let is_on = unsafe {
                    kernel::jump_label::static_branch_unlikely!(
                        bindings::[< __tracepoint_ $name >],
                        bindings::tracepoint,
                        key
                    )
                };
                // INVARIANT: It looks at the request and its inode.
                is_on.then_some(DirectTracepoint(bindings::[< rust_do_trace_ $name >]))
            }
        }
        #[cfg(not(CONFIG_TRACEPOINTS))]
        {
            None
        }
    }};
}

impl DirectTracepoint {
    /// Those of rust_ext2, `bindings/ext2_trace.h`.
    #[inline]
    pub fn of_rust_ext2(event: DirectEvent) -> Option<Self> {
        match event {
            DirectEvent::ReadBegin => if_on!(rust_ext2_dio_read_begin),
            DirectEvent::ReadEnd => if_on!(rust_ext2_dio_read_end),
            DirectEvent::WriteBegin => if_on!(rust_ext2_dio_write_begin),
            DirectEvent::WriteEndio => if_on!(rust_ext2_dio_write_endio),
            DirectEvent::WriteBuffEnd => if_on!(rust_ext2_dio_write_buff_end),
            DirectEvent::WriteEnd => if_on!(rust_ext2_dio_write_end),
        }
    }
}
