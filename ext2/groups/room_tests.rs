// SPDX-License-Identifier: GPL-2.0

//! KUnit suite for what is kept for files that are known to grow, where C knows of nothing.

use crate::{
    disk::test_images::Random,
    groups::{
        search::{
            self,
            SearchSpace, //
        },
        search_tests::{
            file,
            get,
            space,
            GROUP,
            GROUPS,
            METADATA, //
        },
        windows::{
            BlockAllocInfo,
            Coming, //
        },
    },
};
use kernel::prelude::*;

#[kunit_tests(rust_ext2_room_to_grow)]
mod tests {
    use super::*;

    fn known(blocks: u32) -> Coming {
        Coming {
            known: blocks,
            hoped: 0,
        }
    }

    #[test]
    fn a_window_has_room_for_what_is_to_come() -> Result {
        let space = space()?;
        let mut files = [file(), file(), file(), file()];
        let [a, b, c, d] = &mut files;

        a.note_coming(known(300));
        assert_eq!(get(&space, a, 101, 4)?, (101, 4));
        assert_eq!(get(&space, b, 101, 4)?, (401, 4));
        // No further than to the end of the group.
        c.note_coming(known(5000));
        assert_eq!(get(&space, c, 101, 4)?, (409, 4));
        assert_eq!(get(&space, d, 101, 4)?, (1 + GROUP + METADATA, 4));
        assert_eq!(get(&space, a, 105, 296)?, (105, 296));
        Ok(())
    }

    #[test]
    fn a_file_that_grows_has_room_for_more() -> Result {
        let space = space()?;
        let mut files = [file(), file(), file()];
        let [a, b, c] = &mut files;
        let coming = |known, hoped| Coming { known, hoped };

        a.note_coming(coming(100, 200));
        assert_eq!(get(&space, a, 101, 4)?, (101, 4));
        assert_eq!(get(&space, b, 101, 4)?, (401, 4));
        // What is hoped for is no reason for another place.
        c.note_coming(coming(600, 200));
        assert_eq!(get(&space, c, 101, 4)?, (409, 4));
        a.note_coming(coming(296, 500));
        assert_eq!(get(&space, a, 105, 296)?, (105, 296));
        Ok(())
    }

    #[test]
    fn a_file_begins_where_it_has_room() -> Result {
        let space = space()?;
        let mut files = [file(), file()];
        let [a, b] = &mut files;

        let roomy = |goal, blocks| search::roomy(&&space, goal, known(blocks));

        assert_eq!(roomy(501, 500), 501);
        // Not behind the goal, but in its group.
        assert_eq!(roomy(501, 600), 1);
        a.note_coming(known(400));
        assert_eq!(get(&space, a, 501, 1)?, (501, 1));
        assert_eq!(roomy(101, 400), 101);
        assert_eq!(roomy(101, 401), 1);
        assert_eq!(roomy(101, 501), 1 + GROUP);
        // Larger than a group, and where there is only the last one, which is half as long.
        assert_eq!(roomy(101, 9000), 1 + GROUP);
        assert_eq!(roomy(1 + 4 * GROUP + 300, 490), 1 + 4 * GROUP);
        assert_eq!(roomy(1 + 4 * GROUP + 300, 600), 1 + GROUP);
        assert_eq!(roomy(1 + 5 * GROUP, 1), 1 + 5 * GROUP);
        // Not where the bitmap could not be read.
        space.unreadable.set(0b00010);
        assert_eq!(roomy(101, 501), 1 + 2 * GROUP);
        space.unreadable.set(0);

        // Nobody else gets what is reserved, and of a group without a bitmap nothing is.
        b.set_goal_size(20);
        let window = search::reserve(&&space, b, 101).map(|window| (window.start, window.end));
        assert_eq!(window, Some((101, 120)));
        assert_eq!(get(&space, &mut file(), 105, 4)?, (121, 4));
        assert_eq!(get(&space, b, 101, 4)?, (101, 4));
        space.unreadable.set(0b00001);
        assert!(search::reserve(&&space, &mut file(), 101).is_none());
        Ok(())
    }

    #[test]
    fn a_window_has_room_until_it_is_used_up() -> Result {
        let space = space()?;
        let [mut a, mut b] = [file(), file()];

        let begin = 1 + 2 * GROUP + METADATA;
        a.set_goal_size(30);
        assert!(!a.has_room_for(1, 1));
        assert_eq!(get(&space, &mut a, begin, 10)?, (begin, 10));
        assert!(a.has_room_for(20, 1) && !a.has_room_for(21, 1));
        a.forget_hits(1);
        assert!(a.has_room_for(21, 1));
        (&space).windows().discard(&mut a);
        assert!(!a.has_room_for(1, 1));

        // More than any window has room for. This one goes on in the next group.
        b.set_goal_size(5000);
        let begin = 1 + METADATA;
        assert!(search::reserve(&&space, &mut b, begin).is_some());
        assert_eq!(get(&space, &mut b, begin, 1)?, (begin, 1));
        assert!(b.has_room_for(5000, 1026) && !b.has_room_for(5000, 1027));
        let window = b.window().ok_or(EINVAL)?;
        assert_eq!(window.end - window.start, 1026);
        assert_eq!(get(&space, &mut b, begin + 1, 1026)?, (begin + 1, 1007));
        assert!(b.has_room_for(5000, 19) && !b.has_room_for(5000, 20));
        b.count_hits(19);
        assert!(!b.has_room_for(1, 1));
        Ok(())
    }

    /// Whether two of the files have a block in their windows.
    fn overlap(files: &[BlockAllocInfo]) -> bool {
        let windows = || files.iter().filter_map(BlockAllocInfo::window);
        windows().enumerate().any(|(number, one)| {
            let mut behind = windows().skip(number + 1);
            one.start > one.end || behind.any(|two| one.start <= two.end && two.start <= one.end)
        })
    }

    /// Whatever files ask for, and wherever that is: no block is in the windows of two, and none is
    /// left in one that nobody has.
    #[test]
    fn no_block_is_in_two_windows() -> Result {
        let space = space()?;
        let mut random = Random::new(41);
        let mut below = |limit: u32| random.below(limit.into()) as u32;
        let mut files = [file(), file(), file(), file(), file(), file()];
        let mut with_window = 0;

        for _ in 0..4000 {
            let goal = below(1 + GROUPS * GROUP);
            let Some(file) = files.get_mut(below(6) as usize) else {
                return Err(EINVAL);
            };
            match below(8) {
                0 => (&space).windows().discard(file),
                1 => file.set_goal_size(below(1200)),
                2 => file.note_coming(Coming {
                    known: below(2000),
                    hoped: below(2000),
                }),
                3 => drop(search::reserve(&&space, file, goal)),
                4 => {
                    for _ in 0..200 {
                        let block = 1 + below(GROUPS * GROUP);
                        if (block - 1) % GROUP >= METADATA {
                            let _ = space.free(block);
                        }
                    }
                }
                _ => drop(get(&space, file, goal, 1 + below(40))?),
            }
            assert!(!overlap(&files));
            with_window += files.iter().filter(|file| file.window().is_some()).count();
        }
        assert!(with_window > 4000);
        for file in &mut files {
            (&space).windows().discard(file);
        }
        assert!((&space).windows().is_empty());
        Ok(())
    }
}
