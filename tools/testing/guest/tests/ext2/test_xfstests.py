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

_CHECK = """#!/bin/bash
# as the real one: settings from $HOST_OPTIONS, a name, how it was
. "$HOST_OPTIONS"
echo "FSTYP         -- $FSTYP"
echo
for name in "$@"; do
    printf "%-19s" "$name"
    echo "run fstests $name at now" > /dev/kmsg
    mkdir -p "$RESULT_BASE/${name%/*}"
    . "tests/$name"
done
echo "Ran: $*"
echo "Failed 1 of 3 tests"
exit 1
"""
_TESTS = {
    # both disks, in its own shell's words
    "generic/001": """
mkfs.ext2 -q -F $MKFS_OPTIONS $SCRATCH_DEV >&2 && mount -t $FSTYP $SCRATCH_DEV $SCRATCH_MNT &&
mount -t $FSTYP $TEST_DEV $TEST_DIR && echo both > $TEST_DIR/file &&
stat -f -c 'blocks of %s' $SCRATCH_MNT > $RESULT_BASE/generic/001.full &&
cat $TEST_DIR/file >> $RESULT_BASE/generic/001.full &&
umount $SCRATCH_MNT && umount $TEST_DIR && echo " 1s"
""",
    "generic/002": 'echo "[not run] this one wants $(udevadm wait /dev/moon; echo a moon)"\n',
    "generic/003": """
echo "[failed, exit status 1]- output mismatch (see 003.out.bad)"
head -c 100000 /dev/zero > $RESULT_BASE/generic/003.full
""",
    "generic/004": "read -r line < <(sleep infinity)\n",
}


def _disk(ctx, name, length):
    path = os.path.join(ctx.tmp, name)
    with open(path, "wb") as file:
        file.truncate(length)
    return ctx.loop(path, read_only=False)


def _archive(ctx, name, texts):
    """A tar archive on a device."""
    folder = os.path.join(ctx.tmp, name)
    for path, text in texts.items():
        target = os.path.join(folder, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(target, 0o755)
    with tarfile.open(folder + ".tar", "w") as tar:
        tar.add(folder, ".")
    return ctx.loop(folder + ".tar")


def _machine(ctx, tests, limit, name):
    """A prepared machine, with its own folders."""
    out = os.path.join(ctx.tmp, f"out-{name}")
    os.mkdir(out)
    tree = {"check": _CHECK} | {f"tests/{test}": text for test, text in _TESTS.items()}
    job = {"out": out, "tests": tests, "limit": limit, "block_size": 4096,
           "test": _disk(ctx, f"test-{name}", 8 << 20),
           "scratch": _disk(ctx, f"scratch-{name}", 8 << 20),
           "tree": _archive(ctx, f"tree-{name}", tree),
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
    sys.path.insert(0, os.path.dirname(os.path.dirname(xfstests.__file__)))
    try:
        from rmp.xfstests import results  # pylint: disable=import-outside-toplevel
    finally:
        del sys.path[0]
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
