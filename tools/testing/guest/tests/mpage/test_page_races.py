# SPDX-License-Identifier: GPL-2.0
"""Pages that are mapped, written and given up at the same time (B11)."""

import os
import time

import mapped
import writers
from contents import forget, open_file, stained
from runner import parallel, timeout

PAGE = mapped.SIZE
BLOCK = 1024


def _appends(path, seed):
    """A file gets longer, by parts of blocks, up to three pages."""
    fd = os.open(path, os.O_WRONLY)
    size = os.fstat(fd).st_size
    while size < 3 * PAGE:
        size += os.pwrite(fd, writers.content(seed, size, 100), size)
    os.close(fd)
    return ""


@parallel
@timeout(200)
def test_eof_read_ends_uptodate(ctx):
    """The last page of a file has blocks behind the end that are not valid, and those in front
    are not in memory. Who maps it has the whole, also while the file grows into it, and nothing
    is read of what is behind the end."""
    disk = stained(ctx, "blank-1k")
    for seed in range(40):
        path = disk.where(f"file{seed}")
        size = (700, BLOCK, 2 * BLOCK + 100, PAGE + 300)[seed % 4]
        writers.make(path, seed, size)
        fd = os.open(path, os.O_RDWR)
        forget(fd)
        # the block with the end is valid, and no other
        os.pwrite(fd, writers.content(seed, size - 1, 1), size - 1)
        with ctx.record(disk.device) as io, mapped.Page(fd, (size - 1) // PAGE) as page:
            in_page = size - (size - 1) // PAGE * PAGE
            got = page.load(0, PAGE)
        assert got == writers.content(seed, size - in_page, in_page).ljust(PAGE, b"\0"), seed
        read = sum(bio.sectors for bio in io.bios if bio.op.startswith("R"))
        assert read <= 2 * (PAGE // BLOCK), f"{read} sectors were read"
        child = writers.Child(_appends, path, seed)
        while not child.ends_within(0):
            length = os.fstat(fd).st_size
            with mapped.Page(fd, (length - 1) // PAGE) as page:
                first = (length - 1) // PAGE * PAGE
                got = page.load(0, length - first)
            assert got == writers.content(seed, first, length - first), (seed, length)
            forget(fd)
        child.result()
        writers.check(path, seed, 3 * PAGE)
        os.close(fd)
    disk.finish()


def _release(path, seconds):
    """Have a file written, and its pages given up, all the time."""
    fd = os.open(path, os.O_RDWR)
    end, turn = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        # so that something is kept of the page's blocks
        os.pwrite(fd, b"w", (turn % 16) * BLOCK + 900)
        os.fdatasync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        turn += 1
    os.close(fd)
    return ""


@parallel
@timeout(120)
def test_release_vs_zap(ctx):
    """Pages are stored to and unmapped while others write to blocks of them, have them
    written, and let go of them: no store is lost."""
    disk = stained(ctx, "blank-1k")
    fd = open_file(disk)
    os.pwrite(fd, b"o" * 4 * PAGE, 0)
    os.fsync(fd)
    child = writers.Child(_release, disk.where("file"), 6)
    rounds = 0
    while not child.ends_within(0):
        rounds += 1
        for index in range(4):
            # of each block, in a place of its own
            want = b"%08d" % rounds
            with mapped.Page(fd, index) as page:
                for block in range(rounds % 2, PAGE // BLOCK, 2):
                    page.store(block * BLOCK + 100, want)
            for block in range(rounds % 2, PAGE // BLOCK, 2):
                got = os.pread(fd, 8, index * PAGE + block * BLOCK + 100)
                assert got == want, f"round {rounds}, page {index}, block {block}: {got}"
    child.result()
    assert rounds > 3, f"only {rounds} rounds"
    ctx.log(f"{rounds} rounds")
    forget(fd)
    for index in range(4):
        for block in range(rounds % 2, PAGE // BLOCK, 2):
            assert os.pread(fd, 8, index * PAGE + block * BLOCK + 100) == b"%08d" % rounds
    os.close(fd)
    disk.finish()
