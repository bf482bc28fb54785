# SPDX-License-Identifier: GPL-2.0
"""The order in which metadata reaches the medium, and what it costs (B18)."""

import os

import disks
import writelog
from runner import timeout


@timeout(240)
def test_flushes_of_a_sync(ctx):
    """400 new files of 16 to 60 KiB and a sync: the device is flushed a few times,
    not once for each file."""
    for image in ("blank-1k", "blank-4k"):
        disk = disks.Disk(ctx, image)
        logged = writelog.Logged(ctx, disk)
        disk.mount(device=logged.device.path)
        disks.sync(disk.point)
        logged.mark("begin")
        for number in range(400):
            with open(os.path.join(disk.point, f"f{number}"), "wb", 0) as file:
                file.write(b"\xaa" * (16 + 44 * (number % 11) // 10) * 1024)
        disks.sync(disk.point)
        logged.mark("end")
        disk.umount()
        replay = logged.end()
        disk.check()
        marks = [number for number, entry in enumerate(replay.entries) if entry.mark]
        flushes = sum(entry.is_flush and not entry.mark
                      for entry in replay.entries[marks[0]:marks[1]])
        ctx.log(f"{image}: {flushes} flushes")
        assert 0 < flushes <= 3, f"{image}: {flushes} flushes for 400 files"
