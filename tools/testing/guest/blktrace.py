# SPDX-License-Identifier: GPL-2.0
"""Record the bios and requests that reach a block device.

Uses the block layer's tracepoints in a tracefs instance of its own:
block_bio_queue for each bio that is submitted, block_rq_issue for each request
that goes to the driver. Sectors are 512 bytes and relative to the whole disk.

Leaves out: completion, merges, and other devices than the one asked for.
"""

import contextlib
import os
import re
from typing import NamedTuple

TRACEFS = "/sys/kernel/tracing"
INSTANCE = TRACEFS + "/instances/rust_mpage"
EVENTS = ("block_bio_queue", "block_rq_issue")

_LINE = re.compile(
    r": (?P<event>block_\w+): \d+,\d+ (?P<op>\S+) "
    r"(?:\d+ \(.*?\) )?(?P<sector>\d+) \+ (?P<count>\d+) "
    r"(?:\S+ )?\[(?P<comm>.*)\]"
)


class Io(NamedTuple):
    """One bio or request: operation and flags as blktrace writes them
    ("R", "RA", "RM", "W", "WS", ...), first sector, number of sectors."""

    op: str
    sector: int
    sectors: int
    comm: str


def _write(name, text):
    with open(os.path.join(INSTANCE, name), "w", encoding="ascii") as file:
        file.write(text)


class Recorder:
    """A context manager; `bios` and `requests` are lists of Io at its end.

    take() gives what was recorded so far, or since the last take(), as the pair
    (bios, requests), and forgets it: cheaper than a recorder for each step. Records
    are consumed as they are read: to clear the buffer waits for grace periods, as
    does to read it as a whole.
    """

    def __init__(self, device):
        number = os.stat(device).st_rdev
        # the kernel's own dev_t, which trace filters compare with
        self._dev = (os.major(number) << 20) | os.minor(number)
        self.bios = []
        self.requests = []

    def __enter__(self):
        # The instance and its events stay for the next recorder: making and
        # removing them waits for grace periods, seconds in a checked kernel.
        if not os.path.exists(INSTANCE):
            os.mkdir(INSTANCE)
            _write("buffer_size_kb", "4096")
        _write("tracing_on", "0")
        self._lines()
        for event in EVENTS:
            _write(f"events/block/{event}/filter", f"dev == {self._dev}")
            _write(f"events/block/{event}/enable", "1")
        _write("tracing_on", "1")
        return self

    def __exit__(self, kind, value, traceback):
        _write("tracing_on", "0")
        self._parse(self._lines())

    def take(self):
        """(bios, requests) since the last call."""
        self._parse(self._lines())
        taken = self.bios, self.requests
        self.bios, self.requests = [], []
        return taken

    @staticmethod
    def _lines():
        """All that waits in the buffer."""
        pipe = os.open(os.path.join(INSTANCE, "trace_pipe"),
                       os.O_RDONLY | os.O_NONBLOCK)
        text = b""
        try:
            with contextlib.suppress(BlockingIOError):
                while piece := os.read(pipe, 1 << 16):
                    text += piece
        finally:
            os.close(pipe)
        return text.decode("utf-8", "replace").splitlines()

    def _parse(self, lines):
        for line in lines:
            if "LOST" in line and "EVENTS" in line:
                raise RuntimeError("the trace buffer overflowed: " + line.strip())
            self._take(line)

    def _take(self, line):
        found = _LINE.search(line)
        if not found:
            return
        entry = Io(
            found["op"], int(found["sector"]), int(found["count"]), found["comm"]
        )
        if found["event"] == "block_bio_queue":
            self.bios.append(entry)
        else:
            self.requests.append(entry)
