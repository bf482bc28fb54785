// SPDX-License-Identifier: GPL-2.0

//! Directories: looking up names, reading entries, and the pages that have them.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)
//!
//! Locks: `i_rwsem` of the directory, at least shared, held by the VFS. [`LockedDirectory`] is the
//! proof of it, and the only way to the bytes of a directory: who changes them holds `i_rwsem`
//! exclusively.
//!
//! Left out: changing directories, which is in `directory_write.rs` and `namespace.rs`. Directories
//! do not use large folios.

use crate::{
    abstractions::{
        fs::{
            inode::{
                Content,
                SharedLock, //
            },
            operations::{
                AddressSpaceVTable,
                InodeVTable, //
            },
            AddressSpaceOperations,
            FileSystem,
            FsInode,
            InodeOperations,
            InodeRef,
            InodeType,
            Operations,
            XattrTable, //
        },
        mm::FolioRef, //
    },
    bindings, //
};
use core::{
    marker::PhantomData,
    ops::{
        ControlFlow,
        Deref,
        Range, //
    },
    ptr::{
        self,
        NonNull, //
    },
    slice,
};
use kernel::{
    error::{
        from_err_ptr,
        from_result, //
    },
    page::PAGE_SIZE,
    prelude::*,
};

/// A directory whose contents do not change.
///
/// # Invariants
///
/// The inode is a directory, and its `i_rwsem` is held at least shared for `'a`.
pub struct LockedDirectory<'a, T>(&'a FsInode<T>);

impl<T> Clone for LockedDirectory<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for LockedDirectory<'_, T> {}

impl<T> Deref for LockedDirectory<'_, T> {
    type Target = FsInode<T>;

    fn deref(&self) -> &FsInode<T> {
        self.0
    }
}

impl<'a, T: FileSystem> LockedDirectory<'a, T> {
    /// # Safety
    ///
    /// The type invariants must hold.
    pub(in crate::abstractions::fs) unsafe fn new(inode: &'a FsInode<T>) -> Self {
        // INVARIANT: By the safety requirements.
        Self(inode)
    }

    /// The inode, for as long as the lock is held.
    pub fn inode(&self) -> &'a FsInode<T> {
        self.0
    }

    /// The directory's size in pages. C: `dir_pages()`.
    pub fn pages(&self) -> u64 {
        self.size().div_ceil(PAGE_SIZE as u64)
    }

    /// Begins to read those of some pages that are not in memory, and are wanted soon.
    /// C: `page_cache_ra_unbounded()`.
    pub fn read_ahead(&self, pages: Range<u64>) {
        let count = pages.end.min(self.pages()).saturating_sub(pages.start);
        let (Ok(start), Ok(count)) = (usize::try_from(pages.start), usize::try_from(count)) else {
            return;
        };
        // SAFETY: The inode and its mapping are valid, and the pages are in the file.
        unsafe { bindings::rust_mpage_helper_read_ahead(self.mapping(), start, count) }
    }

    /// Reads page number `index` of the directory through the page cache; what of it is not in the
    /// directory is not given. C: `read_mapping_folio()`, `ext2_last_byte()`.
    ///
    /// Fails as the filesystem's `read_folio` does, and with `EIO` on a read error.
    pub fn page(&self, index: u64) -> Result<DirectoryPage<'a>> {
        let start = index.checked_mul(PAGE_SIZE as u64).ok_or(EFBIG)?;
        Ok(self.bytes_of(read_page(self, index)?, start))
    }

    /// As [`Self::page`], if it is in memory. Nothing is waited for.
    pub fn page_in_memory(&self, index: u64) -> Option<DirectoryPage<'a>> {
        let start = index.checked_mul(PAGE_SIZE as u64)?;
        let index = usize::try_from(index).ok()?;
        // SAFETY: The inode and its mapping are valid.
        let folio =
            unsafe { bindings::rust_mpage_helper_get_uptodate_folio(self.mapping(), index) };
        // SAFETY: The folio comes with a reference for the caller.
        let folio = unsafe { FolioRef::from_raw(NonNull::new(folio)?) };
        Some(self.bytes_of(folio, start))
    }

    /// What the directory has in an uptodate folio of one page, at byte `start` of it.
    fn bytes_of(&self, folio: FolioRef, start: u64) -> DirectoryPage<'a> {
        // SAFETY: The folio is valid, and by `Operations::apply` not in high memory.
        let address = unsafe { bindings::rust_mpage_helper_folio_address(folio.as_raw()) };
        // INVARIANT: The folio is uptodate. Nobody changes the bytes while the directory is locked,
        // and its size neither. (Write-back zeroes the bytes of the page that are not in the
        // directory.)
        DirectoryPage {
            _folio: folio,
            address: address.cast(),
            len: self.size().saturating_sub(start).min(PAGE_SIZE as u64) as usize,
            _directory: PhantomData,
        }
    }
}

impl<T: FileSystem> InodeRef<'_, T> {
    /// Calls `act` with the inode as a directory whose contents do not change. None, without
    /// waiting, if it is no directory or somebody changes it.
    ///
    /// The caller may have the lock of another directory. C: `inode_trylock_shared()`.
    pub fn try_with_directory<R>(
        &self,
        act: impl FnOnce(LockedDirectory<'_, T>) -> R,
    ) -> Option<R> {
        if !self.is_directory() {
            return None;
        }
        let _lock = SharedLock::try_new(self)?;
        // SAFETY: The inode is a directory, and is locked until `act` has returned. It is neither
        // new nor evicted, as there is a reference to it: so who may change it has the lock.
        Some(act(unsafe { LockedDirectory::new(self) }))
    }
}

/// Page number `index` of a directory, uptodate. C: `read_mapping_folio()`.
pub(super) fn read_page<T: FileSystem>(dir: &FsInode<T>, index: u64) -> Result<FolioRef> {
    let index = usize::try_from(index).map_err(|_| EFBIG)?;
    // SAFETY: The inode and its mapping are valid; no filler means `read_folio`.
    let folio = from_err_ptr(unsafe {
        bindings::read_cache_folio(dir.mapping(), index, None, ptr::null_mut())
    })?;
    let folio = NonNull::new(folio).ok_or(EIO)?;
    // SAFETY: The folio comes with a reference for the caller.
    Ok(unsafe { FolioRef::from_raw(folio) })
}

/// The bytes of a directory in one of its pages.
///
/// # Invariants
///
/// `_folio` is an uptodate folio of the page cache; `address` is where it is; `len` is at most a
/// page, and the first `len` bytes do not change for `'a`.
pub struct DirectoryPage<'a> {
    _folio: FolioRef,
    address: *const u8,
    len: usize,
    _directory: PhantomData<&'a ()>,
}

impl Deref for DirectoryPage<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: The folio is there, and these bytes do not change by the type invariants.
        unsafe { slice::from_raw_parts(self.address, self.len) }
    }
}

/// The type of a directory entry, `DT_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryType(u8);

impl EntryType {
    /// Not known without a look at the inode.
    pub const UNKNOWN: Self = Self(0);

    /// From the numbers that most filesystems store, `FT_*`. C: `fs_ftype_to_dtype()`.
    pub fn from_stored(number: u8) -> Self {
        // SAFETY: The function checks the number.
        Self(unsafe { bindings::fs_ftype_to_dtype(c_uint::from(number)) })
    }
}

/// Where the entries of a directory go. C: `struct dir_context`.
///
/// # Invariants
///
/// `context` points to a valid `struct dir_context`, used by nobody else for `'a`.
pub struct DirectoryReader<'a> {
    context: *mut bindings::dir_context,
    has_emitted: bool,
    _context: PhantomData<&'a mut bindings::dir_context>,
}

impl DirectoryReader<'_> {
    /// The position in bytes that comes next. It is what user space was told, or a number of its
    /// own: an entry need not begin there.
    pub fn position(&self) -> u64 {
        // SAFETY: The context is valid by the type invariants. Positions are never negative.
        unsafe { (*self.context).pos }.max(0) as u64
    }

    /// Sets the position.
    pub fn set_position(&mut self, position: u64) {
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        // SAFETY: The context is valid by the type invariants.
        unsafe { (*self.context).pos = position }
    }

    /// Hands out one entry. `Break` if there is no room for it. C: `dir_emit()`.
    pub fn emit(&mut self, name: &[u8], inode: u64, entry_type: EntryType) -> ControlFlow<()> {
        let Ok(len) = c_int::try_from(name.len()) else {
            return ControlFlow::Break(());
        };
        // SAFETY: The context and the name are valid for the call.
        let more = unsafe {
            bindings::rust_mpage_helper_dir_emit(
                self.context,
                name.as_ptr().cast(),
                len,
                inode,
                c_uint::from(entry_type.0),
            )
        };
        if more {
            self.has_emitted = true;
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }

    /// Whether an entry was handed out by this call. `getdents64(2)` then returns it and drops an
    /// error.
    pub fn has_emitted(&self) -> bool {
        self.has_emitted
    }
}

/// The name in a dentry.
///
/// # Safety
///
/// For `'a`, the dentry must be valid, and its name must not change: it is in lookup, or its
/// directory is locked exclusively.
pub(super) unsafe fn name_of<'a>(dentry: *mut bindings::dentry) -> &'a [u8] {
    // SAFETY: The dentry is valid for `'a`. The name of a valid dentry has as many bytes as its
    // length says, and neither changes, so that the two belong together.
    unsafe {
        let name = ptr::addr_of!((*dentry).__bindgen_anon_1.d_name);
        slice::from_raw_parts(
            (*name).name,
            (*name).__bindgen_anon_1.__bindgen_anon_1.len as usize,
        )
    }
}

/// What a directory can do, besides what every inode can.
///
/// Locks: `i_rwsem` of the directory is held, at least shared.
pub trait DirectoryOperations: InodeOperations {
    /// Finds the inode of `name`, if there is such an entry.
    fn lookup<'d>(
        dir: LockedDirectory<'d, Self::FileSystem>,
        name: &[u8],
    ) -> Result<Option<InodeRef<'d, Self::FileSystem>>>;

    /// Hands out entries from the reader's position on, and moves it.
    fn iterate(
        dir: LockedDirectory<'_, Self::FileSystem>,
        reader: &mut DirectoryReader<'_>,
    ) -> Result;
}

impl<T: FileSystem> Operations<T> {
    /// A directory, read through the page cache.
    pub fn directory<I, A>() -> Self
    where
        I: DirectoryOperations<FileSystem = T>,
        A: AddressSpaceOperations<Inode = FsInode<T>>,
    {
        Self {
            inode: &DirectoryVTable::<I>::INODE,
            file: Some(&DirectoryVTable::<I>::FILE),
            mapping: Some(&AddressSpaceVTable::<A>::OPERATIONS),
            content: Content::Directory,
            _filesystem: PhantomData,
        }
    }
}

/// The tables of what a directory and an open directory can do.
pub(super) struct DirectoryVTable<D>(PhantomData<D>);

impl<D: DirectoryOperations> DirectoryVTable<D> {
    pub(in crate::abstractions::fs) const INODE: bindings::inode_operations =
        bindings::inode_operations {
            lookup: Some(Self::lookup_callback),
            getattr: Some(InodeVTable::<D>::getattr_callback),
            listxattr: XattrTable::<D::FileSystem>::LIST,
            ..pin_init::zeroed()
        };

    pub(in crate::abstractions::fs) const FILE: bindings::file_operations =
        bindings::file_operations {
            llseek: Some(bindings::generic_file_llseek),
            read: Some(bindings::generic_read_dir),
            iterate_shared: Some(Self::iterate_callback),
            fsync: Some(bindings::simple_fsync),
            #[cfg(CONFIG_FILE_LOCKING)]
            setlease: Some(bindings::generic_setlease),
            ..pin_init::zeroed()
        };

    /// # Safety
    ///
    /// Called by the VFS for a directory with this table, with its `i_rwsem` held at least shared,
    /// and with a dentry in lookup.
    unsafe extern "C" fn lookup_callback(
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        _flags: c_uint,
    ) -> *mut bindings::dentry {
        // SAFETY:
        // - the VFS has a dentry of the directory, so it is in use, and one of the table's
        //   filesystem;
        // - the VFS holds its lock, at least shared, for the call;
        // - the name of a dentry in lookup does not change.
        let (dir, name) = unsafe {
            (
                LockedDirectory::new(FsInode::from_raw(dir)),
                name_of(dentry),
            )
        };
        let sb = dir.inode().super_block().as_raw();
        let found = D::lookup(dir, name);
        match found.and_then(|found| found.map(|inode| inode.into_raw_on(sb)).transpose()) {
            Ok(inode) => {
                let inode = inode.unwrap_or(ptr::null_mut());
                // SAFETY: The dentry is in lookup; the reference is passed on, also if this fails.
                unsafe { bindings::d_splice_alias(inode, dentry) }
            }
            Err(error) => error.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// Called by the VFS for an open directory with this table, whose `i_rwsem` is held at least
    /// shared.
    unsafe extern "C" fn iterate_callback(
        file: *mut bindings::file,
        context: *mut bindings::dir_context,
    ) -> c_int {
        // SAFETY:
        // - an open file keeps its inode, which is a directory of the table's filesystem;
        // - the VFS holds its lock, at least shared, for the call.
        let dir = unsafe { LockedDirectory::new(FsInode::from_raw((*file).f_inode)) };
        // INVARIANT: The context is the caller's, for this call.
        let mut reader = DirectoryReader {
            context,
            has_emitted: false,
            _context: PhantomData,
        };
        from_result(|| D::iterate(dir, &mut reader).map(|()| 0))
    }
}
