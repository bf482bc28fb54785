// SPDX-License-Identifier: GPL-2.0

//! KUnit suite for who looks at inodes without a reference: an inode of no superblock, and what
//! comes of it if who looks at it evicts it.

#[kernel::macros::kunit_tests(rust_mpage_visits)]
mod tests {
    use super::super::{
        cached::is_visiting,
        slot::{
            InodeCache,
            Slot, //
        },
    };
    use crate::{
        abstractions::fs::{
            FileSystem,
            SuperBlock,
            Unwritten, //
        },
        bindings, //
    };
    use core::{
        cell::UnsafeCell,
        mem::MaybeUninit,
        ptr, //
    };
    use kernel::{
        prelude::*,
        sync::{
            atomic::{
                Atomic,
                Relaxed, //
            },
            Arc, //
        }, //
    };

    /// A filesystem whose inodes say when their data goes.
    struct Counting;

    struct Counted(Arc<Atomic<u32>>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    impl FileSystem for Counting {
        const NAME: &'static CStr = c"rust_mpage_counting";

        type Data = Pin<KBox<Unwritten>>;
        type InodeData = Counted;

        fn write_failed(_sb: &SuperBlock<Self>, _block: u64) {}

        fn unwritten(sb: &SuperBlock<Self>) -> &Unwritten {
            sb.data()
        }
    }

    struct Key(UnsafeCell<MaybeUninit<bindings::lock_class_key>>);

    // SAFETY: Only its address counts, to lockdep, which has locks of its own.
    unsafe impl Sync for Key {}

    static KEY: Key = Key(UnsafeCell::new(MaybeUninit::zeroed()));

    /// An inode that nobody else knows, whose data adds to `gone` when it goes.
    fn inode(gone: &Arc<Atomic<u32>>) -> Result<*mut bindings::inode> {
        let slot = KBox::<Slot<Counting>>::new_uninit(GFP_KERNEL | __GFP_ZERO)?;
        let slot = KBox::into_raw(slot).cast::<Slot<Counting>>();

        // SAFETY: The slot is ours, and zeroes are values of all that is in it but the data; the
        // key is static.
        unsafe {
            ptr::addr_of_mut!((*slot).data).write(MaybeUninit::new(Counted(gone.clone())));
            (*slot).initialised = true;
            let inode = Slot::inode(slot);
            let lock = ptr::addr_of_mut!((*inode).i_lock);
            bindings::__spin_lock_init(lock, c"visited".as_char_ptr(), KEY.0.get().cast());
            Ok(inode)
        }
    }

    /// Where the visits of [`inode()`] are counted.
    fn visits(inode: *mut bindings::inode) -> *mut bindings::rust_mpage_visits {
        // SAFETY: The inode is the field of a slot, which is there until it has been freed.
        unsafe { ptr::addr_of_mut!((*Slot::<Counting>::of(inode)).visits) }
    }

    /// How an inode ends.
    enum Step {
        Destroy,
        Free,
        End,
    }

    /// Whether the data of an inode is gone after each step, that begins with a visit.
    fn gone_after(steps: [Step; 3]) -> Result<[bool; 3]> {
        let gone = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let inode = inode(&gone)?;
        let mut visitor = MaybeUninit::uninit();

        // SAFETY:
        // - the inode is ours, and has a count of visits;
        // - the visitor stays where it is until it has left, in one of the steps.
        unsafe {
            bindings::rust_mpage_begin_visit(inode, visits(inode));
            bindings::rust_mpage_enter_visit(visitor.as_mut_ptr());
        }
        Ok(steps.map(|step| {
            // SAFETY:
            // - the inode is ours, and there until all steps have been taken, in whatever order;
            // - each is taken once, so that this is the one end of its visit, of its destruction or
            //   of its memory;
            // - the visitor has entered; the last to leave ends with what was left to it.
            unsafe {
                match step {
                    Step::Destroy => InodeCache::<Counting>::destroy_inode_callback(inode),
                    Step::Free => InodeCache::<Counting>::free_inode_callback(inode),
                    Step::End => {
                        let visits = visits(inode);
                        if bindings::rust_mpage_end_visit(inode, visits, visitor.as_mut_ptr()) {
                            Slot::<Counting>::end_late(Slot::of(inode));
                        }
                    }
                }
            }
            gone.load(Relaxed) == 1
        }))
    }

    /// It would wait for ever.
    #[test]
    fn who_visits_waits_for_no_visit() -> Result {
        let gone = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let inode = inode(&gone)?;
        let mut visitor = MaybeUninit::uninit();

        assert!(!is_visiting());
        // SAFETY: The inode is ours, and the visitor stays until it has left.
        let has_begun = unsafe { bindings::rust_mpage_begin_visit(inode, visits(inode)) };
        assert!(has_begun);
        // SAFETY:
        // - the visitor stays where it is until it has left;
        // - the inode is ours, and has a count of visits.
        unsafe {
            bindings::rust_mpage_enter_visit(visitor.as_mut_ptr());
            bindings::rust_mpage_wait_for_visits(inode, visits(inode));
        }
        assert!(is_visiting());
        // SAFETY: The inode is ours, and the visitor has entered.
        let is_late =
            unsafe { bindings::rust_mpage_end_visit(inode, visits(inode), visitor.as_mut_ptr()) };
        assert!(!is_late);
        assert!(!is_visiting());
        // SAFETY:
        // - the inode is ours, and has a count of visits;
        // - nobody else knows it, and this is its end, which comes once.
        unsafe {
            bindings::rust_mpage_wait_for_visits(inode, visits(inode));
            InodeCache::<Counting>::destroy_inode_callback(inode);
            InodeCache::<Counting>::free_inode_callback(inode);
        }
        Ok(())
    }

    #[test]
    fn what_is_visited_stays_until_nobody_does() -> Result {
        let seen = gone_after([Step::End, Step::Destroy, Step::Free])?;
        assert_eq!(seen, [false, true, true]);
        let seen = gone_after([Step::Destroy, Step::End, Step::Free])?;
        assert_eq!(seen, [false, true, true]);
        let seen = gone_after([Step::Destroy, Step::Free, Step::End])?;
        assert_eq!(seen, [false, false, true]);
        Ok(())
    }
}
