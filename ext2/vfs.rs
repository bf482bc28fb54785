// SPDX-License-Identifier: GPL-2.0

//! What the VFS calls of a filesystem: which function is for what.
//!
//! C counterpart: `ext2_fs_type`, `ext2_context_ops`, `ext2_sops`.

#![deny(unsafe_code)]

use crate::{
    disk, evict,
    export::Export,
    inode::{
        self,
        Ext2Inode,
        InodeData, //
    },
    mount::{
        options::{
            self,
            MountOption,
            Request, //
        },
        report,
        super_block,
        super_state,
        Ext2,
        Ext2Data, //
    },
    quota,
    xattr::{
        self,
        Acls,
        Attributes, //
    },
};
use core::pin::Pin;
use kernel::{
    prelude::*,
    seq_file::SeqFile, //
};
use rust_mpage::fs::{
    Access,
    AccessChange,
    AclTable,
    ExclusiveInode,
    ExportTable,
    FileSystem,
    HeldInode,
    InodeRef,
    Level,
    MountRequest,
    MountableFileSystem,
    NewSuperBlock,
    Parameters,
    Pass,
    Purpose,
    QuotaFileSystem,
    QuotaLock,
    QuotaUse,
    StatFs,
    SuperBlock,
    Syncing,
    Unwritten,
    Value,
    Wait,
    WritableFileSystem,
    WriteTable,
    XattrTable, //
};

impl FileSystem for Ext2 {
    const NAME: &'static CStr = c"rust_ext2";
    const EXPORT: Option<ExportTable<Self>> = Some(ExportTable::new::<Export>());
    const XATTRS: Option<XattrTable<Self>> =
        Some(XattrTable::new::<Attributes, 3>(&xattr::HANDLERS));
    const ACLS: Option<AclTable<Self>> = Some(AclTable::new::<Acls>());

    type Data = Ext2Data;
    type InodeData = InodeData;

    fn write_failed(sb: &SuperBlock<Self>, block: u64) {
        report::corrupt(sb, fmt!("metadata block {block} could not be written"));
    }

    fn unwritten(sb: &SuperBlock<Self>) -> &Unwritten {
        &sb.data().unwritten
    }
}

impl MountableFileSystem for Ext2 {
    const ACCESS: Access<Self> = Access::ReadWrite(WriteTable::with_quota());

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
        super_block::fill(sb, request)
    }

    fn root(sb: &SuperBlock<Self>) -> Result<InodeRef<'_, Self>> {
        let root = inode::get(sb, disk::ino::ROOT).inspect_err(|&error| {
            let advice = match error {
                ENOMEM => "",
                _ => ", run e2fsck",
            };
            let errno = error.to_errno();
            sb.message(
                Level::Error,
                fmt!("error: cannot read the root directory: error {errno}{advice}"),
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

    fn reconfigure(
        sb: &SuperBlock<Self>,
        mount: &MountRequest<'_, Self>,
        request: &mut Request,
        change: AccessChange,
    ) -> Result {
        super_block::reconfigure(sb, mount, request, change)
    }

    fn statfs(sb: &SuperBlock<Self>) -> Result<StatFs> {
        super_block::statfs(sb)
    }

    fn show_options(sb: &SuperBlock<Self>, out: &SeqFile) -> Result {
        super_block::show_options(sb, out);
        Ok(())
    }
}

impl WritableFileSystem for Ext2 {
    fn mounted(sb: &SuperBlock<Self>) -> Result {
        super_state::mounted(sb)
    }

    fn write_inode(inode: &Ext2Inode, pass: Pass) -> Result {
        inode::write_inode(inode, pass)
    }

    fn sync_inode_metadata(inode: &Ext2Inode) -> Result {
        inode::sync(inode)
    }

    fn delete_inode(inode: &ExclusiveInode<'_, Ext2Inode>) -> Result {
        evict::delete(inode)
    }

    fn release_inode(inode: &ExclusiveInode<'_, Ext2Inode>) {
        evict::release(inode)
    }

    fn free_inode(inode: &ExclusiveInode<'_, Ext2Inode>) {
        evict::free(inode)
    }

    fn sync_fs(sync: Syncing<'_, Self>, wait: Wait) -> Result {
        super_state::sync(sync, wait)
    }

    fn freeze(sb: &SuperBlock<Self>) -> Result {
        super_state::freeze(sb)
    }

    fn unfreeze(sb: &SuperBlock<Self>) {
        super_state::unfreeze(sb)
    }

    fn is_to_be_read_only(sb: &SuperBlock<Self>) -> bool {
        sb.data().state.is_to_be_read_only()
    }

    fn put_super(sb: &SuperBlock<Self>) {
        super_state::put_super(sb)
    }
}

impl QuotaFileSystem for Ext2 {
    fn quota_lock(sb: &SuperBlock<Self>) -> &QuotaLock {
        &sb.data().quota_lock
    }

    fn read_quota(file: &Ext2Inode, at: u64, out: &mut [u8]) -> Result<usize> {
        quota::file::read(file, at, out)
    }

    fn write_quota(file: &Ext2Inode, at: u64, bytes: &[u8]) -> Result<usize> {
        quota::file::write(file, at, bytes)
    }

    fn prepare_quota_file(file: &Ext2Inode) -> Result {
        quota::file::prepare(file)
    }

    fn mark_quota_file(file: HeldInode<'_, Self>, is: QuotaUse) {
        quota::file::mark(file, is)
    }
}
