# SPDX-License-Identifier: GPL-2.0
"""A block of a directory that cannot be written (B14): errors= acts at the time, at whatever
sync meets it, and it is said once.
"""

import errno
import os
import struct

import disks
import ext2disk
import sysapi
import writers
from lowlevel import error_of
from runner import timeout
from test_metadata_lost import ERROR_STATE, _forget, prepared, table_block
from test_order import assert_parents

READ_ONLY = "errors=remount-ro"


class _Directory:
    """A directory on a device that can be made to fail, and how often it was said of it that it
    cannot be written."""

    def __init__(self, faulty, disk):
        self._faulty, self._disk = faulty, disk
        os.mkdir(disk.where("d"))
        writers.make(disk.where("d/old"), 1, 3000)
        disks.sync(disk.point)
        self.number = os.stat(disk.where("d")).st_ino
        self._begin = len(faulty.ctx.kernel_log())

    def make(self, name):
        with open(self._disk.where(f"d/{name}"), "wb"):
            pass

    def fail(self):
        """Its block is bad, and its inode is not."""
        self._faulty.bad(ext2disk.inode_pointers(self._disk.path, self.number)[0])

    def said(self):
        text = f"directory {self.number}: cannot be written"
        return sum(text in line for line in self._faulty.ctx.kernel_log()[self._begin:])


def _repaired(faulty):
    """Unmounted, the disk is to be checked, and e2fsck can do that."""
    faulty.end()
    assert ext2disk.superblock(faulty.disk.path)["state"] & ERROR_STATE
    status, text = disks.fsck(faulty.ctx, faulty.disk.path, "-fy")
    assert status in (0, 1), text


def _becomes_read_only(ctx, sync):
    """With errors=remount-ro `sync`, which gets the directory opened, is the end of writing; what
    could not be written is when the device is good and the disk is mounted for writing again."""
    with prepared(ctx, options=READ_ONLY) as (faulty, disk):
        directory = _Directory(faulty, disk)
        directory.make("new")
        fd = os.open(disk.where("d"), os.O_RDONLY)
        directory.fail()
        sync(faulty, fd)
        shown = disks.shown_options(disk.point)
        refused = error_of(os.mkdir, disk.where("other"))[1]
        said = directory.said()
        os.close(fd)
        faulty.good()
        assert "ro" in shown and refused == errno.EROFS, f"{sync.__name__}: {shown}, {refused}"
        assert said == 1, f"{sync.__name__}: said {said} times"
        disk.remount(options=disks.at_once(disk.fstype, READ_ONLY))
        os.mkdir(disk.where("other"))
        _repaired(faulty)
        disk.mount()
        assert sorted(os.listdir(disk.where("d"))) == ["new", "old"], sync.__name__
        disk.umount()


@timeout(100)
def test_read_only(ctx):
    """errors=remount-ro acts when the directory is synced, a file in it, or all."""
    def directory(_, fd):
        assert error_of(os.fsync, fd)[1] == errno.EIO

    def file_in_it(_, fd):
        file = os.open("new", os.O_RDWR, dir_fd=fd)
        assert error_of(os.fsync, file)[1] == errno.EIO
        os.close(file)

    def everything(_, fd):
        assert error_of(sysapi.syncfs, fd)[1] == errno.EIO

    for sync in (directory, file_in_it, everything):
        _becomes_read_only(ctx, sync)


@timeout(60)
def test_read_only_later(ctx):
    """It failed in passing, when nobody was there to be told, and the device is good again: the
    next sync has it written, and errors=remount-ro acts."""
    def in_passing(faulty, fd):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)  # which begins to write, no more
        faulty.good()
        assert "rw" in disks.shown_options(faulty.disk.point)
        error_of(sysapi.syncfs, fd)  # the VFS has an error for who asks first

    _becomes_read_only(ctx, in_passing)


@timeout(60)
def test_said_once(ctx):
    """errors=continue: it is said once, however often it is tried, once more if it fails again
    after it was written, and not again by unmounting."""
    with prepared(ctx, options="errors=continue") as (faulty, disk):
        directory = _Directory(faulty, disk)
        for times in (1, 2):
            directory.fail()
            directory.make(f"new{times}")
            for _ in range(3):
                assert error_of(disks.sync, disk.point)[1] == errno.EIO
            assert directory.said() == times
            if times == 1:
                faulty.good()
                error_of(disks.sync, disk.point)
                disks.sync(disk.point)
        _repaired(faulty)
        assert directory.said() == 2


def _copy(ctx, disk):
    """What the disk has if the power goes now."""
    path = os.path.join(ctx.tmp, "now")
    with open(disk.path, "rb") as source, open(path, "wb") as target:
        target.write(source.read())
    return path


def _names_in(disk, block):
    """The names in a block of a directory on the disk."""
    with open(disk.path, "rb") as file:
        file.seek(block * 1024)
        data = file.read(1024)
    found, at = [], 0
    while at < len(data):
        inode, length, size = struct.unpack_from("<IHB", data, at)
        if inode:
            found.append(os.fsdecode(data[at + 8:at + 8 + size]))
        at += length
    return found


def _after_a_cut(ctx, disk):
    """{name: inode} of the directory if the power goes now, and e2fsck has repaired the disk."""
    path = _copy(ctx, disk)
    status, text = disks.fsck(ctx, path, "-fy")
    assert status in (0, 1), text
    point = ctx.mount(path, disk.fstype)
    folder = os.path.join(point, "d")
    found = {name: os.stat(os.path.join(folder, name)).st_ino for name in os.listdir(folder)}
    ctx.umount(point)
    return found


@timeout(60)
def test_fsync_of_what_left_memory(ctx):
    """The name of a file could not be written, and the file has left memory since: who opens it
    again, when the device is good, and has fsync(2) say that it is there, has its name there."""
    with prepared(ctx, options="errors=continue") as (faulty, disk):
        directory = _Directory(faulty, disk)
        fd = os.open(disk.where("d"), os.O_RDONLY)  # the directory stays
        directory.fail()
        directory.make("new")
        number = os.stat(disk.where("d/new")).st_ino
        assert error_of(disks.sync, disk.point)[1] == errno.EIO
        _forget()
        faulty.good()
        file = os.open("new", os.O_RDWR, dir_fd=fd)
        for _ in range(3):
            status = error_of(os.fsync, file)[1]
            if not status:
                break
            assert status == errno.EIO
        assert not status, "fsync does not end with that"
        old = os.stat(disk.where("d/old")).st_ino
        assert _after_a_cut(ctx, disk) == {"new": number, "old": old}
        os.close(file)
        os.close(fd)
        faulty.end()


def _there_again(ctx, change):
    """With dirsync a name goes from the disk by change(disk), which fails after that: the name is
    there again, and fsync(2) of what has it brings it back to the disk."""
    with prepared(ctx, options="errors=continue,dirsync") as (faulty, disk):
        directory = _Directory(faulty, disk)
        for number in range(20):
            os.mknod(disk.where(f"d/filler{number}"))
        os.mknod(disk.where("d/goes"))
        fd = os.open(disk.where("d/goes"), os.O_RDONLY)
        inode = os.fstat(fd).st_ino
        os.fsync(fd)  # so the name is known to be there
        assert _after_a_cut(ctx, disk).get("goes") == inode
        groups = ext2disk.Groups(disk.path)
        bad, other = (table_block(disk.path, groups, number)
                      for number in (directory.number, inode))
        assert bad != other, "the inode cannot be written, and so no name of it"
        faulty.bad(bad)
        assert error_of(change, disk)[1] == errno.EIO
        faulty.good()
        assert os.stat(disk.where("d/goes")).st_ino == inode
        assert "goes" not in _after_a_cut(ctx, disk), "it has not gone from the disk"
        os.fsync(fd)
        assert _after_a_cut(ctx, disk).get("goes") == inode
        os.close(fd)
        faulty.end()


@timeout(60)
def test_fsync_of_what_was_not_unlinked(ctx):
    """By unlink(2)."""
    _there_again(ctx, lambda disk: os.unlink(disk.where("d/goes")))


@timeout(60)
def test_fsync_of_what_was_not_renamed(ctx):
    """By rename(2), in the same block."""
    _there_again(ctx, lambda disk: os.rename(disk.where("d/goes"), disk.where("d/new")))


def _fsync(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def _about_to_move(faulty, disk):
    """(the directory, d/goes that is about to be e/goes, the block that the inode of the directory
    is in and no other of these): all is on the disk."""
    directory = _Directory(faulty, disk)
    for number in range(20):
        os.mknod(disk.where(f"d/filler{number}"))
    os.mkdir(disk.where("e"))
    os.mknod(disk.where("d/goes"))
    inode = os.stat(disk.where("d/goes")).st_ino
    disks.sync(disk.point)
    groups = ext2disk.Groups(disk.path)
    block, *others = (table_block(disk.path, groups, number) for number in
                      (directory.number, inode, os.stat(disk.where("e")).st_ino))
    assert block not in others, "more than the old directory cannot be written"
    return directory, inode, block


@timeout(60)
def test_both_names_of_what_was_not_renamed(ctx):
    """With dirsync the old name goes from the disk by rename(2), which fails after that: it is there
    before the new one goes, of which the other directory tells the disk."""
    with prepared(ctx, options="errors=continue,dirsync") as (faulty, disk):
        _, inode, bad = _about_to_move(faulty, disk)
        faulty.bad(bad)
        old, new = disk.where("d/goes"), disk.where("e/goes")
        assert error_of(os.rename, old, new)[1] == errno.EIO
        faulty.good()
        assert os.path.exists(old) and not os.path.exists(new)
        _fsync(disk.where("e"))
        assert _after_a_cut(ctx, disk).get("goes") == inode, "no name is left"
        faulty.end()


@timeout(60)
def test_old_name_cannot_come_back(ctx):
    """As before, and the old name cannot be written either when it is to be there again: the new
    one goes from the disk after that."""
    with prepared(ctx, options="errors=continue,dirsync") as (faulty, disk):
        directory, inode, bad = _about_to_move(faulty, disk)
        for name in "de":
            _fsync(disk.where(name))
        block = ext2disk.inode_pointers(disk.path, directory.number)[0]
        old, new = disk.where("d/goes"), disk.where("e/goes")
        with faulty.fails(block, times=9, bad=bad, after=1):
            assert error_of(os.rename, old, new)[1] == errno.EIO
        assert "goes" not in _names_in(disk, block), "the old name has never gone"
        faulty.good()
        assert os.path.exists(old) and not os.path.exists(new)
        error_of(_fsync, disk.where("e"))
        assert _after_a_cut(ctx, disk).get("goes") == inode, "no name is left"
        faulty.end()


@timeout(60)
def test_parent_of_what_was_not_moved(ctx):
    """A directory moves, and its `..` is written, and not all of it: it has that of the name that it
    has on the disk, also when the new directory has been synced without it."""
    with prepared(ctx, "blank-1k", "errors=continue") as (faulty, disk):
        for name in ("d", "e", "d/goes"):
            os.mkdir(disk.where(name))
        for number in range(3):
            os.mknod(disk.where(f"d/goes/{number:0250}"))
        disks.sync(disk.point)
        number = os.stat(disk.where("d/goes")).st_ino
        os.mknod(disk.where(f"d/goes/{3:0250}"))
        disks.sync(disk.point)
        first, second = ext2disk.inode_pointers(disk.path, number)[:2]
        assert second == first + 1, f"blocks {first} and {second} are not written at once"
        os.unlink(disk.where(f"d/goes/{3:0250}"))  # which changes the second
        faulty.bad(second)
        old, new = disk.where("d/goes"), disk.where("e/goes")
        assert error_of(os.rename, old, new)[1] == errno.EIO
        faulty.good()
        assert os.path.exists(old) and not os.path.exists(new)
        _fsync(disk.where("e"))
        _, text = disks.fsck(ctx, _copy(ctx, disk), "-fn")
        assert_parents(text, "not moved")
        faulty.end()
