// SPDX-License-Identifier: GPL-2.0

//! Names: files that come, go, and get more names.
//!
//! What the VFS checks before (permissions, immutable directories, whether a name exists, how many
//! links there may be) is not checked again. What fails leaves things as they were: a new inode
//! that gets no name is deleted when it is dropped, and changes of a directory that cannot be
//! written out are taken back, see [`write`].
//!
//! Locks: `i_rwsem` of the directory exclusively, and of a file that gets or loses a name, held by
//! the VFS.
//!
//! Left out: renaming, which is in [`rename`].

#![deny(unsafe_code)]

use super::{
    ahead,
    find::Place,
    links::{
        self,
        Subdirectory, //
    },
    rename,
    write::{
        self,
        entry_of,
        target_of,
        DirMut, //
    },
};
use crate::{
    alloc::ialloc,
    disk::{
        inode_decode::FAST_SYMLINK_LIMIT,
        mode, //
    },
    inode::{
        self,
        first_block,
        Directory,
        DirectoryPages,
        Ext2Inode,
        File,
        InodeData,
        KeptLinks,
        LinkPages,
        PageCache, //
    },
    mount::Ext2,
    xattr, //
};
use kernel::prelude::*;
use rust_mpage::fs::{
    CreatedInode,
    DeviceNumber,
    HeldInode,
    LinkTarget,
    NamespaceOperations,
    Operations,
    Rename, //
};

/// Permissions of a symbolic link, `S_IRWXUGO`.
const EVERYBODY: u16 = 0o777;

impl NamespaceOperations for Directory {
    /// C: `ext2_create()`.
    fn create<'d>(dir: &mut DirMut<'d>, name: &[u8], mode: u16) -> Result<CreatedInode<'d, Ext2>> {
        let inode = new_file(dir.inode(), Some(name), mode)?;

        give_name(dir, name, inode)
    }

    /// C: `ext2_mknod()`.
    fn mknod<'d>(
        dir: &mut DirMut<'d>,
        name: &[u8],
        mode: u16,
        device: DeviceNumber,
    ) -> Result<CreatedInode<'d, Ext2>> {
        let operations = Operations::writable_special::<File>(device);
        let inode = ialloc::new_inode(dir.inode(), mode, operations, no_blocks)?;

        xattr::init::<File>(&inode, dir, Some(name))?;
        give_name(dir, name, inode)
    }

    /// C: `ext2_symlink()`. The target is in the inode, or with its NUL in one block.
    fn symlink<'d>(
        dir: &mut DirMut<'d>,
        name: &[u8],
        target: &[u8],
    ) -> Result<CreatedInode<'d, Ext2>> {
        let block_size = dir.super_block().data().geometry.block_size();
        if target.len() >= block_size.bytes() as usize {
            return Err(ENAMETOOLONG);
        }

        let mode = mode::SYMLINK | EVERYBODY;
        let inode = if target.len() < FAST_SYMLINK_LIMIT {
            let operations = Operations::writable_fast_symlink::<File>(LinkTarget::new(target)?);
            let inode = ialloc::new_inode(dir.inode(), mode, operations, |flags| {
                InodeData::fresh_fast_symlink(flags, target)
            })?;
            xattr::init::<File>(&inode, dir, Some(name))?;
            inode
        } else {
            let operations = Operations::writable_symlink::<File, LinkPages>();
            let inode = ialloc::new_inode(dir.inode(), mode, operations, no_blocks)?;
            xattr::init::<File>(&inode, dir, Some(name))?;
            inode.write_target(target)?;
            first_block::note(&inode, target)?;
            inode
        };
        give_name(dir, name, inode)
    }

    /// C: `ext2_mkdir()`.
    fn mkdir<'d>(dir: &mut DirMut<'d>, name: &[u8], mode: u16) -> Result<CreatedInode<'d, Ext2>> {
        let comes = links::check(dir, Subdirectory::Comes)?;
        // Before the name is there: the link is the new directory's `..`.
        links::count(dir, comes);
        new_directory(dir, name, mode).inspect_err(|_| links::uncount(dir))
    }

    /// C: `ext2_tmpfile()`.
    fn tmpfile(dir: &Ext2Inode, mode: u16) -> Result<CreatedInode<'_, Ext2>> {
        new_file(dir, None, mode)
    }

    /// C: `ext2_link()`.
    fn link(dir: &mut DirMut<'_>, name: &[u8], inode: HeldInode<'_, Ext2>) -> Result {
        let target = target_of(&inode)?;
        dir.super_block().data().order.removals.bound(dir);
        let spare = Spare::new(dir, inode.inode())?;
        inode.set_ctime_now();
        inode.inc_nlink();
        inode.mark_dirty();
        match write::add(dir, name, target) {
            Ok(change) => {
                change.keep();
                inode.data().note_new_name(dir.number() as u32);
                Ok(())
            }
            Err(error) => {
                spare.keep(1, dir);
                inode.drop_nlink();
                inode.mark_dirty();
                Err(error)
            }
        }
    }

    /// C: `ext2_unlink()`. A file that is open is deleted when it is closed.
    fn unlink(dir: &mut DirMut<'_>, name: &[u8], inode: HeldInode<'_, Ext2>) -> Result {
        let kept = KeptLinks::new(inode.inode(), 1)?;
        let place = remove_name(dir, name, &inode)?;
        ahead::note_removed(dir.as_locked(), place);

        inode.set_ctime_of(dir);
        links::file_lost_name(inode);
        // Whoever gives the link up finds it counted.
        kept.settle(dir);
        Ok(())
    }

    /// C: `ext2_rmdir()`. The directory keeps its size: its pages are written if the disk may have
    /// names in them.
    fn rmdir(dir: &mut DirMut<'_>, name: &[u8], victim: DirMut<'_>) -> Result {
        let empty = write::check_empty(victim.as_locked())?;
        let goes = links::check(dir, Subdirectory::Goes)?;
        let kept = KeptLinks::new(victim.inode(), links::of_last_name(&victim))?;
        let kept_in_parent = KeptLinks::of_parent(dir.inode(), 1)?;
        inode::settle_moved(&victim)?;
        let place = remove_name(dir, name, &victim)?;
        ahead::note_removed(dir.as_locked(), place);
        dir.data().index.note_cleared();

        victim.held().set_ctime_of(dir);
        links::directory_lost_name(victim.held(), empty);
        links::count(dir, goes);
        // Whoever gives the links up finds them counted.
        kept.settle(dir);
        kept_in_parent.until_gone(&victim);
        Ok(())
    }

    fn rename(request: Rename<'_, Ext2>) -> Result {
        rename::rename(request)
    }
}

/// Makes a regular file without a name.
fn new_file<'m>(
    dir: &'m Ext2Inode,
    name: Option<&[u8]>,
    mode: u16,
) -> Result<CreatedInode<'m, Ext2>> {
    let operations = Operations::writable_regular::<File, PageCache>();
    let inode = ialloc::new_inode(dir, mode, operations, no_blocks)?;

    xattr::init::<File>(&inode, dir, name)?;
    Ok(inode)
}

/// What is kept for a new inode without blocks, but with flags.
fn no_blocks(flags: u32) -> Result<impl PinInit<InodeData, Error>> {
    Ok(InodeData::fresh(flags))
}

/// Gives a new inode its name. C: `ext2_add_nondir()`.
fn give_name<'d>(
    dir: &mut DirMut<'_>,
    name: &[u8],
    inode: CreatedInode<'d, Ext2>,
) -> Result<CreatedInode<'d, Ext2>> {
    add_name(dir, name, &inode)?;
    Ok(inode)
}

/// Adds the name of a new inode, which is to be dropped if that fails.
fn add_name(dir: &mut DirMut<'_>, name: &[u8], inode: &CreatedInode<'_, Ext2>) -> Result {
    let target = target_of(inode)?;
    dir.super_block().data().order.removals.bound(dir);
    let spare = Spare::new(dir, inode)?;
    match write::add(dir, name, target) {
        Ok(change) => {
            change.keep();
            inode.data().note_new_name(dir.number() as u32);
            Ok(())
        }
        Err(error) => {
            spare.keep(links::of_last_name(inode), dir);
            Err(error)
        }
    }
}

/// For a name that is written out at once: if that fails the name is taken back, but the disk may
/// have it.
struct Spare<'i>(Option<KeptLinks<'i>>);

impl<'i> Spare<'i> {
    /// For a name that `inode` is about to get in `dir`.
    fn new(dir: &DirMut<'_>, inode: &'i Ext2Inode) -> Result<Self> {
        let kept = dir.is_dirsync().then(|| KeptLinks::none(inode));
        Ok(Self(kept.transpose()?))
    }

    /// Keeps links until the directory is written without the name.
    fn keep(self, links: u32, dir: &DirMut<'_>) {
        if let Some(mut kept) = self.0 {
            kept.keep(links);
            kept.until_written(dir);
        }
    }
}

/// Removes a name of `inode`, whose links are kept, and are to be counted. Where it was.
fn remove_name(dir: &mut DirMut<'_>, name: &[u8], inode: &Ext2Inode) -> Result<Place> {
    dir.super_block().data().order.removals.bound(dir);
    let place = entry_of(dir.as_locked(), name, inode)?;
    match write::remove(dir, place) {
        Ok(change) => change.keep(),
        Err(error) => {
            // It is there again, and may be gone from the disk.
            inode.data().note_new_name(dir.number() as u32);
            return Err(error);
        }
    }
    Ok(place)
}

/// Makes a directory, but for the link from it to `dir`.
fn new_directory<'d>(
    dir: &mut DirMut<'d>,
    name: &[u8],
    mode: u16,
) -> Result<CreatedInode<'d, Ext2>> {
    let operations = Operations::writable_directory::<Directory, DirectoryPages>();
    let mut inode = ialloc::new_inode(dir.inode(), mode, operations, no_blocks)?;

    xattr::init::<Directory>(&inode, dir, Some(name))?;
    // For its own entry.
    inode.held().inc_nlink();
    write::make_empty(&mut inode.as_directory()?, dir.number())?;
    let mut of_parent = KeptLinks::of_parent(dir.inode(), 0)?;
    match add_name(dir, name, &inode) {
        Ok(()) => Ok(inode),
        Err(error) => {
            // The disk may have it, with its `..`.
            of_parent.keep(1);
            links::directory_got_no_name(inode.held());
            of_parent.until_gone(&inode);
            Err(error)
        }
    }
}
