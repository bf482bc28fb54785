# SPDX-License-Identifier: GPL-2.0
"""Random reads are answered by runs of blocks that earlier ones have found: never
by runs that a truncation has taken from the file since.
"""

import os
import random
import re

import disks
import page_cache
from runner import timeout

ROUNDS = 5
SIZE = 3 << 20


def _contents(seed, length):
    return random.Random(seed).randbytes(length)


def _forget(fd):
    os.fsync(fd)
    page_cache.drop(fd)


def _read_at_random(fd, want, rng):
    """Pages at random places, without readahead."""
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    for _ in range(100):
        at = rng.randrange(0, len(want), 4096)
        got = os.pread(fd, 4096, at)
        assert got == want[at:at + 4096], f"other bytes at {at}"


def _rounds(ctx, image):
    disk = disks.Disk(ctx, image)
    disk.mount()
    rng = random.Random(3)
    name, other = disk.where("file"), disk.where("other")
    fd = os.open(name, os.O_RDWR | os.O_CREAT, 0o644)
    want = b""
    for seed in range(ROUNDS):
        kept = rng.choice((0, 5000, SIZE // 3, SIZE - 4096))
        os.ftruncate(fd, min(kept, len(want)))
        want = want[:kept]
        # somebody else gets what was cut off
        with open(other, "wb") as file:
            file.write(_contents(100 + seed, SIZE // 2))
            os.fsync(file.fileno())
        more = _contents(seed, SIZE - len(want))
        assert os.pwrite(fd, more, len(want)) == len(more)
        want += more
        _forget(fd)
        _read_at_random(fd, want, rng)
        # the same once more, from what is known now
        _forget(fd)
        _read_at_random(fd, want, rng)
        os.unlink(other)
    os.close(fd)
    disk.umount()
    disk.check()


@timeout(300)
def test_after_truncation_1k(ctx):
    """Arrays of 256 pointers: the file has a dozen of them."""
    _rounds(ctx, "blank-1k")


@timeout(300)
def test_after_truncation_4k(ctx):
    """The blocks of a page are one."""
    _rounds(ctx, "blank-4k")


def test_bad_pointer_in_front(ctx):
    """The first pointer of an array is none that a block can have. What the others lead
    to is read and written, again and again, and nobody says anything of the first."""
    disk = disks.Disk(ctx, "blank-1k").mount()
    want = bytearray(os.urandom(200 * 1024))
    fd = os.open(disk.where("file"), os.O_RDWR | os.O_CREAT, 0o644)
    os.pwrite(fd, want, 0)
    os.close(fd)
    disk.umount()
    told = ctx.run("debugfs", "-R", "stat /file", disk.path)
    array = int(re.search(r"\(IND\):(\d+)", told)[1]) * 1024
    with open(disk.device, "r+b", 0) as raw:
        pointer = os.pread(raw.fileno(), 4, array)
        os.pwrite(raw.fileno(), b"\xf0\xff\xff\xff", array)
        os.fsync(raw.fileno())
    disk.mount()
    fd = os.open(disk.where("file"), os.O_RDWR)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    for at in range(100 * 1024, 104 * 1024, 1024):
        assert os.pread(fd, 1024, at) == want[at:at + 1024]
    for at in range(150 * 1024, 160 * 1024, 1024):
        os.pwrite(fd, b"n" * 1024, at)
        want[at:at + 1024] = b"n" * 1024
    os.fsync(fd)
    os.close(fd)
    disk.umount()
    with open(disk.device, "r+b", 0) as raw:
        os.pwrite(raw.fileno(), pointer, array)
        os.fsync(raw.fileno())
    disk.mount()
    with open(disk.where("file"), "rb") as file:
        assert file.read() == want
    disk.finish()
