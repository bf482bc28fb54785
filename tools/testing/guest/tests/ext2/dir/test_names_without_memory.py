# SPDX-License-Identifier: GPL-2.0
"""Changes of names of which one allocation after the other fails, or all from one on (B12, B13): a
name is there afterwards, or not, as its call says; every count of links is right; and the call can
be made again.
"""

import collections
import os
import stat

import disks
import faults
from lowlevel import error_of
from runner import timeout
from test_delayed_limits import _can_fail, _fail_each, _failing
from test_index import _forget_index
from test_twin import no_flusher

NAMES = 20  # of 200 bytes: directories of several blocks, whose names are known


def _make(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))



# what is done: what is there before, the call, and the names that go and come
CALLS = {
    "create": ((), lambda: _make("d/new"), (), ("d/new",)),
    "mkdir": ((), lambda: os.mkdir("d/new"), (), ("d/new",)),
    "symlink": ((), lambda: os.symlink("x" * 200, "d/new"), (), ("d/new",)),
    "link": (("d/old",), lambda: os.link("d/old", "e/new"), (), ("e/new",)),
    "unlink": (("d/old",), lambda: os.unlink("d/old"), ("d/old",), ()),
    "rmdir": (("d/old/",), lambda: os.rmdir("d/old"), ("d/old",), ()),
    "rename": (("d/old",), lambda: os.rename("d/old", "d/new"), ("d/old",), ("d/new",)),
    "move": (("d/old",), lambda: os.rename("d/old", "e/new"), ("d/old",), ("e/new",)),
    "replace": (("d/old", "e/new"), lambda: os.rename("d/old", "e/new"), ("d/old",), ()),
    "move a directory": (("d/old/",), lambda: os.rename("d/old", "e/new"), ("d/old",), ("e/new",)),
}


def _state():
    """{name: (inode, links, whether it is a directory)} of all that there is."""
    found = {}
    for folder, below, files in os.walk("."):
        for name in [*below, *files] + ["."] * (folder == "."):
            path = os.path.normpath(os.path.join(folder, name))
            info = os.lstat(path)
            found[path] = info.st_ino, info.st_nlink, stat.S_ISDIR(info.st_mode)
    return found


def _has_right_counts(state):
    """Each file has as many links as names, each directory one for each that is in it."""
    below = collections.Counter(os.path.dirname(path) or "." for path, (_, _, is_directory)
                                in state.items() if is_directory and path != ".")
    names = collections.Counter(inode for inode, _, _ in state.values())
    for path, (inode, links, is_directory) in state.items():
        right = 2 + below[path] if is_directory else names[inode]
        assert links == right, f"{path} has {links} links, and should have {right}"


def _clear():
    for path in ("d/old", "d/new", "e/old", "e/new"):
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        elif os.path.lexists(path):
            os.unlink(path)


def _fail(what, forgets, failing):
    """A call of which allocations fail, for _fail_each()."""
    needed, call, gone, come = CALLS[what]

    def fails(number):
        for made in needed:
            (os.mkdir if made.endswith("/") else _make)(made)
        if forgets:
            disks.sync(".")
            _forget_index()
        before = _state()
        with failing(number) as came:
            status = error_of(call)[1]
        after = _state()
        say = f"{what}, allocation {number}: {status}"
        if status:
            assert after == before, f"{say}: {set(after.items()) ^ set(before.items())}"
            call()
            after = _state()
        assert set(after) == set(before) - {*gone} | {*come}, \
            f"{say}: {set(after) ^ set(before)}"
        _has_right_counts(after)
        _clear()
        return came[0]

    return fails


def _each_call(ctx, options, forgets, calls, failing=_failing):
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 leaves half of it done")
    _can_fail(ctx)
    disk = disks.Disk(ctx, "blank-1k").mount(options)
    here = os.getcwd()
    os.chdir(disk.point)
    try:
        with no_flusher():
            _make("filler")
            for folder in "de":
                os.mkdir(folder)
                for number in range(NAMES):
                    os.link("filler", f"{folder}/{number:0200}")
            for what in calls:
                ctx.log(what)
                _fail_each(ctx, _fail(what, forgets, failing), 1)
    finally:
        os.chdir(here)
    disk.finish()


@timeout(400)
def test_known(ctx):
    """In directories of which the names are known."""
    _each_call(ctx, "", False, CALLS)


@timeout(400)
def test_forgotten(ctx):
    """Of names that are on the disk, in directories of which nothing is known any more."""
    _each_call(ctx, "", True, CALLS)


@timeout(400)
def test_dirsync(ctx):
    """Where each change is waited for, and taken back."""
    _each_call(ctx, "dirsync", False, ("create", "mkdir", "link", "unlink", "move", "replace"))


@timeout(400)
def test_none_from_one_on(ctx):
    """In directories of which the names are known, where all allocations of slabs fail from one on."""
    _each_call(ctx, "", False, CALLS, faults.memory_is_short)


@timeout(400)
def test_forgotten_and_none_from_one_on(ctx):
    """The same of names that are on the disk."""
    _each_call(ctx, "", True, CALLS, faults.memory_is_short)


@timeout(200)
def test_deleted(ctx):
    """A file with arrays of pointers is deleted, on a disk that has just been mounted: its blocks
    are free, from whichever allocation on all fail. What has cut them off is remembered in memory
    that is there."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 remembers nothing")
    _can_fail(ctx)
    disk = disks.Disk(ctx, "blank-1k")

    def fails(number):
        disk.mount()
        free = os.statvfs(disk.point).f_bfree
        with open(disk.where("file"), "wb") as file:
            file.write(b"f" * 400_000)
        disk.umount()
        disk.mount()
        with no_flusher():
            with faults.memory_is_short(number) as came:
                status = error_of(os.unlink, disk.where("file"))[1]
            if status:
                os.unlink(disk.where("file"))
            assert os.statvfs(disk.point).f_bfree == free, f"allocation {number}: {status}"
        disk.umount()
        return came[0]

    _fail_each(ctx, fails, 4)
    disk.check()
