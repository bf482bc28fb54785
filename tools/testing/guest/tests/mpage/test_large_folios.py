# SPDX-License-Identifier: GPL-2.0
"""Large folios of regular files that can be written to (B2, B4): what is written of them
is what is dirty, and nothing is given blocks that nobody has stored to.

What is free on the disk is full of garbage before each test, so that whatever is
seen that nobody has written is seen.
"""

import ctypes
import errno
import mmap
import os
import random
import re
import signal

import disks
import disturb
import dm
import mapped
import waiting
import writers
from contents import forget, open_file, same, same_on_disk, stained
from lowlevel import error_of, fibmap
from runner import timeout
from sysapi import MS_RDONLY, libc

PAGE = mapped.SIZE
LARGE = 2 << 20
AROUND = 128 << 10  # that a fault reads: read_ahead_kb of the device
IMAGES = ("large-1k", "large-4k")


def _is_large(fd, index):
    """Whether page `index` of a file is in a large folio."""
    with mapped.Page(fd, index) as page:
        page.load(0, 1)
        return page.is_in_large_folio()


def _data(disk, fd, bios, size, op):
    """How many bytes of the file's own blocks, of the first `size`, were read or written."""
    block = os.statvfs(disk.point).f_bsize
    mine = {fibmap(fd, at) for at in range(size // block)}
    sectors = block // 512
    count = 0
    for bio in bios:
        if bio.op.startswith(op):
            first = bio.sector // sectors
            count += sum(1 for at in range(first, first + bio.sectors // sectors)
                         if at in mine)
    return count * block


def _ours(ctx):
    return ctx.fstype != disks.C_FSTYPE


def test_one_write_makes_large_folios(ctx):
    """A long write, into a file that can be mapped and written: folios are large, and
    what is read back is what was written."""
    for image in IMAGES:
        disk = stained(ctx, image)
        fd = open_file(disk)
        want = os.urandom(LARGE + 5000)
        os.pwrite(fd, want, 0)
        assert _is_large(fd, 3) == _ours(ctx), image
        same_on_disk(fd, want)
        os.close(fd)
        disk.finish()


def test_appends_make_large_folios(ctx):
    """Who appends in small pieces gets larger folios as the file grows."""
    for image in IMAGES:
        disk = stained(ctx, image)
        fd = open_file(disk)
        want = os.urandom(LARGE)
        for at in range(0, LARGE, 3000):
            os.pwrite(fd, want[at:at + 3000], at)
        assert _is_large(fd, LARGE // PAGE - 2) == _ours(ctx), image
        assert os.fstat(fd).st_blocks * 512 < LARGE + (64 << 10)
        same_on_disk(fd, want)
        os.close(fd)
        disk.finish()


def test_rewrite_4k_of_2m_folio_writes_4k(ctx):
    """Of a folio of 2 MiB in memory one page is written: so much reaches the disk."""
    for image in IMAGES:
        disk = stained(ctx, image)
        fd = open_file(disk)
        want = bytearray(os.urandom(LARGE))
        os.pwrite(fd, want, 0)
        os.fsync(fd)
        for at in (0, 40 * PAGE, LARGE - PAGE):
            want[at:at + PAGE] = b"n" * PAGE
            with ctx.record(disk.device) as io:
                os.pwrite(fd, b"n" * PAGE, at)
                os.fsync(fd)
            written = _data(disk, fd, io.bios, LARGE, "W")
            assert written == PAGE, f"{image}, {at}: {written} bytes"
        assert not _ours(ctx) or _is_large(fd, 7)
        same_on_disk(fd, bytes(want))
        os.close(fd)
        disk.finish()


def test_mmap_store_in_cold_file_writes_a_page(ctx):
    """One store into a mapped file that is not in memory reads what a fault reads, which
    is the kernel's to say: AROUND, or the page if the mapping is one for random access.
    It writes a page."""
    for image in IMAGES:
        disk = stained(ctx, image)
        fd = open_file(disk)
        want = bytearray(os.urandom(2 * LARGE))
        os.pwrite(fd, want, 0)
        for index, advice, expected in ((300, mmap.MADV_NORMAL, AROUND),
                                        (700, mmap.MADV_RANDOM, PAGE)):
            forget(fd)
            with mapped.Page(fd, index) as page, ctx.record(disk.device) as io:
                page.advise(advice)
                page.store(5, b"m")
                os.fsync(fd)
            want[index * PAGE + 5] = ord("m")
            read, written = (_data(disk, fd, io.bios, len(want), op) for op in "RW")
            assert written == PAGE, f"{image}: {written} bytes written"
            assert read == expected, f"{image}, {advice}: {read} bytes read"
        same_on_disk(fd, bytes(want))
        os.close(fd)
        disk.finish()


def test_fsync_per_append_bytes(ctx):
    """Each of many appends with fsync writes its own bytes, rounded to blocks."""
    for image in IMAGES:
        disk = stained(ctx, image)
        block = os.statvfs(disk.point).f_bsize
        fd = open_file(disk)
        want = b""
        os.pwrite(fd, want, 0)
        for length in (PAGE, 100, 3 * PAGE + 5, 700) * 20:
            before = len(want)
            want += os.urandom(length)
            with ctx.record(disk.device) as io:
                os.pwrite(fd, want[before:], before)
                os.fsync(fd)
            touched = -(-len(want) // block) - before // block
            written = _data(disk, fd, io.bios, len(want) + block, "W")
            assert written == touched * block or not _ours(ctx), \
                f"{image}: {written} bytes for {length} behind {before}"
        same_on_disk(fd, want)
        os.close(fd)
        disk.finish()


def test_sparse_mmap_in_large_folio_blocks(ctx):
    """A sparse file has been read into large folios. A store to one page gives blocks to
    that page, and not to 2 MiB."""
    for image in IMAGES:
        disk = stained(ctx, image)
        fd = open_file(disk)
        os.ftruncate(fd, 4 * LARGE)
        with open(disk.where("file"), "rb", 0) as file:
            while file.read(LARGE):
                pass
        assert _is_large(fd, 600) == _ours(ctx), image
        want = bytearray(4 * LARGE)
        for index in (0, 600, 601, 2047):
            with mapped.Page(fd, index) as page:
                assert page.load(0, PAGE) == bytes(PAGE)
                page.store(17, b"m")
            want[index * PAGE + 17] = ord("m")
        os.fsync(fd)
        blocks = os.fstat(fd).st_blocks * 512
        assert blocks <= 4 * PAGE + (16 << 10), f"{image}: {blocks} bytes of blocks"
        same_on_disk(fd, bytes(want))
        os.close(fd)
        disk.finish()


@timeout(300)
def test_truncate_in_dirty_large_folio(ctx):
    """A file is cut in the middle of a large folio that is dirty, and that so cannot be split,
    and grows again: what was cut off is zero, and has no blocks."""
    for image in IMAGES:
        disk = stained(ctx, image)
        block = os.statvfs(disk.point).f_bsize
        for number, end in enumerate((1, 5000, LARGE // 2, LARGE // 2 + 1500, LARGE - 1)):
            for synced in (False, True):
                fd = open_file(disk, f"file-{number}-{synced}")
                want = os.urandom(LARGE)
                os.pwrite(fd, want, 0)
                if synced:
                    os.fsync(fd)
                os.ftruncate(fd, end)
                if _ours(ctx) and not synced:
                    assert _is_large(fd, (end - 1) // PAGE), f"{image}, {end}: it was split"
                os.ftruncate(fd, LARGE)
                same_on_disk(fd, want[:end].ljust(LARGE, b"\0"))
                behind = [at for at in range(-(-end // block), LARGE // block)
                          if fibmap(fd, at)]
                assert not behind, f"{image}, {end}: blocks {behind[:5]}..."
                os.close(fd)
                os.unlink(disk.where(f"file-{number}-{synced}"))
        disk.finish()


def test_remount_read_write(ctx):
    """Large folios of a file that was read while nobody could write are written to as any
    others."""
    for image in IMAGES:
        disk = stained(ctx, image)
        fd = open_file(disk)
        want = bytearray(LARGE)
        os.ftruncate(fd, LARGE)
        os.pwrite(fd, b"o" * 100_000, 500_000)
        want[500_000:600_000] = b"o" * 100_000
        os.close(fd)
        disk.umount()
        disk.mount()
        disk.remount(MS_RDONLY)
        with open(disk.where("file"), "rb") as file:
            assert file.read() == want
        disk.remount()
        fd = open_file(disk)
        with mapped.Page(fd, 5) as page:
            page.store(9, b"m")
        want[5 * PAGE + 9] = ord("m")
        os.pwrite(fd, b"n" * 10_000, 550_001)
        want[550_001:560_001] = b"n" * 10_000
        os.fsync(fd)
        blocks = os.fstat(fd).st_blocks * 512
        assert blocks <= 100_000 + 6 * PAGE, f"{image}: {blocks} bytes of blocks"
        same_on_disk(fd, bytes(want))
        os.close(fd)
        disk.finish()


def _at_random(ctx, fd, steps, between):
    """Writes, stores, cuts and reads at random against a model."""
    chance = random.Random(ctx.seed(20261128))
    want = bytearray()
    for step in range(steps):
        at = chance.randrange(3 * LARGE // 2)
        length = 1 << chance.randrange(20)
        what = chance.randrange(8)
        if what < 4:
            data = chance.randbytes(length)
            os.pwrite(fd, data, at)
            want.extend(bytes(max(0, at - len(want))))
            want[at:at + length] = data
        elif what == 4:
            os.ftruncate(fd, at)
            del want[at:]
            want.extend(bytes(at - len(want)))
        elif what == 5 and len(want) > PAGE:
            index = chance.randrange(len(want) // PAGE)
            with mapped.Page(fd, index) as page:
                offset = chance.randrange(PAGE - 10)
                page.store(offset, b"mmmmmmmmmm")
            want[index * PAGE + offset:index * PAGE + offset + 10] = b"m" * 10
        elif what == 6:
            forget(fd)
        else:
            got = os.pread(fd, length, at)
            assert got == want[at:at + length], f"step {step}: read at {at}"
        between(step)
    same_on_disk(fd, bytes(want))


@timeout(300)
def test_at_random_with_few_large_folios(ctx):
    """Most folios cannot be had as large as they are wanted."""
    for image in IMAGES:
        disk = stained(ctx, image)
        fd = open_file(disk)
        with disturb.few_large_folios():
            _at_random(ctx, fd, 150, lambda step: None)
        os.close(fd)
        disk.finish()


@timeout(300)
def test_at_random_while_folios_move(ctx):
    """Memory is compacted and reclaimed, and folios are split, all the time."""
    def between(step):
        if step % 5 == 0:
            disturb.split(disk.where("file"), step * 3, step // 5 % 3)
        if step % 10 == 0:
            disturb.compact()
        if step % 25 == 0:
            disturb.reclaim()

    for image in IMAGES:
        disk = stained(ctx, image)
        fd = open_file(disk)
        _at_random(ctx, fd, 150, between)
        os.close(fd)
        disk.finish()


def test_write_and_truncate_race(ctx):
    """One process writes back all the time what two others write and cut."""
    for image in IMAGES:
        disk = stained(ctx, image)

        def change(name, seed):
            chance = random.Random(seed)
            fd = open_file(disk, name)
            want = bytearray()
            for _ in range(60):
                at, length = chance.randrange(LARGE), 1 << chance.randrange(18)
                if chance.randrange(3):
                    data = chance.randbytes(length)
                    os.pwrite(fd, data, at)
                    want.extend(bytes(max(0, at - len(want))))
                    want[at:at + length] = data
                else:
                    os.ftruncate(fd, at)
                    del want[at:]
                    want.extend(bytes(at - len(want)))
            same_on_disk(fd, bytes(want))

        with disturb.tuned(dirty_background_ratio=0, dirty_writeback_centisecs=1):
            writers.results([writers.Child(change, f"file{n}", n) for n in range(2)])
        disk.finish()


def test_pinned_page_is_written_again(ctx):
    """A device reads into a mapped page: the page is pinned, and changes when the device
    likes, after it has been written and is clean. What came is on the disk after the next
    fsync, also if another block of the folio has been made dirty meanwhile."""
    for image in IMAGES:
        _, source = waiting.held_up(ctx, "blank-4k")
        with open(source.path, "rb") as raw:
            first = raw.read(PAGE)
        target = stained(ctx, image)
        fd = open_file(target)
        want = bytearray(b"o" * LARGE)
        os.pwrite(fd, want, 0)
        os.fsync(fd)
        from_fd = os.open(source.path, os.O_RDONLY | os.O_DIRECT)
        with mmap.mmap(fd, LARGE) as area:
            with source.suspended():
                page = memoryview(area)[5 * PAGE:6 * PAGE]
                task = waiting.Task(os.preadv, from_fd, [page], 0)
                assert task.falls_asleep(), task
                os.fsync(fd)
                os.pwrite(fd, b"n" * 100, 100 * PAGE)
            task.result()
            page.release()
        want[5 * PAGE:6 * PAGE] = first
        want[100 * PAGE:100 * PAGE + 100] = b"n" * 100
        same_on_disk(fd, bytes(want))
        os.close(from_fd)
        os.close(fd)
        target.finish()
        source.remove()


def test_no_memory_behind_a_source(ctx):
    """A write of what cannot be read says so, and comes to an end."""
    disk = stained(ctx, "large-4k")
    fd = open_file(disk)
    with mapped.Page(fd, 0) as page:
        # behind the end of the file
        done = libc.pwrite(fd, ctypes.c_void_p(page.address), ctypes.c_size_t(PAGE),
                           ctypes.c_long(0))
        assert (done, ctypes.get_errno()) == (-1, errno.EFAULT), done
    assert os.fstat(fd).st_size == 0 and os.fstat(fd).st_blocks == 0
    os.close(fd)
    disk.finish()


def test_scattered_large_folio(ctx):
    """Every other block of 2 MiB is there; one write fills the holes between, and a store
    to a mapping dirties all."""
    for image in IMAGES:
        disk = stained(ctx, image)
        block = os.statvfs(disk.point).f_bsize
        fd = open_file(disk)
        want = bytearray(LARGE)
        os.ftruncate(fd, LARGE)
        for at in range(0, LARGE, 2 * block):
            os.pwrite(fd, b"o" * block, at)
            want[at:at + block] = b"o" * block
        same_on_disk(fd, bytes(want))
        data = os.urandom(LARGE - 3 * block)
        os.pwrite(fd, data, block + 100)
        want[block + 100:block + 100 + len(data)] = data
        same_on_disk(fd, bytes(want))
        with mapped.Page(fd, 9) as page:
            page.store(1, b"m")
        want[9 * PAGE + 1] = ord("m")
        same_on_disk(fd, bytes(want))
        assert all(fibmap(fd, at) for at in range(LARGE // block - 1))
        os.close(fd)
        disk.finish()


def test_bad_indirect_block_in_a_large_folio(ctx):
    """Where the blocks are of the middle of a write cannot be read: what is in front of
    them is written, and the write says how much that is; then the error."""
    ctx.load("dm-mod")
    disk = disks.Disk(ctx, "large-1k")
    writers.stain(disk)
    linear = [(0, dm.sectors(disk.device), "linear", f"{disk.device} 0")]
    device = dm.Device(f"bad-{os.getpid()}", linear)
    ctx.afterwards(device.remove)
    disk.mount(device=device.path)
    fd = open_file(disk)
    want = bytearray(os.urandom(LARGE))
    os.pwrite(fd, want, 0)
    os.close(fd)
    disk.umount()
    told = ctx.run("debugfs", "-R", "stat /file", disk.path)
    # 12 blocks lead to themselves, an indirect block to 256, and the double indirect one to
    # more of these: the first of them is bad
    bad = int(re.search(r"\(DIND\):\d+, \(IND\):(\d+)", told)[1]) * 2
    device.change([(0, bad, "linear", f"{disk.device} 0"), (bad, 2, "error", ""),
                   (bad + 2, linear[0][1] - bad - 2, "linear",
                    f"{disk.device} {bad + 2}")])
    disk.mount(device=device.path)
    ctx.allow_log("I/O error|Buffer I/O|cannot read|indirect")
    fd = open_file(disk)
    edge = (12 + 256) * 1024
    done = os.pwrite(fd, b"n" * LARGE, 0)
    assert done == edge, f"{done} bytes, not {edge}"
    want[:edge] = b"n" * edge
    assert error_of(os.pwrite, fd, b"n", edge)[1] == errno.EIO
    # behind the bad one they can be read
    behind = edge + 256 * 1024
    os.pwrite(fd, b"n" * 5000, behind + 300)
    want[behind + 300:behind + 5300] = b"n" * 5000
    os.fsync(fd)
    os.close(fd)
    disk.umount()
    device.change(linear)
    disk.mount(device=device.path)
    fd = open_file(disk)
    same(fd, bytes(want))
    os.close(fd)
    disk.finish()
    device.remove()


def test_store_finds_half_a_page(ctx):
    """A store to a hole on a disk with fewer free blocks than the page takes: a signal,
    zeros, and a sound filesystem."""
    disk = stained(ctx, "blank-1k")
    with open(disk.where("full"), "wb", 0) as file:
        writers.fill(file.fileno(), (65536, 1024), writers.ones)
        size = os.fstat(file.fileno()).st_size
        os.fsync(file.fileno())
        os.ftruncate(file.fileno(), size - 2 * 1024)
    disks.sync(disk.point)
    fd = open_file(disk)
    os.ftruncate(fd, PAGE)

    def store():
        with mapped.Page(fd, 0) as page:
            page.store(10, b"m")

    text, code = writers.Child(store).wait()
    if _ours(ctx):
        assert code == -signal.SIGBUS, f"{code} {text}"
        same_on_disk(fd, bytes(PAGE))
    os.close(fd)
    disk.finish()
