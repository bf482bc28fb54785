# SPDX-License-Identifier: GPL-2.0
"""Find what a kernel log complains of, and which test it belongs to.

The guest writes a line at the start and the end of each test; what is before
the first belongs to "boot", what is between two tests to the one before. While
a module with KUnit suites is loaded, it belongs to the test case whose result
comes next.
"""

import re
from dataclasses import dataclass, field

MARKER = re.compile(r"rust_mpage_test: (start|end) (\S+)(?: timeout=(\d+))?")
_STAMP = re.compile(r"^\s*(?:<\d+>)?\[\s*\d+\.\d+\](?:\[\s*[TC]\d+\])? ?")

BAD = re.compile("|".join((
    r"\bBUG: ", r"\bBUG at ", r"\bOops\b", r"\bKASAN\b: ", r"\bUBSAN: ",
    r"\bKCSAN: ", r"\bKFENCE: ", r"\bWARNING: ", r"\bINFO: task .* blocked",
    r"\bINFO: possible ", r"\bINFO: trying to register", r"\bINFO: lockdep ",
    r"\brcu: INFO: ", r"\bINFO: rcu", r"\bsuspicious RCU usage",
    r"general protection fault", r"Kernel panic", r"kernel BUG",
    r"soft lockup", r"hard LOCKUP", r"[Uu]nable to handle kernel",
    r"list_(add|del) corruption", r"\brefcount_t: ", r"\bBad page\b",
    r"page dumped because", r"rust_kernel: panicked", r"\bpanicked at\b",
    r"kmemleak: \d+ new suspected", r"kmemleak: Cannot", r"ODEBUG: ",
    r"pagealloc: memory corruption", r"Slab .*corruption",
    r"sleeping function called", r"scheduling while atomic",
    r"possible (circular|recursive) locking", r"bad unlock balance",
    r"held lock freed", r"lock held (when returning|at task exit)",
)))

# what this driver says of its own counts, when a promise was neither spent nor given back, or given
# back twice: no test may allow that, for those that allow errors of the driver are just those in
# which things fail
COUNTS = re.compile("|".join((
    r"blocks are promised to", r"promised blocks have come back", r"free blocks are counted as",
)))

# said by every emulated boot, whatever runs in it
HARMLESS = re.compile("|".join((
    r"clocksource: .*unstable", r"spectre", r"Spectre", r"mitigation",
    r"ATTENTION: KUnit has been built",
)))

_END = re.compile(r"---\[ end |^={20,}$|^-{20,}$")
_MAX_LINES = 40


_SUBTEST = re.compile(r"^\s+# Subtest: (\S+)")
_CASE = re.compile(r"^    (?:not )?ok \d+ (\S+)")


@dataclass
class Complaint:
    """Lines of the kernel log, the first of which is the reason."""

    test: str
    lines: list = field(default_factory=list)


def strip(line):
    """A console line without its time."""
    return _STAMP.sub("", line.rstrip())


class _Scanner:
    """Goes through a log line by line."""

    def __init__(self, allowed):
        self._allowed = allowed
        self._test = "boot"
        self._suite = ""
        self._block = None
        self._pending = []
        self.found = []

    def line(self, text):
        marker = MARKER.search(text)
        if marker:
            self._block, self._pending, self._suite = None, [], ""
            if marker[1] == "start":
                self._test = marker[2]
            return
        if self._test.startswith("load.") and self._kunit(text):
            self._block = None
        elif self._block is not None:
            self._block.append(text)
            if len(self._block) >= _MAX_LINES or _END.search(text):
                self._block = None
        elif COUNTS.search(text):
            self._complain(text)
        elif BAD.search(text) and not HARMLESS.search(text):
            self._complain_unless_allowed(text)

    def _kunit(self, text):
        """True for a line of KTAP; pending complaints go to its test case."""
        if found := _SUBTEST.match(text):
            self._suite = self._suite or found[1]
            return True
        if re.match(r"^(?:not )?ok \d+ ", text):
            self._suite = ""
            return True
        found = _CASE.match(text)
        if not found:
            return False
        for complaint in self._pending:
            complaint.test = f"{self._suite}.{found[1]}"
        self._pending = []
        return True

    def _complain_unless_allowed(self, text):
        if not any(re.search(regex, text) for regex in self._allowed.get(self._test, [])):
            self._complain(text)

    def _complain(self, text):
        complaint = Complaint(self._test, [text])
        self._block = complaint.lines
        self.found.append(complaint)
        if self._suite:
            self._pending.append(complaint)


def scan(lines, allowed=None):
    """All complaints of a log. allowed: {test: [regex that is no complaint]}."""
    scanner = _Scanner(allowed or {})
    for line in lines:
        scanner.line(strip(line))
    return scanner.found
