// SPDX-License-Identifier: GPL-2.0

//! Finding a name: by what is known of the directory, its [`Index`], and by a walk over the pages
//! of which nothing is known.
//!
//! A directory of more than a block is learned while it is walked over, so that no page is read
//! that the walk would not read, and none is walked over twice. Where there is no memory to learn
//! it, it is walked over, as in C.
//!
//! What is known of a name that is there is where to look. The entry is found there by a walk over
//! its block: that its block has it is what is answered.
//!
//! Locks: the directory's `i_rwsem`, by [`LockedDirectory`](rust_mpage::fs::LockedDirectory).

#![deny(unsafe_code)]

use super::pages::{
    bad_entry,
    format,
    page_of_walk,
    Dir, //
};
use crate::{
    disk::{
        dirent::{
            self,
            DirFormat,
            Entries, //
        },
        dirent_search::{
            around,
            summary, //
        },
    },
    index::{
        Index,
        Name,
        Units, //
    },
    inode::Ext2Inode,
    mount::report, //
};
use core::ops::Range;
use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    },
};
use rust_mpage::mm::has_spare_memory;

/// An entry that has been found.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Where it starts, in bytes from the start of the directory.
    pub(crate) position: u64,
    /// Its inode.
    pub(crate) inode: u32,
}

/// Finds the entry `name`. C: `ext2_find_entry()`.
pub(crate) fn find(dir: Dir<'_>, name: &[u8]) -> Result<Option<Place>> {
    let Some(index) = index_of(dir.inode()) else {
        return walk(dir, name, 0..dir.pages());
    };
    let hash = index.hash(name);
    let (mut candidates, covered) = index.find(hash);
    let Some(candidates) = candidates.in_order() else {
        return walk(dir, name, 0..dir.pages());
    };
    let is_alike = |other: &[u8]| index.hash(other) == hash;
    for &position in candidates {
        match look_at(dir, position.into(), name, is_alike)? {
            Looked::Found(place) => return Ok(Some(place)),
            Looked::Alike => (),
            Looked::NotSo => {
                index.forget();
                return walk(dir, name, 0..dir.pages());
            }
        }
    }
    walk_and_learn(dir, name, index, covered)
}

/// The index of a directory, unless that is so small that it is no use.
pub(super) fn index_of(dir: &Ext2Inode) -> Option<&Arc<Index>> {
    if dir.size() <= 1 << dir.super_block().block_bits() || !has_spare_memory() {
        return None;
    }
    dir.data().index.get_or_new()
}

enum Looked {
    Found(Place),
    /// Another name that has the same hash.
    Alike,
    /// What is known is not so.
    NotSo,
}

/// Looks for a name at a place where, as far as is known, it is, or another one that `is_alike`.
fn look_at(
    dir: Dir<'_>,
    position: u64,
    name: &[u8],
    is_alike: impl FnOnce(&[u8]) -> bool,
) -> Result<Looked> {
    let start = position & !(PAGE_SIZE as u64 - 1);
    if position >= dir.size() {
        return Ok(Looked::NotSo);
    }
    let page = dir.page(start >> PAGE_SHIFT)?;
    let offset = (position - start) as u32;
    let around =
        around(format(dir.inode()), &page, offset).map_err(|error| bad_entry(dir, error, start))?;

    Ok(match around.next {
        Some(entry) if entry.offset != offset || !entry.in_use() => Looked::NotSo,
        Some(entry) if entry.name == name => Looked::Found(Place {
            position,
            inode: entry.inode,
        }),
        Some(entry) if is_alike(entry.name) => Looked::Alike,
        Some(_) | None => Looked::NotSo,
    })
}

/// Looks for a name in some pages, from the one on in which the last was found.
fn walk(dir: Dir<'_>, name: &[u8], pages: Range<u64>) -> Result<Option<Place>> {
    // Pages are of 4 KiB or more, and the size of a directory has 32 bits.
    let hint = u64::from(dir.data().lookup_hint.load(Relaxed));
    let first = if pages.contains(&hint) {
        hint
    } else {
        pages.start
    };

    for index in Iterator::chain(first..pages.end, pages.start..first) {
        if let Some(place) = look_in(dir, index, name)? {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Looks for a name behind the covered blocks, and learns what is walked over.
fn walk_and_learn(
    dir: Dir<'_>,
    name: &[u8],
    index: &Arc<Index>,
    covered: u32,
) -> Result<Option<Place>> {
    let bits = dir.super_block().block_bits();
    let first = (u64::from(covered) << bits) >> PAGE_SHIFT;
    if u64::from(covered) << bits >= dir.size() {
        return Ok(None);
    }

    for page in first..dir.pages() {
        let found = look_in(dir, page, name)?;
        let is_learned = learn(dir, index, page)?;
        if found.is_some() {
            return Ok(found);
        }
        if !is_learned {
            return walk(dir, name, page.saturating_add(1)..dir.pages());
        }
    }
    Ok(None)
}

/// Looks for a name in a page.
fn look_in(dir: Dir<'_>, index: u64, name: &[u8]) -> Result<Option<Place>> {
    // A directory has no holes. Do not walk over gigabytes because a size is wrong.
    if index << PAGE_SHIFT > dir.blocks() << SECTOR_SHIFT {
        report::corrupt(
            dir.super_block(),
            fmt!(
                "directory {}: size {} with {} blocks of 512 bytes",
                dir.number(),
                dir.size(),
                dir.blocks()
            ),
        );
        return Err(EUCLEAN);
    }

    let start = index << PAGE_SHIFT;
    let page = page_of_walk(dir, index)?;
    let found = dirent::find(format(dir.inode()), &page, name)
        .map_err(|error| bad_entry(dir, error, start))?;
    Ok(found.map(|entry| {
        dir.data().lookup_hint.store(index as u32, Relaxed);
        Place {
            position: start + u64::from(entry.offset),
            inode: entry.inode,
        }
    }))
}

/// How many pages are learned for who only wants room.
const FEW_PAGES: u64 = 8;

/// Learns what of a directory is not known yet, if it is little: who has looked for a name has
/// learned the rest, and if nobody has, what was remembered without an index of where there is room
/// is better than a walk over all. Whether all is known then.
pub(super) fn learn_rest(dir: Dir<'_>, index: &Arc<Index>) -> Result<bool> {
    let bits = dir.super_block().block_bits();
    let first = (u64::from(index.covered()) << bits) >> PAGE_SHIFT;

    if dir.pages().saturating_sub(first) > FEW_PAGES {
        return Ok(false);
    }
    for page in first..dir.pages() {
        if !learn(dir, index, page)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Learns the blocks of a page that are not known. Whether all are known then: not if there is no
/// memory, or an entry is wrong, which is for who looks for a name to say.
fn learn(dir: Dir<'_>, index: &Arc<Index>, page: u64) -> Result<bool> {
    let format = format(dir.inode());
    let start = page << PAGE_SHIFT;
    let covered = u64::from(index.covered());
    let bytes = dir.page(page)?;

    for (block, within) in bytes
        .chunks(format.block_size.bytes() as usize)
        .zip((start..).step_by(format.block_size.bytes() as usize))
    {
        let number = within >> format.block_size.bits();
        if number < covered {
            continue;
        }
        let (Ok(number), Ok(within)) = (u32::try_from(number), u32::try_from(within)) else {
            return Ok(false);
        };
        let Ok(summary) = summary(format, block) else {
            return Ok(false);
        };
        let names = Entries::new(format, block)
            .flatten()
            .filter(|entry| entry.in_use())
            .map(|entry| Name {
                hash: index.hash(entry.name),
                position: within.saturating_add(entry.offset),
            });
        if !Index::learn(
            index,
            number,
            summary.names,
            names,
            Units::of_room(summary.room),
        ) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What room the block at byte `start` of a page has, or any if that cannot be said.
pub(super) fn room_of(format: DirFormat, page: &[u8], start: u32) -> Units {
    let end = start.saturating_add(format.block_size.bytes()) as usize;
    page.get(start as usize..end)
        .and_then(|block| summary(format, block).ok())
        .map_or(Units::ANY, |summary| Units::of_room(summary.room))
}

/// Base-2 logarithm of the unit in bytes of an inode's block count.
const SECTOR_SHIFT: u32 = 9;
