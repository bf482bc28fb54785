// SPDX-License-Identifier: GPL-2.0

//! What `ioctl(2)` asks of files and directories, besides what the VFS answers by itself.
//!
//! C headers: [`include/uapi/linux/fs.h`](srctree/include/uapi/linux/fs.h),
//! [`include/linux/mount.h`](srctree/include/linux/mount.h)
//!
//! Locks: `i_rwsem` exclusively while a version is set.
//!
//! Left out: flags, which are the VFS's, and ask [`WritableInode`].
//!
//! C counterpart: `ext2_ioctl()`, `ext2_compat_ioctl()`.

use super::WritableInode;
use crate::{
    abstractions::fs::{
        FsInode,
        InodeType, //
    },
    bindings, //
};
use core::marker::PhantomData;
use kernel::{
    error::to_result,
    ffi::{
        c_long,
        c_uint, //
    },
    ioctl::{
        _IOR,
        _IOW, //
    },
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// What files and directories answer to `ioctl(2)`.
///
/// Each has a version, which is its [generation](crate::fs::InodeView::generation). The rest is for
/// filesystems that keep blocks free for files that grow; the others leave it as it is.
///
/// Locks: none is held.
pub trait IoctlOperations: WritableInode {
    /// How many blocks are kept free for the file at a time; [`None`] if none are, for now or ever.
    fn reserved_blocks(inode: &FsInode<Self::FileSystem>) -> Option<u32> {
        let _ = inode;
        None
    }

    /// Whether that can be set of the file.
    fn can_reserve_blocks(inode: &FsInode<Self::FileSystem>) -> bool {
        let _ = inode;
        false
    }

    /// Sets it; what is more than can be is the most that can be. Called only if it can be set, and
    /// with the filesystem held writable.
    fn reserve_blocks(inode: &FsInode<Self::FileSystem>, blocks: u32) {
        let _ = (inode, blocks);
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    GetVersion,
    SetVersion,
    GetReserved,
    SetReserved,
}

impl Command {
    /// Numbers as they are for an argument of type `T`, which is that of a `long`: but what is
    /// there is an `int`, for all of them and everybody.
    fn of<T>(number: c_uint) -> Option<Self> {
        [
            (_IOR::<T>(b'v'.into(), 1), Self::GetVersion),
            (_IOW::<T>(b'v'.into(), 2), Self::SetVersion),
            (_IOR::<T>(b'f'.into(), 5), Self::GetReserved),
            (_IOW::<T>(b'f'.into(), 6), Self::SetReserved),
        ]
        .into_iter()
        .find(|&(known, _)| known == number)
        .map(|(_, command)| command)
    }
}

/// A filesystem is held writable through an open file.
///
/// # Invariants
///
/// The file is open for as long as the value lives, which has write access to its mount.
#[must_use = "the access is given back"]
struct WriteAccess(*mut bindings::file);

impl WriteAccess {
    /// C: `mnt_want_write_file()`.
    ///
    /// # Safety
    ///
    /// The file must be open, and stay so for longer than the value lives.
    unsafe fn new(file: *mut bindings::file) -> Result<Self> {
        // SAFETY: By the safety requirements.
        to_result(unsafe { bindings::mnt_want_write_file(file) })?;
        // INVARIANT: As just asked for.
        Ok(Self(file))
    }
}

impl Drop for WriteAccess {
    fn drop(&mut self) {
        // SAFETY: The file is open, and the access ours by the type invariants.
        unsafe { bindings::mnt_drop_write_file(self.0) }
    }
}

/// How files and directories answer that are an `I`.
pub(in crate::abstractions::fs) struct IoctlVTable<I>(PhantomData<I>);

impl<I: IoctlOperations> IoctlVTable<I> {
    /// # Safety
    ///
    /// Called by the VFS with an open file of the filesystem.
    pub(in crate::abstractions::fs) unsafe extern "C" fn ioctl_callback(
        file: *mut bindings::file,
        number: c_uint,
        argument: usize,
    ) -> c_long {
        match Command::of::<c_long>(number) {
            // SAFETY: The VFS keeps the file open for the call.
            Some(command) => result(unsafe { Self::answer(file, command, argument) }),
            None => ENOTTY.to_errno() as c_long,
        }
    }

    /// The same of programs of 32 bits, which have other numbers for it. C has those of versions
    /// only; ext4 has all.
    ///
    /// # Safety
    ///
    /// As of `ioctl_callback`.
    pub(in crate::abstractions::fs) unsafe extern "C" fn compat_callback(
        file: *mut bindings::file,
        number: c_uint,
        argument: usize,
    ) -> c_long {
        match Command::of::<i32>(number) {
            // SAFETY:
            // - the helper converts a number, whatever it is;
            // - the VFS keeps the file open for the call.
            Some(command) => result(unsafe {
                let argument = bindings::rust_mpage_helper_compat_ptr(argument);
                Self::answer(file, command, argument)
            }),
            // The VFS goes on.
            None => ENOIOCTLCMD.to_errno() as c_long,
        }
    }

    /// # Safety
    ///
    /// `file` must be an open file of the filesystem.
    unsafe fn answer(file: *mut bindings::file, command: Command, argument: usize) -> Result {
        let argument = UserSlice::new(UserPtr::from_addr(argument), size_of::<i32>());
        // SAFETY: The file is open, and of the filesystem; it keeps its inode.
        let inode = unsafe { FsInode::<I::FileSystem>::from_raw((*file).f_inode) };

        match command {
            Command::GetVersion => argument.writer().write(&inode.generation()),
            Command::SetVersion => {
                // SAFETY: The file is open by the safety requirements.
                unsafe { Self::check_owner(file, EPERM)? };
                // SAFETY: The file is open until this returns.
                let _access = unsafe { WriteAccess::new(file)? };
                let generation = argument.reader().read::<u32>()?;
                Self::set_version(inode, generation);
                Ok(())
            }
            Command::GetReserved => {
                let blocks = I::reserved_blocks(inode).ok_or(ENOTTY)?;
                argument.writer().write(&blocks)
            }
            Command::SetReserved => {
                if !I::can_reserve_blocks(inode) {
                    return Err(ENOTTY);
                }
                // SAFETY: The file is open by the safety requirements.
                unsafe { Self::check_owner(file, EACCES)? };
                let blocks = argument.reader().read::<u32>()?;
                // SAFETY: The file is open until this returns.
                let _access = unsafe { WriteAccess::new(file)? };
                I::reserve_blocks(inode, blocks);
                Ok(())
            }
        }
    }

    /// `error` unless the caller owns the file or may do as if. C: `inode_owner_or_capable()`.
    ///
    /// # Safety
    ///
    /// `file` must be an open file.
    unsafe fn check_owner(file: *mut bindings::file, error: Error) -> Result {
        // SAFETY:
        // - an open file has a mount, and that its map of owners;
        // - it keeps its inode, too, which is looked at with that map.
        let may = unsafe {
            let idmap = bindings::rust_mpage_helper_file_mnt_idmap(file);
            bindings::inode_owner_or_capable(idmap, (*file).f_inode)
        };
        match may {
            true => Ok(()),
            false => Err(error),
        }
    }

    fn set_version(inode: &FsInode<I::FileSystem>, generation: u32) {
        inode.with_lock(|inode| {
            inode.set_ctime_now();
            inode.set_generation(generation);
        });
        inode.mark_dirty();
    }
}

fn result(result: Result) -> c_long {
    match result {
        Ok(()) => 0,
        Err(error) => error.to_errno() as c_long,
    }
}

#[kernel::macros::kunit_tests(rust_mpage_ioctl)]
mod tests {
    use super::*;

    /// `FS_IOC_GETVERSION` and so on, of 64 bits and of 32.
    #[test]
    fn numbers_are_those_of_the_headers() {
        let of = [
            (0x8008_7601, 0x8004_7601, Command::GetVersion),
            (0x4008_7602, 0x4004_7602, Command::SetVersion),
            (0x8008_6605, 0x8004_6605, Command::GetReserved),
            (0x4008_6606, 0x4004_6606, Command::SetReserved),
        ];
        for (wide, narrow, command) in of {
            assert_eq!(Command::of::<u64>(wide), Some(command));
            assert_eq!(Command::of::<i32>(narrow), Some(command));
            assert_eq!(Command::of::<u64>(narrow), None);
            assert_eq!(Command::of::<i32>(wide), None);
        }
        // FS_IOC_GETFLAGS
        assert_eq!(Command::of::<u64>(0x8008_6601), None);
    }
}
