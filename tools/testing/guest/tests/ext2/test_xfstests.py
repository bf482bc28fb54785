# SPDX-License-Identifier: GPL-2.0
"""The guest's half of `make xfstests`, with a small tree whose `check` says what that of
xfstests says. Nothing of xfstests is here.
"""

import contextlib
import os
import signal
import sys
import tarfile

import xfstests
from runner import timeout

sys.path.insert(0, os.path.dirname(os.path.dirname(xfstests.__file__)))
try:
    from rmp.xfstests import results, small_tree  # pylint: disable=wrong-import-position
finally:
    del sys.path[0]

_TESTS = {
    "generic/001": small_tree.MOUNTS,
    "generic/002": small_tree.NOT_RUN,
    "generic/003": small_tree.FAILS + "head -c 100000 /dev/zero > $RESULT_BASE/$name.full\n",
    "generic/004": small_tree.HANGS,
}


def _disk(ctx, name, length):
    path = os.path.join(ctx.tmp, name)
    with open(path, "wb") as file:
        file.truncate(length)
    return ctx.loop(path, read_only=False)


def _archive(ctx, name, texts):
    """A tar archive on a device."""
    folder = os.path.join(ctx.tmp, name)
    small_tree.write(folder, texts)
    with tarfile.open(folder + ".tar", "w") as tar:
        tar.add(folder, ".")
    return ctx.loop(folder + ".tar")


def _machine(ctx, tests, limit, name):
    """A prepared machine, with its own folders."""
    out = os.path.join(ctx.tmp, f"out-{name}")
    os.mkdir(out)
    job = {"out": out, "tests": tests, "limit": limit, "block_size": 4096,
           "test": _disk(ctx, f"test-{name}", 8 << 20),
           "scratch": _disk(ctx, f"scratch-{name}", 8 << 20),
           "tree": _archive(ctx, f"tree-{name}", small_tree.texts(_TESTS)),
           "programs": _archive(ctx, f"programs-{name}", {"lib/none": ""})}
    machine = xfstests.Machine(job, os.path.join(ctx.tmp, f"work-{name}"))
    machine.unpack()
    machine.configure()
    return machine


def _said(ctx, machine):
    """What the host makes of it."""
    with open(os.path.join(machine.out, "check.txt"), encoding="ascii") as file:
        text = file.read()
    with open(os.path.join(machine.out, "check.err"), encoding="ascii") as file:
        ctx.log(text + file.read())
    return results.Said(text, machine.job["tests"])


def test_small_tree(ctx):
    """A tree is unpacked and run on two disks; what it says and writes is kept."""
    ctx.load("ext2")
    names = ["generic/001", "generic/002", "generic/003"]
    machine = _machine(ctx, names, 100, "run")
    ctx.run("mke2fs", "-q", "-F", "-t", "ext2", machine.job["test"])
    assert xfstests.check(machine) == 1
    said = _said(ctx, machine)
    found = {name: said.results[name].status for name in names}
    assert found == {"generic/001": "pass", "generic/002": "not run",
                     "generic/003": "fail"}, found
    assert said.results["generic/002"].why == "this one wants a moon"
    assert said.complete
    machine.keep()
    kept = os.path.join(machine.out, "results", "generic")
    with open(os.path.join(kept, "001.full"), encoding="ascii") as file:
        assert file.read() == "blocks of 4096\nboth\n"
    assert os.path.getsize(os.path.join(kept, "003.full")) == xfstests.KEPT


@timeout(60)
def test_hanging(ctx):
    """A test that hangs is noticed, named, and ended."""
    machine = _machine(ctx, ["generic/004"], 1, "hang")
    shown = []
    show, xfstests.show_stuck = xfstests.show_stuck, lambda: shown.append(True)
    try:
        assert xfstests.check(machine) is None
    finally:
        xfstests.show_stuck = show
    said = _said(ctx, machine)
    assert said.running == "generic/004" and not said.results
    assert shown == [True]
    # it is ended: waited for here, or before
    with contextlib.suppress(ChildProcessError):
        assert os.waitstatus_to_exitcode(os.wait()[1]) == -signal.SIGKILL
