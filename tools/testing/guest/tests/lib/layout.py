# SPDX-License-Identifier: GPL-2.0
"""What bios a read of a file should make, computed from where its blocks are.

Two models, of C's mpage and of ours, for a readahead request over folios of one
page. Both read metadata (indirect blocks) when the first block that needs it is
mapped, and both submit a bio at a boundary (R10), a discontiguity (R1) and a
hole (R3). They differ in the folios that C "confuses": data behind a hole in the
folio (R5), blocks that are not contiguous (R6). C reads those block by block
through buffer_heads, and not as readahead; ours is B3.

A bio is (operation, first sector, sectors), as block_bio_queue tells it.
"""

from typing import NamedTuple

PAGE = 4096
DIRECT = 12


class Bio(NamedTuple):
    op: str
    sector: int
    sectors: int

    @property
    def end(self):
        return self.sector + self.sectors


class File:
    """A file of the manifest of a layout image."""

    def __init__(self, entry, block_size):
        self.size = entry["size"]
        self.sha256 = entry["sha256"]
        self.parts = entry["parts"]
        self.block_size = block_size
        self.data = {}
        for first, physical, count in entry["data"]:
            for offset in range(count):
                self.data[first + offset] = physical + offset
        self.indirect = {
            tuple(map(int, way.split("/"))): at
            for way, at in entry["indirect"].items()
        }

    def way(self, block):
        """The prefixes of the way to a block that are indirect blocks."""
        pointers = self.block_size // 4
        if block < DIRECT:
            return []
        block -= DIRECT
        if block < pointers:
            return [(12,)]
        block -= pointers
        if block < pointers ** 2:
            return [(13,), (13, block // pointers)]
        block -= pointers ** 2
        high, low = divmod(block, pointers ** 2)
        return [(14,), (14, high), (14, high, low // pointers)]

    def is_boundary(self, block):
        """Whether the pointer of the next block is in another block."""
        return block == DIRECT - 1 or \
            (block >= DIRECT and (block - DIRECT + 1) % (self.block_size // 4) == 0)

    def bytes_of(self, image, offset, length):
        """What the file has there, from the image itself."""
        bs, out = self.block_size, []
        end = min(self.size, offset + length)
        while offset < end:
            inside = offset % bs
            take = min(bs - inside, end - offset)
            at = self.data.get(offset // bs)
            if at is None:
                out.append(bytes(take))
            else:
                out.append(image[at * bs + inside:at * bs + inside + take])
            offset += take
        return b"".join(out)

    def folios(self, offset, length):
        """[(first block, blocks before the end of the file)] of the pages."""
        per_page = PAGE // self.block_size
        blocks = -(-self.size // self.block_size)
        first = offset // PAGE
        last = -(-min(self.size, offset + length) // PAGE)
        return [
            (page * per_page, max(0, min(per_page, blocks - page * per_page)))
            for page in range(first, last)
        ]

    def runs(self, first, count):
        """Contiguous runs [(index in the folio, blocks)] of a folio's blocks."""
        runs = []
        for index in range(count):
            at = self.data.get(first + index)
            if at is None:
                continue
            if runs and sum(runs[-1]) == index and \
                    self.data[first + index - 1] + 1 == at:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((index, 1))
        return runs


class _Model:
    """Follows a request over a file, and collects the bios."""

    def __init__(self, file):
        self.file = file
        self.bios = []
        self._known = set()
        self._bio = None

    def _sector(self, physical):
        return physical * (self.file.block_size // 512)

    def meta(self, block):
        """The block is mapped: its indirect blocks are read, if not yet."""
        for way in self.file.way(block):
            at = self.file.indirect.get(way)
            if at is None:
                return
            if way not in self._known:
                self._known.add(way)
                self.bios.append(
                    Bio("R", self._sector(at), self.file.block_size // 512))

    def flush(self):
        if self._bio:
            self.bios.append(self._bio)
        self._bio = None

    def piece(self, op, block, count):
        """A bio of its own."""
        self.flush()
        self.bios.append(self._make(op, block, count))

    def _make(self, op, block, count):
        return Bio(op, self._sector(self.file.data[block]),
                   count * (self.file.block_size // 512))

    def join(self, block, count, is_whole):
        """A folio that is one run: into the bio if it continues that."""
        new = self._make("RA", block, count)
        if self._bio and self._bio.end == new.sector:
            self._bio = Bio("RA", self._bio.sector, self._bio.sectors + new.sectors)
        else:
            self.flush()
            self._bio = new
        if not is_whole or self.file.is_boundary(block + count - 1):
            self.flush()


def c_mpage(file, offset, length):
    """The bios of C's mpage."""
    model = _Model(file)
    per_page = PAGE // file.block_size
    for first, count in file.folios(offset, length):
        runs = file.runs(first, count)
        confused = len(runs) > 1 or (runs and runs[0][0] > 0)
        last = runs[-1][0] if confused else count
        for index in range(min(count, last + 1)):
            model.meta(first + index)
        if confused:
            model.flush()
            for start, blocks in runs:
                for index in range(start, start + blocks):
                    model.piece("R", first + index, 1)
        elif runs:
            model.join(first, runs[0][1], runs[0][1] == per_page)
    model.flush()
    return model.bios


def rust_mpage(file, offset, length):
    """The bios of rust_mpage."""
    model = _Model(file)
    per_page = PAGE // file.block_size
    for first, count in file.folios(offset, length):
        for index in range(count):
            model.meta(first + index)
        runs = file.runs(first, count)
        if len(runs) == 1:
            start, blocks = runs[0]
            model.join(first + start, blocks, start + blocks == per_page)
            continue
        for start, blocks in runs:
            model.piece("RA", first + start, blocks)
    model.flush()
    return model.bios


def is_simple(file):
    """Whether C takes every folio of the file to a bio (no R5, no R6)."""
    per_page = PAGE // file.block_size
    for page in {block // per_page for block in file.data}:
        runs = file.runs(page * per_page, per_page)
        if len(runs) > 1 or runs[0][0] > 0:
            return False
    return True


def coalesce(bios):
    """Joins neighbours that continue each other: one readahead window and the
    next, a bio that was full and the next."""
    out = []
    for bio in bios:
        if out and out[-1].op == bio.op and out[-1].end == bio.sector:
            out[-1] = Bio(bio.op, out[-1].sector, out[-1].sectors + bio.sectors)
        else:
            out.append(bio)
    return out
