// SPDX-License-Identifier: GPL-2.0

//! Where a file has data, and where holes: `lseek(2)` with `SEEK_DATA` and `SEEK_HOLE`.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! What has a place on the disk is data, and so is what is dirty in the page cache and has none
//! yet. A page may get its place and be clean between a look at the mapper and one at the cache: so
//! what both say is a hole is asked for once more. C ext2 says that a file is all data.
//!
//! Locks: `i_rwsem` shared; inside it the lock of one folio at a time.
//!
//! C counterpart: `iomap_seek_data()`, `iomap_seek_hole()`.

use crate::{
    abstractions::{
        fs::{
            inode::SharedLock,
            AddressSpaceWriteOperations,
            Inode,
            InodeType, //
        },
        mm::{
            next_dirty,
            FileWrites,
            Intent, //
        },
    },
    bindings, //
};
use core::{
    marker::PhantomData,
    ops::Range, //
};
use kernel::{
    ffi::c_int,
    prelude::*, //
};

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Data,
    Hole,
}

/// Blocks that are all data, or all hole: how many, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    len: u64,
    is: Wanted,
}

/// The first position from `from` on, in a file of `size` bytes with blocks of `1 << bits` bytes,
/// that is in what is `wanted`; the end of the file is a hole. `look` says what the first blocks of
/// a range are. Fails with `ENXIO` if there is none, and as `look`.
fn seek(
    wanted: Wanted,
    from: u64,
    size: u64,
    bits: u32,
    mut look: impl FnMut(Range<u64>) -> Result<Stretch>,
) -> Result<u64> {
    let end = size.div_ceil(1 << bits);
    let mut at = from >> bits;

    if from >= size {
        return Err(ENXIO);
    }
    while at < end {
        let stretch = look(at..end)?;
        if stretch.is == wanted {
            return Ok(from.max(at << bits));
        }
        at = at.saturating_add(stretch.len.max(1));
    }
    match wanted {
        Wanted::Data => Err(ENXIO),
        Wanted::Hole => Ok(size),
    }
}

/// How it is looked for in files with the pages `A`.
pub(in crate::abstractions::fs) struct SeekVTable<A>(PhantomData<A>);

impl<A> SeekVTable<A>
where
    A: AddressSpaceWriteOperations,
    A::Writes: FileWrites<Inode = A::Inode>,
{
    /// # Safety
    ///
    /// Called by the VFS with an open file whose mapping has the table of `A` for regular files.
    pub(in crate::abstractions::fs) unsafe extern "C" fn llseek_callback(
        file: *mut bindings::file,
        offset: bindings::loff_t,
        whence: c_int,
    ) -> bindings::loff_t {
        let wanted = match whence as u32 {
            bindings::SEEK_DATA => Wanted::Data,
            bindings::SEEK_HOLE => Wanted::Hole,
            // SAFETY: The arguments are passed on.
            _ => return unsafe { bindings::generic_file_llseek(file, offset, whence) },
        };
        // SAFETY: An open file keeps its inode; that is one of `A`, by the safety requirements.
        let inode = unsafe { A::Inode::from_raw((*file).f_inode) };
        let lock = SharedLock::new(inode.as_ref());
        // SAFETY: Regular files with the table of `A` have no folios with buffer_heads.
        let found = unsafe { Self::find(inode, wanted, offset) };
        drop(lock);
        match found {
            // SAFETY:
            // - the file is open by the safety requirements;
            // - its filesystem is mounted as long, and so the superblock valid.
            Ok(at) => unsafe {
                let most = (*(*(*file).f_inode).i_sb).s_maxbytes;
                // In the file, so it fits.
                bindings::vfs_setpos(file, at as bindings::loff_t, most)
            },
            Err(error) => error.to_errno().into(),
        }
    }

    /// # Safety
    ///
    /// The folios of the inode's mapping must have no buffer_heads.
    unsafe fn find(inode: &A::Inode, wanted: Wanted, from: bindings::loff_t) -> Result<u64> {
        let from = u64::try_from(from).map_err(|_| ENXIO)?;
        let plain: &Inode = inode.as_ref();
        seek(wanted, from, plain.size(), plain.block_bits(), |range| {
            // SAFETY: By the safety requirements.
            unsafe { Self::look(inode, range) }
        })
    }

    /// What the first blocks of a range are.
    ///
    /// # Safety
    ///
    /// As of [`Self::find`].
    unsafe fn look(inode: &A::Inode, range: Range<u64>) -> Result<Stretch> {
        let ask = |len: u64| -> Result<Stretch> {
            let max = u32::try_from(len).unwrap_or(u32::MAX);
            let found = A::Writes::find(inode, range.start, max, Intent::Read)?;
            Ok(Stretch {
                len: found.count().into(),
                is: match found.place() {
                    Some(_) => Wanted::Data,
                    None => Wanted::Hole,
                },
            })
        };
        let first = ask(range.end - range.start)?;
        if first.is == Wanted::Data {
            return Ok(first);
        }
        let hole = range.start..range.start + first.len;
        // SAFETY: By the safety requirements.
        match unsafe { next_dirty(inode, hole.clone()) } {
            Some(dirty) if dirty.start <= hole.start => Ok(Stretch {
                len: dirty.end - hole.start,
                is: Wanted::Data,
            }),
            Some(dirty) => ask(dirty.start - hole.start),
            None => ask(first.len),
        }
    }
}

#[kernel::macros::kunit_tests(rust_mpage_seek)]
mod tests {
    use super::*;

    /// A file of 8 blocks of 1 KiB but 24 bytes: of these blocks the bits are data.
    fn find(wanted: Wanted, from: u64, data: u32) -> Result<u64> {
        seek(wanted, from, 8 * 1024 - 24, 10, |range| {
            let is = |block: u64| match data >> block & 1 {
                0 => Wanted::Hole,
                _ => Wanted::Data,
            };
            let len = range
                .clone()
                .take_while(|&block| is(block) == is(range.start))
                .count();
            Ok(Stretch {
                // Answers may be shorter.
                len: (len as u64).min(2),
                is: is(range.start),
            })
        })
    }

    #[test]
    fn the_first_of_what_is_wanted_is_found() -> Result {
        assert_eq!(find(Wanted::Data, 0, 0b1001_1000)?, 3 * 1024);
        assert_eq!(find(Wanted::Data, 3 * 1024 + 7, 0b1001_1000)?, 3 * 1024 + 7);
        assert_eq!(find(Wanted::Data, 5 * 1024 + 1, 0b1001_1000)?, 7 * 1024);
        assert_eq!(find(Wanted::Hole, 3 * 1024, 0b1001_1000)?, 5 * 1024);
        assert_eq!(find(Wanted::Hole, 1, 0b1001_1000)?, 1);
        Ok(())
    }

    #[test]
    fn the_end_of_a_file_is_a_hole() -> Result {
        let size = 8 * 1024 - 24;
        assert_eq!(find(Wanted::Hole, 0, 0xFF)?, size);
        assert_eq!(find(Wanted::Hole, size - 1, 0xFF)?, size);
        assert_eq!(find(Wanted::Hole, size, 0xFF), Err(ENXIO));
        assert_eq!(find(Wanted::Data, size, 0xFF), Err(ENXIO));
        assert_eq!(find(Wanted::Data, 0, 0), Err(ENXIO));
        assert_eq!(find(Wanted::Hole, size - 1, 0)?, size - 1);
        Ok(())
    }

    #[test]
    fn errors_are_passed_on() {
        let found = seek(Wanted::Data, 0, 1024, 10, |_| Err(EIO));
        assert_eq!(found, Err(EIO));
    }
}
