# SPDX-License-Identifier: GPL-2.0
"""The memory that rust_ext2 has for the names of directories (B13) where there is little: it is
given up when the machine wants it, and the directory is walked over then, as in C.
"""

import mmap
import os
import random
import struct

import disks
import ext2disk
import writers
from runner import long, timeout
from test_index import (
    _Watch, _fill, _find, _forget_index, _listed, _load_again, _load_with_limit, _name, _put,
    _unload)
from test_memory import _disk, _events, _group, _put as _put_into


def _reads_without(disk, folder, name):
    """How many reads say that a name is not there, with no page of the directory in memory."""
    disks.sync(disk.point)
    _put("1")
    before = disks.done(disk.device).reads
    assert not os.path.lexists(os.path.join(folder, name))
    return disks.done(disk.device).reads - before


@timeout(200)
def test_given_up(ctx):
    """What is known of names goes when memory is wanted, though the directory is in use: who looks
    for the next one reads the directory, and after that nobody does."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 remembers nothing")
    disk = disks.Disk(ctx, "blank-1k").mount()
    folder = disk.where("d")
    os.mkdir(folder)
    _fill(folder, range(5000))
    ctx.drop_caches()
    # so that it does not go with its inode
    fd = os.open(folder, os.O_RDONLY)
    assert not os.path.lexists(os.path.join(folder, "absent"))
    count = _reads_without(disk, folder, "not-there")
    assert count == 0, f"{count} reads for a name that is not there"
    for _ in range(2):  # what was used is passed over the first time
        _forget_index()
    count = _reads_without(disk, folder, "not-here")
    assert count > 0, "what is known was not given up"
    count = _reads_without(disk, folder, "nowhere")
    assert count == 0, f"{count} reads when it is known again"
    os.close(fd)
    disk.finish()


FOLDERS, NAMES = 24, 40_000  # each takes a table of 65,536 words: 512 KiB
LIMIT = 14 << 20  # of the cgroup, more than half of which they would take
OWN = 5 << 20  # that its only task wants


def _blocks(own, target, names):
    """The blocks of a directory of so many names of one file."""
    begin = struct.pack("<IHBB4sIHBB4s", own, 12, 1, 2, b".", 2, 12, 2, 2, b"..")
    blocks, block = [], bytearray(begin)
    for number in range(names):
        if len(block) + 16 > 4096:
            # what is left is the last one's
            struct.pack_into("<H", block, len(block) - 12, 4096 - len(block) + 16)
            blocks.append(block.ljust(4096, b"\0"))
            block = bytearray()
        block += struct.pack("<IHBB8s", target, 16, 8, 1, _name(number).encode())
    struct.pack_into("<H", block, len(block) - 12, 4096 - len(block) + 16)
    return b"".join(map(bytes, [*blocks, block.ljust(4096, b"\0")]))


def _forge(disk, folders, count):
    """Directories of `count` names, whose names nobody has had to make: files of which the disk is told that they
    are directories. Their names lead to one file, which has not so many links."""
    writers.make(disk.where("target"), 1, 100)
    target = os.stat(disk.where("target")).st_ino
    names = [f"d{number}" for number in range(folders)]
    inodes = []
    for name in names:
        with open(disk.where(name), "wb") as file:
            inodes.append(os.fstat(file.fileno()).st_ino)
            file.write(_blocks(inodes[-1], target, count))
    disk.umount()
    with open(disk.path, "r+b") as file:
        for inode in inodes:
            at = ext2disk.inode_offset(disk.path, inode)
            for offset, value in ((0, 0o40755), (26, 2)):
                file.seek(at + offset)
                file.write(struct.pack("<H", value))
    disk.mount()
    return [disk.where(name) for name in names]


def _want_memory(group, folders):
    """In the cgroup: have directories open, look for names in them, and then want memory."""
    _put_into(group, "cgroup.procs", str(os.getpid()))
    fds = [os.open(folder, os.O_RDONLY) for folder in folders]
    for folder in folders:
        assert not os.path.lexists(f"{folder}/absent")
    with mmap.mmap(-1, OWN, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as area:
        for at in range(0, OWN, mmap.PAGESIZE):
            area[at] = 1
        for folder in folders[::5]:
            assert not os.path.lexists(f"{folder}/not-there")
            assert os.path.lexists(f"{folder}/{_name(NAMES - 1)}")
    return len(fds)


@timeout(300)
def test_gives_way_in_a_cgroup(ctx):
    """What is known of the names of directories that are open is most of what a cgroup may have:
    a task in it gets the memory that it wants, and is not killed."""
    disk = _disk(ctx, "large-4k")
    folders = _forge(disk, FOLDERS, NAMES)
    with _group(ctx, LIMIT) as group:
        text, status = writers.Child(_want_memory, group, folders).wait()
        events = _events(group)
    ctx.log(f"{events}")
    assert status == 0, f"{status}, {events}\n{text}"
    assert (events["oom"], events["oom_kill"]) == (0, 0), events
    assert events["max"] > 0, f"the limit was never felt: {events}"
    disk.umount()  # e2fsck would find the links


IDLE = 8  # directories into which nobody looks any more
SMALL = 3000  # names, which take a table of 4,096 words: 32 KiB
# of KiB: the tables of two more, and what the last of these has while it grows; but not of three
NO_THIRD = 32 * (IDLE + 2) + 24


def _look_into(group, folders):
    """In the cgroup: look for a name in each."""
    _put_into(group, "cgroup.procs", str(os.getpid()))
    for folder in folders:
        assert not os.path.lexists(f"{folder}/absent")


@timeout(300)
def test_idle_ones_give(ctx):
    """Directories of which all is known, so that there is no memory for one more: it gets that of
    those into which nobody looks, which are another cgroup's, and not that of its own cgroup's
    two, into which somebody looks again and again."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 remembers nothing")
    ctx.afterwards(_load_again, ctx, _unload("rust_mpage")[::-1])
    _load_with_limit(ctx, NO_THIRD)
    disk = _disk(ctx, "large-4k")
    *idle, one, other, third = _forge(disk, IDLE + 3, SMALL)
    with _group(ctx, 4 * LIMIT) as group:
        writers.Child(_look_into, group, idle).result()
        for folder in (one, other):
            assert not os.path.lexists(f"{folder}/absent")
        for step in range(6):  # after a refusal memory is not asked for the next few times
            assert not os.path.lexists(f"{third}/absent{step}")
            reads = [_reads_without(disk, folder, f"not{step}") for folder in (one, other)]
            assert reads == [0, 0], f"{reads} reads for names, {step}"
        count = _reads_without(disk, third, "not-there")
        assert count == 0, f"{count} reads for a name in the third"
        # only as much is had as is wanted
        count = _reads_without(disk, idle[-1], "not-there")
        assert count == 0, f"{count} reads for a name where nobody looks"
    disk.umount()  # e2fsck would find the links


MANY = 1_000_000
LITTLE = 14 << 10  # KiB: a table for 786,432 of them is 8 MiB, with 4 MiB while it grows


@long
@timeout(14400)
def test_million_names_in_little_memory(ctx):
    """A million names where the memory is less than they take: those that are not known are
    walked over, and all answers are right."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 remembers nothing")
    rng = random.Random(15)
    ctx.afterwards(_load_again, ctx, _unload("rust_mpage")[::-1])
    _load_again(ctx, ["rust_mpage", ctx.fstype])
    disk = disks.Disk(ctx, "blank-4k").mount()
    os.mkdir(disk.where("d"))
    watch = _Watch(ctx)
    _fill(disk.where("d"), range(MANY))
    watch.tell("made")
    disk.umount()
    _load_with_limit(ctx, LITTLE)
    disk.mount()
    folder = disk.where("d")
    _find(folder, rng.sample(range(MANY), 300), MANY, "in little memory")
    watch.tell("found")
    here = _listed(folder, MANY, rng, 200)
    watch.tell("listed while they went")
    gone = set(rng.sample(sorted(here), 3000))
    for name in gone:
        os.unlink(os.path.join(folder, name))
        assert not os.path.lexists(os.path.join(folder, name)), name
    watch.tell("removed")
    assert set(os.listdir(folder)) == here - gone
    disk.finish()
