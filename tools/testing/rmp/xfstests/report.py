# SPDX-License-Identifier: GPL-2.0
"""The results on rust_ext2 beside those on C ext2, printed and added up."""

from .. import ui
from .results import FAIL, NOT_RUN, PASS

_LINES = 12  # of a failure that C ext2 does not have


def line(text):
    """The first line of a reason."""
    return (text.strip().splitlines() or ["no reason was given"])[0]


def verdict(ours, theirs):
    """(word, whether C ext2 passes what ours does not, why) for one test."""
    if ours.status == PASS:
        if theirs.status == PASS:
            return "pass", False, ""
        return "pass", False, f"C ext2: {theirs.status}: {line(theirs.why)}"
    word = "FAIL" if ours.status == FAIL else NOT_RUN
    if theirs.status == PASS:
        return word, True, f"C ext2 passes; {line(ours.why)}"
    if theirs.status == ours.status:
        on = "either" if ours.status == NOT_RUN else "both"
        return word, False, f"on {on}: {line(ours.why)}"
    return word, False, f"{line(ours.why)}; C ext2: {theirs.status}: {line(theirs.why)}"


class Report:
    """Counts of rust_ext2's results, for all sizes of blocks."""

    def __init__(self):
        self._counts = {PASS: 0, FAIL: 0, NOT_RUN: 0}
        self.worse = []

    def size(self, block_size, names, ours, theirs):
        """Print the results with one size of blocks."""
        what = f"{block_size // 1024} KiB"
        ui.say(f"\nblocks of {what}")
        for name in names:
            word, worse, why = verdict(ours[name], theirs[name])
            self._counts[ours[name].status] += 1
            ui.say(f"  {word:<7}  {name}" + (f": {why}" if why else ""))
            if worse:
                self.worse.append(f"{name} ({what})")
                for text in ours[name].why.splitlines()[1:_LINES]:
                    ui.say(f"             {text}")

    def close(self, logs):
        """Print what C ext2 does better, and the counts; the exit status."""
        if self.worse:
            ui.say("\nC ext2 passes these, rust_ext2 does not:")
            for text in self.worse:
                ui.say(f"  {text}")
        ui.say(f"\nlogs: {logs}")
        ui.say(f"\n{self._counts[PASS]} passed, {self._counts[FAIL]} failed, "
               f"{self._counts[NOT_RUN]} not run")
        return 1 if self.worse else 0
