// SPDX-License-Identifier: GPL-2.0

//! The room of inodes: what is kept of one in memory, and how it is read and written.
//!
//! - [`data`]: what is kept, and the type of all inodes, [`Ext2Inode`]; in it [`tree`] and
//!   [`array`], what the tree mutex protects, [`delay_state`], what others know of that,
//!   [`disk_only`], what only the disk is interested in, [`room`], where a directory has room,
//!   [`known_names`], where its names are, and [`listing`], how far it was listed;
//! - [`kinds`]: what the VFS is told that an inode is;
//! - [`place`]: where it is in the inode table; [`read`], [`write`]: from there, and to there;
//! - [`first_block`]: that of a directory or symbolic link, before anything leads to it;
//! - [`name_order`]: names and inodes reach the disk in the order that they have to; [`ordered`]:
//!   what `order` asks of inodes for that, and [`way`], what leads to a page;
//! - [`replaced`]: files that take the place of others;
//! - [`attribute_pointer`]: its block of extended attributes; [`attributes`], [`modes`]: what those
//!   in the inode itself leave of its mode.
//!
//! May use: `disk`, `groups`, `index`, `mount`, `order`, `sync`, `tree`.

#![deny(unsafe_code)]

pub(crate) mod array;
mod attribute_pointer;
mod attributes;
mod data;
mod delay_state;
pub(crate) mod disk_only;
pub(crate) mod first_block;
mod kinds;
mod known_names;
mod listing;
mod modes;
mod name_order;
mod ordered;
mod place;
mod read;
mod replaced;
pub(crate) mod room;
pub(crate) mod tree;
mod write;

pub(crate) use self::{
    data::{
        Ext2Inode,
        InodeData, //
    },
    kinds::{
        has_block_tree,
        is_regular,
        BufferedPages,
        Directory,
        DirectoryPages,
        File,
        LinkPages,
        Names,
        PageCache,
        Targets, //
    },
    listing::{
        Ahead,
        Listing, //
    },
    modes::{
        mode_in,
        note_rights,
        noted_mode,
        set_mode, //
    },
    name_order::{
        is_page_kept_back,
        page_waits,
        page_waits_for_old,
        report_unwritten,
        settle_moved,
        sync_names,
        write_pages,
        Written, //
    },
    ordered::KeptLinks,
    place::{
        check_own,
        preread,
        table_block, //
    },
    read::{
        get,
        is_directory_in_memory,
        needed_to_free,
        vfs_flags, //
    },
    replaced::{
        closed,
        replaces_by_name,
        write_delayed, //
    },
    write::{
        block_of,
        has_unsynced,
        store,
        store_put_off,
        sync,
        write_inode, //
    },
};
