// SPDX-License-Identifier: GPL-2.0

//! KUnit suite for the end of a mount: a superblock and a buffer that are of no device.

#[kernel::macros::kunit_tests(rust_mpage_super_block)]
mod tests {
    use super::super::super_block::drop_data;
    use crate::{
        abstractions::fs::{
            Buffer,
            FileSystem,
            SuperBlock,
            Unwritten, //
        },
        bindings, //
    };
    use core::{
        mem::ManuallyDrop,
        ptr, //
    };
    use kernel::{
        prelude::*,
        sync::Arc,
        types::ForeignOwnable, //
    };

    /// A filesystem that keeps its blocks where they outlive it.
    struct Outlived;

    impl FileSystem for Outlived {
        const NAME: &'static CStr = c"rust_mpage_outlived";

        type Data = Arc<Pin<KBox<Unwritten>>>;
        type InodeData = ();

        fn write_failed(_sb: &SuperBlock<Self>, _block: u64) {}

        fn unwritten(sb: &SuperBlock<Self>) -> &Unwritten {
            sb.data()
        }
    }

    const DIRTY: usize = 1 << bindings::bh_state_bits_BH_Dirty;

    /// No block is kept of what is not mounted any more, also where nobody drops what it would be
    /// kept in.
    #[test]
    fn nothing_is_kept_of_what_was_mounted() -> Result {
        let mut head: KBox<bindings::buffer_head> = KBox::new(pin_init::zeroed(), GFP_KERNEL)?;
        let unwritten = Arc::new(Unwritten::new()?, GFP_KERNEL)?;
        let mut raw: KBox<bindings::super_block> = KBox::init(pin_init::init_zeroed(), GFP_KERNEL)?;
        raw.s_fs_info = KBox::pin(unwritten.clone(), GFP_KERNEL)?.into_foreign();

        // SAFETY: It stays until this returns, and its reference is not given back.
        let block = ManuallyDrop::new(unsafe { Buffer::from_raw(ptr::addr_of_mut!(*head)) });
        block.set_state(DIRTY);
        unwritten.keep(&block);
        assert!(unwritten.count() == 1 && block.state() != DIRTY);
        // SAFETY: The superblock is valid, its data was set just above, and nobody uses it.
        unsafe { drop_data::<Outlived>(ptr::addr_of_mut!(*raw)) };
        assert!(raw.s_fs_info.is_null());
        assert!(unwritten.count() == 0 && block.state() == DIRTY);
        Ok(())
    }
}
