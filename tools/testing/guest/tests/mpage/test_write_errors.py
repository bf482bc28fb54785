# SPDX-License-Identifier: GPL-2.0
"""Devices that fail a write (W9): each block that a workload writes is bad once.

The fsync of a file whose data could not be written says EIO, once for each open
file; the files beside it are intact; what fails is not silent, unless it is a
bitmap, a descriptor or the superblock, which e2fsck counts again; umount works,
also while the device is still bad; and e2fsck can repair the disk.
"""

import contextlib
import errno
import os
import random
import struct

import disks
import dm
import faults
import writers
from lowlevel import error_of, fibmap
from runner import long, timeout

FILES = 5
OLD, NEW = 20_000, 50_000  # bytes


class Faulty:
    """A disk behind device-mapper: bad(block) makes a block fail, or several."""

    count = 0

    def __init__(self, ctx, image, fstype=None):
        for name in ("dm-mod", "dm-flakey"):
            ctx.load(name)
        self.ctx = ctx
        self.disk = disks.Disk(ctx, image, fstype)
        self._sectors = dm.sectors(self.disk.device)
        with open(self.disk.path, "rb") as file:
            raw = file.read(4096)
        self.block_size = 1024 << struct.unpack_from("<I", raw, 1024 + 24)[0]
        Faulty.count += 1
        self.device = dm.Device(f"faulty-{os.getpid()}-{Faulty.count}",
                                self._linear(0, self._sectors))
        ctx.afterwards(self.device.remove)

    def _linear(self, start, end):
        return [(start, end - start, "linear", f"{self.disk.device} {start}")] \
            if end > start else []

    def bad(self, *blocks):
        per = self.block_size // 512
        table, end = [], 0
        # not dm-flakey: it fails each flush of the device, too
        for block in sorted(blocks):
            table += [*self._linear(end, block * per), (block * per, per, "error", "")]
            end = (block + 1) * per
        self.device.change([*table, *self._linear(end, self._sectors)])

    def all_bad(self):
        """Writes and flushes fail, reads do not."""
        # up for 0 seconds, down for as long as it takes
        self.device.change([(0, self._sectors, "flakey",
                             f"{self.disk.device} 0 0 86400 1 error_writes")])

    @contextlib.contextmanager
    def fails(self, block, times, bad, after=0):
        """So many requests of one block fail, after so many writes of it, and another block is
        bad."""
        per = self.block_size // 512
        lone = dm.Device(f"{self.device.name}-lone",
                         [(0, per, "linear", f"{self.disk.device} {block * per}")])
        self.ctx.afterwards(lone.remove)
        table, end = [], 0
        for at, target in sorted(((block, ("linear", f"{lone.path} 0")), (bad, ("error", "")))):
            table += [*self._linear(end, at * per), (at * per, per, *target)]
            end = (at + 1) * per
        self.device.change([*table, *self._linear(end, self._sectors)])
        with faults.requests_fail(self.ctx, lone.path, times=times,
                                  space=after * self.block_size + bool(after)):
            yield

    def good(self):
        self.device.change(self._linear(0, self._sectors))

    def end(self):
        """umount, and the mapped device goes."""
        self.disk.umount()
        self.device.remove()

    def finish(self):
        """The same, and e2fsck finds nothing at all: what could not be written has been since."""
        self.end()
        self.disk.check()

    def counted(self):
        """The blocks that e2fsck can make again from the rest of the disk: bitmaps,
        descriptors, superblocks."""
        size = self.block_size
        with open(self.disk.path, "rb") as file:
            raw = file.read()
        blocks, first, per = (struct.unpack_from("<I", raw, 1024 + at)[0]
                              for at in (4, 20, 32))
        groups = -(-(blocks - first) // per)
        table = (first + 1) * size
        found = {0, 1}
        for group in range(groups):
            found |= set(struct.unpack_from("<2I", raw, table + 32 * group))
            start = first + group * per
            found |= set(range(start, start + 1 + -(-groups * 32 // size)))
        return found


def _prepare(faulty):
    """Files that are on the disk, opened twice each."""
    disk = faulty.disk.mount(device=faulty.device.path)
    opened = []
    for number in range(FILES):
        path = disk.where(f"f{number}")
        writers.make(path, number, OLD)
        opened.append([os.open(path, os.O_RDWR) for _ in range(2)])
    os.mkdir(disk.where("folder"))
    disks.sync(disk.point)
    return opened


def _close(opened):
    for fds in opened:
        for fd in fds:
            os.close(fd)


def _work(opened):
    """Write all files anew, longer than they were, and fsync: the errnos of each
    descriptor's first and second fsync."""
    for number, fds in enumerate(opened):
        os.pwrite(fds[0], writers.content(100 + number, 0, NEW), 0)
    return [[error_of(os.fsync, fd)[1] for fd in (fds[0], fds[0], fds[1], fds[1])]
            for fds in opened]


def _others(disk):
    """Changes to metadata, and what syncing all of it says."""
    errors = [error_of(os.mkdir, disk.where("folder/new"))[1],
              error_of(writers.make, disk.where("folder/file"), 7, 3000)[1]]
    for path in (disk.point, disk.where("folder")):
        fd = os.open(path, os.O_RDONLY)
        errors += [error_of(os.fsync, fd)[1], error_of(os.fsync, fd)[1]]
        os.close(fd)
    return errors + [error_of(disks.sync, disk.point)[1] for _ in range(2)]


def _owners(opened, block_size):
    """{block: number of the file that has its data there}."""
    return {fibmap(fds[0], at): number for number, fds in enumerate(opened)
            for at in range(-(-NEW // block_size))}


def _written(ctx, image):
    """The blocks that the workload writes, in the order of writing."""
    faulty = Faulty(ctx, image)
    opened = _prepare(faulty)
    with ctx.record(faulty.device.path) as io:
        io.take()
        _work(opened)
        _others(faulty.disk)
        bios = [bio for bio in io.take()[0] if bio.op.startswith(("W", "FW"))]
    _close(opened)
    faulty.end()
    faulty.disk.check()
    per = faulty.block_size // 512
    found = []
    for bio in bios:
        found += [block for block in range(bio.sector // per,
                                           (bio.sector + bio.sectors) // per)
                  if block not in found]
    return found


def _check_answers(what, answers, bad, owners, counted, others):
    """Who heard of the error."""
    for number, heard in enumerate(answers):
        assert set(heard) <= {0, errno.EIO}, f"{what}: file {number}: {heard}"
    if bad in owners:
        # once for each of its descriptors, and nobody else; metadata that could
        # not be written is tried again by each fsync, and may fail again
        want = [[errno.EIO * (number == owners[bad]), 0] * 2 for number in range(FILES)]
        assert answers == want, f"{what}: data of file {owners[bad]}: {answers}"
    elif bad not in counted:
        assert errno.EIO in sum(answers, others), f"{what}: nobody heard of it"


def _one(ctx, image, bad, umount_bad):
    """The workload with one bad block."""
    faulty = Faulty(ctx, image)
    disk = faulty.disk
    what = f"block {bad}" + (", bad at umount" if umount_bad else "")
    opened = _prepare(faulty)
    counted = faulty.counted()
    faulty.bad(bad)
    answers = _work(opened)
    others = _others(disk)
    owners = _owners(opened, faulty.block_size)
    _close(opened)
    if not umount_bad:
        faulty.good()
    faulty.end()
    _check_answers(what, answers, bad, owners, counted, others)
    status, text = disks.fsck(ctx, disk.path, "-fy")
    assert status in (0, 1), f"{what}: e2fsck: status {status}\n{text}"
    disk.mount()
    for number, heard in enumerate(answers):
        if not heard[0]:
            writers.check(disk.where(f"f{number}"), 100 + number, NEW, what=what)
    disk.finish()
    return bad in owners


def _sweep(ctx, image, count):
    """Some of the blocks, or all."""
    # buffers that a failed write left behind, in C
    ctx.allow_log(r"WARNING: .*mark_buffer_dirty") if ctx.fstype == disks.C_FSTYPE else 0
    seed = ctx.seed(3)
    ctx.log(f"SEED={seed}")
    blocks = _written(ctx, image)
    rng = random.Random(seed)
    chosen = blocks if count is None else rng.sample(blocks, min(count, len(blocks)))
    ctx.log(f"{len(blocks)} blocks are written, {len(chosen)} are tried")
    data = [_one(ctx, image, bad, index % 2 == 1) for index, bad in enumerate(chosen)]
    assert True in data and (False in data or count), "not all kinds of blocks"


@timeout(240)
def test_bad_block_1k(ctx):
    """Some blocks, 1 KiB each."""
    _sweep(ctx, "tiny-1k", 8)


@timeout(240)
def test_bad_block_4k(ctx):
    """Some blocks, 4 KiB each."""
    _sweep(ctx, "tiny-4k", 6)


@long
@timeout(7200)
def test_every_bad_block_1k(ctx):
    """All blocks, 1 KiB each."""
    _sweep(ctx, "tiny-1k", None)


@long
@timeout(7200)
def test_every_bad_block_4k(ctx):
    """All blocks, 4 KiB each."""
    _sweep(ctx, "tiny-4k", None)


def test_dead_device(ctx):
    """No write goes any more: all fsyncs say so; umount works; what had been
    synced is still there."""
    faulty = Faulty(ctx, "tiny-1k")
    disk = faulty.disk
    opened = _prepare(faulty)
    faulty.all_bad()
    answers = _work(opened)
    assert all(heard[::2] == [errno.EIO] * 2 for heard in answers), answers
    _close(opened)
    _others(disk)
    faulty.end()
    status, text = disks.fsck(ctx, disk.path, "-fy")
    assert status in (0, 1), f"e2fsck: status {status}\n{text}"
    disk.mount()
    for number in range(FILES):
        writers.check(disk.where(f"f{number}"), number, OLD)
    disk.finish()
