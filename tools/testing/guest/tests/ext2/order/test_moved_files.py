# SPDX-License-Identifier: GPL-2.0
"""Files that move from page to page of directories, of which nobody waits for any (B12): what had
a name on the medium has one after a power cut, the old one or the new one.
"""

import contextlib
import errno
import os
import random
import threading
import time

import disks
import disturb
import ext2disk
import waiting
import writelog
from lowlevel import error_of
from runner import long, timeout
from test_metadata_lost import prepared
from test_name_cuts import serial_of
from test_order import look
from test_twin import no_flusher

FOLDERS = ("a", "b", "c")
FILES = range(1001, 1025)
LONG = "x" * 190  # four names are in a block of 1 KiB, so that a few blocks are many pages


def _sync(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def _make(path, serial):
    """A file whose owner says who it is, for look()."""
    with open(path, "wb"):
        pass
    os.chown(path, serial, serial)


def _filled(point, names=40):
    """Three directories of some pages, and one file with all those names."""
    os.makedirs(point, exist_ok=True)
    for folder in FOLDERS:
        os.mkdir(os.path.join(point, folder))
    with open(os.path.join(point, "filler"), "wb"):
        pass
    for folder in FOLDERS:
        for number in range(names):
            os.link(os.path.join(point, "filler"),
                    os.path.join(point, folder, f"filler{number}{LONG}"))


class _Moving:
    """Files that move at random, and what makes room for them, or has them written."""

    def __init__(self, rng):
        self._point = None
        self._rng = rng
        self._turn = 0
        self._places = {}
        self._gone = []  # fillers
        self._new = []  # directories

    def _path(self, name):
        return os.path.join(self._point, name)

    def go_on_at(self, point):
        self._point = point

    def begin(self, point):
        self.go_on_at(point)
        _filled(point)
        for serial in FILES:
            name = f"{self._rng.choice(FOLDERS)}/file-{serial}-0-{LONG}"
            _make(self._path(name), serial)
            self._places[serial] = name

    def _move(self, folder, serials):
        for serial in serials:
            self._turn += 1
            name = f"{folder}/file-{serial}-{self._turn}-{LONG}"
            os.rename(self._path(self._places[serial]), self._path(name))
            self._places[serial] = name

    def _make_room(self):
        if self._gone and self._rng.random() < 0.4:
            name = self._gone.pop(self._rng.randrange(len(self._gone)))
            os.link(self._path("filler"), self._path(name))
            return
        name = f"{self._rng.choice(FOLDERS)}/filler{self._rng.randrange(40)}{LONG}"
        if name not in self._gone:
            os.unlink(self._path(name))
            self._gone.append(name)

    def _through_a_new_directory(self):
        """Some move into a directory that is new, the others of which it gets, and out of it."""
        name = f"new{self._turn}"
        os.mkdir(self._path(name))
        some = self._rng.sample(sorted(self._places), 3)
        self._move(name, some)
        if self._rng.random() < 0.5:
            self._sync(name)
        self._move(self._rng.choice(FOLDERS), some)
        os.rmdir(self._path(name))

    def _sync(self, name):
        _sync(self._path(name))

    def step(self):
        way = self._rng.randrange(20)
        if way < 12:
            self._move(self._rng.choice(FOLDERS), [self._rng.choice(FILES)])
        elif way < 16:
            self._make_room()
        elif way == 16:
            self._through_a_new_directory()
        elif way == 17:
            self._sync(self._rng.choice(FOLDERS))
        elif way == 18:
            self._sync(self._places[self._rng.choice(FILES)])
        else:
            # and the flusher may have it
            fd = os.open(self._path(self._rng.choice(FOLDERS)), os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)

    def check(self):
        for folder in FOLDERS:
            have = {name for name in os.listdir(self._path(folder)) if name.startswith("file")}
            want = {os.path.basename(name) for name in self._places.values()
                    if os.path.dirname(name) == folder}
            assert have == want, f"{folder}: {have ^ want}"


def _at_cuts(ctx, steps, most):
    seed = ctx.seed(2041)
    ctx.log(f"SEED={seed}")
    rng = random.Random(seed)
    disk = disks.Disk(ctx, "tiny-1k")
    disk.mount()
    moving = _Moving(rng)
    moving.begin(disk.point)
    disk.umount()
    logged = writelog.Logged(ctx, disk)
    with disturb.tuned(dirty_expire_centisecs=1, dirty_writeback_centisecs=10):
        disk.mount(device=logged.device.path)
        moving.go_on_at(disk.point)
        for _ in range(steps):
            moving.step()
        moving.check()
        disk.umount()
    replay = logged.end()
    disk.check()
    flushes = sum(entry.is_flush for entry in replay.entries)
    places = replay.writes()
    ctx.log(f"{steps} steps: {len(places)} writes, {flushes} flushes")
    if most:
        places = sorted(rng.sample(places, min(most, len(places))))
    for number in places:
        chance = rng.choice((0, 0.5, 1))
        data, _ = replay.at(number + 1, lambda other, number=number, chance=chance:
                            other != number and rng.random() < chance)
        what = f"SEED={seed}, cut after entry {number}"
        found = {serial_of(name) for name in look(ctx, disk, data, what)}
        lost = {str(serial) for serial in FILES} - found
        assert not lost, f"{what}: without a name: {sorted(lost)}"


@timeout(400)
def test_have_a_name(ctx):
    """Files move between three directories of several pages, within them, and through new ones
    that go again; some is synced, some written by the flusher. Each has a name at any cut."""
    _at_cuts(ctx, 150, 60)


@long
@timeout(7200)
def test_have_a_name_at_every_cut(ctx):
    """The same, more, and at every write."""
    _at_cuts(ctx, 600, 0)


@timeout(400)
def test_one_by_one(ctx):
    """What is most likely to go wrong, each by itself and at every cut: to and fro, in a ring, on
    from where it has just come, and out of a directory that goes then."""
    def to_and_fro(move):
        move("a", "b", 1001)
        move("b", "a", 1002)

    def in_a_ring(move):
        for old, new, serial in (("a", "b", 1001), ("b", "c", 1002), ("c", "a", 1003)):
            move(old, new, serial)

    def goes_on(move):
        move("a", "b", 1001)
        move("b", "c", 1001)
        move("c", "a", 1001)

    def leaves_nothing(move):
        move("d", "b", 1004)
        os.rmdir(os.path.join(move.point, "d"))

    def in_one_directory(move):
        move("a", "a", 1001)
        os.unlink(os.path.join(move.point, "a", f"filler2{LONG}"))
        move("a", "a", 1001)

    for way in (to_and_fro, in_a_ring, goes_on, leaves_nothing, in_one_directory):
        for order in ("abc", "cba"):
            _one(ctx, way, order)


@timeout(200)
def test_behind_an_array(ctx):
    """A new block of the directory has the new name, and an array of pointers that is on the disk
    leads to it: with 60 names 15 blocks are full, of which 12 are in the inode."""
    def to_another(move):
        move("a", "b", 1001)

    def in_one_directory(move):
        os.unlink(os.path.join(move.point, "a", f"filler30{LONG}"))
        move("a", "b", 1001)
        move("b", "a", 1002)
        move("c", "c", 1003)

    for way in (to_another, in_one_directory):
        for order in ("abc", "cba"):
            _one(ctx, way, order, names=59)


def _one(ctx, way, order, names=20):
    disk = disks.Disk(ctx, "tiny-1k")
    disk.mount()
    _filled(disk.point, names)
    os.mkdir(disk.where("d"))
    serials = {"a": 1001, "b": 1002, "c": 1003, "d": 1004}
    for folder, serial in serials.items():
        _make(disk.where(f"{folder}/file-{serial}-{LONG}"), serial)
    disk.umount()
    logged = writelog.Logged(ctx, disk)
    with no_flusher():
        disk.mount(device=logged.device.path)
        turn = 0

        def move(old, new, serial):
            nonlocal turn
            folder = disk.where(old)
            name = next(name for name in os.listdir(folder)
                        if name.startswith(f"file-{serial}-"))
            turn += 1
            os.rename(f"{folder}/{name}", disk.where(f"{new}/file-{serial}-{turn}-{LONG}"))

        move.point = disk.point
        way(move)
        # each of them alone, as far as it can be
        for folder in order:
            _sync(disk.where(folder))
        disk.umount()
    replay = logged.end()
    disk.check()
    for number in replay.writes():
        data, _ = replay.at(number + 1, lambda other, number=number: other != number)
        what = f"{way.__name__}, synced {order}, cut after entry {number}"
        found = {serial_of(name) for name in look(ctx, disk, data, what)}
        assert found == {str(serial) for serial in serials.values()}, f"{what}: {found}"


@timeout(200)
def test_while_they_are_synced(ctx):
    """Files move out of a directory that somebody else syncs all the time: names go from a page
    between what it waits for and its being written."""
    disk = disks.Disk(ctx, "tiny-1k")
    disk.mount()
    serials = range(1001, 1101)
    for folder in "ab":
        os.mkdir(disk.where(folder))
    for serial in serials:
        _make(disk.where(f"a/file-{serial}"), serial)
    disk.umount()
    logged = writelog.Logged(ctx, disk)
    with no_flusher():
        disk.mount(device=logged.device.path)
        # what leads to b is on the medium
        _sync(disk.where("b"))
        moved = threading.Event()
        rounds = []
        syncing = waiting.Task(_sync_until, moved, disk.where("a"), rounds)
        for serial in serials:
            os.rename(disk.where(f"a/file-{serial}"), disk.where(f"b/file-{serial}"))
            time.sleep(0.01)
        moved.set()
        syncing.result()
        disk.umount()
    replay = logged.end()
    disk.check()
    writes = replay.writes()
    ctx.log(f"synced {len(rounds)} times, {len(writes)} writes")
    assert len(rounds) > 5
    for number in writes[::max(1, len(writes) // 60)]:
        data, _ = replay.at(number + 1, lambda other, number=number: other != number)
        what = f"cut after entry {number}"
        lost = {str(serial) for serial in serials} - \
            {serial_of(name) for name in look(ctx, disk, data, what)}
        assert not lost, f"{what}: without a name: {sorted(lost)}"


def _sync_until(event, path, rounds):
    while not event.is_set():
        _sync(path)
        rounds.append(time.monotonic())


def _names(path, number):
    """What is in the only block of a directory on the disk, as it is there."""
    with open(path, "rb") as file:
        file.seek(ext2disk.inode_pointers(path, number)[0] * 1024)
        return file.read(1024)


@contextlib.contextmanager
def _with_a_bad_block(ctx):
    """The only block of directory b cannot be written, and a file has moved there from a."""
    with prepared(ctx, options="errors=continue") as (faulty, disk):
        for folder in "ab":
            os.mkdir(disk.where(folder))
        with open(disk.where("a/old"), "wb"):
            pass
        disks.sync(disk.point)
        numbers = {folder: os.stat(disk.where(folder)).st_ino for folder in "ab"}
        fds = {folder: os.open(disk.where(folder), os.O_RDONLY) for folder in "ab"}
        for fd in fds.values():
            os.fsync(fd)
        faulty.bad(ext2disk.inode_pointers(disk.path, numbers["b"])[0])
        os.rename(disk.where("a/old"), disk.where("b/new"))
        yield faulty, disk, fds, lambda folder: _names(disk.path, numbers[folder])


@timeout(60)
def test_error_keeps_the_old_name(ctx):
    """The new name cannot be written: the old one stays on the disk, whoever syncs, and goes when
    the device is good again."""
    with _with_a_bad_block(ctx) as (faulty, disk, fds, names):
        assert error_of(os.fsync, fds["a"])[1] == errno.EIO
        assert error_of(disks.sync, disk.point)[1] == errno.EIO
        assert error_of(os.rename, disk.where("a"), disk.where("c"))[1] == 0
        assert b"old" in names("a") and b"new" not in names("b")
        assert os.listdir(disk.where("c")) == [] and os.listdir(disk.where("b")) == ["new"]
        # it would take the old name along
        assert error_of(os.rmdir, disk.where("c"))[1] == errno.EIO
        faulty.good()
        for fd in fds.values():
            with contextlib.suppress(OSError):  # of before
                os.fsync(fd)
            os.fsync(fd)
        assert b"new" in names("b")
        os.rmdir(disk.where("c"))
        for fd in fds.values():
            os.close(fd)
        faulty.end()
        disks.fsck(ctx, disk.path, "-fy")
        disk.mount()
        assert os.listdir(disk.where("b")) == ["new"]
        disk.umount()


@timeout(60)
def test_error_to_the_end(ctx):
    """The same, and the device does not get good: the file has its old name on the disk."""
    with _with_a_bad_block(ctx) as (faulty, disk, fds, _):
        for fd in fds.values():
            assert error_of(os.fsync, fd)[1] == errno.EIO
            os.close(fd)
        faulty.end()
        status, text = disks.fsck(ctx, disk.path, "-fy")
        assert status in (0, 1), text
        disk.mount()
        assert os.listdir(disk.where("a")) == ["old"], text
        disk.umount()
