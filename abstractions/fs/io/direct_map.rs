// SPDX-License-Identifier: GPL-2.0

//! Where direct I/O goes: the mapper's answers, for iomap.
//!
//! C header: [`include/linux/iomap.h`](srctree/include/linux/iomap.h)
//!
//! Blocks that somebody has just given to the file may have anything on the disk until the page
//! with them is written: those behind a store to a mapped hole. A write has the inode to itself,
//! but not that. So who reads asks first where blocks are, and then whether a page with them is
//! about to be written: such are read from the page cache. The other way round, a page that is not
//! is on the disk already, or the blocks have been the file's all the time. C reads what another
//! file left there.
//!
//! Locks: `i_rwsem`, at least shared, is held by who asks iomap.
//!
//! C counterpart: `ext2_iomap_begin()`, `ext2_iomap_end()`.

use crate::{
    abstractions::{
        block::BlockDevice,
        fs::{
            AddressSpaceWriteOperations,
            FsInode,
            InodeType,
            WritableFile, //
        },
        mm::{
            FileBlocks,
            FileWrites,
            Intent, //
        },
    },
    bindings, //
};
use core::marker::PhantomData;
use kernel::{
    error::from_result,
    ffi::{
        c_int,
        c_uint, //
    },
    prelude::*,
};

/// What iomap asks for: a range of a file, in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Question {
    /// The first block.
    first: u64,
    /// Behind the last block.
    end: u64,
    /// Behind the last block of the file.
    file_end: u64,
    intent: Intent,
}

/// What it is told of the blocks from the first one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer<D> {
    /// So many are nothing.
    Hole(u64),
    /// So many are on a device, from a block on.
    There { len: u64, device: D, start: u64 },
    /// They are the page cache's.
    Cached,
}

impl Question {
    /// Of `length` bytes from `offset` on, in a file of `size` bytes with blocks of `1 << bits`
    /// bytes.
    fn new(offset: u64, length: u64, size: u64, bits: u32, intent: Intent) -> Self {
        let block = 1 << bits;
        Self {
            first: offset >> bits,
            end: offset.saturating_add(length).div_ceil(block),
            file_end: size.div_ceil(block),
            intent,
        }
    }

    /// How many blocks the mapper is asked about; [`None`] if the first one is behind the end of
    /// the file, where it is not asked.
    fn blocks(&self) -> Option<u32> {
        let len = self.end.min(self.file_end).checked_sub(self.first)?;
        // What is more is asked for later.
        (len > 0).then(|| u32::try_from(len).unwrap_or(u32::MAX))
    }

    /// What becomes of what the mapper has said.
    fn answer<D>(&self, len: u32, place: Option<(D, u64)>) -> Answer<D> {
        match (place, self.intent) {
            (Some((device, start)), _) => Answer::There {
                len: len.into(),
                device,
                start,
            },
            (None, Intent::Read) => Answer::Hole(len.into()),
            (None, Intent::Overwrite) => Answer::Cached,
        }
    }

    /// What is behind the end of the file.
    fn behind<D>(&self) -> Answer<D> {
        match self.intent {
            Intent::Read => Answer::Hole(self.end.saturating_sub(self.first).max(1)),
            Intent::Overwrite => Answer::Cached,
        }
    }
}

/// What iomap is told of files that are an `I`, with the pages `A`, on account of requests that
/// have what they write brought to the medium if `SYNCS`.
pub(super) struct DirectMap<I, A, const SYNCS: bool>(PhantomData<(I, A)>);

impl<I, A, const SYNCS: bool> DirectMap<I, A, SYNCS>
where
    I: WritableFile,
    A: AddressSpaceWriteOperations<Inode = FsInode<I::FileSystem>>,
    A::Writes: FileWrites<Inode = A::Inode>,
{
    /// The table.
    pub(in crate::abstractions::fs) const OPERATIONS: &'static bindings::iomap_ops =
        &bindings::iomap_ops {
            iomap_begin: Some(Self::begin_callback),
            iomap_end: Some(Self::end_callback),
            iomap_next: None,
        };

    /// C: `ext2_iomap_begin()`.
    ///
    /// # Safety
    ///
    /// Called by iomap for an inode with the tables of `I` and `A`, and a place for the answer.
    pub(in crate::abstractions::fs) unsafe extern "C" fn begin_callback(
        raw: *mut bindings::inode,
        offset: bindings::loff_t,
        length: bindings::loff_t,
        flags: c_uint,
        map: *mut bindings::iomap,
        _source: *mut bindings::iomap,
    ) -> c_int {
        // SAFETY: iomap asks on account of an open file, which keeps its inode, and that is one of
        // `A` by the safety requirements.
        let inode = unsafe { A::Inode::from_raw(raw) };
        let intent = match flags & bindings::IOMAP_WRITE {
            0 => Intent::Read,
            _ => Intent::Overwrite,
        };
        let at_once = flags & bindings::IOMAP_NOWAIT != 0;
        let bits = inode.block_bits();
        // iomap passes neither negative.
        let question = Question::new(offset as u64, length as u64, inode.size(), bits, intent);
        from_result(|| {
            let (kind, len, place) = match Self::ask(inode, &question, at_once)? {
                Answer::Cached => return Ok(not_directly() as c_int),
                Answer::Hole(len) => (bindings::IOMAP_HOLE, len, None),
                Answer::There { len, device, start } => {
                    (bindings::IOMAP_MAPPED, len, Some((device, start)))
                }
            };
            let length = len.checked_mul(1 << bits).ok_or(EIO)?;
            let (device, address) = match place {
                Some((device, start)) => (device, start.checked_mul(1 << bits).ok_or(EIO)?),
                None => (inode.device(), u64::MAX),
            };
            // Nobody else asks.
            let flags = match SYNCS && intent == Intent::Overwrite && !Self::is_synced(inode) {
                // A flush of the data alone would not be enough for O_DSYNC.
                true => bindings::IOMAP_F_DIRTY as u16,
                false => 0,
            };
            // SAFETY: The place is valid, and nobody else's: iomap calls this to have it filled.
            unsafe {
                (*map).type_ = kind as u16;
                (*map).flags = flags;
                (*map).offset = (question.first << bits) as bindings::loff_t;
                (*map).length = length;
                (*map).addr = address;
                (*map).bdev = device.as_raw();
            }
            Ok(0)
        })
    }

    /// Asks the mapper, and then the page cache.
    fn ask<'i>(
        inode: &'i A::Inode,
        question: &Question,
        at_once: bool,
    ) -> Result<Answer<&'i BlockDevice>> {
        let Some(max) = question.blocks() else {
            return Ok(question.behind());
        };
        let found: FileBlocks<'i> = match at_once {
            false => A::Writes::find(inode, question.first, max, question.intent)?,
            // Somebody else asks for it who may wait; also if a part of it is known, or the request
            // would have begun when it turns out that it cannot go on. C:
            // `xfs_direct_write_iomap_begin()`.
            true => A::Writes::recall(inode, question.first, max)
                .filter(|found| found.count() == max)
                .ok_or(EAGAIN)?,
        };
        let answer = question.answer(found.count(), found.place());
        if question.intent == Intent::Overwrite || !matches!(answer, Answer::There { .. }) {
            return Ok(answer);
        }
        let bits = inode.block_bits();
        let start = question.first << bits;
        let last = start + (u64::from(found.count()) << bits) - 1;
        // SAFETY: The inode is valid, and keeps its mapping.
        match unsafe {
            bindings::rust_mpage_helper_may_be_written(inode.mapping(), start as i64, last as i64)
        } {
            true => Ok(Answer::Cached),
            false => Ok(answer),
        }
    }

    /// Whether `fdatasync(2)` would have nothing to do. That what leads to the data has been
    /// written is not enough where the device has a cache of its own: nothing may have flushed that
    /// since.
    fn is_synced(inode: &A::Inode) -> bool {
        const UNSYNCED: u32 = bindings::inode_state_flags_enum_I_DIRTY_DATASYNC
            | bindings::inode_state_flags_enum_I_SYNC;

        // SAFETY: The inode is valid.
        let state = unsafe { bindings::rust_mpage_helper_inode_state(inode.as_raw()) };
        // SAFETY: The device is valid, and the filesystem's.
        let may_lose =
            unsafe { bindings::rust_mpage_helper_bdev_write_cache(inode.device().as_raw()) };
        state & UNSYNCED == 0
            && !may_lose
            && !I::has_unsynced_metadata(inode)
            && I::names_are_synced(inode)
    }

    /// Of a write that got nowhere the page cache is asked to do the rest. C: `ext2_iomap_end()`.
    ///
    /// # Safety
    ///
    /// Called by iomap.
    unsafe extern "C" fn end_callback(
        _inode: *mut bindings::inode,
        _offset: bindings::loff_t,
        _length: bindings::loff_t,
        written: isize,
        flags: c_uint,
        _map: *mut bindings::iomap,
    ) -> c_int {
        if flags & bindings::IOMAP_WRITE != 0 && written == 0 {
            return not_directly() as c_int;
        }
        0
    }
}

/// What stands for: do it in another way.
pub(super) const fn not_directly() -> isize {
    -(bindings::ENOTBLK as isize)
}

#[kernel::macros::kunit_tests(rust_mpage_direct)]
mod tests {
    use super::*;

    fn ask(offset: u64, length: u64, size: u64, intent: Intent) -> Question {
        Question::new(offset, length, size, 12, intent)
    }

    #[test]
    fn parts_of_blocks_are_blocks() {
        let question = ask(4095, 2, 1 << 20, Intent::Read);
        assert_eq!((question.first, question.end), (0, 2));
        assert_eq!(question.blocks(), Some(2));
        assert_eq!(ask(4096, 4096, 1 << 20, Intent::Read).blocks(), Some(1));
    }

    #[test]
    fn nobody_asks_behind_the_end() {
        assert_eq!(ask(0, 1 << 20, 5000, Intent::Read).blocks(), Some(2));
        let behind = ask(8192, 4096, 5000, Intent::Read);
        assert_eq!(behind.blocks(), None);
        assert_eq!(behind.behind::<()>(), Answer::Hole(1));
        let behind = ask(8192, 4096, 5000, Intent::Overwrite);
        assert_eq!(behind.behind::<()>(), Answer::Cached);
    }

    #[test]
    fn what_is_too_much_is_asked_for_later() {
        let all = ask(0, u64::MAX, u64::MAX, Intent::Read);
        assert_eq!(all.blocks(), Some(u32::MAX));
    }

    #[test]
    fn holes_are_read_and_not_written() {
        let read = ask(0, 4096, 4096, Intent::Read);
        assert_eq!(read.answer::<()>(1, None), Answer::Hole(1));
        let write = ask(0, 4096, 4096, Intent::Overwrite);
        assert_eq!(write.answer::<()>(1, None), Answer::Cached);
        let there = Answer::There {
            len: 1,
            device: (),
            start: 7,
        };
        assert_eq!(write.answer(1, Some(((), 7))), there);
        assert_eq!(read.answer(1, Some(((), 7))), there);
    }
}
