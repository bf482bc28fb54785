// SPDX-License-Identifier: GPL-2.0

//! KUnit suite for metadata blocks that may not be on the device: buffers of no device, whose state
//! is set as a write would.

#[kernel::macros::kunit_tests(rust_mpage_unwritten)]
mod tests {
    use super::super::{
        unwritten::{
            bit,
            Unwritten,
            FEW,
            KEPT, //
        },
        Buffer, //
    };
    use crate::bindings;
    use core::{
        mem::ManuallyDrop,
        ptr, //
    };
    use kernel::{
        page::Page,
        prelude::*, //
    };

    const UPTODATE: usize = bit(bindings::bh_state_bits_BH_Uptodate);
    const FAILED: usize = bit(bindings::bh_state_bits_BH_Write_EIO);

    const DIRTY: usize = bit(bindings::bh_state_bits_BH_Dirty);

    /// A buffer of no device.
    struct Head(KBox<bindings::buffer_head>);

    /// What [`Head::state`] says of one that is kept, and of one that is not.
    const IS_KEPT: (bool, i32) = (true, 2);
    const IS_NOT: (bool, i32) = (false, 1);

    impl Head {
        fn new() -> Result<Self> {
            let head: bindings::buffer_head = pin_init::zeroed();
            let this = Self(KBox::new(head, GFP_KERNEL)?);
            // The reference of who has it.
            let _ = Buffer::clone(&this.buffer()).into_raw();
            Ok(this)
        }

        fn buffer(&self) -> ManuallyDrop<Buffer> {
            let raw = ptr::from_ref::<bindings::buffer_head>(&self.0).cast_mut();
            // SAFETY: The box stays while it is used here, and only what a reference allows is.
            ManuallyDrop::new(unsafe { Buffer::from_raw(raw) })
        }

        fn dirty(&self, unwritten: &Unwritten) {
            self.buffer().set_state(DIRTY);
            unwritten.keep(&self.buffer());
        }

        /// A write ends with this bit, or none.
        fn written(&self, result: usize) {
            self.buffer().clear_state(DIRTY);
            self.buffer().set_state(result);
        }

        /// Whether it has the bit, and how many references.
        fn state(&self) -> (bool, i32) {
            let state = self.buffer().state();
            (state & KEPT != 0, self.0.b_count.counter)
        }
    }

    /// What the block was before is being written, and that fails when the block has been found to
    /// be valid. A warning of the kernel's is an error of the test.
    #[test]
    fn a_write_may_fail_while_a_block_is_marked_dirty() -> Result {
        let page = Page::alloc_page(GFP_KERNEL)?;
        let mut head = Head::new()?;
        head.0.__bindgen_anon_1.b_page = page.as_ptr().cast();
        let buffer = head.buffer();

        let failed = buffer.mark_dirty_while(|| {
            buffer.clear_state(UPTODATE);
            buffer.set_state(FAILED);
        });
        assert!(!failed);
        assert_eq!(buffer.state(), DIRTY | FAILED);
        Ok(())
    }

    #[test]
    fn a_block_is_kept_until_it_is_written() -> Result {
        let head = Head::new()?;
        let unwritten = Unwritten::new()?;

        assert_eq!(head.state(), IS_NOT);
        head.dirty(&unwritten);
        head.dirty(&unwritten);
        assert_eq!(head.state(), IS_KEPT);
        assert_eq!(unwritten.count(), 1);
        assert_eq!(unwritten.give_up_written(9), 0);
        head.written(0);
        assert_eq!(head.state(), IS_KEPT);
        assert_eq!(unwritten.give_up_written(9), 1);
        assert_eq!(head.state(), IS_NOT);
        assert_eq!(unwritten.count(), 0);
        head.dirty(&unwritten);
        assert_eq!(head.state(), IS_KEPT);
        assert_eq!(unwritten.count(), 1);
        drop(unwritten);
        assert_eq!(head.state(), IS_NOT);
        Ok(())
    }

    #[test]
    fn what_fails_or_is_under_way_stays() -> Result {
        let (failed, locked) = (Head::new()?, Head::new()?);
        let unwritten = Unwritten::new()?;

        for (head, how) in [
            (&failed, FAILED),
            (&locked, bit(bindings::bh_state_bits_BH_Lock)),
        ] {
            head.dirty(&unwritten);
            head.written(how);
            assert_eq!(unwritten.give_up_written(9), 0);
            assert_eq!(head.state(), IS_KEPT);
        }
        assert_eq!(unwritten.count(), 2);
        Ok(())
    }

    #[test]
    fn a_few_at_a_time_and_each_has_its_turn() -> Result {
        let heads = [Head::new()?, Head::new()?, Head::new()?];
        let unwritten = Unwritten::new()?;

        for head in &heads {
            head.dirty(&unwritten);
        }
        heads[2].written(0);
        assert_eq!(unwritten.give_up_written(1), 0);
        assert_eq!(unwritten.give_up_written(1), 0);
        assert_eq!(unwritten.give_up_written(1), 1);
        heads[0].written(0);
        heads[1].written(0);
        assert_eq!(unwritten.give_up_written(1), 1);
        assert_eq!(heads[0].state(), IS_NOT);
        assert_eq!(heads[1].state(), IS_KEPT);
        assert_eq!(unwritten.give_up_written(1), 1);
        assert_eq!(unwritten.count(), 0);
        Ok(())
    }

    #[test]
    fn as_many_as_were_dirty_at_most() -> Result {
        let mut heads = KVec::new();
        let unwritten = Unwritten::new()?;

        for _ in 0..4 * FEW {
            let head = Head::new()?;
            head.dirty(&unwritten);
            head.written(0);
            heads.push(head, GFP_KERNEL)?;
            assert!(unwritten.count() < FEW);
        }
        for head in &heads {
            head.dirty(&unwritten);
        }
        assert_eq!(unwritten.count(), heads.len());
        for head in &heads {
            head.written(0);
        }
        assert_eq!(unwritten.give_up_written(usize::MAX), heads.len());
        assert!(heads.iter().all(|head| head.state() == IS_NOT));
        Ok(())
    }
}
