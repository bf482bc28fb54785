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
    abstractions::fs::{
        Buffer,
        FileSystem,
        InodeType, //
    },
    bindings, //
};
use core::ptr;
use kernel::{
    error::to_result,
    page::PAGE_SIZE,
    prelude::*,
    sync::atomic::Release, //
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
    /// The inode changes now. C: `inode_set_ctime_current()`, which may be called by several at
    /// once: writeback does, and `vfs_rename()` for a directory that stays where it is.
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

/// Whether its pages have been written.
impl<T: FileSystem> FsInode<T> {
    /// Whether pages could not be written since, by the errors of the mapping.
    /// C: `filemap_check_wb_err()`.
    pub(super) fn has_failed_since(&self, since: bindings::errseq_t) -> bool {
        // SAFETY: The inode is valid, and keeps its mapping.
        let error =
            unsafe { bindings::errseq_check(ptr::addr_of_mut!((*self.mapping()).wb_err), since) };
        error != 0
    }

    /// The errors up to now, which are seen with that: only what comes later is another.
    /// C: `errseq_check_and_advance()`.
    fn see_errors(&self) -> bindings::errseq_t {
        let mut seen = 0;
        // SAFETY: The inode is valid, and keeps its mapping.
        unsafe {
            bindings::errseq_check_and_advance(
                ptr::addr_of_mut!((*self.mapping()).wb_err),
                &raw mut seen,
            )
        };
        seen
    }

    /// Writes all pages of a directory once more, if some could not be written
    /// ([`has_unwritten_pages`](InodeType::has_unwritten_pages)). These are in memory: a page does
    /// not leave it before it is written, or the inode does.
    ///
    /// `EINVAL` for what is no directory: its pages may have no blocks.
    pub fn rewrite_pages(&self) -> Result {
        if !self.is_directory() {
            return Err(EINVAL);
        }
        let errors = self.see_errors();
        self.dirty_pages(0, usize::MAX);
        self.write_and_wait()?;
        self.written().store(errors, Release);
        Ok(())
    }

    /// Makes pages `first` to `last` dirty that are in memory and have contents. They have blocks.
    fn dirty_pages(&self, first: usize, last: usize) {
        // SAFETY: The inode and its mapping are valid.
        unsafe { bindings::rust_mpage_helper_dirty_pages(self.mapping(), first, last) };
    }
}

/// Getting it to the device.
impl<T: FileSystem> FsInode<T> {
    /// Writes of the inode what the VFS does not call dirty any more. If that fails it is dirty
    /// again, and the filesystem has an error that it hears of who syncs it: the caller may tell
    /// nobody, and who asks for the inode next must not hear that all is well. So it is first if a
    /// block could not be written before.
    pub(in crate::abstractions::fs) fn or_dirty_again(
        &self,
        write: impl FnOnce(&Self) -> Result,
    ) -> Result {
        self.super_block().rescue_after_error();
        write(self).inspect_err(|&error| {
            self.mark_dirty();
            self.super_block().note_write_error(error);
        })
    }

    /// Has the inode written if it is dirty. C: `sync_inode_metadata()`.
    pub(in crate::abstractions::fs) fn write_if_dirty(&self, wait: Wait) -> Result {
        // SAFETY: The inode is valid.
        to_result(unsafe { bindings::sync_inode_metadata(self.as_raw(), wait.into_raw()) })
    }

    /// Writes the inode, with what is dirty of its pages and its metadata, and waits for that. An
    /// error is kept in the mapping of the device, for those who sync that. C: `write_inode_now()`.
    pub(in crate::abstractions::fs) fn write_now(&self) {
        // SAFETY: The inode is valid, and in use.
        let _ = unsafe { bindings::write_inode_now(self.as_raw(), 1) };
    }

    /// Writes the dirty pages and waits for them. C: `filemap_write_and_wait()`.
    pub fn write_and_wait(&self) -> Result {
        // SAFETY: The inode is valid, and so is its mapping.
        to_result(unsafe {
            bindings::filemap_write_and_wait_range(self.mapping(), 0, bindings::loff_t::MAX)
        })
    }

    /// Writes the dirty pages of a directory, and those that could not be written before, and waits
    /// for them: nor is a page that could not be written dirty any more, nor is it known whether an
    /// error is of now.
    pub fn write_all_pages(&self) -> Result {
        let written = self.write_and_wait();
        match written.is_err() || self.has_unwritten_pages() {
            true => self.rewrite_pages(),
            false => Ok(()),
        }
    }

    /// Begins to write page `index` of a directory, if it is dirty, so that it can be waited for
    /// with others by [`write_page`](Self::write_page), which also tells of errors.
    /// C: `filemap_fdatawrite_range()`.
    pub fn start_page(&self, index: u64) {
        if let Some((start, end)) = bytes_of_page(index) {
            // SAFETY: The inode is valid. An error is kept in the mapping.
            unsafe { bindings::filemap_fdatawrite_range(self.mapping(), start, end) };
        }
    }

    /// Writes page `index` of a directory, if it is dirty or may be one that could not be written
    /// before, and waits for it. Of the other pages none is.
    ///
    /// Fails with `EINVAL` for what is no directory, and with the error of the write.
    pub fn write_page(&self, index: u64) -> Result {
        if !self.is_directory() {
            return Err(EINVAL);
        }
        let (start, end) = bytes_of_page(index).ok_or(EINVAL)?;
        // SAFETY: The inode is valid, and so is its mapping.
        let write =
            || unsafe { bindings::filemap_write_and_wait_range(self.mapping(), start, end) };
        if to_result(write()).is_ok() && !self.has_unwritten_pages() {
            return Ok(());
        }
        self.dirty_pages(index as usize, index as usize);
        to_result(write())
    }

    /// Begins to write the dirty pages. C: `filemap_flush()`.
    pub fn start_write(&self) {
        // SAFETY: The inode is valid, and so is its mapping. An error is kept in the mapping.
        unsafe { bindings::filemap_flush(self.mapping()) };
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

    /// Whether there are metadata blocks that a sync would look at. C: `mmb_has_buffers()`.
    pub fn has_metadata(&self) -> bool {
        // SAFETY: The list is initialised with the inode.
        unsafe { bindings::mmb_has_buffers(self.metadata()) }
    }
}

/// The first byte of page `index` and its last, if a file can have it.
fn bytes_of_page(index: u64) -> Option<(bindings::loff_t, bindings::loff_t)> {
    let start = index.checked_mul(PAGE_SIZE as u64)?;
    let last = start.checked_add(PAGE_SIZE as u64 - 1)?;
    Some((start.try_into().ok()?, last.try_into().ok()?))
}
