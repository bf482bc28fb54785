# SPDX-License-Identifier: GPL-2.0
"""Who has a directory written, while others go on moving names out of it, has it written in a few
rounds (B12): those that move names wait then.
"""

import os

import disks
import waiting
from runner import timeout
from test_growing import _slowly_flushed
from test_moved_files import _make, _sync

NAMES = 400
PAUSE = 0.02  # seconds: many of them are in a round, which takes DELAY
MOST = 250  # names that may move meanwhile: with no end to the rounds it is all of them


def _ends(ctx, sync):
    """`sync`, given the directory that names move out of, ends while they do."""
    disk = disks.Disk(ctx, "tiny-1k").mount()
    for folder in "ab":
        os.mkdir(disk.where(folder))
    _make(disk.where("file"), 1001)
    for number in range(NAMES):
        os.link(disk.where("file"), disk.where(f"a/n{number}"))
    disk.umount()
    with _slowly_flushed(ctx, disk):
        begun = disks.done(disk.device).flushes
        os.rename(disk.where("a/n0"), disk.where("b/n0"))
        syncing = waiting.Task(sync, disk.where("a"))
        moved = 1
        while moved < NAMES and syncing.is_alive():
            os.rename(disk.where(f"a/n{moved}"), disk.where(f"b/n{moved}"))
            moved += 1
            syncing.join(PAUSE)
        has_ended = not syncing.is_alive()
        syncing.result()
        flushes = disks.done(disk.device).flushes - begun
        ctx.log(f"{moved} names moved, {flushes} flushes")
        assert moved > 2 and flushes > 2, f"nothing was slow: {moved} moved, {flushes} flushes"
        assert has_ended and moved <= MOST, f"{moved} names of {NAMES} moved, {flushes} flushes"
    disk.check()


@timeout(200)
def test_fsync_ends(ctx):
    """fsync(2) of the directory."""
    _ends(ctx, _sync)


@timeout(200)
def test_sync_ends(ctx):
    """syncfs(2)."""
    _ends(ctx, disks.sync)
