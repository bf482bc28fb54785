# SPDX-License-Identifier: GPL-2.0
"""The order in which names, inodes and blocks reach the medium (B12, B15, B18).

dm-log-writes logs a workload of names; the disk is looked at as it was after each
write, and as it was if of what had not been flushed only that write was kept. No
e2fsck repairs it before: whatever a name leads to has to be what was named so.

What a name was given to is in the name: "file-SERIAL", where the owner of the
inode is SERIAL; or "file-SERIAL+OTHER", where what OTHER owns takes the place of that.
"""

import errno
import os
import random
import re
import stat

import cuts
import disks
import lowlevel
import writelog
from runner import long, timeout

# what e2fsck must not find, before it repairs anything; a directory that is renamed
# may have both names
BAD = re.compile(
    r"ultiply-claimed|llegal|deleted/unused inode"
    r"|[Mm]issing '\.|corrupted|invalid")
# one name, and the parent of another; what has no blocks any more is being removed
PARENT = re.compile(r"'\.\.' in /.* \((\d+)\) is /.*, should be /")
BOTH_NAMES = re.compile(r"is a link to directory .* \((\d+)\)")
# a new directory without a name, in one that is not on the disk yet either
NO_PARENT = re.compile(r"Entry '\.\.' in .* \((\d+)\) has deleted/unused inode .*")
NO_NAME = re.compile(r"Unconnected directory inode (\d+)")
# a directory that is being removed; any other has its blocks
ZERO = re.compile(r"Inode (\d+) is a zero-length directory")
HOLE = re.compile(r"Directory inode (\d+) has an unallocated block")
DEEPEST = 3  # directories in each other
KINDS = {"file": stat.S_ISREG, "dir": stat.S_ISDIR, "link": stat.S_ISLNK}


class Names:
    """Names that come and go, each of them saying what it is of."""

    def __init__(self, point, rng):
        self._point = point
        self._rng = rng
        self._serial = 1000
        self._turn = 0
        self._folders = ["", "a", "b"]
        self._there = {}  # {name: (kind, owner)}
        self._awaited = {}  # {last part of a name: the owner of what is to take it}

    def begin(self):
        for folder in self._folders[1:]:
            os.mkdir(os.path.join(self._point, folder))

    def _path(self, name):
        return os.path.join(self._point, name)

    def _names(self, *kinds):
        return sorted(name for name, (kind, _) in self._there.items() if kind in kinds)

    def _pick(self, *kinds):
        names = self._names(*kinds)
        return self._rng.choice(names) if names else None

    def _is_empty(self, name):
        return not any(other.startswith(f"{name}/") for other in self._there)

    def _folder(self):
        """One that is there from the beginning, or one that has come since."""
        new = [name for name in self._names("dir") if name.count("/") < DEEPEST]
        return self._rng.choice(new if new and self._rng.random() < 0.4 else self._folders)

    def _new(self, kind):
        self._serial += 1
        return os.path.join(self._folder(), f"{kind}-{self._serial}"), self._serial

    def _create(self, kind):
        name, serial = self._new(kind)
        path = self._path(name)
        os.seteuid(serial)
        try:
            if kind == "dir":
                os.mkdir(path)
            elif kind == "link":
                os.symlink("x" * self._rng.choice((20, 200)), path)
            else:
                with open(path, "wb", 0) as file:
                    file.write(b"\xee" * self._rng.choice((0, 500, 5000, 20_000)))
        finally:
            os.seteuid(0)
        self._there[name] = kind, serial

    def _remove(self):
        names = [name for name in self._names("file", "dir", "link") if self._is_empty(name)]
        if not names:
            return
        name = self._rng.choice(names)
        (os.rmdir if self._there[name][0] == "dir" else os.unlink)(self._path(name))
        del self._there[name]

    def _place(self, name, owners):
        """A place for a name to go to, and what it is to be called there."""
        self._turn += 1
        folder = self._folder()
        if f"{folder}/".startswith(f"{name}/"):
            folder = self._rng.choice(self._folders)
        return os.path.join(folder, f"{self._there[name][0]}-{owners}-{self._turn}")

    def _move(self, old, new):
        """rename(2), of a directory with what is in it, and over what has the name."""
        os.rename(self._path(old), self._path(new))
        if self._there.get(new) == self._there[old]:
            return  # of the same file: then both are left
        self._there.pop(new, None)
        self._there = {new + name[len(old):] if f"{name}/".startswith(f"{old}/") else name: what
                       for name, what in self._there.items()}

    def _rename(self):
        name = self._pick("file", "link", "dir")
        if not name:
            return
        alike = [other for other, what in sorted(self._there.items())
                 if what == self._there[name] and other != name]
        if alike and self._rng.random() < 0.3:
            self._move(name, alike[0])
        else:
            self._move(name, self._place(name, self._there[name][1]))

    def _replace(self):
        """Something takes the name of another, which was called so for both before."""
        last = {os.path.basename(name): name for name in sorted(self._there)}
        for part in sorted(self._awaited):
            owner = self._awaited.pop(part)
            name = next((name for name, (_, found) in sorted(self._there.items())
                         if found == owner), None)
            place = last.get(part)
            if name and place and self._is_empty(place) and not place.startswith(f"{name}/"):
                self._move(name, place)
                return
        name = self._pick("file", "link", "dir")
        kind, owner = self._there.get(name, (None, 0))
        others = sorted({found for of, found in self._there.values()
                         if of == kind and found != owner})
        if others:
            other = self._rng.choice(others)
            place = self._place(name, f"{owner}+{other}")
            self._move(name, place)
            self._awaited[os.path.basename(place)] = other

    def _link(self):
        name = self._pick("file")
        if name:
            self._serial += 1
            other = f"{name}-{self._serial}"
            os.link(self._path(name), self._path(other))
            self._there[other] = self._there[name]

    def _rename_and_remove(self):
        self._rename()
        self._remove()

    def step(self):
        kind = self._rng.choice(("file", "file", "dir", "link"))

        def create():
            self._create(kind)

        self._rng.choice((create, create, create, self._remove, self._remove, self._rename,
                          self._rename_and_remove, self._link, self._replace, self._replace))()

    def all(self):
        """All names that there are."""
        return set(self._there)

    def check(self):
        """The names are those that are in the filesystem now."""
        found = set()
        for folder, below, files in os.walk(self._point):
            found |= {os.path.relpath(os.path.join(folder, name), self._point)
                      for name in below + files if "-" in name}
        assert found == self.all(), f"{sorted(found ^ self.all())}"


def assert_parents(text, what):
    """Of e2fsck's text: each directory has the parent that its name says, or two names."""
    wrong = set(PARENT.findall(text)) - set(BOTH_NAMES.findall(text))
    assert not wrong, f"{what}: parents of {sorted(wrong)}\n{text}"


def what_is_bad(text):
    """Of e2fsck's text: what must not be there; None if there is nothing."""
    new = set(NO_NAME.findall(text))
    return BAD.search(NO_PARENT.sub(lambda found: "" if found[1] in new else found[0], text))


def look(ctx, disk, data, what, also=lambda point: None):
    """What names lead to, on a disk that nobody has repaired; `also` looks at it mounted."""
    path = os.path.join(ctx.tmp, "cut")
    with open(path, "wb") as file:
        file.write(data)
    _, text = disks.fsck(ctx, path, "-fn")
    assert not what_is_bad(text), f"{what}: {what_is_bad(text)[0]}\n{text}"
    assert_parents(text, what)
    assert set(HOLE.findall(text)) <= set(ZERO.findall(text)), f"{what}\n{text}"
    point = ctx.mount(path, disk.fstype)

    def unreadable(error):
        raise AssertionError(f"{what}: {error}\n{text}")

    names = set()
    links = {}
    try:
        for folder, below, _ in os.walk(point, onerror=unreadable):
            info = os.lstat(folder)
            inside = info.st_ino
            assert info.st_nlink >= 2 + len(below), \
                f"{what}: {folder}: {info.st_nlink} links, and {below}\n{text}"
            for entry in lowlevel.list_directory(folder):
                name = os.fsdecode(entry.name)
                if name in (".", "..", "lost+found") or "-" not in name:
                    continue
                full = os.path.join(folder, name)
                try:
                    info = os.lstat(full)
                except OSError as error:
                    raise AssertionError(f"{what}: {name}: {error}\n{text}") from None
                kind, owners = name.split("-")[:2]
                assert str(info.st_uid) in owners.split("+") and KINDS[kind](info.st_mode), \
                    f"{what}: {name} leads to what {info.st_uid} owns, " \
                    f"{stat.filemode(info.st_mode)}\n{text}"
                names.add(os.path.relpath(full, point))
                # once for a directory that has two names
                links.setdefault((info.st_ino, info.st_nlink), set()).add((inside, name))
        also(point)
        few = {found: of for found, of in links.items() if found[1] < len(of)}
        assert not few, f"{what}: fewer links than names: {few}\n{text}"
    finally:
        ctx.umount(point)
    return names


def _record(ctx, image, seed, rounds, steps):
    """Rounds of changes with a sync behind each; the log."""
    disk = disks.Disk(ctx, image)
    logged = writelog.Logged(ctx, disk)
    disk.mount(device=logged.device.path)
    os.chmod(disk.point, 0o777)
    names = Names(disk.point, random.Random(seed))
    mask = os.umask(0)
    names.begin()
    disks.sync(disk.point)
    for _ in range(rounds):
        for _ in range(steps):
            names.step()
        names.check()
        disks.sync(disk.point)
    os.umask(mask)
    disk.umount()
    replay = logged.end()
    disk.check()
    return disk, replay


def _cuts(ctx, image, rounds, steps, most):
    seed = ctx.seed(2027)
    ctx.log(f"SEED={seed}")
    disk, replay = _record(ctx, image, seed, rounds, steps)
    rng = random.Random(seed)
    writes = replay.writes()
    assert len(writes) > rounds * 4, f"only {len(writes)} writes"
    if most and len(writes) > most:
        writes = sorted(rng.sample(writes, most))
    for number in writes:
        lost = rng.choice((lambda _: False, lambda other: other != number,
                           lambda _: rng.random() < 0.5))
        data, _ = replay.at(number + 1, lambda other: other != number and lost(other))
        look(ctx, disk, data, f"SEED={seed}, cut after entry {number}")
    ctx.log(f"{len(writes)} cuts")


@timeout(400)
def test_names_1k(ctx):
    """A name leads to the inode that was named so, whenever the power goes, 1 KiB
    blocks, with any part of what was not flushed lost."""
    _cuts(ctx, "tiny-1k", 8, 12, 40)


@timeout(400)
def test_names_4k(ctx):
    """The same with 4 KiB blocks."""
    _cuts(ctx, "tiny-4k", 8, 12, 25)


@long
@timeout(7200)
def test_names_at_every_cut(ctx):
    """The same, more, and at every write."""
    _cuts(ctx, "tiny-1k", 20, 20, 0)


def take_steps(names, logged, anchor, number):
    """So many changes of names, with a mark behind each: {mark: the names then}."""
    models = {}
    for step in range(number):
        names.step()
        os.fsync(anchor)  # which has nothing to write; the log is written at a flush
        logged.mark(f"step {step}")
        models[f"step {step}"] = names.all()
    return models


@timeout(400)
def test_dirsync_is_kept(ctx):
    """With dirsync, or sync, each change of a name is on the device when the call returns,
    and in between a name leads to what was named so."""
    for options, steps in (("dirsync", 22), ("sync", 8)):
        _is_kept(ctx, options, steps)


def _is_kept(ctx, options, steps):
    seed = ctx.seed(2028)
    ctx.log(f"SEED={seed} {options}")
    disk = disks.Disk(ctx, "tiny-1k")
    logged = writelog.Logged(ctx, disk)
    disk.mount(options, device=logged.device.path)
    os.chmod(disk.point, 0o777)
    names = Names(disk.point, random.Random(seed))
    mask = os.umask(0)
    names.begin()
    anchor = os.open(os.path.join(disk.point, "anchor"), os.O_CREAT | os.O_RDWR)
    disks.sync(disk.point)
    models = take_steps(names, logged, anchor, steps)
    os.close(anchor)
    os.umask(mask)
    disk.umount()
    replay = logged.end()
    disk.check()
    begun = False
    for number, entry in enumerate(replay.entries):
        begun |= entry.mark == "step 0"
        if begun and (entry.mark or entry.is_write):
            data, _ = replay.at(number + 1)
            found = look(ctx, disk, data, f"SEED={seed} {options}, cut after entry {number}")
        if entry.mark in models:
            assert found == models[entry.mark], \
                f"SEED={seed} {options}, {entry.mark}: {sorted(found ^ models[entry.mark])}"


@timeout(240)
def test_rename_is_never_none(ctx):
    """A file that is on the disk and renamed has the old name or the new one, in
    one directory, over a file, and to another directory."""
    disk = disks.Disk(ctx, "tiny-1k")
    disk.mount()
    point = disk.point
    for folder in ("x", "y"):
        os.mkdir(os.path.join(point, folder))
        for number in range(40):  # more than one block
            with open(os.path.join(point, folder, f"filler{number:020}"), "wb"):
                pass
    moves = (("x/one", "x/two"), ("x/three", "y/three"), ("x/four", "y/over"),
             ("x/filler" + "0" * 20, "x/last"), ("y/filler" + "0" * 20, "x/other"))
    for name in ("x/one", "x/three", "x/four", "y/over"):
        with open(os.path.join(point, name), "wb") as file:
            file.write(name.encode())
    inodes = {old: os.stat(os.path.join(point, old)).st_ino for old, _ in moves}
    disk.umount()
    logged = writelog.Logged(ctx, disk)
    disk.mount(device=logged.device.path)
    for old, new in moves:
        os.rename(os.path.join(disk.point, old), os.path.join(disk.point, new))
        if old == "x/four":
            disks.sync(disk.point)
    disk.umount()
    replay = logged.end()
    disk.check()
    for number, where in cuts.mounted(ctx, disk, replay):
        for old, new in moves:
            found = [os.stat(os.path.join(where, name)).st_ino
                     for name in (old, new)
                     if os.path.exists(os.path.join(where, name))]
            assert inodes[old] in found, f"{old} has no name after {number}"


@timeout(120)
def test_fsync_of_a_new_file_keeps_its_name(ctx):
    """A file that was made in new directories, or renamed, and fsynced has its name
    after a crash, without a sync of the directories; and no bytes of others."""
    disk = disks.Disk(ctx, "tiny-1k")
    logged = writelog.Logged(ctx, disk)
    disk.mount(device=logged.device.path)
    os.makedirs(os.path.join(disk.point, "p/q"))
    path = os.path.join(disk.point, "p/q/new")
    with open(path, "wb", 0) as file:
        file.write(b"n" * 20_000)
        os.fsync(file.fileno())
        logged.mark("made")
        os.rename(path, os.path.join(disk.point, "renamed"))
        os.fsync(file.fileno())
        logged.mark("renamed")
    disk.umount()
    replay = logged.end()
    marks = {entry.mark: number for number, entry in enumerate(replay.entries)
             if entry.mark}
    for mark, name in (("made", "p/q/new"), ("renamed", "renamed")):
        data, _ = replay.at(marks[mark], lambda _: True)
        cut = os.path.join(ctx.tmp, "cut")
        with open(cut, "wb") as file:
            file.write(data)
        where = ctx.mount(cut, disk.fstype)
        try:
            with open(os.path.join(where, name), "rb") as file:
                assert file.read() == b"n" * 20_000, f"{mark}: other bytes"
        except OSError as error:
            assert error.errno != errno.ENOENT, f"{name} is lost after fsync"
            raise
        ctx.umount(where)


@timeout(240)
def test_replacing_keeps_contents(ctx):
    """A file that replaces another by rename, as editors do, has its contents at every
    cut, or the other has: in one block of a directory and from another directory."""
    disk = disks.Disk(ctx, "tiny-1k")
    disk.mount()
    os.mkdir(os.path.join(disk.point, "d"))
    for name in ("one", "two"):
        with open(os.path.join(disk.point, name), "wb") as file:
            file.write(b"o" * 5000)
    disk.umount()
    logged = writelog.Logged(ctx, disk)
    disk.mount(device=logged.device.path)
    for new, name in (("tmp", "one"), ("d/tmp", "two")):
        path = os.path.join(disk.point, new)
        with open(path, "wb", 0) as file:
            file.write(b"n" * 5000)
            os.fsync(file.fileno())
        os.rename(path, os.path.join(disk.point, name))
        # all inodes, and no directory
        device = os.open(logged.device.path, os.O_RDONLY)
        os.fsync(device)
        os.close(device)
        # which takes what was freed
        with open(os.path.join(disk.point, "d", "other"), "ab", 0) as file:
            file.write(b"x" * 9000)
            os.fsync(file.fileno())
    disk.umount()
    replay = logged.end()
    disk.check()
    for number, where in cuts.mounted(ctx, disk, replay):
        for name in ("one", "two"):
            with open(os.path.join(where, name), "rb") as file:
                found = file.read()
            assert found in (b"o" * 5000, b"n" * 5000), \
                f"{name} has {len(found)} bytes, {found[:1]}, after {number}"


@timeout(120)
def test_fsync_finds_the_name(ctx):
    """fsync brings the name there where it is: a file made without one in one directory
    and linked in another, and one with two new names."""
    disk = disks.Disk(ctx, "tiny-1k")
    disk.mount()
    for folder in ("a", "b"):
        os.mkdir(os.path.join(disk.point, folder))
    disk.umount()
    logged = writelog.Logged(ctx, disk)
    disk.mount(device=logged.device.path)
    fd = os.open(os.path.join(disk.point, "a"), os.O_TMPFILE | os.O_RDWR, 0o644)
    os.write(fd, b"n" * 3000)
    # src_dir_fd has it follow the link
    os.link(f"/proc/self/fd/{fd}", os.path.join(disk.point, "b/linked"), src_dir_fd=fd)
    os.fsync(fd)
    logged.mark("linked")
    os.close(fd)
    path = os.path.join(disk.point, "a/one")
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    os.write(fd, b"n" * 3000)
    os.link(path, os.path.join(disk.point, "b/two"))
    os.fsync(fd)
    logged.mark("two")
    os.close(fd)
    disk.umount()
    replay = logged.end()
    marks = {entry.mark: number for number, entry in enumerate(replay.entries)
             if entry.mark}
    for mark, names in (("linked", ("b/linked",)), ("two", ("a/one", "b/two"))):
        data, _ = replay.at(marks[mark], lambda _: True)
        cut = os.path.join(ctx.tmp, "cut")
        with open(cut, "wb") as file:
            file.write(data)
        where = ctx.mount(cut, disk.fstype)
        for name in names:
            assert os.path.exists(os.path.join(where, name)), f"{name} is lost after fsync"
            with open(os.path.join(where, name), "rb") as file:
                assert file.read() == b"n" * 3000, f"{name}: other bytes"
        ctx.umount(where)
