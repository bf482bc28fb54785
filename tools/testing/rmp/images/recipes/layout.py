# SPDX-License-Identifier: GPL-2.0
"""Images whose files have exactly the blocks that a test wants: layout-1k, -2k, -4k.

Each image has the same files in blocks of another size. Which block of a file is
where is in the image's manifest, NAME.json beside it:

    {"block_size": bytes,
     "files": {name: {"size": bytes, "sha256": of the data or null,
                      "data": [[first, physical, count], ...],
                      "indirect": {"13/0": physical, ...},
                      "parts": [[offset, length], ...]}}}

`sha256` is null for a file of more than 8 MiB, which is nearly all holes;
`parts` are ranges of a size for one
readahead that cover the data. `indirect` is keyed by the way to
the block: slot in i_block, then index at each level.
"""

import hashlib
import json
import re

from ..ext2 import Ext2Image, Placer, noise
from ..images import image

PAGE = 4096
SIZES = {"layout-1k": 1024, "layout-2k": 2048, "layout-4k": 4096}
HASHED = 8 << 20
WHOLE = 1 << 20  # more than one readahead(2) call takes on a loop device


class _Shape:
    """One file: a function that places its blocks, and its size."""

    def __init__(self, place, size, gap_meta=False):
        self.place = place
        self.size = size
        self.gap_meta = gap_meta


def _sized(size, bs):
    """`size` bytes in one piece."""
    return _Shape(lambda p: p.run(0, -(-size // bs)), size)


def _pieces(total, run, gap, bs):
    """`total` blocks, `run` at a time."""

    def place(p):
        for at in range(0, total, run):
            p.run(at, min(run, total - at))
            p.skip(gap)

    return _Shape(place, total * bs)


def _some(blocks, size):
    """Runs [(first, count)]; what is between them are holes."""

    def place(p):
        for first, count in blocks:
            p.run(first, count)

    return _Shape(place, size)


def _shapes(bs):
    """All files of an image with blocks of `bs` bytes."""
    pointers, page = bs // 4, PAGE // bs
    double = 12 + pointers
    triple = double + pointers ** 2
    adjacent = min(300, WHOLE // bs)
    shapes = {
        "empty": _some([], 0),
        "all-hole": _some([], 100_000),
        "contiguous": _sized(1 << 20, bs),
        "tail": _sized(200_001, bs),
        # The indirect blocks are elsewhere: the data goes on where it was.
        "adjacent": _Shape(lambda p: p.run(0, adjacent), adjacent * bs, gap_meta=True),
        "page-runs": _pieces(32 * page, 4 * page, page, bs),
        "fragmented": _pieces(90, 3, 1, bs),
        "pairs": _pieces(64, 2, 1, bs),
        "scattered": _Shape(lambda p: p.reverse(0, 64), 64 * bs),
        # every second page is a hole, the last one too
        "page-holes": _some([(at * page, page) for at in range(0, 24, 2)],
                            24 * PAGE),
        "hole-first": _some([(5 * page, 3 * page)], 8 * PAGE),
        "hole-last": _some([(0, 3)], 8 * PAGE + 17),
        "single": _some([(8, 10)], 18 * bs - 5),
        "double": _some([(double - 6, 14)], (double + 8) * bs),
        "triple": _some([(triple - 6, 14)], (triple + 8) * bs - 1),
        "huge": _some([(0, 2), ((2 << 30) // bs - 2, 5)], (2 << 30) + 3 * bs - 100),
    }
    # holes inside a page, of each kind that the block size allows
    if page == 4:
        shapes["block-holes"] = _some(
            [(1, 3), (4, 1), (8, 2), (13, 1), (16, 1), (18, 2), (21, 3), (25, 2),
             (28, 4), (33, 1), (35, 1)], 36 * bs)
    elif page == 2:
        shapes["block-holes"] = _some(
            [(1, 1), (2, 1), (4, 1), (7, 2), (11, 1), (14, 1), (17, 3)], 21 * bs)
    for size in (1, 511, bs - 1, bs, bs + 1, PAGE - 1, PAGE, PAGE + 1,
                 12 * bs, 12 * bs + 1, 13 * bs):
        shapes[f"size-{size}"] = _sized(size, bs)
    return shapes


def _parts(data, size, bs):
    """The whole file; of a big one, the data and 64 KiB around it."""
    if size <= WHOLE:
        return [[0, size]]
    parts = []
    for first, _, count in data:
        start = max(0, first * bs - 65536) // PAGE * PAGE
        end = min(size, (first + count) * bs + 65536)
        if parts and start <= sum(parts[-1]):
            parts[-1][1] = end - parts[-1][0]
        else:
            parts.append([start, end - start])
    return parts


def content(name, block, bs, size):
    """The bytes of a block; behind the end of the file it is zero."""
    left = max(0, min(bs, size - block * bs))
    return noise(f"{name}/{bs}/{block}", left) + bytes(bs - left)


def _runs(data):
    """{logical: physical} as [[logical, physical, count], ...]."""
    runs = []
    for block, at in sorted(data.items()):
        if runs and block == runs[-1][0] + runs[-1][2] and \
                at == runs[-1][1] + runs[-1][2]:
            runs[-1][2] += 1
        else:
            runs.append([block, at, 1])
    return runs


def _sha256(name, placer, size, bs):
    if size > HASHED:
        return None
    whole = hashlib.sha256()
    for block in range(-(-size // bs)):
        data = content(name, block, bs, size) if block in placer.data else bytes(bs)
        whole.update(data[:size - block * bs])
    return whole.hexdigest()


def _write(img, name, shape, room):
    """Place one file at `room`; (its manifest entry, its placer, next room)."""
    bs, size = img.block_size, shape.size
    meta = room if shape.gap_meta else None
    first = room + 8 if shape.gap_meta else room
    placer = Placer(img, img.lookup(name), first, meta)
    shape.place(placer)
    placer.finish(size, lambda block: content(name, block, bs, size))
    data = _runs(placer.data)
    entry = {
        "size": size, "sha256": _sha256(name, placer, size, bs), "data": data,
        "indirect": {"/".join(map(str, way)): at
                     for way, at in placer.indirect.items()},
        "parts": _parts(data, size, bs),
    }
    used = [*placer.data.values(), *placer.indirect.values()]
    return entry, placer, max(used, default=room) + 3


def _check_shape(b, name, placer):
    """debugfs must see the blocks that were meant."""
    told = b.run("debugfs", "-R", f"blocks {name}", b.path)
    listed = [int(word) for word in re.findall(r"\d+", told.partition("\n")[2])]
    if listed != placer.order:
        raise AssertionError(f"{b.path} {name}: {listed} is not {placer.order}")


@image(names=list(SIZES))
def layout(b, name):
    bs = SIZES[name]
    shapes = _shapes(bs)
    for file in shapes:
        b.file(file)
    # few inodes, so that the first group has room for the biggest file
    b.mke2fs("-b", str(bs), "-N", "128", "-O", "^resize_inode,^dir_index,large_file",
             "-m", "0", size="12M")
    manifest = {"block_size": bs, "files": {}}
    placers = {}
    with Ext2Image(b.path) as img:
        runs = img.free_runs()
        for file, shape in sorted(shapes.items(), key=lambda item: -item[1].size):
            need = _room(shape, bs)
            start, length = next(run for run in runs if run[1] >= need)
            entry, placers[file], room = _write(img, file, shape, start)
            assert room - start <= need, (file, room - start, need)
            runs[runs.index((start, length))] = (room, length - (room - start))
            manifest["files"][file] = entry
    b.fsck_repair()
    b.fsck_clean()
    for file, placer in placers.items():
        _check_shape(b, file, placer)
    b.path.with_name(name + ".json").write_text(json.dumps(manifest), encoding="ascii")


def _room(shape, bs):
    """Blocks that a file may take, with all its gaps."""
    dry = Placer(_Pointers(bs), 0, 0, 1000000 if shape.gap_meta else None)
    shape.place(dry)
    inner = [at for at in [*dry.data.values(), *dry.indirect.values()]
             if at < 1000000]
    return max(inner, default=0) + 16


class _Pointers:
    """As much of an image as a Placer that writes nothing needs."""

    def __init__(self, bs):
        self.pointers = bs // 4
