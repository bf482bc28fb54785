// SPDX-License-Identifier: GPL-2.0

//! How many bios have a completion in this module that has still to run.
//!
//! The mounts that use the library hold the module, and unmounting waits for every locked folio;
//! but the completion that unlocks the last folio is still running in this module when the waiter
//! wakes. Module exit therefore drains: it waits until no bio is in flight, and then until no task
//! can be executing the last instructions of a completion.

use crate::bindings;
use kernel::{
    sync::atomic::{
        Acquire, //
        Atomic,
        Relaxed,
        Release,
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};

static IN_FLIGHT: Atomic<i64> = Atomic::new(0);

/// A bio is about to be submitted.
#[inline(always)]
pub(super) fn begin() {
    IN_FLIGHT.fetch_add(1, Relaxed);
}

/// The bio's completion has nothing left to do.
#[inline(always)]
pub(super) fn end() {
    IN_FLIGHT.fetch_sub(1, Release);
}

/// Waits until no completion of this module is running or can still run.
///
/// No new bio may be submitted any more: called from module exit, when nothing holds the module.
/// May sleep.
pub fn wait_for_all() {
    while IN_FLIGHT.load(Acquire) != 0 {
        fsleep(Delta::from_millis(1));
    }
    // SAFETY: Process context, may sleep. A completion that has counted itself out may still have
    // its return ahead of it: in interrupt context or with preemption off it is over after this
    // grace period, and a preempted task is waited for because it has not scheduled voluntarily.
    unsafe { bindings::rust_mpage_helper_synchronize_rcu_tasks() };
    // SAFETY: Process context, may sleep.
    unsafe { bindings::synchronize_rcu() };
}
