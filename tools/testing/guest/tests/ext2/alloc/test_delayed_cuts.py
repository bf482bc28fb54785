# SPDX-License-Identifier: GPL-2.0
"""What a power cut leaves of files whose blocks get their places when they are written, on
disks that are full of other things: at each point of a log of writes.

That of what is renamed over another is in test_delayed.py and test_delayed_safe.py.
"""

import ctypes
import fcntl
import os
import struct

import cuts
import disks
import disturb
import ext2disk
import waiting
import writelog
import writers
from runner import pages_of_4k, timeout
from sysapi import check, libc
from test_delayed_safe import has_image, sync_neighbour

_OLD, _NEW = 51, 52
_GETFLAGS, _SETFLAGS, _SYNC = 0x80086601, 0x40086602, 8


def _which(path, size):
    """Which of the two contents a file has: a seed, or 0 if it is empty."""
    length = os.path.getsize(path)
    with open(path, "rb") as file:
        data = file.read()
    for seed in (_OLD, _NEW):
        if data == writers.content(seed, 0, size):
            return seed
    assert length == 0, f"{length} bytes, {data[:40]!r} ... {data[-40:]!r}"
    return 0


@timeout(240)
def test_cut_behind_truncation(ctx):
    """A file is cut to nothing, written anew and closed, and then a neighbour in the inode
    table is synced. After a power cut anywhere it has all of the old bytes or all of the new
    ones, or is empty, as ext4 leaves it; and from when the neighbour is on the medium the new
    ones."""
    disks.delays(ctx)
    for image, size in (("tiny-1k", 10_000), ("tiny-4k", 30_000)):
        disk = disks.Disk(ctx, image)
        writers.stain(disk)
        logged = writelog.Logged(ctx, disk)
        disk.mount("delalloc", device=logged.device.path)
        path = disk.where("document")
        # 1 KiB of the table has four inodes, of which the first comes to be in the one in front
        for name, seed, length in (("first", 1, 1), ("document", _OLD, size), ("neighbour", 1, 1)):
            writers.make(disk.where(name), seed, length)
        disks.sync(disk.point)
        block = os.statvfs(disk.point).f_bsize
        places = {ext2disk.inode_offset(disk.path, os.stat(disk.where(name)).st_ino) // block
                  for name in ("document", "neighbour")}
        assert len(places) == 1, f"they are no neighbours: {places}"
        logged.mark("old")
        with disturb.tuned(dirty_writeback_centisecs=0):
            with open(path, "wb", 0) as file:
                file.write(writers.content(_NEW, 0, size))
            waiting.until(lambda: has_image(disk, size // 1024 * 1024 - 1024, 1024, _NEW),
                          "it is not written")
            sync_neighbour(disk.where("neighbour"), 0)
            logged.mark("closed")
        disk.umount()
        replay = logged.end()
        seen = set()
        for count, marks, point in cuts.repaired_since(ctx, disk, replay, "old"):
            which = _which(os.path.join(point, "document"), size)
            assert "closed" not in marks or which == _NEW, (image, count, which)
            seen.add(which)
        assert seen >= {_OLD, _NEW}, (image, seen)


def _array(page):
    """Which array has the pointer to a page of a file, with blocks of 4 KiB."""
    return 0 if page < 12 else 1 + (page - 12) // 1024


def _kinds(path, want):
    """What the pages of a file are, in sets for those whose pointers are in one array: "right",
    "zeros", or "stale"."""
    found = {}
    with open(path, "rb", 0) as file:
        for at in range(0, len(want), 4096):
            page = os.pread(file.fileno(), 4096, at)
            kind = "right" if page == want[at:at + 4096] else "stale" if any(page) else "zeros"
            found.setdefault(_array(at // 4096), set()).add(kind)
    return found


def set_synchronous(fd):
    """chattr +S"""
    flags = struct.unpack("i", fcntl.ioctl(fd, _GETFLAGS, bytes(4)))[0]
    fcntl.ioctl(fd, _SETFLAGS, struct.pack("i", flags | _SYNC))


def _flush(device):
    """What has been written to a device is on the medium, and so in the log."""
    fd = os.open(device, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


@pages_of_4k
@timeout(240)
def test_size_ahead_of_blocks(ctx):
    """The inode of a large file is stored before its blocks have places, and again when those
    behind one array of pointers have got theirs, and one of them is written, on a disk that is
    full of other things. After a power cut there are zeros where nothing has a place; and what
    was there is seen only of blocks that have got theirs together with one that is written."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-4k")
    writers.stain(disk)
    logged = writelog.Logged(ctx, disk)
    disk.mount("delalloc", device=logged.device.path)
    size = 14 << 20
    want = writers.content(_NEW, 0, size)
    fd = os.open(disk.where("f"), os.O_CREAT | os.O_RDWR, 0o644)
    os.fsync(fd)
    disks.sync(disk.point)
    with disturb.tuned(dirty_writeback_centisecs=0):
        assert os.pwrite(fd, want, 0) == size
        # who sets the size of such a file has the inode written, and nothing else
        set_synchronous(fd)
        os.ftruncate(fd, size + 1)
        _flush(logged.device.path)
        logged.mark("sized")
        check(libc.sync_file_range(fd, ctypes.c_int64(2000 * 4096), ctypes.c_int64(4096), 7))
        os.ftruncate(fd, size + 2)
        _flush(logged.device.path)
        logged.mark("part")
        os.fsync(fd)
        logged.mark("whole")
    os.close(fd)
    disk.umount()
    replay = logged.end()
    cut, begun = os.path.join(ctx.tmp, "cut"), _array(2000)
    for number, entry in enumerate(replay.entries):
        if not entry.mark:
            continue
        with open(cut, "wb") as file:
            file.write(replay.at(number + 1)[0])
        point = ctx.mount(cut, disk.fstype)
        found = _kinds(os.path.join(point, "f"), want)
        assert os.path.getsize(os.path.join(point, "f")) > size, entry.mark
        ctx.umount(point)
        ctx.log(f"{entry.mark}: {found}")
        if entry.mark == "part":
            assert "right" in found.pop(begun), "what is written is not there"
        wanted = "right" if entry.mark == "whole" else "zeros"
        assert all(kinds == {wanted} for kinds in found.values()), (entry.mark, found)
    disk.check()
