// SPDX-License-Identifier: GPL-2.0

//! What memory allocations may do to get memory.
//!
//! C header: [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h)

use crate::bindings;
use kernel::ffi::c_uint;

/// A time in which allocations of this task do not enter filesystems.
#[must_use = "it has ended"]
struct Scope {
    before: c_uint,
}

impl Drop for Scope {
    fn drop(&mut self) {
        // SAFETY: The value is dropped by the task that made it, and scopes nest.
        unsafe { bindings::rust_mpage_helper_memalloc_nofs_restore(self.before) };
    }
}

/// Does something whose memory allocations must not write or drop anything of a filesystem to get
/// memory: they could wait for a lock or a folio that the caller has.
///
/// C: `memalloc_nofs_save()`, `memalloc_nofs_restore()`.
pub fn without_fs_reclaim<R>(work: impl FnOnce() -> R) -> R {
    let _scope = Scope {
        // SAFETY: Only changes flags of this task.
        before: unsafe { bindings::rust_mpage_helper_memalloc_nofs_save() },
    };
    work()
}
