# SPDX-License-Identifier: GPL-2.0
"""Writing more than fits: a writer in a small memory cgroup writes several times its
limit through write(2) and through a mapping, and the reader behind it gets what was
written. Nobody is killed for memory, and no single call takes longer than STALL.
"""

import contextlib
import mmap
import os
import time

import disks
import sysapi
import writers
from runner import long, timeout

LIMIT = 14 << 20  # a half of which is the writer's own
STALL = 20  # seconds; writeback of the whole limit, where the kernel checks all
PIECE = 1 << 18


@contextlib.contextmanager
def _group(ctx, limit):
    """A memory cgroup with a limit; its directory."""
    root = "/sys/fs/cgroup"
    if not os.path.exists(os.path.join(root, "cgroup.controllers")):
        root = os.path.join(ctx.tmp, "cgroup")
        os.mkdir(root)
        sysapi.mount("none", root, "cgroup2")
        own = True
    else:
        own = False
    with open(os.path.join(root, "cgroup.controllers"), encoding="ascii") as file:
        if "memory" not in file.read():
            ctx.skip("there is no memory controller for cgroups here")
    _put(root, "cgroup.subtree_control", "+memory")
    path = os.path.join(root, "rust_mpage_test")
    os.mkdir(path)
    try:
        _put(path, "memory.max", str(limit))
        yield path
    finally:
        _remove(path)
        if own:
            sysapi.umount(root)


def _put(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="ascii") as file:
        file.write(text)


def _remove(path):
    for _ in range(100):
        try:
            os.rmdir(path)
            return
        except OSError:
            time.sleep(0.1)
    os.rmdir(path)


def _events(path):
    with open(os.path.join(path, "memory.events"), encoding="ascii") as file:
        return {name: int(count) for name, count in map(str.split, file)}


def _write(group, path, seed, size, rounds):
    """In the cgroup: write a file again and again; the longest call in seconds."""
    _put(group, "cgroup.procs", str(os.getpid()))
    longest = 0.0
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
    for number in range(rounds):
        for at in range(0, size, PIECE):
            data = writers.content(seed + number, at, PIECE)
            begin = time.monotonic()
            assert os.pwrite(fd, data, at) == PIECE
            longest = max(longest, time.monotonic() - begin)
    os.fsync(fd)
    os.close(fd)
    return longest


def _map(group, path, seed, size):
    """In the cgroup: write a file of holes through a mapping; the longest fault."""
    _put(group, "cgroup.procs", str(os.getpid()))
    longest = 0.0
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    os.ftruncate(fd, size)
    with mmap.mmap(fd, size) as area:
        for at in range(0, size, PIECE):
            data = writers.content(seed, at, PIECE)
            begin = time.monotonic()
            area[at:at + PIECE] = data
            longest = max(longest, time.monotonic() - begin)
        area.flush()
    os.close(fd)
    return longest


def _bounded(ctx, disk, group, child):
    """The writer gets done, is not killed, and does not stand still for long."""
    longest = float(child.result())
    events = _events(group)
    ctx.log(f"{disk}: the longest call took {longest:.1f} seconds, {events}")
    assert (events["oom"], events["oom_kill"]) == (0, 0), events
    assert events["max"] > 0, f"the limit was never felt: {events}"
    assert longest < STALL, f"a call took {longest:.1f} seconds"


def _disk(ctx, image):
    """A mounted disk whose pages belong to nobody's cgroup: those that a loop device
    needs for its file are charged to whoever writes."""
    disk = disks.Disk(ctx, image)
    fd = os.open(disk.path, os.O_RDWR)
    os.posix_fallocate(fd, 0, os.path.getsize(disk.path))
    os.close(fd)
    return disk.mount()


def _beyond_the_limit(ctx, image):
    disk = _disk(ctx, image)
    size = 3 * LIMIT // 2
    with _group(ctx, LIMIT) as group:
        _bounded(ctx, disk, group, writers.Child(
            _write, group, disk.where("written"), 1, size, 1))
        _bounded(ctx, disk, group, writers.Child(
            _map, group, disk.where("mapped"), 2, size))
        ctx.drop_caches()
        writers.check(disk.where("written"), 1, size)
        writers.check(disk.where("mapped"), 2, size)
    disk.finish()


@timeout(600)
def test_limit_4k(ctx):
    """Three times the limit: half by write(2), half by mmap; 4 KiB blocks."""
    _beyond_the_limit(ctx, "large-4k")


FILES, ARRAYS = 12, 128  # of pointers: one has 256 KiB of a file with 1 KiB blocks
RUNS = 16 << 10  # bytes that are remembered of all files, at least


def _scattered(path):
    """A block in each array."""
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
    for array in range(ARRAYS):
        os.pwrite(fd, b"x" * 1024, (array << 18) + (12 << 10))
    os.close(fd)


def _unreclaimable(group, kinds=("slab_unreclaimable",)):
    """Bytes that the cgroup has of slabs that reclaim does not shrink by themselves, or of
    these kinds."""
    with open(os.path.join(group, "memory.stat"), encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.split()[0] in kinds)


def _read(group, paths):
    """In the cgroup: read a page of each array; what is charged for that."""
    _put(group, "cgroup.procs", str(os.getpid()))
    opened = [os.open(path, os.O_RDONLY) for path in paths]
    for fd in opened:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    time.sleep(3)  # what is charged shows after 2 seconds
    before = _unreclaimable(group)
    for fd in opened:
        for array in range(ARRAYS):
            os.pread(fd, 1, (array << 18) + (12 << 10))
    for _ in range(30):
        time.sleep(1)
        grown = _unreclaimable(group) - before
        if grown >= RUNS:
            break
    return grown


@timeout(120)
def test_runs_are_charged(ctx):
    """What is remembered of a file that is read is the reader's memory."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C remembers nothing")
    disk = disks.Disk(ctx, "large-1k").mount()
    paths = [disk.where(f"f{number}") for number in range(FILES)]
    for path in paths:
        _scattered(path)
    disks.sync(disk.point)
    ctx.drop_caches()
    with _group(ctx, 64 << 20) as group:
        grown = int(writers.Child(_read, group, paths).result())
    assert grown >= RUNS, f"{grown} bytes are charged"
    disk.finish()


NAMES = 5000  # which take a table of 8,192 words
LARGE = ("slab_unreclaimable", "vmalloc")


def _look(group, folder):
    """In the cgroup: look for a name that is not there; what is charged for that."""
    _put(group, "cgroup.procs", str(os.getpid()))
    time.sleep(3)  # what is charged shows after 2 seconds
    before = _unreclaimable(group, LARGE)
    assert not os.path.lexists(os.path.join(folder, "absent"))
    for _ in range(30):
        time.sleep(1)
        grown = _unreclaimable(group, LARGE) - before
        if grown >= 8 * NAMES:
            break
    return grown


@timeout(120)
def test_names_are_charged(ctx):
    """What is remembered of the names of a directory is the memory of who looks for one."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C remembers nothing")
    disk = disks.Disk(ctx, "blank-1k").mount()
    folder = disk.where("d")
    os.mkdir(folder)
    with open(disk.where("file"), "wb"):
        pass
    for number in range(NAMES):
        os.link(disk.where("file"), f"{folder}/{number}")
    disks.sync(disk.point)
    ctx.drop_caches()
    with _group(ctx, 64 << 20) as group:
        grown = int(writers.Child(_look, group, folder).result())
    assert grown >= 8 * NAMES, f"{grown} bytes are charged"
    disk.finish()


STEPS, STEP = 12, 500  # of names


def _names(group, folder, beside):
    """In the cgroup: make, find and remove names, while a file takes all memory that there is.
    What is in the directory in the end."""
    _put(group, "cgroup.procs", str(os.getpid()))
    fd = os.open(beside, os.O_CREAT | os.O_RDWR, 0o644)
    left = set()

    def is_there(number):
        return os.path.lexists(f"{folder}/n{number}")

    for step in range(STEPS):
        os.pwrite(fd, b"x" * (4 << 20), (step % 4) << 22)
        for number in range(step * STEP, (step + 1) * STEP):
            os.link(f"{folder}.file", f"{folder}/n{number}")
            left.add(number)
        for number in range(0, (step + 2) * STEP, 61):
            assert is_there(number) == (number in left), f"step {step}: {number}"
        for number in sorted(left)[step::7]:
            os.unlink(f"{folder}/n{number}")
            left.remove(number)
            assert not is_there(number), f"step {step}: {number} is removed"
    os.close(fd)
    return " ".join(map(str, sorted(left)))


@timeout(200)
def test_names_at_the_limit(ctx):
    """A directory of many names in a cgroup at its limit: they are made, found and removed as
    anywhere, and nobody is killed for what is remembered of them."""
    disk = _disk(ctx, "large-4k")
    folder = disk.where("d")
    os.mkdir(folder)
    with open(f"{folder}.file", "wb"):
        pass
    with _group(ctx, LIMIT) as group:
        left = writers.Child(_names, group, folder, disk.where("beside")).result()
        events = _events(group)
    ctx.log(f"{events}")
    assert (events["oom"], events["oom_kill"]) == (0, 0), events
    assert events["max"] > 0, f"the limit was never felt: {events}"
    assert sorted(os.listdir(folder)) == sorted(f"n{number}" for number in left.split())
    disk.finish()


@long
@timeout(600)
def test_limit_1k(ctx):
    """The same, 1 KiB blocks."""
    _beyond_the_limit(ctx, "large-1k")


@long
@timeout(14400)
def test_whole_memory(ctx):
    """Four times the guest's memory through a small cgroup."""
    with open("/proc/meminfo", encoding="ascii") as file:
        total = int(file.readline().split()[1]) << 10
    disk = _disk(ctx, "large-4k")
    size = 96 << 20
    rounds = -(-4 * total // size)
    with _group(ctx, LIMIT) as group:
        _bounded(ctx, disk, group, writers.Child(
            _write, group, disk.where("written"), 1, size, rounds))
    ctx.drop_caches()
    writers.check(disk.where("written"), rounds, size)
    disk.finish()


def _inodes():
    """How many inodes the kernel has."""
    with open("/proc/sys/fs/inode-nr", encoding="ascii") as file:
        return int(file.read().split()[0])


@timeout(120)
def test_inodes_leave_memory(ctx):
    """What has been written in passing, by the flusher or sync(2), is given up as any other
    inode is. C ext2 keeps it until it is unmounted."""
    disk = disks.Disk(ctx, "blank-4k").mount()
    count = min(400, os.statvfs(disk.point).f_ffree - 10)
    for number in range(count):
        os.close(os.open(disk.where(f"f{number}"), os.O_CREAT | os.O_WRONLY, 0o644))
    disks.sync(disk.point)
    before = _inodes()
    for _ in range(4):
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("2")
    gone = before - _inodes()
    if disk.fstype != disks.C_FSTYPE:
        assert gone >= count, f"{gone} of {count} inodes have left memory"
    # they are on the disk, or will be: one that comes back knows nothing of that
    fd = os.open(disk.where("f7"), os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    assert len(os.listdir(disk.point)) >= count
    disk.finish()
