# SPDX-License-Identifier: GPL-2.0
"""One file read, written, mapped and cut in every way, directly among it, in an order from a
seed: what fsx does, which knows no O_DIRECT. What has to be in the file is kept beside it, and
looked at after each step, in another way each time. C ext2 has to do the same.
"""

import itertools
import mmap
import os
import random
import time

import directly
import disks
from runner import by_chance, long, timed, timeout

MOST = 200_000  # bytes of the file: in 1 KiB blocks it reaches the indirect block
UNITS = (512, 1024, 4096)
STEPS = 200


class _Model:
    """A file, open for direct requests and for others, and what has to be in it."""

    KINDS = {"write": 4, "write_directly": 10, "append_directly": 2, "read": 3,
             "read_directly": 6, "store": 5, "keep_mapped": 3, "cut": 3, "punch": 3, "sync": 1,
             "forget": 2}

    def __init__(self, disk, rng):
        self._rng = rng
        path = disk.where("model")
        self._fd, self._direct, self._append = [
            os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o644)
            for flags in (0, os.O_DIRECT, os.O_DIRECT | os.O_APPEND)]
        self._want = bytearray()
        self._cut_to(mmap.PAGESIZE)
        self._area = mmap.mmap(self._fd, mmap.PAGESIZE)
        self.log = []

    def _cut_to(self, size):
        os.ftruncate(self._fd, size)
        self._want[size:] = b""
        self._want += bytes(size - len(self._want))

    def _range(self, unit):
        start = self._rng.randrange(MOST // unit) * unit
        return start, (1 + self._rng.randrange(min(40_000, MOST - start) // unit or 1)) * unit

    def _stored(self, start, data):
        if start > len(self._want):
            self._want += bytes(start - len(self._want))
        self._want[start:start + len(data)] = data
        return start, len(data)

    # each step tells which part of the file is to be looked at

    def op_write(self):
        start, length = self._range(1)
        data = self._rng.randbytes(length)
        assert os.pwrite(self._fd, data, start) == length
        return self._stored(start, data)

    def op_write_directly(self):
        start, length = self._range(self._rng.choice(UNITS))
        data = self._rng.randbytes(length)
        assert directly.write(self._direct, start, data) == length
        return self._stored(start, data)

    def op_append_directly(self):
        if len(self._want) > MOST:
            return self.op_cut()
        data = self._rng.randbytes(self._rng.choice(UNITS))
        assert directly.write(self._append, 0, data) == len(data)
        return self._stored(len(self._want), data)

    def op_read(self):
        return self._range(1)

    def op_read_directly(self):
        start, length = self._range(512)
        assert directly.read(self._direct, start, length) == self._want[start:start + length]
        return start, length

    def op_store(self):
        """Through a mapping that goes again."""
        if not self._want:
            return self.op_cut()
        start = self._rng.randrange(len(self._want))
        data = self._rng.randbytes(1 + self._rng.randrange(5000))
        data = data[:len(self._want) - start]
        with mmap.mmap(self._fd, len(self._want)) as area:
            area[start:start + len(data)] = data
        return self._stored(start, data)

    def op_keep_mapped(self):
        """Through one of the first page that stays, whatever is done meanwhile."""
        if len(self._want) < mmap.PAGESIZE:
            self._cut_to(mmap.PAGESIZE + self._rng.randrange(5000))
        start = self._rng.randrange(mmap.PAGESIZE - 100)
        data = self._rng.randbytes(1 + self._rng.randrange(100))
        self._area[start:start + len(data)] = data
        return self._stored(start, data)

    def op_cut(self):
        before = len(self._want)
        self._cut_to(self._rng.randrange(MOST))
        return min(before, len(self._want)), 10_000

    def op_punch(self):
        """Zeros from somewhere to the end, which stays where it is."""
        size = len(self._want)
        at = self._rng.randrange(size + 1)
        self._cut_to(at)
        self._cut_to(size)
        return at, size - at

    def op_sync(self):
        os.fsync(self._fd)
        return 0, 0

    def op_forget(self):
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
        return self._range(1)

    def _look(self, start, length):
        """At a part of the file, by read(2), directly, or through a mapping."""
        way = self._rng.choice(("read", "direct", "mapped"))
        first = start & -512
        last = min((start + length + 511) & -512, len(self._want))
        want = self._want[first:last]
        if first >= last:
            return
        if way == "read":
            found = os.pread(self._fd, last - first, first)
        elif way == "direct":
            found = directly.read(self._direct, first, (last - first + 511) & -512)
        else:
            with mmap.mmap(self._fd, len(self._want), prot=mmap.PROT_READ) as area:
                found = area[first:last]
        assert len(found) == len(want), f"{way}: {len(found)} bytes of {len(want)} from {first} on"
        wrong = [first + at for at, (is_so, be) in enumerate(zip(found, want)) if is_so != be]
        assert not wrong, f"{way}: {len(wrong)} bytes of {first} to {last}, from {wrong[0]} on"

    def step(self):
        kind, = self._rng.choices(list(self.KINDS), self.KINDS.values())
        self.log.append(kind)
        start, length = getattr(self, "op_" + kind)()
        self.log[-1] += f" {start}+{length}"
        assert os.fstat(self._fd).st_size == len(self._want)
        self._look(start, length)

    def end(self):
        """What has to be in the file. It is closed."""
        self._look(0, len(self._want))
        self._area.close()
        for fd in (self._fd, self._direct, self._append):
            os.close(fd)
        return bytes(self._want)


def _random(ctx, image, seed, steps=STEPS):
    """The same steps on C ext2 and on the filesystem under test."""
    for fstype in dict.fromkeys((disks.C_FSTYPE, ctx.fstype)):
        disk = disks.Disk(ctx, image, fstype).mount()
        model = _Model(disk, random.Random(seed))
        try:
            for _ in range(steps):
                model.step()
            want = model.end()
            disk.umount()
            disk.mount()
            with open(disk.where("model"), "rb") as file:
                assert file.read() == want, "mounted again it is another"
        except AssertionError as error:
            raise AssertionError(
                f"SEED={seed}, {disk}, {image}: {error}, after {model.log[-12:]}") from error
        disk.finish()


@timeout(200)
def test_one_file_1k(ctx):
    """1 KiB blocks."""
    seed = ctx.seed(15)
    ctx.log(f"SEED={seed}")
    _random(ctx, "blank-1k", seed)


@timeout(200)
def test_one_file_4k(ctx):
    """4 KiB blocks."""
    seed = ctx.seed(15)
    ctx.log(f"SEED={seed}")
    _random(ctx, "blank-4k", seed)


@long
@timed(600)
@timeout(3600)
def test_long(ctx):
    """For as long as is asked for, both block sizes in turns, each time with the next seed."""
    seed = ctx.seed(by_chance())
    end = time.monotonic() + ctx.seconds
    for image in itertools.cycle(("blank-1k", "blank-4k")):
        ctx.log(f"SEED={seed}, {image}")
        _random(ctx, image, seed)
        seed += 1
        if time.monotonic() >= end:
            return
