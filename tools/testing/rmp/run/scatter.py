# SPDX-License-Identifier: GPL-2.0
"""Put a file into an ext2 image so that its blocks are scattered.

Before debugfs writes the file, blocks in the free space are marked in use in a
pattern, and given back afterwards; the allocator must go around them. This
needs no mount and no root.
"""

import re

_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def free_ranges(dumpe2fs):
    """[(first, last)] of the free blocks, from the output of dumpe2fs."""
    ranges = []
    for line in dumpe2fs.splitlines():
        label, _, text = line.strip().partition(":")
        if label == "Free blocks" and not line.startswith("Free blocks"):
            ranges += [(int(a), int(b or a)) for a, b in _RANGE.findall(text)]
    return ranges


def commands(ranges, source, name, blocks, run=1, gap=1):
    """debugfs commands that write `source` as `name`, `run` blocks at a time.

    blocks: how many blocks the file takes, its indirect blocks included.
    """
    held = []
    need = blocks
    for first, last in ranges:
        at = first
        while at <= last and need > 0:
            need -= min(run, last - at + 1)
            at += run
            if at <= last:
                held.append((at, min(gap, last - at + 1)))
            at += gap
    if need > 0:
        raise ValueError(f"no room for {name}: {need} blocks short")
    lines = [f"setb {at} {count}" for at, count in held]
    folder, _, base = name.rpartition("/")
    lines.append(f"cd /{folder}")
    lines.append(f"write {source} {base}")
    return lines + [f"freeb {at} {count}" for at, count in held]
