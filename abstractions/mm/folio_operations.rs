// SPDX-License-Identifier: GPL-2.0

//! The operations of an address space whose folios have no buffer_heads.
//!
//! C headers: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h),
//! [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! Locks: the folio's, held by mm, but for [`dirty_folio`], which may be called with that of a page
//! table alone.

use super::{
    block_bits::{
        inward,
        outward, //
    },
    FileWrites,
    Folio, //
};
use crate::{
    abstractions::fs::{
        Inode,
        InodeType, //
    },
    bindings, //
};
use kernel::sync::{
    barrier::{
        smp_mb,
        Full, //
    },
    rcu, //
};

/// All blocks become dirty: who says so does not say which page it was. C: `dirty_folio`.
///
/// # Safety
///
/// Called by mm with a folio of a mapping whose folios have no buffers, and that is kept in it, by
/// its lock or in another way.
pub(in crate::abstractions) unsafe extern "C" fn dirty_folio(
    mapping: *mut bindings::address_space,
    raw: *mut bindings::folio,
) -> bool {
    // SAFETY: The folio is valid, and kept in its mapping; that of a file has a host, which is
    // valid as long as it has folios.
    let (folio, block_bits) = unsafe {
        (
            Folio::from_raw(raw),
            // The folio's own mapping is not for who has no lock.
            Inode::from_raw((*mapping).host).block_bits(),
        )
    };
    // SAFETY: By the safety requirements.
    let newly = unsafe { bindings::filemap_dirty_folio(mapping, raw) };
    // Who begins to keep bits sees the flag, or they are seen here.
    smp_mb(Full);
    let _section = rcu::read_lock();
    // SAFETY: The caller keeps the folio; in an RCU section.
    if unsafe { folio.dirty_kept(block_bits) } {
        // SAFETY: By the safety requirements. Writeback may have taken the flag before it could see
        // the bits.
        unsafe { bindings::filemap_dirty_folio(mapping, raw) };
    }
    newly
}

/// Lets go of what is kept of a folio, unless it has to be written, or may have to be, for it is
/// pinned. C: `release_folio`.
///
/// # Safety
///
/// Called by mm with a locked folio of a mapping whose folios have no buffers.
pub(in crate::abstractions) unsafe extern "C" fn release_folio(
    raw: *mut bindings::folio,
    _gfp: bindings::gfp_t,
) -> bool {
    // SAFETY: By the safety requirements.
    let folio = unsafe { Folio::from_raw(raw) };
    if folio.flag(bindings::pageflags_PG_dirty) || folio.flag(bindings::pageflags_PG_writeback) {
        return false;
    }
    if folio.has_block_bits() {
        // SAFETY: The folio is locked for the call.
        if unsafe { folio.blocks() }.keeps_for_pins() {
            return false;
        }
        // SAFETY: The folio is locked.
        unsafe { folio.detach() };
    }
    true
}

/// A part of a folio is no part of the file any more, or all of it. C: `invalidate_folio`.
///
/// # Safety
///
/// As of [`release_folio`], with a folio of an inode of `W::Inode`; the range lies in the folio.
pub(in crate::abstractions) unsafe extern "C" fn invalidate_folio<W>(
    raw: *mut bindings::folio,
    offset: usize,
    len: usize,
) where
    W: FileWrites,
{
    // SAFETY: The caller has the folio locked, so its mapping stays, whose host is in use.
    let folio = unsafe { Folio::from_raw(raw) };
    // SAFETY: The folio is locked for the call.
    let bits = unsafe { folio.blocks() }.block_bits();
    // SAFETY: As above; the host is an inode of `W::Inode` by the safety requirements.
    let inode = unsafe {
        let mapping = (*raw).__bindgen_anon_1.__bindgen_anon_1.mapping;
        W::Inode::from_raw((*mapping).host)
    };
    let first = folio.position() >> bits;
    let gone = inward(offset..offset + len, bits);
    W::forget_blocks(
        inode,
        first + u64::from(gone.start)..first + u64::from(gone.end),
    );
    if offset == 0 && len == folio.size() {
        // SAFETY:
        // - the folio is valid and locked, and about to leave the mapping, so it need not be
        //   written;
        // - its bits are not used any more, and its mapping has no folios with buffers.
        unsafe {
            bindings::rust_mpage_helper_folio_cancel_dirty(raw);
            if folio.has_block_bits() {
                folio.detach();
            }
        }
        return;
    }
    // SAFETY: The folio is locked for the call.
    unsafe { folio.blocks() }.forget(gone);
}

/// Whether a range of a folio that is not uptodate can be read. C: `is_partially_uptodate`.
///
/// # Safety
///
/// As of [`invalidate_folio`].
pub(in crate::abstractions) unsafe extern "C" fn is_partially_uptodate(
    raw: *mut bindings::folio,
    from: usize,
    count: usize,
) -> bool {
    // SAFETY: By the safety requirements.
    let folio = unsafe { Folio::from_raw(raw) };
    let end = from.saturating_add(count).min(folio.size());
    // SAFETY: The folio is locked for the call.
    let blocks = unsafe { folio.blocks() };
    folio.has_block_bits() && blocks.are_valid(outward(from..end, blocks.block_bits()))
}
