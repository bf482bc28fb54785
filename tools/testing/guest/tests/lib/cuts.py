# SPDX-License-Identifier: GPL-2.0
"""A workload on a logged device, and the disk as it is if the power goes somewhere in
between and e2fsck has repaired it.
"""

import os
import random

import disks
import writelog


def record(ctx, image, work, options=""):
    """Call work(mark, mount point) on a fresh disk: the disk, and the log of its writes."""
    disk = disks.Disk(ctx, image)
    logged = writelog.Logged(ctx, disk)
    disk.mount(options, device=logged.device.path)
    work(logged.mark, disk.point)
    disk.umount()
    replay = logged.end()
    disk.check()
    return disk, replay


def repair(ctx, disk, replay, count, chance, rng):
    """The power goes after so many entries, and writes that were not flushed are lost by
    `chance`. The path of the repaired image, the marks that were set, what was done, and
    what e2fsck has said."""
    lost = set()

    def lose(number):
        if rng.random() < chance:
            lost.add(number)
        return number in lost

    data, marks = replay.at(count, lose)
    path = _kept(ctx, data)
    what = f"cut after entry {count} of {len(replay.entries)}, without {sorted(lost)}"
    status, text = disks.fsck(ctx, path, "-fy")
    assert status in (0, 1), f"{what}: e2fsck: status {status}\n{text}"
    if disk.fstype != disks.C_FSTYPE:
        assert "ultiply-claimed" not in text, f"{what}: a block of two files\n{text}"
    return path, marks, what, text


def _kept(ctx, data):
    path = os.path.join(ctx.tmp, "cut")
    with open(path, "wb") as file:
        file.write(data)
    return path


def each_write(ctx, replay):
    """(number, path of the image) of the disk as it was after each write: with all that came
    before it, and with it alone of what was not flushed."""
    for number in replay.writes():
        for lost in (lambda _: False, lambda other, number=number: other != number):
            yield number, _kept(ctx, replay.at(number + 1, lost)[0])


def mounted(ctx, disk, replay):
    """The same with where it is mounted, unrepaired."""
    for number, path in each_write(ctx, replay):
        point = ctx.mount(path, disk.fstype)
        yield number, point
        ctx.umount(point)


def repaired_since(ctx, disk, replay, mark, at_marks=False):
    """(number of entries, marks, mount point) of the disk as it was after each entry since a
    mark, or after each mark, repaired: what was not flushed is lost, and then not."""
    first = next(number for number, entry in enumerate(replay.entries) if entry.mark == mark)
    for count in range(first + 1, len(replay.entries) + 1):
        if at_marks and not replay.entries[count - 1].mark:
            continue
        for lose in (lambda number: True, lambda number: False):
            data, marks = replay.at(count, lose)
            path = _kept(ctx, data)
            status, text = disks.fsck(ctx, path, "-fy")
            assert status in (0, 1), f"cut after entry {count}: {text}"
            point = ctx.mount(path, disk.fstype)
            yield count, marks, point
            ctx.umount(point)


def cut(ctx, image, work, look, *, seed, steps, count=None, options=""):
    """Call work(mark, mount point, random) on a fresh disk, which makes so many steps, and
    look(mount point, marks, what was done) after a cut at `count` of the writes, or at each;
    what was done is what e2fsck has said, too."""
    seed = ctx.seed(seed)
    ctx.log(f"SEED={seed}")
    disk, replay = record(
        ctx, image, lambda mark, point: work(mark, point, random.Random(seed)), options)
    writes = replay.writes()
    rng = random.Random(seed)
    chosen = writes if count is None else sorted(rng.sample(writes, min(count, len(writes))))
    ctx.log(f"{len(writes)} writes, {len(chosen)} cuts")
    assert len(writes) > steps // 2, f"only {len(writes)} writes were logged"
    marked = False
    for number in chosen:
        chance = rng.choice((0, 0, 0.3, 0.7))
        path, marks, what, text = repair(ctx, disk, replay, number + 1, chance, rng)
        point = ctx.mount(path, disk.fstype, options)
        look(point, marks, f"{what}\n{text}")
        ctx.umount(point)
        marked = marked or bool(marks)
    assert marked, "no cut came after a mark"
