# SPDX-License-Identifier: GPL-2.0
"""Direct writes with O_DSYNC, and a device whose power goes when one has returned (B15)."""

import os
import random

import cuts
import directly
import disks
import writelog
from runner import timeout

_UNIT, _UNITS, _STEPS = 512, 160, 16


def _write(fd, rng, model, step):
    """One at random: over data, into a hole, over the end, behind it."""
    first = rng.choice((rng.randrange(_UNITS), len(model) // _UNIT))
    data = bytes([step + 1]) * (_UNIT * rng.randrange(1, 24))
    at = first * _UNIT
    assert directly.write(fd, at, data) == len(data)
    model.extend(bytes(max(at + len(data) - len(model), 0)))
    model[at:at + len(data)] = data


@timeout(240)
def test_synchronous(ctx):
    """When a write has returned the file has it, whatever is lost that has not been flushed."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("ext2_iomap_begin() forgets that the inode is dirty")
    for image, seed in (("tiny-1k", 31), ("tiny-4k", 32)):
        seed = ctx.seed(seed)
        ctx.log(f"SEED={seed}")
        rng, model, models = random.Random(seed), bytearray(), {}
        disk = disks.Disk(ctx, image)
        logged = writelog.Logged(ctx, disk)
        disk.mount(device=logged.device.path)
        fd = os.open(disk.where("f"), os.O_CREAT | os.O_RDWR | os.O_DIRECT | os.O_DSYNC, 0o644)
        disks.sync(disk.point)
        logged.mark("begin")
        for step in range(_STEPS):
            _write(fd, rng, model, step)
            logged.mark(str(step))
            models[str(step)] = bytes(model)
        os.close(fd)
        disk.umount()
        replay, seen = logged.end(), 0
        for _, marks, point in cuts.repaired_since(ctx, disk, replay, "begin", at_marks=True):
            model = models.get(marks[-1], b"")
            with open(os.path.join(point, "f"), "rb") as file:
                found = file.read()
            assert found == model, \
                f"{image}, {marks[-1]}: {len(found)} bytes, {len(model)} were written"
            seen += 1
        assert seen == 2 * (_STEPS + 1), seen
        disk.check()
