# SPDX-License-Identifier: GPL-2.0
"""Places of a disk that cannot be written, or cannot be had: who is given one gets another,
and nothing that was accepted is lost; what else was in the row stays free for others.

C ext2 writes what leads to blocks when it likes, and loses what a bad place led to.
"""

import contextlib
import errno
import os
import struct

import disks
import ext2disk
import writers
from lowlevel import error_of
from runner import timeout
from test_metadata_lost import table_block
from test_twin import no_flusher
from test_write_errors import Faulty

_BLOCK = 1024
# behind an array that the doubly indirect block, which is there, leads to
_THERE = (12 + 256 + 256) * _BLOCK
_SIZE = _THERE + 600 * _BLOCK
_SEED = 51


def _begin(ctx, options, image="blank-1k"):
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 does not wait for what it leads to")
    ctx.allow_log("I/O error|Buffer I/O error|lost (a|)sync page write|rust_ext2 .*error")
    faulty = Faulty(ctx, image)
    faulty.disk.mount(options, device=faulty.device.path)
    return faulty


def _write(fd, begin, end):
    while begin < end:
        begin += os.pwrite(fd, writers.content(_SEED, begin, min(1 << 16, end - begin)), begin)


def _arrays(disk, number):
    """What the doubly indirect block of an inode leads to, as the disk has it."""
    double = ext2disk.inode_pointers(disk.path, number)[13]
    with open(disk.path, "rb") as file:
        file.seek(double * _BLOCK)
        return [block for block in struct.unpack("<256I", file.read(_BLOCK)) if block]


def _end(ctx, faulty, lost):
    """These blocks, and no others, are in use and nobody's."""
    disk = faulty.disk
    faulty.good()
    faulty.end()
    groups = ext2disk.Groups(disk.path)
    assert all(groups.is_used(block) for block in lost), lost
    assert ext2disk.superblock(disk.path)["state"] & 2, "errors= has not heard of it"
    status, text = disks.fsck(ctx, disk.path, "-fy")
    assert status == 1, text
    assert "ultiply-claimed" not in text, text
    marks = [word for line in text.splitlines() if line.startswith("Block bitmap differences:")
             for word in line.split(":")[1].split()]
    found = []
    for mark in marks:
        assert mark[0] == "-", text
        first, _, last = mark[1:].strip("()").partition("--")
        found += range(int(first), int(last or first) + 1)
    assert sorted(found) == sorted(lost), (found, lost)


def _grown(ctx, options, bad=(), size=_SIZE, once=None):
    """A file grows by some arrays of pointers, and these blocks are bad, or one is once: the
    arrays."""
    faulty = _begin(ctx, options)
    disk = faulty.disk
    path = disk.where("f")
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    with no_flusher():
        _write(fd, 0, _THERE)
        os.fsync(fd)
        faulty.bad(*bad)
        _write(fd, _THERE, size)
        with contextlib.ExitStack() as stack:
            if once:
                # nobody has the last block of the disk
                last = os.path.getsize(disk.path) // _BLOCK - 1
                stack.enter_context(faulty.fails(once, 1, last))
            os.fsync(fd)
        number = os.fstat(fd).st_ino
        os.close(fd)
        ctx.drop_caches()
        writers.check(path, _SEED, size)
        blocks = os.stat(path).st_blocks
    arrays = _arrays(disk, number)
    assert len(arrays) == 1 - (_THERE - size) // (256 * _BLOCK), arrays
    assert not set(arrays) & set(bad), (arrays, bad)
    # data, arrays, the indirect and the doubly indirect block
    assert blocks == (size // _BLOCK + len(arrays) + 2) * 2, blocks
    if bad:
        _end(ctx, faulty, bad)
    else:
        faulty.good()
        faulty.end()
        disk.check()
    return arrays[1:]


@timeout(180)
def test_array(ctx):
    """Each of the places that arrays of pointers would have, and two next to each other."""
    places = _grown(ctx, "delalloc")
    for place in places[:2]:
        _grown(ctx, "delalloc", [place])
    _grown(ctx, "delalloc", [places[0], places[0] + 1])


@timeout(120)
def test_array_at_once(ctx):
    """And where blocks have their places when they are written to."""
    places = _grown(ctx, "nodelalloc")
    _grown(ctx, "nodelalloc", [places[0]])
    _grown(ctx, "nodelalloc", [places[1], places[1] + 1])


@timeout(300)
def test_one_of_many_arrays(ctx):
    """Of 17 arrays that are made together one has a bad place, the first, one in between or the
    last; or two have that are next to each other. Or one has a place that is bad once: then no
    place is given up."""
    size = _THERE + (16 * 256 + 100) * _BLOCK
    places = _grown(ctx, "delalloc", size=size)
    assert places == list(range(places[0], places[0] + 17)), f"not together: {places}"
    for bad in ((0,), (8,), (16,), (3, 4)):
        _grown(ctx, "delalloc", [places[number] for number in bad], size)
    for once in (0, 8, 16):
        assert _grown(ctx, "delalloc", (), size, places[once]) == places


@timeout(120)
def test_nothing_can_be_written(ctx):
    """If no place can be written it is not the place: none is lost for it, and the next
    fsync, when the device works again, has all that was written since."""
    faulty = _begin(ctx, "delalloc")
    disk = faulty.disk
    fd = os.open(disk.where("f"), os.O_CREAT | os.O_RDWR, 0o644)
    with no_flusher():
        _write(fd, 0, _THERE)
        os.fsync(fd)
        disks.sync(disk.point)
        free = os.statvfs(disk.point).f_bfree
        blocks = os.fstat(fd).st_blocks
        _write(fd, _THERE, _SIZE)
        faulty.all_bad()
        assert error_of(os.fsync, fd)[1] == errno.EIO
        faulty.good()
        error_of(os.fsync, fd)
        assert error_of(disks.sync, disk.point)[1] in (0, errno.EIO)
        used = (os.fstat(fd).st_blocks - blocks) // 2
        assert os.statvfs(disk.point).f_bfree == free - used, "blocks are lost"
        _write(fd, _THERE, _SIZE)
        os.fsync(fd)
    os.close(fd)
    ctx.drop_caches()
    writers.check(disk.where("f"), _SEED, _SIZE)
    faulty.end()
    status, text = disks.fsck(ctx, disk.path, "-fn")
    assert status == 0, text


def _directory(ctx, distances=()):
    """A directory grows by several blocks, and some so far behind its first are bad: the
    blocks that it has."""
    faulty = _begin(ctx, "delalloc")
    disk = faulty.disk
    folder = disk.where("d")
    os.mkdir(folder)
    number = os.stat(folder).st_ino
    names = [f"{number:0200}" for number in range(20)]
    with no_flusher():
        disks.sync(disk.point)
        first = ext2disk.inode_pointers(disk.path, number)[0]
        bad = [first + distance for distance in distances]
        faulty.bad(*bad)
        for name in names:
            os.close(os.open(os.path.join(folder, name), os.O_CREAT, 0o644))
        error_of(disks.sync, disk.point)
        disks.sync(disk.point)
        ctx.drop_caches()
        assert sorted(os.listdir(folder)) == names
    has = [block for block in ext2disk.inode_pointers(disk.path, number)[:12] if block]
    assert len(has) > 3 and not set(has) & set(bad), (has, bad)
    if bad:
        _end(ctx, faulty, bad)
    else:
        faulty.end()
        disk.check()
    return [block - first for block in has]


@timeout(120)
def test_directory(ctx):
    """A block that a directory would grow by."""
    distances = _directory(ctx)
    _directory(ctx, distances[1:2])
    _directory(ctx, distances[2:4])


_FREED = 12  # as many as are in an inode itself


def _freed(ctx, options, alone):
    """Blocks of a file here and there, `alone` or between free ones, which have been cut off
    and the disk does not know it: the block that would tell it is bad. The disk."""
    faulty = _begin(ctx, "noreservation,nodelalloc")
    disk = faulty.disk
    fds = [os.open(disk.where(name), os.O_CREAT | os.O_RDWR, 0o644)
           for name in ("victim", "between")]
    for number in range(16):
        os.close(os.open(disk.where(f"other{number}"), os.O_CREAT, 0o644))
    for at in range(_FREED):
        for fd, data in zip(fds, (b"v", b"b")):
            os.pwrite(fd, data * _BLOCK, at * _BLOCK)
    number = os.fstat(fds[0]).st_ino
    for fd in fds:
        os.close(fd)
    if not alone:
        os.unlink(disk.where("between"))
    disk.umount()
    blocks = sorted(ext2disk.inode_pointers(disk.path, number)[:_FREED])
    assert all(after - before == 2 for before, after in zip(blocks, blocks[1:])), blocks
    disk.mount(options, device=faulty.device.path)
    disks.sync(disk.point)
    os.truncate(disk.where("victim"), 0)
    guard = table_block(disk.path, ext2disk.Groups(disk.path), number)
    faulty.bad(guard)
    return faulty, guard


@timeout(180)
def test_freed_by_another(ctx):
    """Much is written where there are places that the disk says are another's: all of it is
    written, and no more is lost than these places."""
    for options, alone in (("delalloc", False), ("delalloc,noreservation", False),
                           ("delalloc,noreservation", True), ("nodelalloc", False)):
        what = f"{options}, {alone}"
        with no_flusher():
            faulty, guard = _freed(ctx, options, alone)
            disk = faulty.disk
            fd = os.open(disk.where("writer"), os.O_CREAT | os.O_RDWR, 0o644)
            groups = ext2disk.Groups(disk.path)
            assert table_block(disk.path, groups, os.fstat(fd).st_ino) != guard
            free = os.statvfs(disk.point).f_bfree
            size = min(free - 1000, 4000) * _BLOCK
            _write(fd, 0, size)
            assert error_of(os.fsync, fd)[1] in (0, errno.EIO), what
            os.fsync(fd)
            lost = free - os.statvfs(disk.point).f_bfree - os.fstat(fd).st_blocks // 2
            os.close(fd)
            faulty.good()
            ctx.drop_caches()
            writers.check(disk.where("writer"), _SEED, size, what=what)
        assert 0 < lost <= _FREED, f"{what}: {lost} blocks are lost"
        faulty.end()
        status, text = disks.fsck(ctx, disk.path, "-fy")
        assert status in (0, 1) and "ultiply-claimed" not in text, text
