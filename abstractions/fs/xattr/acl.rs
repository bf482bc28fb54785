// SPDX-License-Identifier: GPL-2.0

//! Access control lists, which the VFS checks and caches, and the filesystem keeps.
//!
//! C header: [`include/linux/posix_acl.h`](srctree/include/linux/posix_acl.h)
//!
//! A filesystem implements [`AclOperations`]; what follows for the mode of a file, and what a new
//! file gets of its directory, is the kernel's to say and done here. Lists are heeded where
//! [`AnySuperBlock::set_heeds_acls`](crate::fs::AnySuperBlock::set_heeds_acls) says so.
//!
//! Locks: the VFS holds `i_rwsem` exclusively when a list is set, except for a new inode, which
//! nobody else uses; and need not hold it when one is read.

use crate::{
    abstractions::fs::{
        operations::in_effect,
        AclTable,
        CreatedInode,
        FileSystem,
        FsInode,
        HeldInode,
        InodeType,
        Wait,
        WritableInode, //
    },
    bindings, //
};
use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    error::{
        from_err_ptr,
        from_result,
        to_result, //
    },
    prelude::*, //
};

/// Which list of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AclKind {
    /// Who may do what with it.
    Access,
    /// What files get that are made in it, a directory.
    Default,
}

impl AclKind {
    fn from_raw(kind: c_int) -> Result<Self> {
        match kind {
            bindings::RUST_MPAGE_ACL_TYPE_ACCESS => Ok(Self::Access),
            bindings::RUST_MPAGE_ACL_TYPE_DEFAULT => Ok(Self::Default),
            _ => Err(EINVAL),
        }
    }

    fn into_raw(self) -> c_int {
        match self {
            Self::Access => bindings::RUST_MPAGE_ACL_TYPE_ACCESS,
            Self::Default => bindings::RUST_MPAGE_ACL_TYPE_DEFAULT,
        }
    }
}

/// An entry of a list: `ACL_*` says whom it is about, with a number in the filesystem's user
/// namespace if that is a user or group by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AclEntry {
    /// Whom it is about.
    pub tag: u16,
    /// What he may.
    pub permissions: u16,
    /// Who he is, if `tag` asks for that.
    pub id: u32,
}

/// A list. C: `struct posix_acl`.
///
/// # Invariants
///
/// `acl` is a valid list that does not change, and `self` owns a reference.
pub struct Acl {
    acl: NonNull<kernel::bindings::posix_acl>,
}

impl Acl {
    /// Makes a list of so many entries, one after the other.
    ///
    /// Fails with `EINVAL` if it makes no sense as a list, with `ENOMEM`, or as `entries` does; and
    /// with `EOPNOTSUPP` on a kernel without lists.
    pub fn new(count: usize, entries: impl Iterator<Item = AclEntry>) -> Result<Self> {
        let count = u32::try_from(count).map_err(|_| EINVAL)?;
        // SAFETY: May be called from where one may sleep.
        let acl = from_err_ptr(unsafe { bindings::rust_mpage_helper_acl_alloc(count) })?;
        // INVARIANT: Nobody else has the list yet, and its entries are zeros, which are valid.
        let this = Self {
            acl: NonNull::new(acl).ok_or(ENOMEM)?,
        };
        let mut filled = 0;
        for (index, entry) in (0..count).zip(entries) {
            // SAFETY: The list is valid and has the entry; nobody else has it.
            unsafe {
                bindings::rust_mpage_helper_acl_set_entry(
                    acl,
                    index,
                    entry.tag,
                    entry.permissions,
                    entry.id,
                )
            };
            filled += 1;
        }
        if filled != count {
            return Err(EINVAL);
        }
        // SAFETY: The list is valid.
        to_result(unsafe { bindings::rust_mpage_helper_acl_valid(acl) })?;
        Ok(this)
    }

    /// The entries.
    pub fn entries(&self) -> impl Iterator<Item = AclEntry> + Clone + '_ {
        let acl = self.acl.as_ptr();
        // SAFETY: The list is valid.
        let count = unsafe { bindings::rust_mpage_helper_acl_count(acl) };

        (0..count).map(move |index| {
            let mut entry = AclEntry::default();
            // SAFETY: The list is valid, as `self` is borrowed, and has the entry.
            entry.id = unsafe {
                bindings::rust_mpage_helper_acl_entry(
                    acl,
                    index,
                    &raw mut entry.tag,
                    &raw mut entry.permissions,
                )
            };
            entry
        })
    }

    /// Borrows a list.
    ///
    /// # Safety
    ///
    /// `acl` must be null, or valid and unchanged for the time of `act`.
    unsafe fn borrowed<R>(
        acl: *mut kernel::bindings::posix_acl,
        act: impl FnOnce(Option<&Self>) -> R,
    ) -> R {
        // INVARIANT: By the safety requirements; the reference is not given up.
        let this = NonNull::new(acl).map(|acl| core::mem::ManuallyDrop::new(Self { acl }));
        act(this.as_deref())
    }

    /// Takes over a reference, if there is one.
    ///
    /// # Safety
    ///
    /// `acl` must be null, or valid, and the reference the caller's.
    unsafe fn from_raw(acl: *mut kernel::bindings::posix_acl) -> Option<Self> {
        // INVARIANT: By the safety requirements.
        NonNull::new(acl).map(|acl| Self { acl })
    }

    /// The C pointer, and the reference.
    fn into_raw(self) -> *mut kernel::bindings::posix_acl {
        core::mem::ManuallyDrop::new(self).acl.as_ptr()
    }
}

impl Drop for Acl {
    fn drop(&mut self) {
        // SAFETY: The reference is ours by the type invariants and given up here.
        unsafe { bindings::rust_mpage_helper_acl_release(self.acl.as_ptr()) }
    }
}

/// How a filesystem keeps lists.
///
/// Locks: `get` is called without any; `set` with `i_rwsem` held exclusively, or of a new inode,
/// which nobody else has yet.
pub trait AclOperations: 'static {
    /// The filesystem.
    type FileSystem: FileSystem;

    /// Reads a list, if the inode has it. C: `get_inode_acl`.
    fn get(inode: &FsInode<Self::FileSystem>, kind: AclKind) -> Result<Option<Acl>>;

    /// Keeps a list, or none. What follows for the mode is the caller's.
    ///
    /// Only directories have default lists.
    fn set(inode: &FsInode<Self::FileSystem>, kind: AclKind, acl: Option<&Acl>) -> Result;
}

impl<T: FileSystem> AclTable<T> {
    /// Those of `A`.
    pub const fn new<A: AclOperations<FileSystem = T>>() -> Self {
        Self {
            get: get_callback::<A>,
            set: set::<A>,
            _filesystem: PhantomData,
        }
    }
}

/// # Safety
///
/// Called by the VFS for an inode of the filesystem.
unsafe extern "C" fn get_callback<A: AclOperations>(
    inode: *mut bindings::inode,
    kind: c_int,
    rcu: bool,
) -> *mut kernel::bindings::posix_acl {
    if rcu {
        return ECHILD.to_ptr();
    }
    // SAFETY: By the safety requirements.
    let inode = unsafe { FsInode::from_raw(inode) };
    match AclKind::from_raw(kind).and_then(|kind| A::get(inode, kind)) {
        Ok(Some(acl)) => acl.into_raw(),
        Ok(None) => ptr::null_mut(),
        Err(error) => error.to_ptr(),
    }
}

/// # Safety
///
/// `inode` must be an inode of the filesystem, and `acl` null, or a list that is valid and
/// unchanged for the time of the call.
unsafe fn set<A: AclOperations>(
    inode: *mut bindings::inode,
    kind: c_int,
    acl: *mut kernel::bindings::posix_acl,
) -> Result {
    let kind = AclKind::from_raw(kind)?;
    // SAFETY: By the safety requirements.
    let inode = unsafe { FsInode::from_raw(inode) };
    // SAFETY: The list is the caller's for the time of the call.
    unsafe { Acl::borrowed(acl, |acl| A::set(inode, kind, acl)) }
}

/// What is done with the lists of inodes that can be changed.
pub(in crate::abstractions::fs) struct AclVTable<I>(PhantomData<I>);

impl<I: WritableInode> AclVTable<I> {
    /// What `set_acl` of a filesystem's inodes is.
    pub(in crate::abstractions::fs) const SET: Option<
        unsafe extern "C" fn(
            *mut bindings::mnt_idmap,
            *mut bindings::dentry,
            *mut kernel::bindings::posix_acl,
            c_int,
        ) -> c_int,
    > = match &<I::FileSystem as FileSystem>::ACLS {
        Some(_) => Some(Self::set_callback),
        None => None,
    };

    /// C: `ext2_set_acl()`, which takes the list away before it narrows the mode, and does not wait
    /// for the mode on a synchronous mount.
    ///
    /// # Safety
    ///
    /// Called by the VFS with a positive dentry of an inode of the filesystem, whose `i_rwsem` is
    /// held exclusively, and a list or none.
    unsafe extern "C" fn set_callback(
        idmap: *mut bindings::mnt_idmap,
        dentry: *mut bindings::dentry,
        mut acl: *mut kernel::bindings::posix_acl,
        raw_kind: c_int,
    ) -> c_int {
        from_result(|| {
            let kind = AclKind::from_raw(raw_kind)?;
            // SAFETY: By the safety requirements.
            let raw = unsafe { (*dentry).d_inode };
            // SAFETY: As above; `i_rwsem` is held exclusively.
            let inode = unsafe { HeldInode::new(FsInode::<I::FileSystem>::from_raw(raw)) };
            let mut mode = inode.mode();
            let follows = kind == AclKind::Access && !acl.is_null();
            if follows {
                // SAFETY: The arguments are this operation's, or valid for the call. A list that
                // says no more than a mode is null afterwards, and stays the caller's.
                to_result(unsafe {
                    bindings::rust_mpage_helper_acl_update_mode(
                        idmap,
                        raw,
                        &raw mut mode,
                        &raw mut acl,
                    )
                })?;
            }
            let before = I::noted_mode(inode.inode());
            // Nobody sees the group with what the mask of a list allowed, and without the list, not
            // on the disk either: with none, what the mode says is said first; else the list is
            // there first.
            let is_first = follows && acl.is_null();
            if is_first {
                set_mode::<I>(inode, mode);
            }
            // SAFETY: The list is the caller's for the time of the call.
            let kept = unsafe { keep(inode.inode(), kind, acl) };
            match kept {
                Err(_) if is_first => set_mode::<I>(inode, before),
                Ok(()) if follows && !is_first => set_mode::<I>(inode, mode),
                _ => {}
            }
            I::rights_changed(inode.inode());
            kept?;
            if kind == AclKind::Access && inode.is_sync() {
                inode.write_if_dirty(Wait::Yes)?;
                inode.or_dirty_again(I::sync_metadata)?;
            }
            Ok(0)
        })
    }
}

/// Sets the mode that follows from a list.
fn set_mode<I: WritableInode>(inode: HeldInode<'_, I::FileSystem>, mode: u16) {
    let mode = in_effect(mode, I::set_mode(inode, mode));
    // SAFETY: The inode is valid, and its mode nobody else's to change. Others read it in one
    // piece.
    unsafe { ptr::addr_of_mut!((*inode.as_raw()).i_mode).write_volatile(mode) };
    inode.set_ctime_now();
    inode.mark_dirty();
}

/// Has the filesystem keep a list or none, and the VFS know it. C: `__ext2_set_acl()`.
///
/// # Safety
///
/// `acl` must be null, or a valid list for the time of the call.
unsafe fn keep<T: FileSystem>(
    inode: &FsInode<T>,
    kind: AclKind,
    acl: *mut kernel::bindings::posix_acl,
) -> Result {
    let table = T::ACLS.ok_or(EOPNOTSUPP)?;

    if kind == AclKind::Default && !inode.is_directory() {
        return if acl.is_null() { Ok(()) } else { Err(EACCES) };
    }
    inode.initialize_quota()?;
    // SAFETY: The inode is one of `T`, whose table it is; the list is valid for the time of the
    // call.
    unsafe { (table.set)(inode.as_raw(), kind.into_raw(), acl)? };
    // SAFETY: The inode is valid; a reference is taken on the list, if there is one.
    unsafe { bindings::rust_mpage_helper_set_cached_acl(inode.as_raw(), kind.into_raw(), acl) };
    Ok(())
}

impl<T: FileSystem> CreatedInode<'_, T> {
    /// Gives the file what its directory says that new files get, or, if it says nothing, takes
    /// from its mode what the process does not want. C: `ext2_init_acl()`.
    ///
    /// Fails as the directory's list cannot be read or the file's cannot be kept.
    pub fn inherit_acls<I: WritableInode<FileSystem = T>>(&self, dir: &FsInode<T>) -> Result {
        let (mut default, mut access) = (ptr::null_mut(), ptr::null_mut());
        let mut mode = self.mode();
        // SAFETY:
        // - the directory is valid, and the places for what comes back are this function's;
        // - the references that come back are ours.
        let (default, access) = unsafe {
            to_result(bindings::rust_mpage_helper_acl_create(
                dir.as_raw(),
                &raw mut mode,
                &raw mut default,
                &raw mut access,
            ))?;
            (Acl::from_raw(default), Acl::from_raw(access))
        };
        if mode != self.mode() {
            set_mode::<I>(self.held(), mode);
        }
        for (kind, acl) in [(AclKind::Default, &default), (AclKind::Access, &access)] {
            match acl {
                // SAFETY: The list is ours for the time of the call.
                Some(acl) => unsafe { keep(self, kind, acl.acl.as_ptr()) }?,
                // SAFETY: The inode is valid.
                None => unsafe {
                    bindings::rust_mpage_helper_set_cached_acl(
                        self.as_raw(),
                        kind.into_raw(),
                        ptr::null_mut(),
                    )
                },
            }
        }
        Ok(())
    }
}

#[kernel::macros::kunit_tests(rust_mpage_acl)]
mod tests {
    use super::*;

    const OWNER: u16 = 1;
    const USER: u16 = 2;
    const GROUP_OWNER: u16 = 4;
    const MASK: u16 = 16;
    const OTHER: u16 = 32;

    fn entry(tag: u16, permissions: u16, id: u32) -> AclEntry {
        AclEntry {
            tag,
            permissions,
            id,
        }
    }

    #[test]
    fn entries_come_back() -> Result {
        let all = [
            entry(OWNER, 7, 0),
            entry(USER, 5, 1000),
            entry(GROUP_OWNER, 4, 0),
            entry(MASK, 5, 0),
            entry(OTHER, 0, 0),
        ];
        let acl = Acl::new(all.len(), all.iter().copied())?;

        assert!(acl.entries().eq(all));
        Ok(())
    }

    #[test]
    fn lists_that_make_no_sense_are_none() {
        let error = |all: &[AclEntry]| Acl::new(all.len(), all.iter().copied()).err();
        let least = [
            entry(OWNER, 7, 0),
            entry(GROUP_OWNER, 0, 0),
            entry(OTHER, 0, 0),
        ];

        assert_eq!(error(&least), None);
        assert_eq!(error(&[]), Some(EINVAL));
        // Nobody, in another order, and more than there is.
        assert_eq!(error(&[entry(OWNER, 7, 0)]), Some(EINVAL));
        assert_eq!(error(&[least[2], least[1], least[0]]), Some(EINVAL));
        assert_eq!(
            error(&[entry(OWNER, 8, 0), least[1], least[2]]),
            Some(EINVAL)
        );
        // One that is not there.
        assert_eq!(Acl::new(4, least.iter().copied()).err(), Some(EINVAL));
        // A named user without a mask.
        assert_eq!(
            error(&[least[0], entry(USER, 7, 1000), least[1], least[2]]),
            Some(EINVAL)
        );
    }
}
