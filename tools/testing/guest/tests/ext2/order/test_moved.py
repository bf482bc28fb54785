# SPDX-License-Identifier: GPL-2.0
"""What moves from directory to directory, and a device whose power goes (B12)."""

import os

import disks
import writelog
from runner import timeout
from test_order import BAD, BOTH_NAMES, PARENT


@timeout(240)
def test_directory_knows_its_parent(ctx):
    """A directory that moves to another has both names when its `..` changes on the disk,
    and never one and the `..` of the other: one that is on the disk, one that is new,
    one that replaces another."""
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
    for parent in parents:
        os.close(parent)
    disk.umount()
    replay = logged.end()
    disk.check()
    cut = os.path.join(ctx.tmp, "cut")
    for number in replay.writes():
        for lost in (lambda _: False, lambda other, number=number: other != number):
            data, _ = replay.at(number + 1, lost)
            with open(cut, "wb") as file:
                file.write(data)
            _, text = disks.fsck(ctx, cut, "-fn")
            assert not BAD.search(text), f"cut after entry {number}\n{text}"
            assert BOTH_NAMES in text or not PARENT.search(text), \
                f"cut after entry {number}\n{text}"
