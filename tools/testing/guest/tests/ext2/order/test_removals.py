# SPDX-License-Identifier: GPL-2.0
"""Links of names that were removed wait until the disk has lost the names, and that is not put
off for ever (B12): when a thousand wait, or one for half a minute, the next change of a name
has the directory written.
"""

import errno
import os
import struct
import time

import disks
import ext2disk
import writers
from lowlevel import error_of
from runner import timeout
from test_metadata_lost import prepared
from test_twin import no_flusher

NAMES, MANY, LONG = 1200, 1024, 30


def _prepared(ctx):
    """A mounted disk, a directory of links of one file that is on the disk, and its number."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C writes each change")
    disk = disks.Disk(ctx, "blank-4k").mount()
    folder = disk.where("d")
    os.mkdir(folder)
    with open(disk.where("file"), "wb"):
        pass
    for number in range(NAMES):
        os.link(disk.where("file"), f"{folder}/n{number:05d}")
    disks.sync(disk.point)
    return disk, folder, os.stat(folder).st_ino


def _on_disk(disk, number):
    """How many names the directory has there."""
    count = 0
    with open(disk.path, "rb") as file:
        for block in filter(None, ext2disk.inode_pointers(disk.path, number)[:12]):
            file.seek(block * 4096)
            data, at = file.read(4096), 0
            while at < len(data):
                inode, length, name_len = struct.unpack_from("<IHB", data, at)
                name = data[at + 8:at + 8 + name_len]
                count += inode != 0 and name not in (b".", b"..")
                at += length
    return count


@timeout(60)
def test_many(ctx):
    """A thousand and some names are removed, and nobody syncs."""
    disk, folder, number = _prepared(ctx)
    with no_flusher():
        begin = time.monotonic()
        for name in range(MANY):
            os.unlink(f"{folder}/n{name:05d}")
        before = _on_disk(disk, number)
        if time.monotonic() - begin < LONG:
            assert before == NAMES, f"{before} names, {NAMES} were synced"
        os.unlink(f"{folder}/n{MANY:05d}")
        after = _on_disk(disk, number)
    assert after <= NAMES - MANY, f"{after} names are on the disk"
    disk.finish()


@timeout(120)
def test_long(ctx):
    """A name is removed, and half a minute later another one."""
    disk, folder, number = _prepared(ctx)
    with no_flusher():
        os.unlink(f"{folder}/n00000")
        time.sleep(LONG + 1)
        before = _on_disk(disk, number)
        os.unlink(f"{folder}/n00001")
        after = _on_disk(disk, number)
    assert (before, after) == (NAMES, NAMES - 1), (before, after)
    disk.finish()


@timeout(60)
def test_empty_meanwhile(ctx):
    """A file that is open and has lost its last name, and the disk has the name, is an empty one
    there with a link when it is synced."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C writes each change")
    disk = disks.Disk(ctx, "blank-4k").mount()
    with no_flusher():
        writers.make(disk.where("goes"), 1, 20_000)
        disks.sync(disk.point)
        number = os.stat(disk.where("goes")).st_ino
        assert ext2disk.inode_pointers(disk.path, number)[0]
        fd = os.open(disk.where("goes"), os.O_RDONLY)
        os.unlink(disk.where("goes"))
        os.fsync(fd)
        assert ext2disk.inode_links(disk.path, number) == 1, "the name has gone"
        assert not any(ext2disk.inode_pointers(disk.path, number))
        assert ext2disk.inode_size(disk.path, number) == 0
        os.close(fd)
    disk.finish()


@timeout(60)
def test_once(ctx):
    """A link is taken from an inode that has left memory meanwhile, and not again with the next
    sync."""
    with prepared(ctx) as (faulty, disk):
        number = _with_links(disk)
        os.unlink(disk.where("d/two"))
        ctx.drop_caches()
        assert ext2disk.inode_links(disk.path, number) == 2
        for name in ("other", "another"):
            os.close(os.open(disk.where(f"d/{name}"), os.O_CREAT, 0o644))
            ctx.drop_caches()
            assert ext2disk.inode_links(disk.path, number) == 2, f"after {name}"
        faulty.end()
        disk.check()


@timeout(60)
def test_later(ctx):
    """A link whose name could not be removed from the disk is taken when it could, and so is one
    of another directory that could be written at once."""
    with prepared(ctx, options="errors=continue") as (faulty, disk):
        number = _with_links(disk)
        faulty.bad(ext2disk.inode_pointers(disk.path, os.stat(disk.where("d")).st_ino)[0])
        os.unlink(disk.where("d/two"))
        os.unlink(disk.where("e/three"))
        assert error_of(disks.sync, disk.point)[1] == errno.EIO
        assert ext2disk.inode_links(disk.path, number) == 2
        faulty.good()
        error_of(disks.sync, disk.point)  # of before
        disks.sync(disk.point)
        faulty.end()
        assert ext2disk.inode_links(disk.path, number) == 1
        status, text = disks.fsck(ctx, disk.path, "-fy")
        assert status in (0, 1) and "ref count" not in text, text


def _with_links(disk):
    """A file with a name in each of three directories; its number."""
    for folder in "de":
        os.mkdir(disk.where(folder))
    with open(disk.where("one"), "wb"):
        pass
    os.link(disk.where("one"), disk.where("d/two"))
    os.link(disk.where("one"), disk.where("e/three"))
    disks.sync(disk.point)
    return os.stat(disk.where("one")).st_ino


@timeout(100)
def test_number_of_a_directory(ctx):
    """A name was in a directory that is gone, and a file has its number now: who syncs the inode
    that had the name does not write that file."""
    with no_flusher():
        disk = disks.Disk(ctx, "tiny-1k").mount()
        fd = os.open(disk.where("file"), os.O_CREAT | os.O_RDWR, 0o644)
        os.mkdir(disk.where("d"))
        disks.sync(disk.point)
        os.fsync(fd)  # so its only new name is the next one
        number = os.stat(disk.where("d")).st_ino
        os.link(disk.where("file"), disk.where("d/name"))
        os.unlink(disk.where("d/name"))
        os.rmdir(disk.where("d"))
        others = (disk.where(f"other{count}") for count in range(100))
        for other in others:
            disks.sync(disk.point)  # what still has the number may go now
            os.mknod(other)
            if os.stat(other).st_ino == number:
                break
        else:
            raise AssertionError(f"no file gets the number {number}")
        with open(other, "wb", 0) as file:
            file.write(b"o" * 50_000)
            os.fsync(fd)
            there = ext2disk.inode_pointers(disk.path, number)
        os.close(fd)
        assert not any(there), f"{there[:3]}..., which nobody has synced"
    disk.finish()
