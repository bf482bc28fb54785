# SPDX-License-Identifier: GPL-2.0
"""Power cuts (W18): a workload with fsyncs is logged write by write, and the disk
is looked at as it would be if the power had gone at this write or that, with any
part of the writes lost that had not been flushed.

e2fsck has to repair it, and what was fsynced, name and contents, is there
afterwards. Beyond C: no block has two owners; C ext2 reuses the blocks of a file
before its inode on the disk has let go of them, and e2fsck has to clone them.

SEED= gives another workload and other cuts. `make test` also kills a guest that
writes: tools/testing/rmp/tests/powercut.py. The workload of both is in durable.py.
"""

import os

import cuts
import disks
import writelog
import writers
from durable import Durable, Worker
from runner import long, timeout

STEPS = 40


def _look(point, marks, what):
    try:
        Durable(marks).check(point)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{what}") from None


def _cuts(ctx, image, count, steps=STEPS, options=""):
    """Cut at so many of the writes, or at all of them."""
    cuts.cut(ctx, image, lambda mark, point, rng: Worker(mark, point, rng).run(range(steps)),
             _look, seed=2026, steps=steps, count=count, options=options)


@timeout(240)
def test_cuts_1k(ctx):
    """Some cuts, 1 KiB blocks."""
    _cuts(ctx, "tiny-1k", 10)


@timeout(240)
def test_cuts_4k(ctx):
    """Some cuts, 4 KiB blocks."""
    _cuts(ctx, "tiny-4k", 10)


@timeout(240)
def test_cuts_4k_at_once(ctx):
    """Some cuts, 4 KiB blocks, which files have as soon as they are written to."""
    _cuts(ctx, "tiny-4k", 10, options=disks.at_once(ctx.fstype))


def _fill(path):
    """A file in all free blocks, of bytes that are no pointer to a block."""
    with open(path, "wb", 0) as file:
        writers.fill(file.fileno(), (4096,))
        os.fsync(file.fileno())


def _replace(point):
    """Files that nearly fill the disk, each in the place of an earlier one; then
    small ones in the place of what is cut off a file's indirect block."""
    for step in range(5):
        with open(os.path.join(point, f"f{step % 3}"), "wb", 0) as file:
            for _ in range(3):
                file.write(bytes([0xf0 + step]) * 200_000)
                os.fsync(file.fileno())
    rest = os.path.join(point, "rest")
    _fill(rest)
    for number in range(3):
        os.truncate(rest, os.stat(rest).st_size - 9000)
        with open(os.path.join(point, f"small{number}"), "wb", 0) as file:
            file.write(bytes([0xe0 + number]) * 8000)
            os.fsync(file.fileno())
    assert os.stat(rest).st_size > 20_000, "all of its pointers are in the inode"


@timeout(240)
def test_only_the_last_write_1k(ctx):
    """The cache of the device keeps the last write before the cut and loses all
    others since the last flush: no pointer leads to an indirect block that was not
    written, and none to a block that is another file's."""
    disk = disks.Disk(ctx, "tiny-1k")
    writers.stain(disk)
    logged = writelog.Logged(ctx, disk)
    disk.mount(device=logged.device.path)
    _replace(disk.point)
    disk.umount()
    replay = logged.end()
    disk.check()
    # metadata is written block by block, data seldom
    chosen = [number for number in replay.writes()
              if replay.entries[number].sectors == 2]
    assert len(chosen) > 20, f"only {len(chosen)} blocks of metadata were written"
    path = os.path.join(ctx.tmp, "cut")
    for last in chosen:
        data, _ = replay.at(last + 1, lambda number, last=last: number != last)
        with open(path, "wb") as file:
            file.write(data)
        _, text = disks.fsck(ctx, path, "-fn")
        for bad in ("llegal", "ultiply-claimed"):
            assert bad not in text, f"cut after entry {last}\n{text}"
    ctx.log(f"{len(chosen)} cuts")


@long
@timeout(7200)
def test_every_cut_1k(ctx):
    """A cut at every write, 1 KiB blocks."""
    _cuts(ctx, "tiny-1k", None, 120)


@long
@timeout(7200)
def test_every_cut_4k(ctx):
    """A cut at every write, 4 KiB blocks."""
    _cuts(ctx, "tiny-4k", None, 120)


@long
@timeout(7200)
def test_every_cut_4k_at_once(ctx):
    """A cut at every write, 4 KiB blocks, which files have as soon as they are written to."""
    _cuts(ctx, "tiny-4k", None, 120, disks.at_once(ctx.fstype))
