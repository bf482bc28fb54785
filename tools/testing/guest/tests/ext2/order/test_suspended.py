# SPDX-License-Identifier: GPL-2.0
"""What others see while somebody waits for the device: a device that is suspended holds
open what is a few instructions otherwise (B14, B18)."""

import contextlib
import fcntl
import os

import disks
import ext2disk
import sides
import waiting
import writers
from lowlevel import fibmap, sync_data
from runner import timeout
from test_state import FIFREEZE, FITHAW
from test_twin import no_flusher


@contextlib.contextmanager
def _mounted(ctx, image):
    """A disk that is mounted through a device that can be suspended, and the size of its
    blocks. Nothing is written unless somebody says so."""
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("C leaves the order to e2fsck")
    disk, device = waiting.held_up(ctx, image)
    disk.mount(device=device.path)
    with no_flusher():
        yield disk, device, ext2disk.Groups(disk.path).size


def _write_back(path):
    """The device writes what is dirty in its own page cache."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def _free(disk):
    return os.statvfs(disk.point).f_bfree


def _ends_while_written(disk, device, fd, first, others):
    """The last user of a file without a name closes it while a metadata block of it is
    being written: so many of its blocks are free then, that one and the others at last."""
    before = _free(disk)
    with device.suspended():
        writing = waiting.Task(_write_back, device.path)
        assert writing.falls_asleep(), writing
        closing = waiting.Task(os.close, fd)
        assert closing.falls_asleep(), closing
        meanwhile = _free(disk) - before
    writing.result()
    closing.result()
    assert meanwhile == first, f"{meanwhile} blocks were free, not {first}"
    assert _free(disk) - before == first + 1 + others


def test_indirect_block_is_forgotten_first(ctx):
    """An indirect block is free when nobody writes it any more: what its next owner has
    there would be forgotten."""
    with _mounted(ctx, "blank-1k") as (disk, device, size):
        fd = os.open(disk.where("file"), os.O_CREAT | os.O_RDWR, 0o644)
        os.pwrite(fd, b"a" * 20 * size, 0)
        os.fsync(fd)
        os.unlink(disk.where("file"))
        os.pwrite(fd, b"b" * size, 20 * size)
        assert fibmap(fd, 20)
        # the direct ones are freed last
        _ends_while_written(disk, device, fd, 9, 12)
        disk.finish()


@timeout(240)
def test_image_of_what_was_cut(ctx):
    """A file is cut while its image waits for an indirect block, which was written with the
    data, to be flushed: the image that is stored then has nothing of what was cut off and
    may be another's."""
    with _mounted(ctx, "tiny-1k") as (disk, device, size):
        fds = [os.open(disk.where(f"f{number}"), os.O_CREAT | os.O_RDWR, 0o644)
               for number in range(18)]
        disks.sync(disk.point)
        filler, new = fds.pop(), fds.pop(0)
        # whose name is on the disk, or fsync(2) would bring that there, with another image
        os.pwrite(new, b"n" * 5 * size, 0)
        disks.sync(disk.point)
        os.pwrite(new, b"n" * 25 * size, 5 * size)
        assert fibmap(new, 29)
        # of the data, which nobody has to wait for then
        sync_data(new)
        before = _free(disk)
        with device.suspended():
            storing = waiting.Task(os.fsync, new)
            assert storing.falls_asleep(), storing
            cutting = waiting.Task(os.ftruncate, new, 0)
            assert not cutting.falls_asleep(), cutting
            assert _free(disk) - before == 31
        storing.result()
        cutting.result()
        writers.fill(filler, (64 * size, size), writers.ones)
        os.fsync(filler)
        # the power goes
        path = os.path.join(ctx.tmp, "crash")
        with open(disk.path, "rb") as source, open(path, "wb") as target:
            target.write(source.read())
        status, text = disks.fsck(ctx, path, "-fy")
        assert status in (0, 1) and "ultiply-claimed" not in text, text
        for fd in (new, filler, *fds):
            os.close(fd)
        disk.finish()


def test_batch_under_way(ctx):
    """Two new files whose indirect blocks are written together: the image of the second,
    too, has no pointer to its block before that is written."""
    with _mounted(ctx, "blank-4k") as (disk, device, size):
        fds = [os.open(disk.where(name), os.O_CREAT | os.O_RDWR, 0o644)
               for name in ("one", "other")]
        disks.sync(disk.point)
        for fd in fds:
            os.pwrite(fd, b"d" * 14 * size, 0)
            assert fibmap(fd, 13)
            # of the data, which nobody has to wait for then
            sync_data(fd)
        number = os.fstat(fds[1]).st_ino
        with device.suspended():
            tasks = []
            for fd in fds:
                tasks.append(waiting.Task(os.fsync, fd))
                assert tasks[-1].falls_asleep(), tasks[-1]
            meanwhile = ext2disk.inode_pointers(device.path, number)
        for task in tasks:
            task.result()
        at_last = ext2disk.inode_pointers(disk.path, number)
        assert at_last[12] != 0, at_last
        assert meanwhile[12] == 0, meanwhile
        for fd in fds:
            os.close(fd)
        disk.finish()


@timeout(120)
def test_deletion_beside_a_freeze(ctx):
    """A file without a name is closed while the filesystem is being frozen: its blocks are
    free on the disk, too, when that says that it need not be checked."""
    with _mounted(ctx, "blank-1k") as (disk, device, size):
        fd = os.open(disk.where("file"), os.O_CREAT | os.O_RDWR, 0o644)
        # an indirect block for each, which are to be read one after the other
        for number in range(1, 60):
            os.pwrite(fd, b"f" * size, (12 + 256 * number) * size)
        os.unlink(disk.where("file"))
        disks.sync(disk.point)
        point = os.open(disk.point, os.O_RDONLY)
        ctx.drop_caches()
        with device.suspended():
            closing = waiting.Task(os.close, fd)
            assert closing.falls_asleep(), closing
            freezing = waiting.Task(fcntl.ioctl, point, FIFREEZE, 0)
            assert freezing.falls_asleep(), freezing
        closing.result()
        freezing.result()
        path = os.path.join(ctx.tmp, "frozen")
        with open(disk.path, "rb") as source, open(path, "wb") as target:
            target.write(source.read())
        fcntl.ioctl(point, FITHAW, 0)
        os.close(point)
        disk.finish()
    status, text = disks.fsck(ctx, path, "-fn")
    assert status == 0, text
