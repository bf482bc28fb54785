// SPDX-License-Identifier: GPL-2.0

//! Modules, and what is in them.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)
//!
//! Locks: inside, the mutex of the list of registered types, when a module goes.

use crate::bindings;
use kernel::{
    error::to_result,
    prelude::*, //
};

/// Whether an object is part of a module, or of the kernel if the module is.
pub(crate) fn is_static<O>(object: *const O, module: &ThisModule) -> bool {
    // SAFETY: The module is valid; the object is not looked at.
    unsafe { bindings::rust_mpage_helper_is_static(object.cast(), module.as_ptr().cast()) }
}

/// Modules that go are seen to, whose filesystems are registered still: one that is kept where
/// nothing is dropped would be left with memory that is not the module's any more.
#[must_use = "nobody watches any more"]
pub(crate) struct ModuleWatch(());

impl ModuleWatch {
    /// Begins to watch. Fails with `EEXIST` if somebody does already.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: What is registered is static, and register_module_notifier() refuses what is
        // registered already.
        to_result(unsafe { bindings::rust_mpage_watch_modules() })?;
        Ok(Self(()))
    }
}

impl Drop for ModuleWatch {
    fn drop(&mut self) {
        // SAFETY: Begun in `new`, which is the only one that has.
        unsafe { bindings::rust_mpage_unwatch_modules() }
    }
}
