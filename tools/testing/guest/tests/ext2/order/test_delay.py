# SPDX-License-Identifier: GPL-2.0
"""How long an fsync(2) takes on a slow device while others delete files (B18)."""

import os
import time

import disks
import sides
import writers
from runner import long, parallel, timeout

FOLDERS, FILES = 20, 500
PIECE = 4096
DELAY = 10  # ms, for each request
DEVICE = "/dev/nullb0"


def _make(disk):
    """10,000 files of 4 KiB."""
    disk.mount(fstype=sides.C_FSTYPE)
    for folder in range(FOLDERS):
        os.mkdir(disk.where(f"d{folder}"))
        for number in range(FILES):
            writers.make(disk.where(f"d{folder}/f{number}"), number, PIECE, sync=False)
    disk.umount()


def _delete(point):
    for folder in range(FOLDERS):
        for number in range(FILES):
            os.unlink(os.path.join(point, f"d{folder}/f{number}"))


def _copy(path):
    with open(path, "rb") as source, open(DEVICE, "wb", buffering=0) as target:
        while data := source.read(1 << 20):
            target.write(data)
        os.fsync(target.fileno())


def _times(ctx, path, fstype):
    """How long each append with its fsync took, in ms, while another process deletes."""
    _copy(path)
    disks.load(ctx, fstype)
    point = ctx.mount(DEVICE, fstype, read_only=False)
    fd = os.open(os.path.join(point, "log"), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    deleting = writers.Child(_delete, point)
    begin = time.monotonic()
    times = []
    while not deleting.ends_within(0):
        start = time.monotonic()
        os.write(fd, bytes(PIECE))
        os.fsync(fd)
        times.append(1000 * (time.monotonic() - start))
    deleting.result()
    seconds = time.monotonic() - begin
    os.close(fd)
    ctx.umount(point)
    times.sort()
    p99 = times[len(times) * 99 // 100]
    ctx.log(f"{fstype}: deleting took {seconds:.0f} s; {len(times)} appends: median "
            f"{times[len(times) // 2]:.0f} ms, p99 {p99:.0f} ms, max {times[-1]:.0f} ms")
    return p99, times[-1]


@long
@parallel
@timeout(3600)
def test_append_beside_deletion(ctx):
    """One task deletes 10,000 files, another appends 4 KiB and calls fsync(2), again and
    again, on a device that takes 10 ms for each request."""
    disk = disks.Disk(ctx, "many-1k")
    _make(disk)
    ctx.load("null_blk", f"nr_devices=1 gb=1 memory_backed=1 irqmode=2 "
                         f"completion_nsec={DELAY * 1_000_000}")
    c = _times(ctx, disk.path, sides.C_FSTYPE)
    ours = _times(ctx, disk.path, "rust_ext2")
    assert ours[0] <= 2 * c[0] + 5 * DELAY, f"p99: {ours[0]:.0f} ms, C {c[0]:.0f} ms"
    assert ours[1] <= 2 * c[1] + 50 * DELAY, f"max: {ours[1]:.0f} ms, C {c[1]:.0f} ms"
