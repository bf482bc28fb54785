# SPDX-License-Identifier: GPL-2.0
"""Requests of io_uring(7): nobody waits for them, not even a thread of the kernel."""

import errno
import fcntl
import mmap
import os
import time

import directly
import disks
import page_cache
import uring
import waiting
from runner import timeout

PAGE = mmap.PAGESIZE
_LOOP_SET_DIRECT_IO = 0x4C08


def _held_up_queue(ctx, disk):
    """A device that takes requests and does none of them while another is suspended, on
    which it is. That other one would itself refuse what may not wait."""
    below = waiting.in_front_of(ctx, disk)
    device = ctx.loop(below.path, read_only=False)
    fd = os.open(device, os.O_RDWR)
    fcntl.ioctl(fd, _LOOP_SET_DIRECT_IO, 1)
    os.close(fd)
    return device, below


def _by_ring(ctx, fstype):
    """Requests while the device does nothing: which threads of the kernel wait then."""
    disk = disks.Disk(ctx, "blank-4k", fstype)
    device, below = _held_up_queue(ctx, disk)
    disk.mount(device=device)
    fd = os.open(disk.where("file"), os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o644)
    directly.write(fd, 0, b"o" * 64 * PAGE)
    os.fsync(fd)
    page_cache.drop(fd)  # in which what is written may stay
    assert directly.read(fd, 0, 64 * PAGE) == b"o" * 64 * PAGE
    assert not uring.workers()
    area, other = directly.area(4 * PAGE), directly.area(4 * PAGE, b"n" * 4 * PAGE)
    with uring.Ring() as ring:
        with below.suspended():
            reading = ring.read(fd, area, 0)
            writing = ring.write(fd, other, 20 * PAGE)
            time.sleep(0.3)
            assert ring.ended(0) == {}, "done by a device that does nothing"
            threads = uring.workers()
        assert ring.ended(2) == {reading: 4 * PAGE, writing: 4 * PAGE}
        assert bytes(area) == b"o" * 4 * PAGE
        failing = ring.read(fd, directly.area(PAGE), 100)
        assert ring.ended(1) == {failing: -errno.EINVAL}
    assert directly.read(fd, 19 * PAGE, 6 * PAGE) == b"o" * PAGE + b"n" * 4 * PAGE + b"o" * PAGE
    os.close(fd)
    disk.finish()
    return threads


def _cached_by_ring(ctx, fstype):
    """The same of a read of what is not in the page cache yet: from the file's beginning,
    and where there is an indirect block before it, which is in memory."""
    disk = disks.Disk(ctx, "blank-4k", fstype)
    device, below = _held_up_queue(ctx, disk)
    disk.mount(device=device)
    data, found = os.urandom(64 * PAGE), []
    fd = os.open(disk.where("file"), os.O_RDWR | os.O_CREAT, 0o644)
    os.pwrite(fd, data, 0)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    os.pread(fd, PAGE, 63 * PAGE)
    page_cache.drop(fd)
    assert not uring.workers()
    areas = {at: directly.area(4 * PAGE) for at in (2 * PAGE, 40 * PAGE)}
    with uring.Ring() as ring:
        with below.suspended():
            for at, area in areas.items():
                found.append(ring.read(fd, area, at))
            time.sleep(0.3)
            assert ring.ended(0) == {}, "done by a device that does nothing"
            threads = uring.workers()
        assert ring.ended(2) == {number: 4 * PAGE for number in found}
        for at, area in areas.items():
            assert bytes(area) == data[at:at + 4 * PAGE], f"{disk}: read at {at}"
    os.close(fd)
    disk.finish()
    return threads


def _nobody_waits(ctx, run):
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2: a thread waits")
    assert run(ctx, disks.C_FSTYPE), "nobody waits in C, so this test sees nothing"
    threads = run(ctx, ctx.fstype)
    assert not threads, f"somebody waits: {threads}"


@timeout(120)
def test_rings(ctx):
    """Direct requests are under way when io_uring_enter(2) returns, and no thread waits for
    them; in C one does for each."""
    _nobody_waits(ctx, _by_ring)


@timeout(120)
def test_cached_reads(ctx):
    """Nor does one for a read through the page cache (FOP_BUFFER_RASYNC): who has the page
    locked wakes the request."""
    _nobody_waits(ctx, _cached_by_ring)
