# SPDX-License-Identifier: GPL-2.0
"""Direct writes that are not done directly: of who may not wait, and where the file has met an
error before.
"""

import ctypes
import errno
import os

import directly
import disks
import lowlevel
import page_cache
import waiting
from runner import timeout
from sysapi import check, libc
from test_write_errors import Faulty

_BLOCK = 4096
_SYNC_FILE_RANGE_WRITE = 2


def _open(disk):
    """A file of eight blocks, nothing of which is in memory, opened for direct I/O."""
    fd = os.open(disk.where("file"), os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o644)
    directly.write(fd, 0, b"o" * 8 * _BLOCK)
    os.fsync(fd)
    page_cache.drop(fd)
    return fd


def _now(fd, at, length):
    """What pwritev2(2) says to who may not wait."""
    with memoryview(directly.area(length, b"n" * length)) as view:
        answer, number = lowlevel.error_of(os.pwritev, fd, [view], at, os.RWF_NOWAIT)
    return errno.errorcode[number] if number else answer


@timeout(60)
def test_who_may_not_wait(ctx):
    """A part of a block, and what is behind the end, is EAGAIN, and the file is as it was."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 has nobody who may not wait")
    disk = disks.Disk(ctx, "blank-4k").mount()
    fd = _open(disk)
    assert _now(fd, _BLOCK, _BLOCK) == _BLOCK
    for at, length in ((0, 512), (2 * _BLOCK + 512, _BLOCK), (8 * _BLOCK, _BLOCK),
                       (7 * _BLOCK, 2 * _BLOCK)):
        os.utime(fd, (1, 1))
        assert _now(fd, at, length) == "EAGAIN", (at, length)
        info = os.fstat(fd)
        assert (info.st_mtime, info.st_size) == (1, 8 * _BLOCK), (at, length, info)
    assert directly.read(fd, 0, 8 * _BLOCK) == \
        b"o" * _BLOCK + b"n" * _BLOCK + b"o" * 6 * _BLOCK
    os.close(fd)
    disk.finish()


def _after_an_error(ctx, fstype):
    """What is said of an append after a block elsewhere could not be written, and by fsync(2)."""
    ctx.allow_log("I/O error|Buffer I/O error|lost async page write|rust_ext2 .*error")
    faulty = Faulty(ctx, "blank-4k", fstype)
    disk = faulty.disk
    disk.mount(device=faulty.device.path)
    fd = _open(disk)
    with open(disk.where("file"), "r+b", 0) as cached:
        first = lowlevel.fibmap(cached.fileno(), 0)
        cached.write(b"c" * _BLOCK)
        faulty.bad(first)
        # which begins to, and waits for nothing
        check(libc.sync_file_range(fd, ctypes.c_int64(0), ctypes.c_int64(_BLOCK),
                                   _SYNC_FILE_RANGE_WRITE))
        waiting.until(lambda: not page_cache.unwritten(fd), "it has been written")
    with memoryview(directly.area(_BLOCK, b"a" * _BLOCK)) as view:
        answer, number = lowlevel.error_of(os.pwrite, fd, view, 8 * _BLOCK)
    told = [answer, number, os.fstat(fd).st_size]
    faulty.good()
    told.append(lowlevel.error_of(os.fsync, fd)[1])
    assert directly.read(fd, 8 * _BLOCK, _BLOCK) == b"a" * _BLOCK
    os.close(fd)
    faulty.end()
    return told


@timeout(120)
def test_an_error_of_before(ctx):
    """A block of the file could not be written, and nobody has asked yet: who appends has
    appended, and fsync(2) tells of the other."""
    want = [_BLOCK, 0, 9 * _BLOCK, errno.EIO]
    for fstype in (disks.C_FSTYPE, ctx.fstype):
        told = _after_an_error(ctx, fstype)
        assert told == want, f"{fstype}: {told}, not {want}"
