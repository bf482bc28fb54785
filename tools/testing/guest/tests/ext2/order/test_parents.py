# SPDX-License-Identifier: GPL-2.0
"""A directory whose inode could not be written when it went is on the disk, with a `..`: its parent
keeps the link, and nobody gets its number, until it is written (B12).
"""

import contextlib
import errno
import os

import disks
import ext2disk
import ops
from lowlevel import error_of
from runner import timeout
from test_metadata_lost import prepared
from test_name_cuts import DIRSYNC_FL


def _table_block(disk, number):
    return ext2disk.inode_offset(disk.path, number) // 1024


@contextlib.contextmanager
def _with_victim(ctx, others=(), left=0):
    """A directory on the disk, `others` and `gone` in it: the device, the disk, and the numbers of
    the directory and of `gone`. Nothing else that is written has an inode in the block of that.
    At the end there are so many directories left in it."""
    with prepared(ctx, options="errors=continue") as (faulty, disk):
        os.mkdir(disk.where("d"))
        for name in others:
            os.mkdir(disk.where(f"d/{name}"))
        for count in range(8):
            os.mknod(disk.where(f"d/between{count}"))
        os.mkdir(disk.where("d/gone"))
        # so that the next directory is not put elsewhere
        os.mknod(disk.where("d/file"))
        disks.sync(disk.point)
        parent, gone = (os.stat(disk.where(name)).st_ino for name in ("d", "d/gone"))
        assert _table_block(disk, parent) != _table_block(disk, gone), (parent, gone)
        yield faulty, disk, parent, gone
        faulty.good()
        error_of(disks.sync, disk.point)  # of before
        disks.sync(disk.point)
        assert ext2disk.inode_links(disk.path, parent) == 2 + left
        os.mknod(disk.where("d/another"))
        assert os.stat(disk.where("d/another")).st_ino == gone
        faulty.finish()


def _assert_kept(disk, parent, links, gone):
    """A sync fails, and then there are so many links, and nobody gets the number."""
    assert error_of(disks.sync, disk.point)[1] == errno.EIO
    assert ext2disk.inode_links(disk.path, parent) == links
    os.mknod(disk.where("d/other"))
    assert os.stat(disk.where("d/other")).st_ino != gone


@timeout(60)
def test_removed(ctx):
    """It was removed."""
    with _with_victim(ctx) as (faulty, disk, parent, gone):
        os.rmdir(disk.where("d/gone"))
        faulty.bad(_table_block(disk, gone))
        _assert_kept(disk, parent, 3, gone)


@timeout(60)
def test_replaced(ctx):
    """Another was renamed over it."""
    with _with_victim(ctx, ["other"], 1) as (faulty, disk, parent, gone):
        faulty.bad(_table_block(disk, gone))
        os.rename(disk.where("d/other"), disk.where("d/gone"))
        _assert_kept(disk, parent, 4, gone)


@timeout(60)
def test_moved_over(ctx):
    """One of another directory was renamed over it."""
    with _with_victim(ctx, left=1) as (faulty, disk, parent, gone):
        moves = (disk.where(f"moves{count}") for count in range(9))
        for path in moves:
            # it may come to be in any group, but not beside what cannot be written
            os.mkdir(path)
            if _table_block(disk, os.stat(path).st_ino) != _table_block(disk, gone):
                break
        disks.sync(disk.point)
        faulty.bad(_table_block(disk, gone))
        os.rename(path, disk.where("d/gone"))
        _assert_kept(disk, parent, 4, gone)


@timeout(60)
def test_made_in_vain(ctx):
    """It was made where each change is waited for, and its name could not be written: it is on the
    disk without one."""
    with _with_victim(ctx) as (faulty, disk, parent, gone):
        block = ext2disk.inode_pointers(disk.path, parent)[0]
        os.rmdir(disk.where("d/gone"))
        disks.sync(disk.point)
        assert ext2disk.inode_links(disk.path, parent) == 2
        actor = ops.Actor(disk.point)
        assert actor.do(("set_flags", "d", DIRSYNC_FL))[1] == 0
        # its image is written for the name, and cannot be when it goes
        with faulty.fails(_table_block(disk, gone), 1, block, after=1):
            assert error_of(os.mkdir, disk.where("d/gone"))[1] == errno.EIO
        assert actor.do(("set_flags", "d", 0))[1] == 0
        assert ext2disk.inode_pointers(disk.path, gone)[0], "its inode is not on the disk"
        faulty.bad(_table_block(disk, gone))
        _assert_kept(disk, parent, 3, gone)
