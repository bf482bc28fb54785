// SPDX-License-Identifier: GPL-2.0

//! Directories that may be changed.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)
//!
//! A directory is a file: its bytes are changed by the mapping's own `write_begin` and `write_end`,
//! which find the folio, lock it, give it blocks, and mark it dirty.
//!
//! Lock order: `i_rwsem` of the directory, exclusively, by [`ExclusiveDirectory`]; then the folio,
//! inside [`change`](ExclusiveDirectory::change). While it is held nobody else looks at the bytes
//! that are in the directory but write-back, which only reads them.
//!
//! Left out: cutting directories, which happens when they are deleted.

use super::directory::{
    read_page,
    LockedDirectory, //
};
use crate::{
    abstractions::{
        fs::{
            ExclusiveInode,
            FileSystem,
            FsInode,
            HeldInode, //
        },
        mm::Folio, //
    },
    bindings, //
};
use core::{
    ops::{
        Deref,
        Range, //
    },
    ptr, slice,
};
use kernel::{
    error::to_result,
    page::PAGE_SIZE,
    prelude::*, //
};

/// A directory that nobody else reads or changes.
///
/// # Invariants
///
/// The inode is a directory. As of [`ExclusiveInode`], and there is no other value of this type for
/// the inode; but there are [`LockedDirectory`]s of it, which borrow from this value.
pub struct ExclusiveDirectory<'a, T>(ExclusiveInode<'a, FsInode<T>>);

impl<T> Deref for ExclusiveDirectory<'_, T> {
    type Target = FsInode<T>;

    fn deref(&self) -> &FsInode<T> {
        &self.0
    }
}

impl<'a, T: FileSystem> ExclusiveDirectory<'a, T> {
    /// # Safety
    ///
    /// The type invariants must hold.
    pub(in crate::abstractions::fs) unsafe fn new(inode: &'a FsInode<T>) -> Self {
        // INVARIANT: By the safety requirements.
        // SAFETY: As above.
        Self(unsafe { ExclusiveInode::new(inode) })
    }

    /// The inode, for as long as the lock is held.
    pub fn inode(&self) -> &'a FsInode<T> {
        self.0.inode()
    }

    /// That nobody else changes its attributes, either.
    pub fn held(&self) -> HeldInode<'_, T> {
        self.0.held()
    }

    /// The directory for reading, as long as it is not changed.
    pub fn as_locked(&self) -> LockedDirectory<'_, T> {
        // SAFETY: The directory is locked by the type invariants, and it is not changed without a
        // mutable reference to `self`.
        unsafe { LockedDirectory::new(&self.0) }
    }

    /// Changes the bytes of a range, which lies in one page, and starts in the directory or at its
    /// end. The directory grows to hold all of it; what it had not before is zero for `edit`.
    /// C: `ext2_prepare_chunk()`, `ext2_commit_chunk()`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for another range, what `write_begin` fails with, as `ENOSPC`, and `EIO` if the
    /// page cannot be read. Nothing is changed then, and `edit` not called.
    pub fn change(&mut self, range: Range<u64>, edit: impl FnOnce(&mut [u8])) -> Result {
        let size = self.size();
        let page_size = PAGE_SIZE as u64;
        let (start, end) = (range.start, range.end);
        if start >= end || start > size || start / page_size != (end - 1) / page_size {
            return Err(EINVAL);
        }
        let len = (end - start) as usize;

        // What is not given new bytes is to be there: a folio that is uptodate and referenced stays
        // so, while one that write_begin() would have to make anew it would not read as a whole.
        let known = match start < size {
            true => Some(read_page(&self.0, start / page_size)?),
            false => None,
        };
        let folio = self.write_begin(start, len)?;
        if known.is_some_and(|known| known.as_raw() != folio.raw) {
            // Somebody has thrown the folio out because its memory is bad.
            folio.write_end(0);
            return Err(EIO);
        }

        // What is under way to the device is what was to be written, in the order in which it was
        // to be written. SAFETY: The folio is locked and referenced.
        unsafe { bindings::folio_wait_writeback(folio.raw) };
        // SAFETY: The folio is locked, and so valid, and by `Operations::apply` not in high memory;
        // the range is in one page of it.
        let address = unsafe {
            let offset = start.saturating_sub(Folio::from_raw(folio.raw).position()) as usize;
            bindings::rust_mpage_helper_folio_address(folio.raw)
                .cast::<u8>()
                .add(offset)
        };
        // SAFETY: The bytes are there. As the directory is locked exclusively, and the folio too,
        // nobody but write-back looks at them.
        let bytes = unsafe { slice::from_raw_parts_mut(address, len) };
        if let Some(new) = bytes.get_mut(size.saturating_sub(start).min(len as u64) as usize..) {
            new.fill(0);
        }
        edit(bytes);
        self.inc_version();
        match folio.write_end(len) {
            written if written == len => Ok(()),
            _ => Err(EIO),
        }
    }

    fn write_begin(&self, position: u64, len: usize) -> Result<FolioToWrite> {
        let mapping = self.mapping();
        let position = i64::try_from(position).map_err(|_| EFBIG)?;
        let mut folio = ptr::null_mut();
        let mut data = ptr::null_mut();

        // SAFETY: The mapping of a directory is valid and has a table of ours.
        let begin = unsafe { (*(*mapping).a_ops).write_begin }.ok_or(EROFS)?;
        // SAFETY: As page_symlink() does for another file that nobody else changes: no kiocb, and
        // places for what comes back.
        to_result(unsafe {
            begin(
                ptr::null(),
                mapping,
                position,
                len as u32,
                &mut folio,
                &mut data,
            )
        })?;
        // INVARIANT: write_begin() has succeeded for these.
        Ok(FolioToWrite {
            raw: folio,
            data,
            mapping,
            position,
            len: len as u32,
        })
    }
}

/// What a mapping's `write_begin` has prepared.
///
/// # Invariants
///
/// The mapping's `write_begin` has succeeded for `len` bytes at `position`, with this folio, which
/// is locked and referenced, and this data; `write_end` has not been called since.
#[must_use = "the folio stays locked"]
struct FolioToWrite {
    raw: *mut bindings::folio,
    data: *mut c_void,
    mapping: *mut bindings::address_space,
    position: i64,
    len: u32,
}

impl FolioToWrite {
    /// Ends the write, of which `copied` bytes have been written; says how many count.
    fn write_end(self, copied: usize) -> usize {
        // SAFETY:
        // - the mapping is valid, and has a table of ours, by the type invariants;
        // - `write_begin` has succeeded for these by the type invariants, and the value is used up,
        //   which ends it once.
        let written = unsafe {
            let Some(end) = (*(*self.mapping).a_ops).write_end else {
                return 0;
            };
            end(
                ptr::null(),
                self.mapping,
                self.position,
                self.len,
                copied as u32,
                self.raw,
                self.data,
            )
        };
        usize::try_from(written).unwrap_or(0)
    }
}
