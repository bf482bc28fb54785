// SPDX-License-Identifier: GPL-2.0

//! The superblock of a mounted filesystem, which the filesystem's data hangs on.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    message,
    FileSystem,
    Level, //
};
use crate::{
    abstractions::fs::AnySuperBlock,
    bindings, //
};
use core::{
    marker::PhantomData,
    ops::Deref, //
};
use kernel::{
    fmt,
    prelude::*, //
};

/// A superblock of the filesystem `T`.
///
/// # Invariants
///
/// As of [`AnySuperBlock`]; `s_fs_info` is what `Pin<KBox<T::Data>>::into_foreign()` returned, and
/// the data stays while a reference of this type lives.
#[repr(transparent)]
pub struct SuperBlock<T> {
    sb: AnySuperBlock,
    _filesystem: PhantomData<T>,
}

impl<T> Deref for SuperBlock<T> {
    type Target = AnySuperBlock;

    #[inline]
    fn deref(&self) -> &AnySuperBlock {
        &self.sb
    }
}

impl<T: FileSystem> SuperBlock<T> {
    /// Borrows a superblock from its C pointer.
    ///
    /// # Safety
    ///
    /// For `'a`, `ptr` must point to a superblock that the type invariants hold for.
    #[inline]
    pub unsafe fn from_raw<'a>(ptr: *mut bindings::super_block) -> &'a Self {
        // SAFETY: By the safety requirements; `Self` is a transparent wrapper.
        unsafe { &*ptr.cast() }
    }

    /// The filesystem's data.
    #[inline]
    pub fn data(&self) -> &T::Data {
        // SAFETY: By the type invariants, `s_fs_info` is a box of `T::Data` that stays.
        unsafe { &*(*self.as_raw()).s_fs_info.cast::<T::Data>() }
    }

    /// Prints a message that names the filesystem and the device.
    pub fn message(&self, level: Level, message: fmt::Arguments<'_>) {
        // SAFETY: `s_id` is NUL-terminated.
        unsafe { message::print(level, T::NAME, self.id().as_char_ptr(), message) }
    }

    /// Stops the machine: what the mount option `errors=panic` asks for.
    ///
    /// Inlined always: objtool knows of `panic()` that it does not return, and of no function of
    /// ours.
    #[inline]
    pub fn panic(&self) -> ! {
        message::panic(T::NAME, self.id())
    }
}
