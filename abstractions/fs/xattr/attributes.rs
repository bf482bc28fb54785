// SPDX-License-Identifier: GPL-2.0

//! Extended attributes: which function of a filesystem is for which names.
//!
//! C header: [`include/linux/xattr.h`](srctree/include/linux/xattr.h)
//!
//! A filesystem implements [`XattrNamespace`] for each prefix that names may have, and
//! [`XattrOperations`] once; an [`XattrTable`] of them is the filesystem's
//! [`XATTRS`](crate::fs::FileSystem::XATTRS).
//!
//! Locks: the VFS holds `i_rwsem` exclusively when attributes are set, except for a new inode,
//! which nobody else uses; and may hold it in some way, or not, when they are read.

use crate::{
    abstractions::fs::{
        FileSystem,
        FsInode,
        InodeType,
        XattrTable, //
    },
    bindings, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    error::from_result,
    prelude::*, //
};

/// What is asked for when an attribute is set that may exist or not. Both may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SetMode {
    /// It must not exist: `XATTR_CREATE`.
    pub create: bool,
    /// It must exist: `XATTR_REPLACE`.
    pub replace: bool,
}

impl SetMode {
    fn from_raw(flags: c_int) -> Self {
        let has = |flag: u32| flags as u32 & flag != 0;
        Self {
            create: has(bindings::XATTR_CREATE),
            replace: has(bindings::XATTR_REPLACE),
        }
    }

    /// Whether it may be set that exists or not. Fails with `ENODATA` or `EEXIST`.
    pub fn check(self, exists: bool) -> Result {
        match exists {
            false if self.replace => Err(ENODATA),
            true if self.create => Err(EEXIST),
            _ => Ok(()),
        }
    }
}

/// The attributes whose names have one prefix.
///
/// Locks: `get` is called without any; `set` with `i_rwsem` held exclusively, or of a new inode,
/// which nobody else has yet.
pub trait XattrNamespace: 'static {
    /// The filesystem.
    type FileSystem: FileSystem;

    /// The prefix.
    const PREFIX: &'static CStr;

    /// Gives the value of the attribute with the rest of its name to `out`. The name is not empty.
    ///
    /// Fails with `ENODATA` if there is none; so it does for who asks if none is given.
    fn get(inode: &FsInode<Self::FileSystem>, name: &[u8], out: &mut XattrValue<'_>) -> Result;

    /// Sets the attribute with the rest of its name, or, if there is no value, takes it away.
    fn set(
        inode: &FsInode<Self::FileSystem>,
        name: &[u8],
        value: Option<&[u8]>,
        mode: SetMode,
    ) -> Result;
}

/// What inodes with attributes can do besides.
///
/// Locks: none is held.
pub trait XattrOperations: 'static {
    /// The filesystem.
    type FileSystem: FileSystem;

    /// Tells the names of all attributes that the current task may see. C: `listxattr`.
    fn list(inode: &FsInode<Self::FileSystem>, names: &mut XattrNames<'_>) -> Result;
}

/// A place for bytes that may be too small, or not there, if only the length is asked for.
struct Place<'a> {
    bytes: Option<&'a mut [u8]>,
}

impl Place<'_> {
    /// # Safety
    ///
    /// `buffer` must be null, or valid for writes of `size` bytes that nobody else uses for `'a`.
    unsafe fn new<'a>(buffer: *mut u8, size: usize) -> Place<'a> {
        let bytes = (!buffer.is_null()).then(|| {
            // SAFETY:
            // - so many bytes may be written there by the safety requirements;
            // - they are initialised by that, and nobody else uses them for `'a`, so that they may
            //   be a slice.
            unsafe {
                ptr::write_bytes(buffer, 0, size);
                core::slice::from_raw_parts_mut(buffer, size)
            }
        });
        Place { bytes }
    }

    /// Puts `piece` at `at`, if there is a place. Fails with `ERANGE` if it does not fit.
    fn put(&mut self, at: usize, piece: &[u8]) -> Result {
        if let Some(bytes) = &mut self.bytes {
            let end = at.checked_add(piece.len()).ok_or(ERANGE)?;
            let to = bytes.get_mut(at..end).ok_or(ERANGE)?;
            to.copy_from_slice(piece);
        }
        Ok(())
    }
}

/// Where the value of an attribute goes.
///
/// Its length is what was given, and nobody's to say: the VFS copies so many bytes to user space.
pub struct XattrValue<'a> {
    place: Place<'a>,
    given: Option<usize>,
}

impl XattrValue<'_> {
    /// Gives the value; the last one counts.
    ///
    /// Fails with `ERANGE` if there is a place for it that is too small.
    pub fn give(&mut self, value: &[u8]) -> Result {
        self.place.put(0, value)?;
        self.given = Some(value.len());
        Ok(())
    }

    /// How long it is. Fails with `ENODATA` if none was given.
    fn len(&self) -> Result<usize> {
        self.given.ok_or(ENODATA)
    }
}

/// Where the names of attributes go.
pub struct XattrNames<'a> {
    place: Place<'a>,
    len: usize,
}

impl XattrNames<'_> {
    /// Adds a name, of two parts. Neither has a NUL.
    ///
    /// Fails with `ERANGE` if there is a place for names that is too small.
    pub fn add(&mut self, prefix: &CStr, name: &[u8]) -> Result {
        for piece in [prefix.to_bytes(), name, &[0]] {
            self.place.put(self.len, piece)?;
            self.len += piece.len();
        }
        Ok(())
    }
}

/// The handlers of some namespaces of a filesystem's inodes, and what ends the table.
#[repr(C)]
pub struct XattrHandlers<T, const N: usize> {
    handlers: [*const bindings::xattr_handler; N],
    end: *const bindings::xattr_handler,
    _filesystem: PhantomData<fn() -> T>,
}

// SAFETY: The table is constant, and what it points to, too.
unsafe impl<T, const N: usize> Sync for XattrHandlers<T, N> {}

/// The handler of a namespace, for [`XattrHandlers::new`].
pub struct XattrHandler<T> {
    handler: &'static bindings::xattr_handler,
    _filesystem: PhantomData<T>,
}

impl<T: FileSystem> XattrHandler<T> {
    /// That of `N`.
    pub const fn of<N: XattrNamespace<FileSystem = T>>() -> Self {
        Self {
            handler: &HandlerVTable::<N>::HANDLER,
            _filesystem: PhantomData,
        }
    }
}

impl<T: FileSystem, const N: usize> XattrHandlers<T, N> {
    /// Those of some namespaces.
    pub const fn new(handlers: &[XattrHandler<T>; N]) -> Self {
        let mut table = Self {
            handlers: [ptr::null(); N],
            end: ptr::null(),
            _filesystem: PhantomData,
        };
        let mut i = 0;
        while i < N {
            table.handlers[i] = handlers[i].handler;
            i += 1;
        }
        table
    }
}

impl<T: FileSystem> XattrTable<T> {
    /// The tables of `X`, whose namespaces have these handlers.
    pub const fn new<X: XattrOperations<FileSystem = T>, const N: usize>(
        handlers: &'static XattrHandlers<T, N>,
    ) -> Self {
        Self {
            handlers: ptr::from_ref(handlers).cast(),
            list: list_callback::<X>,
            _filesystem: PhantomData,
        }
    }
}

/// # Safety
///
/// Called by the VFS with a positive dentry of the filesystem, and a place for `size` bytes, or
/// none.
unsafe extern "C" fn list_callback<X: XattrOperations>(
    dentry: *mut bindings::dentry,
    buffer: *mut u8,
    size: usize,
) -> isize {
    // SAFETY:
    // - the dentry is positive, of the table's filesystem, and the caller's until this returns;
    // - the place is the caller's for the call, and as large as it says.
    let (inode, place) = unsafe {
        (
            FsInode::<X::FileSystem>::of_dentry(dentry),
            Place::new(buffer, size),
        )
    };
    let mut names = XattrNames { place, len: 0 };
    match X::list(inode, &mut names) {
        Ok(()) => names.len as isize,
        Err(error) => error.to_errno() as isize,
    }
}

/// The handler of a namespace.
struct HandlerVTable<N>(PhantomData<N>);

impl<N: XattrNamespace> HandlerVTable<N> {
    const HANDLER: bindings::xattr_handler = bindings::xattr_handler {
        prefix: kernel::str::as_char_ptr_in_const_context(N::PREFIX),
        get: Some(Self::get_callback),
        set: Some(Self::set_callback),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Called by the VFS for an inode of the filesystem, with a NUL-terminated name, and a place
    /// for `size` bytes, or none.
    unsafe extern "C" fn get_callback(
        _handler: *const bindings::xattr_handler,
        _dentry: *mut bindings::dentry,
        inode: *mut bindings::inode,
        name: *const c_char,
        buffer: *mut c_void,
        size: usize,
    ) -> c_int {
        // SAFETY:
        // - the inode is one of the handler's filesystem, and in use for the call: the VFS has a
        //   dentry of it;
        // - the name ends with a NUL, and is the caller's for the call;
        // - the place is the caller's for the call, and as large as it says.
        let (inode, name, place) = unsafe {
            (
                FsInode::from_raw(inode),
                CStr::from_char_ptr(name),
                Place::new(buffer.cast(), size),
            )
        };
        from_result(|| {
            let mut value = XattrValue { place, given: None };
            N::get(inode, name.to_bytes(), &mut value)?;
            Ok(c_int::try_from(value.len()?)?)
        })
    }

    /// # Safety
    ///
    /// Called by the VFS for an inode of the filesystem, with a NUL-terminated name, and a value of
    /// `size` bytes, or none.
    unsafe extern "C" fn set_callback(
        _handler: *const bindings::xattr_handler,
        _idmap: *mut bindings::mnt_idmap,
        _dentry: *mut bindings::dentry,
        inode: *mut bindings::inode,
        name: *const c_char,
        value: *const c_void,
        size: usize,
        flags: c_int,
    ) -> c_int {
        // SAFETY:
        // - the inode is one of the handler's filesystem, and in use for the call: the VFS has a
        //   dentry of it;
        // - the name ends with a NUL, and is the caller's for the call;
        // - the value is as long as it says, and the kernel's copy of what the program has: nobody
        //   changes it during the call.
        let (inode, name, value) = unsafe {
            (
                FsInode::from_raw(inode),
                CStr::from_char_ptr(name),
                (!value.is_null()).then(|| core::slice::from_raw_parts(value.cast(), size)),
            )
        };
        let mode = SetMode::from_raw(flags);
        from_result(|| {
            inode.initialize_quota()?;
            N::set(inode, name.to_bytes(), value, mode).map(|()| 0)
        })
    }
}

#[kernel::macros::kunit_tests(rust_mpage_xattr)]
mod tests {
    use super::*;

    fn value(bytes: Option<&mut [u8]>) -> XattrValue<'_> {
        XattrValue {
            place: Place { bytes },
            given: None,
        }
    }

    #[test]
    fn a_value_fits_or_only_its_length_is_asked_for() {
        let give = |bytes: Option<&mut [u8]>| {
            let mut value = value(bytes);
            value.give(b"abc").and_then(|()| value.len())
        };
        let mut bytes = [7; 4];
        let mut place = |size: usize| give(bytes.get_mut(..size));

        assert_eq!(place(4), Ok(3));
        assert_eq!(place(3), Ok(3));
        assert_eq!(place(2), Err(ERANGE));
        assert_eq!(bytes, *b"abc\x07");
        assert_eq!(give(None), Ok(3));
    }

    /// More would be somebody else's memory.
    #[test]
    fn a_value_is_no_longer_than_what_was_given() {
        let mut bytes = [7; 4];
        let mut value = value(Some(&mut bytes));

        assert_eq!(value.len(), Err(ENODATA));
        assert_eq!(value.give(b"ab"), Ok(()));
        assert_eq!(value.give(b"abcde"), Err(ERANGE));
        assert_eq!(value.len(), Ok(2));
    }

    #[test]
    fn names_are_one_after_the_other() {
        let mut bytes = [7; 12];
        let mut names = XattrNames {
            place: Place {
                bytes: Some(&mut bytes),
            },
            len: 0,
        };

        assert_eq!(names.add(c"user.", b"a"), Ok(()));
        assert_eq!(names.add(c"x", b""), Ok(()));
        assert_eq!(names.len, 9);
        assert_eq!(names.add(c"abc", b""), Err(ERANGE));
        assert_eq!(bytes.first_chunk(), Some(b"user.a\0x\0"));
    }

    #[test]
    fn what_may_exist() {
        let check = |flags, exists| SetMode::from_raw(flags).check(exists);

        assert_eq!((check(0, false), check(0, true)), (Ok(()), Ok(())));
        assert_eq!((check(1, false), check(1, true)), (Ok(()), Err(EEXIST)));
        assert_eq!((check(2, false), check(2, true)), (Err(ENODATA), Ok(())));
        assert_eq!(
            (check(3, false), check(3, true)),
            (Err(ENODATA), Err(EEXIST))
        );
    }
}
