# SPDX-License-Identifier: GPL-2.0
"""What moves from directory to directory, or from file to file, and a device whose
power goes (B12)."""

import os
import struct

import cuts
import disks
import ext2disk
import sides
import writelog
import writers
from lowlevel import fibmap, sync_data
from runner import timeout
from test_order import NO_PARENT, assert_parents, what_is_bad
from test_twin import no_flusher


def _check_cuts(ctx, replay, also=lambda text, what: None, entries=None):
    """e2fsck finds nothing bad on the disk after each write, of these entries if some are named,
    and without the others that had not been flushed; nor does `also` in what it says."""
    for number, path in cuts.each_write(ctx, replay):
        if entries is not None and number not in entries:
            continue
        text = disks.fsck(ctx, path, "-fn")[1]
        assert not what_is_bad(text), f"cut after entry {number}\n{text}"
        also(text, f"cut after entry {number}")


@timeout(240)
def test_directory_knows_its_parent(ctx):
    """A directory that moves to another has both names when its `..` changes on the disk,
    and never one and the `..` of the other: one that is on the disk, one that is new,
    one that replaces another, one that is new and whose inode is on the disk."""
    disk = disks.Disk(ctx, "tiny-1k")
    disk.mount()
    for folder in ("a", "b", "a/there", "a/comes", "b/over"):
        os.mkdir(os.path.join(disk.point, folder))
    disk.umount()
    logged = writelog.Logged(ctx, disk)
    disk.mount(device=logged.device.path)
    parents = [os.open(os.path.join(disk.point, folder), os.O_RDONLY) for folder in "ab"]
    os.mkdir(os.path.join(disk.point, "a/new"))
    for old, new in (("a/there", "b/there"), ("a/new", "b/new"), ("a/comes", "b/over")):
        os.rename(os.path.join(disk.point, old), os.path.join(disk.point, new))
        # the names are on the medium, and nobody has asked for what moved
        for parent in parents:
            os.fsync(parent)
    with no_flusher():
        for folder in ("a/stored", "b/other"):
            os.mkdir(os.path.join(disk.point, folder))
        os.fsync(parents[1])  # and so the inodes of both are there, and one of the names
        os.rename(os.path.join(disk.point, "a/stored"), os.path.join(disk.point, "b/stored"))
    for parent in parents:
        os.close(parent)
    disk.umount()
    replay = logged.end()
    disk.check()
    _check_cuts(ctx, replay, assert_parents)


@timeout(240)
def test_directory_goes_where_it_went(ctx):
    """A directory moves, and is removed or moves on from there, before anything is synced: the
    name that it came from does not come back with the `..` of the other."""
    disk = disks.Disk(ctx, "tiny-1k")
    disk.mount()
    for folder in ("a", "b", "a/goes", "a/on"):
        os.mkdir(os.path.join(disk.point, folder))
    disk.umount()
    logged = writelog.Logged(ctx, disk)
    with no_flusher():
        disk.mount(device=logged.device.path)
        os.mkdir(os.path.join(disk.point, "a/new"))
        for name in ("goes", "new"):
            os.rename(os.path.join(disk.point, "a", name), os.path.join(disk.point, "b", name))
            os.rmdir(os.path.join(disk.point, "b", name))
            disks.sync(disk.point)
        os.rename(os.path.join(disk.point, "a/on"), os.path.join(disk.point, "b/on"))
        os.rename(os.path.join(disk.point, "b/on"), os.path.join(disk.point, "on"))
        os.rmdir(os.path.join(disk.point, "on"))
        disks.sync(disk.point)
        disk.umount()
    replay = logged.end()
    disk.check()
    _check_cuts(ctx, replay, assert_parents)


def _table_block(disk, number):
    return ext2disk.inode_offset(disk.path, number) // 1024


@timeout(240)
def test_parent_goes_last(ctx):
    """Directories in directories are removed, and then all numbers are wanted: the inode that the
    `..` of one leads to is in use for as long as the disk has that."""
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("C leaves the order to e2fsck")
    disk = disks.Disk(ctx, "tiny-1k")
    disk.mount()
    # what is allocated later may have the images of what is gone written: there is room for names
    takers = [f"taker{count}" for count in range(110)]
    for taker in takers:
        os.mknod(disk.where(taker))
    for taker in takers:
        os.unlink(disk.where(taker))
    outer = [f"a{number}" for number in range(10)]
    for folder in outer:
        os.mkdir(disk.where(folder))
    os.mkdir(disk.where("between"))
    for count in range(8):
        os.mknod(disk.where(f"between/{count}"))
    for folder in outer:
        os.mkdir(disk.where(f"{folder}/goes"))
    for count in range(8, 16):
        os.mknod(disk.where(f"between/{count}"))
    # parents of what has an inode in a block that nobody else has written
    parents, goes = ([os.stat(disk.where(folder + below)).st_ino for folder in outer]
                     for below in ("", "/goes"))
    others = {_table_block(disk, number) for number in parents}
    numbers = {parent for parent, number in zip(parents, goes)
               if _table_block(disk, number) not in others}
    assert numbers, (parents, goes)
    disk.umount()
    logged = writelog.Logged(ctx, disk)
    with no_flusher():
        disk.mount(device=logged.device.path)
        for folder in outer:
            os.rmdir(disk.where(f"{folder}/goes"))
            os.rmdir(disk.where(folder))
        logged.mark("removed")
        for taker in takers:
            os.mknod(disk.where(taker))
            if os.stat(disk.where(taker)).st_ino in numbers:
                break
        else:
            raise AssertionError(f"nobody gets one of {sorted(numbers)}")
        fd = os.open(disk.where(taker), os.O_RDWR)
        os.fsync(fd)
        os.close(fd)
        logged.mark("taken")
        disk.umount()
    replay = logged.end()
    disk.check()
    begin, end = (number for number, entry in enumerate(replay.entries) if entry.mark)

    def has_parents(text, what):
        lost = NO_PARENT.search(text)
        assert not lost, f"{what}: {lost[0]}\n{text}"

    _check_cuts(ctx, replay, has_parents, range(begin, end))


@timeout(240)
def test_block_of_an_inode_that_is_not_there(ctx):
    """A new file is cut whose indirect block is on the disk and whose inode is not; what was
    cut off is another's before that inode is stored. The power goes: no block is of both."""
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("C leaves the order to e2fsck")
    disk = disks.Disk(ctx, "tiny-1k")
    disk.mount()
    for name in ("old", "taker"):
        with open(disk.where(name), "wb") as file:
            file.write(b"o" * (12 << 10))
    disk.umount()
    logged = writelog.Logged(ctx, disk)
    with no_flusher():
        disk.mount(options=disks.at_once(disk.fstype), device=logged.device.path)
        fds = [os.open(disk.where(name), os.O_CREAT | os.O_RDWR, 0o644)
               for name in ("old", "taker", "new")]
        old, taker, new = fds
        os.pwrite(new, b"n" * (100 << 10), 0)
        # its indirect block is written together with the other's
        os.pwrite(old, b"o" * 1024, 12 << 10)
        os.fsync(old)
        os.ftruncate(new, 20 << 10)
        writers.fill(taker, (64 << 10, 1 << 10), writers.ones)
        os.fsync(taker)
        os.fsync(new)
        for fd in fds:
            os.close(fd)
        disk.umount()
    replay = logged.end()
    disk.check()
    _check_cuts(ctx, replay)


def _place_of_array(device, first):
    """Where an array is that begins with a pointer, as the device's page cache has it."""
    with open(device, "rb") as file:
        data = file.read()
    found = [at // 4096 for at in range(0, len(data), 4096)
             if struct.unpack_from("<I", data, at)[0] == first]
    assert len(found) == 1, f"{found} begin with {first}"
    return found[0]


def _pointers(path, block, count=2):
    """The first pointers of an array, as the medium has it."""
    with open(path, "rb") as file:
        file.seek(block * 4096)
        return struct.unpack(f"<{count}I", file.read(4 * count))


@timeout(240)
def test_cut_from_a_new_array(ctx):
    """An array of pointers that no inode on the disk leads to has been written by itself, with a
    pointer to one that was not; then that is cut off. The inode leads to the array when it has
    been written without the pointer."""
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("C leaves the order to e2fsck")
    disk = disks.Disk(ctx, "tiny-4k")
    logged = writelog.Logged(ctx, disk)
    with no_flusher():
        disk.mount(options=disks.at_once(disk.fstype), device=logged.device.path)
        new, other, anchor = fds = [os.open(disk.where(name), os.O_CREAT | os.O_RDWR, 0o644)
                                    for name in ("new", "other", "anchor")]
        number = os.fstat(new).st_ino
        disks.sync(disk.point)
        # behind the second array but one, and the last that hangs on it
        first, second = 12 + 1024, 12 + 2048
        os.pwrite(new, b"n" * 4096, first * 4096)
        # which has all arrays written that wait
        os.pwrite(other, b"o" * 4096, 12 * 4096)
        os.fsync(other)
        os.pwrite(new, b"n" * 4096, second * 4096)
        leaf = _place_of_array(logged.device.path, fibmap(new, second))
        array = _place_of_array(
            logged.device.path, _place_of_array(logged.device.path, fibmap(new, first)))
        with open(logged.device.path, "rb") as device:
            sync_data(device.fileno(), array * 4096, 4096)
        os.fsync(anchor)  # has nothing to write, and flushes the device
        # so much is needed for there to be something to go wrong
        assert _pointers(disk.path, array)[1] == leaf, "the array was not written"
        assert _pointers(disk.path, leaf)[0] != fibmap(new, second), "what it leads to was written"
        assert not ext2disk.inode_pointers(disk.path, number)[13], "the inode leads to it"
        os.ftruncate(new, (first + 1) * 4096)
        os.fsync(new)
        for fd in fds:
            os.close(fd)
        disk.umount()
    replay = logged.end()
    disk.check()
    led = 0
    for entry, path in cuts.each_write(ctx, replay):
        if ext2disk.inode_pointers(path, number)[13] == array:
            led += 1
            found = _pointers(path, array)
            assert not found[1], f"cut after entry {entry}: it leads to {found}"
    assert led, "the inode has never led to it"
