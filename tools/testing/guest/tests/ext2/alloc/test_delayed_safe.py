# SPDX-License-Identifier: GPL-2.0
"""Blocks that get their places when they are written: what has been accepted is not
thrown away, and a crash shows no more of it than it would have without that.
"""

import ctypes
import errno
import fcntl
import functools
import mmap
import os
import signal

import disks
import disturb
import ext2disk
import mapped
import waiting
import writelog
import writers
from lowlevel import error_of, fibmap
from runner import timeout
from sysapi import check, libc
from test_write_errors import Faulty

_OLD, _NEW = 41, 42


def _start_write(fd, offset, length):
    """sync_file_range(2): these pages are written, and waited for, and nothing else."""
    check(libc.sync_file_range(fd, ctypes.c_int64(offset), ctypes.c_int64(length), 7))


def _store(fd, page):
    mapped.Page(fd, page).store(0, b"stored")
    return ""


def test_read_only_after_an_error(ctx):
    """errors=remount-ro: who has a file open still may write where there are blocks, but
    not to a hole, which could never get any."""
    disks.delays(ctx)
    for option in ("delalloc", "nodelalloc"):
        disk = disks.Disk(ctx, "namespace-counts").mount(f"errors=remount-ro,{option}")
        fd = os.open(disk.where("f"), os.O_CREAT | os.O_RDWR, 0o644)
        os.pwrite(fd, b"a" * mapped.SIZE, 0)
        os.ftruncate(fd, 64 * mapped.SIZE)
        os.fsync(fd)
        assert error_of(os.mkdir, disk.where("one/new"))[1] == errno.EUCLEAN
        assert os.statvfs(disk.point).f_flag & os.ST_RDONLY
        for at in (8 * mapped.SIZE, 9 * mapped.SIZE + 5, 64 * mapped.SIZE):
            assert error_of(os.pwrite, fd, b"lost", at)[1] == errno.EROFS, (option, at)
        text, code = writers.Child(_store, fd, 20).wait()
        assert code == -signal.SIGBUS, (option, text, code)
        assert os.fstat(fd).st_size == 64 * mapped.SIZE
        os.pwrite(fd, b"kept", 7)
        os.fsync(fd)
        os.close(fd)
        disk.umount()
        disk.mount()
        with open(disk.where("f"), "rb") as file:
            assert file.read(12) == b"aaaaaaakepta"
        disk.umount()


def test_emergency_read_only(ctx):
    """SysRq-u makes the filesystem read-only under who writes: what has been promised gets its
    places and is written first, from then on nobody is promised any, and what has its blocks can
    be written still."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-1k").mount("delalloc")
    size = 300_000
    with disturb.tuned(dirty_writeback_centisecs=0):
        writers.make(disk.where("f"), _NEW, size, sync=False)
        fd = os.open(disk.where("f"), os.O_RDWR)
        blocks = os.fstat(fd).st_blocks
        disturb.put("/proc/sysrq-trigger", "u")
        waiting.until(lambda: os.statvfs(disk.point).f_flag & os.ST_RDONLY, "it is read-only")
        assert has_image(disk, 280 * 1024, 1024), "what was accepted is not written"
        for at in (size + 8192, size + 9 * mapped.SIZE + 5):
            assert error_of(os.pwrite, fd, b"lost", at)[1] == errno.EROFS, at
        assert (os.fstat(fd).st_blocks, os.fstat(fd).st_size) == (blocks, size)
        os.pwrite(fd, writers.content(_NEW, 7, 100), 7)
        os.fsync(fd)
        os.close(fd)
        disk.umount()
    disk.check()
    disk.mount()
    writers.check(disk.where("f"), _NEW, size)
    disk.umount()


def _written_in_part(path):
    """All of it has its places, and one page of it is written."""
    writers.make(path, _NEW, 12 * 4096, sync=False)
    fd = os.open(path, os.O_RDWR)
    _start_write(fd, 0, 4096)
    os.close(fd)
    return 12 * 4096


def _appended(path):
    """On the disk, and made longer behind an indirect block that is there."""
    writers.make(path, _NEW, 100 * 1024)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(fd, writers.content(_NEW, 100 * 1024, 100 * 1024))
    os.close(fd)
    return 200 * 1024


@timeout(120)
def test_replaced_by_name(ctx):
    """What is renamed over another, and the directory synced: all of it is there after a
    power cut, whatever of it had been written before."""
    disks.delays(ctx)
    for image, make in (("blank-4k", _written_in_part), ("blank-1k", _appended)):
        disk = disks.Disk(ctx, image)
        logged = writelog.Logged(ctx, disk)
        disk.mount("delalloc", device=logged.device.path)
        path = disk.where("document")
        writers.make(path, _OLD, 30_000)
        with disturb.tuned(dirty_writeback_centisecs=0):
            size = make(path + ".new")
            os.rename(path + ".new", path)
            fd = os.open(disk.point, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
            logged.mark("named")
        disk.umount()
        replay = logged.end()
        named = next(number for number, entry in enumerate(replay.entries)
                     if entry.mark == "named")
        cut = os.path.join(ctx.tmp, "cut")
        with open(cut, "wb") as file:
            file.write(replay.at(named + 1, lambda number: True)[0])
        point = ctx.mount(cut, disk.fstype)
        found = os.path.join(point, "document")
        assert os.path.getsize(found) == size, os.path.getsize(found)
        writers.check(found, _NEW, size, what=f"{image}: {make.__name__}")
        ctx.umount(point)


def has_image(disk, offset, length, seed=_NEW):
    """Whether the disk has these bytes of the file of a seed, anywhere."""
    want = writers.content(seed, offset, length)
    with open(disk.path, "rb") as image:
        return want in image.read()


def test_synced_in_part(ctx):
    """One page of a run has been written, so that all of it has places: who syncs that page
    again, and with it the inode, has all of the run written; but not for ever."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-4k").mount("delalloc")
    size = 12 * 4096
    with disturb.tuned(dirty_writeback_centisecs=0):
        for number, again in enumerate((
                lambda path: _write_synchronously(path, 0),
                lambda path: _store_and_sync(path, 3))):
            path = disk.where(f"f{number}")
            _written_in_part(path)
            assert not has_image(disk, size - 4096, 4096), "it is written already"
            again(path)
            assert has_image(disk, size - 4096, 4096), f"{number}: the rest is not written"
            # and when nothing of that has got its place meanwhile, that page alone, or what
            # is in one folio with it
            again(path)
            with open(path, "r+b", 0) as file:
                os.pwrite(file.fileno(), writers.content(_OLD, size - 4096, 4096), size - 4096)
            again(path)
            assert not has_image(disk, size - 4096, 4096, _OLD), f"{number}: all is written"
            os.unlink(path)
            disks.sync(disk.point)
            _wipe(disk, size)
    disk.finish()


def _wipe(disk, size):
    """What has been seen on the disk is not seen again."""
    with open(disk.path, "r+b") as image:
        data = image.read()
        for at in range(0, size, 4096):
            found = data.find(writers.content(_NEW, at, 4096))
            if found >= 0:
                os.pwrite(image.fileno(), bytes(4096), found)


def _write_synchronously(path, offset):
    fd = os.open(path, os.O_WRONLY | os.O_DSYNC)
    os.pwrite(fd, writers.content(_NEW, offset, 4096), offset)
    os.close(fd)


def _store_and_sync(path, page):
    fd = os.open(path, os.O_RDWR)
    with mmap.mmap(fd, 12 * 4096) as area:
        area[page * 4096:page * 4096 + 10] = writers.content(_NEW, page * 4096, 10)
        area.flush(page * 4096, 4096)
    os.close(fd)


def sync_neighbour(path, time):
    """Has the block of the inode table written in which the inode is. Of the inode itself
    something has to be written for that: its times."""
    fd = os.open(path, os.O_WRONLY)
    os.utime(fd, (time, time))
    os.fsync(fd)
    os.close(fd)


def test_replaced_by_truncation(ctx):
    """A file that was cut to nothing, written anew and closed: when a neighbour in the
    inode table is synced it has its size and its blocks; and not only if no other writer
    has closed it before."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-4k").mount("delalloc")
    path, size = disk.where("document"), 30_000
    writers.make(path, _OLD, size)
    writers.make(disk.where("neighbour"), 1, 100)
    number = os.stat(path).st_ino
    with disturb.tuned(dirty_writeback_centisecs=0):
        for others in (False, True):
            other = os.open(path, os.O_WRONLY) if others else -1
            with open(path, "wb", 0) as file:
                if others:
                    os.close(other)
                file.write(writers.content(_NEW, 0, size))
            waiting.until(lambda: has_image(disk, 4 * 4096, 4096), "it is not written")
            sync_neighbour(disk.where("neighbour"), others)
            assert ext2disk.inode_size(disk.path, number) == size, (
                others, ext2disk.inode_size(disk.path, number))
            assert all(ext2disk.inode_pointers(disk.path, number)[:8])
            _wipe(disk, size)
    disk.finish()


@timeout(60)
def test_counted_once(ctx):
    """stat(2), while blocks get their places and an indirect block that leads to them is
    waited for: each is counted once."""
    disks.delays(ctx)
    disk, device = waiting.held_up(ctx, "blank-1k")
    disk.mount("delalloc", device=device.path)
    fd = os.open(disk.where("f"), os.O_CREAT | os.O_RDWR, 0o644)
    # the disk has the doubly indirect block, in which the second one's array is missing
    first, second = ((12 + 256 + number * 256) * 1024 for number in (5, 7))
    os.pwrite(fd, b"a" * 4096, first)
    os.fsync(fd)
    os.pwrite(fd, b"b" * 4096, second)
    blocks = os.fstat(fd).st_blocks
    with device.suspended():
        writing = waiting.Task(_start_write, fd, second, 4096)
        assert writing.falls_asleep(), writing
        assert os.fstat(fd).st_blocks == blocks, (os.fstat(fd).st_blocks, blocks)
    writing.result()
    assert os.fstat(fd).st_blocks == blocks
    os.close(fd)
    disk.finish()


def test_nothing_is_reserved_for_closed_files(ctx):
    """Small files that are written back when they have been closed: they lie side by side,
    and not a window apart."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-1k").mount("delalloc")
    paths = [disk.where(f"f{number}") for number in range(40)]
    for path in paths:
        writers.make(path, _NEW, 2048, sync=False)
    disks.sync(disk.point)
    places = []
    for path in paths:
        with open(path, "rb") as file:
            places.append(fibmap(file.fileno(), 0))
    places.sort()
    apart = [after - before for before, after in zip(places, places[1:])]
    assert sum(gap == 2 for gap in apart) >= 36, apart
    disk.finish()


def test_a_bitmap_cannot_be_read(ctx):
    """The bitmap of the group that a file would grow in: it gets its places in another."""
    disks.delays(ctx)
    ctx.allow_log("I/O error|Buffer I/O error|rust_ext2 .*error")
    faulty = Faulty(ctx, "blank-4k")
    disk = faulty.disk.mount("errors=continue,delalloc", device=faulty.device.path)
    groups = ext2disk.Groups(disk.path)
    fd = os.open(disk.where("f"), os.O_CREAT | os.O_RDWR, 0o644)
    os.fsync(fd)
    size = 40 * 4096
    os.pwrite(fd, writers.content(_NEW, 0, size), 0)
    disturb.reclaim()
    group = (os.fstat(fd).st_ino - 1) // ext2disk.superblock(disk.path)["inodes_per_group"]
    faulty.bad(groups.places[group][0])
    os.fsync(fd)
    faulty.good()
    place = fibmap(fd, 20)
    assert (place - groups.first) // groups.per_group != group, (place, group)
    ctx.drop_caches()
    writers.check(disk.where("f"), _NEW, size)
    os.close(fd)
    faulty.finish()


def test_put_off_when_it_became_read_only(ctx):
    """The flusher has given a file its places and put its inode off, and then an error makes
    the filesystem read-only: the inode is stored when it goes, with all that it leads to."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "namespace-counts").mount("errors=remount-ro,delalloc")
    path, size = disk.where("f"), 100_000
    writers.make(path, _NEW, 0)
    disks.sync(disk.point)
    # by age: once, and not again before an error comes, which is much sooner
    with disturb.tuned(dirty_expire_centisecs=300, dirty_writeback_centisecs=100):
        with open(path, "r+b", 0) as file:
            file.write(writers.content(_NEW, 0, size))
        waiting.until(lambda: has_image(disk, 4096, 4096), "it is not written")
        with disturb.tuned(dirty_writeback_centisecs=0):
            assert error_of(os.mkdir, disk.where("one/new"))[1] == errno.EUCLEAN
            assert os.statvfs(disk.point).f_flag & os.ST_RDONLY
            disk.umount()
    disk.mount()
    assert os.path.getsize(disk.where("f")) == size, os.path.getsize(disk.where("f"))
    writers.check(disk.where("f"), _NEW, size)
    disk.umount()


def _freeze(point, thaw):
    fd = os.open(point, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, 0xC0045878 if thaw else 0xC0045877, 0)
    finally:
        os.close(fd)


def test_closed_while_it_is_frozen(ctx):
    """A file that was cut to nothing and written anew is closed while the filesystem is
    frozen: nothing is changed for it in memory that the device would get."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-4k").mount("delalloc")
    path = disk.where("document")
    writers.make(path, _OLD, 30_000)
    with disturb.tuned(dirty_writeback_centisecs=0):
        file = open(path, "wb", 0)  # pylint: disable=consider-using-with
        file.write(writers.content(_NEW, 0, 30_000))
        device = os.open(disk.device, os.O_RDONLY)
        _freeze(disk.point, False)
        try:
            os.fsync(device)
            before = disks.done(disk.device).sectors_written
            file.close()
            os.fsync(device)
            assert disks.done(disk.device).sectors_written == before, \
                "it is written to a frozen filesystem"
        finally:
            _freeze(disk.point, True)
            os.close(device)
    writers.check(path, _NEW, 30_000)
    disk.finish()


def _fill(fd, seed):
    return writers.fill(fd, (50_000, 1), functools.partial(writers.content, seed))


@timeout(120)
def test_what_no_bitmap_says_is_free_is_not_promised(ctx):
    """A group's bitmap cannot be read: when that has been found, its free blocks are not
    free, and what is written until the disk is full is written all of it. They come back
    once, when it can be read and all others are full."""
    disks.delays(ctx)
    ctx.allow_log("I/O error|Buffer I/O error|rust_ext2 .*error")
    faulty = Faulty(ctx, "blank-4k")
    disk = faulty.disk.mount("errors=continue,delalloc", device=faulty.device.path)
    groups = ext2disk.Groups(disk.path)
    fd = os.open(disk.where("f"), os.O_CREAT | os.O_RDWR, 0o644)
    os.fsync(fd)
    disturb.reclaim()
    group = (os.fstat(fd).st_ino - 1) // ext2disk.superblock(disk.path)["inodes_per_group"]
    faulty.bad(groups.places[group][0])
    before = os.statvfs(disk.point).f_bfree
    os.pwrite(fd, writers.content(1, 0, 4096), 0)
    os.fsync(fd)
    there = os.statvfs(disk.point).f_bfree
    lost = before - 1 - there
    assert 500 < lost < 1024, (before, there)
    # again, and it is lost once
    os.pwrite(fd, writers.content(1, 0, 40 * 4096), 0)
    os.fsync(fd)
    assert os.statvfs(disk.point).f_bfree == there - 40, os.statvfs(disk.point).f_bfree
    size = _fill(fd, 1)
    left = os.statvfs(disk.point).f_bfree
    assert left <= 3, left
    os.fsync(fd)
    faulty.good()
    ctx.drop_caches()
    writers.check(disk.where("f"), 1, size)
    # who finds nothing looks again
    more = os.open(disk.where("more"), os.O_CREAT | os.O_RDWR, 0o644)
    more_size = _fill(more, 2)
    os.fsync(more)
    assert os.statvfs(disk.point).f_bfree <= 3
    assert abs(more_size - (lost + left) * 4096) < 4 * 4096, (more_size, lost, left)
    ctx.drop_caches()
    writers.check(disk.where("more"), 2, more_size)
    for name, opened in (("f", fd), ("more", more)):
        os.close(opened)
        os.unlink(disk.where(name))
    disks.sync(disk.point)
    # the blocks of both, and the one of the directory is there still
    assert os.statvfs(disk.point).f_bfree == before
    faulty.finish()


def _fill_bitmaps(path):
    """No bitmap says that anything is free, whatever the counts say."""
    groups = ext2disk.Groups(path)
    with open(path, "r+b", 0) as file:
        for place in groups.places:
            os.pwrite(file.fileno(), b"\xff" * (groups.per_group // 8), place[0] * groups.size)


def test_errors_of_one_folio(ctx):
    """Of the blocks of one folio some are behind an array that cannot be read, and for others
    the disk is full: the first are given up, and the others written when there is room."""
    disks.delays(ctx)
    ctx.allow_log("I/O error|Buffer I/O error|rust_ext2 .*error")
    block, edge = 1024, 12 + 256
    # behind the array that is there, and, next to them, behind the doubly indirect block; and
    # the other way round, the direct ones, and behind the array
    for begin, end, lost in (((edge - 12), edge + 20, range(edge - 12, edge)),
                             (0, 32, range(16, 32))):
        faulty = Faulty(ctx, "blank-1k")
        disk = faulty.disk.mount("errors=continue", device=faulty.device.path)
        with open(disk.where("f"), "wb", 0) as file:
            os.pwrite(file.fileno(), writers.content(_OLD, 12 * block, 4 * block), 12 * block)
            os.fsync(file.fileno())
            os.ftruncate(file.fileno(), 600 * block)
            number = os.fstat(file.fileno()).st_ino
        # afterwards: what is there of the file is in one run, which is remembered
        writers.make(disk.where("spare"), 1, 500 * block)
        disk.umount()
        array = ext2disk.inode_pointers(disk.path, number)[12]
        _fill_bitmaps(disk.path)
        disk.mount("errors=continue,delalloc", device=faulty.device.path)
        fd = os.open(disk.where("f"), os.O_RDWR)
        with disturb.tuned(dirty_writeback_centisecs=0):
            data = writers.content(_NEW, begin * block, (end - begin) * block)
            assert os.pwrite(fd, data, begin * block) == len(data)
            disturb.reclaim()
            faulty.bad(array)
            assert error_of(os.fsync, fd)[1] in (errno.EIO, errno.ENOSPC)
            faulty.good()
            os.unlink(disk.where("spare"))
            for _ in range(2):
                error_of(os.fsync, fd)
            os.fsync(fd)
            ctx.drop_caches()
            for at in range(begin, end):
                want = bytes(block) if at in lost else writers.content(_NEW, at * block, block)
                got = os.pread(fd, block, at * block)
                assert got == want, f"{begin} to {end}: block {at}: {got[:40]}"
        os.close(fd)
        faulty.end()
        status, text = disks.fsck(ctx, disk.path, "-fy")
        assert status in (0, 1) and "ultiply-claimed" not in text, text
