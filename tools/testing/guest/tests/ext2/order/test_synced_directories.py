# SPDX-License-Identifier: GPL-2.0
"""fsync(2) of a directory, and a disk whose power goes then (B12)."""

import os

import disks
from runner import timeout
from test_twin import no_flusher


@timeout(60)
def test_name_of_a_new_one(ctx):
    """A directory in one that is new, too, is synced: both have their names, and it has what is in
    it."""
    disk = disks.Disk(ctx, "blank-4k").mount()
    with no_flusher():
        disks.sync(disk.point)
        os.makedirs(disk.where("outer/inner"))
        os.mknod(disk.where("outer/inner/file"), 0o640)
        _sync(disk.where("outer/inner"))
        path = _cut(ctx, disk)
    disk.finish()
    assert _files(ctx, disk, path) == ["outer/inner/file"]


@timeout(60)
def test_left_for_a_new_one(ctx):
    """A file has moved to a directory that is new, and the one that it came from is synced: the
    file is in one of them."""
    disk = disks.Disk(ctx, "blank-4k").mount()
    os.mkdir(disk.where("old"))
    os.mknod(disk.where("old/file"))
    with no_flusher():
        _sync(disk.where("old"))  # so that nothing else is written with it later
        os.mkdir(disk.where("new"))
        os.rename(disk.where("old/file"), disk.where("new/file"))
        _sync(disk.where("old"))
        path = _cut(ctx, disk)
    disk.finish()
    assert set(_files(ctx, disk, path)) & {"old/file", "new/file"}


def _sync(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def _cut(ctx, disk):
    """A copy of the disk as the medium has it."""
    path = os.path.join(ctx.tmp, "cut")
    with open(disk.path, "rb") as source, open(path, "wb") as target:
        target.write(source.read())
    return path


def _files(ctx, disk, path):
    """The files of such a copy, unrepaired."""
    point = ctx.mount(path, disk.fstype)
    found = [os.path.relpath(os.path.join(folder, name), point)
             for folder, _, names in os.walk(point) for name in names]
    ctx.umount(point)
    return found
