# SPDX-License-Identifier: GPL-2.0
"""Several users with limits do everything that takes or gives back blocks and inodes, all at
once, while files get other owners, all is synced, and caches go (E13): in the end everybody
is counted to have what a walk through the tree finds, with blocks promised and without.
"""

import contextlib
import errno
import mmap
import os
import random
import shutil
import time

import directly
import disks
import quotas
import sysapi
import writers
from quotas import GROUP, USER
from runner import parallel, timed, timeout
from test_quota_delayed import WHO, TEAM

USERS = 4
_EXPECTED = {errno.EDQUOT, errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.EFAULT,
             errno.ENODATA}


class _User:
    """One process."""

    def __init__(self, folder, number, seed):
        self._folder = folder
        self._number = number
        self._rng = random.Random(f"{seed}-{number}")
        self._refused = 0

    def run(self, end):
        os.setgroups([])
        os.setgid(TEAM + self._number % 2)
        os.setuid(WHO + self._number)
        os.umask(0)
        steps = (self._write, self._write, self._append, self._store, self._direct, self._cut,
                 self._remove, self._rename, self._attribute, self._names, self._nameless,
                 self._flush)
        count = 0
        while time.monotonic() < end or count < 30:
            try:
                self._rng.choice(steps)()
            except OSError as error:
                if error.errno not in _EXPECTED:
                    raise
                self._refused += error.errno == errno.EDQUOT
            count += 1
        return f"{count} {self._refused}"

    def _path(self):
        return os.path.join(self._folder, f"f{self._rng.randrange(6)}")

    @contextlib.contextmanager
    def _file(self, flags=0):
        fd = os.open(self._path(), os.O_CREAT | os.O_RDWR | flags, 0o666)
        try:
            yield fd
        finally:
            os.close(fd)

    def _at(self):
        rng = self._rng
        return rng.choice((0, 11_000, 268 * 1024, 5 << 20)) + rng.randrange(60_000)

    def _write(self):
        with self._file() as fd:
            os.pwrite(fd, bytes(self._rng.choice((1, 700, 5000, 70_000))), self._at())
            if self._rng.random() < 0.2:
                os.fsync(fd)

    def _append(self):
        with self._file(os.O_APPEND) as fd:
            for _ in range(self._rng.randrange(20)):
                os.write(fd, bytes(self._rng.randrange(1, 4000)))

    def _store(self):
        """By read(2) into the mapped file, which is refused and not killed."""
        with self._file() as fd, open("/dev/zero", "rb", buffering=0) as zeros:
            size = os.fstat(fd).st_size + self._rng.randrange(200_000)
            os.ftruncate(fd, size)
            if size == 0:
                return
            with mmap.mmap(fd, size) as area, memoryview(area) as memory:
                for _ in range(10):
                    at = self._rng.randrange(size)
                    with memory[at:at + 5000] as piece:
                        os.readv(zeros.fileno(), [piece])

    def _direct(self):
        with self._file(os.O_DIRECT) as fd:
            directly.write(fd, self._at() // 4096 * 4096, bytes(8192))

    def _cut(self):
        os.truncate(self._path(), self._rng.choice((0, 100, 12_288, 270_000, 6 << 20)))

    def _remove(self):
        os.unlink(self._path())

    def _rename(self):
        os.rename(self._path(), self._path())

    def _attribute(self):
        rng = self._rng
        name = f"user.{rng.randrange(2)}"
        if rng.random() < 0.3:
            os.removexattr(self._path(), name)
        else:
            os.setxattr(self._path(), name, b"v" * rng.choice((1, 1, 300)))

    def _names(self):
        """A directory that grows, links, and all that goes."""
        folder = os.path.join(self._folder, f"d{self._rng.randrange(3)}")
        if self._rng.random() < 0.5 and os.path.exists(folder):
            shutil.rmtree(folder)
            return
        os.mkdir(folder, 0o777)
        for number in range(self._rng.randrange(40)):
            name = os.path.join(folder, f"{number:0150}")
            if number % 3:
                os.symlink("t" * (20 + 80 * (number % 2)), name)
            else:
                os.close(os.open(name, os.O_CREAT, 0o666))

    def _nameless(self):
        fd = os.open(self._folder, os.O_TMPFILE | os.O_RDWR, 0o666)
        try:
            os.pwrite(fd, bytes(30_000), self._at())
        finally:
            os.close(fd)

    def _flush(self):
        if self._rng.random() < 0.3:
            disks.sync(self._folder)


def _disturb(ctx, disk, rng, folders):
    """What the administrator does."""
    way = rng.randrange(6)
    if way < 3:
        with contextlib.suppress(FileNotFoundError):
            path = os.path.join(rng.choice(folders), f"f{rng.randrange(6)}")
            os.chown(path, WHO + rng.randrange(USERS), rng.choice((-1, TEAM, TEAM + 1)))
    elif way == 3:
        disks.sync(disk.point)
        ctx.drop_caches()
    elif way == 4:
        quotas.call(quotas.Q_SYNC, rng.choice(quotas.KINDS), disk.device)
    else:
        disk.remount(0, rng.choice(("delalloc", "delalloc", "nodelalloc")))
    time.sleep(0.05)


@parallel
@timed(30)
@timeout(240)
def test_all_at_once(ctx):
    """In two rounds, with blocks of 1 KiB and 4 KiB; the second ends with what is promised."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("for rust_ext2: C has no delalloc")
    seed = ctx.seed(21)
    rng = random.Random(seed)
    for image in ("blank-1k", "blank-4k"):
        disk = quotas.ready(ctx, image)
        quotas.limit(disk, USER, WHO, blocks=(0, 200))
        quotas.limit(disk, USER, WHO + 1, blocks=(100, 400), inodes=(0, 30))
        quotas.limit(disk, GROUP, TEAM, blocks=(0, 500))
        folders = []
        for number in range(USERS):
            folders.append(disk.where(f"folder-{number}"))
            os.mkdir(folders[-1])
            os.chmod(folders[-1], 0o777)
        end = time.monotonic() + ctx.seconds / 2
        children = [writers.Child(_User(folders[number], number, seed).run, end)
                    for number in range(USERS)]
        while not all(child.ends_within(0) for child in children):
            _disturb(ctx, disk, rng, folders)
        told = writers.results(children)
        ctx.log(f"{image}: steps and refusals {told}")
        assert any(int(text.split()[1]) for text in told), "nobody was refused anything"
        quotas.check(disk)
        disks.sync(disk.point)
        quotas.check(disk)
        usage = quotas.usage(disk)
        disk.remount(sysapi.MS_RDONLY)
        disk.remount()
        assert quotas.usage(disk) == usage
        for folder in folders:
            shutil.rmtree(folder)
        quotas.check(disk)
        left = [key for key in quotas.usage(disk) if key[1]]
        assert not left, f"they have nothing, and are counted: {left}"
        disk.finish()
