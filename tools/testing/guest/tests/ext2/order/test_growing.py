# SPDX-License-Identifier: GPL-2.0
"""Directories that grow while their inodes are stored for others (B12): what the disk has of a
directory then is a directory, with what others have waited for; and one that cannot be stored goes
all the same.
"""

import contextlib
import errno
import os
import random
import struct
import time

import disks
import dm
import ext2disk
import faults
import sysapi
import waiting
import writelog
from lowlevel import error_of
from runner import timeout
from test_delayed_limits import _can_fail, _fail_each
from test_metadata_lost import prepared
from test_moved_files import LONG, _make, _sync
from test_name_cuts import serial_of
from test_order import look
from test_twin import no_flusher

DELAY = 0.5  # seconds, of each flush


@contextlib.contextmanager
def _slowly_flushed(ctx, disk):
    """The disk is mounted through a device each flush of which takes DELAY, and nothing else
    does."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C waits at each change of a name")
    assert "null_blk" not in sysapi.loaded_modules()
    ctx.load("dm-mod")
    ctx.load("null_blk", f"nr_devices=1 gb=1 memory_backed=1 cache_size=1 irqmode=2 "
                         f"completion_nsec={int(DELAY * 1e9)}")
    ctx.afterwards(sysapi.rmmod, "null_blk")
    size = dm.sectors(disk.device)
    # behind the end of the filesystem, and flushed with it
    device = dm.Device(f"slow-{os.getpid()}", [
        (0, size, "linear", f"{disk.device} 0"), (size, 8, "linear", "/dev/nullb0 0")])
    ctx.afterwards(device.remove)
    with no_flusher():
        disk.mount(device=device.path)
        yield
        disk.umount()
    device.remove()


def _now(disk):
    """What the device has."""
    with open(disk.path, "rb") as file:
        return file.read()


def _make_names(disk, folder, until, pause=0.02, first=0):
    """Names in a directory, four to a block of 1 KiB, until it is enough; how many there are."""
    count = first
    while not until(count):
        os.link(disk.where("filler"), disk.where(f"{folder}/filler{count:04}{LONG}"))
        count += 1
        time.sleep(pause)
    return count


@timeout(120)
def test_beside_one_that_moves(ctx):
    """A file moves to a new block of a directory, in which others make more names while the one
    that it has left is synced: it has a name on the disk."""
    disk = disks.Disk(ctx, "tiny-1k").mount()
    for folder in "ab":
        os.mkdir(disk.where(folder))
    _make(disk.where("filler"), 0)
    _make(disk.where(f"a/file-1001-{LONG}"), 1001)
    # three blocks without room; what comes after the fourth is in another page
    for number in range(12):
        os.link(disk.where("filler"), disk.where(f"b/before{number}{LONG}"))
    assert os.stat(disk.where("b")).st_size == 3072
    disk.umount()
    with _slowly_flushed(ctx, disk):
        os.rename(disk.where(f"a/file-1001-{LONG}"), disk.where(f"b/file-1001-{LONG}"))
        assert os.stat(disk.where("b")).st_size == 4096
        syncing = waiting.Task(_sync, disk.where("a"))
        count = _make_names(disk, "b", lambda _: not syncing.is_alive())
        syncing.result()
        data = _now(disk)
        assert count > 8, "nothing was slow"
    disk.check()
    found = {serial_of(name) for name in look(ctx, disk, data, f"beside {count} names")}
    assert found == {"1001"}, f"without a name beside {count}: {found}"


@timeout(120)
def test_new_one(ctx):
    """A new directory grows while its parent is synced: where it has a name on the disk it has its
    first block."""
    disk = disks.Disk(ctx, "tiny-1k").mount()
    _make(disk.where("filler"), 0)
    disk.umount()
    with _slowly_flushed(ctx, disk):
        os.mkdir(disk.where("d"))
        number = os.stat(disk.where("d")).st_ino
        syncing = waiting.Task(_sync, disk.point)
        time.sleep(DELAY / 3)
        _make_names(disk, "d", lambda count: count >= 5)
        assert syncing.is_alive(), "nothing was slow"
        assert os.stat(disk.where("d")).st_size == 2048
        syncing.result()
        data = _now(disk)
    disk.check()
    path = os.path.join(ctx.tmp, "now")
    with open(path, "wb") as file:
        file.write(data)
    point = ctx.mount(path, disk.fstype)
    assert os.listdir(point).count("d") == 1
    assert ext2disk.inode_pointers(path, number)[0]
    assert ext2disk.inode_size(path, number) >= 1024, \
        f"a directory of {ext2disk.inode_size(path, number)} bytes"
    ctx.umount(point)


@timeout(120)
def test_goes_without_its_array(ctx):
    """The array of pointers behind which a directory has grown cannot be written: the directory
    goes, and is nothing that e2fsck would find."""
    with prepared(ctx, options="errors=continue") as (faulty, disk):
        _make(disk.where("filler"), 0)
        os.mkdir(disk.where("d"))
        _make_names(disk, "d", lambda count: os.stat(disk.where("d")).st_size > 14 * 1024)
        number = os.stat(disk.where("d")).st_ino
        disks.sync(disk.point)
        size = os.stat(disk.where("d")).st_size
        for at in range(5):
            os.link(disk.where("filler"), disk.where(f"d/more{at}{LONG}"))
        assert os.stat(disk.where("d")).st_size > size
        faulty.bad(ext2disk.inode_pointers(disk.path, number)[12])
        for name in os.listdir(disk.where("d")):
            os.unlink(disk.where(f"d/{name}"))
        os.rmdir(disk.where("d"))
        error_of(disks.sync, disk.point)
        faulty.good()
        for _ in range(2):
            with contextlib.suppress(OSError):
                disks.sync(disk.point)
        disks.sync(disk.point)
        faulty.end()
        status, text = disks.fsck(ctx, disk.path, "-fn")
        assert status == 0, text


@timeout(300)
def test_behind_two_arrays(ctx):
    """At any cut a directory has no hole where it grows from one array of pointers to the next,
    to which another array leads that is on the disk: 1 KiB blocks, the 524th and those around."""
    disk = disks.Disk(ctx, "tiny-1k").mount()
    _make(disk.where("filler"), 0)
    os.mkdir(disk.where("d"))
    _make_names(disk, "d", lambda count: count >= 522 * 4, pause=0)
    assert os.stat(disk.where("d")).st_size == 522 * 1024
    disk.umount()
    logged = writelog.Logged(ctx, disk)
    disk.mount(device=logged.device.path)
    for number in range(20):
        os.link(disk.where("filler"), disk.where(f"d/later{number}{LONG}"))
        if number % 3 == 2:
            # the array may be in the device's page cache only, and the inode on the disk
            (disks.sync if number % 2 else _sync)(disk.where("d"))
    disk.umount()
    replay = logged.end()
    disk.check()
    writes = replay.writes()
    for number in sorted(random.Random(8).sample(writes, min(len(writes), 40))):
        data, _ = replay.at(number + 1, lambda other, number=number: other != number)
        look(ctx, disk, data, f"cut after entry {number}")


@timeout(120)
def test_array_that_cannot_be_written(ctx):
    """Behind an array of pointers that cannot be written a directory does not grow on the disk,
    and has no hole: fsync(2) says so, and has all of it there when the device is good."""
    with prepared(ctx, options="errors=continue") as (faulty, disk):
        _make(disk.where("filler"), 0)
        os.mkdir(disk.where("d"))
        _make_names(disk, "d", lambda count: count >= 60, pause=0)
        disks.sync(disk.point)
        fd = os.open(disk.where("d"), os.O_RDONLY)
        number, size = os.fstat(fd).st_ino, os.fstat(fd).st_size
        faulty.bad(ext2disk.inode_pointers(disk.path, number)[12])
        _make_names(disk, "d", lambda count: count >= 68, pause=0, first=60)
        assert os.fstat(fd).st_size == size + 2048
        assert error_of(os.fsync, fd)[1] == errno.EIO
        assert error_of(os.fsync, fd)[1] == errno.EIO, "and then no more"
        look(ctx, disk, _now(disk), "while it is bad")
        faulty.good()
        error_of(os.fsync, fd)  # of before
        os.fsync(fd)
        os.close(fd)
        cut = os.path.join(ctx.tmp, "now")
        with open(cut, "wb") as file:
            file.write(_now(disk))
        point = ctx.mount(cut, disk.fstype)
        assert len(os.listdir(os.path.join(point, "d"))) == 68
        ctx.umount(point)
        disk.umount()
        faulty.device.remove()


def _on_disk(disk, number, block):
    """(blocks that the image of a directory has, what `block`, its array, leads to)."""
    with open(disk.path, "rb") as file:
        file.seek(block * 1024)
        pointers = struct.unpack("<256I", file.read(1024))
    return ext2disk.inode_size(disk.path, number) // 1024, 12 + sum(map(bool, pointers))


@timeout(300)
def test_array_without_memory(ctx):
    """As before, and from one allocation after the other on there is no memory: neither does a
    directory grow behind an array for which it could not be noted to wait."""
    _can_fail(ctx)
    with prepared(ctx, "blank-1k", "errors=continue") as (faulty, disk):
        options = disks.at_once(disk.fstype, "errors=continue")
        _make(disk.where("filler"), 0)
        told = []

        def fails(number):
            os.mkdir(disk.where(f"d{number}"))
            _make_names(disk, f"d{number}", lambda count: count >= 52, pause=0)
            inode = os.stat(disk.where(f"d{number}")).st_ino
            # so that there is no memory from before
            disk.umount()
            disk.mount(options, device=faulty.device.path)
            array = ext2disk.inode_pointers(disk.path, inode)[12]
            assert _on_disk(disk, inode, array) == (13, 13)
            fd = os.open(disk.where(f"d{number}"), os.O_RDONLY)
            new = disk.where(f"d{number}/{'m' * 200}")
            os.listdir(fd)  # so that nothing has to be read
            faulty.bad(array)
            with faults.memory_is_short(number) as came:
                status = error_of(os.link, disk.where("filler"), new)[1]
            told.append(status)
            error_of(os.fsync, fd)
            error_of(disks.sync, disk.point)
            blocks, led = _on_disk(disk, inode, array)
            assert blocks <= led, f"from allocation {number} on: {blocks} blocks, {led} of them"
            faulty.good()
            for _ in range(2):
                error_of(disks.sync, disk.point)
            error_of(os.fsync, fd)  # of before
            os.fsync(fd)
            os.close(fd)
            assert os.path.lexists(new) == (status == 0)
            assert status in (0, errno.ENOMEM, errno.EIO), f"from allocation {number} on: {status}"
            return came[0]

        _fail_each(ctx, fails)
        assert told[-1] == 0, "it fails with memory, too"
        assert errno.EIO in told, f"the array was never looked for: {told}"
        faulty.finish()
