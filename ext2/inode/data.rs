// SPDX-License-Identifier: GPL-2.0

//! What is kept for each inode in memory, besides what the VFS keeps.
//!
//! Locks: the tree mutex, C's `truncate_mutex`, for whoever changes the tree of block pointers;
//! inside it `disk_only`, a spinlock, innermost. What else there is changes in one piece.

#![deny(unsafe_code)]

use super::{
    attribute_pointer::AttributePointer,
    attributes::{
        self,
        Known, //
    },
    delay_state::DelayState,
    disk_only::{
        DiskOnly,
        GivenNames,
        NewNames, //
    },
    known_names::KnownNames,
    room::Room,
    tree::Tree, //
};
use crate::{
    disk::{
        inode_decode::{
            DiskInode,
            FAST_SYMLINK_LIMIT, //
        },
        INODE_POINTERS, //
    },
    mount::Ext2,
    order::branches::Settled,
    sync::cut_count::{
        CutCount,
        Cuts, //
    },
    tree::run_cache::RunCache, //
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
use rust_mpage::fs::FsInode;

/// An inode of an ext2 filesystem.
pub(crate) type Ext2Inode = FsInode<Ext2>;

/// What is kept for each inode; `struct ext2_inode_info`.
#[pin_data]
pub(crate) struct InodeData {
    /// The pointers to blocks, or the target of a fast symbolic link. Read without a lock, as in C:
    /// a pointer changes in one piece, and whoever follows it and may race with truncation looks
    /// again afterwards. They change under `tree`.
    pointers: [Atomic<u32>; INODE_POINTERS],
    /// Whether `pointers` is a target. C asks how many blocks the inode counts, which may be wrong.
    is_fast_symlink: bool,
    /// Counts the cuts of truncations, each before what it cut off is freed.
    cuts: CutCount,
    /// Of a directory, the batch of [`names`](crate::order::names) that its pages wait for.
    pub(crate) names: Atomic<u64>,
    /// Whether a page of a directory could not be written: 0 or 1.
    held_back: Atomic<u32>,
    /// The flags, `EXT2_*_FL`.
    flags: Atomic<u32>,
    /// The block of extended attributes.
    #[pin]
    pub(crate) attribute_block: AttributePointer,
    /// What is known of attributes in the inode itself.
    pub(crate) attributes: Known,
    /// Permissions of the group that only the disk has: [`attributes`](crate::inode::attributes).
    hidden_mode: Atomic<u32>,
    /// What small reads have found.
    pub(crate) runs: RunCache,
    /// The page of a directory in which the last lookup found its name.
    pub(crate) lookup_hint: Atomic<u32>,
    /// Where a directory may have room for a new name.
    pub(crate) room: Room,
    /// What is known without a lock of blocks that get their places later.
    pub(crate) delay: DelayState,
    /// What is known of a directory's names.
    pub(crate) index: KnownNames,
    /// The tree mutex: the tree of pointers, and what is known of it.
    #[pin]
    tree: Mutex<Tree>,
    /// See [`write`](crate::inode::write).
    #[pin]
    pub(crate) disk_only: SpinLock<DiskOnly>,
}

impl InodeData {
    /// Of an inode read from disk, with these attributes, and with links that the image has in
    /// addition. Directories may have changes that are not on the disk.
    pub(crate) fn of(
        disk: &DiskInode,
        known: Known,
        kept_links: u32,
        directories_changed: bool,
    ) -> impl PinInit<Self, Error> {
        let only = DiskOnly {
            dtime: 0,
            dir_acl: disk.dir_acl,
            faddr: disk.faddr,
            frag: disk.frag,
            fsize: disk.fsize,
            is_on_disk: true,
            attributes_stored: true,
            kept_links,
            names: GivenNames::when_read(directories_changed),
            ..DiskOnly::default()
        };
        let content = (
            disk.block.map(|pointer| pointer.get()),
            disk.fast_symlink_target().is_some(),
        );

        Self::with(content, disk.flags, (disk.file_acl, known), disk.mode, only)
    }

    /// Of a new inode with these flags and no blocks.
    pub(crate) fn fresh(flags: u32) -> impl PinInit<Self, Error> {
        Self::fresh_with(([0; INODE_POINTERS], false), flags)
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
        Ok(Self::fresh_with((pointers, true), flags))
    }

    fn fresh_with(content: ([u32; INODE_POINTERS], bool), flags: u32) -> impl PinInit<Self, Error> {
        let only = DiskOnly {
            is_new: true,
            ..DiskOnly::default()
        };
        Self::with(content, flags, (0, Known::default()), 0, only)
    }

    fn with(
        (pointers, is_fast_symlink): ([u32; INODE_POINTERS], bool),
        flags: u32,
        (file_acl, attributes): (u32, Known),
        mode: u16,
        only: DiskOnly,
    ) -> impl PinInit<Self, Error> {
        let hidden_mode = attributes::mode_of(mode, attributes).hidden;

        try_pin_init!(Self {
            pointers: pointers.map(Atomic::new),
            is_fast_symlink,
            cuts: CutCount::new(),
            names: Atomic::new(0),
            held_back: Atomic::new(0),
            flags: Atomic::new(flags),
            attribute_block <- AttributePointer::new(file_acl),
            attributes,
            hidden_mode: Atomic::new(hidden_mode.into()),
            runs: RunCache::new(),
            lookup_hint: Atomic::new(0),
            room: Room::new(),
            delay: DelayState::new(),
            index: KnownNames::new(),
            tree <- new_mutex!(Tree::new(), "ext2_tree"),
            disk_only <- new_spinlock!(only, "ext2_disk_only"),
        }? Error)
    }

    /// Whether it is a symbolic link with its target in the inode.
    pub(crate) fn is_fast_symlink(&self) -> bool {
        self.is_fast_symlink
    }

    /// Pointer number `index`, or `None` beyond the last.
    #[inline]
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
    #[inline]
    pub(crate) fn cuts(&self) -> Cuts {
        self.cuts.now()
    }

    /// Whether there were cuts since [`Self::cuts`] gave `cuts`: what was seen may be another
    /// file's.
    #[inline]
    pub(crate) fn has_been_cut_since(&self, cuts: Cuts) -> bool {
        self.cuts.has_changed_since(cuts)
    }

    /// Counts a cut: pointers were set to null, what they pointed to is about to be freed. The tree
    /// is locked.
    pub(crate) fn count_cut(&self) {
        self.cuts.count();
    }

    /// Notes, before pointer `root` of the inode is set, that the block that it leads to is on disk
    /// after a batch of [`branches`](crate::order::branches), of which the inode's are up to
    /// `settled`. The tree is locked.
    pub(crate) fn note_fresh(&self, root: u32, batch: u64, settled: Settled) {
        self.disk_only.lock().note_fresh(root, batch, settled);
    }

    /// As [`note_fresh`](Self::note_fresh), of another block behind a pointer `root` that is fresh.
    /// Whether it is: else the disk may have what leads to the block.
    pub(crate) fn note_fresher(&self, root: u32, batch: u64) -> bool {
        self.disk_only.lock().note_fresher(root, batch)
    }

    /// Whether no image has been stored with pointer `root`. The tree is locked.
    pub(crate) fn is_fresh(&self, root: u32) -> bool {
        self.disk_only.lock().is_fresh(root)
    }

    /// A batch is on disk, with all that is the inode's.
    pub(crate) fn note_settled(&self, batch: u64) {
        self.disk_only.lock().note_settled(batch);
    }

    /// Whether the disk may have the inode with its links, and so the pointers that it had: to be
    /// asked after they have changed.
    pub(crate) fn is_on_disk(&self) -> bool {
        // Who stores an image has either seen the change or said so.
        self.disk_only.lock().is_on_disk
    }

    /// Has images with so many links more than the inode has.
    pub(crate) fn keep_links(&self, links: u32) {
        self.disk_only.lock().kept_links += links;
    }

    /// Has images with so many links less again.
    pub(crate) fn give_up_links(&self, links: u32) {
        let mut disk = self.disk_only.lock();
        disk.kept_links = disk.kept_links.saturating_sub(links);
    }

    /// Whether images have more links than the inode.
    pub(crate) fn keeps_links(&self) -> bool {
        self.disk_only.lock().kept_links != 0
    }

    /// Notes whether a page of a directory could not be written for want of what its names lead to.
    pub(crate) fn set_held_back(&self, is: bool) {
        self.held_back.store(is.into(), Relaxed);
    }
    /// Whether that is so.
    pub(crate) fn is_held_back(&self) -> bool {
        self.held_back.load(Relaxed) != 0
    }

    /// Notes that the inode has got a name in a directory, after it has.
    pub(crate) fn note_new_name(&self, directory: u32) {
        self.disk_only.lock().names.add(directory);
    }

    /// The names that may not be on the disk, if there are any.
    pub(crate) fn new_names(&self) -> Option<NewNames> {
        self.disk_only.lock().names.new_names()
    }

    /// These names are on the disk.
    pub(crate) fn note_names_on_disk(&self, names: NewNames) {
        self.disk_only.lock().names.note_on_disk(names);
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
        self.attribute_block.block()
    }

    /// Sets that block, which the disk `may_have` as the inode's, or not. Whether it may have the
    /// one before.
    pub(crate) fn set_file_acl(&self, block: u32, may_have: bool) -> bool {
        let mut disk = self.disk_only.lock();
        self.attribute_block.set_block(block);
        core::mem::replace(&mut disk.attributes_stored, may_have)
    }

    /// Permissions of the group that only the disk has.
    pub(crate) fn hidden_mode(&self) -> u16 {
        self.hidden_mode.load(Relaxed) as u16
    }

    /// Sets these permissions, of who sets the mode.
    pub(crate) fn set_hidden_mode(&self, mode: u16) {
        self.hidden_mode.store(mode.into(), Relaxed);
    }
}

#[kunit_tests(rust_ext2_inode_data)]
mod tests {
    use super::*;
    use crate::tree::run_cache::{
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
        data.disk_only.lock().is_on_disk = true;
        data.set_deletion_time(7);
        assert!(data.is_on_disk() && data.is_deleted());
        Ok(())
    }

    #[test]
    fn targets_of_symbolic_links_are_in_the_pointers() -> Result {
        let data = KBox::pin_init(InodeData::fresh_fast_symlink(0, b"abcdefghi")?, GFP_KERNEL)?;

        assert_eq!(data.pointer(0), Some(u32::from_le_bytes(*b"abcd")));
        assert_eq!(data.pointer(2), Some(u32::from(b'i')));
        assert!(data.is_fast_symlink() && !fresh(0)?.is_fast_symlink());
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
    fn fresh_branches_hold_the_image_back_that_points_to_them() -> Result {
        let data = fresh(0)?;
        let mut image = [0; INODE_POINTERS];

        assert!(!data.is_fresh(12) && !data.note_fresher(12, 5));
        data.note_fresh(12, 3, Settled::up_to(0));
        assert!(data.is_fresh(12) && !data.is_fresh(13));
        // Nothing leads to it yet.
        assert_eq!(data.disk_only.lock().waiting(&image, 0, 0), 0);
        image[12] = 700;
        image[3] = 70;
        assert_eq!(data.disk_only.lock().waiting(&image, 0, 0), 1 << 12);
        // Another block behind it.
        assert!(data.note_fresher(12, 4));
        data.note_settled(3);
        assert_eq!(data.disk_only.lock().waiting(&image, 0, 0), 1 << 12);
        // Or one that comes when these are there.
        data.note_fresh(3, 5, Settled::up_to(4));
        assert_eq!(data.disk_only.lock().waiting(&image, 0, 0), 1 << 3);
        data.note_settled(5);
        assert_eq!(data.disk_only.lock().waiting(&image, 0, 0), 0);
        assert!(!data.is_fresh(12) && data.set_pointer(15, 1).is_err());
        Ok(())
    }

    #[test]
    fn kept_links_are_counted() -> Result {
        let data = fresh(0)?;
        assert!(!data.keeps_links());
        data.keep_links(3);
        data.give_up_links(1);
        assert!(data.keeps_links());
        data.give_up_links(2);
        assert!(!data.keeps_links());
        Ok(())
    }

    #[test]
    fn a_name_that_comes_meanwhile_is_new() -> Result {
        let data = fresh(0)?;
        assert_eq!(data.new_names(), None);
        data.note_new_name(7);
        let first = data.new_names().ok_or(EINVAL)?;
        data.note_new_name(7);
        data.note_names_on_disk(first);
        let second = data.new_names().ok_or(EINVAL)?;
        data.note_names_on_disk(second);
        data.note_names_on_disk(first);
        assert_eq!(data.new_names(), None);
        Ok(())
    }
}
