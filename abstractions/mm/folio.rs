// SPDX-License-Identifier: GPL-2.0

//! Folios of the page cache.
//!
//! C headers: [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h),
//! [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)
//!
//! A locked folio is a value, [`LockedFolio`]: whoever holds the value holds the lock. It is given
//! to a bio, or ended, or unlocked by dropping it; each exactly once, because each consumes it.
//!
//! It ends as uptodate only if somebody has filled all of it: zeroes, bios, or a mapper, of which
//! there is a proof. Nobody sees what was in the memory before.

use super::{
    FolioBlocks,
    FolioRef, //
};
use crate::{
    abstractions::fs::{
        Inode,
        InodeType, //
    },
    bindings,
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    error::{
        to_result,
        Result, //
    },
    ffi::c_void,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    types::Opaque,
};

/// A range of bytes within a folio. What does I/O with it looks whether it is one, with
/// [`Folio::has_sectors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// Offset of the first byte.
    pub start: usize,
    /// Length in bytes.
    pub len: usize,
}

impl ByteRange {
    /// Whether it is whole sectors, one at least, of `size` bytes.
    #[inline]
    fn is_sectors_of(self, size: usize) -> bool {
        const SECTOR: usize = 1 << bindings::SECTOR_SHIFT;
        let room = size.saturating_sub(self.start);
        (self.start | self.len) % SECTOR == 0 && self.len.wrapping_sub(1) < room
    }

    /// Behind the last byte.
    #[inline]
    pub(crate) fn end(self) -> usize {
        self.start.saturating_add(self.len)
    }
}

/// A folio of the page cache.
///
/// # Invariants
///
/// Wraps a valid `struct folio` that belongs to a mapping with a host inode and stays in it, by
/// its lock or by a reference, while a reference of this type lives.
#[repr(transparent)]
pub struct Folio(Opaque<bindings::folio>);

// SAFETY: Folios are shared between processors; the methods here read fields that do not change
// while the folio is in its mapping, or read flags atomically.
unsafe impl Send for Folio {}
// SAFETY: As above.
unsafe impl Sync for Folio {}

impl Folio {
    /// Borrows a folio from its C pointer.
    ///
    /// # Safety
    ///
    /// For `'a`, `ptr` must point to a folio that the type invariants hold for.
    #[inline]
    pub unsafe fn from_raw<'a>(ptr: *mut bindings::folio) -> &'a Self {
        // SAFETY: By the safety requirements; `Self` is a transparent wrapper.
        unsafe { &*ptr.cast() }
    }

    /// The C pointer.
    #[inline]
    pub fn as_raw(&self) -> *mut bindings::folio {
        self.0.get()
    }

    #[inline]
    fn head(&self) -> *mut bindings::folio__bindgen_ty_1__bindgen_ty_1 {
        // SAFETY: Only computes the address of the first page's fields, in a valid folio.
        unsafe { ptr::addr_of_mut!((*self.as_raw()).__bindgen_anon_1.__bindgen_anon_1) }
    }

    #[inline]
    pub(super) fn flag(&self, bit: bindings::pageflags) -> bool {
        // SAFETY: The folio is valid. Other bits may change at any time, as in C's test_bit().
        let flags = unsafe { ptr::addr_of!((*self.head()).flags.f).read_volatile() };
        flags & (1 << bit) != 0
    }

    /// The folio's size as a base-2 logarithm of pages. C: `folio_order()`.
    #[inline]
    pub fn order(&self) -> u32 {
        if !self.flag(bindings::pageflags_PG_head) {
            return 0;
        }
        // SAFETY: A folio with the head flag has a second page, whose flags hold the order.
        let flags = unsafe {
            ptr::addr_of!((*self.as_raw()).__bindgen_anon_2.__bindgen_anon_1._flags_1).read()
        };
        (flags & 0xff) as u32
    }

    /// The folio's size in bytes. C: `folio_size()`.
    #[inline]
    pub fn size(&self) -> usize {
        PAGE_SIZE << self.order()
    }

    /// The folio's size in pages. C: `folio_nr_pages()`.
    #[inline]
    pub fn pages(&self) -> u32 {
        1 << self.order()
    }

    /// The folio's position in its file, in bytes. C: `folio_pos()`.
    #[inline]
    pub fn position(&self) -> u64 {
        // SAFETY: The index does not change while the folio is in its mapping.
        let index = unsafe { ptr::addr_of!((*self.head()).__bindgen_anon_2.index).read() };
        (index as u64) << PAGE_SHIFT
    }

    /// Whether a range is whole sectors of the folio: what a bio can have of it.
    #[inline]
    pub fn has_sectors(&self, range: ByteRange) -> bool {
        range.is_sectors_of(self.size())
    }

    /// The whole folio as a range.
    #[inline]
    pub fn whole(&self) -> ByteRange {
        ByteRange {
            start: 0,
            len: self.size(),
        }
    }

    /// Whether the contents are valid. C: `folio_test_uptodate()`, without its barrier: enough to
    /// decide whether a read is due, not to look at the bytes.
    #[inline]
    pub fn is_uptodate(&self) -> bool {
        self.flag(bindings::pageflags_PG_uptodate)
    }

    /// The place of the folio's private data. What is there is said in `folio_state`.
    #[inline]
    pub(super) fn private_field(&self) -> *mut *mut c_void {
        // SAFETY: Only computes the address of a field, in a valid folio.
        unsafe { ptr::addr_of_mut!((*self.head()).__bindgen_anon_3.private) }
    }

    /// The order of the mapping's smallest folios. C: `mapping_min_folio_order()`.
    #[inline]
    pub(super) fn min_order(&self) -> u32 {
        const MIN: u32 = bindings::mapping_flags_AS_FOLIO_ORDER_MIN;
        const BITS: u32 = bindings::mapping_flags_AS_FOLIO_ORDER_MAX - MIN;
        // SAFETY: The mapping is valid by the type invariants; its orders are set once.
        let flags = unsafe { ptr::addr_of!((*self.mapping()).flags).read_volatile() };
        (flags >> MIN) as u32 & ((1 << BITS) - 1)
    }

    /// The mapping that the folio is in.
    #[inline]
    pub(crate) fn mapping(&self) -> *mut bindings::address_space {
        // SAFETY: The mapping does not change while the folio is in it.
        unsafe { ptr::addr_of!((*self.head()).mapping).read() }
    }

    /// The inode whose mapping the folio is in.
    #[inline]
    pub(crate) fn host(&self) -> *mut bindings::inode {
        // SAFETY: The mapping is valid, and its host, by the type invariants.
        unsafe { (*self.mapping()).host }
    }

    /// The allocation flags that the mapping allows. C: `mapping_gfp_mask()`.
    #[inline]
    pub(crate) fn mapping_gfp(&self) -> bindings::gfp_t {
        // SAFETY: The mapping is valid by the type invariants; the mask is set once.
        unsafe { (*self.mapping()).gfp_mask }
    }
}

/// A locked folio of the page cache of an inode of `I`, as `read_folio` and readahead get it: not
/// uptodate, and to be unlocked by whoever reads it.
///
/// # Invariants
///
/// The folio is locked and this value owns the lock, which also keeps the folio in its mapping. The
/// mapping's host is an inode of `I` that is in use for `'f`.
#[must_use = "the folio is unlocked as it is"]
pub struct LockedFolio<'f, I>(NonNull<bindings::folio>, PhantomData<&'f I>);

// SAFETY: A folio's lock may be released by another task or in interrupt context.
unsafe impl<I: Sync> Send for LockedFolio<'_, I> {}
// SAFETY: A shared reference allows what `Folio` and `&I` allow, and zeroing, which see.
unsafe impl<I: Sync> Sync for LockedFolio<'_, I> {}

impl<'f, I: InodeType> LockedFolio<'f, I> {
    /// Takes over a folio and its lock.
    ///
    /// # Safety
    ///
    /// The type invariants must hold, and the caller must own the lock and use it no more.
    #[inline]
    pub unsafe fn from_raw(ptr: *mut bindings::folio) -> Self {
        // SAFETY: A valid folio is not at address 0. INVARIANT: By the safety requirements.
        Self(unsafe { NonNull::new_unchecked(ptr) }, PhantomData)
    }

    /// The inode whose mapping the folio is in.
    #[inline]
    pub fn inode(&self) -> &'f I {
        // SAFETY: The host is one of `I`, and in use for that long, by the type invariants.
        unsafe { I::from_raw(self.host()) }
    }

    /// The same folio as any filesystem's.
    pub(in crate::abstractions) fn into_any(self) -> LockedFolio<'f, Inode> {
        // INVARIANT: An inode of `I` is an inode.
        LockedFolio(ManuallyDrop::new(self).0, PhantomData)
    }
}

impl<I> LockedFolio<'_, I> {
    /// Zeroes `range`, which no I/O in flight may touch: other contents are lost, nothing else.
    /// C: `folio_zero_segment()`.
    pub fn zero(&self, range: ByteRange) {
        let size = self.size();
        let start = range.start.min(size);
        let end = start + range.len.min(size - start);
        if start == end {
            return;
        }
        // SAFETY: The folio is locked and not uptodate, so nobody reads its bytes yet; the range
        // is inside it.
        unsafe { bindings::rust_mpage_helper_folio_zero_segment(self.as_raw(), start, end) };
    }

    /// Zeroes all but `range`, which is in the folio.
    #[inline]
    pub(in crate::abstractions) fn zero_around(&self, range: ByteRange) {
        let size = self.size();
        if range.len != size {
            self.zero(ByteRange {
                start: 0,
                len: range.start,
            });
            self.zero(ByteRange {
                start: range.end(),
                len: size,
            });
        }
    }

    /// Notes that every block of the folio has a place on the disk.
    /// C: `folio_set_mappedtodisk()`.
    #[inline]
    pub(crate) fn set_mapped_to_disk(&self) {
        // SAFETY: The folio is valid; the flag is set atomically.
        unsafe { bindings::rust_mpage_helper_folio_set_mappedtodisk(self.as_raw()) };
    }

    /// The blocks of the folio; [`None`] if folios of the file have buffer_heads.
    pub(in crate::abstractions) fn blocks(&self) -> Option<FolioBlocks<'_>> {
        // SAFETY: The folio is locked while it is borrowed.
        unsafe { (**self).blocks_without_buffers() }
    }

    /// Fills the folio with zeroes and ends its read, as uptodate.
    pub fn end_zeroed(self) {
        self.zero(self.whole());
        self.end_read(true);
    }

    /// Ends the read of the folio: marks it uptodate if `success`, unlocks it and wakes who waits.
    /// C: `folio_end_read()`.
    pub(in crate::abstractions) fn end_read(self, success: bool) {
        // A folio that was uptodate before stays so; to mark it again would clear the flag.
        let mark = success && !self.is_uptodate();
        let this = ManuallyDrop::new(self);
        // SAFETY: By the type invariants the lock is ours to release.
        unsafe { bindings::folio_end_read(this.as_raw(), mark) };
    }

    /// Keeps an eye on the folio while its lock is somebody else's.
    pub fn watch(&self) -> WatchedFolio {
        WatchedFolio(FolioRef::of(self))
    }
}

impl<I> Deref for LockedFolio<'_, I> {
    type Target = Folio;

    #[inline]
    fn deref(&self) -> &Folio {
        // SAFETY: By the type invariants the folio is locked, and so stays in its mapping.
        unsafe { Folio::from_raw(self.0.as_ptr()) }
    }
}

impl<I> Drop for LockedFolio<'_, I> {
    /// Unlocks the folio as it is. C: `folio_unlock()`.
    fn drop(&mut self) {
        // SAFETY: By the type invariants the lock is ours to release.
        unsafe { bindings::folio_unlock(self.as_raw()) };
    }
}

/// A folio whose read somebody else may end.
#[must_use = "the reference is given back"]
pub struct WatchedFolio(FolioRef);

impl WatchedFolio {
    /// Waits until the read has ended. The folio, locked, if that has failed and it is in `mapping`
    /// still.
    ///
    /// # Errors
    ///
    /// `EINTR` if the task is being killed.
    ///
    /// # Safety
    ///
    /// `mapping` must be that of an inode of `I` that is in use for `'f`.
    pub(in crate::abstractions) unsafe fn lock_failed<'f, I: InodeType>(
        self,
        mapping: *mut bindings::address_space,
    ) -> Result<Option<LockedFolio<'f, I>>> {
        let folio = self.0.as_raw();
        // SAFETY: The folio is valid while there is the reference.
        to_result(unsafe { bindings::rust_mpage_helper_folio_lock_killable(folio) })?;
        // SAFETY: The lock was taken above. While it is held the folio's mapping stays.
        let is_in = unsafe { (*folio).__bindgen_anon_1.__bindgen_anon_1.mapping } == mapping;
        if is_in {
            // SAFETY: The folio is in `mapping`, whose host is one of `I` by the safety
            // requirements. The lock is passed on; it keeps the folio in the mapping, and that a
            // reference.
            let folio = unsafe { LockedFolio::from_raw(folio) };
            return Ok((!folio.is_uptodate()).then_some(folio));
        }
        // SAFETY: The lock was taken above.
        unsafe { bindings::folio_unlock(folio) };
        Ok(None)
    }

    /// Whether the read has ended, and failed.
    pub fn has_failed(&self) -> bool {
        // SAFETY: The folio is valid while there is the reference.
        unsafe { bindings::rust_mpage_helper_folio_read_failed(self.0.as_raw()) }
    }
}

#[kernel::macros::kunit_tests(rust_mpage_byte_range)]
mod tests {
    use super::ByteRange;

    fn is_sectors(start: usize, len: usize) -> bool {
        ByteRange { start, len }.is_sectors_of(4096)
    }

    #[test]
    fn sectors_of_a_folio() {
        assert!(is_sectors(0, 4096));
        assert!(is_sectors(0, 512));
        assert!(is_sectors(3584, 512));
        assert!(is_sectors(512, 3584));
    }

    #[test]
    fn what_is_not_in_the_folio() {
        assert!(!is_sectors(0, 4608));
        assert!(!is_sectors(0, 1 << 18));
        assert!(!is_sectors(512, 4096));
        assert!(!is_sectors(4096, 512));
        assert!(!is_sectors(8192, 512));
        assert!(!is_sectors(512, usize::MAX & !511));
        assert!(!is_sectors(usize::MAX & !511, 512));
    }

    #[test]
    fn what_is_no_sectors() {
        assert!(!is_sectors(0, 0));
        assert!(!is_sectors(512, 0));
        assert!(!is_sectors(0, 511));
        assert!(!is_sectors(1, 512));
        assert!(!is_sectors(256, 256));
    }
}
