// SPDX-License-Identifier: GPL-2.0

//! The buffers of a folio that is about to be written.
//!
//! C header: [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)
//!
//! The ring of a folio's buffers does not change while the folio is locked. Their states may: a
//! store to a mapped page makes buffers dirty at any time (`block_dirty_folio()`), which is why
//! states are read in one piece, and bits changed one by one.

use super::{
    BlockState,
    DirtyFolio,
    Folio, //
};
use crate::{
    abstractions::block::BlockDevice,
    bindings, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::ffi::c_ulong;

/// The state of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferState<D> {
    /// The device, and the number there of the block that it is, if it is mapped.
    pub block: Option<(D, u64)>,
    /// Whether it has to be written.
    pub dirty: bool,
    /// Whether its contents are valid.
    pub uptodate: bool,
    /// It is locked, or its block is not yet what it will be: only the kernel's buffer functions
    /// know what to do.
    pub busy: bool,
    /// The mapping that it is the last of ends in front of metadata.
    pub boundary: bool,
}

/// The buffers of a locked folio, one after the other.
///
/// # Invariants
///
/// `head` is null, or the first buffer of a folio that is locked for `'f`; `next` is null at the
/// end, and otherwise a buffer of the same ring. Devices of the buffers are open for `'d`.
pub struct Buffers<'f, 'd> {
    head: *mut bindings::buffer_head,
    next: *mut bindings::buffer_head,
    _folio: PhantomData<&'f Folio>,
    _devices: PhantomData<&'d BlockDevice>,
}

impl<'d> Iterator for Buffers<'_, 'd> {
    type Item = BufferState<&'d BlockDevice>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next.is_null() {
            return None;
        }
        let bh = self.next;
        // SAFETY: By the type invariants the buffer is valid. Nobody else maps it while the folio
        // is locked; the other bits may change, as in C's test_bit().
        let (state, device, block, following) = unsafe {
            (
                ptr::addr_of!((*bh).b_state).read_volatile(),
                (*bh).b_bdev,
                (*bh).b_blocknr,
                (*bh).b_this_page,
            )
        };
        self.next = if following == self.head {
            ptr::null_mut()
        } else {
            following
        };
        let is = |bit: bindings::bh_state_bits| state & (1 as c_ulong) << bit != 0;
        let mapped = is(bindings::bh_state_bits_BH_Mapped);
        // SAFETY: The device is open by the type invariants.
        let device = (!device.is_null()).then(|| unsafe { BlockDevice::from_raw(device) });
        Some(BufferState {
            block: device.filter(|_| mapped).map(|device| (device, block)),
            dirty: is(bindings::bh_state_bits_BH_Dirty),
            uptodate: is(bindings::bh_state_bits_BH_Uptodate),
            busy: is(bindings::bh_state_bits_BH_Lock)
                || is(bindings::bh_state_bits_BH_Delay)
                || is(bindings::bh_state_bits_BH_Unwritten)
                || (mapped && device.is_none()),
            boundary: is(bindings::bh_state_bits_BH_Boundary),
        })
    }
}

/// The first buffer of a folio, or null.
///
/// # Safety
///
/// The folio must be locked.
unsafe fn first_buffer(folio: &Folio) -> *mut bindings::buffer_head {
    if folio.has_buffers() {
        // SAFETY: By the safety requirements.
        unsafe { bindings::rust_mpage_helper_folio_buffers(folio.as_raw()) }
    } else {
        ptr::null_mut()
    }
}

impl<'f, 'd> Buffers<'f, 'd> {
    /// The buffers of a folio.
    ///
    /// # Safety
    ///
    /// The folio must be locked for `'f`, and its host be in use for `'d`.
    pub(super) unsafe fn of(folio: &'f Folio) -> Self {
        // SAFETY: By the safety requirements.
        let head = unsafe { first_buffer(folio) };
        // INVARIANT: By the safety requirements. A mapped buffer's device is open as long as the
        // filesystem is mounted, which it is while an inode is in use.
        Self {
            head,
            next: head,
            _folio: PhantomData,
            _devices: PhantomData,
        }
    }
}

impl<'w, I> DirtyFolio<'w, I> {
    /// The buffers of the folio. None if it has none.
    pub fn buffers(&self) -> Buffers<'_, 'w> {
        // SAFETY: The folio is locked while it is borrowed, and its host in use for `'w`, by the
        // type invariants.
        unsafe { Buffers::of(self) }
    }

    /// Gives the folio buffers of `1 << block_bits` bytes, all dirty and uptodate, if it has none.
    /// C: what `__block_write_full_folio()` does first.
    pub(crate) fn make_dirty_buffers(&self, block_bits: u32) {
        const STATE: c_ulong =
            1 << bindings::bh_state_bits_BH_Dirty | 1 << bindings::bh_state_bits_BH_Uptodate;
        if !self.has_buffers() {
            // SAFETY: The folio is locked by the type invariants. create_empty_buffers() does not
            // fail.
            unsafe { bindings::create_empty_buffers(self.as_raw(), 1 << block_bits, STATE) };
        }
    }

    /// Notes where `len` buffers from the `start`th on live, which had no block: one behind the
    /// other from `first` on. C: `map_bh()`.
    pub(crate) fn map_buffers(&self, start: u32, len: u32, first: &BlockState<'_>) {
        // SAFETY: The folio is locked by the type invariants.
        let mut bh = unsafe { first_buffer(self) };
        if bh.is_null() {
            return;
        }
        for _ in 0..start {
            // SAFETY: The buffers of a locked folio are a ring that stays as it is.
            bh = unsafe { (*bh).b_this_page };
        }
        for index in 0..len {
            // SAFETY:
            // - the buffers of a locked folio are a ring that stays as it is, so this is one;
            // - nobody else maps buffers of a locked folio, so its place may be set; the bits are
            //   set atomically.
            unsafe {
                (*bh).b_bdev = first.device.as_raw();
                (*bh).b_blocknr = first.block.wrapping_add(u64::from(index));
                bindings::rust_mpage_helper_set_buffer_mapped(bh);
                if first.boundary && index + 1 == len {
                    bindings::rust_mpage_helper_set_buffer_boundary(bh);
                }
                bh = (*bh).b_this_page;
            }
        }
    }
}

impl<I> DirtyFolio<'_, I> {
    /// Has the blocks from the `start`th on that have no place clean: they are behind the end of
    /// the file, or cannot be written. C: `__block_write_full_folio()` does so on its way.
    pub(crate) fn give_up_unmapped(&self, start: u32) {
        // SAFETY: The folio is locked by the type invariants.
        unsafe { give_up_unmapped(self, start) };
    }
}

/// Has the blocks of a folio from the `start`th on clean that have no place. Of a folio without
/// buffers those that have one are so already, for a bio has them.
///
/// # Safety
///
/// The folio must be locked.
pub(in crate::abstractions) unsafe fn give_up_unmapped(folio: &Folio, start: u32) {
    if folio.has_block_bits() {
        // SAFETY: By the safety requirements; who has bits has no buffers.
        return unsafe { folio.blocks() }.forget_from(start);
    }
    // SAFETY: By the safety requirements.
    let head = unsafe { first_buffer(folio) };
    let mut bh = head;
    let mut index = 0;
    while !bh.is_null() {
        // SAFETY:
        // - the buffers of a locked folio are a ring that stays as it is, so this is one;
        // - nobody else maps one of them, so what has no place stays so;
        // - the dirty bit is changed atomically.
        unsafe {
            let state = ptr::addr_of!((*bh).b_state).read_volatile();
            if index >= start && state & (1 as c_ulong) << bindings::bh_state_bits_BH_Mapped == 0 {
                bindings::rust_mpage_helper_clear_buffer_dirty(bh);
            }
            bh = (*bh).b_this_page;
        }
        index += 1;
        if bh == head {
            return;
        }
    }
}

/// Has the blocks of `len` bytes of a folio from byte `start` on clean, for a bio has them.
/// C: `clean_buffers()`.
///
/// # Safety
///
/// The folio must be locked.
pub(in crate::abstractions) unsafe fn clean(folio: &Folio, start: usize, len: usize) {
    if folio.has_block_bits() {
        // SAFETY: By the safety requirements; who has bits has no buffers.
        return unsafe { folio.blocks() }.clean_bytes(start..start + len);
    }
    // SAFETY: By the safety requirements.
    let head = unsafe { first_buffer(folio) };
    if head.is_null() {
        return;
    }
    let mut bh = head;
    let mut at = 0usize;
    loop {
        // SAFETY: The buffers of a locked folio are a ring that stays as it is.
        let (size, following) = unsafe { ((*bh).b_size, (*bh).b_this_page) };
        if at >= start + len {
            return;
        }
        if at >= start {
            // SAFETY: As above; the bit is changed atomically.
            unsafe { bindings::rust_mpage_helper_clear_buffer_dirty(bh) };
        }
        at += size;
        bh = following;
        if bh == head {
            return;
        }
    }
}
