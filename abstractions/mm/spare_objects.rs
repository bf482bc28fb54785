// SPDX-License-Identifier: GPL-2.0

//! Who has memory that can be done without, and how it is got back: when there is too much of it,
//! or when the machine needs memory.
//!
//! Those who have some are asked in turn, and who has used theirs since they were last asked is
//! passed over. So what nobody uses goes first, and using it costs no lock. Who has given up all
//! that it had is asked no more until it enters again, and only so many are asked at a time: there
//! may be very many, and who wants memory goes on where the last has stopped.
//!
//! C header: [`include/linux/shrinker.h`](srctree/include/linux/shrinker.h)
//!
//! Nothing here calls the owner: it sees that its memory is gone when it looks. So it does not
//! matter to who wants memory what becomes of an owner meanwhile, and of the module that it is of.
//!
//! Locks: `OBJECTS`, a spinlock, inside of the mutex of a [`Spare`]. No memory is allocated or
//! freed with it held, and of who is asked the mutex is only tried: so memory reclaim may come here
//! from anywhere.
//!
//! Left out: what belongs to which cgroup. A cgroup at its limit gets none, or gets it back with
//! the inodes that have it.

use super::{
    reclaim::without_fs_reclaim,
    spare::{
        self,
        SpareSlice, //
    },
};
use crate::bindings;
use core::{
    ptr,
    ptr::NonNull, //
};
use kernel::{
    new_mutex,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode,
        RBTreeNodeReservation, //
    },
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc,
        LockedBy,
        Mutex, //
    },
};

/// Memory of one owner.
#[derive(Default)]
pub struct SpareParts {
    /// Words.
    pub words: Option<SpareSlice<u64>>,
    /// Bytes.
    pub bytes: Option<SpareSlice<u8>>,
}

impl SpareParts {
    fn len(&self) -> usize {
        self.words.as_ref().map_or(0, |words| size_of_val(&**words))
            + self.bytes.as_ref().map_or(0, |bytes| bytes.len())
    }
}

/// Takes the memory out.
fn take(parts: &mut SpareParts) -> SpareParts {
    core::mem::take(parts)
}

/// What the list has of an owner: nothing of the owner's own, which may be code of a module that
/// goes.
#[pin_data]
struct Holding {
    /// Whether it was used since this was asked last: 0 or 1.
    used: Atomic<u32>,
    /// Its number in the list, or [`NOT_IN`]. Changes with `OBJECTS` locked.
    number: Atomic<u64>,
    #[pin]
    parts: Mutex<SpareParts>,
}

impl Holding {
    /// Not generic: lockdep wants one name for the mutex, and each crate has its own copy of one.
    #[inline(never)]
    fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                used: Atomic::new(1),
                number: Atomic::new(NOT_IN),
                parts <- new_mutex!(SpareParts::default(), "rust_mpage_spare"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }
}

const NOT_IN: u64 = 0;

/// Memory that its owner can do without, and what is there to be known of it, `P`; behind one lock.
///
/// Once it was [entered](Self::enter) the memory may be gone whenever nobody has the lock: then
/// `SpareParts` is empty, and the owner has to enter again.
///
/// Locks: a mutex. Memory reclaim only tries to take it.
pub struct Spare<P> {
    holding: Arc<Holding>,
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
        self.holding.number.load(Relaxed) != NOT_IN
    }

    /// Has the memory asked for from now on, when there is need of some. Whether it is: not if
    /// there is no memory for that.
    pub fn enter(&self) -> bool {
        if self.is_in() {
            return true;
        }
        let node = without_fs_reclaim(|| RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT));
        let (Ok(node), Some(mut objects)) = (node, objects()) else {
            return false;
        };
        // Another one may have been here meanwhile; its node is freed without the lock.
        let left_over = objects.insert(node, &self.holding);
        drop(objects);
        drop(left_over);
        true
    }

    /// Has it asked for no more.
    pub fn leave(&self) {
        if !self.is_in() {
            return;
        }
        let node = objects().and_then(|mut objects| objects.remove(&self.holding));
        drop(node);
    }
}

impl<P> Drop for Spare<P> {
    fn drop(&mut self) {
        self.leave();
    }
}

type Node = RBTreeNode<u64, Arc<Holding>>;

struct Objects {
    /// `None` as long as there were none.
    by_number: Option<RBTree<u64, Arc<Holding>>>,
    count: usize,
    next_number: u64,
    /// The number of who is asked next, or of one before.
    hand: u64,
}

kernel::sync::global_lock! {
    // SAFETY: Only used by `objects`, which has seen that it was initialised.
    unsafe(uninit) static OBJECTS: SpinLock<Objects> = Objects {
        by_number: None,
        count: 0,
        next_number: NOT_IN + 1,
        hand: 0,
    };
}

/// What has become of `OBJECTS`: it is [`UNUSED`], being initialised, or [`READY`].
struct State(Atomic<u32>);

static STATE: State = State(Atomic::new(UNUSED));
const UNUSED: u32 = 0;
const STARTED: u32 = 1;
const READY: u32 = 2;

fn objects() -> Option<kernel::sync::GlobalGuard<OBJECTS>> {
    (STATE.0.load(Acquire) == READY).then(|| OBJECTS.lock())
}

/// What has become of one who was asked.
enum Answer {
    /// It has used its memory, or cannot give it up now.
    Stays,
    /// It has left; its node, and what it has given up, are to be freed without the lock.
    Leaves(Node, SpareParts),
}

impl Objects {
    /// Inserts one. The node, if it is in already.
    fn insert(
        &mut self,
        node: RBTreeNodeReservation<u64, Arc<Holding>>,
        holding: &Arc<Holding>,
    ) -> Option<RBTreeNodeReservation<u64, Arc<Holding>>> {
        if holding.number.load(Relaxed) != NOT_IN {
            return Some(node);
        }
        let number = self.next_number;

        self.next_number += 1;
        self.count += 1;
        holding.number.store(number, Relaxed);
        // No number comes twice, so that nothing is replaced.
        self.by_number
            .get_or_insert_with(RBTree::new)
            .insert(node.into_node(number, holding.clone()));
        None
    }

    /// Removes one, if it is in.
    fn remove(&mut self, holding: &Holding) -> Option<Node> {
        let number = holding.number.xchg(NOT_IN, Relaxed);
        let node = self.by_number.as_mut()?.remove_node(&number)?;
        self.count -= 1;
        Some(node)
    }

    /// Asks the next one. `None` if there is none.
    fn ask_next(&mut self) -> Option<Answer> {
        let by_number = self.by_number.as_mut()?;
        if by_number.cursor_lower_bound(&self.hand).is_none() {
            self.hand = 0;
        }
        let cursor = by_number.cursor_lower_bound_mut(&self.hand)?;
        let (&number, holding) = cursor.current();

        self.hand = number.wrapping_add(1);
        if holding.used.xchg(0, Relaxed) != 0 {
            return Some(Answer::Stays);
        }
        let Some(parts) = holding.parts.try_lock().map(|mut parts| take(&mut parts)) else {
            return Some(Answer::Stays);
        };
        holding.number.store(NOT_IN, Relaxed);
        let (_, node) = cursor.remove_current();
        self.count -= 1;
        Some(Answer::Leaves(node, parts))
    }
}

/// How many are asked at a time at most.
const MOST_ASKED: usize = 256;

/// Asks each up to `times` times, or so many as are asked at a time, until `bytes` are free. How
/// many are.
fn ask(times: usize, bytes: usize) -> usize {
    let most = objects().map_or(0, |objects| objects.count.saturating_mul(times));
    let most = most.min(MOST_ASKED);
    let mut free = 0;

    for _ in 0..most {
        let Some(answer) = objects().and_then(|mut objects| objects.ask_next()) else {
            break;
        };
        // Freed here, without the lock.
        if let Answer::Leaves(node, parts) = answer {
            free += parts.len();
            drop((node, parts));
        }
        if free >= bytes {
            break;
        }
    }
    free
}

/// Frees so many bytes that were not used since they were last asked for, if there are. How many.
pub(super) fn give_up_unused(bytes: usize) -> usize {
    ask(1, bytes)
}

/// Memory that can be done without is there for as long as this is, and is given up when memory is
/// short.
///
/// # Invariants
///
/// `shrinker` is registered, and ours.
pub(crate) struct SpareMemory {
    shrinker: NonNull<bindings::shrinker>,
}

// SAFETY: A shrinker may be freed by any task.
unsafe impl Send for SpareMemory {}
// SAFETY: There is nothing to do with a shared reference.
unsafe impl Sync for SpareMemory {}

/// Without a limit, memory is limited to this part of what the machine has.
const PART: usize = 32;

const KIB_SHIFT: u32 = 10;

impl SpareMemory {
    /// Begins to give out memory, up to a limit in KiB; a part of the machine's if it is negative.
    ///
    /// Fails with `EBUSY` the second time, and with `ENOMEM`.
    pub(crate) fn new(limit_kib: i64) -> Result<Self> {
        if STATE.0.cmpxchg(UNUSED, STARTED, Acquire).is_err() {
            return Err(EBUSY);
        }
        // SAFETY: Only the first to come gets here.
        unsafe { OBJECTS.init() };
        STATE.0.store(READY, Release);

        // SAFETY: The function is called with callbacks that any shrinker may have.
        let shrinker = unsafe {
            bindings::rust_mpage_helper_shrinker(Some(count_callback), Some(scan_callback))
        };
        let shrinker = NonNull::new(shrinker).ok_or(ENOMEM)?;
        // SAFETY: May be called in any context.
        let machine = unsafe { bindings::rust_mpage_helper_totalram_bytes() };
        spare::set_limit(match usize::try_from(limit_kib) {
            Ok(kib) => kib.saturating_mul(1 << KIB_SHIFT),
            Err(_) => machine / PART,
        });
        // INVARIANT: The helper has registered it.
        Ok(Self { shrinker })
    }
}

impl Drop for SpareMemory {
    fn drop(&mut self) {
        spare::set_limit(0);
        // SAFETY: It is registered, and ours. No callback runs afterwards.
        unsafe { bindings::shrinker_free(self.shrinker.as_ptr()) };
    }
}

/// # Safety
///
/// Called by the kernel for a shrinker that is registered.
unsafe extern "C" fn count_callback(
    _shrinker: *mut bindings::shrinker,
    _control: *mut bindings::shrink_control,
) -> c_ulong {
    spare::used().div_ceil(1 << KIB_SHIFT) as c_ulong
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

    match ask(2, wanted.saturating_mul(1 << KIB_SHIFT)) {
        0 => c_ulong::MAX, // SHRINK_STOP
        bytes => bytes.div_ceil(1 << KIB_SHIFT) as c_ulong,
    }
}

#[kernel::macros::kunit_tests(rust_mpage_spare_objects)]
mod tests {
    use super::*;

    /// Eight words that nobody has used lately.
    fn idle() -> Result<Spare<u32>> {
        let spare = Spare::new(7)?;

        assert!(!spare.is_in() && spare.enter());
        spare.with(|parts, _| parts.words = SpareSlice::zeroed(8));
        spare.holding.used.store(0, Relaxed);
        Ok(spare)
    }

    fn has_memory(spare: &Spare<u32>) -> bool {
        spare.with(|parts, _| parts.words.is_some())
    }

    fn count() -> usize {
        objects().map_or(0, |objects| objects.count)
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
            assert!(giver.enter() && giver.is_in());
            let before = count();
            ask(2, usize::MAX);
            assert!(count() < before && !giver.is_in());
            // It takes nobody else off.
            let before = count();
            giver.leave();
            assert_eq!(count(), before);
        }
        Ok(())
    }

    #[test]
    fn who_has_the_lock_is_not_robbed() -> Result {
        let spare = idle()?;

        spare.with(|parts, _| {
            ask(2, usize::MAX);
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
        ask(1, usize::MAX);
        assert!(gone() <= MOST_ASKED);
        // And those who were not are asked next.
        ask(1, usize::MAX);
        ask(1, usize::MAX);
        assert_eq!(gone(), list.len());
        Ok(())
    }

    #[test]
    fn who_has_left_is_not_asked() -> Result {
        let gone = idle()?;

        gone.leave();
        ask(2, usize::MAX);
        assert!(has_memory(&gone));
        Ok(())
    }

    #[test]
    fn the_memory_of_who_forgets_it_is_had() -> Result {
        let forgotten = idle()?;
        let holding = forgotten.holding.clone();

        let forgotten = core::mem::ManuallyDrop::new(forgotten);
        ask(2, usize::MAX);
        assert!(holding.parts.lock().words.is_none());
        assert_eq!(holding.number.load(Relaxed), NOT_IN);
        drop(core::mem::ManuallyDrop::into_inner(forgotten));
        Ok(())
    }

    #[test]
    fn there_is_one_of_it() {
        assert_eq!(SpareMemory::new(1).err(), Some(EBUSY));
    }
}
