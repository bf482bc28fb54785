# SPDX-License-Identifier: GPL-2.0
"""Some of the cells of `make bench`: CELLS='unlink names-4k:* brd-1k:rust_ext2:empty'.

Each word is a pattern of columns, or of boots and columns, or of boots, filesystems
and columns, with "*" and "?" as in the shell.
"""

import fnmatch

from .. import ui
from . import plan, profile

_SHORT = {name: short for short, name in profile.NAMES.items()}


def parse(text):
    """[(pattern of boots, of filesystems, of columns)]"""
    patterns = []
    for word in text.split():
        parts = word.split(":")
        if len(parts) > 3 or not all(parts):
            raise ui.Fail(f"CELLS={word}: it is column, boot:column or "
                          "boot:filesystem:column")
        boot = parts[0] if len(parts) > 1 else "*"
        filesystem = parts[1] if len(parts) > 2 else "*"
        patterns.append((boot, filesystem, parts[-1]))
    return patterns


def pairs(boot, job, patterns):
    """The (filesystem, column) pairs of a job that match."""
    found = []
    for cell in job["read"] + job["write"]:
        for column in cell["names"].values():
            for name in plan.FILESYSTEMS:
                triple = (boot, _SHORT[name], column.partition("@")[0])
                if name not in cell.get("but", ()) and any(
                        all(map(fnmatch.fnmatchcase, triple, pattern))
                        for pattern in patterns):
                    found.append((name, column))
    return found


def of(jobs, text):
    """Those of {boot: (job, memory)} that have something to measure, and only that."""
    patterns, wanted = parse(text), {}
    for boot, (job, memory) in jobs.items():
        # a job that is part of another already is no boot of its own
        matching = [] if job["only"] else pairs(boot, job, patterns)
        if matching:
            wanted[boot] = (plan.only(job, matching), memory)
    if not wanted:
        columns = sorted({column.partition("@")[0] for job, _ in jobs.values()
                          for cell in job["read"] + job["write"]
                          for column in cell["names"].values()})
        raise ui.Fail(f"CELLS={text}: there is no such cell\n  boots: {' '.join(jobs)}\n"
                      f"  filesystems: {' '.join(profile.NAMES)}\n"
                      f"  columns: {' '.join(columns)}")
    return wanted
