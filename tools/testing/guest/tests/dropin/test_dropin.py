# SPDX-License-Identifier: GPL-2.0
"""C filesystems on rust_mpage do what they do on C's mpage (parity rows C): the
same reads and the same random workload, first with the kernel's own module, then
with the one that calls our symbols; answers, errors, trees, contents, recorded
bios and what the filesystem's checker says are compared.

Leaves out: times. The workload has a clock of its own, which both sides see, but
how long an operation takes is not theirs to share.
"""

import contextlib
import fcntl
import itertools
import mmap
import os
import random
import time
import zlib

import dropin
import dropin_bios
import ops
import page_cache
import workload
from lowlevel import error_of, fibmap, syncfs
from runner import by_chance, long, timeout
from test_twin import no_flusher

SEED = 2017  # of the short tests; test_long() takes one by chance
OPERATIONS = 45
MORNING, STEP = 1_800_000_000, 10  # seconds; for all of a workload on one day
AN_HOUR = "360000"  # hfsplus writes its trees after this time
PAGE = 4096
FAR = 400_000  # a filesystem without holes fills what is skipped

_BLKFLSBUF = 0x1261


# What has to go through the library, before what comes by chance: most of that can
# be names, files in a UDF inode, direct writes and data that is gone before a sync.
_FIRST = (
    ("create", "first", 0o644), ("write", "first", 0, 30_000, 1), ("fsync", "first"),
    ("write", "first", 9_000, 5_000, 2), ("map_write", "first", 0, 9_000, 3, "sync"),
    ("create", "second", 0o600), ("append", "second", 100, 4),
    ("append", "second", 20_000, 5), ("write", "second", 60_000, 700, 6), ("sync",),
    ("truncate", "first", 12_345), ("append", "first", 6_000, 7), ("drop_caches",),
    ("append", "second", 3_000, 8), ("fsync", "second"), ("read", "first", 0, 40_000),
)


class Workload(workload.Workload):
    """The random workload of the twins after _FIRST, with offsets that are not far and
    owners that every inode can keep: others are there until it is evicted."""

    def __init__(self, seed, block_size):
        super().__init__(seed, block_size)
        self._queue += _FIRST

    def _offset(self, name=None):
        return super()._offset(name) % FAR

    def _chown(self):
        call, name, *ids = super()._chown()
        return call, name, *(number if number < 0 else number % 251 for number in ids)


def _forget(device, fd):
    """Drop the file's pages and the device's buffers."""
    page_cache.drop(fd)
    disk = os.open(device, os.O_RDONLY)
    try:
        fcntl.ioctl(disk, _BLKFLSBUF, 0)
    finally:
        os.close(disk)


# what is read: files of one piece and of many, with holes, of odd sizes


def _populate(point):
    rng = random.Random(7)
    block = rng.randbytes

    def put(name, parts):
        with open(os.path.join(point, name), "wb", buffering=0) as file:
            for offset, length in parts:
                file.seek(offset)
                file.write(block(length))
            os.fsync(file.fileno())

    put("whole", [(0, 300_000)])
    for size in (0, 1, 511, 512, 1023, 4095, 4096, 4097, 10_000):
        put(f"size{size}", [(0, size)])
    put("holes", [(at, 700) for at in range(0, 120_000, 9_000)])
    put("sparse", [(65_536, 5_000), (200_000, 3_000)])
    # two files that grow by turns, each time down to the disk
    for turn in range(24):
        for name in ("one", "two"):
            with open(os.path.join(point, name), "ab", buffering=0) as file:
                file.write(block(1_500 + 700 * (turn % 3)))
                os.fsync(file.fileno())


def _by_map(fd, offset, length):
    end = min(offset + length, os.fstat(fd).st_size)
    start = offset // PAGE * PAGE
    if end <= start:
        return b""
    with mmap.mmap(fd, end - start, prot=mmap.PROT_READ, offset=start) as area:
        # memcpy() of all would begin at either end, as the addresses are
        return b"".join(area[at:at + PAGE] for at in range(0, end - start, PAGE))


def _ways(size):
    """(name, way to read, offset, length) of a file."""
    yield "all", os.pread, 0, size + 10
    if size <= PAGE:
        return
    yield "mapped", _by_map, 0, size
    rng = random.Random(size)
    yield "piece", os.pread, rng.randrange(size), rng.randrange(1, 60_000)
    yield "behind", os.pread, size + PAGE, 100


def _sectors(file, block):
    """The sectors that hold a file. UDF has small ones in the inode."""
    found, per = set(), block // 512
    for number in range(-(-os.fstat(file.fileno()).st_size // block)):
        at = error_of(fibmap, file.fileno(), number)[0]
        if at:
            found.update(range(at * per, (at + 1) * per))
    return found


def _read_cold(point, device, io, block):
    """{what: (length, checksum, bios, the file's sectors)} of cold reads of every
    file."""
    found = {}
    for folder, folders, names in os.walk(point):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.islink(path):
                continue
            with open(path, "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                sectors = _sectors(file, block)
                for what, call, offset, length in _ways(size):
                    _forget(device, file.fileno())
                    io.take()
                    got = call(file.fileno(), length, offset) if call is os.pread \
                        else call(file.fileno(), offset, length)
                    found[f"{os.path.relpath(path, point)}, {what}"] = (
                        len(got), zlib.crc32(got), io.take()[0], sectors)
    return found


def _read_broken(point, device):
    """{what: (checksum, errno)} of every page, of a disk that lost its end."""
    found = {}
    for name in sorted(os.listdir(point)):
        path = os.path.join(point, name)
        if not os.path.isfile(path):
            continue
        with open(path, "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            _forget(device, file.fileno())
            for at in range(0, os.fstat(file.fileno()).st_size, PAGE):
                got, number = error_of(os.pread, file.fileno(), PAGE, at)
                found[f"{name} at {at}"] = (zlib.crc32(got or b""), number)
    return found


def _cut(path, point):
    """Where to cut the disk so that about half of a file is lost."""
    with open(path, "rb") as file:
        raw = file.read()
    with open(os.path.join(point, "whole"), "rb") as file:
        file.seek(150_000)
        at = raw.find(file.read(512)[:400])
    return at // PAGE * PAGE if at > 0 else len(raw) * 3 // 4


def _read_side(ctx, spec, which, path):
    """Everything that one side reads."""
    with dropin.loaded(ctx, spec, which):
        point = ctx.mount(path, spec.fstype, spec.options)
        device = ctx.device_of(point)
        with ctx.record(device) as io:
            cold = _read_cold(point, device, io, spec.block)
        tree = dropin.snapshot(point)
        broken = {}
        if spec.check:
            with open(path, "rb") as file:
                raw = file.read()
            os.truncate(path, _cut(path, point))
            broken = _read_broken(point, device)
            with open(path, "wb") as file:
                file.write(raw)
        ctx.umount(point)
    return cold, tree, broken


def _reads(ctx, name):
    spec = dropin.SPECS[name]
    path = dropin.disk(ctx, spec)
    if spec.check:
        with dropin.loaded(ctx, spec, dropin.C):
            point = ctx.mount(path, spec.fstype, spec.options, read_only=False)
            _populate(point)
            ctx.umount(point)
    before = ctx.counters()
    cold, tree, broken = _read_side(ctx, spec, dropin.C, path)
    assert ctx.counters() == before, "C's module calls rust_mpage"
    ours = _read_side(ctx, spec, dropin.RUST, path)
    after = ctx.counters()
    tally = dropin_bios.Tally()
    assert list(cold) == list(ours[0])
    for what, (length, total, bios, sectors) in cold.items():
        assert (length, total) == ours[0][what][:2], f"{what}: other bytes"
        tally.compare(what, bios, ours[0][what][2], sectors)
    ctx.log(tally)
    assert not tally.different, "\n".join(tally.different[:5])
    assert not dropin.differences(tree, ours[1])
    wrong = [f"{what}: {broken[what]} and {ours[2].get(what)}"
             for what in broken if broken[what] != ours[2].get(what)]
    assert not wrong, "a disk that lost its end:\n" + "\n".join(wrong[:10])
    if spec.check:
        assert any(number for _, number in broken.values()), "nothing was lost"
        dropin.check(ctx, spec, ctx.loop(path))
    return after["bios"] - before["bios"]


# the random workload


@contextlib.contextmanager
def _own_clock():
    """A call that sets the clock to the next step. By the real one it is chance
    whether a time is already what it would be set to, in the whole seconds of most
    of these filesystems: then the inode stays clean, and a sync has less to write."""
    real, begin = time.time(), time.monotonic()
    steps = itertools.count(MORNING, STEP)
    try:
        yield lambda: time.clock_settime(time.CLOCK_REALTIME, next(steps))
    finally:
        time.clock_settime(time.CLOCK_REALTIME, real + time.monotonic() - begin)


_SYNCS = ("sync", "drop_caches", "remount", "mount_again", "compare")


def _special(ctx, point, op):
    """One of _SYNCS, on the whole disk; for the twins they are not all the same. What
    somebody holds still when caches are dropped, as a CPU's batch for the LRU lists,
    stays, and that is chance; the second time the batches are emptied first."""
    syncfs(point)
    if op[0] == "drop_caches":
        ctx.drop_caches()
        ctx.drop_caches()


def _do(actor, op):
    """An operation, with its answer. Where a direct write meets a hole, its data goes
    through the page cache, and the pages are given up after that; but not one that
    somebody holds still, as a CPU's batch for the LRU lists or the end of its own
    writeback, and that is chance. Asked for here, the kernel tries again after it has
    emptied the batches of all CPUs."""
    answer = actor.do(op)
    if op[0] == "write_direct" and not answer[1]:
        _, name, offset, length, _ = op
        fd = os.open(actor.path(name), os.O_RDONLY)
        try:
            os.posix_fadvise(fd, offset, length, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)
    return answer


def _work_side(ctx, spec, which, path, source):
    """Do operations; [(op, answer, bios)], the tree, what the checker says, and the
    sectors of the trees that the filesystem keeps as files.

    source() gives the next operation or None, and is told how it went.
    """
    done = []
    with dropin.loaded(ctx, spec, which), _own_clock() as tick:
        tick()
        point = ctx.mount(path, spec.fstype, spec.options, read_only=False)
        actor = ops.Actor(point)
        with ctx.record(ctx.device_of(point)) as io, contextlib.closing(actor):
            op = source(None, None)
            while op:
                tick()
                if op[0] in _SYNCS:
                    answer = _special(ctx, point, op)
                else:
                    answer = _do(actor, op)
                done.append((op, answer, io.take()[0]))
                op = source(op, answer)
            syncfs(point)
            done.append((("sync",), None, io.take()[0]))
        tree = dropin.snapshot(point)
        device = ctx.device_of(point)
        ctx.umount(point)
        told = dropin.check(ctx, spec, device)
    return done, tree, told, dropin.trees(spec, device)


def _chooser(seed, block, count):
    work = Workload(seed, block)
    left = [len(_FIRST) + count]

    def choose(op, answer):
        if op and answer and answer[1] == 0:
            work.done(op, answer[0])
        left[0] -= 1
        return work.next() if left[0] >= 0 else None

    return choose


def _replayer(done):
    rest = iter([op for op, _, _ in done[:-1]])
    return lambda _op, _answer: next(rest, None)


def _writes(ctx, name, seed=SEED, count=OPERATIONS):
    spec = dropin.SPECS[name]
    seed = ctx.seed(seed)
    ctx.log(f"SEED={seed}")
    paths = [dropin.disk(ctx, spec), dropin.disk(ctx, spec)]
    before = ctx.counters()
    with no_flusher(AN_HOUR):
        one = _work_side(ctx, spec, dropin.C, paths[0],
                         _chooser(seed, spec.block, count))
        assert ctx.counters() == before, "C's module calls rust_mpage"
        two = _work_side(ctx, spec, dropin.RUST, paths[1], _replayer(one[0]))
        assert ctx.counters()["write/folios"] > before["write/folios"]
        # and C reads what ours wrote
        with dropin.loaded(ctx, spec, dropin.C):
            point = ctx.mount(paths[1], spec.fstype, spec.options)
            swapped = dropin.snapshot(point)
            ctx.umount(point)
    tally = dropin_bios.Tally()
    for number, (left, right) in enumerate(zip(one[0], two[0])):
        assert left[:2] == right[:2], \
            f"SEED={seed}: operation {number}, {left[0]}: {left[1]} and {right[1]}"
        trees = one[3] if left[0][0] in _SYNCS else ()
        tally.compare(f"operation {number}, {left[0]}", left[2], right[2], trees=trees)
    ctx.log(tally)
    assert all(tally.bios), "nothing was recorded"
    live = two[1]
    if spec.fstype == "vfat":
        # It counts the links of a directory when it reads it, and vfat_rename() does
        # not count when a directory takes the place of another beside it.
        live, swapped = map(dropin.without_links, (live, swapped))
    found = dropin.differences(one[1], two[1]) + dropin.differences(live, swapped)
    assert not found, f"SEED={seed}:\n" + "\n".join(found[:10])
    assert one[2] == two[2], f"SEED={seed}: the checker says {one[2]}\nand {two[2]}"
    assert not tally.different, f"SEED={seed}:\n" + "\n".join(tally.different[:5])


@timeout(300)
def test_read_ext2_1k(ctx):
    """ext2 with blocks smaller than a page."""
    assert _reads(ctx, "ext2-1k") > 0


@timeout(300)
def test_read_ext2_4k(ctx):
    """ext2 with blocks of a page."""
    assert _reads(ctx, "ext2-4k") > 0


@timeout(300)
def test_read_fat(ctx):
    """FAT32, clusters of a sector: files in many pieces."""
    assert _reads(ctx, "fat32") > 0


@timeout(300)
def test_read_udf(ctx):
    """UDF in blocks of 512 bytes."""
    assert _reads(ctx, "udf-512") > 0


@timeout(300)
def test_read_isofs(ctx):
    """A CD: reading is all there is."""
    assert _reads(ctx, "isofs") > 0


@timeout(300)
def test_write_ext2_1k(ctx):
    """The workload on ext2, blocks smaller than a page."""
    _writes(ctx, "ext2-1k")


@timeout(300)
def test_write_ext2_4k(ctx):
    """The workload on ext2, blocks of a page."""
    _writes(ctx, "ext2-4k")


@timeout(300)
def test_write_minix(ctx):
    """The workload on minix."""
    _writes(ctx, "minix")


@timeout(300)
def test_write_fat16(ctx):
    """The workload on FAT16, clusters of a page."""
    _writes(ctx, "fat16")


@timeout(300)
def test_write_udf(ctx):
    """The workload on UDF, whose hook writes small files itself (W15)."""
    _writes(ctx, "udf-512")


@timeout(300)
def test_write_hfsplus(ctx):
    """The workload on HFS+."""
    _writes(ctx, "hfsplus")


@long
@timeout(1200)
def test_long(ctx):
    """Ten times as much of the workload on each of them."""
    for name, spec in dropin.SPECS.items():
        if spec.check:
            _writes(ctx, name, by_chance(), 10 * OPERATIONS)
