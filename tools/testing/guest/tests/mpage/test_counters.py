# SPDX-License-Identifier: GPL-2.0
"""The counters under debugfs say what the block layer's tracepoints say (B9)."""

import os

import disks
import layout
import sides
from lowlevel import fibmap
from runner import timeout

IMAGE = "layout-4k"


def _side(ctx):
    """One mount of the image, and [(name, layout.File)] of what is on it."""
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("the counters are of rust_mpage")
    table = sides.manifest(ctx, IMAGE)
    files = [(name, layout.File(entry, table["block_size"]))
             for name, entry in table["files"].items()]
    return sides.Side(ctx, ctx.fstype, ctx.copy(IMAGE)), files


def _cold(ctx, side, name, offset, length):
    """Read cold; ([bios], how the counters changed)."""
    with ctx.record(side.device) as io, open(side.path(name), "rb", 0) as file:
        side.forget(file.fileno())
        io.take()
        before = ctx.counters()
        os.pread(file.fileno(), length, offset)
        after = ctx.counters()
        bios = [layout.Bio(bio.op, bio.sector, bio.sectors) for bio in io.take()[0]]
    return bios, {key: after[key] - before[key] for key in after}


def _of_data(file, bios):
    """Those that read the file's blocks, not its metadata."""
    scale = file.block_size // 512
    sectors = {block * scale for block in file.data.values()}
    return [bio for bio in bios if bio.sector in sectors]


@timeout(300)
def test_bios_and_bytes(ctx):
    """As many bios and bytes as the device was given, whatever the layout."""
    side, files = _side(ctx)
    seen = 0
    for name, file in files:
        for offset, length in file.parts:
            if not length:
                continue
            bios, counted = _cold(ctx, side, name, offset, length)
            data = _of_data(file, bios)
            want = (len(data), sum(bio.sectors for bio in data) * 512)
            got = (counted["bios"], counted["bytes"])
            assert got == want, f"{name} from {offset}: counted {got}, not {want}"
            assert (counted["mapper_calls"] > 0) or not data, f"{name}: {counted}"
            seen += len(data)
    assert seen > 50, f"only {seen} bios in all files"


def test_holes(ctx):
    """Folios of nothing but hole are counted, and take no bio."""
    side, files = _side(ctx)
    holes = 0
    for name, file in files:
        hole = next((at for at in range(file.size // layout.PAGE)
                     if at not in file.data), None)
        if hole is None:
            continue
        bios, counted = _cold(ctx, side, name, hole * layout.PAGE, 1)
        assert counted["bios"] == len(_of_data(file, bios)), f"{name}: {counted}"
        assert counted["hole_folios"] >= 1, f"{name} at {hole}: {counted}"
        holes += 1
    assert holes >= 2, f"{holes} files with holes"


def test_nothing_when_cached(ctx):
    """What is in the page cache costs the library nothing."""
    side, files = _side(ctx)
    name = next(name for name, file in files if file.data)
    with open(side.path(name), "rb", 0) as file:
        file.read(layout.PAGE)
        before = ctx.counters()
        os.pread(file.fileno(), layout.PAGE, 0)
        assert ctx.counters() == before, f"{before} became {ctx.counters()}"


@timeout(200)
def test_written(ctx):
    """As many bios and bytes as the device was given of the files' contents, and a
    question for each run of blocks at most."""
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("the counters are of rust_mpage")
    for image, size in (("blank-1k", 1024), ("blank-4k", 4096)):
        disk = disks.Disk(ctx, image)
        disk.mount(disks.at_once(disk.fstype))
        for name, parts in (
                ("whole", [(0, 1 << 20)]), ("tail", [(0, 5000)]),
                ("holes", [(at * 3 * layout.PAGE, 2000) for at in range(20)])):
            with open(disk.where(name), "wb", 0) as file:
                _written(ctx, disk, file.fileno(), parts, size)
        disk.umount()
        disk.check()


def _written(ctx, disk, fd, parts, block_size):
    """Write the parts of a new file, fsync, compare."""
    os.fsync(fd)  # its name: a page of the directory is not the file's
    for at, length in parts:
        os.pwrite(fd, b"w" * length, at)
    with ctx.record(disk.device) as io:
        before = ctx.counters()
        os.fsync(fd)
        after = ctx.counters()
        bios = io.take()[0]
    # How many folios the pages are in is mm's choice, and whether the blocks of one are a
    # run, or it takes several bios, the allocator's, which knows the process.
    pages = _pages(fd, block_size)
    blocks = {block for page in pages for block in page}
    scale = block_size // 512
    data = [bio for bio in bios if bio.sector // scale in blocks]
    counted = {key: after[f"write/{key}"] - before[f"write/{key}"]
               for key in ("bios", "bytes", "folios", "split_folios", "mapper_calls")}
    assert data and counted["bios"] == len(data), (counted, data)
    assert counted["bytes"] == sum(bio.sectors for bio in data) * 512, (counted, data)
    folios = counted["folios"] + counted["split_folios"]
    assert 0 < folios <= len(pages), (counted, len(pages))
    assert counted["split_folios"] < len(data), (counted, data)
    # what was written with write(2) has its blocks already: found, a run at a time
    assert counted["mapper_calls"] <= sum(map(_runs, pages)), counted


def _pages(fd, block_size):
    """For each page of the file that has blocks, where they are on the device."""
    each = layout.PAGE // block_size
    count = -(-os.fstat(fd).st_size // block_size)
    blocks = [fibmap(fd, number) for number in range(count)]
    pages = [[block for block in blocks[at:at + each] if block]
             for at in range(0, count, each)]
    return [page for page in pages if page]


def _runs(page):
    """How many runs of blocks there are that follow each other on the device."""
    return 1 + sum(after != before + 1 for before, after in zip(page, page[1:]))


def _is_a_run(page):
    """Whether the blocks follow each other on the device."""
    return _runs(page) == 1
