# SPDX-License-Identifier: GPL-2.0
"""The test make_xfstests.small_tree: `make xfstests` as it is typed, with a small tree, on both
filesystems and with both sizes of blocks. Long, by name only: it boots a dozen guests.

One test mounts both disks; one hangs, on both, and costs its limit; one is not run; and one
passes on C ext2 only, so that the exit status says so.
"""

import subprocess
import sys
import time

from .. import command
from ..guest import guest
from . import small_tree

NAME = "make_xfstests.small_tree"
LIMIT = 60  # seconds for one of its tests
_WORSE = """
if grep -q ^rust_ext2 /proc/modules; then
    echo "[failed, exit status 1]- output mismatch (see 004.out.bad)"
else
    echo " 1s"
fi
"""
_TESTS = {"generic/001": small_tree.MOUNTS, "generic/002": small_tree.HANGS,
          "generic/003": small_tree.NOT_RUN, "generic/004": _WORSE}
# what a tree that is built has besides
_BUILT = {"common/rc": "", "ltp/fsstress": "", "ltp/fsx": "", "src/lstat64": "",
          "tests/generic/group.list": "001 auto quick\n002 auto\n003 auto quick\n004 auto quick\n"}
# TESTS=: the exit status, the last line, and lines that are among the others
_RUNS = {
    "auto": (1, "2 passed, 4 failed, 2 not run", (
        "  pass     generic/001",
        f"  FAIL     generic/002: on both: not done in {LIMIT} s",
        "  not run  generic/003: on either: this one wants a moon",
        "  FAIL     generic/004: C ext2 passes; [failed, exit status 1]- output mismatch "
        "(see 004.out.bad)",
        "C ext2 passes these, rust_ext2 does not:",
        "  generic/004 (4 KiB)", "  generic/004 (1 KiB)")),
    "quick -generic/004": (0, "2 passed, 0 failed, 2 not run", ("blocks of 1 KiB",)),
}


def wrong_of(status, text, want):
    """What is wrong with an exit status and what was printed, a list of texts."""
    code, last, among = want
    lines = text.splitlines()
    wrong = [f"there is no line {line!r}" for line in among if line not in lines]
    if status != code:
        wrong.append(f"the exit status is {status}, not {code}")
    if lines[-1:] != [last]:
        wrong.append(f"the last line is {lines[-1:]}, not {last!r}")
    return wrong + [text] if wrong else []


def _typed(settings, tree, tests):
    """(exit status, output) of the command."""
    env = command.environment(XFSTESTS=tree, TESTS=tests, SECONDS=LIMIT,
                              ACCEL=settings.accel, PYTHONPATH=settings.testing)
    done = subprocess.run([sys.executable, "-m", "rmp", "xfstests"], env=env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, encoding="utf-8",
                          errors="replace")
    return done.returncode, done.stdout


def run(settings, outcome):
    """The test."""
    begin = time.monotonic()
    tree = guest.fresh_out(settings, "small_tree") / "tree"
    small_tree.write(tree, small_tree.texts(_TESTS) | _BUILT)
    wrong = []
    for tests, want in _RUNS.items():
        wrong += [f"TESTS={tests}: {text}"
                  for text in wrong_of(*_typed(settings, tree, tests), want)]
    outcome.add(NAME, "fail" if wrong else "pass", "\n".join(wrong), time.monotonic() - begin)
