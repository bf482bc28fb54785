# SPDX-License-Identifier: GPL-2.0
"""Power cuts while names change and some of them are synced, while directories grow, and while
changes are waited for (B12): as in order, with what has to be there and what must not; and
what is there when e2fsck has repaired the disk.
"""

import fcntl
import os
import random
import re
import struct

import cuts
import disks
import writelog
import writers
from runner import long, timeout
from test_order import Names, look, take_steps
from test_twin import no_flusher

SHARE = 4  # of so many cuts one is repaired, too
SETFLAGS, SYNC_FL, DIRSYNC_FL = 0x40086602, 0x00000008, 0x00010000
# where `e2fsck -p` stops and asks, as Documentation/ext2.rst says: what has no name and is not
# empty, and a directory that has two
ASKS = re.compile(r"Unattached inode|Unconnected directory|is a link to directory")
TWO_NAMES = re.compile(r"Entry '(.+)' in /(.*) \(\d+\) is a link to directory /(.+) \(\d+\)")


class Synced(Names):
    """Names of which some are synced: a file, with all its names, a directory, or all.
    `known` has for each mark what has to be there until the next one, and what must not;
    `contents`, by name, how large the file is that is on the medium, or each of those that may
    be, where one takes the place of another."""

    def __init__(self, point, rng, mark, leaves_the_cache):
        super().__init__(point, rng)
        self._mark = mark
        # syncfs(2) of C ext2 does not flush the device
        self._leaves_the_cache = leaves_the_cache
        self._have, self._have_not, self._ever = set(), set(), set()
        self._sizes = {}
        self.known, self.contents = {}, {"": {}}
        self._may = self.contents[""]

    def step(self):
        before, owners = self.all(), self._there
        self._there = dict(owners)
        super().step()
        for name in set(self._may) - self.all():
            del self._may[name]
        for name, sizes in self._may.items():
            if self._there[name] != owners[name]:
                sizes.add(os.lstat(self._path(name)).st_size)
        self._ever |= self.all()
        # a cut may come before this change or behind it
        self._have -= before ^ self.all()
        self._have_not -= self.all()

    def _fsync(self, name):
        fd = os.open(self._path(name), os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _inode(self, name):
        return os.lstat(self._path(name)).st_ino

    def _note_contents(self, names):
        """The files with these names are on the medium; nobody changes them."""
        self._sizes |= {self._there[name]: os.lstat(self._path(name)).st_size
                        for name in names if self._there[name][0] == "file"}

    def _known_contents(self, names):
        """What `contents` has when these names are on the medium: of others, which may be those
        of what was called so before, that is what it was."""
        may = {name: set(sizes) for name, sizes in self._may.items() if name in self._there}
        for name in names:
            may.pop(name, None)
            if self._there[name] in self._sizes:
                may[name] = {self._sizes[self._there[name]]}
        return may

    def sync(self):
        """Syncs something, and notes what is known then."""
        have, have_not = set(self._have), set(self._have_not)
        file = self._pick("file")
        way = self._rng.randrange(4)
        if way == 0 or not file:
            disks.sync(self._point)
            if self._leaves_the_cache:
                self._fsync("anchor")
            names, have_not = self.all(), self._ever - self.all()
            self._note_contents(names)
        elif way == 1:
            folder = self._rng.choice(self._folders)
            self._fsync(folder)
            names = {name for name in self.all() if os.path.dirname(name) == folder}
            have_not |= {name for name in self._ever - self.all()
                         if os.path.dirname(name) == folder}
        else:
            self._fsync(file)
            names = {name for name in self.all() if self._inode(name) == self._inode(file)}
            self._note_contents([file])
        text = f"mark {len(self.known)}"
        self._have, self._have_not = self.known[text] = have | names, have_not
        self._may = self.contents[text] = self._known_contents(names)
        self._mark(text)


def serial_of(name):
    """What a name says of who it was given to first."""
    return os.path.basename(name).split("-")[1]


def _taken(text, found):
    """Names that one directory was taking from another: it has its old name too, which is among
    `found`, and e2fsck, whose text this is, has taken the new one."""
    return {os.path.join(folder, name) for name, folder, old in TWO_NAMES.findall(text)
            if "+" in name and old in found}


def _repaired(ctx, disk, data, what, known):
    """What e2fsck makes of it: clean, with all that was synced, contents too. Whether it asks."""
    have, have_not, sizes = known
    path = os.path.join(ctx.tmp, "repaired")

    def put(data):
        with open(path, "wb") as file:
            file.write(data)

    put(data)
    status, text = disks.fsck(ctx, path, "-fp")
    asks = status & 4
    assert status in (0, 1) or asks and ASKS.search(text), f"{what}: -p: {status}\n{text}"
    put(data)
    status, mended = disks.fsck(ctx, path, "-fy")
    assert status in (0, 1), f"{what}: -y: {status}\n{mended}"
    status, text = disks.fsck(ctx, path, "-fn")
    assert status == 0, f"{what}: repaired, and not clean: {status}\n{text}"

    def contents(point):
        for name in have:
            if name in sizes:
                with open(os.path.join(point, name), "rb") as file:
                    found = file.read()
                assert len(found) in sizes[name] and not found.strip(b"\xee"), \
                    f"{what}: {name} has {len(found)} bytes of {sizes[name]}, {found[:1]}"

    with open(path, "rb") as file:
        found = look(ctx, disk, file.read(), f"{what}, repaired", contents)
    lost = have - found - _taken(mended, found)
    assert not lost, f"{what}: lost by the repair: {sorted(lost)}\n{mended}"
    assert not have_not & found, f"{what}: back by the repair: {sorted(have_not & found)}"
    return asks


def _record(ctx, seed, rounds):
    """The disk, the names that were recorded, and the log."""
    disk = disks.Disk(ctx, "tiny-1k")
    logged = writelog.Logged(ctx, disk)
    disk.mount(device=logged.device.path)
    os.chmod(disk.point, 0o777)
    rng = random.Random(seed)
    names = Synced(disk.point, rng, logged.mark, ctx.fstype == disks.C_FSTYPE)
    mask = os.umask(0)
    names.begin()
    with open(disk.where("anchor"), "wb"):
        pass
    disks.sync(disk.point)
    for _ in range(rounds):
        for _ in range(rng.randrange(1, 6)):
            names.step()
        names.check()
        names.sync()
    os.umask(mask)
    disk.umount()
    replay = logged.end()
    disk.check()
    return disk, names, replay


def _cuts(ctx, rounds, most):
    seed = ctx.seed(2029)
    ctx.log(f"SEED={seed}")
    disk, names, replay = _record(ctx, seed, rounds)
    rng = random.Random(seed)
    places = [number for number, entry in enumerate(replay.entries)
              if entry.is_write or entry.mark]
    if most:
        places = sorted(rng.sample(places, most))
    asked = []
    for index, number in enumerate(places):
        chance = rng.choice((0, 0.5, 1))
        data, marks = replay.at(number + 1, lambda other: other != number
                                and rng.random() < chance)
        what = f"SEED={seed}, cut after entry {number}, {marks[-1:]}"
        found = look(ctx, disk, data, what)
        have, have_not = names.known[marks[-1]] if marks else (set(), set())
        assert have <= found, f"{what}: lost: {sorted(have - found)}"
        assert not have_not & found, f"{what}: back: {sorted(have_not & found)}"
        if index % SHARE == 0:
            sizes = names.contents[marks[-1] if marks else ""]
            asked.append(_repaired(ctx, disk, data, what, (have, have_not, sizes)))
    ctx.log(f"{len(places)} cuts, {len(names.known)} syncs; of {len(asked)} that were repaired "
            f"e2fsck asks about {sum(map(bool, asked))}")


@timeout(400)
def test_synced(ctx):
    """What was synced is there after a power cut, and no name of what was removed; and what
    was not leads to what was named so. So it is when e2fsck has repaired the disk, which is
    clean then, and has what was in the files that were synced."""
    _cuts(ctx, 40, 40)


@long
@timeout(7200)
def test_synced_at_every_cut(ctx):
    """The same, more, and at every write."""
    _cuts(ctx, 120, 0)


class _OneFolder(Names):
    """Names in one directory, each change of which is to be on the device at once."""

    def __init__(self, point, rng, flags):
        super().__init__(point, rng)
        self._folders = ["d"]
        self._flags = flags

    def begin(self):
        os.mkdir(self._path("d"))
        fd = os.open(self._path("d"), os.O_RDONLY)
        fcntl.ioctl(fd, SETFLAGS, struct.pack("L", self._flags))
        os.close(fd)


@timeout(300)
def test_dirsync_of_one_directory(ctx):
    """With `chattr +D` of one directory, or `chattr +S`, each change of a name in it is on the
    device when the call returns, without a sync; one in another directory is not."""
    for flags in (DIRSYNC_FL, SYNC_FL):
        _one_directory(ctx, flags)


def _one_directory(ctx, flags):
    seed = ctx.seed(2030)
    ctx.log(f"SEED={seed}, flags {flags:#x}")
    disk = disks.Disk(ctx, "tiny-1k")
    logged = writelog.Logged(ctx, disk)
    disk.mount(device=logged.device.path)
    os.chmod(disk.point, 0o777)
    names = _OneFolder(disk.point, random.Random(seed), flags)
    mask = os.umask(0)
    names.begin()
    os.mkdir(disk.where("lazy"))
    anchor = os.open(disk.where("anchor"), os.O_CREAT | os.O_RDWR)
    disks.sync(disk.point)
    with no_flusher():
        with open(disk.where("lazy/file"), "wb"):
            pass
        models = take_steps(names, logged, anchor, 25)
    os.close(anchor)
    os.umask(mask)
    disk.umount()
    replay = logged.end()
    disk.check()

    folders = []

    def lazy(point):
        folders.append(os.listdir(os.path.join(point, "lazy")))

    for number, entry in enumerate(replay.entries):
        if entry.mark:
            folders.clear()
            data, _ = replay.at(number + 1)
            found = look(ctx, disk, data, f"SEED={seed}, flags {flags:#x}, {entry.mark}", lazy)
            assert found == models[entry.mark], \
                f"SEED={seed}, flags {flags:#x}, {entry.mark}: {sorted(found ^ models[entry.mark])}"
            # unless that was written for another reason, this is no test of the flag
            assert folders == [[]], f"SEED={seed}, flags {flags:#x}, {entry.mark}: {folders}"


@timeout(300)
def test_growing_directory(ctx):
    """A block that a directory grows by is one of a directory before it is part of it, on a
    disk that has something else everywhere: in the inode, and behind an indirect block."""
    disk = disks.Disk(ctx, "tiny-1k")
    writers.stain(disk)
    logged = writelog.Logged(ctx, disk)
    disk.mount(device=logged.device.path)
    os.mkdir(disk.where("d"))
    with open(disk.where("file"), "wb"):
        pass
    for number in range(90):
        os.link(disk.where("file"), disk.where(f"d/{number:0200}"))
        if number % 5 == 4:
            disks.sync(disk.point)
    disk.umount()
    replay = logged.end()
    disk.check()
    writes = replay.writes()
    for number in sorted(random.Random(7).sample(writes, min(len(writes), 60))):
        data, _ = replay.at(number + 1, lambda other, number=number: other != number)
        look(ctx, disk, data, f"cut after entry {number}")


@timeout(200)
def test_one_block_at_once(ctx):
    """A name that is in one block with the one that it becomes: a power cut leaves one of
    the two, also where each change of a directory is written."""
    for options in ("", "dirsync"):
        _one_block(ctx, options)


def _one_block(ctx, options):
    disk = disks.Disk(ctx, "tiny-4k").mount()
    with open(disk.where("a" * 20), "wb"):
        pass
    disk.umount()
    logged = writelog.Logged(ctx, disk)
    disk.mount(options=options, device=logged.device.path)
    names = [letter * length for letter, length in zip("abcdef", (20, 3, 100, 30, 8, 20))]
    for old, new in zip(names, names[1:]):
        os.rename(disk.where(old), disk.where(new))
        disks.sync(disk.point)
    disk.umount()
    replay = logged.end()
    disk.check()
    for number, point in cuts.mounted(ctx, disk, replay):
        found = [name for name in names if os.path.exists(os.path.join(point, name))]
        assert len(found) == 1, f"{found}, cut after entry {number}"


@timeout(200)
def test_sync_stores_all(ctx):
    """Files with indirect blocks, whose inodes the flusher puts off: a sync does not end
    before they are stored."""
    disk = disks.Disk(ctx, "blank-1k").mount()
    with open(disk.where("anchor"), "wb"):
        pass
    disk.umount()
    logged = writelog.Logged(ctx, disk)
    disk.mount(device=logged.device.path)
    anchor = os.open(disk.where("anchor"), os.O_RDWR)
    for number in range(40):
        with open(disk.where(f"f{number}"), "wb", 0) as file:
            file.write(b"s" * 30_000)
    disks.sync(disk.point)
    if ctx.fstype == disks.C_FSTYPE:
        os.fsync(anchor)  # has nothing to write, and flushes the device, as syncfs(2) does here
    os.close(anchor)
    logged.mark("synced")
    disk.umount()
    replay = logged.end()
    at = next(number for number, entry in enumerate(replay.entries) if entry.mark)
    data, _ = replay.at(at, lambda _: True)
    cut = os.path.join(ctx.tmp, "cut")
    with open(cut, "wb") as file:
        file.write(data)
    point = ctx.mount(cut, disk.fstype)
    for number in range(40):
        with open(os.path.join(point, f"f{number}"), "rb") as file:
            found = file.read()
        assert found == b"s" * 30_000, f"f{number}: {len(found)} bytes, {found[:1]}"
    ctx.umount(point)
