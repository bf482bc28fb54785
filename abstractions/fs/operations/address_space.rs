// SPDX-License-Identifier: GPL-2.0

//! What fills the page cache of a file, and what empties it to the disk.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    Called,
    SealedWrites, //
};
use crate::{
    abstractions::{
        fs::{
            ExclusiveInode,
            Inode,
            InodeType, //
        },
        mm::{
            dirty_folio,
            invalidate_folio,
            is_partially_uptodate,
            release_folio,
            BegunWrite,
            EndedWrite,
            FileWrites,
            Folio,
            LockedFolio,
            Readahead,
            WritebackControl, //
        },
    },
    bindings, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::from_result,
    prelude::*, //
};

/// How the pages of a file are read. C: parts of `struct address_space_operations`.
pub trait AddressSpaceOperations: 'static {
    /// The inode that has the pages.
    type Inode: InodeType;

    /// Starts the read of one folio, which is unlocked when the read ends.
    ///
    /// Called with the folio locked and in the cache, and, by `read(2)` and faults,
    /// `invalidate_lock` shared; who reads a page by `read_mapping_folio()` holds what he likes,
    /// and not that lock.
    fn read_folio(folio: LockedFolio<'_, Self::Inode>) -> Result;

    /// Starts reads of the folios of a request.
    ///
    /// Called with `invalidate_lock` shared and all folios of the request locked, which are in the
    /// cache and not uptodate. The caller may have other locks of the filesystem, such as `i_rwsem`
    /// of a directory.
    fn readahead(request: Readahead<'_, Self::Inode>);

    /// The number on the device of the file's block number `block`, in the filesystem's blocks;
    /// `None` for a hole.
    ///
    /// Called without folio locks: by `FIBMAP` with no lock at all, by `swapon(2)` with `i_rwsem`
    /// held exclusively.
    fn bmap(inode: &Self::Inode, block: u64) -> Result<Option<u64>>;
}

/// How the pages of a file are written. C: other parts of `struct address_space_operations`.
pub trait AddressSpaceWriteOperations: AddressSpaceOperations {
    /// How writes get into the cache, by the library with the filesystem's mapper: of a regular
    /// file [`FolioWrites`](crate::FolioWrites), which are [`FileWrites`]; of directories and
    /// symbolic links [`BufferedWrites`](crate::BufferedWrites), which are [`CacheWrites`].
    type Writes: 'static;

    /// Writes the dirty folios of a request.
    ///
    /// Called without folio locks. The flusher and `sync(2)` hold `s_umount` at most; `fsync(2)`
    /// holds nothing; who has the pages of a file written before doing something else with it, such
    /// as direct I/O, holds its `i_rwsem`, and the first store to a page of a large folio
    /// `invalidate_lock` shared. So neither of these is taken here.
    fn writepages(request: WritebackControl<'_, Self::Inode>) -> Result;

    /// A write has failed or came short that was to move the end of the file: blocks behind the
    /// end are to be cut. The page cache behind it is empty already. C: `ext2_write_failed()`.
    ///
    /// Called with `i_rwsem` held exclusively and without folio locks.
    fn cut_beyond_end(inode: &Self::Inode);
}

/// How a write gets into the cache of a file whose folios have buffer_heads. The library has the
/// one way, `BufferedWrites`.
///
/// Locks: from the begin to the end of a write its folios are locked.
pub trait CacheWrites: SealedWrites + 'static {
    /// The inode type.
    type Inode: InodeType;

    /// Begins a write of up to `len` bytes at file position `pos`, as many as are in the folio.
    ///
    /// With an error, blocks that were allocated for this may be there still; behind the end of the
    /// file they are to be cut.
    fn begin<'i>(
        called: Called,
        inode: &ExclusiveInode<'i, Self::Inode>,
        pos: u64,
        len: u32,
    ) -> Result<BegunWrite<'i, Self::Inode>>;

    /// Ends a write: marks what was copied dirty and moves the end of the file. Returns how many
    /// bytes of the write count, perhaps fewer than were copied.
    fn end(write: EndedWrite<'_, Self::Inode>) -> u32;
}

/// The table of what a mapping can do.
pub struct AddressSpaceVTable<A>(PhantomData<A>);

impl<A: AddressSpaceOperations> AddressSpaceVTable<A> {
    /// The table, for mappings of inodes that are an `A::Inode`.
    // A folio may have buffers, if it fell back to them, so the operations for buffers are here.
    pub const OPERATIONS: bindings::address_space_operations = bindings::address_space_operations {
        read_folio: Some(Self::read_folio_callback),
        readahead: Some(Self::readahead_callback),
        bmap: Some(Self::bmap_callback),
        dirty_folio: Some(bindings::block_dirty_folio),
        invalidate_folio: Some(bindings::block_invalidate_folio),
        #[cfg(CONFIG_MIGRATION)]
        migrate_folio: Some(bindings::buffer_migrate_folio),
        is_partially_uptodate: Some(bindings::block_is_partially_uptodate),
        error_remove_folio: Some(bindings::generic_error_remove_folio),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Called by the VFS with a locked folio of a mapping with this table; the lock is passed on.
    unsafe extern "C" fn read_folio_callback(
        _file: *mut bindings::file,
        folio: *mut bindings::folio,
    ) -> c_int {
        // SAFETY: The lock is passed to this operation. The mapping's host has this table, and who
        // calls the operation keeps it in use.
        let folio = unsafe { LockedFolio::<'_, A::Inode>::from_raw(folio) };
        from_result(|| {
            if folio.can_be_given_up() {
                // SAFETY: As just tested. Who calls a `read_folio` operation keeps the inode in
                // use, and `read_callback` is the operation but for this.
                unsafe { folio.read_page_by_page(Self::read_callback) }?;
                return Ok(bindings::positive_aop_returns_AOP_TRUNCATED_PAGE as c_int);
            }
            match folio.is_read_in_part() {
                true => Self::read_rest(folio),
                false => Self::read(folio),
            }
        })
    }

    /// Reads what is missing of a large folio, and its pages one by one if that fails.
    #[cold]
    fn read_rest(folio: LockedFolio<'_, A::Inode>) -> Result<c_int> {
        let (watched, mapping) = (folio.watch(), folio.mapping());
        let result = Self::read(folio);
        // SAFETY: The mapping's host is the inode of the folio, and who calls a `read_folio`
        // operation keeps it in use.
        let failed = unsafe { watched.lock_failed::<A::Inode>(mapping) };
        match failed? {
            // Who wants it looks again.
            None => Ok(bindings::positive_aop_returns_AOP_TRUNCATED_PAGE as c_int),
            Some(folio) if folio.is_read_in_part() => {
                // SAFETY: As just tested; the rest is as in `read_folio_callback`.
                unsafe { folio.read_page_by_page(Self::read_callback) }?;
                Ok(bindings::positive_aop_returns_AOP_TRUNCATED_PAGE as c_int)
            }
            Some(_) => result.and(Err(EIO)),
        }
    }

    /// # Safety
    ///
    /// As for `read_folio_callback`.
    unsafe extern "C" fn read_callback(
        _file: *mut bindings::file,
        folio: *mut bindings::folio,
    ) -> c_int {
        // SAFETY: By the safety requirements.
        let folio = unsafe { LockedFolio::from_raw(folio) };
        from_result(|| Self::read(folio))
    }

    /// Reads a folio of a mapping with this table.
    #[inline]
    fn read(folio: LockedFolio<'_, A::Inode>) -> Result<c_int> {
        A::read_folio(folio).map(|()| 0)
    }

    /// # Safety
    ///
    /// Called by the VFS with a request for a mapping with this table.
    unsafe extern "C" fn readahead_callback(rac: *mut bindings::readahead_control) {
        // SAFETY: The request is valid and this operation's; the mapping's host has this table.
        A::readahead(unsafe { Readahead::from_raw(rac) });
    }

    /// # Safety
    ///
    /// Called by the VFS with a mapping with this table.
    unsafe extern "C" fn bmap_callback(
        mapping: *mut bindings::address_space,
        block: bindings::sector_t,
    ) -> bindings::sector_t {
        // SAFETY: The mapping's host has this table and is referenced by the caller.
        let inode = unsafe { A::Inode::from_raw((*mapping).host) };
        // The interface has no errors: block 0 stands for a hole and for a failure.
        A::bmap(inode, block).ok().flatten().unwrap_or(0)
    }
}

impl<A: AddressSpaceWriteOperations> AddressSpaceVTable<A> {
    /// # Safety
    ///
    /// Called by the VFS with a mapping with this table and a request that is the callee's for the
    /// call.
    unsafe extern "C" fn writepages_callback(
        mapping: *mut bindings::address_space,
        wbc: *mut bindings::writeback_control,
    ) -> c_int {
        // SAFETY: The mapping's host has this table and is in use by the caller.
        let request = unsafe { WritebackControl::from_raw(mapping, wbc) };
        from_result(|| A::writepages(request).map(|()| 0))
    }
}

impl<A: AddressSpaceWriteOperations> AddressSpaceVTable<A>
where
    A::Writes: FileWrites<Inode = A::Inode>,
{
    /// For regular files that can be written to: no folio has buffers, and the mapping has
    /// `AS_RELEASE_ALWAYS`.
    pub const FILE_OPERATIONS: bindings::address_space_operations =
        bindings::address_space_operations {
            writepages: Some(Self::writepages_callback),
            dirty_folio: Some(dirty_folio),
            release_folio: Some(release_folio),
            invalidate_folio: Some(invalidate_folio::<A::Writes>),
            #[cfg(CONFIG_MIGRATION)]
            migrate_folio: Some(bindings::filemap_migrate_folio),
            is_partially_uptodate: Some(is_partially_uptodate),
            ..Self::OPERATIONS
        };
}

impl<A: AddressSpaceWriteOperations> AddressSpaceVTable<A>
where
    A::Writes: CacheWrites<Inode = A::Inode>,
{
    /// For directories and symbolic links that can be changed.
    pub(in crate::abstractions::fs) const WRITE_OPERATIONS: bindings::address_space_operations =
        bindings::address_space_operations {
            writepages: Some(Self::writepages_callback),
            release_folio: Some(Self::release_callback),
            write_begin: Some(Self::write_begin_callback),
            write_end: Some(Self::write_end_callback),
            ..Self::OPERATIONS
        };

    /// Lets go of the buffers of a folio that mm wants to have back. One of a directory that has
    /// been changed has buffers, and stays while it may be one that could not be written: C forgets
    /// what was in it, and reads what it was before.
    ///
    /// # Safety
    ///
    /// Called by mm with a locked folio of a mapping with this table, not under writeback.
    unsafe extern "C" fn release_callback(
        folio: *mut bindings::folio,
        _gfp: bindings::gfp_t,
    ) -> bool {
        // SAFETY: A locked folio stays in its mapping, and mm locks it for the call.
        let folio = unsafe { Folio::from_raw(folio) };
        // SAFETY: The mapping has this table, whose inodes are an `A::Inode`, and as long as it has
        // a folio its host is in use.
        let inode = unsafe { A::Inode::from_raw(folio.host()) };
        if inode.has_unwritten_pages() {
            return false;
        }
        // SAFETY: The folio is locked, not under writeback, and what is private of it is buffers.
        !folio.has_private() || unsafe { bindings::try_to_free_buffers(folio.as_raw()) }
    }

    /// # Safety
    ///
    /// Called by the VFS with a mapping with this table, `i_rwsem` held, and a place for a folio.
    unsafe extern "C" fn write_begin_callback(
        _iocb: *const bindings::kiocb,
        mapping: *mut bindings::address_space,
        pos: bindings::loff_t,
        len: c_uint,
        folio: *mut *mut bindings::folio,
        fsdata: *mut *mut c_void,
    ) -> c_int {
        // SAFETY: The mapping's host has this table, and `i_rwsem` is held.
        let inode = unsafe { ExclusiveInode::new(A::Inode::from_raw((*mapping).host)) };
        // The VFS passes positions that are not negative.
        match A::Writes::begin(Called::to_write(false), &inode, pos as u64, len) {
            Ok(begun) => {
                let (data, old_end) = begun.into_raw();
                // SAFETY: The places are the caller's.
                unsafe {
                    *folio = data.as_ptr();
                    *fsdata = old_end.cast();
                }
                0
            }
            Err(error) => {
                Self::write_failed(&inode, pos as u64 + u64::from(len));
                error.to_errno()
            }
        }
    }

    /// # Safety
    ///
    /// Called by the VFS with a mapping with this table, `i_rwsem` held, and the folio of
    /// `write_begin_callback`.
    unsafe extern "C" fn write_end_callback(
        _iocb: *const bindings::kiocb,
        _mapping: *mut bindings::address_space,
        pos: bindings::loff_t,
        len: c_uint,
        copied: c_uint,
        folio: *mut bindings::folio,
        fsdata: *mut c_void,
    ) -> c_int {
        // SAFETY:
        // - the folio is what `write_begin_callback` made it, and so not at address 0;
        // - it and `fsdata` come from `BegunWrite::into_raw()` there, for a write of the mapping's
        //   host, which has this table and whose `i_rwsem` is held still;
        // - so many bytes were asked for there, and copied since, as the VFS says.
        let write = unsafe {
            let folio = NonNull::new_unchecked(folio);
            EndedWrite::from_raw(folio, fsdata.cast(), (pos as u64, len, copied))
        };
        let inode = write.inode();
        let written = A::Writes::end(write);
        if written < len {
            Self::write_failed(&inode, pos as u64 + u64::from(len));
        }
        written as c_int
    }

    /// A write up to file position `end` has failed or came short.
    fn write_failed(inode: &ExclusiveInode<'_, A::Inode>, end: u64) {
        let plain: &Inode = inode.inode().as_ref();
        if end > plain.size() {
            inode.drop_pages_beyond_end();
            A::cut_beyond_end(inode.inode());
        }
    }
}
