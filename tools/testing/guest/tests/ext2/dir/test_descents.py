# SPDX-License-Identifier: GPL-2.0
"""Who goes through a tree of directories, as find and rm -r do, has the next ones read ahead
(B26)."""

import os
import struct

import disks
import ext2disk
from runner import timeout

DIRECTORIES = 60
SECTOR = 512


class _Tree:
    """A disk with directories in one, each with some files, and what is read of it."""

    def __init__(self, ctx, image, files=3, blocks=0):
        if ctx.fstype == disks.C_FSTYPE:
            ctx.skip("C ext2 reads nothing ahead")
        self.ctx = ctx
        self.disk = disks.Disk(ctx, image).mount()
        self.names = [f"directory{number:02d}" for number in range(DIRECTORIES)]
        size = os.statvfs(self.disk.point).f_bsize
        inodes, arrays = [], []
        os.mkdir(self.top)
        for name in self.names:
            os.mkdir(self.path(name))
            inodes.append(os.stat(self.path(name)).st_ino)
            for number in range(files):
                with open(self.path(name, f"file{number}"), "wb") as file:
                    file.write(b"x" * blocks * size)
                if blocks > 12:
                    arrays.append(os.stat(self.path(name, f"file{number}")).st_ino)
        self.disk.umount()
        self.inodes = inodes
        self.directories = {self.pointer(inode, 0) for inode in inodes}
        self.arrays = {self.pointer(inode, 12) for inode in arrays}
        assert len(self.directories) == DIRECTORIES and 0 not in self.directories | self.arrays
        self.per = size // SECTOR

    def pointer(self, inode, index):
        return ext2disk.inode_pointers(self.disk.path, inode)[index]

    @property
    def top(self):
        return self.disk.where("top")

    def path(self, *names):
        return os.path.join(self.top, *names)

    def read(self, blocks, bios):
        """(waited for, read ahead): how many of some blocks are read, each once."""
        found = [(block, "A" in bio.op) for bio in bios if bio.op.startswith("R")
                 for block in range(bio.sector // self.per,
                                    -(-(bio.sector + bio.sectors) // self.per))
                 if block in blocks]
        assert len({block for block, _ in found}) == len(found), "a block is read twice"
        ahead = sum(is_ahead for _, is_ahead in found)
        return len(found) - ahead, ahead

    def go(self, through):
        """What is read while something goes through the tree, of which nothing is in memory."""
        self.disk.mount()
        with self.ctx.record(self.disk.device) as io:
            through()
            bios, _ = io.take()
        return bios


def _walk(top):
    """As find does."""
    for entry in os.scandir(top):
        if entry.is_dir(follow_symlinks=False):
            _walk(entry.path)
        os.stat(entry.path)


def _remove(top):
    """As rm -r does."""
    for entry in list(os.scandir(top)):
        if entry.is_dir(follow_symlinks=False):
            _remove(entry.path)
        else:
            os.unlink(entry.path)
    os.rmdir(top)


@timeout(300)
def test_walked(ctx):
    """Few of the directories are waited for, and each is read once."""
    for image in ("blank-4k", "blank-1k"):
        tree = _Tree(ctx, image)
        waited, ahead = tree.read(tree.directories, tree.go(lambda: _walk(tree.top)))
        ctx.log(f"{image}: {waited} directories waited for, {ahead} read ahead")
        assert waited + ahead == DIRECTORIES and waited <= 6, (image, waited, ahead)
        tree.disk.finish()


@timeout(300)
def test_removed(ctx):
    """Nor are the arrays of their files, but for some of the first directory."""
    for image in ("blank-4k", "blank-1k"):
        tree = _Tree(ctx, image, files=5, blocks=14)
        bios = tree.go(lambda: _remove(tree.top))
        directories = tree.read(tree.directories, bios)
        arrays = tree.read(tree.arrays, bios)
        ctx.log(f"{image}: {directories[0]} directories waited for, {directories[1]} read "
                f"ahead; of arrays {arrays[0]} and {arrays[1]}")
        assert sum(directories) == DIRECTORIES and directories[0] <= 6, (image, directories)
        assert sum(arrays) == 5 * DIRECTORIES and arrays[0] <= 5, (image, arrays)
        tree.disk.finish()


def _list(top):
    """As ls -lR and rsync do: all are asked for before the first is listed."""
    names = list(os.scandir(top))
    for entry in names:
        entry.stat(follow_symlinks=False)
    for entry in names:
        if entry.is_dir(follow_symlinks=False):
            _list(entry.path)


@timeout(300)
def test_listed(ctx):
    """Nor if all are asked for first."""
    tree = _Tree(ctx, "blank-1k")
    waited, ahead = tree.read(tree.directories, tree.go(lambda: _list(tree.top)))
    ctx.log(f"{waited} directories waited for, {ahead} read ahead")
    assert waited + ahead == DIRECTORIES and waited <= 6, (waited, ahead)
    tree.disk.finish()


@timeout(300)
def test_few(ctx):
    """Who lists a few of them has a few more read, however often; who lists none, none."""
    tree = _Tree(ctx, "blank-1k")

    def look(names, times=1):
        os.listdir(tree.top)
        for name in names:
            os.stat(tree.path(name))
            for _ in range(times):
                os.listdir(tree.path(name))

    assert sum(tree.read(tree.directories, tree.go(lambda: look([])))) == 0
    some = tree.names[7::20]
    for times in (1, 60):
        tree.disk.umount()
        waited, ahead = tree.read(tree.directories, tree.go(lambda: look(some, times)))
        assert len(some) <= waited + ahead <= 5 * len(some), (times, waited, ahead)
    tree.disk.umount()

    def ask():
        os.listdir(tree.top)
        for name in tree.names:
            os.stat(tree.path(name))

    assert sum(tree.read(tree.directories, tree.go(ask))) == 0
    tree.disk.finish()


@timeout(300)
def test_one_is_removed(ctx):
    """Who removes a file, and a directory, and goes on without removing has no arrays read."""
    tree = _Tree(ctx, "blank-1k", files=3, blocks=14)

    def go():
        first, *others = sorted(os.listdir(tree.top))
        _remove(tree.path(first))
        for name in others:
            for file in os.listdir(tree.path(name)):
                os.stat(tree.path(name, file))

    arrays = tree.read(tree.arrays, tree.go(go))
    ctx.log(f"arrays: {arrays[0]} waited for, {arrays[1]} read ahead")
    # those of the one that was removed, and of two that might have been
    assert 3 <= sum(arrays) <= 9, arrays
    tree.disk.finish()


@timeout(300)
def test_changed_meanwhile(ctx):
    """Directories that are read ahead go, move and grow before anybody comes there."""
    tree = _Tree(ctx, "blank-1k")
    tree.disk.mount()
    os.listdir(tree.top)
    for index, name in enumerate(tree.names):
        if index % 4 == 3:
            assert not os.path.exists(tree.path(name))
            continue
        names = os.listdir(tree.path(name))
        assert set(names) == {f"file{number}" for number in range(3 + 40 * (index % 4 == 2))}
        if index % 4 == 0:
            for number in range(3, 43):
                os.close(os.open(tree.path(tree.names[index + 2], f"file{number}"),
                                 os.O_CREAT | os.O_WRONLY))
            _remove(tree.path(tree.names[index + 3]))
        if index % 4 == 1:
            os.rename(tree.path(tree.names[index + 1]), tree.disk.where("away"))
            os.rename(tree.disk.where("away"), tree.path(tree.names[index + 1]))
    tree.disk.finish()


def _name_others(tree):
    """Names of directories get other inodes: of the directory itself, of a file, of what is
    reserved, free or not there. {name: inode}"""
    info = ext2disk.superblock(tree.disk.path)
    tree.disk.mount()
    top, file = os.stat(tree.top).st_ino, os.stat(tree.path(tree.names[0], "file0")).st_ino
    tree.disk.umount()
    numbers = [top, file, 2, 1, 5, info["first_ino"] - 1, info["inodes"], info["inodes"] - 1]
    given = {}
    with open(tree.disk.path, "r+b") as image:
        data = image.read()
        for index, name in enumerate(tree.names):
            if index > 3 and index % 2:
                given[name] = numbers[index // 2 % len(numbers)]
                image.seek(data.index(name.encode()) - 8)
                image.write(struct.pack("<I", given[name]))
    return given


def _lead_nowhere(tree):
    """Directories whose first block is none of the disk's, and one that is too long. [name]"""
    broken = tree.names[5::2]
    with open(tree.disk.path, "r+b") as image:
        for index, name in enumerate(broken):
            at = ext2disk.inode_offset(tree.disk.path, tree.inodes[tree.names.index(name)])
            if index % 3 == 2:
                image.seek(at + 4)
                image.write(struct.pack("<I", 0x7ffffc00))
            else:
                image.seek(at + 40)
                image.write(struct.pack("<I", 0xfffffff0 if index % 3 else 1))
    return broken


def _look_at_good(tree, bad):
    """Lists the directories that are as they were."""
    tree.disk.mount()
    for name in os.listdir(tree.top):
        if name not in bad:
            assert len(os.listdir(tree.path(name))) == 3
            assert os.stat(tree.path(name)).st_ino == tree.inodes[tree.names.index(name)]


@timeout(300)
def test_hostile(ctx):
    """Nothing is said of names of directories that are not, if nobody comes to them."""
    tree = _Tree(ctx, "blank-4k")
    _look_at_good(tree, _name_others(tree))
    tree.disk.umount()


@timeout(300)
def test_leads_nowhere(ctx):
    """Nor of directories that lead nowhere."""
    tree = _Tree(ctx, "blank-4k")
    _look_at_good(tree, _lead_nowhere(tree))
    tree.disk.umount()


@timeout(300)
def test_hostile_found(ctx):
    """Each of them is found as it is by who comes to it."""
    tree = _Tree(ctx, "blank-4k")
    given = _name_others(tree)
    broken = _lead_nowhere(tree)
    ctx.allow_log("rust_ext2 .*error")
    _look_at_good(tree, {*given, *broken})
    failed = 0
    for name, number in given.items():
        try:
            assert os.stat(tree.path(name)).st_ino == number, name
            os.listdir(tree.path(name))
        except OSError:
            failed += 1
    assert failed, "nothing is wrong"
    tree.disk.umount()
