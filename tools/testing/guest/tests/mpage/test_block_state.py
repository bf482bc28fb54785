# SPDX-License-Identifier: GPL-2.0
"""Regular files without buffer_heads: which blocks of a page are valid, and which
are dirty (B2, B4).

What is free on the disk is full of garbage before each test, so that whatever is
seen that nobody has written is seen. C ext2 passes, too, but for what says so.
"""

import contextlib
import ctypes
import mmap
import os
import time

import disks
import disturb
import mapped
import waiting
from contents import forget, open_file, same, same_on_disk, stained
from lowlevel import fibmap
from runner import timeout
from sysapi import libc

PAGE = mapped.SIZE
BLOCK = 1024
LARGE = 2 << 20
GARBAGE = b"\xa5garbage" * 128
TRACING = "/sys/kernel/tracing"
# what makes, or works on, the buffer_heads of a file's pages
BUFFERS = ("block_write_begin", "__block_write_begin", "block_page_mkwrite",
           "create_empty_buffers", "block_dirty_folio", "block_read_full_folio",
           "__block_write_full_folio", "block_invalidate_folio")
# what moves a page of a file, without buffer_heads and with them
MOVES = ("filemap_migrate_folio", "buffer_migrate_folio")

libc.mmap.restype = ctypes.c_void_p


def test_rest_of_a_page_is_read(ctx):
    """Blocks of a page that is not in memory are written; the others are read."""
    disk = stained(ctx, "blank-1k")
    for written in range(1, 16):
        fd = open_file(disk, f"file{written}")
        want = bytearray(b"o" * PAGE)
        os.pwrite(fd, want, 0)
        forget(fd)
        for block in range(4):
            if written & 1 << block:
                os.pwrite(fd, b"n" * BLOCK, block * BLOCK)
                want[block * BLOCK:(block + 1) * BLOCK] = b"n" * BLOCK
        if written % 2:
            os.fsync(fd)
        same_on_disk(fd, bytes(want))
        os.close(fd)
    disk.finish()


def test_part_of_a_block(ctx):
    """A write that covers no block wholly, at each end, of blocks that are there, of
    holes, and behind the end."""
    disk = stained(ctx, "blank-1k")
    for name, size in (("data", 2 * PAGE), ("hole", 0), ("tail", 3 * BLOCK + 100)):
        for at, length in ((0, 1), (100, 50), (1000, 100), (BLOCK + 1, 2 * BLOCK),
                           (3 * BLOCK + 7, BLOCK), (PAGE - 5, 10)):
            fd = open_file(disk, f"{name}-{at}")
            want = bytearray(b"o" * size)
            os.pwrite(fd, want, 0)
            if name == "hole":
                os.ftruncate(fd, 2 * PAGE)
                want = bytearray(2 * PAGE)
            forget(fd)
            os.pwrite(fd, b"n" * length, at)
            want.extend(bytes(max(0, at + length - len(want))))
            want[at:at + length] = b"n" * length
            same_on_disk(fd, bytes(want))
            os.close(fd)
    disk.finish()


def test_block_of_a_page_is_written(ctx):
    """One block of a page that is in memory is stored to and synced: no other block is
    written."""
    disk = stained(ctx, "blank-1k")
    fd = open_file(disk)
    os.pwrite(fd, b"o" * 4 * PAGE, 0)
    os.fsync(fd)
    for block in (0, 3, 6, 9, 15):
        os.pwrite(fd, b"n" * 10, block * BLOCK + 17)
        with ctx.record(disk.device) as io:
            os.fsync(fd)
        mine = {fibmap(fd, at): at for at in range(16)}
        data = [(mine[bio.sector // 2], bio.sectors) for bio in io.bios
                if bio.sector // 2 in mine]
        assert data == [(block, 2)], f"block {block}: {data}"
    os.close(fd)
    disk.finish()


def test_some_blocks_in_one_go(ctx):
    """Dirty blocks with clean ones between them are written by themselves."""
    disk = stained(ctx, "blank-1k")
    fd = open_file(disk)
    want = bytearray(b"o" * PAGE)
    os.pwrite(fd, want, 0)
    os.fsync(fd)
    for block in (0, 2, 3):
        os.pwrite(fd, b"n", block * BLOCK)
        want[block * BLOCK] = ord("n")
    with ctx.record(disk.device) as io:
        os.fsync(fd)
    mine = {fibmap(fd, at): at for at in range(4)}
    written = {mine[bio.sector // 2] + more for bio in io.bios if bio.sector // 2 in mine
               for more in range(bio.sectors // 2)}
    assert written == {0, 2, 3}, io.bios
    same_on_disk(fd, bytes(want))
    os.close(fd)
    disk.finish()


def test_store_through_a_mapping(ctx):
    """A store to a page of which one block is dirty is written, wherever it was."""
    disk = stained(ctx, "blank-1k")
    fd = open_file(disk)
    want = bytearray(b"o" * PAGE)
    os.pwrite(fd, want, 0)
    os.fsync(fd)
    with mapped.Page(fd, 0) as page:
        for at in (3000, 10, 2000):
            os.pwrite(fd, b"n", BLOCK + at % 7)
            page.store(at, b"m")
            want[BLOCK + at % 7] = ord("n")
            want[at] = ord("m")
            os.fsync(fd)
            page.store(at + 1, b"k")
            want[at + 1] = ord("k")
    same_on_disk(fd, bytes(want))
    os.close(fd)
    disk.finish()


def test_truncate_down_and_up(ctx):
    """What was cut off is zero, and has no blocks."""
    disk = stained(ctx, "blank-1k")
    for stored in (False, True):
        for end in (BLOCK, BLOCK + 500, 3 * BLOCK):
            fd = open_file(disk, f"file-{stored}-{end}")
            os.pwrite(fd, b"o" * PAGE, 0)
            with mapped.Page(fd, 0) as page:
                if stored:
                    page.store(0, b"m" * PAGE)
                os.ftruncate(fd, end)
                os.ftruncate(fd, PAGE)
                assert page.load(end, PAGE) == bytes(PAGE - end)
            kept = (b"m" if stored else b"o") * end
            same_on_disk(fd, kept.ljust(PAGE, b"\0"))
            # C gives blocks to zeros, for the page is dirty as a whole
            if not stored or ctx.fstype != disks.C_FSTYPE:
                blocks = [bool(fibmap(fd, at)) for at in range(4)]
                assert blocks == [at * BLOCK < end for at in range(4)], blocks
            os.close(fd)
    disk.finish()


def test_what_has_a_place_is_written(ctx):
    """Somebody stores to a whole page of a file of half a block; then there is one free
    block, which a write gets. That block is on the disk in the end, however the others
    fare."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C may give the last block to zeros behind the end")
    disk = stained(ctx, "blank-1k")
    fd = open_file(disk)
    os.pwrite(fd, b"o" * 500, 0)
    os.fsync(fd)
    with mapped.Page(fd, 0) as page:
        page.store(0, b"m" * PAGE)
    with open(disk.where("full"), "wb", 0) as file:
        with contextlib.suppress(OSError):
            while file.write(GARBAGE):
                pass
        os.fsync(file.fileno())
        last = os.fstat(file.fileno()).st_size
        os.ftruncate(file.fileno(), last - BLOCK)
    done = os.pwrite(fd, b"n" * 3 * BLOCK, BLOCK)
    want = b"m" * 500 + bytes(BLOCK - 500) + b"n" * done
    same(fd, want)
    with disturb.tuned(dirty_background_ratio=0, dirty_writeback_centisecs=10):
        time.sleep(2)
    disks.sync(disk.point)
    disturb.reclaim()
    same(fd, want)
    os.close(fd)
    disk.finish()


def test_blocks_behind_the_end(ctx):
    """A file has blocks behind its end, with garbage, as a crash leaves them. When it
    grows there are zeros, in memory and on the disk. C shows the garbage."""
    for how in ("write", "truncate"):
        disk = stained(ctx, "blank-1k")
        fd = open_file(disk)
        os.pwrite(fd, GARBAGE * 4, 0)
        os.fsync(fd)
        os.close(fd)
        disk.umount()
        ctx.run("debugfs", "-w", "-R", "set_inode_field /file size 500", disk.path)
        disk.mount()
        fd = open_file(disk)
        want = bytearray(GARBAGE[:500])
        if how == "write":
            os.pwrite(fd, b"far", 10_000)
            want = want.ljust(10_000, b"\0") + b"far"
        else:
            os.ftruncate(fd, 9_000)
            want = want.ljust(9_000, b"\0")
        if ctx.fstype != disks.C_FSTYPE:
            same_on_disk(fd, bytes(want))
        os.close(fd)
        disk.finish()


def test_short_copy(ctx):
    """The source ends in the middle of a write: what was not copied is what it was, or
    zero, and never what was on the disk. So it is of blocks that get their places late, and of
    those that are fresh when they are copied to."""
    for image in ("blank-1k", "blank-4k"):
        for options in dict.fromkeys(("", disks.at_once(ctx.fstype))):
            _short_copies(stained(ctx, image, options))


def _short_copies(disk):
    edge = mapped.edge()
    for name in ("new", "old", "hole"):
        for at, given in ((0, 100), (500, 1500), (0, 2 * BLOCK), (BLOCK, 3 * BLOCK - 1),
                          (PAGE + 10, 7)):
            fd = open_file(disk, f"{name}-{at}-{given}")
            want = bytearray(2 * PAGE if name != "new" else 0)
            if name == "old":
                want[:] = b"o" * len(want)
                os.pwrite(fd, want, 0)
            os.ftruncate(fd, len(want))
            forget(fd)
            done = libc.pwrite(fd, ctypes.c_void_p(edge - given), ctypes.c_size_t(PAGE),
                               ctypes.c_long(at))
            assert 0 < done <= given, f"{name}: {done} of {given}"
            want.extend(bytes(max(0, at + done - len(want))))
            want[at:at + done] = b"c" * done
            assert os.fstat(fd).st_size == len(want)
            same_on_disk(fd, bytes(want))
            os.ftruncate(fd, 3 * PAGE)
            same_on_disk(fd, bytes(want).ljust(3 * PAGE, b"\0"))
            os.close(fd)
    disk.finish()


def test_source_is_the_destination(ctx):
    """A file is written from a mapping of itself that is not in memory."""
    disk = stained(ctx, "blank-1k")
    fd = open_file(disk)
    want = bytes(range(256)) * (2 * PAGE // 256)
    os.pwrite(fd, want, 0)
    forget(fd)
    with mapped.Page(fd, 1) as page:
        done = libc.pwrite(fd, ctypes.c_void_p(page.address), ctypes.c_size_t(PAGE),
                           ctypes.c_long(PAGE + 100))
    assert done == PAGE
    got = os.pread(fd, 3 * PAGE, 0)
    assert got[:PAGE + 100] == want[:PAGE + 100] and len(got) == 2 * PAGE + 100
    same_on_disk(fd, got)
    os.close(fd)
    disk.finish()


@contextlib.contextmanager
def _calls(ctx, names):
    """A dictionary that has in the end how often each function was called."""
    def tell(name, text):
        # open() would seek, which these files do not know
        file = os.open(f"{TRACING}/{name}", os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)

    if not os.path.exists(f"{TRACING}/kprobe_events"):
        ctx.skip("the kernel has no CONFIG_KPROBES")
    counts = {}
    made = []
    try:
        for number, name in enumerate(names):
            tell("kprobe_events", f"p:rust_mpage/b{number} {name}")
            made.append(number)
        for number in made:
            tell(f"events/rust_mpage/b{number}/enable", "1")
        yield counts
        with open(f"{TRACING}/kprobe_profile", encoding="ascii") as file:
            hits = {line.split()[0]: int(line.split()[1]) for line in file}
        counts.update((name, hits[f"b{number}"]) for number, name in enumerate(names))
    finally:
        for number in made:
            tell(f"events/rust_mpage/b{number}/enable", "0")
            tell("kprobe_events", f"-:rust_mpage/b{number}")


@timeout(200)
def test_pages_are_moved(ctx):
    """Memory is compacted while some blocks of pages are valid and some dirty, and pages of
    files are seen to move."""
    disk = stained(ctx, "blank-1k")
    fd = open_file(disk)
    count = 256
    want = bytearray(b"o" * count * PAGE)
    os.pwrite(fd, want, 0)
    forget(fd)
    with _calls(ctx, MOVES) as counts:
        for page in range(count):
            at = page * PAGE + page % 4 * BLOCK
            os.pwrite(fd, b"n" * BLOCK, at)
            want[at:at + BLOCK] = b"n" * BLOCK
            if page % 64 == 0:
                disturb.compact()
        disturb.compact()
    moves = counts[MOVES[ctx.fstype == disks.C_FSTYPE]]
    ctx.log(f"{moves} pages moved")
    assert moves > 0, "no page has moved"
    same_on_disk(fd, bytes(want))
    os.close(fd)
    disk.finish()


@timeout(200)
def test_no_buffer_heads(ctx):
    """Nothing of a regular file goes through buffer_heads. In C everything does."""
    for image in ("blank-1k", "blank-4k"):
        disk = disks.Disk(ctx, image).mount()
        fd = open_file(disk)
        disks.sync(disk.point)
        with _calls(ctx, BUFFERS) as counts:
            os.pwrite(fd, b"o" * 5000, 0)
            os.pwrite(fd, b"n" * 100, 3000)
            os.pwrite(fd, b"far", 50_000)
            os.fdatasync(fd)
            with mapped.Page(fd, 0) as page:
                page.store(2000, b"m")
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.pread(fd, 60_000, 0)
            os.pwrite(fd, b"k" * 10, 60_000)
            os.ftruncate(fd, 4500)
            os.ftruncate(fd, 70_000)
            forget(fd)
            os.pread(fd, 70_000, 0)
            # and in large folios, with holes and without, in one run on the disk and in several
            os.pwrite(fd, b"l" * LARGE, 100)
            os.pwrite(fd, b"n" * 5000, LARGE // 2 + 700)
            os.fdatasync(fd)
            with mapped.Page(fd, 300 * 4096 // PAGE) as page:
                page.store(2000, b"m")
            os.pwrite(fd, b"s" * 3000, 3 * LARGE)
            os.pwrite(fd, b"s" * 3000, 2 * LARGE + 9000)
            forget(fd)
            os.pread(fd, 4 * LARGE, 0)
            with mapped.Page(fd, 2 * LARGE // PAGE + 20) as page:
                page.store(5, b"m")
            os.ftruncate(fd, LARGE // 2 + 1234)
            os.ftruncate(fd, 2 * LARGE)
            forget(fd)
        called = {name: count for name, count in counts.items() if count}
        if ctx.fstype == disks.C_FSTYPE:
            assert called, "the probes see nothing"
        else:
            assert not called, f"{image}: {called}"
        os.close(fd)
        disk.finish()


def test_page_pinned_to_be_read(ctx):
    """A device writes from a mapped page of a file with holes: the page is pinned, and of what
    is written to it meanwhile only that gets blocks."""
    disk = stained(ctx, "blank-1k")
    _, device = waiting.held_up(ctx, "blank-4k")
    raw = os.open(device.path, os.O_RDWR | os.O_DIRECT)
    for name, is_dirty in (("clean", False), ("dirty", True)):
        fd = open_file(disk, name)
        want = bytearray(PAGE)
        os.ftruncate(fd, PAGE)
        os.pwrite(fd, b"o" * BLOCK, BLOCK)
        want[BLOCK:2 * BLOCK] = b"o" * BLOCK
        forget(fd)
        with mmap.mmap(fd, PAGE, access=mmap.ACCESS_READ) as area:
            assert area[0] == 0
            if is_dirty:
                os.pwrite(fd, b"d" * BLOCK, BLOCK)
            page = memoryview(area)
            with device.suspended():
                task = waiting.Task(os.pwritev, raw, [page], 0)
                assert task.falls_asleep(), task
                for times in range(1, 3):
                    want[BLOCK:2 * BLOCK] = bytes([times]) * BLOCK
                    os.pwrite(fd, want[BLOCK:2 * BLOCK], BLOCK)
                    os.fsync(fd)
            task.result()
            page.release()
        same_on_disk(fd, bytes(want))
        blocks = os.fstat(fd).st_blocks
        assert blocks == 2, f"{name}: holes have got blocks, {blocks} units in all"
        os.close(fd)
    os.close(raw)
    disk.finish()
    device.remove()


@timeout(120)
def test_page_pinned_to_be_written(ctx):
    """A device reads into a mapped page, which is dirty as a whole and written back meanwhile:
    what comes is not lost because another block of the page has been made dirty."""
    disk = stained(ctx, "blank-1k")
    _, device = waiting.held_up(ctx, "blank-4k")
    with open(device.path, "rb") as file:
        first = file.read(BLOCK)
    raw = os.open(device.path, os.O_RDONLY | os.O_DIRECT)
    fd = open_file(disk)
    want = bytearray(b"o" * 2 * PAGE)
    os.pwrite(fd, want, 0)
    forget(fd)
    with mmap.mmap(fd, 2 * PAGE) as area:
        page = memoryview(area)[PAGE + 2 * BLOCK:PAGE + 3 * BLOCK]
        with device.suspended():
            task = waiting.Task(os.preadv, raw, [page], 0)
            assert task.falls_asleep(), task
            for times in range(3):
                os.fsync(fd)
                # what is in memory is asked to go, and cannot
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                disturb.reclaim()
                os.pwrite(fd, bytes([times]) * BLOCK, PAGE)
        task.result()
        page.release()
    want[PAGE:PAGE + BLOCK] = bytes([2]) * BLOCK
    want[PAGE + 2 * BLOCK:PAGE + 3 * BLOCK] = first
    same_on_disk(fd, bytes(want))
    os.close(raw)
    os.close(fd)
    disk.finish()
    device.remove()
