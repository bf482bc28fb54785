# SPDX-License-Identifier: GPL-2.0
"""Names that move where something cannot be written: what has nothing to do with that goes on, and
what is not on the disk is not taken for it.
"""

import errno
import os

import disks
import ext2disk
import writers
from lowlevel import error_of
from runner import timeout
from test_metadata_lost import prepared


def _touch(path):
    os.close(os.open(path, os.O_CREAT, 0o644))


@timeout(60)
def test_of_another(ctx):
    """What waits since others began to be written, one of which cannot be, does not fail with
    that."""
    with prepared(ctx, options="errors=continue") as (faulty, disk):
        for folder in "abcde":
            os.mkdir(disk.where(folder))
        for name in ("a/1", "c/2", "c/3"):
            _touch(disk.where(name))
        disks.sync(disk.point)
        fds = {folder: os.open(disk.where(folder), os.O_RDONLY) for folder in "abcde"}
        for fd in fds.values():
            os.fsync(fd)
        faulty.bad(ext2disk.inode_pointers(disk.path, os.fstat(fds["b"]).st_ino)[0])
        os.rename(disk.where("a/1"), disk.where("b/1"))
        os.rename(disk.where("c/2"), disk.where("d/2"))
        with faulty.device.suspended():
            sync = writers.Child(os.fsync, fds["c"])
            assert not sync.ends_within(1), "nothing is waited for"
            move = writers.Child(os.rename, disk.where("c/3"), disk.where("e/3"))
            assert move.ends_within(10), "rename(2) waits for the device"
            move.result()
        sync.result()
        assert error_of(os.fsync, fds["a"])[1] == errno.EIO
        faulty.good()
        for fd in fds.values():
            error_of(os.fsync, fd)
            os.close(fd)
        faulty.end()
        disks.fsck(ctx, disk.path, "-fy")
        disk.mount()
        assert [os.listdir(disk.where(folder)) for folder in "abcde"] == [
            [], ["1"], [], ["2"], ["3"]]
        disk.umount()
