// SPDX-License-Identifier: GPL-2.0

//! Reservation windows: blocks that are kept free for the file that is being extended.
//!
//! Each regular file that gets blocks has a window, in memory only. No two windows of a filesystem
//! overlap, and a file with a window allocates in its own, so files that grow at the same time do
//! not get each other's blocks in between. A window says nothing about the bitmap: blocks in it may
//! be in use, and files without windows (directories) may take what is free in it.
//!
//! C counterparts: `find_next_reservable_window()`, `alloc_new_reservation()`,
//! `try_to_extend_reservation()`. The windows of C are nodes in the inodes; here the filesystem's
//! [`Windows`] know only from where to where each goes, and the inode has a copy of its own.
//!
//! Locks: the inode's tree mutex for its [`BlockAllocInfo`], inside of it `windows`, a
//! spinlock, for a search among windows. Memory for a window is allocated before, without waiting
//! for any: a file can do without a window.

use super::bitmap::{
    next_clear,
    Bitmap,
    Range, //
};
use kernel::{
    new_spinlock,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::SpinLock, //
};

/// Blocks in a file's first window, `EXT2_DEFAULT_RESERVE_BLOCKS`.
const DEFAULT_BLOCKS: u32 = 8;

/// Windows that were used well grow to at most this, `EXT2_MAX_RESERVE_BLOCKS`.
const MAX_BLOCKS: u32 = 1027;

/// The blocks of a group, from its first to its last.
///
/// 64-bit, as windows may reach beyond the end of the filesystem.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GroupSpan {
    /// The group's first block.
    pub(crate) first: u64,
    /// The group's last block.
    pub(crate) last: u64,
}

impl GroupSpan {
    /// How many blocks the group has.
    pub(crate) fn blocks(&self) -> u32 {
        (self.last - self.first + 1) as u32
    }
}

/// The blocks of a window, from its first to its last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    /// Its first block.
    pub(crate) start: u64,
    /// Its last block.
    pub(crate) end: u64,
}

impl Window {
    fn blocks(&self) -> u64 {
        self.end - self.start + 1
    }

    /// Whether blocks of the window are in the group, `goal` among them if there is one. The goal
    /// counts from the start of the group. C: `goal_in_my_reservation()`.
    pub(crate) fn suits(&self, group: GroupSpan, goal: Option<u32>) -> bool {
        self.start <= group.last
            && self.end >= group.first
            && goal.is_none_or(|goal| {
                (self.start..=self.end).contains(&(group.first + u64::from(goal)))
            })
    }

    /// What of the window is in the group, if any of it is.
    pub(crate) fn range_in(&self, group: GroupSpan) -> Range {
        Range::Window {
            start: self.start.saturating_sub(group.first) as u32,
            end: (self.end.min(group.last) + 1).saturating_sub(group.first) as u32,
        }
    }
}

/// What is known about where a file gets its blocks, `struct ext2_block_alloc_info`.
///
/// The inode's tree mutex protects it. Before the inode goes away, its window has to be given
/// up by [`Windows::discard`].
pub(crate) struct BlockAllocInfo {
    info: Option<Info>,
}

struct Info {
    window: Option<Window>,
    /// How large the next window is to be; 0 if the file has none, ever.
    goal_size: u32,
    /// Blocks allocated from the window.
    hits: u64,
    /// What is about to be asked for, from the next one on.
    coming: Coming,
    last_logical: u32,
    last_physical: u32,
}

/// How many blocks a file is about to ask for, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Coming {
    /// So many are known.
    pub(crate) known: u32,
    /// And so many more may be after them, since the file is still written to. xfs knows this as
    /// speculative preallocation, `xfs_iomap_prealloc_size()`.
    pub(crate) hoped: u32,
}

impl Coming {
    /// Those that are known, as far as there can be so many from `from` to `last`.
    fn known_in(self, from: u64, last: u64) -> u64 {
        u64::from(self.known).min((last + 1).saturating_sub(from))
    }

    /// All of them.
    pub(super) fn all(self) -> u64 {
        u64::from(self.known) + u64::from(self.hoped)
    }

    /// As [`Self::known_in`], of all.
    fn all_in(self, from: u64, last: u64) -> u64 {
        self.all().min((last + 1).saturating_sub(from))
    }
}

impl BlockAllocInfo {
    /// Nothing is known, and there is no window: what directories and symbolic links stay with.
    pub(crate) const fn new() -> Self {
        Self { info: None }
    }

    /// Begins to keep track for a regular file. C: `ext2_init_block_alloc_info()`.
    pub(crate) fn ensure(&mut self, use_of_windows: Windowing) {
        self.info.get_or_insert(Info {
            window: None,
            goal_size: match use_of_windows {
                Windowing::On => DEFAULT_BLOCKS,
                Windowing::Off => 0,
            },
            hits: 0,
            coming: Coming::default(),
            last_logical: 0,
            last_physical: 0,
        });
    }

    /// The block to ask for, if `logical` is the one after that allocated last. The first half of
    /// `ext2_find_goal()`.
    pub(crate) fn goal_for(&self, logical: u32) -> Option<u32> {
        let info = self.info.as_ref()?;
        if info.last_physical == 0 || info.last_logical.checked_add(1) != Some(logical) {
            return None;
        }
        info.last_physical.checked_add(1)
    }

    /// Remembers that the file's block `logical`, the last one allocated, is at `physical`.
    pub(crate) fn set_last(&mut self, logical: u32, physical: u32) {
        if let Some(info) = &mut self.info {
            info.last_logical = logical;
            info.last_physical = physical;
        }
    }

    /// How large the next window is to be; `None` if the file has none.
    pub(crate) fn window_size(&self) -> Option<u32> {
        self.info.as_ref().map(|i| i.goal_size).filter(|&s| s > 0)
    }

    /// How large the next window is to be, 0 if the file has none; `None` if nothing is kept track
    /// of.
    pub(crate) fn goal_size(&self) -> Option<u32> {
        self.info.as_ref().map(|info| info.goal_size)
    }

    /// Sets how large the next window is to be, 0 for none; at most 1027 blocks. The window that
    /// there is stays.
    pub(crate) fn set_goal_size(&mut self, blocks: u32) {
        if let Some(info) = &mut self.info {
            info.goal_size = blocks.min(MAX_BLOCKS);
        }
    }

    /// Says what will be asked for from the next block on: the window is to have room for it, if
    /// there is room in the group. C knows of those that it gives at once.
    pub(crate) fn note_coming(&mut self, coming: Coming) {
        if let Some(info) = &mut self.info {
            info.coming = coming;
        }
    }

    /// The window, if there is one now.
    pub(crate) fn window(&self) -> Option<Window> {
        self.info.as_ref()?.window
    }

    /// How many blocks of the window nobody has got, if there is one.
    fn left(&self) -> Option<u64> {
        let info = self.info.as_ref()?;
        Some(info.window?.blocks().saturating_sub(info.hits))
    }

    /// Whether there is a window with room for `all` blocks; or one as large as windows get with
    /// room for the first `now` of them: where there are more than any has room for there are
    /// several.
    pub(crate) fn has_room_for(&self, all: u32, now: u32) -> bool {
        let is_largest = |window: Window| window.blocks() >= MAX_BLOCKS.into();

        self.left().is_some_and(|left| {
            left >= all.into() || left >= now.into() && self.window().is_some_and(is_largest)
        })
    }

    /// Takes note that blocks allocated from the window are free again.
    pub(crate) fn forget_hits(&mut self, blocks: u32) {
        if let Some(info) = &mut self.info {
            info.hits = info.hits.saturating_sub(blocks.into());
        }
    }

    /// Takes note of blocks allocated from the window.
    pub(crate) fn count_hits(&mut self, blocks: u32) {
        if let Some(info) = &mut self.info {
            info.hits += u64::from(blocks);
        }
    }
}

/// Whether files get windows, the mount option `reservation`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Windowing {
    /// They do.
    On,
    /// They do not, `noreservation`.
    Off,
}

/// All windows of a filesystem.
///
/// # Invariants
///
/// By start, the windows do not overlap.
#[pin_data]
pub(crate) struct Windows {
    /// The last block of each window, by its first.
    #[pin]
    windows: SpinLock<RBTree<u64, u64>>,
}

impl Windows {
    /// No windows.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            windows <- new_spinlock!(RBTree::new(), "ext2_windows"),
        })
    }

    /// Gives the file's window up, if it has one. C: `ext2_discard_reservation()`.
    pub(crate) fn discard(&self, file: &mut BlockAllocInfo) {
        let Some(info) = &mut file.info else {
            return;
        };
        info.hits = 0;
        if let Some(window) = info.window.take() {
            // Its memory is freed without the lock.
            let node = self.windows.lock().remove_node(&window.start);
            drop(node);
        }
    }

    /// Makes sure that the file has a window that suits an allocation of `count` blocks at `goal`
    /// in `group`, whose bitmap is `bitmap`. Says whether it has; without, nothing of the group can
    /// be had with a window.
    pub(crate) fn prepare(
        &self,
        file: &mut BlockAllocInfo,
        group: GroupSpan,
        bitmap: &impl Bitmap,
        goal: Option<u32>,
        count: u32,
    ) -> Prepared {
        let Some(info) = &mut file.info else {
            return Prepared::NoRoom;
        };
        match info.window {
            Some(window) if window.suits(group, goal) => {
                if let Some(goal) = goal {
                    let goal = group.first + u64::from(goal);
                    let left = window.end - goal + 1;
                    let wanted = match info.coming.known_in(goal, group.last) > left {
                        true => info.coming.all_in(goal, group.last),
                        false => 0,
                    };
                    self.extend(info, wanted.max(count.into()).saturating_sub(left));
                }
                Prepared::Window(info.window.unwrap_or(window))
            }
            _ => self.renew(file, group, bitmap, goal, count),
        }
    }

    /// As [`prepare`](Self::prepare), with a window other than the one that the file has, in which
    /// there was nothing.
    pub(crate) fn renew(
        &self,
        file: &mut BlockAllocInfo,
        group: GroupSpan,
        bitmap: &impl Bitmap,
        goal: Option<u32>,
        count: u32,
    ) -> Prepared {
        if let Some(info) = &mut file.info {
            info.goal_size = info.goal_size.max(count);
        }
        self.reserve(file, group, bitmap, goal)
    }

    /// Reserves a window that has a free block in `group`, at `goal` or after it.
    /// C: `alloc_new_reservation()`.
    fn reserve(
        &self,
        file: &mut BlockAllocInfo,
        group: GroupSpan,
        bitmap: &impl Bitmap,
        goal: Option<u32>,
    ) -> Prepared {
        let Some(info) = &mut file.info else {
            return Prepared::NoRoom;
        };
        let mut from = group.first + u64::from(goal.unwrap_or(0));

        if let Some(window) = info.window {
            // The window goes on in the next group, and there was nothing in this one: keep it.
            if window.start <= group.last && window.end > group.last && from >= window.start {
                return Prepared::NoRoom;
            }
            if info.hits > window.blocks() / 2 {
                info.goal_size = info.goal_size.saturating_mul(2).min(MAX_BLOCKS);
            }
        }
        // A window that is moved keeps its memory.
        let mut memory = None;
        if info.window.is_none() {
            let Ok(new) = RBTreeNodeReservation::new(GFP_NOWAIT) else {
                return Prepared::NoMemory;
            };
            memory = Some(new);
        }

        while let Some(window) = self.book(info, memory.take(), from, group.last) {
            // Booked, so nobody else's; but is anything in it free?
            let start = (window.start - group.first) as u32;
            let Some(free) = next_clear(bitmap, start, group.blocks()) else {
                break;
            };
            from = group.first + u64::from(free);
            if from <= window.end {
                return Prepared::Window(window);
            }
        }
        self.discard(file);
        Prepared::NoRoom
    }

    /// Moves the file's window to the first space between windows that is large enough and starts
    /// at `from` or later, and not behind `last`. C: `find_next_reservable_window()`.
    fn book(
        &self,
        info: &mut Info,
        memory: Option<RBTreeNodeReservation<u64, u64>>,
        from: u64,
        last: u64,
    ) -> Option<Window> {
        let least = u64::from(info.goal_size.max(1));
        let known = info.coming.known_in(from, last);
        let mut windows = self.windows.lock();
        let for_all = match known > least {
            true => find_whole(&mut windows, from, last, info.coming.all())
                .map(|start| (start, info.coming.all()))
                .or_else(|| Some((find_space(&mut windows, from, last, known)?, known))),
            false => None,
        };
        let window = match for_all {
            // What comes then goes on in the next group as it begins in this one.
            Some((start, blocks)) => Window {
                start,
                end: (start + (blocks - 1)).min(last).max(start + (least - 1)),
            },
            None => {
                let start = find_space(&mut windows, from, last, least)?;
                Window {
                    start,
                    end: start + (least - 1),
                }
            }
        };

        let old = info
            .window
            .take()
            .and_then(|old| windows.remove_node(&old.start))
            .map(|node| node.into_reservation());
        if let Some(memory) = old.or(memory) {
            windows.insert(memory.into_node(window.start, window.end));
            info.window = Some(window);
            info.hits = 0;
        }
        info.window
    }

    /// Makes the window larger by `blocks`, or by as many as there are before the next one.
    /// C: `try_to_extend_reservation()`.
    fn extend(&self, info: &mut Info, blocks: u64) {
        let Some(window) = info.window.as_mut().filter(|_| blocks > 0) else {
            return;
        };
        let mut windows = self.windows.lock();
        let next = windows
            .cursor_lower_bound(&(window.start + 1))
            .map(|cursor| *cursor.current().0);
        let end = window.end.saturating_add(blocks);
        window.end = next.map_or(end, |next| end.min(next - 1));
        if let Some(end) = windows.get_mut(&window.start) {
            *end = window.end;
        }
    }

    /// Whether there are `blocks` blocks in a row from `from` to `last` that are in no window.
    pub(crate) fn have_room(&self, from: u64, last: u64, blocks: u64) -> bool {
        find_whole(&mut self.windows.lock(), from, last, blocks).is_some()
    }

    /// Whether no file has a window.
    #[cfg(CONFIG_KUNIT)]
    pub(crate) fn is_empty(&self) -> bool {
        self.windows.lock().is_empty()
    }
}

/// Whether there is a window to allocate from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Prepared {
    /// This one.
    Window(Window),
    /// There is none to be had in the group.
    NoRoom,
    /// There is no memory to keep track of one.
    NoMemory,
}

/// Where `size` blocks in a row are in no window: the first such place from `from` on, and not
/// behind `last`. Block 0 is always taken.
fn find_space(windows: &mut RBTree<u64, u64>, from: u64, last: u64, size: u64) -> Option<u64> {
    let mut at = from.max(1);
    if let Some(end) = end_of_last_until(windows, at) {
        at = at.max(end + 1);
    }
    let mut cursor = windows.cursor_lower_bound_mut(&(from.max(1) + 1));

    loop {
        if at > last {
            return None;
        }
        let Some(next) = cursor else {
            return Some(at);
        };
        let (&start, &end) = next.current();
        if at + size <= start {
            return Some(at);
        }
        at = at.max(end + 1);
        cursor = next.move_next();
    }
}

/// As [`find_space`], where all of the blocks are, and none is behind `last`.
fn find_whole(windows: &mut RBTree<u64, u64>, from: u64, last: u64, size: u64) -> Option<u64> {
    find_space(windows, from, last, size).filter(|start| start + size <= last + 1)
}

/// The last block of the last window that starts at `block` or before.
/// C: `search_reserve_window()`.
fn end_of_last_until(windows: &RBTree<u64, u64>, block: u64) -> Option<u64> {
    match windows.cursor_lower_bound(&(block + 1)) {
        Some(after) => after.peek_prev().map(|(_, &end)| end),
        None => windows.cursor_back().map(|last| *last.current().1),
    }
}
