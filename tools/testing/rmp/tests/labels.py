# SPDX-License-Identifier: GPL-2.0
"""The test labels.of_new_files: a guest with a security module that labels every new
inode, on C ext2 and on the filesystem under test (guest/labels.py).
"""

import time

from .. import ui
from ..guest import guest
from .solo import BOOT_LIMIT, Solo

NAME = "labels.of_new_files"
IMAGE = "blank-1k"
LIMIT = BOOT_LIMIT + 900


def wrong_of(marks):
    """What the marks of the guest say is wrong."""
    wrong = [mark.partition(" ")[2] for mark in marks if mark.startswith("error ")]
    passed = [mark for mark in marks if mark.startswith("passed ")]
    if not passed or marks[-1:] != ["complete"]:
        wrong.append(f"the guest did not get to its end: {marks}")
    return wrong


def run(settings, prepared, pictures, out, outcome):
    """The test; skipped on a kernel without the module."""
    if prepared.kernel.config().get("CONFIG_SECURITY_SMACK", "n") == "n":
        outcome.add(NAME, "skip", "the kernel has no CONFIG_SECURITY_SMACK")
        return
    begin = time.monotonic()
    solo = Solo(settings, prepared, pictures / IMAGE, out / NAME)
    solo.run("labels.py", "guest with labels", guest.until(LIMIT), options=["lsm=smack"])
    wrong = wrong_of(solo.marks()) + solo.complaints()
    if wrong:
        wrong.append(ui.tail(solo.log, 25))
    outcome.add(NAME, "fail" if wrong else "pass", "\n".join(wrong),
                time.monotonic() - begin)
