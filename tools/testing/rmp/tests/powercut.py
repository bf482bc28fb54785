# SPDX-License-Identifier: GPL-2.0
"""The test powercut.kill: kill a guest that writes, repair its disk here, and look
for what it had called durable.

The disk is a file behind virtio-blk. What the guest's device had completed is kept
when QEMU is killed; what was in the guest's memory is not. Cuts that also take what
was not flushed are in guest/tests/ext2/order/test_crash.py.
"""

import random
import re
import sys
import time

from .. import ui
from .solo import BOOT_LIMIT, Solo, program

NAME = "powercut.kill"
WORK = (4, 15)  # seconds after the first fsync
IMAGE = "blank-1k"


def durable_of(marks):
    """The marks that tell what is durable, in order; a garbled one is left out."""
    return [mark for mark in marks
            if re.fullmatch(r"(begin|gone) \S+|done \S+ \d+ \d+|error .*", mark)]


def has_attributes(settings):
    """Whether files get attributes: those of C ext2 are not there after an fsync(2)."""
    return settings.fstype == "rust_ext2"


def has_attribute(told, name, value):
    """Whether debugfs has told that an attribute is this."""
    return f'{name} ({len(value)}) = "{value.decode()}"' in told


def _write_until_killed(solo, seed):
    """Boot, let it write, kill it."""
    end = [time.monotonic() + BOOT_LIMIT, False]
    work = random.Random(seed).uniform(*WORK)

    def on_mark(mark):
        if not end[1] and mark.startswith(("done", "error")):
            end[:] = time.monotonic() + work, True

    solo.run("powercut.py", "guest to be killed",
             lambda: end[0] - time.monotonic(), on_mark, seed=seed,
             attributes=has_attributes(solo.settings))


def _wrong(solo, marks):
    """What is wrong with the repaired disk, a list of texts."""
    sys.path.insert(0, str(solo.settings.testing / "guest" / "tests"))
    try:
        import durable  # pylint: disable=import-outside-toplevel
        import writers  # pylint: disable=import-outside-toplevel
    finally:
        sys.path.pop(0)
    status, text = program("e2fsck", "-fy", solo.disk)
    if status not in (0, 1):
        return [f"e2fsck: status {status}\n{text}"]
    found = solo.complaints()
    if solo.settings.fstype == "rust_ext2" and "ultiply-claimed" in text:
        found.append(f"a block of two files\n{text}")
    kept = durable.Durable(marks)
    for name, (seed, length) in kept.files.items():
        copy = solo.out / "copy"
        copy.unlink(missing_ok=True)
        program("debugfs", "-R", f"dump /{name} {copy}", solo.disk)
        data = copy.read_bytes() if copy.exists() else None
        if data != writers.content(seed, 0, length):
            found.append(f"{name} was fsynced with {length} bytes, and " + (
                "is not there" if data is None else f"has {len(data)} others"))
        if not has_attributes(solo.settings):
            continue
        told = program("debugfs", "-R", f"ea_get /{name} {durable.ATTRIBUTE}", solo.disk)[1]
        if not has_attribute(told, durable.ATTRIBUTE, durable.attribute(seed)):
            found.append(f"{name} was fsynced with {durable.attribute(seed)}: {told}")
    for name in kept.gone:
        if "File not found" not in program("debugfs", "-R", f"stat /{name}",
                                           solo.disk)[1]:
            found.append(f"{name} is back, and its directory had been fsynced")
    return found + ([text] if found else [])


def run(settings, prepared, pictures, out, outcome):
    """The test."""
    seed = int(settings.seed or 0) or random.randrange(1, 1 << 30)
    begin = time.monotonic()
    solo = Solo(settings, prepared, pictures / IMAGE, out / NAME)
    _write_until_killed(solo, seed)
    marks = durable_of(solo.marks())
    errors = [mark for mark in marks if mark.startswith("error")]
    if errors or not any(mark.startswith("done") for mark in marks):
        outcome.add(NAME, "fail", "the guest wrote nothing: " + "".join(errors) +
                    f"\n{ui.tail(solo.log, 25)}")
        return
    wrong = _wrong(solo, marks)
    outcome.add(NAME, "fail" if wrong else "pass",
                "\n".join([f"SEED={seed}", *wrong]), time.monotonic() - begin)
