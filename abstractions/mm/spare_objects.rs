// SPDX-License-Identifier: GPL-2.0

//! Who has memory that can be done without, and how it is got back: when there is too much of it,
//! or when the machine needs memory.
//!
//! Those who have some are asked in turn, and who has used theirs since they were last asked is
//! passed over. So what nobody uses goes first, and using it costs no lock. Who has given up all
//! that it had is asked no more until it enters again, and only so many are asked at a time: there
//! may be very many, and who wants memory goes on where the last has stopped.
//!
//! The limit is for all, and so all are in one list and are asked in turn, whichever cgroup they
//! are of: with lists of cgroups only, those in the first would give what they use before the next
//! had been asked. There is a list for each cgroup, too, so that one at its limit gets its own
//! memory back, also if it has directories open whose names are known: else these would be a reason
//! to kill somebody. It is that of who was the first to know something; where others in another
//! cgroup have had more memory for it since, that is found when the machine is short of some.
//!
//! C header: [`include/linux/shrinker.h`](srctree/include/linux/shrinker.h)
//!
//! Nothing here calls the owner: it sees that its memory is gone when it looks. So it does not
//! matter to who wants memory what becomes of an owner meanwhile, and of the module that it is of.
//!
//! Locks: those of [`spare_lists`](super::spare_lists).

pub use super::spare_lists::SpareParts;
use super::{
    spare,
    spare_lists::{
        take,
        Asked,
        Holding, //
    },
};
use crate::bindings;
use core::ptr;
use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Relaxed, //
        },
        LockedBy, //
    },
};

/// Memory that its owner can do without, and what is there to be known of it, `P`; behind one lock.
///
/// Once it was [entered](Self::enter) the memory may be gone whenever nobody has the lock: then
/// `SpareParts` is empty, and the owner has to enter again.
///
/// Locks: a mutex. Memory reclaim only tries to take it.
pub struct Spare<P> {
    holding: ARef<Holding>,
    plain: LockedBy<P, SpareParts>,
}

impl<P> Spare<P> {
    /// No memory yet.
    pub fn new(plain: P) -> Result<Self> {
        let holding = Holding::new()?;
        Ok(Self {
            plain: LockedBy::new(&holding.parts, plain),
            holding,
        })
    }

    /// Does something with the memory and with what is known of it. May sleep.
    #[inline]
    pub fn with<R>(&self, act: impl FnOnce(&mut SpareParts, &mut P) -> R) -> R {
        let mut locked = self.holding.parts.lock();
        let mut parts = take(&mut locked);
        let result = act(&mut parts, self.plain.access_mut(&mut locked));
        *locked = parts;
        result
    }

    /// Says that the memory is used.
    #[inline]
    pub fn note_used(&self) {
        if self.holding.used.load(Relaxed) == 0 {
            self.holding.used.store(1, Relaxed);
        }
    }

    /// Whether the memory may be asked for: it has been entered, and was not given up since.
    #[inline]
    pub fn is_in(&self) -> bool {
        self.holding.is_in()
    }

    /// Has the memory asked for from now on, when there is need of some.
    pub fn enter(&self) {
        // Not only if it is not in: it may be about to be taken out, and its memory be gone.
        Holding::add(&self.holding);
    }

    /// Has it asked for no more.
    pub fn leave(&self) {
        if self.is_in() {
            self.holding.remove();
        }
    }
}

impl<P> Drop for Spare<P> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Frees so many bytes that were not used since they were last asked for, if there are. How many.
pub(super) fn give_up_unused(bytes: usize) -> usize {
    Asked::ALL.ask(1, bytes)
}

/// Whether there is a [`SpareMemory`], or was: 0 or 1.
struct Begun(Atomic<u32>);

static BEGUN: Begun = Begun(Atomic::new(0));

/// Memory that can be done without is there for as long as this is, and is given up when memory is
/// short.
///
/// # Invariants
///
/// `rust_mpage_spare_begin()` has been successful.
pub(crate) struct SpareMemory(());

/// Without a limit, memory is limited to this part of what the machine has.
const PART: usize = 32;

const KIB_SHIFT: u32 = 10;

impl SpareMemory {
    /// Begins to give out memory, up to a limit in KiB; a part of the machine's if it is negative.
    ///
    /// Fails with `EBUSY` the second time, and with `ENOMEM`.
    pub(crate) fn new(limit_kib: i64) -> Result<Self> {
        if BEGUN.0.cmpxchg(0, 1, Acquire).is_err() {
            return Err(EBUSY);
        }
        // SAFETY: Only the first to come gets here, and the functions are called with what any
        // shrinker is called with.
        to_result(unsafe {
            bindings::rust_mpage_spare_begin(
                size_of::<Holding>(),
                align_of::<Holding>(),
                Some(count_callback),
                Some(scan_callback),
            )
        })?;
        // SAFETY: May be called in any context.
        let machine = unsafe { bindings::rust_mpage_helper_totalram_bytes() };
        spare::set_limit(match usize::try_from(limit_kib) {
            Ok(kib) => kib.saturating_mul(1 << KIB_SHIFT),
            Err(_) => machine / PART,
        });
        // INVARIANT: It was successful.
        Ok(Self(()))
    }
}

impl Drop for SpareMemory {
    fn drop(&mut self) {
        spare::set_limit(0);
        // SAFETY: It has begun by the type invariants. No callback runs afterwards, and who has a
        // `Spare` is a module that goes before.
        unsafe { bindings::rust_mpage_spare_end() };
    }
}

/// What those who are asked have, in KiB, if all have the same: what each has is not known without
/// asking.
///
/// # Safety
///
/// Called by the kernel for a shrinker that is registered, with a valid control.
unsafe extern "C" fn count_callback(
    _shrinker: *mut bindings::shrinker,
    control: *mut bindings::shrink_control,
) -> c_ulong {
    // SAFETY: By the safety requirements.
    let own = unsafe { Asked::of(control) }.count();
    let all = Asked::ALL.count();
    if own == 0 {
        return c_ulong::MAX - 1; // SHRINK_EMPTY
    }
    let kib = spare::used().div_ceil(1 << KIB_SHIFT);
    kib.saturating_mul(own).div_ceil(all.max(own)) as c_ulong
}

/// # Safety
///
/// Called by the kernel for a shrinker that is registered, with a valid control.
unsafe extern "C" fn scan_callback(
    _shrinker: *mut bindings::shrinker,
    control: *mut bindings::shrink_control,
) -> c_ulong {
    // SAFETY: By the safety requirements.
    let wanted = unsafe { ptr::read(ptr::addr_of!((*control).nr_to_scan)) } as usize;

    // SAFETY: By the safety requirements.
    let asked = unsafe { Asked::of(control) };

    match asked.ask(2, wanted.saturating_mul(1 << KIB_SHIFT)) {
        0 => c_ulong::MAX, // SHRINK_STOP
        bytes => bytes.div_ceil(1 << KIB_SHIFT) as c_ulong,
    }
}

#[kernel::macros::kunit_tests(rust_mpage_spare_objects)]
mod tests {
    use super::super::{
        spare::SpareSlice,
        spare_lists::MOST_ASKED, //
    };
    use super::*;

    /// Eight words that nobody has used lately.
    fn idle() -> Result<Spare<u32>> {
        let spare = Spare::new(7)?;

        assert!(!spare.is_in());
        spare.enter();
        spare.with(|parts, _| parts.words = SpareSlice::zeroed(8));
        spare.holding.used.store(0, Relaxed);
        Ok(spare)
    }

    fn has_memory(spare: &Spare<u32>) -> bool {
        spare.with(|parts, _| parts.words.is_some())
    }

    fn ask(times: usize) {
        Asked::ALL.ask(times, usize::MAX);
    }

    #[test]
    fn who_has_used_theirs_is_passed_over_once() -> Result {
        let (idle, busy) = (idle()?, idle()?);

        busy.note_used();
        give_up_unused(usize::MAX);
        assert!(!has_memory(&idle) && !idle.is_in());
        assert_eq!(busy.holding.used.load(Relaxed), 0);
        give_up_unused(usize::MAX);
        assert!(!has_memory(&busy) && !busy.is_in());
        // What is known is the owner's.
        assert_eq!(busy.with(|_, plain| *plain), 7);
        Ok(())
    }

    #[test]
    fn who_has_given_up_all_is_asked_once() -> Result {
        let giver = idle()?;

        for _ in 0..2 {
            giver.enter();
            giver.enter();
            assert!(giver.is_in());
            let before = Asked::ALL.count();
            ask(2);
            assert!(Asked::ALL.count() < before && !giver.is_in());
            // It takes nobody else off.
            let before = Asked::ALL.count();
            giver.leave();
            assert_eq!(Asked::ALL.count(), before);
        }
        Ok(())
    }

    #[test]
    fn who_is_alone_in_a_cgroup_is_asked_as_often() -> Result {
        // Of the root cgroup, in which the threads of tests are, and the first node.
        let mut control: bindings::shrink_control = pin_init::zeroed();
        // SAFETY: The control is there for as long as the test.
        let root = unsafe { Asked::of(&mut control) };

        // Nobody else has any, unless directories are in use just now.
        for _ in 0..100 {
            ask(2);
        }
        let busy = idle()?;
        // Otherwise it is of another node.
        if Asked::ALL.count() == 1 && root.count() == 1 {
            busy.note_used();
            assert_eq!(root.ask(1, usize::MAX), 0);
            assert!(has_memory(&busy));
            busy.note_used();
            assert_eq!(root.ask(2, usize::MAX), 64);
            assert!(!has_memory(&busy) && !busy.is_in());
        }
        Ok(())
    }

    #[test]
    fn who_has_the_lock_is_not_robbed() -> Result {
        let spare = idle()?;

        spare.with(|parts, _| {
            ask(2);
            assert!(parts.words.is_some() && spare.is_in());
        });
        Ok(())
    }

    #[test]
    fn so_many_are_asked_at_a_time() -> Result {
        let mut list = KVec::new();

        for _ in 0..MOST_ASKED + 50 {
            list.push(idle()?, GFP_KERNEL)?;
        }
        let gone = || list.iter().filter(|one| !one.is_in()).count();
        ask(1);
        assert!(gone() <= MOST_ASKED);
        // And those who were not are asked next.
        ask(1);
        ask(1);
        assert_eq!(gone(), list.len());
        Ok(())
    }

    #[test]
    fn who_has_left_is_not_asked() -> Result {
        let gone = idle()?;

        gone.leave();
        ask(2);
        assert!(has_memory(&gone));
        Ok(())
    }

    #[test]
    fn the_memory_of_who_forgets_it_is_had() -> Result {
        let forgotten = idle()?;
        let holding = forgotten.holding.clone();

        let forgotten = core::mem::ManuallyDrop::new(forgotten);
        ask(2);
        assert!(holding.parts.lock().words.is_none());
        assert!(!holding.is_in());
        drop(core::mem::ManuallyDrop::into_inner(forgotten));
        Ok(())
    }

    #[test]
    fn there_is_one_of_it() {
        assert_eq!(SpareMemory::new(1).err(), Some(EBUSY));
    }
}
