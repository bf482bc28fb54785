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


def test_shares_are_kept(_ctx):
    """What the guest has read of the host's directories is not asked for again:
    else a module takes longer to load than most tests to run."""
    with open("/proc/mounts", encoding="ascii") as file:
        fields = [line.split() for line in file]
    shares = {point: options.split(",") for _, point, kind, options, *_ in fields
              if kind == "9p" and point.startswith("/run/rust_mpage/")}
    again = [point for point, options in shares.items()
             if "ro" in options and not any(word.startswith("cache=") for word in options)]
    assert not again, f"not kept: {again}"
    assert "ro" in shares["/run/rust_mpage/testing"], shares
