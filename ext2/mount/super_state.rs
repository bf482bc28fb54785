// SPDX-License-Identifier: GPL-2.0

//! The superblock of a mounted filesystem: its state, its counts, and how they get to the disk.
//!
//! While the filesystem is mounted for writing the superblock on disk does not say that it is
//! valid. What it said before is kept, to be said again when the filesystem is unmounted, frozen or
//! remounted read-only, unless errors were found.
//!
//! The buffer stays in memory, and its fields are changed where they are: whoever has the device
//! open, e2fsck of a filesystem that is mounted read-only in particular, and this driver see what
//! the other has written.
//!
//! C counterparts: `ext2_setup_super()`, `ext2_sync_super()`, `ext2_sync_fs()`, `ext2_freeze()`,
//! `ext2_put_super()`, `ext2_reconfigure()`, `ext2_update_dynamic_rev()`.
//!
//! Locks: `mount_state`, a spinlock, for a change of the state in memory and in the buffer. The
//! buffer is written without it, and with the mutex of [`late_features`] while it gets a feature.

#![deny(unsafe_code)]

use super::{
    data::Ext2,
    late_features::{
        self,
        Feature,
        LateFeatures, //
    },
    mount_state::{
        self,
        CheckAdvice,
        SuperWord,
        WriteSupport, //
    },
    report, //
};
use crate::{
    disk::{
        self,
        SuperBlock as DiskSuperBlock, //
    },
    groups::count::GroupCount, //
};
use kernel::{
    fmt, new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        SpinLock, //
    },
};
use rust_mpage::fs::{
    self,
    Buffer,
    Level,
    MountRequest,
    SuperBlock,
    Syncing,
    Wait, //
};
use zerocopy::FromZeros;

/// The superblock's buffer, and what is known of its state.
#[pin_data]
pub(crate) struct SuperState {
    buffer: Buffer,
    /// Where in the buffer the superblock starts, in words.
    start: usize,
    /// What `s_state` is to be when the filesystem is not mounted any more, `s_mount_state`.
    #[pin]
    mount_state: SpinLock<u16>,
    /// An error has asked for it while the filesystem was frozen, 0 or 1.
    read_only_later: Atomic<u32>,
    #[pin]
    late_features: LateFeatures,
}

impl SuperState {
    /// The superblock `disk`, which was read from byte `offset` of `buffer`.
    pub(crate) fn new(buffer: Buffer, offset: u32, disk: &DiskSuperBlock) -> impl PinInit<Self> {
        let state = disk.state.get();
        let features = late_features::on_disk(disk);
        pin_init!(Self {
            buffer,
            start: offset as usize / size_of::<u32>(),
            mount_state <- new_spinlock!(state, "ext2_mount_state"),
            read_only_later: Atomic::new(0),
            late_features <- LateFeatures::new(features),
        })
    }

    /// A copy of the superblock as it is now.
    pub(crate) fn read(&self) -> Result<DiskSuperBlock> {
        let mut disk = DiskSuperBlock::new_zeroed();
        self.buffer
            .copy_to(self.start * size_of::<u32>(), disk.as_mut_bytes())?;
        Ok(disk)
    }

    /// Blocks that only some may use, `s_r_blocks_count`.
    #[inline]
    pub(crate) fn reserved_blocks(&self) -> u32 {
        self.get(SuperWord::ReservedBlocks)
    }

    #[inline]
    fn get(&self, word: SuperWord) -> u32 {
        // The superblock is wholly in its buffer, else mounting would have failed.
        self.buffer.le32(self.start + word.index()).unwrap_or(0)
    }

    fn change(&self, word: SuperWord, change: impl Fn(u32) -> u32) {
        self.buffer
            .update_le32(self.start + word.index(), |old| Some(change(old)));
    }

    /// Marks the filesystem as not valid, for it is in use.
    fn set_in_use(&self) {
        let _mount_state = self.mount_state.lock();
        self.change(SuperWord::State, |word| {
            mount_state::with_state(word, mount_state::state_in(word) & !disk::state::VALID)
        });
    }

    /// Marks the filesystem as it was before it was mounted, and with the errors found since.
    fn set_not_in_use(&self) {
        let mount_state = self.mount_state.lock();
        self.change(SuperWord::State, |word| {
            mount_state::with_state(word, *mount_state)
        });
    }

    /// Marks that errors were found. Whether that is news.
    fn set_error(&self) -> bool {
        let mut mount_state = self.mount_state.lock();
        let old = mount_state::state_in(self.get(SuperWord::State));

        *mount_state |= disk::state::ERROR;
        self.change(SuperWord::State, |word| {
            mount_state::with_state(word, mount_state::state_in(word) | disk::state::ERROR)
        });
        old & disk::state::ERROR == 0
    }

    /// Whether errors were found, now or before it was mounted.
    fn has_errors(&self) -> bool {
        mount_state::state_in(self.get(SuperWord::State)) & disk::state::ERROR != 0
    }

    /// Whether the filesystem is to be read-only when it is not frozen any more.
    pub(crate) fn is_to_be_read_only(&self) -> bool {
        self.read_only_later.load(Relaxed) != 0
    }

    /// Takes the state on disk for the one before mounting.
    fn adopt_state(&self) {
        let mut mount_state = self.mount_state.lock();
        *mount_state = mount_state::state_in(self.get(SuperWord::State));
    }
}

/// Makes the filesystem read-only after an error, or has that done when it is not frozen any more.
pub(super) fn make_read_only(sb: &SuperBlock<Ext2>) {
    let state = &sb.data().state;

    if state.is_to_be_read_only() {
        return;
    }
    sb.message(
        Level::Critical,
        fmt!("error: making the filesystem read-only"),
    );
    if !sb.set_read_only() {
        state.read_only_later.store(1, Relaxed);
    }
}

/// Brings the counts and the time into the superblock, and that to the disk.
/// C: `ext2_sync_super()`, which has no error to return.
fn sync_super(sb: &SuperBlock<Ext2>, wait: Wait) -> Result {
    let data = sb.data();
    let state = &data.state;

    let free_blocks = data.groups.sum(GroupCount::FreeBlocks) as u32;
    let free_inodes = data.groups.sum(GroupCount::FreeInodes) as u32;
    state.change(SuperWord::FreeBlocks, |_| free_blocks);
    state.change(SuperWord::FreeInodes, |_| free_inodes);
    state.change(SuperWord::WriteTime, |_| fs::now() as u32);
    sb.mark_dirty(&state.buffer);
    match wait {
        Wait::Yes => sb.sync_buffer(&state.buffer).inspect_err(|error| {
            let errno = error.to_errno();
            report::corrupt(
                sb,
                fmt!("the superblock could not be written: error {errno}"),
            );
        }),
        Wait::No => Ok(()),
    }
}

/// As [`sync_fs`], for the VFS, which has had inodes written that have [been put
/// off](crate::inode::write_inode).
pub(crate) fn sync(sync: Syncing<'_, Ext2>, wait: Wait) -> Result {
    let sb = sync.super_block();

    if wait == Wait::Yes {
        let branches = &sb.data().order.branches;
        branches.store_put_off(sb, || sync.write_inodes());
    }
    let synced = sync_fs(sb, wait);
    match wait {
        Wait::Yes => bring_to_medium(sb).and(synced),
        Wait::No => synced,
    }
}

/// Writes all metadata, and waits until that and the data are on the medium. C leaves them in the
/// device's cache; `ext4_sync_fs()`.
fn bring_to_medium(sb: &SuperBlock<Ext2>) -> Result {
    let written = sb.device().sync();

    sb.device().flush().and(written)
}

/// Marks the filesystem as in use, and writes the superblock, and, if that is to be waited for,
/// deletes what is to be deleted. C: `ext2_sync_fs()`.
pub(crate) fn sync_fs(sb: &SuperBlock<Ext2>, wait: Wait) -> Result {
    let order = &sb.data().order;
    let resolved = match wait {
        Wait::Yes => order.removals.resolve(sb).and(order.owners.resolve(sb)),
        Wait::No => Ok(()),
    };
    write_in_use(sb, wait).and(resolved)
}

fn write_in_use(sb: &SuperBlock<Ext2>, wait: Wait) -> Result {
    sb.data().state.set_in_use();
    sync_super(sb, wait)
}

/// Marks the filesystem as in use on the medium, before anything there changes: else a crash may
/// leave a filesystem that nobody checks. C does not flush the device.
fn begin_use(sb: &SuperBlock<Ext2>) -> Result {
    write_in_use(sb, Wait::Yes)?;
    sb.device().flush()
}

/// Deletes what is to be deleted, writes all metadata, and marks the filesystem as not in use.
fn close(sb: &SuperBlock<Ext2>) -> Result {
    let order = &sb.data().order;
    let resolved = order.removals.resolve(sb).and(order.owners.resolve(sb));

    order.removals.report(sb);
    order.owners.report(sb);
    // What was deleted just now, too.
    sb.write_metadata();
    write_not_in_use(sb).and(resolved)
}

/// Says on the medium that the filesystem need not be checked, which has what is to be true then:
/// all has been written.
fn write_not_in_use(sb: &SuperBlock<Ext2>) -> Result {
    sb.device().flush()?;
    sb.data().state.set_not_in_use();
    sync_super(sb, Wait::Yes)?;
    sb.device().flush()
}

/// Begins to use the filesystem for writing: warns of what the user should know, and counts the
/// mount. C: `ext2_setup_super()`.
///
/// Fails with `EROFS` if the filesystem can only be read. `tell` prints why, and what it warns of.
fn open(sb: &SuperBlock<Ext2>, tell: impl Fn(Level, fmt::Arguments<'_>)) -> Result {
    let data = sb.data();
    let disk = data.state.read()?;

    let support = WriteSupport::of(&disk);
    if support != WriteSupport::Full {
        tell(Level::Error, fmt!("error: {support}"));
        return Err(EROFS);
    }
    if let Some(advice) = CheckAdvice::for_writing(&disk, fs::now()) {
        tell(Level::Warning, fmt!("warning: {advice}"));
    }
    data.state
        .change(SuperWord::Mounts, mount_state::with_mount_counted);
    begin_use(sb)
}

/// The filesystem has been mounted.
pub(crate) fn mounted(sb: &SuperBlock<Ext2>) -> Result {
    if sb.is_read_only() {
        return Ok(());
    }
    match open(sb, |level, what| sb.message(level, what)) {
        Ok(()) => (),
        // A revision that is too high; features have been looked at before.
        Err(EROFS) => {
            sb.set_read_only();
        }
        // It can be read, and perhaps be written later: the disk says that it need not be checked.
        error => {
            report_unwritten(sb, error);
            make_read_only(sb);
        }
    }
    Ok(())
}

/// The filesystem is remounted for reading only. C: `ext2_reconfigure()`.
pub(crate) fn to_read_only(sb: &SuperBlock<Ext2>) -> Result {
    let state = &sb.data().state;
    let on_disk = mount_state::state_in(state.get(SuperWord::State));
    let before = *state.mount_state.lock();

    if !mount_state::is_to_be_closed(on_disk, before) {
        return Ok(());
    }
    state.change(SuperWord::MountTime, |_| fs::now() as u32);
    // On a device that fails it is to be read-only all the more.
    report_unwritten(sb, close(sb));
    Ok(())
}

/// The filesystem is remounted for writing. C: `ext2_reconfigure()`.
///
/// Fails with `EROFS` if it can only be read, with `EUCLEAN` if its groups are not where they were
/// when it was mounted.
pub(crate) fn to_read_write(sb: &SuperBlock<Ext2>, mount: &MountRequest<'_, Ext2>) -> Result {
    let data = sb.data();

    if !data.groups.is_in_place(&data.geometry) {
        mount.message(
            Level::Error,
            fmt!("error: the groups have changed, unmount the filesystem and mount it again"),
        );
        return Err(EUCLEAN);
    }
    // e2fsck may have corrected it since it was mounted.
    data.state.adopt_state();
    data.groups.trust_bitmaps(&data.space);
    data.space.recount(data.groups.sum(GroupCount::FreeBlocks));
    data.counters.recount(&data.groups);
    data.state.read_only_later.store(0, Relaxed);
    open(sb, |level, what| mount.message(level, what)).inspect_err(|_| {
        // It is in use no more than before.
        data.state.set_not_in_use();
        sb.mark_dirty(&data.state.buffer);
    })
}

/// Makes what is on disk a filesystem that need not be checked, unless files without a name are in
/// use. C: `ext2_freeze()`.
pub(crate) fn freeze(sb: &SuperBlock<Ext2>) -> Result {
    // What is removed has been synced before. Inodes cannot be evicted now, but could while all was
    // synced: what that has changed is in memory only.
    sb.write_metadata();
    let order = &sb.data().order;
    if sb.removals_pending() || !(order.removals.is_empty() && order.owners.is_empty()) {
        return begin_use(sb);
    }
    write_not_in_use(sb).inspect_err(|_| {
        // It will not be frozen, and the medium may say that it need not be checked.
        report_unwritten(sb, begin_use(sb));
    })
}

/// The filesystem is in use again. C: `ext2_unfreeze()`.
pub(crate) fn unfreeze(sb: &SuperBlock<Ext2>) {
    report_unwritten(sb, begin_use(sb));
}

/// The filesystem is unmounted. C: `ext2_put_super()`.
pub(crate) fn put_super(sb: &SuperBlock<Ext2>) {
    check_space(sb);
    if sb.is_read_only() {
        // It may have become so by an error.
        sb.write_metadata();
    } else {
        report_unwritten(sb, close(sb));
    }
}

/// Says what does not add up when all files are gone: a promise that somebody has forgotten, or
/// given back twice, or blocks that were claimed or freed without the groups' counts.
fn check_space(sb: &SuperBlock<Ext2>) {
    let data = sb.data();
    match data.space.outstanding() {
        0 => {}
        promised @ 1.. => sb.message(
            Level::Error,
            fmt!("error: {promised} blocks are promised to nobody, which is a bug of the driver"),
        ),
        more => sb.message(
            Level::Error,
            fmt!(
                "error: {} promised blocks have come back twice, which is a bug of the driver",
                more.unsigned_abs()
            ),
        ),
    }
    let free = data.space.free() + data.space.withdrawn();
    let in_groups = data.groups.sum(GroupCount::FreeBlocks);
    if free != in_groups && !data.state.has_errors() {
        sb.message(
            Level::Error,
            fmt!(
                "error: free blocks are counted as {free}, and {in_groups} in the groups, which \
                 is a bug of the driver"
            ),
        );
    }
}

/// Marks in the superblock that errors were found. C: `ext2_error()`.
pub(crate) fn note_error(sb: &SuperBlock<Ext2>) {
    if sb.data().state.set_error() {
        report_unwritten(sb, sync_super(sb, Wait::Yes));
    }
}

/// Marks in the superblock that there are files of 2 GiB or more, unless it says so.
/// C: what `ext2_write_inode()` does about `EXT2_FEATURE_RO_COMPAT_LARGE_FILE`.
pub(crate) fn enable_large_files(sb: &SuperBlock<Ext2>) -> Result {
    enable(sb, Feature::LargeFiles)
}

/// Whether the superblock on the disk says that there are files of 2 GiB or more.
pub(crate) fn has_large_files(sb: &SuperBlock<Ext2>) -> bool {
    let feature = Feature::LargeFiles;

    sb.data()
        .state
        .late_features
        .has(feature, || is_set(sb, feature))
}

/// Marks in the superblock that there are extended attributes, unless it says so.
/// C: `ext2_xattr_update_super_block()`.
pub(crate) fn enable_attributes(sb: &SuperBlock<Ext2>) -> Result {
    enable(sb, Feature::Attributes)
}

/// Sets a feature in the superblock, and writes that, unless the disk has it. Fails until it has;
/// in C who comes second goes on.
fn enable(sb: &SuperBlock<Ext2>, feature: Feature) -> Result {
    let state = &sb.data().state;
    let (word, bit) = feature.place();

    state.late_features.set(
        feature,
        || is_set(sb, feature),
        || {
            if state.get(SuperWord::Revision) == disk::revision::GOOD_OLD {
                raise_revision(sb);
            }
            state.change(word, |word| word | bit);
            sync_super(sb, Wait::Yes)?;
            sb.device().flush()
        },
    )
}

/// Whether the superblock in memory has a feature.
fn is_set(sb: &SuperBlock<Ext2>, feature: Feature) -> bool {
    let (word, bit) = feature.place();
    sb.data().state.get(word) & bit != 0
}

/// Makes the superblock one that can have features. C: `ext2_update_dynamic_rev()`.
fn raise_revision(sb: &SuperBlock<Ext2>) {
    let state = &sb.data().state;

    sb.message(
        Level::Warning,
        fmt!(
            "warning: raising the revision to {}, running e2fsck is recommended",
            disk::revision::DYNAMIC
        ),
    );
    state.change(SuperWord::FirstInode, |_| {
        disk::revision::GOOD_OLD_FIRST_INO
    });
    state.change(SuperWord::InodeSize, mount_state::with_old_inode_size);
    state.change(SuperWord::Revision, |_| disk::revision::DYNAMIC);
}

/// Tells the user of a superblock that is not on disk as it should be.
fn report_unwritten(sb: &SuperBlock<Ext2>, result: Result) {
    if let Err(error) = result {
        let errno = error.to_errno();
        sb.message(
            Level::Error,
            fmt!("error: cannot write the superblock: error {errno}"),
        );
    }
}
