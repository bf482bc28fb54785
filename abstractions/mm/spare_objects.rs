// SPDX-License-Identifier: GPL-2.0

//! Who has memory that can be done without, and how it is got back: when there is too much of it, or
//! when the machine needs memory.
//!
//! Those who have some are asked in turn, and who has used theirs since they were last asked is passed
//! over. So what nobody uses goes first, and using it costs no lock. Who has given up all that it had is
//! asked no more until it enters again, and only so many are asked at a time: there may be very many,
//! and who wants memory goes on where the last has stopped.
//!
//! C header: [`include/linux/shrinker.h`](srctree/include/linux/shrinker.h)
//!
//! Locks: `OBJECTS`, a spinlock. No memory is allocated or freed with it held, and who is asked to
//! give up memory only tries to take a lock: so memory reclaim may come here from anywhere.
//!
//! Left out: what belongs to which cgroup. A cgroup at its limit gets none, or gets it back with the
//! inodes that have it.

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
            Release, //
        },
        Arc, //
    },
};

/// Something that has memory which it can do without.
pub trait Spare: Send + Sync {
    /// Whether it was used since this was asked last.
    fn take_used(&self) -> bool;

    /// Gives up its memory, which the caller frees; it is asked no more then, until
    /// it enters again. `None` if that cannot be had now. Called with a spinlock held.
    fn give_up(&self) -> Option<GivenUp>;
}

/// Memory that was given up.
#[derive(Default)]
pub struct GivenUp {
    /// Words.
    pub words: Option<SpareSlice<u64>>,
    /// Bytes.
    pub bytes: Option<SpareSlice<u8>>,
}

impl GivenUp {
    fn len(&self) -> usize {
        self.words.as_ref().map_or(0, |words| size_of_val(&**words))
            + self.bytes.as_ref().map_or(0, |bytes| bytes.len())
    }
}

struct Objects {
    /// `None` as long as there were none.
    by_number: Option<RBTree<u64, Arc<dyn Spare>>>,
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
        next_number: 0,
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

/// The entry of an object among those that have memory to give up. Dropped, nobody asks it any more.
#[must_use = "nobody asks it any more"]
pub struct SpareMember(u64);

impl SpareMember {
    /// Enters an object. `None` if there is no memory.
    pub fn new(object: Arc<dyn Spare>) -> Option<Self> {
        let node = without_fs_reclaim(|| RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)).ok()?;
        let mut objects = objects()?;
        let number = objects.next_number;

        objects.next_number = number.wrapping_add(1);
        objects.count += 1;
        let replaced = objects
            .by_number
            .get_or_insert_with(RBTree::new)
            .insert(node.into_node(number, object));
        drop(objects);
        drop(replaced);
        Some(Self(number))
    }

    /// Whether the object is asked still: it has not given up its memory.
    pub fn is_in(&self) -> bool {
        objects().is_some_and(|objects| {
            let by_number = objects.by_number.as_ref();
            by_number.is_some_and(|by_number| by_number.get(&self.0).is_some())
        })
    }
}

impl Drop for SpareMember {
    fn drop(&mut self) {
        let Some(mut objects) = objects() else {
            return;
        };
        let object = objects
            .by_number
            .as_mut()
            .and_then(|by_number| by_number.remove_node(&self.0));
        objects.count -= usize::from(object.is_some());
        drop(objects);
        drop(object);
    }
}

/// What has become of one who was asked.
enum Answer {
    /// It has used its memory, or cannot give it up now.
    Stays,
    /// It has left; its node, and what it has given up, are to be freed without the lock.
    Leaves(RBTreeNode<u64, Arc<dyn Spare>>, GivenUp),
}

impl Objects {
    /// Asks the next one. `None` if there is none.
    fn ask_next(&mut self) -> Option<Answer> {
        let by_number = self.by_number.as_mut()?;
        if by_number.cursor_lower_bound(&self.hand).is_none() {
            self.hand = 0;
        }
        let cursor = by_number.cursor_lower_bound_mut(&self.hand)?;
        let (&number, object) = cursor.current();

        self.hand = number.wrapping_add(1);
        if object.take_used() {
            return Some(Answer::Stays);
        }
        let Some(given_up) = object.give_up() else {
            return Some(Answer::Stays);
        };
        let (_, node) = cursor.remove_current();
        self.count -= 1;
        Some(Answer::Leaves(node, given_up))
    }
}

/// How many are asked at a time at most.
const MOST_ASKED: usize = 256;

/// Asks each up to `times` times, or so many as are asked at a time, until `bytes` are free. How many
/// are.
fn ask(times: usize, bytes: usize) -> usize {
    let most = objects().map_or(0, |objects| objects.count.saturating_mul(times));
    let most = most.min(MOST_ASKED);
    let mut free = 0;

    for _ in 0..most {
        let Some(answer) = objects().and_then(|mut objects| objects.ask_next()) else {
            break;
        };
        // Freed here, without the lock.
        if let Answer::Leaves(node, given_up) = answer {
            free += given_up.len();
            drop((node, given_up));
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
    use kernel::sync::atomic::Relaxed;

    struct Object {
        used: Atomic<u32>,
        asked: Atomic<u32>,
    }

    impl Spare for Object {
        fn take_used(&self) -> bool {
            self.used.xchg(0, Relaxed) != 0
        }

        fn give_up(&self) -> Option<GivenUp> {
            self.asked.fetch_add(1, Relaxed);
            None
        }
    }

    fn object(used: u32) -> Result<Arc<Object>> {
        let object = Object {
            used: Atomic::new(used),
            asked: Atomic::new(0),
        };
        Ok(Arc::new(object, GFP_KERNEL)?)
    }

    fn asked(object: &Object) -> u32 {
        object.asked.load(Relaxed)
    }

    #[test]
    fn who_has_used_theirs_is_passed_over_once() -> Result {
        let (idle, busy) = (object(0)?, object(1)?);
        let members = (
            SpareMember::new(idle.clone()).ok_or(ENOMEM)?,
            SpareMember::new(busy.clone()).ok_or(ENOMEM)?,
        );

        give_up_unused(usize::MAX);
        assert!(asked(&idle) >= 1 && busy.used.load(Relaxed) == 0);
        let before = asked(&busy);
        give_up_unused(usize::MAX);
        assert!(asked(&busy) > before);
        drop(members);
        Ok(())
    }

    /// Gives up nothing, for it has nothing.
    struct Giver(Object);

    impl Spare for Giver {
        fn take_used(&self) -> bool {
            self.0.take_used()
        }

        fn give_up(&self) -> Option<GivenUp> {
            self.0.give_up();
            Some(GivenUp::default())
        }
    }

    #[test]
    fn who_has_given_up_all_is_asked_once() -> Result {
        let giver = Arc::new(
            Giver(Object {
                used: Atomic::new(0),
                asked: Atomic::new(0),
            }),
            GFP_KERNEL,
        )?;
        let count = || objects().map_or(0, |objects| objects.count);

        for times in 1..3 {
            let member = SpareMember::new(giver.clone()).ok_or(ENOMEM)?;
            let before = count();
            assert!(member.is_in());
            ask(1, usize::MAX);
            ask(1, usize::MAX);
            assert_eq!(asked(&giver.0), times);
            assert!(count() < before && !member.is_in());
            // It takes nobody else off.
            let before = count();
            drop(member);
            assert_eq!(count(), before);
        }
        Ok(())
    }

    #[test]
    fn so_many_are_asked_at_a_time() -> Result {
        let mut list = KVec::new();

        for _ in 0..MOST_ASKED + 50 {
            let one = object(0)?;
            let member = SpareMember::new(one.clone()).ok_or(ENOMEM)?;
            list.push((one, member), GFP_KERNEL)?;
        }
        let of_all = || list.iter().map(|(one, _)| asked(one)).sum::<u32>() as usize;
        ask(1, usize::MAX);
        let first = of_all();
        assert!(first <= MOST_ASKED);
        // And those who were not are asked next.
        ask(1, usize::MAX);
        ask(1, usize::MAX);
        assert!(list.iter().all(|(one, _)| asked(one) >= 1));
        assert!(of_all() <= 3 * MOST_ASKED);
        Ok(())
    }

    #[test]
    fn who_has_left_is_not_asked() -> Result {
        let gone = object(0)?;

        drop(SpareMember::new(gone.clone()).ok_or(ENOMEM)?);
        ask(2, usize::MAX);
        assert_eq!(asked(&gone), 0);
        Ok(())
    }

    #[test]
    fn there_is_one_of_it() {
        assert_eq!(SpareMemory::new(1).err(), Some(EBUSY));
    }
}
