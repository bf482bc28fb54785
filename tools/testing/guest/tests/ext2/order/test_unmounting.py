# SPDX-License-Identifier: GPL-2.0
"""What is written last when unmounting (B14, B18)."""

import os

import disks
import ext2disk
import writers
from runner import timeout
from test_metadata_lost import prepared, table_block

FAILURES = 8  # more than a block is tried when unmounting


def _resolves(ctx, failures):
    """A name is removed, and the block of its directory's inode fails so many times from
    then on. What the log says then of the block of the inode that had the name, which is
    bad for ever, and of the name."""
    with prepared(ctx) as (faulty, disk):
        os.mkdir(disk.where("d"))
        for number in range(16):
            writers.make(disk.where(f"between{number}"), 1, 100)
        fd = os.open(disk.where("file"), os.O_CREAT | os.O_RDWR, 0o644)
        os.link(disk.where("file"), disk.where("d/name"))
        disks.sync(disk.point)
        groups = ext2disk.Groups(disk.path)
        directory, table = (table_block(disk.path, groups, number) for number in
                            (os.stat(disk.where("d")).st_ino, os.fstat(fd).st_ino))
        assert directory != table
        os.unlink(disk.where("d/name"))
        os.fsync(fd)
        os.close(fd)
        before = len(ctx.kernel_log())
        with faulty.fails(directory, failures, bad=table):
            disk.umount()
        faulty.device.remove()
        log = ctx.kernel_log()[before:]
        said = (f"metadata block {table} could not be written", "may have a name of inode")
        return [text for text in said if any(text in line for line in log)]


@timeout(300)
def test_name_that_is_gone(ctx):
    """At some number of failures a name is off the disk only when unmounting. The block
    that says so then cannot be written: that is said, as is a name that is not."""
    said = [_resolves(ctx, failures) for failures in range(FAILURES)]
    ctx.log(f"after 0, 1, ... failures: {said}")
    assert all(said), f"after {[n for n, texts in enumerate(said) if not texts]} failures"
