// SPDX-License-Identifier: GPL-2.0

//! Mounting: reading the superblock and the group descriptors.
//!
//! Locks: none.

#![deny(unsafe_code)]

use super::{
    data::{
        Ext2,
        Ext2Data, //
    },
    live_options::LiveOptions,
    mount_state::{
        CheckAdvice,
        DefaultOptions,
        WriteSupport, //
    },
    options::{
        Flag,
        Options,
        Request, //
    },
    super_state::{
        self,
        SuperState, //
    },
};
use crate::{
    disk::{
        self,
        block_size::BlockSize,
        geometry::Geometry,
        geometry_error::GeometryError,
        super_check::{
            self,
            SuperBlockLocation, //
        },
        SuperBlock as DiskSuperBlock, //
    },
    groups::{
        count::GroupCount,
        space::Space,
        table::{
            Counters,
            GroupTable, //
        },
        windows::Windows, //
    },
    order::Order, //
};
use core::pin::Pin;
use kernel::{
    fmt,
    prelude::*,
    seq_file::SeqFile,
    sync::atomic::Atomic, //
};
use rust_mpage::fs::{
    self,
    AccessChange,
    BlockCache,
    Buffer,
    Level,
    MountRequest,
    NewSuperBlock,
    QuotaLock,
    RateLimit,
    StatFs,
    SuperAttributes,
    SuperBlock,
    Unwritten, //
};
use zerocopy::FromZeros;

/// Base-2 logarithm of the hash chains of blocks of attributes, `HASH_BUCKET_BITS`.
const HASH_BITS: u32 = 10;

/// Reads a filesystem and checks it. C: `ext2_fill_super()`.
pub(crate) fn fill(
    sb: &mut NewSuperBlock<'_, Ext2>,
    request: &mut Request,
) -> Result<Pin<KBox<Ext2Data>>> {
    let (disk, geometry, buffer, location) = read_super_block(sb, request.super_block())?;
    check_access(sb, &disk)?;
    let groups = GroupTable::read(sb, &geometry)?;

    sb.set_attributes(&SuperAttributes {
        magic: disk::SUPER_MAGIC.into(),
        max_bytes: geometry.max_file_size(),
        max_links: disk::LINK_MAX,
        min_time: i32::MIN.into(),
        max_time: i32::MAX.into(),
    });
    advise(sb, &disk);

    let defaults = DefaultOptions::of(&disk);
    let options = request.apply(Options::new(&defaults));
    sb.set_heeds_acls(options.heeds_acls());
    if options.has(Flag::Debug) {
        let layout = Layout(sb.block_size(), &geometry);
        sb.message(Level::Info, fmt!("{layout}"));
    }
    KBox::try_pin_init(
        try_pin_init!(Ext2Data {
            geometry,
            reports <- RateLimit::new(),
            space: Space::new(groups.sum(GroupCount::FreeBlocks)),
            counters: Counters::new(&groups)?,
            groups,
            windows <- Windows::new(),
            state <- SuperState::new(buffer, location.offset, &disk),
            order <- Order::new(),
            attribute_blocks: BlockCache::new(sb, HASH_BITS)?,
            unwritten: Unwritten::new()?,
            quota_lock <- QuotaLock::new(),
            next_generation: Atomic::new(fs::random_u32()),
            id: id_of(&disk.uuid),
            super_block: request.super_block(),
            defaults,
            options <- LiveOptions::new(options),
        }? Error),
        GFP_KERNEL,
    )
}

/// Changes the mount options, and whether the filesystem can be written to. C:
/// `ext2_reconfigure()`.
pub(crate) fn reconfigure(
    sb: &SuperBlock<Ext2>,
    mount: &MountRequest<'_, Ext2>,
    request: &mut Request,
    change: AccessChange,
) -> Result {
    match change {
        AccessChange::Unchanged => {}
        AccessChange::ToReadOnly => super_state::to_read_only(sb)?,
        AccessChange::ToReadWrite => super_state::to_read_write(sb, mount)?,
    }
    let data = sb.data();
    data.options.change(|options| request.apply(options));
    let options = data.options();
    sb.set_heeds_acls(options.heeds_acls());
    // C heeds the options from before.
    if change == AccessChange::ToReadWrite && options.has(Flag::Debug) {
        let layout = Layout(sb.block_size(), &data.geometry);
        sb.message(Level::Info, fmt!("{layout}"));
    }
    Ok(())
}

/// What has been promised is not free any more, nor what is in groups whose bitmaps cannot be read.
/// C: `ext2_statfs()`.
pub(crate) fn statfs(sb: &SuperBlock<Ext2>) -> Result<StatFs> {
    let data = sb.data();
    let geometry = &data.geometry;
    let free_blocks = data
        .groups
        .sum(GroupCount::FreeBlocks)
        .saturating_sub(data.space.promised() + data.space.withdrawn());
    let overhead = if data.options().has(Flag::MinixDf) {
        0
    } else {
        geometry.overhead_blocks()
    };

    Ok(StatFs {
        magic: disk::SUPER_MAGIC.into(),
        block_size: sb.block_size(),
        blocks: u64::from(geometry.blocks_count()).saturating_sub(overhead),
        free_blocks,
        available_blocks: free_blocks.saturating_sub(data.state.reserved_blocks().into()),
        files: geometry.inodes_count().into(),
        free_files: data.groups.sum(GroupCount::FreeInodes),
        id: data.id,
        name_length: disk::NAME_LEN as u32,
    })
}

/// C: `ext2_show_options()`.
pub(crate) fn show_options(sb: &SuperBlock<Ext2>, out: &SeqFile) {
    let data = sb.data();
    data.options().show(&data.defaults, data.super_block, out);
}

/// Reads and checks the superblock that is `kib` KiB from the start of the device, and sets the
/// block size to that of the filesystem.
fn read_super_block(
    sb: &mut NewSuperBlock<'_, Ext2>,
    kib: u32,
) -> Result<(KBox<DiskSuperBlock>, Geometry, Buffer, SuperBlockLocation)> {
    sb.set_min_block_size(disk::SUPER_UNIT as u32)
        .inspect_err(|_| {
            sb.message(
                Level::Error,
                fmt!("error: the device has no usable block size"),
            )
        })?;
    let refused = |sb: &NewSuperBlock<'_, Ext2>, error: GeometryError| {
        if !(sb.is_silent() && matches!(error, GeometryError::NotExt2 { .. })) {
            sb.message(Level::Error, fmt!("error: {error}"));
        }
        error.errno()
    };

    // With the device's own block size, to learn the filesystem's.
    let device = BlockSize::from_bits(sb.block_bits()).ok_or(EINVAL)?;
    let (first, buffer) = read_super_block_at(sb, SuperBlockLocation::new(device, kib))?;
    let size = super_check::block_size(&first).map_err(|error| refused(sb, error))?;

    let location = SuperBlockLocation::new(size, kib);
    let (disk, buffer) = if size.bytes() == sb.block_size() {
        (first, buffer)
    } else {
        // Of the old size.
        drop(buffer);
        sb.set_block_size(size.bytes()).inspect_err(|_| {
            sb.message(
                Level::Error,
                fmt!(
                    "error: blocks of {} bytes do not suit the device",
                    size.bytes()
                ),
            )
        })?;
        read_super_block_at(sb, location)?
    };
    let geometry =
        Geometry::new(&disk, location, sb.device_blocks()).map_err(|error| refused(sb, error))?;
    Ok((disk, geometry, buffer, location))
}

fn read_super_block_at(
    sb: &NewSuperBlock<'_, Ext2>,
    location: SuperBlockLocation,
) -> Result<(KBox<DiskSuperBlock>, Buffer)> {
    // On the stack it would be there several times, in who calls this.
    let mut disk = KBox::new(DiskSuperBlock::new_zeroed(), GFP_KERNEL)?;
    let buffer = sb.bread(location.block).inspect_err(|error| {
        sb.message(
            Level::Error,
            fmt!(
                "error: cannot read the superblock in block {}: error {}",
                location.block,
                error.to_errno()
            ),
        )
    })?;
    buffer.copy_to(location.offset as usize, disk.as_mut_bytes())?;
    Ok((disk, buffer))
}

/// Refuses to mount a filesystem for writing that can only be read.
fn check_access(sb: &NewSuperBlock<'_, Ext2>, disk: &DiskSuperBlock) -> Result {
    match WriteSupport::of(disk) {
        support @ WriteSupport::UnsupportedFeatures { .. } if !sb.is_read_only() => {
            sb.message(Level::Error, fmt!("error: {support}"));
            Err(EINVAL)
        }
        _ => Ok(()),
    }
}

/// Says what the user should know about the filesystem.
fn advise(sb: &NewSuperBlock<'_, Ext2>, disk: &DiskSuperBlock) {
    if let Some(advice) = CheckAdvice::for_any_mount(disk) {
        sb.message(Level::Warning, fmt!("warning: {advice}"));
    }
    if let support @ WriteSupport::RevisionTooHigh { .. } = WriteSupport::of(disk) {
        if sb.is_read_only() {
            sb.message(Level::Error, fmt!("error: {support}"));
        }
    }
    if disk.feature_compat.get() & disk::compat::HAS_JOURNAL != 0 {
        sb.message(
            Level::Warning,
            fmt!("warning: mounting an ext3 filesystem as ext2"),
        );
    }
}

/// What the option `debug` shows: the size of a block in bytes, and how they lie.
struct Layout<'a>(u32, &'a Geometry);

impl fmt::Display for Layout<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(block_size, geometry) = self;

        write!(
            f,
            "block size {block_size}, {} groups of {} blocks and {} inodes",
            geometry.groups_count(),
            geometry.blocks_per_group(),
            geometry.inodes_per_group()
        )
    }
}

/// The identifier that `statfs(2)` shows. C: `uuid_to_fsid()`.
fn id_of(uuid: &[u8; 16]) -> u64 {
    let uuid = u128::from_le_bytes(*uuid);
    uuid as u64 ^ (uuid >> 64) as u64
}
