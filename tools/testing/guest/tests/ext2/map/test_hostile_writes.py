# SPDX-License-Identifier: GPL-2.0
"""Broken images that are written to (E14): files whose trees of blocks lead astray are
grown, cut and removed, directories with bad entries are changed.

Each call works or says that the filesystem is corrupt; a file beside them, and one
that is made afterwards, keep their contents; nothing that is metadata is given out
or taken for free; umount works, and e2fsck can repair what is left. The images are
those of test_hostile.py.
"""

import errno
import os

import broken
import disks
import sides
import test_hostile
import writers
from lowlevel import error_of
from runner import long, timeout

NEW = 60_000


def _append(path):
    with open(path, "ab", 0) as file:
        file.write(b"more" * 500)
        os.fsync(file.fileno())


def _middle(path):
    with open(path, "r+b", 0) as file:
        file.seek(20_000)
        file.write(b"changed" * 300)
        os.fsync(file.fileno())


def _calls(root):
    """(what, call) for everything that is done to the tree, in order."""
    for name in ("direct", "single", "double"):
        path = os.path.join(root, name)
        yield f"append {name}", lambda path=path: _append(path)
        yield f"change {name}", lambda path=path: _middle(path)
        for size in (13_000, 3_000, 0):
            yield f"truncate {name} to {size}", \
                lambda path=path, size=size: os.truncate(path, size)
        yield f"append {name} again", lambda path=path: _append(path)
        yield f"unlink {name}", lambda path=path: os.unlink(path)
    for name in ("a", "b", "longer-name", "sub/d"):
        path = os.path.join(root, "dir", name)
        yield f"unlink {name}", lambda path=path: os.unlink(path)
    folder = os.path.join(root, "dir")
    yield "mkdir dir/new", lambda: os.mkdir(os.path.join(folder, "new"))
    yield "rename", lambda: os.rename(os.path.join(folder, "sub"),
                                      os.path.join(root, "two-blocks", "sub"))
    yield "rmdir dir/new", lambda: os.rmdir(os.path.join(folder, "new"))
    yield "rmdir dir", lambda: os.rmdir(folder)
    for name in ("fast", "slow"):
        yield f"unlink {name}", lambda name=name: os.unlink(os.path.join(root, name))


class _Bench:
    """The image, and what is left of it afterwards."""

    def __init__(self, ctx):
        self._ctx = ctx
        self._bench = broken.Bench(ctx, self._ok, {*broken.FINE, errno.ENODEV})
        self.disk = self._bench.disk
        self._made = 0

    @staticmethod
    def _ok(disk):
        with open(disk.where("ok"), "rb", 0) as file:
            return file.read()

    def _calls(self, disk):
        yield from _calls(disk.point)
        self._made = error_of(writers.make, disk.where("new"), 5, NEW)[1]

    def run(self, name, patches):
        """What is wrong with a case, texts; None if it is not mounted at all."""
        result = self._bench.run(name, patches, self._calls)
        if result is None:
            return None
        before, odd, _ = result
        lost = list(self._afterwards(name, before))
        if lost and before is not None and not self._kept_by_e2fsck(patches, before):
            lost = []
        return odd + lost

    def _kept_by_e2fsck(self, patches, before):
        """Whether the sound file is still there when nothing but e2fsck has changed
        the broken image; it is not if the root directory is broken."""
        self._bench.damage(patches)
        if disks.fsck(self._ctx, self.disk.path, "-fy")[0] not in (0, 1):
            return False
        self.disk.mount()
        kept = self._bench.sound() == before
        self.disk.umount()
        return kept

    def _afterwards(self, name, before):
        status, text = disks.fsck(self._ctx, self.disk.path, "-fy")
        if status not in (0, 1):
            yield f"{name}: e2fsck: {status}\n{text}"
            return
        self.disk.mount()
        if before is not None and self._bench.sound() != before:
            yield f"{name}: the sound file is not what it was"
        if not self._made:
            try:
                writers.check(self.disk.where("new"), 5, NEW)
            except (AssertionError, OSError) as error:
                yield f"{name}: the new file: {error}"
        self.disk.umount()


def _run(ctx, cases):
    broken.begin(ctx)
    bench = _Bench(ctx)
    assert bench.run("sound", []) == []
    seen, wrong = broken.each(cases, bench.run)
    assert seen > len(cases) // 3, f"only {seen} of {len(cases)} could be mounted"
    assert not wrong, "\n".join(wrong)


def _named(ctx, *tables):
    cases = sides.manifest(ctx, "hostile")["cases"]
    return {name: cases[name]["patches"] for table in tables for name in table}


@timeout(300)
def test_blocks(ctx):
    """Pointers outside and over metadata, and loops."""
    _run(ctx, _named(ctx, test_hostile.BLOCKS))


@long
@timeout(900)
def test_names(ctx):
    """Directories, inodes, symbolic links."""
    _run(ctx, _named(ctx, test_hostile.DIRECTORIES, test_hostile.INODES,
                     test_hostile.LINKS))


@long
@timeout(1800)
def test_sweep(ctx):
    """Metadata changed at random."""
    sweep = sides.manifest(ctx, "hostile")["sweep"]
    _run(ctx, {f"seed {seed}": patches for seed, patches in sweep.items()})
