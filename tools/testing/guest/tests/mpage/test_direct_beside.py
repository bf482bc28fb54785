# SPDX-License-Identifier: GPL-2.0
"""Direct reads of a file that is written to and stored to meanwhile (E16): no part of it is
older than what was there when the read began, or was never in it.
"""

import mmap
import os
import random
import time

import directly
import disks
import writers
from runner import parallel, timed, timeout

PAGE = mmap.PAGESIZE
UNITS = 48  # parts of the file, of a block each
# of one file: what each of two readers reads at least, and how often all parts are changed
READS, CHANGES = 15, 5
PAUSE = 0.001  # seconds, of who writes: who reads has all of it written, time and again


class Versions:
    """A file whose parts are all of one byte, which says the version of the part. Of each
    part, which version has been begun and which is there, for all processes to see."""

    def __init__(self, unit, salt):
        self.unit = unit
        self._salt = salt  # which file, of those that have had the same blocks
        self._begun = memoryview(mmap.mmap(-1, 8 * UNITS)).cast("Q")
        self._there = memoryview(mmap.mmap(-1, 8 * UNITS)).cast("Q")
        self._enough = mmap.mmap(-1, 1)

    def enough(self):
        """Those who write are to come to an end."""
        self._enough[0] = 1

    def go_on(self):
        """Whether they are to go on."""
        return not self._enough[0]

    def byte(self, part, version):
        """0, as a hole, is no version of what is written, nor is what the disk is full of."""
        return 1 + (version * 7 + part * 37 + self._salt * 91) % 254 if version else 0

    def change(self, part, put):
        """A new version of a part: put(offset, data)."""
        version = self._begun[part] + 1
        self._begun[part] = version
        put(part * self.unit, bytes([self.byte(part, version)]) * self.unit)
        self._there[part] = version

    def there(self):
        """Which versions are there now."""
        return list(self._there)

    def check(self, first, data, before):
        """What was read from a part on, after versions `before` were there, is of these, or
        of later ones that have been begun since."""
        begun = list(self._begun)
        for at in range(0, len(data), self.unit):
            part = first + at // self.unit
            allowed = {self.byte(part, version)
                       for version in range(before[part], begun[part] + 1)}
            found = set(data[at:at + self.unit])
            assert found <= allowed, \
                f"part {part} has {found}, of {before[part]} to {begun[part]}: {allowed}"

    def count(self):
        return sum(self._there)


def _write(versions, path, seed):
    """A process: write(2) to the even parts."""
    rng, fd = random.Random(seed), os.open(path, os.O_WRONLY)
    while versions.go_on():
        for _ in range(rng.randrange(1, 8)):
            versions.change(rng.randrange(0, UNITS, 2),
                            lambda offset, data: os.pwrite(fd, data, offset))
        time.sleep(PAUSE)


def _store(versions, path, seed):
    """A process: stores to the odd parts, by new mappings now and then."""
    rng, fd = random.Random(seed), os.open(path, os.O_RDWR)
    while versions.go_on():
        with mmap.mmap(fd, UNITS * versions.unit) as area:

            def put(offset, data, area=area):
                area[offset:offset + len(data)] = data

            for _ in range(rng.randrange(1, 40)):
                versions.change(rng.randrange(1, UNITS, 2), put)
                time.sleep(PAUSE)


def _read(versions, path, seed):
    """A process: reads directly."""
    rng, fd, count = random.Random(seed), os.open(path, os.O_RDONLY | os.O_DIRECT), 0
    while count < READS or versions.count() < CHANGES * UNITS:
        count += 1
        first = rng.randrange(UNITS)
        length = rng.randrange(1, UNITS - first + 1)
        before = versions.there()
        data = directly.read(fd, first * versions.unit, length * versions.unit)
        assert len(data) == length * versions.unit, f"{len(data)} bytes of {length} parts"
        versions.check(first, data, before)


def _beside(ctx, image, unit, seconds):
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2: a read sees the block as it was on the disk")
    seed = ctx.seed(15)
    disk = disks.Disk(ctx, image)
    writers.stain(disk)
    disk.mount()
    end, rounds, path = time.monotonic() + seconds, 0, disk.where("file")
    while time.monotonic() < end or not rounds:
        # a new file each time, all of it a hole, in blocks of the one before
        rounds += 1
        versions = Versions(unit, rounds)
        if os.path.exists(path):
            os.unlink(path)
        with open(path, "wb") as file:
            file.truncate(UNITS * unit)
        children = [writers.Child(call, versions, path, seed + number)
                    for number, call in enumerate((_write, _store, _read, _read))]
        try:
            writers.results(children[2:])
        finally:
            versions.enough()
            writers.results(children[:2])
        before = versions.there()
        with open(path, "rb") as file:
            versions.check(0, file.read(), before)
        seed += len(children)
    ctx.log(f"{rounds} files")
    disk.finish()


@parallel
@timed(6)
@timeout(120)
def test_one_file_1k(ctx):
    """Direct reads of a file beside write(2) and stores to it, four parts to a page: each
    part is of a version that was there when the read began, or of a later one."""
    _beside(ctx, "blank-1k", 1024, ctx.seconds)


@parallel
@timed(6)
@timeout(120)
def test_one_file_4k(ctx):
    """The same with 4 KiB blocks, in large folios."""
    _beside(ctx, "blank-4k", PAGE, ctx.seconds)
