# SPDX-License-Identifier: GPL-2.0
"""Blocks that get their places when they are written (B11): what is promised is what
the file will have, nobody else gets it, and it comes back if it is not needed.

C ext2 does not delay, so most of this is about the filesystem under test alone; that
it counts what C counts is seen by test_twin.py, and that its files are where C has
them, with `nodelalloc`, by test_blocks.py and test_allocation.py.
"""

import ctypes
import errno
import functools
import os
import random
import time

import cuts
import disks
import disturb
import ext2disk
import lowlevel
import writelog
import writers
from lowlevel import error_of
from runner import parallel, timeout
from sysapi import MS_RDONLY, check, libc
from test_write_errors import Faulty


def _counts(disk, fd):
    """(512-byte units of the file, free blocks)."""
    return os.fstat(fd).st_blocks, os.statvfs(disk.point).f_bfree


def _edges(block):
    """Blocks around which the tree of pointers changes."""
    p = block // 4
    double, triple = 12 + p, 12 + p + p * p
    return [0, 11, 12, 13, double - 1, double, double + 1, double + p - 1, double + p,
            double + 7 * p + 3, triple - 1, triple, triple + p * p]


def _exact(ctx, image):
    """Writes into holes, in this order and the other: the counts do not change when the
    blocks get their places, and are what they were when the file is gone."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, image).mount()
    before = os.statvfs(disk.point).f_bfree
    block = os.statvfs(disk.point).f_bsize
    edges = [edge for edge in _edges(block) if edge * block < 1 << 34]
    for name, order in (("up", edges), ("down", edges[::-1])):
        fd = os.open(disk.where(name), os.O_CREAT | os.O_RDWR, 0o644)
        for number, edge in enumerate(order):
            os.pwrite(fd, b"e" * block, edge * block)
            promised = _counts(disk, fd)
            if number % 4 == 3:
                os.fsync(fd)
                assert _counts(disk, fd) == promised, (name, edge, promised)
        os.fsync(fd)
        assert _counts(disk, fd) == promised
        # what is cut, and what is forgotten with it
        for edge in edges[::-1]:
            os.pwrite(fd, b"again", (edge + 2) * block)
            os.ftruncate(fd, edge * block)
            promised = _counts(disk, fd)
            if edge % 2:
                os.fsync(fd)
                assert _counts(disk, fd) == promised, ("cut", name, edge)
        assert _counts(disk, fd) == (0, before)
        os.close(fd)
        os.unlink(disk.where(name))
    disk.finish()


def test_exact_1k(ctx):
    """1 KiB blocks."""
    _exact(ctx, "blank-1k")


def test_exact_4k(ctx):
    """4 KiB blocks."""
    _exact(ctx, "blank-4k")


def test_an_array_stays_for_what_is_promised(ctx):
    """A truncation that leaves nothing on the disk behind an indirect block, but a
    promise: the file keeps it, and the counts are right."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-1k").mount()
    fd = os.open(disk.where("f"), os.O_CREAT | os.O_RDWR, 0o644)
    for first in (12, 12 + 256, 12 + 256 + 5 * 256):
        os.pwrite(fd, b"b" * 1024, (first + 40) * 1024)
        os.fsync(fd)
        os.pwrite(fd, b"a" * 1024, (first + 10) * 1024)
        os.ftruncate(fd, (first + 20) * 1024)
        promised = _counts(disk, fd)
        os.fsync(fd)
        assert _counts(disk, fd) == promised, first
        assert os.pread(fd, 2, (first + 10) * 1024) == b"aa"
        os.ftruncate(fd, 0)
    os.close(fd)
    disk.finish()


IMAGES = ("blank-1k", "blank-4k")


def _blocks_written(entries, size):
    """The blocks of that size that these writes of a log were to."""
    return {sector * 512 // size for entry in entries if entry.is_write
            for sector in range(entry.sector, entry.sector + entry.sectors)}


def _named(disk, number):
    """A file that is written and deleted; its inode."""
    path = disk.where(f"short{number}")
    writers.make(path, number, 100_000, sync=False)
    writers.check(path, number, 100_000)
    inode = os.stat(path).st_ino
    os.unlink(path)
    return inode


def _nameless(disk, number):
    """A file without a name that is written and closed; its inode."""
    fd = os.open(disk.point, os.O_TMPFILE | os.O_RDWR, 0o644)
    os.write(fd, writers.content(number, 0, 100_000))
    writers.check(f"/proc/self/fd/{fd}", number, 100_000)
    inode = os.fstat(fd).st_ino
    os.close(fd)
    return inode


def _written_for_short_lived(ctx, image, make, options):
    """Short-lived files on a disk whose writes are logged: the blocks that are written, and
    those that a name and an inode cost for as long."""
    disk = disks.Disk(ctx, image)
    logged = writelog.Logged(ctx, disk)
    disk.mount(options, device=logged.device.path)
    disks.sync(disk.point)
    logged.mark("begin")
    inodes = {os.stat(disk.point).st_ino, *(make(disk, number) for number in range(10))}
    disks.sync(disk.point)
    logged.mark("end")
    disk.umount()
    replay = logged.end()
    disk.check()
    marks = [number for number, entry in enumerate(replay.entries) if entry.mark]
    groups = ext2disk.Groups(disk.path)
    own = {groups.first, groups.first + 1, *ext2disk.inode_pointers(disk.path, 2)[:1]}
    per_group = ext2disk.superblock(disk.path)["inodes_per_group"]
    own |= {groups.places[(inode - 1) // per_group][1] for inode in inodes}
    own |= {ext2disk.inode_offset(disk.path, inode) // groups.size for inode in inodes}
    return _blocks_written(replay.entries[marks[0]:marks[-1]], groups.size), own


def _writes_to_groups(ctx, image, options):
    """Files that are there are written and cut to nothing, on a disk whose writes are
    logged: how often a block bitmap was written, and how often a group descriptor."""
    disk = disks.Disk(ctx, image)
    logged = writelog.Logged(ctx, disk)
    disk.mount(options, device=logged.device.path)
    paths = [disk.where(f"short{number}") for number in range(10)]
    for path in paths:
        writers.make(path, 0, 0)
    disks.sync(disk.point)
    logged.mark("begin")
    for number, path in enumerate(paths):
        with open(path, "r+b", 0) as file:
            file.write(writers.content(number, 0, 100_000))
        writers.check(path, number, 100_000)
        os.truncate(path, 0)
    disks.sync(disk.point)
    logged.mark("end")
    groups = ext2disk.Groups(disk.path)
    disk.umount()
    replay = logged.end()
    disk.check()
    marks = [number for number, entry in enumerate(replay.entries) if entry.mark]
    written = [_blocks_written([entry], groups.size)
               for entry in replay.entries[marks[0]:marks[-1]]]
    return [sum(bool(blocks & found) for found in written)
            for blocks in ({place[0] for place in groups.places}, {groups.first + 1})]


def test_short_lived_contents_cost_no_group(ctx):
    """What is written to files and cut off before it is written back: neither a bitmap nor a
    descriptor goes to the disk. (With a new file they do: it takes an inode.)"""
    disks.delays(ctx)
    for image in IMAGES:
        assert all(_writes_to_groups(ctx, image, "nodelalloc")), "they are not where the test looks"
        assert _writes_to_groups(ctx, image, "") == [0, 0], image


def _cost_nothing(ctx, make):
    disks.delays(ctx)
    for image in IMAGES:
        written, own = _written_for_short_lived(ctx, image, make, "nodelalloc")
        assert written - own, "what is written to the disk is not where the test looks"
        written, own = _written_for_short_lived(ctx, image, make, "")
        assert written, "nothing is logged"
        assert not written - own, f"{image}: {sorted(written - own)} were written"


def test_short_lived_files_cost_nothing(ctx):
    """Written and deleted before it is written back: what goes to the disk is what an inode
    and a name cost, the superblock, the group's descriptor, its bitmap of inodes, the table
    with the inodes and the directory. No bitmap of blocks, no block of the megabyte, and
    nothing that leads to one."""
    _cost_nothing(ctx, _named)


def test_nameless_files_cost_nothing(ctx):
    """The same of files that have never had a name (O_TMPFILE)."""
    _cost_nothing(ctx, _nameless)


def _fill(path, seed):
    """Write until nothing goes any more, and sync nothing; the bytes."""
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
    try:
        return writers.fill(fd, (50_000, 1), functools.partial(writers.content, seed))
    finally:
        os.close(fd)


def test_nobody_else_gets_what_is_promised(ctx):
    """The disk is full of promises: directories and links get nothing, and all that was
    accepted can be written."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-1k").mount()
    names = [f"f{number}" for number in range(4)]
    for number, name in enumerate(names[:3]):
        writers.make(disk.where(name), number, 5_000_000, sync=False)
    size = _fill(disk.where(names[3]), 3)
    assert os.statvfs(disk.point).f_bfree == 0, os.statvfs(disk.point)
    for call in (os.mkdir, lambda path: os.symlink("x" * 300, path)):
        assert error_of(call, disk.where("new"))[1] == errno.ENOSPC
    disks.sync(disk.point)
    assert os.statvfs(disk.point).f_bfree == 0, os.statvfs(disk.point)
    ctx.drop_caches()
    for number, length in enumerate([5_000_000] * 3 + [size]):
        writers.check(disk.where(names[number]), number, length)
    disk.finish()


def _as_user(path):
    os.setresgid(1000, 1000, 1000)
    os.setresuid(1000, 1000, 1000)
    return _fill(path, 7)


def test_the_flusher_takes_nothing_from_the_reserve(ctx):
    """What a user was promised was not reserved, whoever writes it; and what could be
    promised is there for it."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "full-1k").mount()
    os.chmod(disk.point, 0o777)
    info = os.statvfs(disk.point)
    reserved = info.f_bfree - info.f_bavail
    size = int(writers.Child(_as_user, disk.where("theirs")).result())
    full = os.statvfs(disk.point)
    assert full.f_bavail == 0 and reserved - 3 <= full.f_bfree <= reserved, full
    disks.sync(disk.point)
    assert os.statvfs(disk.point).f_bfree == full.f_bfree
    ctx.drop_caches()
    writers.check(disk.where("theirs"), 7, size)
    disk.finish()


def test_asked_where_it_is(ctx):
    """FIBMAP and fiemap of what has just been written name places, with what was
    written on the device."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-4k").mount()
    for name, ask in (("fibmap", lambda fd: lowlevel.fibmap(fd, 20)),
                      ("fiemap", lambda fd: lowlevel.fiemap(fd, 20 * 4096, 4096)[0][1] // 4096
                       + 20 - lowlevel.fiemap(fd, 20 * 4096, 4096)[0][0] // 4096)):
        writers.make(disk.where(name), 5, 200_000, sync=False)
        with open(disk.where(name), "rb") as file:
            place = ask(file.fileno())
            assert place > 0, name
            with open(disk.device, "rb") as device:
                got = os.pread(device.fileno(), 4096, place * 4096)
        assert got == writers.content(5, 20 * 4096, 4096), name
    disk.finish()


def test_given_up(ctx):
    """Cut, deleted, and written over in the cache: the promises are what is left."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-1k").mount()
    free = os.statvfs(disk.point).f_bfree
    fd = os.open(disk.where("f"), os.O_CREAT | os.O_RDWR, 0o644)
    for size in (500_000, 300_123, 100, 0, 70_000):
        os.pwrite(fd, b"x" * 500_000, 0)
        os.pwrite(fd, b"y" * 500_000, 0)
        os.ftruncate(fd, size)
    os.unlink(disk.where("f"))
    assert os.statvfs(disk.point).f_bfree < free
    os.close(fd)
    assert os.statvfs(disk.point).f_bfree == free
    disk.finish()


def test_remounted(ctx):
    """nodelalloc and back, with promises; synchronous, and read-only."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-1k").mount()
    for number, options in enumerate(("nodelalloc", "delalloc", "sync", "async")):
        writers.make(disk.where(f"f{number}"), number, 300_000, sync=False)
        disk.remount(options=options)
        shown = "nodelalloc" in disks.shown_options(disk.point)
        assert shown == (number == 0), disks.shown_options(disk.point)
    disk.remount(MS_RDONLY)
    ctx.drop_caches()
    for number in range(4):
        writers.check(disk.where(f"f{number}"), number, 300_000)
    disk.finish()


_OLD, _NEW = 31, 32
_SIZE = 30_000


def _replace(path):
    """As editors do that do not sync."""
    writers.make(path + ".new", _NEW, _SIZE, sync=False)
    os.rename(path + ".new", path)


def _has(path, seed):
    try:
        writers.check(path, seed, _SIZE)
        return os.path.getsize(path) == _SIZE
    except AssertionError:
        return False


@timeout(240)
def test_replaced_by_name(ctx):
    """A file that was renamed over another, and the directory synced: after a power
    cut the name leads to all of the old one or to all of the new one. So much is done
    only where blocks come late; else it is as in C, which waits for no data."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "tiny-1k")
    logged = writelog.Logged(ctx, disk)
    disk.mount(device=logged.device.path)
    path = disk.where("document")
    writers.make(path, _OLD, _SIZE)
    disks.sync(disk.point)
    logged.mark("old")
    _replace(path)
    fd = os.open(disk.point, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    logged.mark("named")
    disk.umount()
    replay = logged.end()
    seen = set()
    for count, marks, point in cuts.repaired_since(ctx, disk, replay, "old"):
        found = os.path.join(point, "document")
        which = [seed for seed in (_OLD, _NEW) if _has(found, seed)]
        assert which, f"cut after entry {count}: {os.path.getsize(found)} bytes of nothing"
        assert "named" not in marks or which == [_NEW], f"cut after {count}: the old one"
        seen.add(which[0])
    assert seen == {_OLD, _NEW}, seen


def test_replaced_by_truncation(ctx):
    """A file that was cut to nothing and written anew goes to the disk when it is
    closed, long before it would be written back."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-4k").mount()
    path = disk.where("document")
    writers.make(path, _OLD, _SIZE)
    want = writers.content(_NEW, 8192, 4096)
    with disturb.tuned(dirty_writeback_centisecs=0):
        with open(path, "wb") as file:
            for at in range(0, _SIZE, 10_000):
                file.write(writers.content(_NEW, at, 10_000))
        deadline = time.monotonic() + 60
        while True:
            with open(disk.path, "rb") as image:
                if want in image.read():
                    break
            assert time.monotonic() < deadline, "it is not written"
            time.sleep(0.1)
    disk.finish()


def _start_write(fd, offset, length):
    """sync_file_range(2): these pages are written, and nothing else."""
    check(libc.sync_file_range(fd, ctypes.c_int64(offset), ctypes.c_int64(length), 7))


def test_pieces_are_written_out_of_the_middle(ctx):
    """Pages in the middle of what has been promised are written, so that it comes in
    more and more runs: what is left is promised still when another file fills the disk."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-1k").mount()
    size = 6_000_000
    writers.make(disk.where("f"), 1, size, sync=False)
    fd = os.open(disk.where("f"), os.O_RDONLY)
    counts = _counts(disk, fd)
    for offset in range(512 * 1024, size - 8192, 600 * 1024):
        _start_write(fd, offset, 4096)
        assert _counts(disk, fd) == counts, offset
    filler = _fill(disk.where("filler"), 2)
    disks.sync(disk.point)
    os.fsync(fd)
    os.close(fd)
    ctx.drop_caches()
    writers.check(disk.where("f"), 1, size)
    writers.check(disk.where("filler"), 2, filler)
    disk.finish()


def test_given_up_at_writeback(ctx):
    """No bitmap can be read when the data is to be written: fsync says so, nothing is
    promised to it any more, and what is written later shows nothing of the disk."""
    disks.delays(ctx)
    ctx.allow_log("I/O error|lost (a|)sync page write|rust_ext2 .*error|Buffer I/O error")
    faulty = Faulty(ctx, "blank-1k")
    disk = faulty.disk
    writers.stain(disk, faulty.device.path)
    disk.mount("errors=continue", device=faulty.device.path)
    free = os.statvfs(disk.point).f_bfree
    fd = os.open(disk.where("f"), os.O_CREAT | os.O_RDWR, 0o644)
    os.fsync(fd)
    # no bitmap is in memory, and none is asked for
    ctx.drop_caches()
    os.pwrite(fd, b"x" * 300_000, 0)
    assert _counts(disk, fd)[0] > 0
    faulty.bad(*[place[0] for place in ext2disk.Groups(disk.path).places])
    number = error_of(os.fsync, fd)[1]
    assert number == errno.EIO, f"fsync: {number}, {_counts(disk, fd)}, {free}"
    # what no bitmap says is free nobody can have
    assert _counts(disk, fd) == (0, 0)
    faulty.good()
    ctx.drop_caches()
    os.pwrite(fd, b"y" * 1024, 50 * 1024)
    os.fsync(fd)
    # the block, and the one that leads to it
    assert _counts(disk, fd) == (4, free - 2)
    ctx.drop_caches()
    data = os.pread(fd, 300_000, 0)
    assert data[50 * 1024:51 * 1024] == b"y" * 1024
    assert not any(data[:50 * 1024]) and not any(data[51 * 1024:])
    os.close(fd)
    faulty.finish()


def _cut_and_grow(path, seed, rounds):
    """Write, cut, grow, and look: where nothing was written there are zeros."""
    rng = random.Random(seed)
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    for number in range(rounds):
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"\x11" * 50_000, 0)
        os.pwrite(fd, b"\x22" * 900_000, 100_000)
        end = 100_000 + rng.randrange(220) * 4096
        os.ftruncate(fd, end)
        os.ftruncate(fd, 1_100_000)
        data = os.pread(fd, 1_100_000, 0)
        assert not any(data[end:]), f"round {number}: {end} {data[end:end + 64]!r}"
        assert not any(data[50_000:100_000]), f"round {number}: the hole"
    os.close(fd)
    return ""


def _write_back(path, seed, seconds):
    """Have pages of a file written, anywhere in it, all the time."""
    rng = random.Random(seed)
    fd = os.open(path, os.O_RDONLY)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        _start_write(fd, 4096 * rng.randrange(270), 4096)
    os.close(fd)
    return ""


@parallel
@timeout(200)
def test_cut_beside_writeback(ctx):
    """A file is written, cut and made larger while others have pages of it written: no
    block behind the end gets a place, and nothing of the disk is seen."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-1k")
    writers.stain(disk)
    disk.mount()
    path = disk.where("f")
    os.mknod(path)
    children = [writers.Child(_cut_and_grow, path, 1, 60)]
    children += [writers.Child(_write_back, path, seed, 12) for seed in (2, 3)]
    writers.results(children)
    disk.finish()
