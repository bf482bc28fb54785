// SPDX-License-Identifier: GPL-2.0

//! What changes in an inode while it is in use, and the metadata blocks that belong to it.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)
//!
//! What only one may change at a time is in `held.rs`.
//!
//! Locks: the functions themselves take `i_lock` or the lock of the list of metadata blocks, both
//! innermost.

use super::FsInode;
use crate::{
    abstractions::{
        fs::{
            Buffer,
            FileSystem, //
        },
        mm::Folio, //
    },
    bindings, //
};
use core::ptr;
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    page::PAGE_SIZE,
    prelude::*, //
};

/// Whether something is started only, or waited for until it is on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Start it.
    No,
    /// Wait for it.
    Yes,
}

impl Wait {
    pub(in crate::abstractions::fs) fn from_raw(wait: c_int) -> Self {
        match wait {
            0 => Self::No,
            _ => Self::Yes,
        }
    }

    fn into_raw(self) -> c_int {
        match self {
            Self::No => 0,
            Self::Yes => 1,
        }
    }
}

/// Changing the inode; what it has on disk is counted in `charges.rs`. Nothing here marks it to be
/// written: [`Inode::mark_dirty`](super::Inode::mark_dirty) does.
impl<T: FileSystem> FsInode<T> {
    /// The inode changes now. C: `inode_set_ctime_current()`, which may be called by several at once:
    /// writeback does, and `vfs_rename()` for a directory that stays where it is.
    pub fn set_ctime_now(&self) {
        // SAFETY: The inode is valid.
        unsafe { bindings::inode_set_ctime_current(self.as_raw()) };
    }

    /// Counts a change of the contents of a directory. C: `inode_inc_iversion()`.
    pub fn inc_version(&self) {
        // SAFETY: The inode is valid.
        unsafe { bindings::rust_mpage_helper_inode_inc_iversion(self.as_raw()) }
    }
}

/// The errors of writing the pages of a file, up to some time. C: `errseq_t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorSequence(bindings::errseq_t);

impl<T: FileSystem> FsInode<T> {
    /// The errors up to now. One that nobody has been told of counts as one that comes later.
    /// C: `filemap_sample_wb_err()`.
    pub fn errors(&self) -> ErrorSequence {
        // SAFETY: The inode is valid, and keeps its mapping.
        ErrorSequence(unsafe {
            bindings::errseq_sample(ptr::addr_of_mut!((*self.mapping()).wb_err))
        })
    }

    /// As [`errors`](Self::errors), of one who is told of all up to now: only what comes later counts
    /// as such. C: `errseq_check_and_advance()`.
    pub fn see_errors(&self) -> ErrorSequence {
        let mut seen = 0;
        // SAFETY: The inode is valid, and keeps its mapping.
        unsafe {
            bindings::errseq_check_and_advance(
                ptr::addr_of_mut!((*self.mapping()).wb_err),
                &raw mut seen,
            )
        };
        ErrorSequence(seen)
    }

    /// Whether pages could not be written since. C: `filemap_check_wb_err()`.
    pub fn has_failed_since(&self, since: ErrorSequence) -> bool {
        // SAFETY: As above.
        let error =
            unsafe { bindings::errseq_check(ptr::addr_of_mut!((*self.mapping()).wb_err), since.0) };
        error != 0
    }
}

/// Getting it to the device.
impl<T: FileSystem> FsInode<T> {
    /// Writes the inode if it is dirty, and, if asked to wait, its metadata blocks.
    /// C: `sync_inode_metadata()`.
    pub fn sync(&self, wait: Wait) -> Result {
        // SAFETY: The inode is valid.
        to_result(unsafe { bindings::sync_inode_metadata(self.as_raw(), wait.into_raw()) })
    }

    /// Writes the dirty pages and waits for them. C: `filemap_write_and_wait()`.
    pub fn write_and_wait(&self) -> Result {
        // SAFETY: The inode is valid, and so is its mapping.
        to_result(unsafe {
            bindings::filemap_write_and_wait_range(self.mapping(), 0, bindings::loff_t::MAX)
        })
    }

    /// Begins to write the dirty pages. C: `filemap_flush()`.
    pub fn start_write(&self) {
        // SAFETY: The inode is valid, and so is its mapping. An error is kept in the mapping.
        unsafe { bindings::filemap_flush(self.mapping()) };
    }

    /// Has all pages written once more, as some could not be written.
    ///
    /// Fails with `EIO` if one is not in memory any more: it may have been such.
    pub fn mark_pages_dirty(&self) -> Result {
        let mapping = self.mapping();
        let pages = self.size().div_ceil(PAGE_SIZE as u64);
        let mut result = Ok(());

        for index in 0..usize::try_from(pages).map_err(|_| EFBIG)? {
            // SAFETY: The inode and its mapping are valid; without flags nothing is created.
            let found = from_err_ptr(unsafe {
                bindings::__filemap_get_folio_mpol(mapping, index, 0, 0, ptr::null_mut())
            });
            let Ok(folio) = found else {
                result = Err(EIO);
                continue;
            };
            // SAFETY: The folio is valid, and the reference ours until it is put. One that is not
            // uptodate has no contents to be written.
            unsafe {
                if Folio::from_raw(folio).is_uptodate() {
                    bindings::folio_mark_dirty_lock(folio);
                } else {
                    result = Err(EIO);
                }
                bindings::rust_mpage_helper_folio_put(folio);
            }
        }
        result
    }

    /// Marks a metadata block of the inode, such as an indirect block, to be written, and notes
    /// that a sync of the inode has to wait for it. C: `mmb_mark_buffer_dirty()`.
    pub fn mark_metadata_dirty(&self, buffer: &Buffer) {
        let sb = self.super_block();
        if !sb.owns(buffer) {
            return;
        }

        sb.mark_dirty(buffer);
        // SAFETY: The list is initialised with the inode, and emptied before that is freed, after
        // the last use of `self`, see `write::clear()`.
        if unsafe { buffer.enlist(self.metadata()) } {
            sb.keep_unwritten(buffer);
        }
    }

    /// Writes the metadata blocks and waits for them. C: `mmb_sync()`.
    pub fn sync_metadata(&self) -> Result {
        // SAFETY: The list is initialised with the inode.
        to_result(unsafe { bindings::mmb_sync(self.metadata()) })
    }

    /// Forgets which metadata blocks belong to the inode; they are written in time all the same.
    /// C: `mmb_invalidate()`.
    pub fn invalidate_metadata(&self) {
        // SAFETY: The list is initialised with the inode.
        unsafe { bindings::mmb_invalidate(self.metadata()) }
    }

    /// Whether there are metadata blocks that a sync would look at. C: `mmb_has_buffers()`.
    pub fn has_metadata(&self) -> bool {
        // SAFETY: The list is initialised with the inode.
        unsafe { bindings::mmb_has_buffers(self.metadata()) }
    }
}
