# SPDX-License-Identifier: GPL-2.0
"""`make xfstests`: a user's own built tree of xfstests, on rust_ext2 and on C ext2.

    make xfstests XFSTESTS=/path/to/a/built/tree
    make xfstests XFSTESTS=... TESTS='generic/001 generic/3?? quick -dangerous'
    make xfstests XFSTESTS=... SECONDS=300      the limit of one test
"""

import os
from concurrent.futures import ThreadPoolExecutor

from .. import ui
from ..build import packages
from ..guest import guest
from ..guest.prepared import Prepared
from . import programs
from .report import Report
from .session import C_EXT2, Boots, Session, Side
from .tree import Tree

BLOCK_SIZES = (4096, 1024)
LIMIT = 1800  # seconds for one test
OURS = "rust_ext2"


def progress(step, sessions, count):
    """One line for the guests that are running."""
    step.update(", ".join(
        f"{session.side.fstype}: {session.running or 'between tests'} "
        f"({session.done} of {count})" for session in sessions if session.boots))


def watched(step, pool, sessions, boots, count):
    """Run sessions side by side; their results. The first that fails ends it."""
    pending = [pool.submit(session.run) for session in sessions]
    while not all(future.done() for future in pending):
        for future in pending:
            if future.done():
                future.result()
        progress(step, sessions, count)
        boots.stop.wait(1)
    return [future.result() for future in pending]


def run_size(boots, block_size, names, accel):
    """The results of both filesystems with one size of blocks."""
    sessions = [Session(boots, Side(fstype, block_size), names)
                for fstype in (OURS, C_EXT2)]
    workers = min(len(sessions), len(os.sched_getaffinity(0)))
    with ui.Progress(f"blocks of {block_size // 1024} KiB ({accel})") as step, \
            ThreadPoolExecutor(workers) as pool:
        try:
            return watched(step, pool, sessions, boots, len(names))
        except BaseException:
            boots.stop.set()
            raise


def main(settings):
    tree = Tree(settings.xfstests)
    names = tree.select(settings.tests)
    with settings.cache.locked():
        packages.install_for_xfstests(settings)
        prepared = Prepared(settings, "lean")
        out = guest.fresh_out(settings, "xfstests")
    archives = [out / "tree.tar", out / "programs.tar"]
    tree.pack(archives[0], out / "tree.log")
    programs.pack(archives[1], out)
    ui.say(f"  {len(names)} tests of {tree.path}")
    boots = Boots(settings, prepared, archives, out, int(settings.seconds or LIMIT))
    report = Report()
    try:
        for block_size in BLOCK_SIZES:
            ours, theirs = run_size(boots, block_size, names, prepared.accel)
            report.size(block_size, names, ours, theirs)
    finally:
        for archive in archives:
            archive.unlink()
    return report.close(out)
