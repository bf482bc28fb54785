# SPDX-License-Identifier: GPL-2.0
"""Two recordings of bios, of C's mpage and of ours, for the same operations: equal,
or different as the parity rows say.

Three things make a difference. A folio in several pieces is one bio for each
block in C, through buffer_heads and not as readahead, and one bio for each run in
ours (B3). C maps what has no buffers block by block when it writes (B1). And a run
is held until the mapper has said what follows; so a mapper that reads metadata and
does not announce it by BH_Boundary (FAT) reads it before the run, where C's
buffer_heads have been sent (R10).

When syncfs(2) writes, it is chance whether a bio of HFS+'s trees has REQ_SYNC. Their
pages are dirtied by the write_inode of the inodes that changed, that is while the
flusher writes for writeback_inodes_sb(), without REQ_SYNC. It takes such a tree in
hand again if the tree was dirtied in the jiffy in which the flusher began
(`dirtied_before` in wb_writeback()), and those of its pages that are not under
writeback any more; else sync_inodes_sb() and hfsplus_sync_fs() write it, with
REQ_SYNC. Two runs of C's own module differ so. Sectors and order are the same, and an
fsync(2) or a file's data leaves nothing to chance.

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


def _no_sync(bios, trees):
    """Runs, without REQ_SYNC for the sectors of the trees."""
    return runs([bio._replace(op="W") if bio.op == "WS" and bio.sector in trees else bio
                 for bio in bios])


class Tally:
    """How the operations of a test compared."""

    def __init__(self):
        self.equal = 0
        self.joined = 0
        self.moved = 0
        self.later = 0
        self.bios = [0, 0]
        self.different = []

    def compare(self, what, one, two, data=(), trees=()):
        """The bios of an operation, C's first; `data` are the file's sectors, `trees`
        those of the trees, if the operation is a sync."""
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
        elif len(two) <= len(one) and _no_sync(one, trees) == _no_sync(two, trees):
            self.later += 1
        else:
            self.different.append(f"{what}:\n  C    {[tuple(bio) for bio in one]}\n"
                                  f"  Rust {[tuple(bio) for bio in two]}")

    def __str__(self):
        return (f"operations with I/O: {self.equal} equal bio by bio, {self.joined} "
                f"with runs joined, {self.moved} with metadata read earlier, "
                f"{self.later} with trees in another pass of a sync, "
                f"{len(self.different)} different; bios: C {self.bios[0]}, Rust "
                f"{self.bios[1]}")
