// SPDX-License-Identifier: GPL-2.0

//! How many bios have a completion in this module that has still to run.
//!
//! The mounts that use the library hold the module, and unmounting waits for every locked folio;
//! but the completion that unlocks the last folio is still running in this module when the waiter
//! wakes. Module exit therefore drains: it waits until no bio is in flight, and then until no task
//! can be executing the last instructions of a completion.
//!
//! Each processor counts by itself. A bio may end on another processor than it began on, so only
//! the sum means something, and only while no bio begins: the beginnings are all in it then, and an
//! end that it misses makes it too large.

use crate::bindings;
use kernel::time::{
    delay::fsleep,
    Delta, //
};

/// A bio is about to be submitted.
#[inline]
pub(super) fn begin() {
    // SAFETY: May be called in any context.
    unsafe { bindings::rust_mpage_helper_bio_begins() }
}

/// The bio's completion has nothing left to do.
#[inline]
pub(super) fn end() {
    // SAFETY: May be called in any context.
    unsafe { bindings::rust_mpage_helper_bio_ended() }
}

/// How many bios are in flight, or more, while none begins.
fn at_most() -> isize {
    // SAFETY: May be called in any context.
    unsafe { bindings::rust_mpage_helper_bios_in_flight() }
}

/// Waits until no completion of this module is running, or can still run, of a bio that was
/// submitted before. Of module exit, where none is submitted any more: what is submitted meanwhile
/// is waited for or not. May sleep.
pub(crate) fn wait_for_all() {
    while at_most() != 0 {
        fsleep(Delta::from_millis(1));
    }
    // SAFETY: Process context, may sleep. A completion that has counted itself out may still have
    // its return ahead of it: in interrupt context or with preemption off it is over after this
    // grace period, and a preempted task is waited for because it has not scheduled voluntarily.
    // What it did before it counted is over then, too.
    unsafe { bindings::rust_mpage_helper_synchronize_rcu_tasks() };
    // SAFETY: Process context, may sleep.
    unsafe { bindings::synchronize_rcu() };
}

#[kernel::macros::kunit_tests(rust_mpage_in_flight)]
mod tests {
    use super::{
        at_most,
        begin,
        end, //
    };

    /// Bios of others may begin and end meanwhile, but not thousands.
    #[test]
    fn what_has_begun_is_in_flight_until_it_ends() {
        const MANY: isize = 1 << 20;
        let before = at_most();
        (0..MANY).for_each(|_| begin());
        assert!((at_most() - before - MANY).abs() < MANY / 2);
        (0..MANY).for_each(|_| end());
        assert!((at_most() - before).abs() < MANY / 2);
    }
}
