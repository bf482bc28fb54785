# SPDX-License-Identifier: GPL-2.0
"""Stores through mappings into large folios, and what can go wrong beside them (B2, B4).

What is free on the disk is full of garbage before each test, so that whatever is
seen that nobody has written is seen.
"""

import contextlib
import os

import disks
import dm
import mapped
import writers
from contents import forget, open_file, stained
from lowlevel import error_of, fibmap

PAGE = mapped.SIZE
LARGE = 2 << 20
IMAGES = ("large-1k", "large-4k")


def _fill(disk):
    """Until there is no free block."""
    with open(disk.where("full"), "wb", 0) as file:
        writers.fill(file.fileno(), (1 << 20, 1024), lambda at, size: bytes(size))
        os.fsync(file.fileno())


def test_store_to_what_is_there_on_a_full_disk(ctx):
    """A large folio of holes, of which one page has blocks: a store to that page needs no
    more, whether the folio is clean, has been written, or is dirty."""
    for image in ("blank-1k", "blank-4k"):
        for kind in ("written", "dirty"):
            disk = stained(ctx, image)
            fd = open_file(disk)
            os.ftruncate(fd, LARGE)
            forget(fd)
            with open(disk.where("file"), "rb", 0) as file:
                file.read(LARGE)
            at = LARGE // 2
            os.pwrite(fd, b"o" * PAGE, at)
            os.fsync(fd)
            _fill(disk)
            if kind == "dirty":
                os.pwrite(fd, b"p" * 10, at)

            def store():
                with mapped.Page(fd, at // PAGE) as page:
                    page.store(100, b"m")

            text, code = writers.Child(store).wait()
            assert code == 0, f"{image}, {kind}: {code} {text}"
            assert os.fstat(fd).st_blocks * 512 <= PAGE + (16 << 10)
            want = bytearray((b"p" * 10 if kind == "dirty" else b"") .ljust(PAGE, b"o"))
            want[100] = ord("m")
            forget(fd)
            assert os.pread(fd, PAGE, at) == want
            os.close(fd)
            disk.finish()


def test_growth_gives_no_blocks_to_what_was_dirty(ctx):
    """A folio is dirty as a whole, because somebody has stored to a page of it, and the
    file ends inside of it, at the end of a page or not. When the file grows nothing behind
    the old end has blocks. In C pages behind the end are gone."""
    for image in IMAGES:
        disk = stained(ctx, image)
        block = os.statvfs(disk.point).f_bsize
        for number, (end, cut) in enumerate(((LARGE // 2, True), (LARGE // 2 + 700, True),
                                             (LARGE // 2 + PAGE, False))):
            name = f"file{number}"
            fd = open_file(disk, name)
            os.pwrite(fd, b"o" * (LARGE if cut else LARGE // 2), 0)
            if not cut:
                os.pwrite(fd, b"o" * PAGE, LARGE // 2)
            with mapped.Page(fd, (end - 1) // PAGE) as page:
                page.store(17, b"m")
                if cut:
                    os.ftruncate(fd, end)
                os.pwrite(fd, b"far", LARGE + 5000)
                page.store(18, b"m")
            forget(fd)
            # the page is stored to
            first = -(-end // PAGE) * PAGE // block
            blocks = [at for at in range(first, LARGE // block) if fibmap(fd, at)]
            assert not blocks, f"{image}, {end}: {len(blocks)} blocks from {blocks[0]} on"
            got = os.pread(fd, LARGE - end, end)
            assert got == bytes(len(got)), f"{image}, {end}"
            os.close(fd)
            os.unlink(disk.where(name))
        disk.finish()


def test_bad_sector_beside_what_was_written(ctx):
    """A large folio cannot be read because of one block; then a page of it is written, and
    synced. All others but the bad one can be read still."""
    ctx.load("dm-mod")
    disk = disks.Disk(ctx, "large-4k")
    writers.stain(disk)
    linear = [(0, dm.sectors(disk.device), "linear", f"{disk.device} 0")]
    device = dm.Device(f"sector-{os.getpid()}", linear)
    ctx.afterwards(device.remove)
    disk.mount(device=device.path)
    fd = open_file(disk)
    count = 64
    want = os.urandom(count * PAGE)
    os.pwrite(fd, want, 0)
    os.fsync(fd)
    bad = fibmap(fd, 40) * 8
    forget(fd)
    device.change([(0, bad, "linear", f"{disk.device} 0"), (bad, 8, "error", ""),
                   (bad + 8, linear[0][1] - bad - 8, "linear",
                    f"{disk.device} {bad + 8}")])
    ctx.allow_log("I/O error|Buffer I/O")
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    os.posix_fadvise(fd, 0, count * PAGE, os.POSIX_FADV_WILLNEED)
    with contextlib.suppress(OSError):
        os.pread(fd, count * PAGE, 0)
    os.pwrite(fd, b"n" * PAGE, 3 * PAGE)
    want = want[:3 * PAGE] + b"n" * PAGE + want[4 * PAGE:]
    os.fsync(fd)
    failed = []
    for at in range(count):
        got, error = error_of(os.pread, fd, PAGE, at * PAGE)
        if error:
            failed.append(at)
        else:
            assert got == want[at * PAGE:(at + 1) * PAGE], at
    assert failed == [40], failed
    device.change(linear)
    os.close(fd)
    disk.finish()
    device.remove()


def test_the_rest_of_a_large_folio_is_read(ctx):
    """Behind an end that is not in memory a long write makes a large folio, without the
    blocks in front of it. Who reads these reads no others from the disk. In C they are a
    page."""
    disk = stained(ctx, "large-1k")
    block = os.statvfs(disk.point).f_bsize
    fd = open_file(disk)
    want = os.urandom(LARGE + 3 * block)
    os.pwrite(fd, want, 0)
    forget(fd)
    behind = os.urandom(1 << 20)
    os.pwrite(fd, behind, len(want))
    os.fsync(fd)
    missing = {fibmap(fd, LARGE // block + at) for at in range(3)}
    with ctx.record(disk.device) as io:
        got = os.pread(fd, len(behind), LARGE)
    assert got == (want[LARGE:] + behind)[:len(got)]
    read = {at for bio in io.bios if bio.op.startswith("R")
            for at in range(bio.sector // 2, (bio.sector + bio.sectors) // 2)}
    assert read == missing, f"{len(read)} blocks read"
    with mapped.Page(fd, LARGE // PAGE + 9) as page:
        page.load(0, 1)
        assert page.is_in_large_folio() == (ctx.fstype != disks.C_FSTYPE)
    os.close(fd)
    disk.finish()
