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
        os.close(os.open(disk.where("outer/inner/file"), os.O_CREAT | os.O_WRONLY, 0o640))
        fd = os.open(disk.where("outer/inner"), os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        path = os.path.join(ctx.tmp, "crash")
        with open(disk.path, "rb") as source, open(path, "wb") as target:
            target.write(source.read())
    disk.finish()
    status, text = disks.fsck(ctx, path, "-fy")
    assert status in (0, 1), text
    point = ctx.mount(path, disk.fstype)
    assert os.stat(os.path.join(point, "outer/inner/file")).st_mode & 0o777 == 0o640
    ctx.umount(point)
