# SPDX-License-Identifier: GPL-2.0
"""What xfstests' `check` says, read as it is said.

A test's name is printed when it begins, at the start of a line; what follows, up to
the next name, is of it. A test that has passed ends with its seconds, one that was not
run says "[not run]" and why; anything else failed. A summary is at the end, and is
believed more than what came before.
"""

import re
from typing import NamedTuple

PASS, FAIL, NOT_RUN = "pass", "fail", "not run"
_SECONDS = re.compile(r"(?:^|\s)(\d+)s$")
_LAST_TIME = re.compile(r"^\s*\d+s \.\.\. ")
_ANSWER = re.compile(r"\[not run\]|\[expunged\]|- no such test\?|\[failed, |"
                     r"- output mismatch|no qualified output")
_SUMMARY = re.compile(r"^(Ran|Not run|Failures|Passed all|Failed \d+ of|Interrupted)\b")
_SHOWN = 30  # lines of a failure


class Result(NamedTuple):
    """How a test was, and why if it did not pass."""

    status: str
    why: str = ""
    seconds: int = 0


class Said:
    """What `check` has said so far, of the tests that it was asked for."""

    def __init__(self, text, names):
        self.results = {}
        self.running = ""
        self.complete = False
        self._wanted = set(names)
        self._name = ""
        self._lines = []
        *whole, rest = text.split("\n")
        for line in whole:
            self._line(line)
        if self.complete:
            return
        first = (rest.split() or [""])[0]
        if first in self._wanted:
            self._end(True)
            self.running = first
        else:
            self._end(False)

    def _line(self, line):
        first = (line.split() or [""])[0]
        summary = _SUMMARY.match(line)
        if summary:
            self._end(True)
            self._take_summary(summary[1], line)
        elif first in self._wanted and line.startswith(first):
            self._end(True)
            self._name, self._lines = first, [line[len(first):].strip()]
        elif self._name:
            self._lines.append(line)

    def _end(self, over):
        """The test that was spoken of has ended, or so it seems."""
        if not self._name:
            return
        text = "\n".join(self._lines).strip()
        result = judge(text)
        if over or result.status != FAIL or _ANSWER.search(text):
            self.results[self._name] = result
        if over:
            self._name = ""
        elif self._name not in self.results:
            self.running = self._name

    def _take_summary(self, what, line):
        self.complete = self.complete or what.startswith(("Passed all", "Failed "))
        if what not in ("Failures", "Not run"):
            return
        status = FAIL if what == "Failures" else NOT_RUN
        for name in line.partition(":")[2].split():
            had = self.results.get(name)
            if name in self._wanted and (had is None or had.status != status):
                self.results[name] = Result(status, had.why if had else "")


def judge(text):
    """The result of a test, from what was said after its name."""
    text = _LAST_TIME.sub("", text)
    if "[not run]" in text:
        return Result(NOT_RUN, " ".join(text.partition("[not run]")[2].split()))
    if "[expunged]" in text or "- no such test?" in text:
        return Result(NOT_RUN, text.strip("[]- ?"))
    seconds = _SECONDS.search(text)
    if seconds and not _ANSWER.search(text):
        return Result(PASS, "", int(seconds[1]))
    return Result(FAIL, "\n".join(text.splitlines()[:_SHOWN]) or "it says nothing")
