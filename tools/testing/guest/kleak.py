# SPDX-License-Identifier: GPL-2.0
"""Ask the kernel's leak detector, and say when each lost object was allocated.

An object counts as leaked only after its checksum has been the same in two
scans, so there are two, a few seconds apart. A kernel without kmemleak gives
None.

Leaves out: whom to blame; the host knows which test ran at that time.
"""

import gzip
import os
import re
import time

FILE = "/sys/kernel/debug/kmemleak"
PAUSE = 6  # seconds; the detector ignores objects younger than five

_HEAD = re.compile(r"^unreferenced object ", re.M)
_JIFFIES = re.compile(r"jiffies (\d+)")


def _hz():
    with gzip.open("/proc/config.gz", "rt", encoding="ascii") as config:
        for line in config:
            if line.startswith("CONFIG_HZ="):
                return int(line.partition("=")[2])
    return 250


def _seconds(report, hz):
    """Time since boot of the allocation; None if the report does not say."""
    found = _JIFFIES.search(report)
    if not found:
        return None
    initial = (1 << 32) - 300 * hz  # INITIAL_JIFFIES
    return (int(found[1]) - initial) / hz


def scan():
    """[{"seconds": since boot, "report": text}, ...], or None."""
    if not os.path.exists(FILE):
        return None
    for _ in range(2):
        time.sleep(PAUSE)
        with open(FILE, "w", encoding="ascii") as file:
            file.write("scan\n")
    with open(FILE, encoding="ascii", errors="replace") as file:
        text = file.read()
    hz = _hz()
    starts = [found.start() for found in _HEAD.finditer(text)] + [len(text)]
    reports = [text[a:b].rstrip() for a, b in zip(starts, starts[1:])]
    return [{"seconds": _seconds(part, hz), "report": part} for part in reports]
