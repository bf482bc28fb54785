# SPDX-License-Identifier: GPL-2.0
"""The memory that rust_ext2 has for the names of directories (B13) where there is little: it is
given up when the machine wants it, and the directory is walked over then, as in C.
"""

import os
import random

import disks
from runner import long, timeout
from test_index import (
    _Watch, _fill, _find, _forget_index, _listed, _load_again, _load_with_limit, _name, _put,
    _unload)


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


MANY = 1_000_000
LITTLE = 12 << 10  # KiB: enough for 786,432 of them


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
