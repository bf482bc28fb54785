# SPDX-License-Identifier: GPL-2.0
"""Twins: a random workload on C ext2 and on the filesystem under test, on copies of
one image. After each operation the answers, the inodes that it touched and the
free counts are compared; now and then everything (compare.py).

A round ends with both disks unmounted: e2fsck has to find nothing, the superblocks
are compared, and each driver goes on with the disk of the other.

SECONDS= says how long to work, SEED= which workload; a failure prints its seed.
"""

import contextlib
import math
import os
import struct
import time

import compare
import disks
import ops
import workload
from runner import by_chance, long, timed, timeout
from sysapi import MS_RDONLY

SEED = 2017  # of the short tests; the long ones take one by chance
ROUND = 150  # operations
SHOWN = 25   # of the last ones, when something fails
MS_STRICTATIME = 1 << 24

_DISK_WIDE = ("sync", "drop_caches", "remount", "mount_again", "compare")


class Differ(AssertionError):
    """The twins are not alike any more."""


def superblock(path):
    """Fields of an unmounted disk's superblock that both drivers set alike."""
    with open(path, "rb") as file:
        raw = file.read(2048)[1024:]
    names = ("inodes", "blocks", "reserved", "free_blocks", "free_inodes",
             "first_data", "log_block_size")
    fields = dict(zip(names, struct.unpack_from("<7I", raw)))
    fields["mount_count"] = struct.unpack_from("<H", raw, 52)[0]
    fields["state"] = struct.unpack_from("<H", raw, 58)[0]
    fields["compat"], fields["incompat"], fields["ro_compat"] = \
        struct.unpack_from("<III", raw, 92)
    return fields


class Twins:
    """The two disks and what has been done to both."""

    def __init__(self, ctx, image, options, seed, size, more=None, at_once=False):
        self._ctx = ctx
        self._options, self._at_once = options, at_once
        self._disks = [disks.Disk(ctx, image, disks.C_FSTYPE), disks.Disk(ctx, image)]
        self._actors = [ops.Actor(""), ops.Actor("")]
        self._work = workload.Workload(seed, size, {**workload.IOCTLS, **(more or {})})
        self._slack = 2.0
        self._mapped = False
        self._log = []
        self.count = 0
        self._mount()

    # mounting

    def _options_of(self, disk):
        if self._at_once:
            return disks.at_once(disk.fstype, self._options)
        return self._options

    def _mount(self):
        for disk, actor in zip(self._disks, self._actors):
            disk.mount(self._options_of(disk), flags=MS_STRICTATIME)
            actor.root = disk.point

    def _umount(self):
        for disk, actor in zip(self._disks, self._actors):
            actor.close()
            disk.umount()
        self._mapped = False

    def _swap(self):
        """Each disk to the other driver."""
        one, two = self._disks
        one.fstype, two.fstype = two.fstype, one.fstype

    # one operation

    def step(self):
        op = self._work.next()
        self.count += 1
        self._log.append(op)
        if op[0] in _DISK_WIDE:
            getattr(self, "_" + op[0])()
            return
        answers, begin = [], time.monotonic()
        for actor in self._actors:
            answers.append(actor.do(op))
        # the later side's times are as much later as this took
        self._slack = max(self._slack, 2 + math.ceil(time.monotonic() - begin))
        self._log[-1] = (*op, "->", answers[0])
        if answers[0] != answers[1]:
            raise Differ(self._tell(f"answers {answers[0]} and {answers[1]}"))
        if answers[0][1] == 0:
            self._work.done(op, answers[0][0])
        self._note_mapping(op)
        self._touched(op)

    def _note_mapping(self, op):
        """What was written through a mapping may get its blocks later (B10)."""
        if op[0] != "read":
            self._mapped = op[0] == "map_write" and op[-1] == "later"

    def _touched(self, op):
        without = ("blocks",) if self._mapped else ()
        for name in ops.paths_of(op):
            infos = []
            for actor in self._actors:
                try:
                    infos.append(os.lstat(actor.path(name)))
                except OSError as error:
                    infos.append(error.errno)
            if all(isinstance(info, int) for info in infos) and infos[0] == infos[1]:
                continue
            if any(isinstance(info, int) for info in infos):
                raise Differ(self._tell(f"/{name}: stat says {infos[0]} and {infos[1]}"))
            found = compare.stats_differ(*infos, self._slack, without)
            if found:
                raise Differ(self._tell(f"/{name}: {found}"))
        if not self._mapped:
            self._statfs()

    def _statfs(self):
        one, two = [compare.statfs(disk.point) for disk in self._disks]
        found = {key: (one[key], two[key]) for key in one if one[key] != two[key]}
        if found:
            raise Differ(self._tell(f"statfs: {found}"))

    def _tell(self, what):
        shown = "\n".join(f"    {op}" for op in self._log[-SHOWN:])
        return (f"operation {self.count}, {self._disks[0]} and {self._disks[1]}:\n"
                f"{what}\nthe last operations:\n{shown}")

    # operations on the whole

    def _sync(self):
        for disk in self._disks:
            disks.sync(disk.point)
        self._mapped = False
        self._statfs()

    def _drop_caches(self):
        self._ctx.drop_caches()
        self._mapped = False
        for disk, actor in zip(self._disks, self._actors):
            _know_attributes(disk.point, actor.slots.values())

    def _remount(self):
        """Read-only and back, if nothing is open for writing."""
        for disk, actor in zip(self._disks, self._actors):
            actor.close()
            # a remount leaves it as it is, and the VFS refuses it in the text
            options = ",".join(option for option in self._options_of(disk).split(",")
                               if option != "dirsync")
            disk.remount(MS_RDONLY | MS_STRICTATIME, options)
            self._refuses(disk)
            disk.remount(MS_STRICTATIME, options)
        self._mapped = False

    def _refuses(self, disk):
        _, error = ops.Actor(disk.point).do(("create", "not-here", 0o644))
        if error != "EROFS":
            raise Differ(self._tell(f"{disk} is read-only, and create says {error}"))

    def _mount_again(self):
        self._umount()
        self._mount()

    def _compare(self):
        begin = time.monotonic()
        self._sync()
        found = compare.trees(self._disks[0].point, self._disks[1].point, self._slack)
        self._slack = max(self._slack, 2 + math.ceil(time.monotonic() - begin))
        if found:
            raise Differ(self._tell("\n".join(found[:20])))

    def round(self, end):
        """Some operations, then compare, unmount, check, and let each driver see
        the other's disk."""
        last = self.count + ROUND
        while self.count < last and (time.monotonic() < end or
                                     self.count < ROUND // 2):
            self.step()
        self._log.append(("end of a round",))
        self._compare()
        self._umount()
        for disk in self._disks:
            disk.check()
        one, two = [superblock(disk.path) for disk in self._disks]
        if one != two:
            raise Differ(self._tell(f"superblocks {one}\n  and {two}"))
        self._swap()
        self._mount()
        self._compare()

    def close(self):
        """Close what the workload has open; the disks are unmounted by ctx."""
        for actor in self._actors:
            actor.close()


def _know_attributes(point, opened):
    """Has all blocks of attributes known, which files with the same can share. Which inodes
    have left memory is chance, and one that is there, with its access control list, has no
    reason to read its block again."""
    for folder, folders, files in os.walk(point):
        for name in sorted([*folders, *files, "."]):
            os.listxattr(os.path.join(folder, name), follow_symlinks=False)
    for fd in opened:
        os.listxattr(fd)


@contextlib.contextmanager
def no_flusher(every="0"):
    """Nothing is written back unless the workload says so: with the kernel's own
    writeback, when a page gets its blocks depends on the clock. `every`: so many
    hundredths of a second later, for a filesystem that takes "0" for at once."""
    path = "/proc/sys/vm/dirty_writeback_centisecs"
    with open(path, encoding="ascii") as file:
        before = file.read()
    with open(path, "w", encoding="ascii") as file:
        file.write(every)
    try:
        yield
    finally:
        with open(path, "w", encoding="ascii") as file:
            file.write(before)


def run(ctx, image, block_size, options="", seed=SEED, **more):
    """Rounds for ctx.seconds, one at least; `more` is for the twins."""
    seed = ctx.seed(seed)
    ctx.log(f"SEED={seed}")
    end = time.monotonic() + ctx.seconds
    twins = Twins(ctx, image, options, seed, block_size, **more)
    try:
        with no_flusher():
            while time.monotonic() < end or not twins.count:
                twins.round(end)
    except Differ as difference:
        raise AssertionError(f"SEED={seed}: {difference}") from None
    finally:
        twins.close()


@timed(25)
@timeout(200)
def test_workload_1k(ctx):
    """1 KiB blocks, four to a page."""
    run(ctx, "blank-1k", 1024)


@timed(25)
@timeout(200)
def test_workload_4k(ctx):
    """4 KiB blocks."""
    run(ctx, "blank-4k", 4096)


@timed(15)
@timeout(200)
def test_workload_at_once(ctx):
    """Blocks that files have as soon as they are written to, 1 KiB."""
    run(ctx, "blank-1k", 1024, at_once=True)


@timed(15)
@timeout(200)
def test_workload_attributes(ctx):
    """Extended attributes and access control lists of everything."""
    run(ctx, "blank-1k", 1024, "acl,user_xattr", more=workload.ATTRIBUTES)


@timed(15)
@timeout(200)
def test_workload_dirsync(ctx):
    """Each change of a directory waited for, as C does without being asked."""
    run(ctx, "blank-1k", 1024, "dirsync")


@long
@timed(120)
@timeout(300)
def test_workload_2k(ctx):
    """2 KiB blocks, groups of directories, no windows, what is free as Minix counts it."""
    run(ctx, "blank-2k", 2048, "grpid,noreservation,minixdf", by_chance())


@long
@timed(120)
@timeout(300)
def test_workload_old(ctx):
    """A filesystem of revision 0: no types in directories, the old allocator."""
    run(ctx, "blank-old", 1024, "oldalloc", by_chance())
