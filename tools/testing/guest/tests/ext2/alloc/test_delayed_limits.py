# SPDX-License-Identifier: GPL-2.0
"""Promises of blocks where something runs out: what is copied from, memory, the disk;
and what files are in that grow side by side, beside C ext2.
"""

import contextlib
import ctypes
import errno
import functools
import mmap
import os
import signal
import struct
import threading

import calls
import disks
import disturb
import ext2disk
import faults
import lowlevel
import mapped
import writers
from contents import same, same_on_disk, stained
from runner import parallel, timeout
from sysapi import libc
from test_twin import no_flusher

BLOCK = 1024
PAGE = 4096


def _counts(disk, fd):
    """(512-byte units of the file, free blocks)."""
    return os.fstat(fd).st_blocks, os.statvfs(disk.point).f_bfree


def _new(disk, name):
    return os.open(disk.where(name), os.O_CREAT | os.O_RDWR, 0o644)


def test_short_copy_beside_promised_blocks(ctx):
    """The source of a write ends: no block that was not copied to is promised, in front
    of what is, behind it and between, and none gets a place with it."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-1k")
    writers.stain(disk)
    disk.mount()
    edge = mapped.edge()
    want = bytearray(40 * BLOCK)
    fd = _new(disk, "f")
    os.ftruncate(fd, len(want))
    before = _counts(disk, fd)[1]
    for first, last in ((10, 14), (20, 22)):
        data = bytes([first]) * (last - first) * BLOCK
        os.pwrite(fd, data, first * BLOCK)
        want[first * BLOCK:last * BLOCK] = data
    promised = {*range(10, 14), *range(20, 22)}
    # the third ends in the middle of the blocks of a page, all of which were to be promised
    for at, given in ((14, 2 * BLOCK + 100), (8, BLOCK - 1), (24, 2 * BLOCK + 100),
                      (18, 2 * BLOCK), (2, 1)):
        done = libc.pwrite(fd, ctypes.c_void_p(edge - given), ctypes.c_size_t(2 * PAGE),
                           ctypes.c_long(at * BLOCK))
        assert 0 < done <= given, (at, done)
        want[at * BLOCK:at * BLOCK + done] = b"c" * done
        promised |= {*range(at, at - (-done // BLOCK))}
        # the indirect block, too
        taken = len(promised) + 1
        assert _counts(disk, fd) == (2 * taken, before - taken), (at, done)
    os.fsync(fd)
    assert _counts(disk, fd) == (2 * taken, before - taken)
    ctx.drop_caches()
    assert os.pread(fd, len(want), 0) == want
    os.close(fd)
    disk.finish()


@timeout(200)
def test_failed_rewrite_keeps_delayed_data(ctx):
    """A write that begins in what has been promised, and is not on the disk, fails or comes
    short: what was written before is there still, in memory and on the disk, and is promised
    as it was; and what is behind the end has what was copied and no more."""
    disks.delays(ctx)
    edge = mapped.edge()
    for image in ("blank-1k", "blank-4k"):
        disk = stained(ctx, image)
        fd = _new(disk, "f")
        want = bytearray(writers.content(3, 0, 9 * PAGE + 300))
        os.pwrite(fd, want, 0)
        promised = _counts(disk, fd)
        for at, given in ((0, 0), (PAGE + 100, 0), (3 * PAGE + 100, 50), (2 * PAGE + 7, PAGE),
                          (5 * PAGE - 1, 3), (6 * PAGE, BLOCK), (8 * PAGE, 0), (9 * PAGE + 299, 0)):
            done = libc.pwrite(fd, ctypes.c_void_p(edge - given), ctypes.c_size_t(2 * PAGE),
                               ctypes.c_long(at))
            if given:
                assert 0 < done <= given, (image, at, done)
                want[at:at + done] = b"c" * done
            else:
                assert (done, ctypes.get_errno()) == (-1, errno.EFAULT), (image, at, done)
            same(fd, want)
            assert _counts(disk, fd) == promised, (image, at)
        # begins in what has been promised, and goes on behind the end
        done = libc.pwrite(fd, ctypes.c_void_p(edge - 2000), ctypes.c_size_t(3 * PAGE),
                           ctypes.c_long(9 * PAGE + 200))
        assert 0 < done <= 2000, (image, done)
        want[9 * PAGE + 200:] = b"c" * done
        want.extend(writers.content(3, len(want), max(0, 9 * PAGE + 300 - len(want))))
        same(fd, want)
        promised = _counts(disk, fd)
        os.fsync(fd)
        assert _counts(disk, fd) == promised, image
        same_on_disk(fd, want)
        os.close(fd)
        disk.finish()


@contextlib.contextmanager
def _failing(number):
    """Allocation `number` of this thread from now on fails; whether it came to that."""
    path = f"/proc/self/task/{threading.get_native_id()}/fail-nth"
    fd = os.open(path, os.O_RDWR)
    came = []
    os.write(fd, str(number).encode())
    try:
        yield came
    finally:
        left = int(os.pread(fd, 20, 0))
        os.pwrite(fd, b"0", 0)
        os.close(fd)
        came.append(left == 0)


@contextlib.contextmanager
def _memory_may_fail():
    """Of all sizes, also for who could wait for it."""
    with contextlib.ExitStack() as stack:
        for name, value in (("failslab/ignore-gfp-wait", "N"), ("failslab/verbose", "0"),
                            ("fail_page_alloc/ignore-gfp-wait", "N"),
                            ("fail_page_alloc/min-order", "0"),
                            ("fail_page_alloc/verbose", "0")):
            path = f"/sys/kernel/debug/{name}"
            with open(path, encoding="ascii") as file:
                stack.callback(disturb.put, path, file.read())
            disturb.put(path, value)
        yield


def _can_fail(ctx):
    if not os.path.exists("/proc/self/fail-nth"):
        ctx.skip("the kernel has no CONFIG_FAULT_INJECTION")
    # of a fault of the test itself, which comes again
    ctx.allow_log("VM_FAULT_OOM")


# what can fail: one allocation, or all from one on
FAILURES = {"one": _failing, "all": faults.memory_is_short}


def _fail_each(ctx, fails, least=4):
    """Call fails(number) for one allocation after the other, until there are no more."""
    with _memory_may_fail():
        for number in range(1, 100):
            if not fails(number):
                break
        else:
            raise AssertionError("there is no end of allocations")
    ctx.log(f"{number - 1} allocations failed")
    assert number > least, f"only {number - 1} allocations failed"
    return number - 1


def _write(fd, at, data):
    return libc.pwrite(fd, data, ctypes.c_size_t(len(data)), ctypes.c_long(at))


@timeout(200)
def test_memory_fails_at_each_allocation(ctx):
    """A write of pages into a hole, beside what has been promised and away from it, of
    which one allocation after the other fails, or all from one on: what it says it has written is
    there, it has promised that and nothing else, and nothing is promised to nobody in the end."""
    disks.delays(ctx)
    _can_fail(ctx)
    data = b"m" * (3 * PAGE - 100)
    for image in ("blank-1k", "blank-4k"):
        disk = stained(ctx, image)

        def fails(number, which):
            """A write of which allocation `number` fails; whether it came to that."""
            fd = _new(disk, f"{which}{number}")
            os.pwrite(fd, b"b" * BLOCK, 299 * BLOCK)
            came = []
            for at in (300 * BLOCK, 10 * PAGE):
                with FAILURES[which](number) as now:
                    done = _write(fd, at, data)
                assert done in (-1, len(data)) or 0 < done < len(data), done
                came += now
            promised = _counts(disk, fd)
            os.fsync(fd)
            assert _counts(disk, fd) == promised, number
            if done > 0:
                assert os.pread(fd, done, at) == data[:done]
            os.close(fd)
            return any(came)

        # there may be room for the second run since the first
        for which in FAILURES:
            _fail_each(ctx, functools.partial(fails, which=which), 2)
        disk.finish()


@timeout(200)
def test_memory_fails_in_a_rewrite(ctx):
    """A write begins in what has been promised and goes on behind the end, and one allocation
    after the other fails, or all from one on: what was written before is there, and what the write
    says it has written, in memory and on the disk."""
    disks.delays(ctx)
    _can_fail(ctx)
    before, data = writers.content(5, 0, 2 * PAGE + 300), b"m" * 3 * PAGE
    failed = 0
    for image in ("blank-1k", "blank-4k"):
        disk = stained(ctx, image)

        def fails(number, which):
            fd = _new(disk, f"{which}{number}")
            os.pwrite(fd, before, 0)
            with FAILURES[which](number) as came:
                done = max(0, _write(fd, PAGE + 100, data))
            want = before[:PAGE + 100] + data[:done] + before[PAGE + 100 + done:]
            same(fd, want)
            promised = _counts(disk, fd)
            os.fsync(fd)
            assert _counts(disk, fd) == promised, (image, number)
            same_on_disk(fd, want)
            os.close(fd)
            return came[0]

        # with blocks as large as pages there may be nothing to be allocated but the pages
        for which in FAILURES:
            failed += _fail_each(ctx, functools.partial(fails, which=which), 0)
        disk.finish()
    assert failed > 0, "no allocation failed"


@timeout(200)
def test_memory_fails_at_a_fault(ctx):
    """The first store to a page of a hole, of which one allocation after the other fails: the
    fault comes again, and the page has been promised its blocks, once, and is on the disk as
    it was stored to."""
    disks.delays(ctx)
    _can_fail(ctx)
    for image in ("blank-1k", "blank-4k"):
        disk = stained(ctx, image)
        block = os.statvfs(disk.point).f_bsize

        def fails(number):
            fd = _new(disk, f"f{number}")
            os.ftruncate(fd, 200 * PAGE)
            want = bytearray(200 * PAGE)
            # beside what has been promised, and behind an array that is missing
            os.pwrite(fd, b"b" * PAGE, 100 * PAGE)
            want[100 * PAGE:101 * PAGE] = b"b" * PAGE
            came = []
            for index in (101, 3):
                with mapped.Page(fd, index) as page:
                    page.load(0, 1)
                    with _failing(number) as now:
                        page.store(17, b"stored")
                want[index * PAGE + 17:index * PAGE + 23] = b"stored"
                came += now
            # with 1 KiB blocks page 3 is behind an array, and pages 100 and 101 are behind two
            taken = 3 * PAGE // block + (3 if block == BLOCK else 1)
            promised = _counts(disk, fd)
            assert promised[0] * 512 == taken * block, (image, number, promised)
            os.fsync(fd)
            assert _counts(disk, fd) == promised, (image, number)
            same_on_disk(fd, bytes(want))
            os.close(fd)
            return any(came)

        _fail_each(ctx, fails, 1)
        disk.finish()


def _store(path, seed, size, progress):
    """Store to page after page of a file of holes, and say how many are done."""
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    os.ftruncate(fd, size)
    with mmap.mmap(fd, size) as area:
        for at in range(0, size, PAGE):
            area[at:at + PAGE] = writers.content(seed, at, PAGE)
            struct.pack_into("<I", progress, 4 * seed, at // PAGE + 1)
    return ""


@parallel
def test_mapped_writers_on_a_full_disk(ctx):
    """Several store to mapped holes until there is no block left, which is a SIGBUS for
    each: all that was stored before is on the disk."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-1k").mount()
    room = os.statvfs(disk.point).f_bavail * BLOCK
    writers.make(disk.where("filler"), 9, room - 3_000_000, sync=False)
    with mmap.mmap(-1, PAGE) as progress:
        children = [writers.Child(_store, disk.where(f"m{seed}"), seed, 4_000_000 // PAGE * PAGE,
                                  progress) for seed in range(3)]
        ended = [child.wait() for child in children]
        done = struct.unpack_from("<3I", progress)
    assert [code for _, code in ended] == [-signal.SIGBUS] * 3, ended
    assert sum(done) * PAGE > 2_500_000 and min(done) > 0, done
    assert os.statvfs(disk.point).f_bavail * BLOCK < PAGE + 3 * BLOCK
    disks.sync(disk.point)
    ctx.drop_caches()
    for seed, pages in enumerate(done):
        writers.check(disk.where(f"m{seed}"), seed, pages * PAGE)
    writers.check(disk.where("filler"), 9, room - 3_000_000)
    disk.finish()


def test_dirty_before_the_promise_is_kept(ctx):
    """What has been promised is dirty while the tree is locked that the promise is kept in:
    else writeback of its neighbour could give it a place, and a sync find nothing to write."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-4k").mount()
    fd = _new(disk, "f")
    os.ftruncate(fd, 40 * PAGE)
    stores = mapped.Page(fd, 20)
    stores.load(0, 1)
    for number, call in enumerate((lambda: os.pwrite(fd, b"p" * PAGE, 5 * PAGE),
                                   lambda: os.pwrite(fd, b"q" * PAGE, 6 * PAGE),
                                   lambda: stores.store(0, b"m"))):
        free = os.statvfs(disk.point).f_bfree
        called = calls.in_order(ctx, ("filemap_dirty_folio", "mutex_unlock"), call)
        assert os.statvfs(disk.point).f_bfree < free, "nothing was promised"
        first = called.index("filemap_dirty_folio")
        assert "mutex_unlock" in called[first:], (number, called)
    stores.close()
    os.close(fd)
    disk.finish()


def _pieces(path):
    """How many pieces of the disk a file is in: extents that touch are one."""
    with open(path, "rb") as file:
        found = lowlevel.fiemap(file.fileno(), room=4096)
    ends = [(logical + length, physical + length) for logical, physical, length, _ in found]
    return 1 + sum(two[:2] != end for end, two in zip(ends, found[1:]))


def _grow_side_by_side(ctx, fstype, pages, sync_each):
    """Four files that grow in turns, 4 KiB each, and are synced each so many turns; the most
    pieces that one is in."""
    disk = disks.Disk(ctx, "blank-4k", fstype).mount()
    files = [os.open(disk.where(f"f{number}"), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
             for number in range(4)]
    for turn in range(pages):
        for number, fd in enumerate(files):
            os.write(fd, writers.content(number, turn * PAGE, PAGE))
        if turn % sync_each == sync_each - 1:
            disks.sync(disk.point)
    disks.sync(disk.point)
    found = [_pieces(disk.where(f"f{number}")) for number in range(4)]
    for number, fd in enumerate(files):
        os.close(fd)
        writers.check(disk.where(f"f{number}"), number, PAGE * pages)
    disk.finish()
    ctx.log(f"{disk}: pieces: {found}")
    return max(found)


def _pieces_in_all(ctx, options):
    """A file with an indirect block and a doubly indirect one, and one of 200 KB, both written
    before they are synced, page by page in turns: pieces of each."""
    disk = disks.Disk(ctx, "large-1k").mount(options)
    sizes = {"large": 3_000_000, "small": 200_000}
    with contextlib.ExitStack() as stack:
        files = {name: stack.enter_context(open(disk.where(name), "wb", 0)) for name in sizes}
        for at in range(0, max(sizes.values()), PAGE):
            for number, (name, size) in enumerate(sizes.items()):
                if at < size:
                    files[name].write(writers.content(number, at, min(PAGE, size - at)))
        free = os.statvfs(disk.point).f_bfree
        disks.sync(disk.point)
        assert os.statvfs(disk.point).f_bfree == free or "nodelalloc" in options
    found = [_pieces(disk.where(name)) for name in sizes]
    ctx.drop_caches()
    for number, (name, size) in enumerate(sizes.items()):
        writers.check(disk.where(name), number, size)
    disk.finish()
    ctx.log(f"{options}: pieces: {found}")
    return found


def test_arrays_are_in_front(ctx):
    """The arrays of pointers that a file will need before it is written lie in front of its
    blocks, which are in one piece; one alone is where it is in C. Without delay one lies between
    each 256."""
    disks.delays(ctx)
    assert _pieces_in_all(ctx, "delalloc") == [1, 2]
    assert _pieces_in_all(ctx, "nodelalloc")[0] > 10


def _leaves(path, number):
    """All arrays of an inode that have pointers to data."""
    *_, single, double, triple = ext2disk.inode_pointers(path, number)
    with open(path, "rb") as file:
        def array(block):
            file.seek(block * BLOCK)
            return [block for block in struct.unpack(f"<{BLOCK // 4}I", file.read(BLOCK)) if block]

        doubles = [double, *array(triple)]
        return [single, *(leaf for double in doubles for leaf in array(double))]


@timeout(200)
def test_more_arrays_than_in_a_window(ctx):
    """A file will need more arrays of pointers than a window can have blocks: those that have
    room in one lie side by side all the same."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "large-1k").mount()
    fd = _new(disk, "f")
    number = os.fstat(fd).st_ino
    pointers = BLOCK // 4
    arrays = 0
    with no_flusher():
        # no more than 511 runs: of the last block of an array, and perhaps all of the next one,
        # and the first block of another
        for run in range(480):
            begin = 12 + pointers * (arrays + 1) - 1
            more = 1 if run < 120 else 0
            os.pwrite(fd, bytes([run % 255 + 1]) * (2 + more * pointers) * BLOCK, begin * BLOCK)
            arrays += 2 + more
        promised = _counts(disk, fd)
        os.fsync(fd)
    assert _counts(disk, fd) == promised
    os.close(fd)
    disk.finish()
    found = _leaves(disk.path, number)
    assert len(found) == arrays > 1027 + 40, (len(found), arrays)
    # one that leads to others may lie in between
    pieces = 1 + sum(not 0 < two - one <= 3 for one, two in zip(found, found[1:]))
    ctx.log(f"{arrays} arrays in {pieces} pieces")
    assert pieces <= 4, f"{arrays} arrays in {pieces} pieces"


def test_files_side_by_side_are_in_one_piece(ctx):
    """Four files that grow in turns before they are written back, and what they are in
    in C, where each keeps a window of blocks."""
    disks.delays(ctx)
    # each has room in a group of its own, of 1024 blocks; behind the first twelve is an array
    ours = _grow_side_by_side(ctx, ctx.fstype, 950, 950)
    assert ours == 2, ours
    assert ours < _grow_side_by_side(ctx, disks.C_FSTYPE, 950, 950)


def test_files_that_go_on_growing(ctx):
    """What is written of a file while it grows has room behind it for as much again."""
    disks.delays(ctx)
    # written out eight times; where each begins depends on who writes it
    assert _grow_side_by_side(ctx, ctx.fstype, 400, 50) <= 7
