// SPDX-License-Identifier: GPL-2.0

//! What a filesystem asks of the rest of the kernel: the time, chance, and what the current task
//! may do.
//!
//! C headers: [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h),
//! [`include/linux/random.h`](srctree/include/linux/random.h),
//! [`include/linux/capability.h`](srctree/include/linux/capability.h)

use crate::bindings;
use kernel::prelude::*;

/// The time in seconds since 1970. C: `ktime_get_real_seconds()`.
pub fn now() -> i64 {
    // SAFETY: May be called anywhere.
    unsafe { bindings::ktime_get_real_seconds() }
}

/// A random number. C: `get_random_u32()`.
pub fn random_u32() -> u32 {
    // SAFETY: May be called anywhere.
    unsafe { bindings::get_random_u32() }
}

/// A random number below `bound`; 0 if there is none. C: `get_random_u32_below()`.
pub fn random_below(bound: u32) -> u32 {
    // Every value is as likely as the others, but for one in 2^32.
    ((u64::from(random_u32()) * u64::from(bound)) >> u32::BITS) as u32
}

/// Whether the current task may use what is reserved. C: `capable(CAP_SYS_RESOURCE)`.
pub fn capable_sys_resource() -> bool {
    capable(bindings::RUST_MPAGE_CAP_SYS_RESOURCE)
}

/// Whether the current task may administer the system. C: `capable(CAP_SYS_ADMIN)`.
pub fn capable_sys_admin() -> bool {
    capable(bindings::RUST_MPAGE_CAP_SYS_ADMIN)
}

fn capable(capability: c_int) -> bool {
    // SAFETY: Reads the current task's own credentials.
    unsafe { bindings::rust_mpage_helper_capable(capability) }
}

/// The number of the current task. C: `current->pid`.
pub fn current_pid() -> u32 {
    // SAFETY: Reads a field of the current task that does not change.
    unsafe { bindings::rust_mpage_helper_current_pid() }
}
