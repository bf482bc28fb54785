// SPDX-License-Identifier: GPL-2.0

//! Rows about filesystems that are frozen or read-only, or about to be: W17.

use crate::{
    support::{
        Filesystem,
        Request,
        FROZEN,
        READ_ONLY, //
    },
    table::Extent,
    write::case::{
        Buffer,
        SeenWritten,
        WriteCase,
        FLUSH,
        SYNC, //
    },
    Engine, //
};
use kernel::prelude::*;

/// A request by somebody who waits, of such a filesystem.
const fn sync(filesystem: Filesystem) -> Request {
    Request { filesystem, ..SYNC }
}

/// One that nobody waits for.
const fn flush(filesystem: Filesystem) -> Request {
    Request {
        filesystem,
        ..FLUSH
    }
}

/// What is seen of a write to a filesystem that is frozen, and to one that is read-only; of folios
/// without buffers, and with.
fn when_closed(extents: &[Extent], buffers: &[(u64, &[Buffer])]) -> Result<KVec<SeenWritten>> {
    let mut all = KVec::new();
    for filesystem in [FROZEN, READ_ONLY] {
        let requests = [sync(filesystem)];
        for case in WriteCase::new(10, extents).without_and_with(buffers) {
            for seen in case.requests(&requests).run_each(&Engine::OURS)? {
                all.push(seen, GFP_KERNEL)?;
            }
        }
    }
    Ok(all)
}

#[kernel::macros::kunit_tests(rust_mpage_write_closed)]
mod tests {
    use super::{
        flush,
        sync,
        when_closed, //
    };
    use crate::{
        seen::Seen,
        setup::OnDisks,
        support::{
            Request,
            CLOSING,
            FREEZING,
            FROZEN,
            READ_ONLY, //
        },
        table::{
            ext,
            What::*, //
        },
        write::case::{
            Buffer::{
                Good,
                Stored, //
            },
            WriteCase,
            SYNC, //
        },
        Engine, //
    };
    use kernel::prelude::*;

    /// The last writeback before nothing may change: what has no block is given up, as by C.
    #[test]
    fn w17_given_up_before_a_freeze() -> Result {
        let extents = [ext(2, Fresh(100)), ext(2, Fails(ENOSPC))];
        let buffers = [(0, &[Stored; 4][..])];
        for request in [
            sync(FREEZING),
            sync(CLOSING),
            flush(FREEZING),
            flush(CLOSING),
        ] {
            let requests = [request];
            for case in WriteCase::new(10, &extents).without_and_with(&buffers) {
                for seen in case.requests(&requests).run_each(&Engine::OURS)? {
                    assert!(seen.gave_up(ENOSPC, 4));
                }
            }
        }
        Ok(())
    }

    /// What stayed dirty until then, and could get its block now, does: nothing is lost early.
    #[test]
    fn w17_saved_before_a_freeze() -> Result {
        let extents = [ext(2, Fresh(100)), ext(2, Fresh(200))];
        for last in [FREEZING, CLOSING] {
            let requests = [SYNC, sync(last)];
            let case = WriteCase::new(10, &extents)
                .fail_call(2, ENOSPC)
                .requests(&requests);
            for seen in case.run_each(&Engine::OURS)? {
                assert!(seen.came_to(0, Err(ENOSPC), Err(ENOSPC)));
                assert!(seen.came_to(1, Ok(()), Ok(())));
                assert!(seen.dirty_are(&[]));
                assert!(seen.right_bytes());
            }
        }
        Ok(())
    }

    /// A frozen or read-only filesystem is not asked for blocks, and nothing is written anew.
    #[test]
    fn w17_nothing_is_allocated_when_frozen() -> Result {
        let extents = [ext(4, Fresh(100)), ext(4, Fresh(300))];
        let buffers = [(0, &[Stored; 4][..]), (1, &[Stored; 4][..])];
        for seen in when_closed(&extents, &buffers)? {
            assert!(seen.came_to(0, Err(EROFS), Err(EROFS)));
            assert!(seen.bios_are(&[]));
            assert!(seen.dirty_are(&[]));
            let asked = seen.calls.iter().any(|call| call.create);
            assert!(seen.is("asked for blocks", !asked));
        }
        Ok(())
    }

    /// What has its blocks is written there, as in C.
    #[test]
    fn w17_blocks_that_are_there_are_written() -> Result {
        let extents = [
            ext(4, Run(100)),
            ext(2, Run(200)),
            ext(2, Run(300)),
            ext(2, Run(400)),
            ext(2, Fresh(402)),
        ];
        let buffers = [(2, &[Good, Good, Stored, Stored][..])];
        for seen in when_closed(&extents, &buffers)? {
            assert!(seen.came_to(0, Err(EROFS), Err(EROFS)));
            let bios = [
                (200, 4 << 10),
                (400, 2 << 10),
                (600, 2 << 10),
                (800, 2 << 10),
            ];
            assert!(seen.bios_are(&bios));
            assert!(seen.dirty_are(&[]));
            assert!(seen.right_bytes());
        }
        Ok(())
    }

    /// Also what is behind a block that has none, with buffers or without.
    #[test]
    fn w17_blocks_behind_a_hole_are_written() -> Result {
        let extents = [
            ext(1, Fresh(100)),
            ext(1, Run(200)),
            ext(1, Fresh(300)),
            ext(1, Run(400)),
        ];
        let buffers = [(0, &[Stored; 4][..])];
        for seen in when_closed(&extents, &buffers)? {
            assert!(seen.came_to(0, Err(EROFS), Err(EROFS)));
            assert!(seen.bios_are(&[(400, 1 << 10), (800, 1 << 10)]));
            assert!(seen.dirty_are(&[]));
        }
        Ok(())
    }

    /// The last writeback before nothing may change writes them, too, when the disk is full.
    #[test]
    fn w17_blocks_behind_one_that_cannot_be_had_are_written() -> Result {
        let extents = [ext(1, Fresh(100)), ext(3, Run(200))];
        let buffers = [(0, &[Stored; 4][..])];
        for filesystem in [FREEZING, CLOSING] {
            let requests = [sync(filesystem)];
            for case in WriteCase::new(10, &extents).without_and_with(&buffers) {
                let case = case.requests(&requests).fail_call(1, ENOSPC);
                for seen in case.run_each(&Engine::OURS)? {
                    assert!(seen.came_to(0, Err(ENOSPC), Err(ENOSPC)));
                    assert!(seen.bios_are(&[(400, 3 << 10)]));
                    assert!(seen.dirty_are(&[]));
                }
            }
        }
        Ok(())
    }

    /// Without memory buffers write what has its blocks there, and ask for none. Which allocation
    /// is the one that matters depends on what the slab allocator does underneath.
    #[test]
    #[cfg(CONFIG_FAILSLAB)]
    fn w17_no_memory_to_write_the_blocks_that_are_there() -> Result {
        let whole = [ext(2, Run(100)), ext(2, Run(200))];
        let holes = [ext(2, Run(100)), ext(1, Fresh(300)), ext(1, Run(200))];
        for filesystem in [FROZEN, READ_ONLY] {
            let mut through_buffers = false;
            for fail_nth in 1..=4 {
                let requests = [Request {
                    fail_nth,
                    ..sync(filesystem)
                }];
                let case = WriteCase::new(10, &whole).requests(&requests);
                for seen in case.run_each(&Engine::OURS)? {
                    assert!(seen.came_to(0, Ok(()), Ok(())));
                    assert!(seen.dirty_are(&[]));
                    assert!(seen.right_bytes());
                    through_buffers |= seen.folios.iter().any(|(_, folio)| folio.buffers);
                }
                let case = WriteCase::new(10, &holes).requests(&requests);
                for seen in case.run_each(&Engine::OURS)? {
                    assert!(seen.came_to(0, Err(EROFS), Err(EROFS)));
                    let asked = seen.calls.iter().any(|call| call.create);
                    assert!(seen.is("asked for blocks", !asked));
                    // Without memory even for that it stays dirty.
                    let is_dirty = seen.folios.iter().any(|(_, folio)| folio.dirty);
                    for sector in [200, 400] {
                        let is_written = seen.bios.iter().any(|bio| bio.sector == sector);
                        assert!(seen.is("lost", is_dirty || is_written));
                    }
                }
            }
            assert!(through_buffers);
        }
        Ok(())
    }
}
