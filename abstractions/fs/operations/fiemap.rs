// SPDX-License-Identifier: GPL-2.0

//! Telling user space where a file's bytes are on the device.
//!
//! C header: [`include/linux/fiemap.h`](srctree/include/linux/fiemap.h)

use crate::{
    abstractions::fs::Inode,
    bindings, //
};
use core::{
    marker::PhantomData,
    ops::{
        ControlFlow,
        Range, //
    },
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// Flags of an extent.
#[derive(Clone, Copy)]
pub struct ExtentFlags(u32);

impl ExtentFlags {
    /// Extents that could have been one are told one by one: `FIEMAP_EXTENT_MERGED`.
    pub const MERGED: Self = Self(bindings::FIEMAP_EXTENT_MERGED);
    /// There is none after it: `FIEMAP_EXTENT_LAST`.
    pub const LAST: Self = Self(bindings::FIEMAP_EXTENT_LAST);

    /// With the flags of `other`, too.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A request for extents. C: `struct fiemap_extent_info` and the range asked for.
///
/// # Invariants
///
/// `info` points to a valid `struct fiemap_extent_info`, used by nobody else for `'a`.
pub struct FiemapRequest<'a> {
    info: *mut bindings::fiemap_extent_info,
    start: u64,
    len: u64,
    _info: PhantomData<&'a mut bindings::fiemap_extent_info>,
}

impl FiemapRequest<'_> {
    /// # Safety
    ///
    /// `info` must be the argument of a `fiemap` operation that is running.
    pub(in crate::abstractions::fs) unsafe fn from_raw(
        info: *mut bindings::fiemap_extent_info,
        start: u64,
        len: u64,
    ) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            info,
            start,
            len,
            _info: PhantomData,
        }
    }

    /// Checks the request and limits it to the file's size. C: `fiemap_prep()`.
    pub(super) fn prepare(&mut self, inode: &Inode) -> Result {
        // As C: a request is not trimmed to nothing, which would be an error.
        self.len = self.len.min(inode.size().max(1));
        // SAFETY: The inode and the information are valid.
        to_result(unsafe {
            bindings::fiemap_prep(inode.as_raw(), self.info, self.start, &mut self.len, 0)
        })
    }

    /// The bytes of the file that are asked for.
    pub fn range(&self) -> Range<u64> {
        self.start..self.start.saturating_add(self.len)
    }

    /// Tells one extent: `len` bytes at byte `logical` of the file are at byte `physical` of the
    /// device. `Break` if there is no room for more. C: `fiemap_fill_next_extent()`.
    pub fn add(
        &mut self,
        logical: u64,
        physical: u64,
        len: u64,
        flags: ExtentFlags,
    ) -> Result<ControlFlow<()>> {
        // SAFETY: The information is valid by the type invariants.
        let full = unsafe {
            bindings::fiemap_fill_next_extent(self.info, logical, physical, len, flags.0)
        };
        to_result(full)?;
        Ok(match full {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        })
    }
}

impl ExtentFlags {
    /// No flags.
    pub const NONE: Self = Self(0);
}
