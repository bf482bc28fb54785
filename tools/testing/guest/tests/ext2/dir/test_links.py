# SPDX-License-Identifier: GPL-2.0
"""Counts of links that say less than there is, or more (B17): whatever is done, in
whichever order, no directory is deleted that has names in it, and what is wrong is
said.
"""

import errno
import os
import random

import disks
import sides
from lowlevel import error_of
from runner import timeout

CHILDREN = ["a", "b", "c", "file"]


def _mount(ctx, options="errors=continue"):
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("for rust_ext2: C deletes what has names in it")
    return disks.Disk(ctx, "namespace-counts").mount(options)


def _said(ctx, disk, what, log=0):
    device = os.path.basename(disk.device)
    return [line for line in ctx.kernel_log()[log:]
            if device in line and "error: " in line and what in line]


def _again(ctx, disk):
    """Everything from the disk anew."""
    disks.sync(disk.point)
    ctx.drop_caches()
    disk.umount()
    disk.mount("errors=continue")


def _repair(ctx, disk):
    """umount, e2fsck -fy, mount."""
    disk.umount()
    status, text = disks.fsck(ctx, disk.path, "-fy")
    assert status in (0, 1), text
    disk.mount("errors=continue")


@timeout(60)
def test_one_link(ctx):
    """Three subdirectories and one link: one of them is to be removed."""
    disk = _mount(ctx)
    one = disk.where("one")
    assert os.stat(one).st_nlink == 1
    number = error_of(os.rmdir, one + "/a")[1]
    _again(ctx, disk)
    assert sorted(os.listdir(disk.where("one"))) == CHILDREN
    assert number == errno.EUCLEAN, number
    assert _said(ctx, disk, "too low a link count")
    _repair(ctx, disk)
    assert sorted(os.listdir(disk.where("one"))) == CHILDREN
    assert os.listdir(disk.where("lost+found")) == []
    with open(disk.where("one/file"), "rb") as file:
        assert file.read() == b"one"
    disk.finish()


class _Model:
    """A directory whose count of links is `links`, and what is in it."""

    def __init__(self, disk, name, links):
        self._disk, self._name = disk, name
        self.links, self.names = links, {"a", "b", "c"}
        self.outside = set()
        self._next = 0

    def _new(self):
        self._next += 1
        return f"{self._name}-{self._next}"

    def _here(self, name):
        return self._disk.where(f"{self._name}/{name}")

    def _there(self, name):
        return self._disk.where(f"sound/{name}")

    def _do(self, call, *args, needs):
        """The call, which works if there are `needs` links."""
        number = error_of(call, *args)[1]
        wanted = errno.EUCLEAN if self.links < needs else 0
        assert number == wanted, f"{call.__name__} {args}: {number}, not {wanted}"
        return not number

    def step(self, rng):
        kind = rng.choice(("mkdir", "rmdir", "out", "in", "over", "within", "file"))
        new, old = self._new(), rng.choice(sorted(self.names) or ["-"])
        if kind == "mkdir" and self._do(os.mkdir, self._here(new), needs=2):
            self.links += 1
            self.names.add(new)
        if kind == "in" and self.outside:
            new = rng.choice(sorted(self.outside))
            if self._do(os.rename, self._there(new), self._here(new), needs=2):
                self.links += 1
                self.outside.remove(new)
                self.names.add(new)
        if kind == "file":
            open(self._here(new), "wb").close()
            os.unlink(self._here(new))
        if old != "-":
            self._change(kind, rng, old, new)

    def _change(self, kind, rng, old, new):
        other = rng.choice(sorted(self.names))
        gone = False
        if kind == "rmdir":
            gone = self._do(os.rmdir, self._here(old), needs=3)
        elif kind == "out":
            gone = self._do(os.rename, self._here(old), self._there(new), needs=3)
            if gone:
                self.outside.add(new)
        elif kind == "over" and other != old:
            gone = self._do(os.rename, self._here(old), self._here(other), needs=3)
        elif kind == "within":
            self._do(os.rename, self._here(old), self._here(new), needs=0)
            self.names.add(new)
            self.names.remove(old)
        if gone:
            self.links -= 1
            self.names.remove(old)

    def check(self):
        path = self._disk.where(self._name)
        assert set(os.listdir(path)) == self.names | {"file"}
        assert os.stat(path).st_nlink == self.links
        assert self.links >= 2 or self._name == "one", self.links
        assert set(os.listdir(self._there("."))) == self.outside | set(CHILDREN)


@timeout(120)
def test_any_order(ctx):
    """mkdir, rmdir, rename in, out, over and within, of a directory with one link
    and of one with two, by chance: a change that the count cannot follow fails."""
    seed = ctx.seed(19)
    for name, links in (("one", 1), ("two", 2)):
        for turn in range(3):
            disk = _mount(ctx)
            rng, model = random.Random(f"{seed} {name} {turn}"), _Model(disk, name, links)
            for _ in range(60):
                model.step(rng)
                model.check()
            _again(ctx, disk)
            model.check()
            _repair(ctx, disk)
            assert set(os.listdir(disk.where(name))) == model.names | {"file"}
            assert os.listdir(disk.where("lost+found")) == []
            disk.finish()


@timeout(60)
def test_read_only_afterwards(ctx):
    """errors=remount-ro: the change that is refused was the last; nothing is lost."""
    disk = _mount(ctx, "errors=remount-ro")
    assert error_of(os.mkdir, disk.where("one/new"))[1] == errno.EUCLEAN
    assert os.statvfs(disk.point).f_flag & os.ST_RDONLY
    assert error_of(os.rmdir, disk.where("one/a"))[1] == errno.EROFS
    disk.umount()
    status, text = disks.fsck(ctx, disk.path, "-fy")
    assert status == 1, text
    disk.mount()
    assert sorted(os.listdir(disk.where("one"))) == CHILDREN
    disk.finish()


@timeout(60)
def test_empty(ctx):
    """An empty directory goes whatever its count is, and that is said; with more
    links than it should have it may have another name, and is not deleted."""
    disk = _mount(ctx)
    log = len(ctx.kernel_log())
    os.rmdir(disk.where("empty-1"))
    os.mkdir(disk.where("new"))
    os.rename(disk.where("new"), disk.where("over-1"))
    assert len(_said(ctx, disk, "removed as empty, with a link count of 1", log)) == 2
    free = os.statvfs(disk.point).f_ffree
    os.rmdir(disk.where("empty-5"))
    os.mkdir(disk.where("new"))
    os.rename(disk.where("new"), disk.where("over-5"))
    assert len(_said(ctx, disk, "removed as empty, with a link count of 5", log)) == 2
    assert os.statvfs(disk.point).f_ffree == free - 1, "one was deleted"
    _repair(ctx, disk)
    # a directory of the same number of links, and another that was in its place
    assert len(os.listdir(disk.where("lost+found"))) == 2
    assert {"over-1", "over-5"} <= set(os.listdir(disk.point))
    disk.finish()


@timeout(60)
def test_more_names_than_links(ctx):
    """Two names, one link. The file is open, so that its number is not free yet
    when it has lost a name."""
    disk = _mount(ctx)
    first, second = disk.where("names/first"), disk.where("names/second")
    with open(first, "rb") as file:
        os.stat(second)  # it is known by both
        os.unlink(first)
        assert error_of(os.link, second, second + "2")[1] == errno.ENOENT
        number = error_of(os.rename, second, second + "2")[1]
        assert number == errno.EUCLEAN, number
        assert _said(ctx, disk, "more names than links")
        log = len(ctx.kernel_log())
        os.unlink(second)
        assert _said(ctx, disk, "more names than links", log)
        assert len(file.read()) == 20_000
    assert os.listdir(disk.where("names")) == []
    _repair(ctx, disk)
    assert os.listdir(disk.where("names")) == []
    disk.finish()


@timeout(60)
def test_name_of_what_is_deleted(ctx):
    """The second name is looked up when the file has been deleted but for who has it
    open: nobody gets at it."""
    disk = _mount(ctx)
    first, second = disk.where("names/first"), disk.where("names/second")
    with open(first, "rb"):
        os.unlink(first)
        ctx.drop_caches()
        number = error_of(os.stat, second)[1]
    assert number == errno.EUCLEAN, number
    assert _said(ctx, disk, "more names than links")
    _repair(ctx, disk)
    assert os.listdir(disk.where("names")) == []
    disk.finish()


@timeout(60)
def test_replaced_without_links(ctx):
    """The name of a file without links is given to another."""
    disk = _mount(ctx)
    first, second = disk.where("names/first"), disk.where("names/second")
    with open(first, "rb"):
        os.stat(second)
        os.unlink(first)
        os.rename(disk.where("most-2"), second)
        assert _said(ctx, disk, "more names than links")
    with open(second, "rb") as file:
        assert file.read() == b"most"
    _repair(ctx, disk)
    assert os.stat(disk.where("most")).st_nlink == 2
    disk.finish()


@timeout(60)
def test_most_links(ctx):
    """65535 links, more than there may be: none is added, one can go."""
    disk = _mount(ctx)
    log = len(ctx.kernel_log())
    assert error_of(os.link, disk.where("most"), disk.where("x"))[1] == errno.EMLINK
    assert error_of(os.mkdir, disk.where("many/x"))[1] == errno.EMLINK
    assert error_of(os.rename, disk.where("sound/a"),
                    disk.where("many/x"))[1] == errno.EMLINK
    # a directory that stays where it is changes no count
    os.rename(disk.where("many/a"), disk.where("many/b"))
    _again(ctx, disk)
    assert [os.stat(disk.where(name)).st_nlink for name in ("most", "many")] == \
        [65535, 65535]
    os.unlink(disk.where("most-2"))
    os.rmdir(disk.where("many/b"))
    _again(ctx, disk)
    assert [os.stat(disk.where(name)).st_nlink for name in ("most", "many")] == \
        [65534, 65534]
    assert not _said(ctx, disk, "", log)
    disk.umount()
