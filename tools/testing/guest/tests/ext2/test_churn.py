# SPDX-License-Identifier: GPL-2.0
"""Many processes change one filesystem on all processors: names that are created,
moved, linked and removed by several at once, files that are written, cut and read
at once, while caches are dropped and everything is synced now and then.

Each process knows the contents of its own files and checks them; of shared ones a
reader may find old or new bytes of a file, never another's. At the end everything
is removed: all inodes and blocks are free again, and e2fsck finds nothing.
"""

import contextlib
import errno
import os
import random
import time

import disks
import writers
from runner import long, parallel, timed, timeout

WORKERS = 5
SHARED = 12
_EXPECTED = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR,
             errno.EINVAL, errno.ENOSPC, errno.EBUSY, errno.EPERM}


class Worker:
    """One process."""

    def __init__(self, point, number, seed):
        self._point = point
        self._number = number
        self._rng = random.Random(f"{seed}-{number}")
        self._own = {}
        self._folder = os.path.join(point, f"own{number}")

    def run(self, end):
        os.mkdir(self._folder)
        steps = (self._own_file, self._own_file, self._shared_name, self._shared_name,
                 self._shared_data, self._directory, self._flush)
        count = 0
        while time.monotonic() < end or count < 20:
            self._rng.choice(steps)()
            count += 1
        for name, (seed, length) in self._own.items():
            writers.check(name, seed, length)
            os.unlink(name)
        os.rmdir(self._folder)
        return count

    def _own_file(self):
        """A file that nobody else touches."""
        rng = self._rng
        name = os.path.join(self._folder, f"f{rng.randrange(8)}")
        if name not in self._own:
            seed, length = rng.randrange(1 << 30), rng.choice((0, 10, 5000, 80_000))
            writers.make(name, seed, length, sync=rng.random() < 0.2)
            self._own[name] = seed, length
            return
        seed, length = self._own[name]
        way = rng.randrange(4)
        if way == 0:
            writers.check(name, seed, length)
            os.unlink(name)
            del self._own[name]
        elif way == 1:
            length = rng.randrange(length + 1)
            os.truncate(name, length)
            self._own[name] = seed, length
        elif way == 2:
            with open(name, "ab", buffering=0) as file:
                done = file.write(writers.content(seed, length, rng.randrange(30_000)))
            self._own[name] = seed, length + done
        else:
            other = os.path.join(self._folder, f"f{rng.randrange(8)}")
            os.rename(name, other)
            self._own[other] = self._own.pop(name)

    def _shared(self):
        rng = self._rng
        return os.path.join(self._point, f"shared{rng.randrange(3)}",
                            f"s{rng.randrange(SHARED)}")

    def _shared_name(self):
        """Names that all fight for."""
        one, two, way = self._shared(), self._shared(), self._rng.randrange(7)
        with self._expected():
            if way == 0:
                os.close(os.open(one, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            elif way == 1:
                os.unlink(one)
            elif way == 2:
                os.link(one, two)
            elif way in (3, 4):
                os.rename(one, two)
            elif way == 5:
                os.symlink("x" * self._rng.choice((10, 200)), one)
            else:
                os.listdir(os.path.dirname(one))

    def _directory(self):
        """Directories that are made, moved into each other and removed."""
        one, two, way = self._shared() + ".d", self._shared() + ".d", self._rng.randrange(4)
        with self._expected():
            if way == 0:
                os.mkdir(one)
            elif way == 1:
                os.rmdir(one)
            elif way == 2:
                os.rename(one, two)
            else:
                os.rename(one, os.path.join(two, os.path.basename(one)))

    def _shared_data(self):
        """A file that several write, cut and read: bytes are those of one seed."""
        path, rng = os.path.join(self._point, "common"), self._rng
        at, length = rng.randrange(60) * 1024, rng.randrange(1, 20_000)
        way = rng.randrange(5)
        with open(path, "r+b", buffering=0) as file:
            if way == 0:
                os.ftruncate(file.fileno(), at)
            elif way < 3:
                os.pwrite(file.fileno(), writers.content(77, at, length), at)
            else:
                got = os.pread(file.fileno(), length, at)
                want = writers.content(77, at, len(got))
                assert all(a in (b, 0) for a, b in zip(got, want)), \
                    f"strange bytes at {at}: {got[:40]!r}"

    def _flush(self):
        rng = self._rng
        way = rng.randrange(8)
        if way == 0:
            disks.sync(self._point)
        elif way == 1:
            with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
                file.write(rng.choice("123"))
        elif way == 2:
            fd = os.open(self._point, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)

    @staticmethod
    @contextlib.contextmanager
    def _expected():
        """What the others do makes calls fail, but not with any errno."""
        try:
            yield
        except OSError as error:
            if error.errno not in _EXPECTED:
                raise


def _remove_all(path):
    for entry in list(os.scandir(path)):
        if entry.is_dir(follow_symlinks=False):
            if entry.name != "lost+found":
                _remove_all(entry.path)
                os.rmdir(entry.path)
        else:
            os.unlink(entry.path)


def _churn(ctx, image):
    seed = ctx.seed(5)
    ctx.log(f"SEED={seed}")
    disk = disks.Disk(ctx, image).mount()
    for number in range(3):
        os.mkdir(disk.where(f"shared{number}"))
        os.rmdir(disk.where(f"shared{number}"))
    before = os.statvfs(disk.point)
    for number in range(3):
        os.mkdir(disk.where(f"shared{number}"))
    writers.make(disk.where("common"), 77, 40_000)
    end = time.monotonic() + ctx.seconds
    counts = writers.results([
        writers.Child(Worker(disk.point, number, seed).run, end)
        for number in range(WORKERS)])
    ctx.log(f"operations: {counts}")
    disk.umount()
    disk.check()
    disk.mount()
    _remove_all(disk.point)
    after = os.statvfs(disk.point)
    # the root directory does not get shorter
    assert before.f_ffree == after.f_ffree, (before, after)
    assert before.f_bfree - after.f_bfree in range(4), (before, after)
    disk.finish()


@parallel
@timed(10)
@timeout(240)
def test_processes_1k(ctx):
    """1 KiB blocks."""
    _churn(ctx, "blank-1k")


@parallel
@timed(10)
@timeout(240)
def test_processes_4k(ctx):
    """4 KiB blocks."""
    _churn(ctx, "blank-4k")


@parallel
@long
@timed(300)
@timeout(600)
def test_processes_2k(ctx):
    """2 KiB blocks, for longer."""
    _churn(ctx, "blank-2k")
