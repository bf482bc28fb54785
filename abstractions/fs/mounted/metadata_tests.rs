// SPDX-License-Identifier: GPL-2.0

//! KUnit suite for blocks of another filesystem: a superblock and a buffer that are of no device
//! that there is, and so not of one.

#[kernel::macros::kunit_tests(rust_mpage_metadata)]
mod tests {
    use super::super::{
        FileSystem,
        SuperBlock, //
    };
    use crate::{
        abstractions::fs::{
            Buffer,
            Unwritten, //
        },
        bindings, //
    };
    use core::{
        mem::ManuallyDrop,
        ptr, //
    };
    use kernel::prelude::*;

    /// A filesystem that is not mounted.
    struct Unmounted;

    impl FileSystem for Unmounted {
        const NAME: &'static CStr = c"rust_mpage_unmounted";

        type Data = Pin<KBox<Unwritten>>;
        type InodeData = ();

        fn write_failed(_sb: &SuperBlock<Self>, _block: u64) {}

        fn unwritten(sb: &SuperBlock<Self>) -> &Unwritten {
            sb.data()
        }
    }

    const DIRTY: usize = 1 << bindings::bh_state_bits_BH_Dirty;
    const FAILED: usize = 1 << bindings::bh_state_bits_BH_Write_EIO;

    /// Calls `act` with the filesystem, and with a block of another that has these bits. Returns
    /// which it has then.
    fn with_another_s_block(
        state: usize,
        act: impl FnOnce(&SuperBlock<Unmounted>, &Buffer),
    ) -> Result<usize> {
        let data = KBox::new(Unwritten::new()?, GFP_KERNEL)?;
        let mut raw: KBox<bindings::super_block> = KBox::init(pin_init::init_zeroed(), GFP_KERNEL)?;
        let mut head: KBox<bindings::buffer_head> = KBox::new(pin_init::zeroed(), GFP_KERNEL)?;
        raw.s_fs_info = ptr::from_ref(&*data).cast_mut().cast();
        raw.s_bdev = ptr::dangling_mut();

        let (sb, block) = (ptr::addr_of_mut!(*raw), ptr::addr_of_mut!(*head));
        // SAFETY:
        // - the superblock stays until this returns, and has its data; nothing is asked of its
        //   device but whether the block is of it;
        // - the block stays as long, and its reference is not given back.
        let (sb, block) = unsafe {
            (
                SuperBlock::<Unmounted>::from_raw(sb),
                ManuallyDrop::new(Buffer::from_raw(block)),
            )
        };
        block.set_state(state);
        act(sb, &block);
        Ok(block.state())
    }

    #[test]
    fn a_block_of_another_filesystem_is_not_written() -> Result {
        let state = with_another_s_block(DIRTY, |sb, block| {
            assert_eq!(sb.start_write(block), Err(EXDEV));
            assert_eq!(sb.sync_buffer(block), Err(EXDEV));
        })?;
        assert_eq!(state, DIRTY);
        Ok(())
    }

    #[test]
    fn a_block_of_another_filesystem_is_not_marked() -> Result {
        let state = with_another_s_block(FAILED, |sb, block| {
            sb.mark_dirty(block);
            sb.rescue(block);
        })?;
        assert_eq!(state, FAILED);
        Ok(())
    }

    /// Blocks that are kept have the mark of it, and a reference, no longer than their filesystem
    /// is mounted.
    #[test]
    fn what_is_kept_is_given_up_in_the_end() -> Result {
        let mut left = None;
        let state = with_another_s_block(DIRTY, |sb, block| {
            let unwritten = Unmounted::unwritten(sb);
            unwritten.keep(block);
            let kept = (unwritten.count(), block.state() & !DIRTY != 0);
            unwritten.give_up_all();
            left = Some((kept, unwritten.count()));
        })?;
        assert_eq!(left, Some(((1, true), 0)));
        assert_eq!(state, DIRTY);
        Ok(())
    }
}
