# SPDX-License-Identifier: GPL-2.0
"""The test panics.at_the_first_error: errors=panic stops the machine, after the
superblock on the disk has been marked. C: ext2_error().
"""

import re
import struct
import time

from .. import ui
from ..guest import guest
from .solo import BOOT_LIMIT, Solo

NAME = "panics.at_the_first_error"
IMAGE = "bitmap-hole"
_STATE = 1024 + 58  # s_state
_ERROR = 2
# C does not say whose disk it is
_LAST_WORDS = re.compile(r"Kernel panic - not syncing: (rust_ext2 \(\w+\)|EXT2-fs): "
                         "panic from previous error")


def run(settings, prepared, pictures, out, outcome):
    """The test."""
    begin = time.monotonic()
    solo = Solo(settings, prepared, pictures / IMAGE, out / NAME)
    solo.run("panics.py", "guest that has to panic", guest.until(BOOT_LIMIT))
    wrong = solo.complaints(allowed="Kernel panic - not syncing: ")
    marks = solo.marks()
    if marks != ["mounted"]:
        wrong.append(f"the guest said: {marks}")
    if not _LAST_WORDS.search(solo.console()):
        wrong.append(f"it did not panic:\n{ui.tail(solo.log, 25)}")
    with open(solo.disk, "rb") as disk:
        disk.seek(_STATE)
        state, = struct.unpack("<H", disk.read(2))
    if not state & _ERROR:
        wrong.append(f"the superblock's state is {state}")
    outcome.add(NAME, "fail" if wrong else "pass", "\n".join(wrong),
                time.monotonic() - begin)
