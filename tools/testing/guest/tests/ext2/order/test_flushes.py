# SPDX-License-Identifier: GPL-2.0
"""How often the device is flushed, and what for (B18): dm-log-writes counts."""

import os
import time

import disks
import disturb
import ext2disk
import writelog
import writers
from runner import timeout
from test_order import what_is_bad


def _new_files(disk):
    """400 files of 16 to 60 KiB, the largest with indirect blocks: (path, size)."""
    files = []
    for number in range(400):
        files.append((disk.where(f"f{number}"), (16 + 44 * (number % 11) // 10) * 1024))
        with open(files[-1][0], "wb", 0) as file:
            file.write(b"\xaa" * files[-1][1])
    return files


def _flushes(ctx, image, write_back):
    """How often the device is flushed until write_back(disk, files) is done."""
    disk = disks.Disk(ctx, image)
    logged = writelog.Logged(ctx, disk)
    disk.mount(device=logged.device.path)
    disks.sync(disk.point)
    logged.mark("begin")
    with disturb.tuned(dirty_writeback_centisecs=0):
        files = _new_files(disk)
        write_back(disk, files)
    logged.mark("end")
    disk.umount()
    replay = logged.end()
    disk.check()
    marks = [number for number, entry in enumerate(replay.entries) if entry.mark]
    flushes = sum(entry.is_flush and not entry.mark
                  for entry in replay.entries[marks[0]:marks[1]])
    ctx.log(f"{image}: {flushes} flushes")
    return flushes


@timeout(240)
def test_of_a_sync(ctx):
    """400 new files and a sync, of the filesystem or of all: the device is flushed a few
    times, not once for each file."""
    for image in ("blank-1k", "blank-4k"):
        for call in (lambda disk, _: disks.sync(disk.point), lambda *_: os.sync()):
            flushes = _flushes(ctx, image, call)
            assert 0 < flushes <= 5, f"{image}: {flushes} flushes for 400 files"


def _leave_it_to_the_flusher(disk, files):
    """Until the images of all inodes have their pointers on the disk."""
    block = os.statvfs(disk.point).f_bsize
    deadline = time.monotonic() + 100
    with disturb.tuned(dirty_expire_centisecs=1, dirty_writeback_centisecs=10):
        for path, size in files:
            number = os.stat(path).st_ino
            last = min((size - 1) // block, 12)
            while not ext2disk.inode_pointers(disk.path, number)[last]:
                assert time.monotonic() < deadline, f"inode {number} is not written"
                time.sleep(0.1)


@timeout(240)
def test_of_the_flusher(ctx):
    """400 new files that nobody syncs: what the flusher has to flush is of all of them,
    too, and all of them get to the disk."""
    flushes = _flushes(ctx, "blank-1k", _leave_it_to_the_flusher)
    assert 0 < flushes <= 6, f"{flushes} flushes for 400 files"


@timeout(240)
def test_of_an_append(ctx):
    """4 MiB behind the end of a file whose tree is on the disk, with blocks of 1 KiB: the 16
    arrays of pointers that they need are flushed together, and each cut leaves a tree, on a
    disk that has something else everywhere. Where nothing is delayed nobody knows of the
    arrays behind the one that is needed now, and there is a flush for each."""
    most = 17 if disks.is_at_once(ctx) else 4
    disk = disks.Disk(ctx, "blank-1k")
    writers.stain(disk)
    logged = writelog.Logged(ctx, disk)
    disk.mount(device=logged.device.path)
    with disturb.tuned(dirty_writeback_centisecs=0), open(disk.where("f"), "wb", 0) as file:
        file.write(b"a" * (600 << 10))
        os.fsync(file.fileno())
        disks.sync(disk.point)
        logged.mark("begin")
        file.write(b"b" * (4 << 20))
        os.fsync(file.fileno())
        logged.mark("end")
    disk.umount()
    replay = logged.end()
    disk.check()
    begin, end = [number for number, entry in enumerate(replay.entries) if entry.mark]
    flushes = sum(entry.is_flush for entry in replay.entries[begin + 1:end])
    ctx.log(f"{flushes} flushes")
    assert 0 < flushes <= most, f"{flushes} flushes for 16 arrays"
    path = os.path.join(ctx.tmp, "cut")
    places = [number for number in replay.writes() if begin < number < end]
    for number in places:
        data, _ = replay.at(number + 1, lambda other, number=number: other != number)
        with open(path, "wb") as file:
            file.write(data)
        text = disks.fsck(ctx, path, "-fn")[1]
        assert not what_is_bad(text), f"cut after entry {number}\n{text}"


def _moved(ctx, image, move):
    """How often the device is flushed until 300 files that are on the disk have moved, and all is
    on the disk again."""
    disk = disks.Disk(ctx, image)
    disk.mount()
    for folder in "ab":
        os.mkdir(disk.where(folder))
        for number in range(300):
            with open(disk.where(f"{folder}/{folder}{number}"), "wb"):
                pass
    disk.umount()
    logged = writelog.Logged(ctx, disk)
    disk.mount(device=logged.device.path)
    with disturb.tuned(dirty_writeback_centisecs=0):
        for number in range(300):
            move(disk, number)
        logged.mark("moved")
        disks.sync(disk.point)
    disk.umount()
    replay = logged.end()
    disk.check()
    at = next(number for number, entry in enumerate(replay.entries) if entry.mark == "moved")
    before = sum(entry.is_flush for entry in replay.entries[:at])
    after = sum(entry.is_flush for entry in replay.entries[at:])
    ctx.log(f"{image}: {before} flushes, {after} for the sync")
    return before, after


@timeout(240)
def test_of_moves(ctx):
    """300 files that are on the disk move to another directory, or get longer names in theirs, for
    which others make room: nothing waits for the device before somebody syncs."""
    def to_another(disk, number):
        os.rename(disk.where(f"a/a{number}"), disk.where(f"b/c{number}"))

    def in_the_same(disk, number):
        os.rename(disk.where(f"a/a{number}"), disk.where(f"a/a{number}" + "x" * 100))

    for image in ("blank-1k", "blank-4k"):
        for move in (to_another, in_the_same):
            before, after = _moved(ctx, image, move)
            # the mark of the log is one
            assert before <= 12 and after <= 8, f"{image}, {move.__name__}: {before}, {after}"
