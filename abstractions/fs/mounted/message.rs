// SPDX-License-Identifier: GPL-2.0

//! Messages that name the filesystem and its device.
//!
//! C header: [`include/linux/printk.h`](srctree/include/linux/printk.h)

use crate::bindings;
use core::ptr;
use kernel::{
    fmt,
    prelude::*,
    types::Opaque, //
};

/// How important a message is, `KERN_*`.
#[derive(Clone, Copy)]
pub enum Level {
    /// `KERN_CRIT`.
    Critical,
    /// `KERN_ERR`.
    Error,
    /// `KERN_WARNING`.
    Warning,
    /// `KERN_NOTICE`.
    Notice,
    /// `KERN_INFO`.
    Info,
}

#[cfg(CONFIG_PRINTK)]
impl Level {
    fn format(self) -> &'static CStr {
        match self {
            Level::Critical => c"\x012%s (%s): %pA\n",
            Level::Error => c"\x013%s (%s): %pA\n",
            Level::Warning => c"\x014%s (%s): %pA\n",
            Level::Notice => c"\x015%s (%s): %pA\n",
            Level::Info => c"\x016%s (%s): %pA\n",
        }
    }
}

/// Prints `filesystem (device): message`.
///
/// # Safety
///
/// `device` must point to a NUL-terminated string.
#[cfg_attr(not(CONFIG_PRINTK), allow(unused_variables))]
pub(in crate::abstractions::fs) unsafe fn print(
    level: Level,
    filesystem: &CStr,
    device: *const c_char,
    message: fmt::Arguments<'_>,
) {
    // SAFETY: The format asks for two strings and, with %pA, for a pointer to the arguments, which
    // is what it gets.
    #[cfg(CONFIG_PRINTK)]
    unsafe {
        bindings::_printk(
            level.format().as_char_ptr(),
            filesystem.as_char_ptr(),
            device,
            ptr::from_ref(&message).cast::<c_void>(),
        );
    }
}

/// Puts `filesystem: message` where who mounts by `fsopen(2)` reads it; nothing if there is no
/// `log`, which is so for `mount(2)`. C: `errorf()`, `warnf()`, `infof()`.
///
/// # Safety
///
/// `log` must be null or point to the log of a context that no one else uses meanwhile.
pub(in crate::abstractions::fs) unsafe fn tell_mounter(
    log: *mut bindings::fc_log,
    level: Level,
    filesystem: &CStr,
    message: fmt::Arguments<'_>,
) {
    if log.is_null() {
        return;
    }
    let letter = match level {
        Level::Critical | Level::Error => b'e',
        Level::Warning => b'w',
        Level::Notice | Level::Info => b'i',
    };
    // SAFETY: The log is valid and ours for the call by the safety requirements. The format asks
    // for a pointer to the arguments, which are there for the call, and it makes a string of them.
    unsafe {
        bindings::logfc(
            log,
            filesystem.as_char_ptr(),
            letter as c_char,
            c"%pA".as_char_ptr(),
            ptr::from_ref(&message).cast::<c_void>(),
        );
    }
}

/// Lets through so many messages in a time, and counts the rest. C: `struct ratelimit_state`.
///
/// # Invariants
///
/// The state is initialised and does not move.
#[pin_data]
pub struct RateLimit {
    #[pin]
    state: Opaque<bindings::ratelimit_state>,
}

// SAFETY: `___ratelimit()` takes the state's own lock.
unsafe impl Send for RateLimit {}
// SAFETY: As above.
unsafe impl Sync for RateLimit {}

impl RateLimit {
    /// The default: 10 messages in 5 seconds.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: The slot is memory for a ratelimit state, which is initialised here.
            state <- Opaque::ffi_init(|slot| unsafe {
                bindings::rust_mpage_helper_ratelimit_default_init(slot)
            }),
        })
    }

    /// Whether a message may be printed now. Reports how many of `what` could not be.
    pub fn allows(&self, what: &'static CStr) -> bool {
        // SAFETY: The state is initialised by the type invariants.
        unsafe { bindings::___ratelimit(self.state.get(), what.as_char_ptr()) != 0 }
    }
}

/// Stops the machine, for an error of a filesystem on a device.
///
/// Inlined always: objtool knows of `panic()` that it does not return, and of no function of ours.
#[inline(always)]
pub(super) fn panic(filesystem: &CStr, device: &CStr) -> ! {
    // SAFETY: The format asks for two strings and gets them.
    unsafe {
        bindings::panic(
            c"%s (%s): panic from previous error\n".as_char_ptr(),
            filesystem.as_char_ptr(),
            device.as_char_ptr(),
        )
    }
}
