// SPDX-License-Identifier: GPL-2.0

//! What a filesystem is to the kernel: a type that can be mounted.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/fs_context.h`](srctree/include/linux/fs_context.h)
//!
//! Left out: filesystems without a block device.

use super::{
    module::is_static,
    request::MountRequest,
    super_block,
    type_name::is_type_name,
    write,
    AccessChange,
    NewSuperBlock,
    Parameters,
    StatFs,
    Value,
    WriteTable, //
};
use crate::{
    abstractions::fs::{
        inode::InodeCache,
        FileSystem,
        InodeRef,
        Level,
        SuperBlock, //
    },
    bindings, //
};
use core::{
    marker::PhantomData,
    mem::offset_of,
    pin::Pin,
    ptr, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    seq_file::SeqFile,
    types::{
        ForeignOwnable,
        Opaque, //
    },
};

/// Whether a filesystem can be written to.
pub enum Access<T: 'static> {
    /// A request to mount it for writing becomes a read-only mount, with a notice; a request to
    /// remount it for writing fails with `EROFS`.
    ReadOnly,
    /// As the user asks.
    ReadWrite(WriteTable<T>),
}

impl<T> Access<T> {
    fn is_read_only(&self) -> bool {
        matches!(self, Self::ReadOnly)
    }
}

/// Why a context is made.
pub enum Purpose<'a, T> {
    /// To mount a filesystem.
    Mount,
    /// To change the options of a mounted one.
    Reconfigure(&'a SuperBlock<T>),
}

/// A filesystem that can be mounted.
///
/// Locks: `fill_super`, `root` and `reconfigure` are called with `s_umount` held exclusively;
/// `context`, when somebody has all filesystems remounted for reading only by SysRq, with it, too,
/// and otherwise as `parameters`, `parameter`, `statfs` and `show_options` without any lock of the
/// filesystem.
pub trait MountableFileSystem: FileSystem {
    /// Whether it can be written to.
    const ACCESS: Access<Self>;

    /// What it collects of the mount options before it acts on them.
    type Context: Send;

    /// What it calls its mount parameters.
    type Parameter: Copy + Sync;

    /// Its mount parameters.
    fn parameters() -> Parameters<Self::Parameter>;

    /// A context with nothing asked for yet.
    fn context(purpose: Purpose<'_, Self>) -> Result<Self::Context>;

    /// Takes note of one parameter.
    fn parameter(
        context: &mut Self::Context,
        mount: &MountRequest<'_, Self>,
        parameter: Self::Parameter,
        value: Value,
    ) -> Result;

    /// Reads the filesystem and checks it.
    fn fill_super(
        sb: &mut NewSuperBlock<'_, Self>,
        context: &mut Self::Context,
    ) -> Result<Pin<KBox<Self::Data>>>;

    /// The root directory of a filesystem that [`Self::fill_super`] has read.
    fn root(sb: &SuperBlock<Self>) -> Result<InodeRef<'_, Self>>;

    /// Changes the options of a mounted filesystem, and what `change` says. If it can be written
    /// to, everything that was dirty has been written.
    fn reconfigure(
        sb: &SuperBlock<Self>,
        mount: &MountRequest<'_, Self>,
        context: &mut Self::Context,
        change: AccessChange,
    ) -> Result;

    /// Answers `statfs(2)`.
    fn statfs(sb: &SuperBlock<Self>) -> Result<StatFs>;

    /// Shows the options in `/proc/mounts`, each with a comma before it.
    fn show_options(sb: &SuperBlock<Self>, out: &SeqFile) -> Result;
}

/// A filesystem type that is registered.
///
/// It is part of the module's own state, which the kernel initialises in place, and drops when
/// nobody uses the module, and so no such filesystem is mounted. Who mounts one before the module
/// is up waits for that, so other parts of it may fail still. Also the lock classes in `struct
/// file_system_type` have to be in static memory.
///
/// # Invariants
///
/// If there is a `cache`, then `fs_type` is registered, or the name was taken.
#[pin_data(PinnedDrop)]
pub struct Registration<T: MountableFileSystem> {
    #[pin]
    fs_type: Opaque<bindings::rust_mpage_fs_type>,
    // Dropped after `PinnedDrop::drop`: no filesystem is mounted any more.
    cache: Option<InodeCache<T>>,
}

// SAFETY: A filesystem type may be unregistered by any thread.
unsafe impl<T: MountableFileSystem> Send for Registration<T> {}
// SAFETY: There is nothing to do with a shared reference.
unsafe impl<T: MountableFileSystem> Sync for Registration<T> {}

impl<T: MountableFileSystem> Registration<T> {
    /// Registers the filesystem `T` under `name`.
    ///
    /// Fails with `EINVAL` if it is not part of the state of `module`, or the name has a dot, which
    /// subtypes begin with; with `EBUSY` if there is a filesystem of that name.
    pub fn new(name: &'static CStr, module: &'static ThisModule) -> impl PinInit<Self, Error> {
        Self::try_new(Some(name), module, Err)
    }

    /// Registers the filesystem `T` under one more name, or not at all without one, or if there is
    /// a filesystem of that name, which the log says.
    ///
    /// Fails with `EINVAL` as [`Self::new`].
    pub fn also(
        name: Option<&'static CStr>,
        module: &'static ThisModule,
    ) -> impl PinInit<Self, Error> {
        Self::try_new(name, module, move |error| {
            if error != EBUSY {
                return Err(error);
            }
            let name = name.unwrap_or(T::NAME);
            pr_notice!(
                "{own}: there is a filesystem {name} already, this is {own} only\n",
                own = T::NAME
            );
            Ok(())
        })
    }

    /// Registers it, or lets `refused` decide about the error.
    fn try_new(
        name: Option<&'static CStr>,
        module: &'static ThisModule,
        refused: impl FnOnce(Error) -> Result,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            cache: name.map(InodeCache::new).transpose()?,
            fs_type <- {
                let raw_cache = cache.as_ref().map_or(ptr::null_mut(), InodeCache::as_raw);
                Opaque::try_ffi_init(move |slot: *mut bindings::rust_mpage_fs_type| {
                    let Some(name) = name else {
                        return Ok(());
                    };
                    let type_ = bindings::file_system_type {
                        name: name.as_char_ptr(),
                        fs_flags: bindings::FS_REQUIRES_DEV as c_int,
                        init_fs_context: Some(ContextVTable::<T>::init_callback),
                        parameters: T::parameters().as_raw().cast(),
                        kill_sb: Some(bindings::kill_block_super),
                        owner: module.as_ptr(),
                        ..pin_init::zeroed()
                    };
                    if !is_type_name(name) || !is_static(slot, module) {
                        return Err(EINVAL);
                    }
                    // SAFETY: The slot is ours to write. It is pinned, and unregistered before it
                    // goes away.
                    let registered = unsafe {
                        slot.write(bindings::rust_mpage_fs_type {
                            type_,
                            cache: raw_cache,
                            ..pin_init::zeroed()
                        });
                        to_result(bindings::rust_mpage_register_filesystem(slot))
                    };
                    registered.or_else(refused)
                })
            },
        }? Error)
    }
}

#[pinned_drop]
impl<T: MountableFileSystem> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        if self.cache.is_some() {
            // SAFETY:
            // - the type is registered by the type invariants, or that has been tried;
            // - it is a field of `self`, and nobody else changes `owner`; who has mounted such a
            //   filesystem is seen in the list, if he was done before.
            let (is_mounted, owner) = unsafe {
                bindings::rust_mpage_unregister_filesystem(self.fs_type.get());
                let fs_type = &raw const (*self.fs_type.get()).type_;
                (!(*fs_type).fs_supers.first.is_null(), (*fs_type).owner)
            };
            // SAFETY: The module is valid: its state is what is dropped. Who has found the type
            // before, while the module was coming up, is told not to wait, and lets go of it.
            unsafe { bindings::rust_mpage_wait_for_users(owner.cast()) };
            if is_mounted {
                // Not dropped with the module.
                pr_err!("{}: unregistered while mounted\n", T::NAME);
                core::mem::forget(self.project().cache.take());
            }
        }
    }
}

/// The inode cache of the registration that `fs_type` is part of.
///
/// # Safety
///
/// `fs_type` must be registered by a [`Registration`] of `T`, and a filesystem of it be mounted or
/// being filled for `'a`.
pub(super) unsafe fn cache_of<'a, T: MountableFileSystem>(
    fs_type: *mut bindings::file_system_type,
) -> Option<&'a InodeCache<T>> {
    // SAFETY: The type is a field of a registration, which outlives its mounts because they hold
    // the module. `cache` is initialised before the type is registered and does not change.
    unsafe {
        let registration: *const Registration<T> = fs_type
            .byte_sub(offset_of!(Registration<T>, fs_type))
            .cast();
        (*ptr::addr_of!((*registration).cache)).as_ref()
    }
}

/// The operations of a context.
struct ContextVTable<T>(PhantomData<T>);

impl<T: MountableFileSystem> ContextVTable<T> {
    const OPERATIONS: bindings::fs_context_operations = bindings::fs_context_operations {
        free: Some(Self::free_callback),
        parse_param: Some(Self::parse_param_callback),
        get_tree: Some(Self::get_tree_callback),
        reconfigure: Some(Self::reconfigure_callback),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Called with a new context, and `root` set if it is for a reconfiguration.
    ///
    /// Waits until the module is up: if it fails to come up, it goes with who has mounted something
    /// of it. Fails with `ENODEV` then, with `EINTR` if the task is being killed.
    unsafe extern "C" fn init_callback(fc: *mut kernel::bindings::fs_context) -> c_int {
        let fc = fc.cast::<bindings::fs_context>();
        from_result(|| {
            // SAFETY: The context is valid, and has a reference to its type, and that to its
            // module.
            to_result(unsafe {
                bindings::rust_mpage_wait_until_up((*(*fc).fs_type).owner.cast())
            })?;
            // SAFETY:
            // - `fc` is valid, and its purpose does not change;
            // - if it is for a reconfiguration, `root` belongs to a mounted filesystem of `T`.
            let purpose = unsafe {
                let purpose = bindings::fs_context::purpose_raw(fc);
                if purpose == bindings::fs_context_purpose_FS_CONTEXT_FOR_RECONFIGURE {
                    Purpose::Reconfigure(super_block::of_context::<T>(fc))
                } else {
                    Purpose::Mount
                }
            };
            let context = KBox::new(T::context(purpose)?, GFP_KERNEL)?;
            // SAFETY: `fc` is valid and ours, so its fields may be set.
            unsafe {
                (*fc).fs_private = context.into_foreign();
                (*fc).ops = &Self::OPERATIONS;
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `fc` must be a context that `init_callback` has initialised, and not shared for `'a`.
    unsafe fn context<'a>(fc: *mut bindings::fs_context) -> &'a mut T::Context {
        // SAFETY: `fs_private` is a box of the context by the safety requirements; the VFS
        // serialises the operations of a context.
        unsafe { &mut *(*fc).fs_private.cast::<T::Context>() }
    }

    /// # Safety
    ///
    /// Called once, last, for a context that `init_callback` has initialised.
    unsafe extern "C" fn free_callback(fc: *mut bindings::fs_context) {
        // SAFETY: `fs_private` was set from a box by `init_callback`; this is the last use.
        unsafe { drop(KBox::<T::Context>::from_foreign((*fc).fs_private)) }
    }

    /// # Safety
    ///
    /// Called for a context that `init_callback` has initialised.
    unsafe extern "C" fn parse_param_callback(
        fc: *mut bindings::fs_context,
        parameter: *mut bindings::fs_parameter,
    ) -> c_int {
        from_result(|| {
            // SAFETY: The pointers are this operation's arguments.
            let (option, value) = unsafe { T::parameters().parse(fc, parameter)? };
            // SAFETY: This operation has the context for itself.
            let context = unsafe { Self::context(fc) };
            // SAFETY: The context is valid for the call, and this operation has it for itself.
            let request = unsafe { MountRequest::new(fc) };
            T::parameter(context, &request, option, value).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// Called for a context that `init_callback` has initialised.
    unsafe extern "C" fn get_tree_callback(fc: *mut bindings::fs_context) -> c_int {
        // SAFETY:
        // - the context is valid, and this operation's to change and to tell something;
        // - `fill_super_callback` is for the filesystem that it is of, and is passed it on.
        unsafe {
            let read_only = bindings::RUST_MPAGE_SB_RDONLY as c_uint;
            if T::ACCESS.is_read_only() && (*fc).sb_flags & read_only == 0 {
                let request = MountRequest::<T>::new(fc);
                request.message(Level::Notice, fmt!("no write support, mounting read-only"));
                (*fc).sb_flags |= read_only;
            }
            bindings::get_tree_bdev(fc, Some(Self::fill_super_callback))
        }
    }

    /// # Safety
    ///
    /// Called by `get_tree_bdev()` with a new superblock and the context.
    unsafe extern "C" fn fill_super_callback(
        sb: *mut bindings::super_block,
        fc: *mut bindings::fs_context,
    ) -> c_int {
        from_result(|| {
            // SAFETY: The superblock is new and has its device; the context is this operation's.
            unsafe { super_block::fill::<T>(sb, (*fc).log.log, Self::context(fc)) }.map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// Called for a context that `init_callback` has initialised for a mounted filesystem.
    unsafe extern "C" fn reconfigure_callback(fc: *mut bindings::fs_context) -> c_int {
        from_result(|| {
            // SAFETY:
            // - the context is for a reconfiguration of a filesystem `T`;
            // - this operation has what `init_callback` has left in it for itself;
            // - it is valid, and nobody else changes its flags during the call.
            let (sb, context, mask, flags) = unsafe {
                (
                    super_block::of_context::<T>(fc),
                    Self::context(fc),
                    (*fc).sb_flags_mask,
                    (*fc).sb_flags,
                )
            };
            // SAFETY: The context is valid for the call, and this operation has it for itself.
            let mount = unsafe { MountRequest::new(fc) };
            let read_only = bindings::RUST_MPAGE_SB_RDONLY as c_uint;
            let wants_read_only = (mask & read_only != 0).then_some(flags & read_only != 0);
            if T::ACCESS.is_read_only() && wants_read_only == Some(false) {
                mount.message(
                    Level::Error,
                    fmt!("error: cannot be remounted read-write, there is no write support"),
                );
                return Err(EROFS);
            }
            if !T::ACCESS.is_read_only() {
                // SAFETY: reconfigure_super() is called with `s_umount` held. An error is kept in
                // the mapping of the device or the file, for those who sync these.
                let _ = unsafe { write::sync_filesystem(sb) };
            }
            let change = AccessChange::of(sb.is_read_only(), wants_read_only);
            // SAFETY: `s_umount` is held.
            unsafe { reconfigure(sb, &mount, context, change) }.map(|()| 0)
        })
    }
}

/// Calls [`MountableFileSystem::reconfigure`], quota being suspended before and resumed afterwards.
///
/// # Safety
///
/// `s_umount` must be held exclusively.
unsafe fn reconfigure<T: MountableFileSystem>(
    sb: &SuperBlock<T>,
    mount: &MountRequest<'_, T>,
    context: &mut T::Context,
    change: AccessChange,
) -> Result {
    let access = T::ACCESS;
    let quota = match &access {
        Access::ReadOnly => None,
        Access::ReadWrite(table) => table.quota(),
    };
    if let Some(quota) = quota.filter(|_| change == AccessChange::ToReadOnly) {
        // SAFETY: By the safety requirements.
        unsafe { quota.suspend(sb)? };
    }
    let result = T::reconfigure(sb, mount, context, change);
    if let Some(quota) = quota.filter(|_| change.lets_quota_go_on(result.is_ok())) {
        let tell = |whose: &str, error: Error| {
            let errno = error.to_errno();
            mount.message(
                Level::Error,
                fmt!("error: quota of {whose} cannot be turned on again: error {errno}"),
            );
        };
        // SAFETY: By the safety requirements.
        unsafe { quota.resume(sb, tell) };
    }
    result
}
