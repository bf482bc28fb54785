# SPDX-License-Identifier: GPL-2.0
"""Where files get their blocks, and how they lose them: C ext2 and the filesystem
under test do the same on copies of one image, and after each step the file has the
same blocks at the same places, on the device, too: those that were written after a
write, all after a truncation and in the end.

One process does it all, so that the places that C chooses by the process agree.
In the end both disks are checked by e2fsck and read again from the device.
"""

import os
import random

import compare
import disks
import lowlevel
from runner import long, timeout

DIRECT = 12


class Pair:
    """The same files on two disks."""

    def __init__(self, ctx, image, options=""):
        self._ctx = ctx
        self.disks = [disks.Disk(ctx, image, disks.C_FSTYPE), disks.Disk(ctx, image)]
        for disk in self.disks:
            disk.mount(disks.at_once(disk.fstype, options))
        self.block = os.statvfs(self.disks[0].point).f_bsize
        self.pointers = self.block // 4
        self.written = {}

    def do(self, what, name, step, blocks=None):
        """step(descriptor) on both; then compare the file, or some blocks of it."""
        self.written.setdefault(name, set())
        for disk in self.disks:
            fd = os.open(disk.where(name), os.O_RDWR | os.O_CREAT, 0o644)
            try:
                step(fd)
            finally:
                os.close(fd)
        self.same(what, name, blocks)

    def write(self, name, offset, data):
        blocks = range(offset // self.block, -(-(offset + len(data)) // self.block))
        self.written.setdefault(name, set()).update(blocks)
        self.do(f"write {len(data)} at {offset}", name,
                lambda fd: os.pwrite(fd, data, offset), blocks)

    def truncate(self, name, size):
        self.do(f"truncate to {size}", name, lambda fd: os.ftruncate(fd, size))

    def same(self, what, name, blocks=None):
        """The places of blocks, the size and the space, and the free counts."""
        blocks = sorted(self.written[name]) if blocks is None else blocks
        found = [_state(disk, name, blocks) for disk in self.disks]
        assert found[0] == found[1], \
            f"{name}, after {what}:\n  {found[0]}\n  and {found[1]}"

    def edges(self):
        """The blocks around which the tree of pointers changes."""
        p = self.pointers
        double, triple = DIRECT + p, DIRECT + p + p * p
        return [0, 1, DIRECT - 1, DIRECT, DIRECT + 1, double - 1, double, double + 1,
                double + p - 1, double + p, double + 3 * p + 5, triple - 1, triple,
                triple + 1, triple + p, triple + p * p - 1, triple + p * p,
                triple + 2 * p * p + 3 * p + 4]

    def finish(self):
        """Read everything from the device, and check both disks."""
        for disk in self.disks:
            disk.umount()
        for disk in self.disks:
            disk.check()
            disk.mount()
        for name in sorted(self.written):
            self.same("mounting again", name)
            what = compare.same_bytes(*[disk.where(name) for disk in self.disks])
            assert what is None, f"{name}: {what}"
        for disk in self.disks:
            for name in self.written:
                os.unlink(disk.where(name))
        free = [_free(disk) for disk in self.disks]
        assert free[0] == free[1], f"with all files gone {free[0]} and {free[1]}"
        for disk in self.disks:
            disk.finish()


def _free(disk):
    info = os.statvfs(disk.point)
    return info.f_bfree, info.f_bavail, info.f_ffree


def _state(disk, name, blocks):
    """Each block is asked for by itself: for C, holes have no length, and of a large
    file it takes long to have all of them told."""
    fd = os.open(disk.where(name), os.O_RDONLY)
    try:
        info = os.fstat(fd)
        places = [(block, lowlevel.fibmap(fd, block)) for block in blocks]
        return info.st_size, info.st_blocks, _free(disk), places
    finally:
        os.close(fd)


def _bytes(seed, length):
    return random.Random(seed).randbytes(length)


def _layout(ctx, image, options=""):
    pair = Pair(ctx, image, options)
    block, p = pair.block, pair.pointers
    # in sequence, with writes of many sizes
    for number, size in enumerate((block, 1000, 4096, 5 * block + 3, 65536)):
        for part in range(20 * block // size if size < 4096 else 8):
            pair.write(f"sequence{number}", part * size, _bytes(part, size))
    # two files that grow in turn
    for part in range(40):
        for name in ("left", "right"):
            pair.write(name, part * 2 * block, _bytes(part, 2 * block))
    # backwards, and what was left out
    for part in reversed(range(30)):
        pair.write("backwards", part * block * 2, _bytes(part, block))
    for part in range(30):
        pair.write("backwards", (part * 2 + 1) * block, _bytes(part, block))
    # anywhere
    choice = random.Random(7)
    for part in range(90):
        at = choice.randrange(DIRECT + 2 * p + 40)
        pair.write("anywhere", at * block, _bytes(part, choice.randint(1, 3 * block)))
    # over what was freed
    for part in range(6):
        pair.truncate("left", (60 - part * 10) * block)
        pair.write(f"after{part}", 0, _bytes(part, 9 * block))
    pair.finish()


def _truncate(ctx, image):
    pair = Pair(ctx, image)
    block = pair.block
    edges = pair.edges()
    # one block at each edge, cut from the end; then the same with what is beside it
    for around in (0, 1):
        name = f"edges{around}"
        for edge in edges:
            for at in range(max(0, edge - around), edge + around + 1):
                pair.write(name, at * block, _bytes(at, block))
        for edge in reversed(edges):
            for size in (edge * block + block, edge * block + block - 1,
                         edge * block + 1, edge * block):
                pair.truncate(name, size)
        pair.truncate(name, 0)
        for edge in edges[:9]:
            pair.write(name, edge * block, _bytes(edge, 2 * block))
    # from each edge at once to none of it, and to the middle
    for edge in edges:
        name = f"at-once{edge}"
        pair.write(name, edge * block, _bytes(edge, 2 * block))
        pair.truncate(name, edge * block // 2 + 7)
        pair.write(name, 3, b"three")
        pair.truncate(name, 77 * block + 1)
    # what is cut off does not come back, neither in memory nor on the disk
    for name, between in (("warm", lambda path: None), ("cold", _forget)):
        pair.write(name, 0, b"\xff" * (5 * block))
        for size in (4 * block + 77, 3 * block, 2 * block + 1, 5):
            for disk in pair.disks:
                between(disk.where(name))
            pair.truncate(name, size)
            pair.truncate(name, 5 * block)
        for disk in pair.disks:
            between(disk.where(name))
            with open(disk.where(name), "rb") as file:
                assert file.read() == b"\xff" * 5 + bytes(5 * block - 5), str(disk)
    pair.finish()


def _forget(path):
    """Write a file to the disk, and drop its pages."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _dense(ctx, image):
    """A file without holes over two levels of indirect blocks, cut everywhere."""
    pair = Pair(ctx, image)
    block, p = pair.block, pair.pointers
    blocks = DIRECT + p + 2 * p + 9
    data = _bytes(1, blocks * block)
    pair.write("dense", 0, data)
    for at in (blocks - 1, DIRECT + 3 * p, DIRECT + 3 * p - 1, DIRECT + 2 * p + 1,
               DIRECT + 2 * p, DIRECT + p + 1, DIRECT + p, DIRECT + p - 1,
               DIRECT + 5, DIRECT + 1, DIRECT, DIRECT - 1, 3, 0):
        pair.truncate("dense", at * block)
        pair.write("dense", at * block, data[at * block:(at + 2) * block])
    pair.finish()


@timeout(400)
def test_layout_1k(ctx):
    """The same blocks for the same writes, 1 KiB blocks."""
    _layout(ctx, "blank-1k")


@timeout(400)
def test_layout_4k(ctx):
    """The same, 4 KiB blocks."""
    _layout(ctx, "blank-4k")


@timeout(400)
def test_layout_noreservation(ctx):
    """The same without windows reserved for files."""
    _layout(ctx, "blank-2k", "noreservation")


@timeout(400)
def test_truncate_1k(ctx):
    """Cut at every edge of the tree of pointers, 1 KiB blocks."""
    _truncate(ctx, "blank-1k")


@long
@timeout(400)
def test_truncate_2k(ctx):
    """The same, 2 KiB blocks."""
    _truncate(ctx, "blank-2k")


@timeout(400)
def test_truncate_4k(ctx):
    """The same, 4 KiB blocks."""
    _truncate(ctx, "blank-4k")


@timeout(400)
def test_dense_1k(ctx):
    """A file without holes, 1 KiB blocks."""
    _dense(ctx, "blank-1k")


@timeout(400)
def test_dense_4k(ctx):
    """The same, 4 KiB blocks, 12 MiB of it."""
    _dense(ctx, "blank-4k")
