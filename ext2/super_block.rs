// SPDX-License-Identifier: GPL-2.0

//! Mounting: reading the superblock and the group descriptors.
//!
//! Both are read and checked once, at mount; the numbers in them are not looked at on disk again.
//!
//! Locks: `options` in [`Ext2Data`], innermost, for the time of a copy.
//!
//! Left out: everything that writes. A request for a read-write mount becomes a read-only mount
//! with a notice (as other filesystems without write support do), so nothing on the disk changes,
//! its state and mount count included.

#![deny(unsafe_code)]

use crate::{
    block_size::BlockSize,
    disk::{
        self,
        GroupDescriptor,
        SuperBlock as DiskSuperBlock, //
    },
    export::Export,
    geometry::{
        Geometry,
        InodeLocation, //
    },
    geometry_error::GeometryError,
    group::GroupLayout,
    inode::{
        self,
        Ext2Inode,
        InodeData, //
    },
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
    super_check::{
        self,
        SuperBlockLocation, //
    },
};
use core::pin::Pin;
use kernel::{
    new_spinlock,
    prelude::*,
    seq_file::SeqFile,
    sync::{
        aref::ARef,
        SpinLock, //
    },
};
use rust_mpage_core::abstractions::fs::{
    Access,
    AccessChange,
    AnySuperBlock,
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
    Value, //
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
    groups: KVVec<GroupLayout>,
    free_blocks: u64,
    free_inodes: u64,
    reserved_blocks: u64,
    id: u64,
    /// The value of the mount option `sb=`.
    super_block: u32,
    defaults: DefaultOptions,
    #[pin]
    options: SpinLock<Options>,
}

impl Ext2Data {
    /// The mount options, as they are now.
    pub(crate) fn options(&self) -> Options {
        *self.options.lock()
    }

    /// The block of the inode table that has an inode.
    pub(crate) fn inode_table_block(&self, location: &InodeLocation) -> Option<u32> {
        self.groups
            .get(location.group as usize)?
            .inode_table_block(location.table_block)
    }
}

impl FileSystem for Ext2 {
    const NAME: &'static CStr = c"rust_ext2";
    const ACCESS: Access<Self> = Access::ReadOnly;
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
        let (disk, geometry) = read_super_block(sb, request.super_block())?;
        let Groups {
            layouts,
            free_blocks,
            free_inodes,
        } = Groups::read(sb, &geometry)?;

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
        KBox::try_pin_init(
            try_pin_init!(Ext2Data {
                geometry,
                reports <- RateLimit::new(),
                groups: layouts,
                free_blocks,
                free_inodes,
                reserved_blocks: disk.r_blocks_count.get().into(),
                id: id_of(&disk.uuid),
                super_block: request.super_block(),
                defaults,
                options <- new_spinlock!(options, "ext2_options"),
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

    fn reconfigure(sb: &SuperBlock<Self>, request: &mut Request, _change: AccessChange) -> Result {
        let mut options = sb.data().options.lock();
        *options = request.apply(*options);
        Ok(())
    }

    fn statfs(sb: &SuperBlock<Self>) -> Result<StatFs> {
        let data = sb.data();
        let geometry = &data.geometry;
        let overhead = if data.options().minix_df {
            0
        } else {
            geometry.overhead_blocks()
        };

        Ok(StatFs {
            magic: disk::SUPER_MAGIC.into(),
            block_size: sb.block_size(),
            blocks: u64::from(geometry.blocks_count()).saturating_sub(overhead),
            free_blocks: data.free_blocks,
            available_blocks: data.free_blocks.saturating_sub(data.reserved_blocks),
            files: geometry.inodes_count().into(),
            free_files: data.free_inodes,
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

/// Reads a structure from byte `offset` of block `block`.
pub(crate) fn read<T: FromBytes + IntoBytes>(
    sb: &AnySuperBlock,
    block: u64,
    offset: u32,
) -> Result<T> {
    let mut value = T::new_zeroed();
    sb.bread(block)?
        .copy_to(offset as usize, value.as_mut_bytes())?;
    Ok(value)
}

/// Reads and checks the superblock that is `kib` KiB from the start of the device, and sets the
/// block size to that of the filesystem.
fn read_super_block(
    sb: &mut NewSuperBlock<'_, Ext2>,
    kib: u32,
) -> Result<(DiskSuperBlock, Geometry)> {
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
    let first = read_super_block_at(sb, SuperBlockLocation::new(device, kib))?;
    let size = super_check::block_size(&first).map_err(|error| refused(sb, error))?;

    let location = SuperBlockLocation::new(size, kib);
    let disk = if size.bytes() == sb.block_size() {
        first
    } else {
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
    Ok((disk, geometry))
}

fn read_super_block_at(
    sb: &NewSuperBlock<'_, Ext2>,
    location: SuperBlockLocation,
) -> Result<DiskSuperBlock> {
    read(sb, location.block, location.offset).inspect_err(|_| {
        sb.message(
            Level::Error,
            fmt!(
                "error: cannot read the superblock in block {}",
                location.block
            ),
        )
    })
}

/// What the group descriptors say.
struct Groups {
    layouts: KVVec<GroupLayout>,
    free_blocks: u64,
    free_inodes: u64,
}

impl Groups {
    /// Reads and checks all group descriptors.
    fn read(sb: &NewSuperBlock<'_, Ext2>, geometry: &Geometry) -> Result<Self> {
        let count = geometry.groups_count();
        let mut groups = Self {
            // Grows with what is there, not with what the superblock says there is.
            layouts: KVVec::new(),
            free_blocks: 0,
            free_inodes: 0,
        };

        for nr in 0..geometry.descriptor_blocks() {
            let block = geometry.descriptor_block(nr).ok_or(EUCLEAN)?;
            let buffer = sb.bread(block.into()).inspect_err(|_| {
                sb.message(
                    Level::Error,
                    fmt!("error: cannot read the group descriptors in block {block}"),
                )
            })?;
            let first = nr * geometry.descriptors_per_block();
            let last = count.min(first + geometry.descriptors_per_block());
            for group in first..last {
                let mut descriptor = GroupDescriptor::new_zeroed();
                let offset = (group - first) as usize * size_of::<GroupDescriptor>();
                buffer.copy_to(offset, descriptor.as_mut_bytes())?;
                groups.add(sb, geometry, group, &descriptor)?;
            }
        }
        Ok(groups)
    }

    fn add(
        &mut self,
        sb: &NewSuperBlock<'_, Ext2>,
        geometry: &Geometry,
        group: u32,
        descriptor: &GroupDescriptor,
    ) -> Result {
        let layout = GroupLayout::new(geometry, group, descriptor).map_err(|error| {
            sb.message(Level::Error, fmt!("error: {error}"));
            error.errno()
        })?;
        self.layouts.push(layout, GFP_KERNEL)?;
        self.free_blocks += u64::from(descriptor.free_blocks_count.get());
        self.free_inodes += u64::from(descriptor.free_inodes_count.get());
        Ok(())
    }
}

/// Says what the user should know about the filesystem.
fn advise(sb: &NewSuperBlock<'_, Ext2>, disk: &DiskSuperBlock) {
    if let Some(advice) = CheckAdvice::for_any_mount(disk) {
        sb.message(Level::Warning, fmt!("warning: {advice}"));
    }
    if let support @ WriteSupport::RevisionTooHigh { .. } = WriteSupport::of(disk) {
        sb.message(Level::Error, fmt!("error: {support}"));
    }
    if disk.feature_compat.get() & disk::compat::HAS_JOURNAL != 0 {
        sb.message(
            Level::Warning,
            fmt!("warning: mounting an ext3 filesystem as ext2"),
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
