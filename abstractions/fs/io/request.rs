// SPDX-License-Identifier: GPL-2.0

//! Requests to read and to write a file: what the VFS calls `read_iter` and `write_iter` with.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/uio.h`](srctree/include/linux/uio.h)
//!
//! A request that goes on when the call has returned is not the callee's any more: so what may
//! begin such a one, [`Request::transfer`], takes the value, and gives it back if it is over.
//!
//! Locks: `i_rwsem` of the file is taken here as the request says, with or without waiting.

use super::direct_map::{
    not_directly,
    DirectMap, //
};
use crate::{
    abstractions::{
        fs::{
            inode::{
                ExclusiveLock,
                SharedLock, //
            },
            operations::ShownRequest,
            AddressSpaceWriteOperations,
            FileSystem,
            FsInode,
            Inode,
            InodeType,
            WritableFile, //
        },
        mm::{
            CopiedWrite,
            FileWrites,
            WriteFolio, //
        },
    },
    bindings, //
};
use core::{
    marker::PhantomData,
    ops::RangeInclusive,
    ptr, //
};
use kernel::{
    error::to_result,
    ffi::c_int,
    page::PAGE_SHIFT,
    prelude::*, //
};

const DIRECT: c_int = bindings::IOCB_DIRECT as c_int;

/// What has become of a request that was to be done directly.
pub(super) enum Direct<R> {
    /// So many bytes are done; the rest is not.
    Done(R, usize),
    /// None is done, and none can be.
    Refused(R),
    /// It has failed: what the VFS is told.
    Failed(R, isize),
    /// It goes on.
    UnderWay,
}

/// What the VFS is told of a request that goes on.
pub(super) const UNDER_WAY: isize = -(bindings::EIOCBQUEUED as isize);

/// A request to read, or to write, a regular file that is an `I`.
///
/// # Invariants
///
/// - `iocb` is a request of the VFS that is this value's for `'a`, and `iter` its memory;
/// - `file` is its file, which is open for `'a`, and has its own mapping;
/// - `inode` is the file's;
/// - the last `copied` bytes in front of where `iter` is have been copied.
pub(super) struct Request<'a, I> {
    iocb: *mut bindings::kiocb,
    iter: *mut bindings::iov_iter,
    file: *mut bindings::file,
    inode: &'a I,
    copied: usize,
    _request: PhantomData<&'a mut bindings::kiocb>,
}

impl<'a, I: InodeType> Request<'a, I> {
    /// Takes over a request.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `read_iter` or `write_iter` of a regular file that is an `I`,
    /// and the caller must not use them while the value lives, which is not longer than the call.
    #[inline]
    pub(super) unsafe fn from_raw(
        iocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> Self {
        // SAFETY:
        // - a request is valid, and has a file, which is open until the call is over;
        // - the inode of an open file is in use, and an `I` by the safety requirements.
        let (file, inode) = unsafe {
            let file = (*iocb).ki_filp;
            (file, I::from_raw((*file).f_inode))
        };
        // INVARIANT: By the safety requirements; the VFS keeps the file open until it returns.
        Self {
            iocb,
            iter,
            file,
            inode,
            copied: 0,
            _request: PhantomData,
        }
    }

    /// The file's inode.
    #[inline]
    pub(super) fn inode(&self) -> &'a I {
        self.inode
    }

    fn plain(&self) -> &'a Inode {
        self.inode.as_ref()
    }

    fn mapping(&self) -> *mut bindings::address_space {
        // SAFETY: The inode is valid, and keeps its mapping.
        unsafe { (*self.plain().as_raw()).i_mapping }
    }

    #[inline]
    fn flags(&self) -> c_int {
        // SAFETY: The request is ours by the type invariants.
        unsafe { (*self.iocb).ki_flags }
    }

    /// Whether it is to be done directly. C: `IOCB_DIRECT`.
    #[inline]
    pub(super) fn is_direct(&self) -> bool {
        self.flags() & DIRECT != 0
    }

    /// Whether nobody may wait on its account. C: `IOCB_NOWAIT`.
    pub(super) fn may_not_wait(&self) -> bool {
        self.flags() & bindings::RUST_MPAGE_IOCB_NOWAIT != 0
    }

    /// Whether what is written is not to stay in the cache. C: `IOCB_DONTCACHE`.
    pub(super) fn drops_behind(&self) -> bool {
        self.flags() & bindings::RUST_MPAGE_IOCB_DONTCACHE != 0
    }

    /// Says whether it is to be done directly.
    pub(super) fn set_direct(&mut self, is: bool) {
        let others = self.flags() & !DIRECT;
        // SAFETY: The request is ours by the type invariants.
        unsafe { (*self.iocb).ki_flags = if is { others | DIRECT } else { others } };
    }

    /// Where in the file it goes on. The VFS passes positions that are not negative.
    pub(super) fn position(&self) -> u64 {
        // SAFETY: The request is ours by the type invariants.
        unsafe { (*self.iocb).ki_pos as u64 }
    }

    /// Says where in the file it goes on.
    pub(super) fn set_position(&mut self, position: u64) {
        // SAFETY: The request is ours by the type invariants.
        unsafe { (*self.iocb).ki_pos = position as bindings::loff_t };
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        // SAFETY: The memory is the request's by the type invariants.
        unsafe { bindings::rust_mpage_helper_iov_iter_count(self.iter) }
    }

    /// What the memory's addresses and lengths have in common with smaller units.
    /// C: `iov_iter_alignment()`.
    pub(super) fn alignment(&self) -> u64 {
        // SAFETY: The memory is the request's by the type invariants.
        unsafe { bindings::iov_iter_alignment(self.iter) as u64 }
    }

    /// It as it is, for tracepoints; `result` is what is said of it.
    pub(super) fn shown(&self, result: isize) -> ShownRequest<'a> {
        // SAFETY: The request is ours, and its file open for `'a`, by the type invariants.
        unsafe { ShownRequest::from_raw(self.iocb, self.left(), result) }
    }

    /// Locks the file, shared. None if that would wait, and may not. C: `inode_lock_shared()`.
    pub(super) fn lock_shared(&self) -> Option<SharedLock<'a>> {
        // SAFETY: The request is valid by the type invariants.
        unsafe { SharedLock::for_request(self.plain(), self.iocb) }
    }

    /// Locks the file. None if that would wait, and may not. C: `inode_lock()`.
    pub(super) fn lock(&self) -> Option<ExclusiveLock<'a, I>> {
        // SAFETY: The request is valid by the type invariants.
        unsafe { ExclusiveLock::for_request(self.inode, self.iocb) }
    }

    /// Notes that the file is read now. C: `file_accessed()`.
    pub(super) fn note_access(&self) {
        // SAFETY: The file is open by the type invariants.
        unsafe { bindings::rust_mpage_helper_file_accessed(self.file) };
    }

    /// Looks whether so much may be written, and cuts the request to what may. Returns how much is
    /// left. C: `generic_write_checks()`; `ext4_write_checks()`, of what is immutable.
    ///
    /// Fails with `EPERM` if it is a quota file in use: the kernel would not read what is written,
    /// and what it has written would be lost.
    pub(super) fn check_write(&mut self, _: &ExclusiveLock<'_, I>) -> Result<usize> {
        if self.plain().is_quota_file() {
            return Err(EPERM);
        }
        // SAFETY: Request and memory are ours by the type invariants.
        let checked = unsafe { bindings::generic_write_checks(self.iocb, self.iter) };
        bytes(checked)
    }

    /// Notes that the file is changed now. C: `kiocb_modified()`.
    pub(super) fn note_change(&mut self, _: &ExclusiveLock<'_, I>) -> Result {
        // SAFETY: The request is ours by the type invariants.
        to_result(unsafe { bindings::kiocb_modified(self.iocb) })
    }

    /// Reads through the page cache, after `done` bytes that were not. Returns what the VFS is
    /// told. C: `filemap_read()`.
    #[inline]
    pub(super) fn read_cached(&mut self, done: usize) -> isize {
        // SAFETY: Request and memory are ours by the type invariants.
        unsafe { bindings::filemap_read(self.iocb, self.iter, done as isize) }
    }

    /// Copies to a folio what of the memory is there. C: `copy_folio_from_iter_atomic()`.
    pub(super) fn copy_to<'w, 'i, J, P>(
        &mut self,
        folio: &'w mut WriteFolio<'i, J, P>,
    ) -> CopiedWrite<'w, 'i, J, P>
    where
        J: InodeType,
    {
        // SAFETY: The memory is ours by the type invariants. The VFS passes a source to who writes;
        // copying from another copies nothing, with a warning.
        let copy = unsafe { folio.copy_from(self.iter) };
        // INVARIANT: Copied just above.
        self.copied = copy.copied();
        copy
    }

    /// Has the last `bytes` bytes copied once more, of what [`Self::copy_to`] has copied.
    pub(super) fn revert(&mut self, bytes: usize) {
        let bytes = bytes.min(self.copied);
        self.copied -= bytes;
        // SAFETY: The memory is ours, and has so much in front of where it is, by the type
        // invariants.
        unsafe { bindings::iov_iter_revert(self.iter, bytes) };
    }

    /// Brings up to `bytes` bytes of the memory in. Returns how many cannot be.
    pub(super) fn fault_in(&self, bytes: usize) -> usize {
        // SAFETY: The memory is ours by the type invariants.
        unsafe { bindings::fault_in_iov_iter_readable(self.iter, bytes) }
    }

    /// Waits if there is too much dirty memory, after a page that has become so.
    pub(super) fn balance_dirty(&self) {
        // SAFETY: The mapping is that of an inode in use.
        unsafe { bindings::balance_dirty_pages_ratelimited(self.mapping()) };
    }

    /// Writes what the cache has of the bytes that are to be written, and waits for it. An error,
    /// also one of before and elsewhere, is left to who syncs the file, and is none of who writes
    /// these. C: the beginning of `iomap_dio_rw()`, `kiocb_invalidate_pages()`.
    pub(super) fn forget_error(&self) {
        let first = self.position() as i64;
        let last = first.saturating_add(self.left() as i64).saturating_sub(1);
        // SAFETY: The mapping is that of an inode in use.
        let _ = unsafe { bindings::filemap_write_and_wait_range(self.mapping(), first, last) };
    }

    /// Writes what the cache has of these bytes, waits for it, and gives up what of the pages with
    /// them nobody needs. C: `filemap_write_and_wait_range()`, `invalidate_mapping_pages()`.
    pub(super) fn bring_out(&self, range: RangeInclusive<u64>) -> Result {
        let mapping = self.mapping();
        let (first, last) = (*range.start() as i64, *range.end() as i64);
        let page = |position: i64| (position >> PAGE_SHIFT) as usize;
        // SAFETY: The mapping is that of an inode in use, which both functions take.
        unsafe {
            to_result(bindings::filemap_write_and_wait_range(mapping, first, last))?;
            bindings::invalidate_mapping_pages(mapping, page(first), page(last));
        }
        Ok(())
    }

    /// Has `written` bytes on the device, if the file, or who has opened it, wants that at once.
    /// Returns what the VFS is told. C: `generic_write_sync()`.
    pub(super) fn sync_written(&mut self, written: usize) -> isize {
        // SAFETY: The request is ours by the type invariants.
        unsafe { bindings::rust_mpage_helper_generic_write_sync(self.iocb, written as isize) }
    }
}

/// Who does it directly knows where the file's blocks are: `A` does, whose files are an `F`.
impl<T: FileSystem> Request<'_, FsInode<T>> {
    /// Whether what is written is to be on the medium when it is over. C: `iocb_is_dsync()`.
    fn syncs(&self) -> bool {
        self.flags() & bindings::RUST_MPAGE_IOCB_DSYNC != 0 || self.inode().is_sync()
    }

    /// Does it directly. `at_end` is for what is written by files that are an `F`.
    /// C: `iomap_dio_rw()`.
    pub(super) fn transfer<F, A>(
        self,
        flags: u32,
        at_end: Option<&'static bindings::iomap_dio_ops>,
    ) -> Direct<Self>
    where
        F: WritableFile<FileSystem = T>,
        A: AddressSpaceWriteOperations<Inode = FsInode<T>>,
        A::Writes: FileWrites<Inode = FsInode<T>>,
    {
        let operations = match self.syncs() {
            true => DirectMap::<F, A, true>::OPERATIONS,
            false => DirectMap::<F, A, false>::OPERATIONS,
        };
        // SAFETY:
        // - request and memory are ours by the type invariants, and not used any more unless the
        //   call says that it is over, for `after` drops `self` then;
        // - both tables live as long as the module that has the file's, and are for its inodes.
        let done = unsafe {
            bindings::iomap_dio_rw(
                self.iocb,
                self.iter,
                operations,
                at_end.map_or(ptr::null(), ptr::from_ref),
                flags,
                ptr::null_mut(),
                0,
            )
        };
        self.after(done)
    }

    /// Reads directly, if that is one bio. C: `iomap_dio_read_simple()`.
    pub(super) fn read_simply<F, A>(self) -> Direct<Self>
    where
        F: WritableFile<FileSystem = T>,
        A: AddressSpaceWriteOperations<Inode = FsInode<T>>,
        A::Writes: FileWrites<Inode = FsInode<T>>,
    {
        // SAFETY:
        // - request and memory are ours by the type invariants, and not used any more unless the
        //   call says that it is over, for `after` drops `self` then;
        // - the function is one for inodes of `A`, as the file's is by its type.
        let done = unsafe {
            bindings::rust_mpage_helper_iomap_dio_read_simple(
                self.iocb,
                self.iter,
                Some(DirectMap::<F, A, false>::begin_callback),
            )
        };
        self.after(done)
    }

    fn after(self, done: isize) -> Direct<Self> {
        match usize::try_from(done) {
            Ok(done) => Direct::Done(self, done),
            Err(_) if done == not_directly() => Direct::Refused(self),
            Err(_) if done == UNDER_WAY => Direct::UnderWay,
            Err(_) => Direct::Failed(self, done),
        }
    }
}

/// What a function says that returns bytes or an error.
#[inline]
fn bytes(result: isize) -> Result<usize> {
    usize::try_from(result).map_err(|_| Error::from_errno(result as c_int))
}
