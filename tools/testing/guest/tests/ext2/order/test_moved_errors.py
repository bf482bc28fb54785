# SPDX-License-Identifier: GPL-2.0
"""Names that move where something cannot be written: what has nothing to do with that goes on, and
what is not on the disk is not taken for it.
"""

import errno
import fcntl
import os
import struct

import disks
import ext2disk
import writers
from lowlevel import error_of
from runner import timeout
from test_metadata_lost import prepared, table_block
from test_order import BAD

SETFLAGS = 0x40086602
DIRSYNC = 0x10000


def _last(disk):
    """The last block of the disk, which nobody has."""
    return os.path.getsize(disk.path) // 1024 - 1


def _check(ctx, disk):
    status, text = disks.fsck(ctx, disk.path, "-fy")
    assert status in (0, 1) and not BAD.search(text), text


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


def _reused(ctx, times):
    """A page waits for one of a directory that is gone, whose inode could not be written so many
    times, and a directory is made with its number, if that is free. Whether it is."""
    with prepared(ctx, options="errors=continue") as (faulty, disk):
        os.mkdir(disk.where("a"))
        for number in range(16):  # the next inode is in another block
            _touch(disk.where(f"a/{number}"))
        os.mkdir(disk.where("a/n"))
        gone = os.stat(disk.where("a/n")).st_ino
        groups = ext2disk.Groups(disk.path)
        table = table_block(disk.path, groups, gone)
        assert table_block(disk.path, groups, os.stat(disk.where("a")).st_ino) != table
        disks.sync(disk.point)
        for folder in ("a", "a/n"):
            fd = os.open(disk.where(folder), os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        os.rename(disk.where("a/1"), disk.where("a/n/1"))
        os.unlink(disk.where("a/n/1"))
        os.rmdir(disk.where("a/n"))
        with faulty.fails(table, times, _last(disk)):
            error_of(disks.sync, disk.point)
        faulty.good()
        fd = os.open(disk.where("a"), os.O_RDONLY)
        fcntl.ioctl(fd, SETFLAGS, struct.pack("<I", DIRSYNC))
        os.close(fd)
        child = writers.Child(os.mkdir, disk.where("a/m"))
        assert child.ends_within(20), "mkdir(2) waits for itself"
        child.result()
        is_reused = os.stat(disk.where("a/m")).st_ino == gone
        error_of(disks.sync, disk.point)
        disks.sync(disk.point)
        faulty.end()
        _check(ctx, disk)
        return is_reused


@timeout(300)
def test_number_that_is_awaited(ctx):
    """It is no new directory's: who makes one and has to write another would wait for itself."""
    ways = [_reused(ctx, times) for times in range(12)]
    ctx.log(f"reused: {ways}")
    assert any(ways)
