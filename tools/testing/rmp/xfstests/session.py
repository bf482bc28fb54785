# SPDX-License-Identifier: GPL-2.0
"""One filesystem with one size of blocks: guests, one after the other, until each test
has a result.

A test that kills its guest, or is not done in its time, has failed; another guest goes
on behind it. A guest that does not get to its first test ends the run.
"""

import os
import re
import threading
import time
from typing import NamedTuple

from .. import ui
from ..build import modules
from ..guest import guest, logscan
from . import results

BOOT_LIMIT = 900  # seconds until the first test
SLACK = 180       # a guest that notices that a test hangs is to end by itself
DISK_SIZE = 2 << 30
MEMORY = "3G"
C_EXT2 = "ext2"
HUNG = 3  # of the guest's half
_BEGUN = re.compile(r"run (?:xfstest|fstests) (\S+)")


class Side(NamedTuple):
    """What the tests run on."""

    fstype: str
    block_size: int

    def __str__(self):
        name = "C ext2" if self.fstype == C_EXT2 else self.fstype
        return f"{name}, {self.block_size // 1024} KiB"


class Boots:
    """Boots guests for a side. `archives`: of the user's tree, and of programs."""

    def __init__(self, settings, prepared, archives, out, limit):
        self._settings = settings
        self._prepared = prepared
        self._archives = archives
        self._out = out
        self.limit = limit
        self.stop = threading.Event()

    def _machine(self, side, out):
        machine = self._prepared.guest(memory=MEMORY)
        for name in ("test", "scratch"):
            disk = out / f"{name}.img"
            disk.touch()
            os.truncate(disk, DISK_SIZE)
            machine.disks.append(guest.Disk(disk, guest.Disk.SCRATCH))
        machine.disks += map(guest.Disk, self._archives)
        fields = {
            "trees": self._prepared.trees(machine), "block_size": side.block_size,
            "modules": self._modules(side), "test": "/dev/vda", "scratch": "/dev/vdb",
            "tree": "/dev/vdc", "programs": "/dev/vdd",
            "limit": self.limit,
        }
        return machine, fields

    def _modules(self, side):
        if side.fstype == C_EXT2:
            return [(C_EXT2, "")]
        names = modules.names(self._prepared.objects)
        return [(name, "register_as_ext2=1" if name == "rust_ext2" else "")
                for name in ("rust_mpage", "rust_ext2") if name in names]

    def boot(self, side, names, number, tell):
        """Run tests in one guest: what was said of them, whether the guest saw a test
        hang, and its folder. tell(said) is called now and then."""
        out = self._out / f"{side.fstype}-{side.block_size // 1024}k-boot{number}"
        out.mkdir()
        machine, fields = self._machine(side, out)
        watch = Deadline(out / "check.txt", names, self.limit, tell)

        def left():
            return 0 if self.stop.is_set() else watch.left()

        try:
            status = guest.job(machine, self._settings, out, "xfstests.py",
                               dict(fields, tests=names), out / "console.log", left)
        finally:
            for name in ("test", "scratch"):
                (out / f"{name}.img").unlink()
        return watch.read(), status == HUNG or watch.left() <= 0, out


class Deadline:
    """How long a guest may still take: as long as its next test may."""

    def __init__(self, path, names, limit, tell, now=time.monotonic):
        self._path = path
        self._names = names
        self._limit = limit
        self._tell = tell
        self._now = now
        self._size = 0
        self._end = now() + BOOT_LIMIT

    def read(self):
        """What `check` has said."""
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        return results.Said(text, self._names)

    def left(self):
        """Seconds."""
        size = self._path.stat().st_size if self._path.exists() else 0
        if size != self._size:
            self._size = size
            self._end = self._now() + self._limit + SLACK
            self._tell(self.read())
        return self._end - self._now()


class Session:
    """All tests on one side; `results` is complete when run() returns."""

    def __init__(self, boots, side, names):
        self.side = side
        self.results = {}
        self.boots = 0
        self.running = ""
        self._boots = boots
        self._left = list(names)
        self._said = 0  # results of the boot that runs

    @property
    def done(self):
        """How many tests have a result."""
        return len(self.results) + self._said

    def _tell(self, said):
        self.running = said.running
        self._said = len(said.results)

    def run(self):
        while self._left and not self._boots.stop.is_set():
            self.boots += 1
            said, hung, out = self._boots.boot(self.side, list(self._left), self.boots,
                                               self._tell)
            self._take(said, hung, out)
        return self.results

    def _take(self, said, hung, out):
        found = dict(said.results)
        log = out / "console.log"
        if said.running and not said.complete:
            why = f"not done in {self._boots.limit} s" if hung else \
                "the guest died here; the end of its console:\n" + ui.tail(log, 25)
            found[said.running] = results.Result(results.FAIL, why)
        elif hung and found:
            # between two tests or behind the last: `check` unmounts the disks there
            name = next(reversed(found))
            found[name] = _failed(found[name], f"nothing more in {self._boots.limit} s after it")
        if not found:
            raise fail_no_test(self.side, log, out)
        if said.complete:
            for name in set(self._left) - set(found):
                found[name] = results.Result(results.NOT_RUN, "check did not say why")
        for complaint in complaints(log):
            name = complaint.test if complaint.test in found else next(iter(found))
            text = "in the kernel log:\n" + "\n".join(complaint.lines)
            found[name] = _failed(found[name], text)
        self.results |= found
        self._said = 0
        self._left = [name for name in self._left if name not in found]


def _failed(had, why):
    """A result, and another reason for it to be a failure."""
    return results.Result(results.FAIL,
                          f"{had.why}\n{why}" if had.status == results.FAIL else why)


def complaints(log):
    """What the kernel complained of, by test."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    lines = [_BEGUN.sub(r"rust_mpage_test: start \1", line) for line in text.splitlines()]
    return logscan.scan(lines)


def fail_no_test(side, log, out):
    """The message for a guest that ran no test."""
    told = "\n".join(filter(None, (ui.tail(out / name) for name in
                                   ("stdout", "check.err", "check.txt"))))
    return ui.Fail(f"{side}: the guest did not get to its first test\n"
                   f"its last words:\n{told}\n"
                   f"the last lines of its console:\n{ui.tail(log)}\nthe whole log: {log}")
