# SPDX-License-Identifier: GPL-2.0
"""Two recordings of bios, of C's mpage and of ours, for the same operations: equal,
or different as the parity rows say.

Three things make a difference. A folio in several pieces is one bio for each
block in C, through buffer_heads and not as readahead, and one bio for each run in
ours (B3). C maps what has no buffers block by block when it writes (B1). And a run
is held until the mapper has said what follows; so a mapper that reads metadata and
does not announce it by BH_Boundary (FAT) reads it before the run, where C's
buffer_heads have been sent (R10).

So what is compared, if the recordings are not equal bio by bio, are runs: bios of
the same kind joined where one continues the other; and if those differ in order,
the runs of the file's own sectors and those of the others, each in order.
"""

from typing import NamedTuple


class Run(NamedTuple):
    """Sectors that go one way, in the order in which they were asked for."""

    op: str
    sector: int
    sectors: int


def runs(bios):
    """The recording with bios joined and REQ_RAHEAD left out."""
    found = []
    for bio in bios:
        op = bio.op.replace("A", "") if bio.op.startswith("R") else bio.op
        last = found[-1] if found else None
        if last and last.op == op and last.sector + last.sectors == bio.sector:
            found[-1] = Run(op, last.sector, last.sectors + bio.sectors)
        else:
            found.append(Run(op, bio.sector, bio.sectors))
    return found


def _apart(bios, data):
    """Runs of the file's sectors, and of the others."""
    return [runs([bio for bio in bios if (bio.sector in data) == own])
            for own in (True, False)]


class Tally:
    """How the operations of a test compared."""

    def __init__(self):
        self.equal = 0
        self.joined = 0
        self.moved = 0
        self.bios = [0, 0]
        self.different = []

    def compare(self, what, one, two, data=()):
        """The bios of an operation, C's first; `data` are the file's sectors."""
        one, two = [[Run(bio.op, bio.sector, bio.sectors) for bio in side]
                    for side in (one, two)]
        self.bios[0] += len(one)
        self.bios[1] += len(two)
        if one == two:
            self.equal += bool(one)
        elif len(two) <= len(one) and runs(one) == runs(two):
            self.joined += 1
        elif len(two) <= len(one) and data and _apart(one, data) == _apart(two, data):
            self.moved += 1
        else:
            self.different.append(f"{what}:\n  C    {[tuple(bio) for bio in one]}\n"
                                  f"  Rust {[tuple(bio) for bio in two]}")

    def __str__(self):
        return (f"operations with I/O: {self.equal} equal bio by bio, {self.joined} "
                f"with runs joined, {self.moved} with metadata read earlier, "
                f"{len(self.different)} different; bios: C {self.bios[0]}, Rust "
                f"{self.bios[1]}")
