// SPDX-License-Identifier: GPL-2.0

//! The search for free blocks: which groups are looked at, in which order, and where in each.
//!
//! First the goal's group at the goal, then all groups after it, and at last the goal's group
//! anew. A file with a reservation window gets blocks from its window, and moves the window on when
//! there are none; when no group has room for a window, the search begins again without.
//!
//! What was found is claimed in the bitmap already. The counts of the group and the filesystem are
//! for the caller to adjust, see [`balloc`](crate::alloc::balloc).
//!
//! C counterparts: `ext2_new_blocks()`, `ext2_try_to_allocate_with_rsv()`.
//!
//! Locks: as in [`windows`](crate::groups::windows). Searches of different files are concurrent.

use super::{
    bitmap::{
        claim_run,
        Bitmap,
        Range, //
    },
    windows::{
        BlockAllocInfo,
        Coming,
        GroupSpan,
        Prepared,
        Window,
        Windows, //
    },
};
use crate::disk::{
    geometry::Geometry,
    run::{
        Run,
        Wanted, //
    }, //
};
use kernel::prelude::*;

/// The most blocks that C needs at a time: one, and the arrays of pointers on the way to it.
const BRANCH: u32 = 4;

/// Where blocks can be found.
pub(crate) trait SearchSpace {
    /// The block bitmap of a group.
    type Bitmap: Bitmap;

    /// The layout of the filesystem.
    fn geometry(&self) -> &Geometry;

    /// All reservation windows.
    fn windows(&self) -> &Windows;

    /// Free blocks in the group, if its descriptor is right.
    fn free_blocks(&self, group: u32) -> u32;

    /// Whether the group's bitmap could not be read when it was wanted last.
    fn is_unreadable(&self, group: u32) -> bool;

    /// Reads the group's bitmap.
    fn block_bitmap(&self, group: u32) -> Result<Self::Bitmap>;

    /// Whether blocks that the bitmap said were free may hold data. If not, the bitmap is corrupt,
    /// and this reports it.
    fn may_hold_data(&self, group: u32, blocks: Run) -> bool;
}

/// Blocks that have been claimed.
pub(crate) struct Found<B> {
    /// The group that they are in.
    pub(crate) group: u32,
    /// Its bitmap, to be written.
    pub(crate) bitmap: B,
    /// The blocks.
    pub(crate) blocks: Run,
}

impl<B: Bitmap> Found<B> {
    /// Gives the blocks back, but for those that may not hold data.
    fn release(&self, space: &impl SearchSpace) {
        let geometry = space.geometry();
        let first = geometry.group_first_block(self.group).unwrap_or(0);
        for block in (self.blocks.first..).take(self.blocks.count as usize) {
            let one = Run {
                first: block,
                count: 1,
            };
            if space.may_hold_data(self.group, one) {
                self.bitmap.release(block - first);
            }
        }
    }
}

/// Claims up to `wanted.most` blocks in a row, near `goal`: those that C gives who asks for
/// `wanted.needed` and then for one after the other, as far as these are in a row. So a file has
/// its blocks where it has them in C, however many are asked for at a time.
///
/// A group whose bitmap cannot be had is passed over, where C fails.
///
/// Fails with `ENOSPC` if there are none, with `EUCLEAN` or an I/O error if there may be some and a
/// bitmap cannot be had.
pub(crate) fn allocate<S: SearchSpace>(
    space: &S,
    file: &mut BlockAllocInfo,
    goal: u32,
    wanted: Wanted,
) -> Result<Found<S::Bitmap>> {
    let geometry = space.geometry();
    let goal_group = geometry.group_of_block(goal);
    let goal_in_group = goal_group
        .and_then(|group| goal.checked_sub(geometry.group_first_block(group)?))
        .unwrap_or(0);
    let goal_group = goal_group.unwrap_or(0);
    let mut search = Search {
        space,
        wanted,
        window_size: file.window_size().filter(|&size| size > 0),
        file,
        goal_in_group,
        unreadable: None,
    };

    let few = wanted.needed.min(BRANCH);
    let mut group = goal_group;
    loop {
        match search.pass(group) {
            Some(found) if space.may_hold_data(found.group, found.blocks) => return Ok(found),
            // Some of them may: so as few as C claims.
            Some(found) if found.blocks.count > few => {
                search.wanted = Wanted {
                    needed: few,
                    most: few,
                };
                found.release(space);
                group = found.group;
            }
            // They stay claimed, as they should have been. So this comes to an end.
            Some(found) => group = found.group,
            // Everything may be reserved for others.
            None if search.window_size.take().is_some() => group = goal_group,
            None => return Err(search.unreadable.unwrap_or(ENOSPC)),
        }
    }
}

/// The most groups that [`roomy`] looks at for one size.
const ROOMY_GROUPS: usize = 64;

/// Where a file may begin of which is known what will be asked for: at `goal`; or, if there is not
/// so much room in a row between the windows behind it, in the goal's group, or in one after it. C
/// begins at the goal, and goes on in the next group.
///
/// Only windows and counts are asked, no bitmap; `goal` if that finds nothing.
pub(crate) fn roomy<S: SearchSpace>(space: &S, goal: u32, coming: Coming) -> u32 {
    // Of a file larger than any room in a group most of a group.
    let most = space.geometry().blocks_per_group() / 4 * 3;

    roomy_for(space, goal, coming.all())
        .or_else(|| roomy_for(space, goal, coming.known.into()))
        .or_else(|| roomy_for(space, goal, most.min(coming.known).into()))
        .unwrap_or(goal)
}

/// Where there is room for `blocks` blocks in a row.
fn roomy_for<S: SearchSpace>(space: &S, goal: u32, blocks: u64) -> Option<u32> {
    let geometry = space.geometry();
    let groups = geometry.groups_count();
    let own = geometry.group_of_block(goal)?;
    let has_room = |group: u32, from: Option<u32>| {
        let span = span(geometry, group)?;
        let from = from.map_or(span.first, u64::from);
        let has_room = u64::from(space.free_blocks(group)) >= blocks
            && !space.is_unreadable(group)
            && space.windows().have_room(from, span.last, blocks);
        has_room.then_some(from as u32)
    };

    has_room(own, Some(goal)).or_else(|| {
        Iterator::chain(own..groups, 0..own)
            .take(ROOMY_GROUPS)
            .find_map(|group| has_room(group, None))
    })
}

/// Gives the file a window in the goal's group, from `goal` on, of which it claims nothing. None if
/// there is no room for one, or no memory, or the bitmap cannot be had.
pub(crate) fn reserve<S: SearchSpace>(
    space: &S,
    file: &mut BlockAllocInfo,
    goal: u32,
) -> Option<Window> {
    let geometry = space.geometry();
    let group = geometry.group_of_block(goal)?;
    let span = span(geometry, group)?;
    let bitmap = space.block_bitmap(group).ok()?;
    let goal = (u64::from(goal) - span.first) as u32;

    match space.windows().renew(file, span, &bitmap, Some(goal), 1) {
        Prepared::Window(window) => Some(window),
        Prepared::NoRoom | Prepared::NoMemory => None,
    }
}

fn span(geometry: &Geometry, group: u32) -> Option<GroupSpan> {
    Some(GroupSpan {
        first: geometry.group_first_block(group)?.into(),
        last: geometry.group_last_block(group)?.into(),
    })
}

/// A search that goes on.
struct Search<'a, S> {
    space: &'a S,
    file: &'a mut BlockAllocInfo,
    wanted: Wanted,
    /// The size of the file's next window; `None` to search without.
    window_size: Option<u32>,
    goal_in_group: u32,
    /// Why a group was passed over that may have room.
    unreadable: Option<Error>,
}

impl<S: SearchSpace> Search<'_, S> {
    /// Goes over all groups once, from `start` on.
    fn pass(&mut self, start: u32) -> Option<Found<S::Bitmap>> {
        let groups = self.space.geometry().groups_count();
        let free = self.space.free_blocks(start);

        // Too little for a new window.
        if self.window_size.is_some_and(|size| free < size)
            && free > 0
            && self.file.window().is_none()
        {
            self.window_size = None;
        }
        if free > 0 {
            if let Some(found) = self.try_group(start, Some(self.goal_in_group)) {
                return Some(found);
            }
        }
        for group in Iterator::chain(start + 1..groups, 0..=start) {
            let free = self.space.free_blocks(group);
            if free == 0 || self.window_size.is_some_and(|size| free <= size / 2) {
                continue;
            }
            if let Some(found) = self.try_group(group, None) {
                return Some(found);
            }
        }
        None
    }

    /// Tries to claim blocks of one group, if its bitmap can be had.
    fn try_group(&mut self, group: u32, goal: Option<u32>) -> Option<Found<S::Bitmap>> {
        self.in_group(group, goal).unwrap_or_else(|error| {
            self.unreadable.get_or_insert(error);
            None
        })
    }

    /// Tries to claim blocks of one group. C: `ext2_try_to_allocate_with_rsv()`.
    fn in_group(&mut self, group: u32, goal: Option<u32>) -> Result<Option<Found<S::Bitmap>>> {
        let span = span(self.space.geometry(), group).ok_or(EUCLEAN)?;
        let bitmap = self.space.block_bitmap(group)?;

        let bits = if self.window_size.is_some() {
            self.in_window(span, &bitmap, goal)
        } else {
            let range = Range::Group { end: span.blocks() };
            claim_run(&bitmap, range, goal, self.most_without_window())
        };
        Ok(bits.map(|bits| Found {
            group,
            bitmap,
            blocks: Run {
                first: span.first as u32 + bits.first,
                count: bits.count,
            },
        }))
    }

    /// How many blocks to claim without a window. A file that can have one may get it at the next
    /// question, which begins elsewhere.
    fn most_without_window(&self) -> u32 {
        match self.file.window_size() {
            Some(_) => self.wanted.needed,
            None => self.wanted.most,
        }
    }

    /// Tries to claim blocks of one group in a window.
    fn in_window(
        &mut self,
        span: GroupSpan,
        bitmap: &S::Bitmap,
        mut goal: Option<u32>,
    ) -> Option<Run> {
        let windows = self.space.windows();
        let mut prepared = windows.prepare(self.file, span, bitmap, goal, self.wanted.needed);

        while let Prepared::Window(window) = prepared {
            goal = goal.filter(|_| window.suits(span, goal));
            if let Some(bits) = claim_run(bitmap, window.range_in(span), goal, self.wanted.most) {
                self.file.count_hits(bits.count);
                return Some(bits);
            }
            prepared = windows.renew(self.file, span, bitmap, goal, self.wanted.needed);
        }
        if prepared == Prepared::NoMemory {
            // Without a window from here on.
            self.window_size = None;
            let range = Range::Group { end: span.blocks() };
            return claim_run(bitmap, range, goal, self.most_without_window());
        }
        None
    }
}
