// SPDX-License-Identifier: GPL-2.0

//! What is kept for each inode in memory, besides what the VFS keeps.
//!
//! Locks: the tree mutex, C's `truncate_mutex`, for whoever changes the tree of block pointers;
//! inside it `disk_only`, a spinlock, innermost. What else there is changes in one piece.

#![deny(unsafe_code)]

use crate::{
    attributes::{
        self,
        Known, //
    },
    cuts::{
        CutCount,
        Cuts, //
    },
    disk::{
        inode_flags,
        INODE_POINTERS, //
    },
    inode_disk::{
        DiskInode,
        FAST_SYMLINK_LIMIT, //
    },
    room::Room,
    run_cache::RunCache,
    tree::Tree, //
};
use kernel::{
    new_mutex, new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Mutex,
        MutexGuard,
        SpinLock, //
    },
};
use rust_mpage_core::abstractions::fs::StatAttributes;

/// What is kept for each inode; `struct ext2_inode_info`.
#[pin_data]
pub(crate) struct InodeData {
    /// The pointers to blocks, or the target of a fast symbolic link. Read without a lock, as in C:
    /// a pointer changes in one piece, and whoever follows it and may race with truncation looks
    /// again afterwards. They change under `tree`.
    pointers: [Atomic<u32>; INODE_POINTERS],
    /// Counts the cuts of truncations, each before what it cut off is freed.
    cuts: CutCount,
    /// For each pointer, its bit if the branch that it leads to has not been on disk yet. Changes
    /// under `tree`.
    fresh: Atomic<u32>,
    /// Whether the disk may have the inode with links: 0 or 1.
    on_disk: Atomic<u32>,
    /// The flags, `EXT2_*_FL`.
    flags: Atomic<u32>,
    /// The block of extended attributes, 0 if there is none.
    file_acl: Atomic<u32>,
    /// What is known of the attributes.
    pub(crate) attributes: Known,
    /// Permissions of the group that only the disk has, see [`attributes`](crate::attributes).
    hidden_mode: Atomic<u32>,
    /// What small reads have found.
    pub(crate) runs: RunCache,
    /// The page of a directory in which the last lookup found its name.
    pub(crate) lookup_hint: Atomic<u32>,
    /// Where a directory may have room for a new name.
    pub(crate) room: Room,
    /// The truncate mutex: the tree of pointers, and what is known of it.
    #[pin]
    tree: Mutex<Tree>,
    /// See [`inode_write`](crate::inode_write).
    #[pin]
    pub(crate) disk_only: SpinLock<DiskOnly>,
}

/// What of an inode is only of interest to the disk.
#[derive(Clone, Copy, Default)]
pub(crate) struct DiskOnly {
    /// Time of deletion.
    pub(crate) dtime: u32,
    /// Kept as read.
    pub(crate) dir_acl: u32,
    /// Kept as read.
    pub(crate) faddr: u32,
    /// Kept as read.
    pub(crate) frag: u8,
    /// Kept as read.
    pub(crate) fsize: u8,
    /// What is on disk is of an earlier inode with the number; `EXT2_STATE_NEW`.
    pub(crate) is_new: bool,
}

impl InodeData {
    /// Of an inode read from disk, with these attributes.
    pub(crate) fn of(disk: &DiskInode, known: Known) -> impl PinInit<Self, Error> {
        let only = DiskOnly {
            dtime: 0,
            dir_acl: disk.dir_acl,
            faddr: disk.faddr,
            frag: disk.frag,
            fsize: disk.fsize,
            is_new: false,
        };
        let pointers = disk.block.map(|pointer| pointer.get());

        Self::with(
            pointers,
            disk.flags,
            (disk.file_acl, known),
            disk.mode,
            only,
        )
    }

    /// Of a new inode with these flags and no blocks.
    pub(crate) fn fresh(flags: u32) -> impl PinInit<Self, Error> {
        Self::fresh_with([0; INODE_POINTERS], flags)
    }

    /// Of a new symbolic link with its target in the inode. Fails with `ENAMETOOLONG` if it does
    /// not fit.
    pub(crate) fn fresh_fast_symlink(
        flags: u32,
        target: &[u8],
    ) -> Result<impl PinInit<Self, Error>> {
        if target.len() >= FAST_SYMLINK_LIMIT {
            return Err(ENAMETOOLONG);
        }
        let mut pointers = [0; INODE_POINTERS];
        for (pointer, bytes) in pointers.iter_mut().zip(target.chunks(size_of::<u32>())) {
            let mut word = [0; size_of::<u32>()];
            for (to, from) in word.iter_mut().zip(bytes) {
                *to = *from;
            }
            *pointer = u32::from_le_bytes(word);
        }
        Ok(Self::fresh_with(pointers, flags))
    }

    fn fresh_with(pointers: [u32; INODE_POINTERS], flags: u32) -> impl PinInit<Self, Error> {
        let only = DiskOnly {
            is_new: true,
            ..DiskOnly::default()
        };
        Self::with(pointers, flags, (0, Known::default()), 0, only)
    }

    fn with(
        pointers: [u32; INODE_POINTERS],
        flags: u32,
        (file_acl, attributes): (u32, Known),
        mode: u16,
        only: DiskOnly,
    ) -> impl PinInit<Self, Error> {
        let hidden_mode = attributes::mode_of(mode, attributes).hidden;

        try_pin_init!(Self {
            pointers: pointers.map(Atomic::new),
            cuts: CutCount::new(),
            fresh: Atomic::new(0),
            on_disk: Atomic::new(u32::from(!only.is_new)),
            flags: Atomic::new(flags),
            file_acl: Atomic::new(file_acl),
            attributes,
            hidden_mode: Atomic::new(hidden_mode.into()),
            runs: RunCache::new(),
            lookup_hint: Atomic::new(0),
            room: Room::new(),
            tree <- new_mutex!(Tree::new(), "ext2_tree"),
            disk_only <- new_spinlock!(only, "ext2_disk_only"),
        }? Error)
    }

    /// Pointer number `index`, or `None` beyond the last.
    #[inline(always)]
    pub(crate) fn pointer(&self, index: u32) -> Option<u32> {
        Some(self.pointers.get(index as usize)?.load(Acquire))
    }

    /// All pointers.
    pub(crate) fn pointers(&self) -> [u32; INODE_POINTERS] {
        self.pointers
            .each_ref()
            .map(|pointer| pointer.load(Acquire))
    }

    /// Changes pointer number `index`, the tree being locked. Fails with `EUCLEAN` beyond the last.
    pub(crate) fn set_pointer(&self, index: u32, block: u32) -> Result {
        let pointer = self.pointers.get(index as usize).ok_or(EUCLEAN)?;
        pointer.store(block, Release);
        Ok(())
    }

    /// Locks the tree of pointers, for those who change it.
    pub(crate) fn lock_tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock()
    }

    /// Locks the tree of pointers, if nobody else has.
    pub(crate) fn try_lock_tree(&self) -> Option<MutexGuard<'_, Tree>> {
        self.tree.try_lock()
    }

    /// How many cuts there were, to be asked before looking at the tree.
    #[inline(always)]
    pub(crate) fn cuts(&self) -> Cuts {
        self.cuts.now()
    }

    /// Whether there were cuts since [`Self::cuts`] gave `cuts`: what was seen may be another
    /// file's.
    #[inline(always)]
    pub(crate) fn has_been_cut_since(&self, cuts: Cuts) -> bool {
        self.cuts.has_changed_since(cuts)
    }

    /// Counts a cut: pointers were set to null, what they pointed to is about to be freed. The tree
    /// is locked.
    pub(crate) fn count_cut(&self) {
        self.cuts.count();
    }

    /// Notes, before pointer `root` is set, that the branch that it leads to is not on disk. The
    /// tree is locked.
    pub(crate) fn note_fresh_branch(&self, root: u32) {
        let fresh = self.fresh.load(Relaxed) | (1 << root);
        self.fresh.store(fresh, Release);
    }

    /// Whether the branch behind pointer `root` is not on disk. The tree is locked.
    pub(crate) fn has_fresh_branch(&self, root: u32) -> bool {
        self.fresh.load(Relaxed) & (1 << root) != 0
    }

    /// Whether a pointer, seen before this was asked, leads to a branch that is not on disk.
    pub(crate) fn has_fresh_branches(&self) -> bool {
        let fresh = self.fresh.load(Acquire);
        fresh != 0
            && (0u32..)
                .zip(&self.pointers)
                .any(|(root, pointer)| fresh & (1 << root) != 0 && pointer.load(Relaxed) != 0)
    }

    /// All branches are on disk. The tree is locked.
    pub(crate) fn forget_fresh_branches(&self) {
        self.fresh.store(0, Release);
    }

    /// The disk may have the inode with its links.
    pub(crate) fn note_on_disk(&self) {
        self.on_disk.store(1, Release);
    }

    /// Whether the disk may have the inode with its links, and so its pointers.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.on_disk.load(Acquire) != 0
    }

    /// Sets the time of deletion; `i_dtime`.
    pub(crate) fn set_deletion_time(&self, seconds: u32) {
        self.disk_only.lock().dtime = seconds;
    }

    /// Whether there is a time of deletion.
    pub(crate) fn is_deleted(&self) -> bool {
        self.disk_only.lock().dtime != 0
    }

    /// The flags, `EXT2_*_FL`.
    pub(crate) fn flags(&self) -> u32 {
        self.flags.load(Relaxed)
    }

    /// Sets the flags; those that the VFS heeds have to be told to it.
    pub(crate) fn set_flags(&self, flags: u32) {
        self.flags.store(flags, Relaxed);
    }

    /// The block of extended attributes, 0 if there is none.
    pub(crate) fn file_acl(&self) -> u32 {
        self.file_acl.load(Relaxed)
    }

    /// There is no block of extended attributes any more.
    pub(crate) fn forget_file_acl(&self) {
        self.file_acl.store(0, Relaxed);
    }

    /// Permissions of the group that only the disk has.
    pub(crate) fn hidden_mode(&self) -> u16 {
        self.hidden_mode.load(Relaxed) as u16
    }

    /// Sets these permissions, of who sets the mode.
    pub(crate) fn set_hidden_mode(&self, mode: u16) {
        self.hidden_mode.store(mode.into(), Relaxed);
    }

    /// The flags that `statx(2)` shows.
    pub(crate) fn stat_attributes(&self) -> StatAttributes {
        let flags = self.flags();
        [
            (inode_flags::APPEND, StatAttributes::APPEND),
            (inode_flags::COMPRESS, StatAttributes::COMPRESSED),
            (inode_flags::IMMUTABLE, StatAttributes::IMMUTABLE),
            (inode_flags::NO_DUMP, StatAttributes::NO_DUMP),
        ]
        .into_iter()
        .filter(|(flag, _)| flags & flag != 0)
        .fold(StatAttributes::NONE, |all, (_, shown)| all.with(shown))
    }
}

#[kunit_tests(rust_ext2_inode_data)]
mod tests {
    use super::*;
    use crate::run_cache::{
        CachedRun,
        Search, //
    };
    use core::pin::Pin;

    const RUN: CachedRun = CachedRun {
        start: 12,
        first: 500,
        count: 1000,
    };

    fn fresh(flags: u32) -> Result<Pin<KBox<InodeData>>> {
        KBox::pin_init(InodeData::fresh(flags), GFP_KERNEL)
    }

    #[test]
    fn a_fresh_inode_is_not_on_disk() -> Result {
        let data = fresh(0x20)?;

        assert!(data.pointers() == [0; INODE_POINTERS] && data.flags() == 0x20);
        assert!(!data.is_on_disk() && data.disk_only.lock().is_new && !data.is_deleted());
        data.note_on_disk();
        data.set_deletion_time(7);
        assert!(data.is_on_disk() && data.is_deleted());
        Ok(())
    }

    #[test]
    fn targets_of_symbolic_links_are_in_the_pointers() -> Result {
        let data = KBox::pin_init(InodeData::fresh_fast_symlink(0, b"abcdefghi")?, GFP_KERNEL)?;

        assert_eq!(data.pointer(0), Some(u32::from_le_bytes(*b"abcd")));
        assert_eq!(data.pointer(2), Some(u32::from(b'i')));
        assert_eq!(
            (data.pointer(3), data.pointer(14), data.pointer(15)),
            (Some(0), Some(0), None)
        );
        assert!(InodeData::fresh_fast_symlink(0, &[b'x'; 59]).is_ok());
        assert!(InodeData::fresh_fast_symlink(0, &[b'x'; 60]).is_err());
        Ok(())
    }

    #[test]
    fn cuts_are_noticed() -> Result {
        let data = fresh(0)?;

        let before = data.cuts();
        assert!(!data.has_been_cut_since(before));
        data.count_cut();
        assert!(data.has_been_cut_since(before));
        assert!(!data.has_been_cut_since(data.cuts()));
        Ok(())
    }

    /// The last cut that 32 bits can count: what was seen before the first is not believed again.
    #[test]
    fn cuts_are_noticed_after_any_number() -> Result {
        let data = fresh(0)?;

        let before = data.cuts();
        data.cuts.pretend(Cuts::of(u32::MAX.into()));
        data.count_cut();
        assert!(data.has_been_cut_since(before));
        assert!(data.runs.find(0, 20, data.cuts()).is_none());
        assert_eq!(data.runs.plan(0, before), Search::Run);
        data.runs.remember(0, RUN, before);
        assert!(data.runs.find(0, 20, before).is_some());
        assert!(data.runs.find(0, 20, data.cuts()).is_none());
        Ok(())
    }

    #[test]
    fn fresh_branches_hold_the_inode_back_while_it_points_to_them() -> Result {
        let data = fresh(0)?;
        let _tree = data.lock_tree();

        assert!(!data.has_fresh_branches() && !data.has_fresh_branch(12));
        data.note_fresh_branch(12);
        assert!(data.has_fresh_branch(12) && !data.has_fresh_branch(13));
        // Nothing leads to it yet.
        assert!(!data.has_fresh_branches());
        data.set_pointer(12, 700)?;
        assert!(data.has_fresh_branches());
        data.set_pointer(12, 0)?;
        assert!(!data.has_fresh_branches());
        data.set_pointer(12, 800)?;
        data.forget_fresh_branches();
        assert!(!data.has_fresh_branches());
        assert!(data.set_pointer(15, 1).is_err());
        Ok(())
    }
}
