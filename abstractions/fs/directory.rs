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
//! Left out: changing directories. Directories do not use large folios.

use super::{
    FileSystem,
    FsInode,
    InodeType, //
};
use crate::bindings;
use core::{
    marker::PhantomData,
    ops::{
        ControlFlow,
        Deref, //
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
    sync::aref::ARef,
    types::{
        ForeignOwnable,
        NotThreadSafe, //
    },
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
    pub(super) unsafe fn new(inode: &'a FsInode<T>) -> Self {
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

    /// Reads page number `index` of the directory through the page cache.
    /// C: `read_mapping_folio()`, `kmap_local_folio()`.
    ///
    /// Fails as the filesystem's `read_folio` does, and with `EIO` on a read error.
    pub fn page(&self, index: u64) -> Result<DirectoryPage<'a>> {
        let index = usize::try_from(index).map_err(|_| EFBIG)?;
        // SAFETY: The inode and its mapping are valid; no filler means `read_folio`.
        let folio = from_err_ptr(unsafe {
            bindings::read_cache_folio(self.mapping(), index, None, ptr::null_mut())
        })?;
        // SAFETY: The folio is valid and referenced, so it can be mapped.
        let address = unsafe { bindings::rust_mpage_helper_kmap_local_folio(folio, 0) };
        // INVARIANT: The folio is uptodate, or it would be an error; the reference is ours. Nobody
        // changes the bytes while the directory is locked.
        Ok(DirectoryPage {
            // SAFETY: Not an error, so a valid pointer.
            folio: unsafe { NonNull::new_unchecked(folio) },
            address: address.cast(),
            _directory: PhantomData,
            _not_send: NotThreadSafe,
        })
    }
}

/// One page of a directory, mapped.
///
/// Pages have to be dropped in the reverse order of their making, as `kmap_local_folio()` wants.
///
/// # Invariants
///
/// `folio` is an uptodate folio of the page cache on which `self` owns a reference; `address` is
/// where its first page is mapped by `kmap_local_folio()`; the bytes do not change for `'a`.
pub struct DirectoryPage<'a> {
    folio: NonNull<bindings::folio>,
    address: *const u8,
    _directory: PhantomData<&'a ()>,
    _not_send: NotThreadSafe,
}

impl DirectoryPage<'_> {
    /// Whether [`Self::set_checked`] has been called since the page was read. It is the
    /// filesystem's own mark, `PG_checked`.
    pub fn is_checked(&self) -> bool {
        // SAFETY: The folio is valid by the type invariants.
        unsafe { bindings::rust_mpage_helper_folio_test_checked(self.folio.as_ptr()) }
    }

    /// Marks the page.
    pub fn set_checked(&self) {
        // SAFETY: The folio is valid by the type invariants; the flag is the filesystem's.
        unsafe { bindings::rust_mpage_helper_folio_set_checked(self.folio.as_ptr()) }
    }
}

impl Deref for DirectoryPage<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: A page is mapped there, and its bytes do not change by the type invariants.
        unsafe { slice::from_raw_parts(self.address, PAGE_SIZE) }
    }
}

impl Drop for DirectoryPage<'_> {
    fn drop(&mut self) {
        // SAFETY: Mapped and referenced by the type invariants, and not used any more.
        unsafe {
            bindings::rust_mpage_helper_kunmap_local(self.address.cast());
            bindings::rust_mpage_helper_folio_put(self.folio.as_ptr());
        }
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

/// What is known of a position that a directory is to be read from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The directory is as it was when the position was the start of an entry.
    Valid,
    /// The directory may have changed: an entry may begin elsewhere.
    Stale,
}

/// Where the entries of a directory go. C: `struct dir_context`.
///
/// # Invariants
///
/// `context` points to a valid `struct dir_context`, used by nobody else for `'a`.
pub struct DirectoryReader<'a> {
    context: *mut bindings::dir_context,
    inode: *mut bindings::inode,
    version: &'a mut u64,
}

impl DirectoryReader<'_> {
    /// The position in bytes that comes next.
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

    /// Whether an entry begins at the position.
    pub fn state(&self) -> Position {
        // SAFETY: The inode is valid for the call.
        if unsafe { bindings::rust_mpage_helper_inode_eq_iversion(self.inode, *self.version) } {
            Position::Valid
        } else {
            Position::Stale
        }
    }

    /// Says that an entry begins at the position, now.
    pub fn set_valid(&mut self) {
        // SAFETY: The inode is valid for the call.
        *self.version = unsafe { bindings::inode_query_iversion(self.inode) };
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
        match more {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }
}

/// What a directory can do.
pub trait DirectoryOperations: 'static {
    /// The filesystem.
    type FileSystem: FileSystem;

    /// Finds the inode of `name`, if there is such an entry.
    fn lookup(
        dir: LockedDirectory<'_, Self::FileSystem>,
        name: &[u8],
    ) -> Result<Option<ARef<FsInode<Self::FileSystem>>>>;

    /// Hands out entries from the reader's position on.
    fn iterate(
        dir: LockedDirectory<'_, Self::FileSystem>,
        reader: &mut DirectoryReader<'_>,
    ) -> Result;
}

/// The table of what an open directory can do. Its private data is the version of the directory
/// (`i_version`) that the file's position belongs to.
pub(super) struct FileVTable<D>(PhantomData<D>);

impl<D: DirectoryOperations> FileVTable<D> {
    pub(super) const OPERATIONS: bindings::file_operations = bindings::file_operations {
        open: Some(Self::open_callback),
        release: Some(Self::release_callback),
        llseek: Some(Self::llseek_callback),
        read: Some(bindings::generic_read_dir),
        iterate_shared: Some(Self::iterate_callback),
        fsync: Some(bindings::simple_fsync),
        setlease: Some(bindings::generic_setlease),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Called by the VFS with a file that is being opened.
    unsafe extern "C" fn open_callback(
        _inode: *mut bindings::inode,
        file: *mut bindings::file,
    ) -> c_int {
        from_result(|| {
            let version = KBox::new(0u64, GFP_KERNEL)?;
            // SAFETY: The file is not shared yet.
            unsafe { (*file).private_data = version.into_foreign() };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the VFS once, last, for a file that `open_callback` was called for.
    unsafe extern "C" fn release_callback(
        _inode: *mut bindings::inode,
        file: *mut bindings::file,
    ) -> c_int {
        // SAFETY: The private data is a box since `open_callback`.
        unsafe { drop(KBox::<u64>::from_foreign((*file).private_data)) };
        0
    }

    /// # Safety
    ///
    /// Called by the VFS for an open file, whose position lock is held.
    unsafe extern "C" fn llseek_callback(
        file: *mut bindings::file,
        offset: bindings::loff_t,
        whence: c_int,
    ) -> bindings::loff_t {
        // SAFETY: The private data is a number since `open_callback`; the position lock is its
        // lock, too.
        unsafe {
            bindings::generic_llseek_cookie(file, offset, whence, (*file).private_data.cast())
        }
    }

    /// # Safety
    ///
    /// Called by the VFS for an open file, whose position lock and, at least shared, `i_rwsem` of
    /// the directory are held.
    unsafe extern "C" fn iterate_callback(
        file: *mut bindings::file,
        context: *mut bindings::dir_context,
    ) -> c_int {
        // SAFETY: The file's inode is a directory with this table. The private data is a number
        // since `open_callback`, and the position lock is its lock.
        let (dir, mut reader) = unsafe {
            let inode = (*file).f_inode;
            (
                LockedDirectory::<D::FileSystem>::new(FsInode::from_raw(inode)),
                DirectoryReader {
                    context,
                    inode,
                    version: &mut *(*file).private_data.cast::<u64>(),
                },
            )
        };
        from_result(|| D::iterate(dir, &mut reader).map(|()| 0))
    }
}
