// SPDX-License-Identifier: GPL-2.0

//! Mounting: reading the superblock and the group descriptors.
//!
//! The layout of the filesystem is read and checked once, at mount. What changes in the superblock
//! is [`super_state`]'s, what changes in descriptors [`GroupTable`]'s.
//!
//! Locks: none.

#![deny(unsafe_code)]

use crate::{
    block_size::BlockSize,
    disk::{
        self,
        SuperBlock as DiskSuperBlock, //
    },
    export::Export,
    geometry::{
        Geometry,
        InodeLocation, //
    },
    geometry_error::GeometryError,
    group_count::GroupCount,
    group_table::{
        Counters,
        GroupTable, //
    },
    inode::{
        self,
        Ext2Inode,
        InodeData, //
    },
    live_options::LiveOptions,
    mount_state::{
        CheckAdvice,
        DefaultOptions,
        WriteSupport, //
    },
    options::{
        self,
        MountOption,
        Options,
        Request, //
    },
    order::Order,
    report,
    reservation::Windows,
    super_check::{
        self,
        SuperBlockLocation, //
    },
    super_state::{
        self,
        SuperState, //
    },
};
use core::pin::Pin;
use kernel::{
    prelude::*,
    seq_file::SeqFile,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        }, //
    },
};
use rust_mpage::fs::{
    self,
    Access,
    AccessChange,
    Buffer,
    ExportTable,
    FileSystem,
    Level,
    MountRequest,
    NewSuperBlock,
    Parameters,
    Purpose,
    RateLimit,
    StatFs,
    SuperBlock,
    Value,
    WriteTable, //
};
use zerocopy::FromZeros;

/// The filesystem.
pub(crate) struct Ext2;

/// What is kept for each mounted filesystem; `struct ext2_sb_info`.
#[pin_data]
pub(crate) struct Ext2Data {
    pub(crate) geometry: Geometry,
    #[pin]
    pub(crate) reports: RateLimit,
    pub(crate) groups: GroupTable,
    /// What is free in all groups, approximately.
    #[pin]
    pub(crate) counters: Counters,
    /// The windows of files that grow.
    #[pin]
    pub(crate) windows: Windows,
    #[pin]
    pub(crate) state: SuperState,
    /// What has to be on the disk before what.
    #[pin]
    pub(crate) order: Order,
    next_generation: Atomic<u32>,
    id: u64,
    /// The value of the mount option `sb=`.
    super_block: u32,
    defaults: DefaultOptions,
    #[pin]
    options: LiveOptions,
}

impl Ext2Data {
    /// The mount options, as they are now. Takes no lock.
    pub(crate) fn options(&self) -> Options {
        self.options.get()
    }

    /// The block of the inode table that has an inode.
    pub(crate) fn inode_table_block(&self, location: &InodeLocation) -> Option<u32> {
        self.groups.inode_table_block(location)
    }

    /// Whether any of these blocks, which the geometry says may hold data, is a bitmap or in an inode
    /// table. Inodes cannot have such blocks.
    pub(crate) fn is_group_metadata(&self, first: u32, count: u32) -> bool {
        self.geometry.by_group(first, count).any(|run| {
            self.geometry
                .group_of_block(run.first)
                .and_then(|group| self.groups.layout(group))
                .is_none_or(|layout| layout.overlaps(run.first, run.count))
        })
    }

    /// The generation of a new inode, a number that the last ones did not have.
    pub(crate) fn next_generation(&self) -> u32 {
        self.next_generation.fetch_add(1, Relaxed)
    }
}

impl FileSystem for Ext2 {
    const NAME: &'static CStr = c"rust_ext2";
    const ACCESS: Access<Self> = Access::ReadWrite(WriteTable::new());
    const EXPORT: Option<ExportTable<Self>> = Some(ExportTable::new::<Export>());

    type Data = Ext2Data;
    type InodeData = InodeData;
    type Context = Request;
    type Parameter = MountOption;

    fn parameters() -> Parameters<MountOption> {
        options::PARAMETERS.as_parameters()
    }

    fn context(_purpose: Purpose<'_, Self>) -> Result<Request> {
        Ok(Request::default())
    }

    fn parameter(
        request: &mut Request,
        mount: &MountRequest<'_, Self>,
        parameter: MountOption,
        value: Value,
    ) -> Result {
        request.set(mount, parameter, value)
    }

    fn fill_super(
        sb: &mut NewSuperBlock<'_, Self>,
        request: &mut Request,
    ) -> Result<Pin<KBox<Ext2Data>>> {
        let (disk, geometry, buffer, location) = read_super_block(sb, request.super_block())?;
        check_access(sb, &disk)?;
        let groups = GroupTable::read(sb, &geometry)?;

        sb.set_magic(disk::SUPER_MAGIC.into());
        sb.set_max_bytes(geometry.max_file_size());
        sb.set_max_links(disk::LINK_MAX);
        sb.set_time_range(i32::MIN.into(), i32::MAX.into());
        advise(sb, &disk);

        let defaults = DefaultOptions::of(&disk);
        let options = request.apply(Options::new(&defaults));
        if options.debug {
            describe(sb, &geometry);
        }
        if let Some(warning) = options.unsupported() {
            sb.message(Level::Warning, fmt!("warning: {warning}"));
        }
        KBox::try_pin_init(
            try_pin_init!(Ext2Data {
                geometry,
                reports <- RateLimit::new(),
                counters <- Counters::new(&groups),
                groups,
                windows <- Windows::new(),
                state <- SuperState::new(buffer, location.offset, &disk),
                order <- Order::new(),
                next_generation: Atomic::new(fs::random_u32()),
                id: id_of(&disk.uuid),
                super_block: request.super_block(),
                defaults,
                options <- LiveOptions::new(options),
            }? Error),
            GFP_KERNEL,
        )
    }

    fn root(sb: &SuperBlock<Self>) -> Result<ARef<Ext2Inode>> {
        let root = inode::get(sb, disk::ino::ROOT).inspect_err(|_| {
            sb.message(
                Level::Error,
                fmt!("error: cannot read the root directory, run e2fsck"),
            );
        })?;
        if !root.is_directory() || root.blocks() == 0 || root.size() == 0 {
            sb.message(
                Level::Error,
                fmt!("error: the root directory is corrupt, run e2fsck"),
            );
            return Err(EUCLEAN);
        }
        Ok(root)
    }

    fn write_failed(sb: &SuperBlock<Self>, block: u64) {
        report::corrupt(sb, fmt!("metadata block {block} could not be written"));
    }

    fn reconfigure(sb: &SuperBlock<Self>, request: &mut Request, change: AccessChange) -> Result {
        match change {
            AccessChange::Unchanged => {}
            AccessChange::ToReadOnly => super_state::to_read_only(sb)?,
            AccessChange::ToReadWrite => super_state::to_read_write(sb)?,
        }
        let data = sb.data();
        data.options.change(|options| request.apply(options));
        if let Some(warning) = data
            .options()
            .unsupported()
            .filter(|_| request.names_quota())
        {
            sb.message(Level::Warning, fmt!("warning: {warning}"));
        }
        Ok(())
    }

    fn statfs(sb: &SuperBlock<Self>) -> Result<StatFs> {
        let data = sb.data();
        let geometry = &data.geometry;
        let free_blocks = data.groups.sum(GroupCount::FreeBlocks);
        let overhead = if data.options().minix_df {
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

    fn show_options(sb: &SuperBlock<Self>, out: &SeqFile) -> Result {
        let data = sb.data();
        data.options().show(&data.defaults, data.super_block, out);
        Ok(())
    }
}

/// Reads and checks the superblock that is `kib` KiB from the start of the device, and sets the
/// block size to that of the filesystem.
fn read_super_block(
    sb: &mut NewSuperBlock<'_, Ext2>,
    kib: u32,
) -> Result<(DiskSuperBlock, Geometry, Buffer, SuperBlockLocation)> {
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
) -> Result<(DiskSuperBlock, Buffer)> {
    let mut disk = DiskSuperBlock::new_zeroed();
    let buffer = sb.bread(location.block).inspect_err(|_| {
        sb.message(
            Level::Error,
            fmt!(
                "error: cannot read the superblock in block {}",
                location.block
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
    if disk.feature_compat.get() & disk::compat::EXT_ATTR != 0 {
        sb.message(
            Level::Warning,
            fmt!(
                "warning: extended attributes and ACLs are not supported yet: \
                 a file that has any gives its group no more than others"
            ),
        );
    }
}

/// What the option `debug` shows.
fn describe(sb: &NewSuperBlock<'_, Ext2>, geometry: &Geometry) {
    sb.message(
        Level::Info,
        fmt!(
            "block size {}, {} groups of {} blocks and {} inodes",
            sb.block_size(),
            geometry.groups_count(),
            geometry.blocks_per_group(),
            geometry.inodes_per_group()
        ),
    );
}

/// The identifier that `statfs(2)` shows. C: `uuid_to_fsid()`.
fn id_of(uuid: &[u8; 16]) -> u64 {
    let uuid = u128::from_le_bytes(*uuid);
    uuid as u64 ^ (uuid >> 64) as u64
}
