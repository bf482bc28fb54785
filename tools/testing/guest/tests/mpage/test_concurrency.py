# SPDX-License-Identifier: GPL-2.0
"""Many readers at once, of one file and of all, while the caches are dropped: each
byte that anybody gets is compared with the image itself.

The readers go on until the caches have been dropped so many times, and for so many
seconds: where the kernel checks everything, one turn can take as long.

Left out: writers; see test_churn.py and test_twin.py.
"""

import mmap
import os
import random
import threading
import time
import traceback

import layout
import sides
from runner import parallel, timeout

SECONDS = 4
TURNS = 6
READERS = 6


def _files(ctx, image):
    table = sides.manifest(ctx, image)
    return {name: layout.File(entry, table["block_size"])
            for name, entry in table["files"].items() if entry["size"]}


def _compare(what, got, want):
    if got != want:
        at = next((i for i, pair in enumerate(zip(got, want)) if pair[0] != pair[1]),
                  min(len(got), len(want)))
        raise AssertionError(f"{what}: {len(got)} bytes, byte {at} is not the disk's")


def _read_some(rng, path, name, file, raw):
    """A few reads of one file, by one way."""
    offset, length = rng.choice(file.parts)
    with open(path, "rb", buffering=0) as handle:
        fd = handle.fileno()
        way = rng.randrange(4)
        if way == 0:
            _compare(name, os.pread(fd, length, offset),
                     file.bytes_of(raw, offset, length))
        elif way == 1:
            start = offset // mmap.PAGESIZE * mmap.PAGESIZE
            with mmap.mmap(fd, offset + length - start, mmap.MAP_SHARED,
                           mmap.PROT_READ, offset=start) as area:
                _compare(name + ", mapped", area[:],
                         file.bytes_of(raw, start, offset + length - start))
        else:
            if way == 2:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            for _ in range(8):
                at = offset + rng.randrange(length)
                size = rng.choice((1, 100, 4096, 50_001))
                _compare(f"{name} at {at}", os.pread(fd, size, at),
                         file.bytes_of(raw, at, size))


class Until:
    """Until when the processes of a test work; a file that they all see."""

    def __init__(self, ctx):
        self._path = os.path.join(ctx.tmp, "enough")

    def enough(self):
        with open(self._path, "wb"):
            pass

    def reached(self):
        return os.path.exists(self._path)


def _reader(seed, point, files, raw, until):
    """A process: reads until it is enough; how often."""
    rng = random.Random(seed)
    count = 0
    while not (count and until.reached()):
        name = rng.choice(sorted(files))
        _read_some(rng, os.path.join(point, name), name, files[name], raw)
        count += 1
    return count


def _fork(call, *args):
    """Run a call in a process; (process, pipe that tells its answer)."""
    source, sink = os.pipe()
    pid = os.fork()
    if pid:
        os.close(sink)
        return pid, source
    try:
        answer = f"{call(*args)}"
    except BaseException:  # pylint: disable=broad-exception-caught
        answer = traceback.format_exc()
    os.write(sink, answer.encode()[:60000])
    os._exit(0)


def _answers(children):
    """What the processes said; AssertionError if one failed."""
    total = 0
    for pid, source in children:
        with open(source, "rb") as pipe:
            text = pipe.read().decode()
        os.waitpid(pid, 0)
        assert text.isdigit(), text or "a reader died"
        total += int(text)
    return total


def _turns(until):
    """Numbers from 0 for long enough; then the processes are told to stop."""
    turns, end = 0, time.monotonic() + SECONDS
    while turns < TURNS or time.monotonic() < end:
        yield turns
        turns += 1
    until.enough()


def _drop(until):
    """Drop pages, inodes, both, in turn."""
    for turn in _turns(until):
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write(str(1 + turn % 3))
        time.sleep(0.05)


def _stress(ctx, image, choose):
    files = _files(ctx, image)
    side = sides.Side(ctx, ctx.fstype, ctx.copy(image))
    with open(side.image, "rb") as source:
        raw = source.read()
    until = Until(ctx)
    children = [_fork(_reader, seed, side.point, choose(files), raw, until)
                for seed in range(READERS)]
    _drop(until)
    enough = time.monotonic()
    count = _answers(children)
    spent = time.monotonic() - enough
    assert spent < 60, f"the readers ended {spent:.0f} seconds late"
    assert count > READERS, count


@parallel
@timeout(240)
def test_different_files(ctx):
    """All files of 1 KiB blocks: every shape there is."""
    _stress(ctx, "layout-1k", lambda files: files)


@parallel
@timeout(240)
def test_same_file(ctx):
    """One scattered file: readers wait for each other's folios."""
    _stress(ctx, "layout-1k", lambda files: {"fragmented": files["fragmented"]})


@parallel
@timeout(240)
def test_large_blocks(ctx):
    """All files of 4 KiB blocks."""
    _stress(ctx, "layout-4k", lambda files: files)


@parallel
@timeout(240)
def test_threads_of_one_process(ctx):
    """Threads that share descriptors, and a mapping while its pages go away."""
    files = _files(ctx, "layout-4k")
    side = sides.Side(ctx, ctx.fstype, ctx.copy("layout-4k"))
    file = files["contiguous"]
    with open(side.image, "rb") as source:
        want = file.bytes_of(source.read(), 0, file.size)
    trouble = []
    until = Until(ctx)
    with open(side.path("contiguous"), "rb", buffering=0) as handle:
        fd = handle.fileno()
        area = mmap.mmap(fd, file.size, mmap.MAP_SHARED, mmap.PROT_READ)

        def read(seed):
            rng = random.Random(seed)
            while not until.reached() and not trouble:
                at, size = rng.randrange(file.size), rng.randrange(1, 100_000)
                if seed % 2:
                    got = os.pread(fd, size, at)
                else:
                    got = area[at:at + size]
                if got != want[at:at + size]:
                    trouble.append(f"{len(got)} bytes at {at} are not the disk's")

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for _ in _turns(until):
            area.madvise(mmap.MADV_DONTNEED)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            time.sleep(0.02)
        for thread in threads:
            thread.join()
        area.close()
    assert not trouble, trouble[0]


@parallel
@timeout(240)
def test_names(ctx):
    """Lookups and listings of big directories while inodes are dropped."""
    side = sides.Side(ctx, ctx.fstype, ctx.copy("tree-4k"))
    names = sorted(os.listdir(side.path("thousands")))
    ino = os.stat(side.path(f"thousands/{names[0]}")).st_ino
    until = Until(ctx)

    def look(seed):
        rng, count = random.Random(seed), 0
        while not (count and until.reached()):
            if rng.random() < 0.05:
                assert sorted(os.listdir(side.path("thousands"))) == names
            for name in rng.sample(names, 5):
                info = os.lstat(side.path(f"thousands/{name}"))
                assert info.st_ino == ino and info.st_nlink == 3000, info
            assert not os.path.exists(side.path(f"thousands/{rng.random()}"))
            assert os.readlink(side.path("link-1000")) == "t" * 1000
            count += 1
        return count

    children = [_fork(look, seed) for seed in range(4)]
    _drop(until)
    assert _answers(children) >= 4


@parallel
@timeout(240)
def test_mount_and_umount(ctx):
    """Mounts come and go while another is read."""
    files = _files(ctx, "layout-1k")
    side = sides.Side(ctx, ctx.fstype, ctx.copy("layout-1k"))
    with open(side.image, "rb") as source:
        raw = source.read()
    other = ctx.loop(ctx.copy("small-1k"))
    until = Until(ctx)
    children = [_fork(_reader, seed, side.point, files, raw, until)
                for seed in range(3)]
    for _ in _turns(until):
        point = ctx.mount(other)
        with open(os.path.join(point, "file"), "rb") as file:
            assert file.read() == b"read me\n" * 1000
        ctx.umount(point)
    assert _answers(children) >= 3
