# SPDX-License-Identifier: GPL-2.0
"""The first block of a new directory or symbolic link, which is written from the device's
cache, before anything leads to it.
"""

import contextlib
import os

import disks
import writers
from runner import timeout
from test_names_failing import FailingDevice
from test_twin import no_flusher

_LONG = "t" * 300


def _made(point, number):
    """A directory with a file and a directory in it, and a link whose target has a block."""
    path = os.path.join(point, f"d{number}")
    os.mkdir(path)
    os.mkdir(os.path.join(path, "sub"))
    with open(os.path.join(path, "file"), "wb"):
        pass
    os.symlink(_LONG, os.path.join(path, "link"))


def _look(point, numbers):
    for number in numbers:
        path = os.path.join(point, f"d{number}")
        assert sorted(os.listdir(path)) == ["file", "link", "sub"], path
        assert os.readlink(os.path.join(path, "link")) == _LONG, path


@timeout(60)
def test_nobody_waits(ctx):
    """Directories and links are made without a write, and written by a sync with a few
    flushes."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 writes each directory and waits")
    disk = disks.Disk(ctx, "blank-1k").mount()
    with no_flusher():
        disks.sync(disk.point)
        os.stat(disk.point)
        before = disks.done(disk.device)
        for number in range(50):
            _made(disk.point, number)
        made = disks.done(disk.device)
        disks.sync(disk.point)
        synced = disks.done(disk.device)
    ctx.log(f"{before}, {made}, {synced}")
    assert (made.writes, made.flushes) == (before.writes, before.flushes), (before, made)
    assert synced.flushes - made.flushes <= 8, (made, synced)
    ctx.drop_caches()
    _look(disk.point, range(50))
    disk.umount()
    disk.mount()
    _look(disk.point, range(50))
    disk.finish()


@timeout(60)
def test_others_see_the_directory(ctx):
    """Who has the device open while it is unmounted reads the directories as they are, not
    as they were when they were new."""
    for image in ("blank-1k", "blank-4k"):
        disk = disks.Disk(ctx, image).mount()
        device = os.open(disk.device, os.O_RDONLY)
        for number in range(5):
            _made(disk.point, number)
        disks.sync(disk.point)
        disk.umount()
        status, text = disks.fsck(ctx, disk.device, "-fn")
        os.close(device)
        assert status == 0, f"{image}: status {status}\n{text}"
        disk.check()


@timeout(60)
def test_name_of_what_is_there(ctx):
    """A new directory gets a name of a file that is on the disk, and is synced: its page waits for
    nothing but its own first block, which is not written over it."""
    for image in ("blank-1k", "blank-4k"):
        disk = disks.Disk(ctx, image).mount()
        with open(disk.where("file"), "wb"):
            pass
        disks.sync(disk.point)
        with no_flusher():
            os.mkdir(disk.where("d"))
            os.link(disk.where("file"), disk.where("d/name"))
            fd = os.open(disk.where("d"), os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
            disks.sync(disk.point)
        disk.umount()
        disk.mount()
        assert os.listdir(disk.where("d")) == ["name"], image
        disk.finish()


@timeout(60)
def test_that_could_not_be_written(ctx):
    """The block of a directory could not be written, and that is gone: what was in it is not
    written over what its next owner has there."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 leaves half of it done")
    ctx.allow_log("I/O error|lost async page write|rust_ext2 .*error")
    device = FailingDevice(ctx, "tiny-1k", "")
    disk = device.disk
    with no_flusher():
        disks.sync(disk.point)
        for number in range(5):
            os.mkdir(disk.where(f"d{number}"))
        os.symlink(_LONG, disk.where("link"))
        device.fail()
        with contextlib.suppress(OSError):
            disks.sync(disk.point)
        for number in range(5):
            os.rmdir(disk.where(f"d{number}"))
        os.unlink(disk.where("link"))
        device.work()
        with open(disk.where("file"), "wb", 0) as file:
            size = writers.fill(file.fileno(), (1 << 16, 1024))
            os.fsync(file.fileno())
        with contextlib.suppress(OSError):
            disks.sync(disk.point)
        with open(disk.where("file"), "r+b", 0) as file:
            file.truncate(size - 20480)
        os.mkdir(disk.where("other"))
        for _ in range(2):
            with contextlib.suppress(OSError):
                disks.sync(disk.point)
    disk.umount()
    disk.mount(device=device.path)
    with open(disk.where("file"), "rb") as file:
        found = file.read()
    assert len(found) == size - 20480
    assert found.count(b"\xff") == len(found), found.strip(b"\xff")[:60]
    device.end()
