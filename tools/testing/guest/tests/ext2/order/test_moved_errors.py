# SPDX-License-Identifier: GPL-2.0
"""Names that move where something cannot be written: what has nothing to do with that goes on, and
what is not on the disk is not taken for it.
"""

import errno
import os
import struct

import disks
import ext2disk
import writers
from lowlevel import error_of
from runner import timeout
from test_metadata_lost import prepared, table_block


def _touch(path):
    os.close(os.open(path, os.O_CREAT, 0o644))


@timeout(60)
def test_of_another(ctx):
    """What waits since others began to be written, one of which cannot be, does not fail with
    that."""
    with prepared(ctx, options="errors=continue") as (faulty, disk):
        for folder in "abcde":
            os.mkdir(disk.where(folder))
        for name in ("a/1", "c/2", "c/3"):
            _touch(disk.where(name))
        disks.sync(disk.point)
        fds = {folder: os.open(disk.where(folder), os.O_RDONLY) for folder in "abcde"}
        for fd in fds.values():
            os.fsync(fd)
        faulty.bad(ext2disk.inode_pointers(disk.path, os.fstat(fds["b"]).st_ino)[0])
        os.rename(disk.where("a/1"), disk.where("b/1"))
        os.rename(disk.where("c/2"), disk.where("d/2"))
        with faulty.device.suspended():
            sync = writers.Child(os.fsync, fds["c"])
            assert not sync.ends_within(1), "nothing is waited for"
            move = writers.Child(os.rename, disk.where("c/3"), disk.where("e/3"))
            assert move.ends_within(10), "rename(2) waits for the device"
            move.result()
        sync.result()
        assert error_of(os.fsync, fds["a"])[1] == errno.EIO
        faulty.good()
        for fd in fds.values():
            error_of(os.fsync, fd)
            os.close(fd)
        faulty.end()
        disks.fsck(ctx, disk.path, "-fy")
        disk.mount()
        assert [os.listdir(disk.where(folder)) for folder in "abcde"] == [
            [], ["1"], [], ["2"], ["3"]]
        disk.umount()


def _number_of_new(disk, name):
    _touch(disk.where(name))
    return os.stat(disk.where(name)).st_ino


def _names_on_disk(disk, number):
    """In the first block of a directory of 1 KiB blocks."""
    with open(disk.path, "rb") as file:
        file.seek(ext2disk.inode_pointers(disk.path, number)[0] * 1024)
        block, at = file.read(1024), 0
    while at < len(block):
        inode, length, name_len = struct.unpack_from("<IHB", block, at)
        if inode:
            yield block[at + 8:at + 8 + name_len]
        at += length


def _last_block(disk):
    """One that nobody uses."""
    return ext2disk.superblock(disk.path)["blocks"] - 1


def _with_a_move(disk):
    """A file moves from p/a to p/d, which goes then, and a thousand links wait: the next one who
    makes a name has them given up. The number of p/d, and its block of the inode table, in which
    nothing else is that is written then."""
    for folder in ("p", "p/a"):
        os.mkdir(disk.where(folder))
    _touch(disk.where("p/a/file"))
    for number in range(16):
        _touch(disk.where(f"p/filler{number}"))
    os.mkdir(disk.where("p/d"))
    dead = os.stat(disk.where("p/d")).st_ino
    for number in range(16, 32):
        _touch(disk.where(f"p/filler{number}"))
    removed = [disk.where(f"p/a/{number}") for number in range(1019)]
    for path in removed:
        os.link(disk.where("p/filler0"), path)
    disks.sync(disk.point)
    for folder in ("p/a", "p/d", "p", ""):
        fd = os.open(disk.where(folder), os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
    groups = ext2disk.Groups(disk.path)
    table = table_block(disk.path, groups, dead)
    assert all(table != table_block(disk.path, groups, os.stat(disk.where(name)).st_ino)
               for name in ("", "p", "p/a", "p/a/file", "p/filler0"))
    for path in removed:
        os.unlink(path)
    os.rename(disk.where("p/a/file"), disk.where("p/d/file"))
    os.unlink(disk.where("p/d/file"))
    os.rmdir(disk.where("p/d"))
    return dead, table


def _given_again(ctx, failures):
    """Whether p/a waits for p/d still, which is gone from the disk, when the block of its inode has
    failed so many times; and whether its number is given to another then."""
    with prepared(ctx, options="errors=continue") as (faulty, disk):
        dead, table = _with_a_move(disk)
        old = os.stat(disk.where("p/a")).st_ino
        with faulty.fails(table, failures, bad=_last_block(disk)):
            _number_of_new(disk, "p/first")
        waits = b"file" in _names_on_disk(disk, old) and \
            ext2disk.inode_size(disk.path, dead) == 0
        is_given = _number_of_new(disk, "p/meanwhile") == dead
        faulty.good()
        for _ in range(2):
            error_of(disks.sync, disk.point)
        later = _number_of_new(disk, "p/later")
        assert is_given or later == dead, f"{dead} is not the next one: {later}"
        faulty.end()
        status, text = disks.fsck(ctx, disk.path, "-fy")
        assert status in (0, 1), text
        return waits, is_given


@timeout(300)
def test_number_that_is_waited_for(ctx):
    """A page waits for one of a directory that has gone, the inode of which could be written only
    after some tries: that number is not given to another as long as the page waits."""
    tries = [_given_again(ctx, failures) for failures in range(1, 7)]
    ctx.log(f"after 1, 2, ... failures it waits, and is given again: {tries}")
    assert any(waits for waits, _ in tries), "it never waits"
    assert (True, True) not in tries


@timeout(120)
def test_behind_an_array_that_cannot_be_written(ctx):
    """A file moves to a new block of a directory behind an array of pointers that cannot be
    written: whoever syncs, it has its old name until it can."""
    with prepared(ctx, options="errors=continue") as (faulty, disk):
        for folder in "de":
            os.mkdir(disk.where(folder))
        for count in range(60):  # 15 blocks are full
            os.mknod(disk.where(f"d/{count:02}{'f' * 200}"))
        os.mknod(disk.where("e/moves"))
        disks.sync(disk.point)
        fds = [os.open(disk.where(folder), os.O_RDONLY) for folder in "de"]
        for fd in fds:
            os.fsync(fd)  # so that their names are known to be there
        size, number = os.fstat(fds[0]).st_size, os.fstat(fds[0]).st_ino
        faulty.bad(ext2disk.inode_pointers(disk.path, number)[12])
        os.rename(disk.where("e/moves"), disk.where(f"d/{'m' * 200}"))
        assert os.fstat(fds[0]).st_size == size + 1024
        assert error_of(os.fsync, fds[1])[1] == errno.EIO
        path = os.path.join(ctx.tmp, "cut")
        with open(disk.path, "rb") as source, open(path, "wb") as target:
            target.write(source.read())
        faulty.good()
        for fd in fds:
            error_of(os.fsync, fd)  # of before
            os.fsync(fd)
            os.close(fd)
        error_of(disks.sync, disk.point)
        disks.sync(disk.point)
        faulty.finish()
    point = ctx.mount(path, disk.fstype)
    assert os.listdir(os.path.join(point, "e")) == ["moves"]
    ctx.umount(point)
