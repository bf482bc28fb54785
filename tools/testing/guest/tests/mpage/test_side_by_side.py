# SPDX-License-Identifier: GPL-2.0
"""The same image under C ext2 and rust_ext2: the same bytes, and the bios that
are meant to be the same are.

What reaches the disk is compared with C's and with the models of layout.py, for
the data and for the indirect blocks. The differences that are meant:

- B3: a folio that C reads block by block through buffer_heads (R5, R6) is read
  here run by run, and as the readahead that it is;
- B4: with large folios the readahead windows are cut elsewhere, so for read(2),
  unlike readahead(2), which takes folios of one page, bios are compared joined
  to their neighbours.
"""

import mmap
import os

import layout
import sides
from runner import timeout


def _open(side, name):
    return open(side.path(name), "rb", buffering=0)


def _files(ctx, image):
    """[(name, layout.File)] of an image."""
    table = sides.manifest(ctx, image)
    return [
        (name, layout.File(entry, table["block_size"]))
        for name, entry in table["files"].items()
    ]


def _bios(io):
    return [layout.Bio(bio.op, bio.sector, bio.sectors) for bio in io.take()[0]]


def _model(side):
    return layout.c_mpage if side.is_c else layout.rust_mpage


def _request(fd, offset, length):
    """readahead(2) of a range, and wait for all of it."""
    os.posix_fadvise(fd, offset, length, os.POSIX_FADV_WILLNEED)
    for at in range(offset, offset + length, 65536):
        os.pread(fd, 1, at)
    os.pread(fd, 1, offset + length - 1)


def _sequential(fd, offset, length):
    """read(2) of a range, as cp does it."""
    os.lseek(fd, offset, os.SEEK_SET)
    while length > 0:
        taken = os.read(fd, min(length, 131072))
        assert taken
        length -= len(taken)


def _trace(ctx, side, files, access):
    """{(name, offset): bios} of a cold access to every part of every file."""
    found = {}
    with ctx.record(side.device) as io:
        for name, file in files:
            with _open(side, name) as handle:
                for offset, length in file.parts:
                    if length == 0:
                        continue
                    side.forget(handle.fileno())
                    io.take()
                    access(handle.fileno(), offset, length)
                    found[name, offset] = _bios(io)
    return found


def _same(side, what, got, want):
    assert got == want, f"{side.fstype}, {what}:\n  bios {got}\n  not  {want}"


def _readahead(ctx, image):
    files = _files(ctx, image)
    c, rust = sides.both(ctx, image)
    of_c = _trace(ctx, c, files, _request)
    of_rust = _trace(ctx, rust, files, _request)
    fewer = 0
    for name, file in files:
        for offset, length in file.parts:
            if length == 0:
                continue
            what = f"{name} from {offset}"
            seen_c, seen = of_c[name, offset], of_rust[name, offset]
            _same(c, what, seen_c, layout.c_mpage(file, offset, length))
            _same(rust, what, seen, _model(rust)(file, offset, length))
            if layout.is_simple(file) or rust.is_c:
                _same(rust, what, seen, seen_c)
            else:
                assert len(seen) <= len(seen_c), f"{what}: {seen} beside {seen_c}"
                fewer += len(seen) < len(seen_c)
    return fewer if not rust.is_c else None


@timeout(300)
def test_readahead_1k(ctx):
    """R1-R4, R10, R15 as C; R5 and R6 as B3: the very bios."""
    fewer = _readahead(ctx, "layout-1k")
    assert fewer is None or fewer >= 3, f"B3 saved bios in {fewer} files only"


@timeout(300)
def test_readahead_2k(ctx):
    """The same with two blocks a page."""
    _readahead(ctx, "layout-2k")


@timeout(300)
def test_readahead_4k(ctx):
    """The same where a page is a block: nothing to be better at, all as C."""
    _readahead(ctx, "layout-4k")


def _cold_read(ctx, image):
    files = _files(ctx, image)
    for side in sides.both(ctx, image):
        traced = _trace(ctx, side, files, _sequential)
        for name, file in files:
            for offset, length in file.parts:
                if length:
                    _same(side, f"{name} from {offset}",
                          layout.coalesce(traced[name, offset]),
                          layout.coalesce(_model(side)(file, offset, length)))


@timeout(300)
def test_cold_read_1k(ctx):
    """read(2) from the start to the end: same sectors, same order."""
    _cold_read(ctx, "layout-1k")


@timeout(300)
def test_cold_read_2k(ctx):
    """The same with two blocks a page."""
    _cold_read(ctx, "layout-2k")


@timeout(300)
def test_cold_read_4k(ctx):
    """The same where a page is a block."""
    _cold_read(ctx, "layout-4k")


def test_boundary_order(ctx):
    """R10, spelled out: 0 to 11, then the indirect block behind them, then on."""
    for image in ("layout-1k", "layout-4k"):
        file = dict(_files(ctx, image))["contiguous"]
        per_block = file.block_size // 512
        start = file.data[0] * per_block
        assert file.indirect[(12,)] == file.data[11] + 1 == file.data[12] - 1
        for side in sides.both(ctx, image):
            with _open(side, "contiguous") as handle, ctx.record(side.device) as io:
                side.forget(handle.fileno())
                io.take()
                _request(handle.fileno(), 0, 200_000)
                bios = _bios(io)
            want = [("RA", start, 12 * per_block),
                    ("R", start + 12 * per_block, per_block)]
            assert bios[:2] == want, f"{side.fstype}: {bios}"
            assert bios[2][:2] == ("RA", start + 13 * per_block), side.fstype


def _check(what, got, want):
    if got == want:
        return
    at = next((i for i, pair in enumerate(zip(got, want)) if pair[0] != pair[1]),
              min(len(got), len(want)))
    raise AssertionError(
        f"{what}: {len(got)} bytes, not {len(want)}, and from byte {at} on "
        f"{got[at:at + 16].hex()}, not {want[at:at + 16].hex()}")


def _by_pread(fd, offset, length):
    """Pieces of odd sizes at odd offsets, the later ones first."""
    size, pieces = 1, []
    while length > 0:
        size = min(size * 3 + 1, 40961, length)
        pieces.append((offset, size))
        offset, length = offset + size, length - size
    parts = {at: os.pread(fd, size, at) for at, size in reversed(pieces)}
    return b"".join(parts[at] for at, _ in pieces)


def _by_read(fd, offset, length):
    os.lseek(fd, offset, os.SEEK_SET)
    out = []
    while length > 0 and (taken := os.read(fd, min(length, 131072))):
        out.append(taken)
        length -= len(taken)
    return b"".join(out)


def _by_mmap(fd, offset, length):
    start = offset // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
    with mmap.mmap(fd, offset + length - start, mmap.MAP_SHARED, mmap.PROT_READ,
                   offset=start) as area:
        # the last page first: the fault is not sequential
        area[-1:]  # pylint: disable=pointless-statement
        return area[offset - start:]


def _by_splice(fd, offset, length):
    out, (source, sink) = [], os.pipe()
    try:
        while length > 0:
            moved = os.splice(fd, sink, min(length, 65536), offset_src=offset)
            if not moved:
                break
            out.append(os.read(source, moved))
            offset, length = offset + moved, length - moved
            while sum(map(len, out)) % 65536 and moved > len(out[-1]):
                out.append(os.read(source, moved - len(out[-1])))
    finally:
        os.close(source)
        os.close(sink)
    return b"".join(out)


def _by_sendfile(fd, offset, length):
    with open(os.path.join("/run", "scratch", f"sent.{os.getpid()}"), "w+b",
              buffering=0) as target:
        os.unlink(target.name)
        while length > 0 and (moved := os.sendfile(target.fileno(), fd, offset, length)):
            offset, length = offset + moved, length - moved
        target.seek(0)
        return target.read()


WAYS = (_by_read, _by_pread, _by_mmap, _by_splice, _by_sendfile)


def _bytes(ctx, image):
    files = _files(ctx, image)
    side = sides.Side(ctx, ctx.fstype, ctx.copy(image))
    with open(side.image, "rb") as source:
        raw = source.read()
    for name, file in files:
        want = {part[0]: file.bytes_of(raw, *part) for part in file.parts}
        if file.sha256 and file.parts == [[0, file.size]]:
            assert sides.sha256(want[0]) == file.sha256, f"{image}, {name}"
        with _open(side, name) as handle:
            assert os.fstat(handle.fileno()).st_size == file.size
            assert os.pread(handle.fileno(), 10, file.size) == b""
            for way in WAYS:
                side.forget(handle.fileno())
                for offset, length in file.parts:
                    if length:
                        _check(f"{image}, {name} from {offset}, {way.__name__}",
                               way(handle.fileno(), offset, length), want[offset])
    # once more, with everything forgotten, the inodes too
    ctx.drop_caches()
    for name, file in files:
        if file.sha256:
            with _open(side, name) as handle:
                got = sides.sha256(_by_read(handle.fileno(), 0, file.size))
            assert got == file.sha256, f"{image}, {name}: not the original bytes"


@timeout(300)
def test_bytes_1k(ctx):
    """Every file, by every way to read it, cold each time."""
    _bytes(ctx, "layout-1k")


@timeout(300)
def test_bytes_2k(ctx):
    """The same, 2 KiB blocks."""
    _bytes(ctx, "layout-2k")


@timeout(300)
def test_bytes_4k(ctx):
    """The same, 4 KiB blocks."""
    _bytes(ctx, "layout-4k")
