# SPDX-License-Identifier: GPL-2.0
"""The guest itself: what every other test takes for granted."""

import os


def test_filesystem_registered(ctx):
    with open("/proc/filesystems", encoding="ascii") as file:
        names = [line.split()[-1] for line in file]
    assert ctx.fstype in names, f"{ctx.fstype} is not in /proc/filesystems"


def test_scratch_is_tmpfs(ctx):
    assert os.listdir(ctx.tmp) == []
    with open(os.path.join(ctx.tmp, "x"), "wb") as file:
        file.write(b"x")
