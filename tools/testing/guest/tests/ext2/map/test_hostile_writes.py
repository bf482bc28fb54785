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

import disks
import ext2disk
import sides
import test_hostile
import writers
from lowlevel import error_of
from runner import long, timeout

FINE = {0, errno.EUCLEAN, errno.EIO, errno.ENOENT, errno.ENOTDIR, errno.EISDIR,
        errno.EINVAL, errno.EFBIG, errno.ENOTEMPTY, errno.EMLINK, errno.ELOOP,
        errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ENXIO, errno.ENODEV}
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


def _metadata(path):
    """The blocks that are none of any file's, by group descriptor."""
    groups, info = ext2disk.Groups(path), ext2disk.superblock(path)
    table = -(-info["inodes_per_group"] * info["inode_size"] // groups.size)
    return groups.metadata(table)


class _Bench:
    """One file that is made anew for each case, and a loop device over it."""

    def __init__(self, ctx):
        self._ctx = ctx
        self.disk = disks.Disk(ctx, "hostile")
        with open(self.disk.path, "rb") as file:
            self._sound = file.read()
        self._metadata = _metadata(self.disk.path)

    def _break(self, patches):
        with open(self.disk.path, "r+b") as file:
            file.write(self._sound)
            for offset, text in patches:
                file.seek(offset)
                file.write(bytes.fromhex(text))

    def run(self, name, patches):
        """What is wrong with a case, texts; None if it is not mounted at all."""
        self._break(patches)
        try:
            self.disk.mount("errors=continue")
        except OSError:
            return None
        root = self.disk.point
        before = error_of(self._ok)[0]
        odd = []
        for what, call in _calls(root):
            number = error_of(call)[1]
            if number not in FINE:
                odd.append(f"{name}: {what} gives {number}")
        made = error_of(writers.make, os.path.join(root, "new"), 5, NEW)[1]
        self.disk.umount()
        odd += self._given_away(name)
        lost = list(self._afterwards(name, before, made))
        if lost and before is not None and not self._kept_by_e2fsck(patches, before):
            lost = []
        return odd + lost

    def _kept_by_e2fsck(self, patches, before):
        """Whether the sound file is still there when nothing but e2fsck has changed
        the broken image; it is not if the root directory is broken."""
        self._break(patches)
        if disks.fsck(self._ctx, self.disk.path, "-fy")[0] not in (0, 1):
            return False
        self.disk.mount()
        kept = error_of(self._ok)[0] == before
        self.disk.umount()
        return kept

    def _ok(self):
        with open(self.disk.where("ok"), "rb", 0) as file:
            return file.read()

    def _given_away(self, name):
        bitmaps = ext2disk.Groups(self.disk.path)
        free = [block for block in self._metadata if not bitmaps.is_used(block)]
        return [f"{name}: the metadata in blocks {free[:9]} is called free"] \
            if free else []

    def _afterwards(self, name, before, made):
        status, text = disks.fsck(self._ctx, self.disk.path, "-fy")
        if status not in (0, 1):
            yield f"{name}: e2fsck: {status}\n{text}"
            return
        self.disk.mount()
        if before is not None and error_of(self._ok)[0] != before:
            yield f"{name}: the sound file is not what it was"
        if not made:
            try:
                writers.check(self.disk.where("new"), 5, NEW)
            except (AssertionError, OSError) as error:
                yield f"{name}: the new file: {error}"
        self.disk.umount()


def _run(ctx, cases):
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("for rust_ext2")
    ctx.allow_log(r"rust_ext2 .*error: ")
    bench = _Bench(ctx)
    assert bench.run("sound", []) == []
    wrong, seen = [], 0
    for name, patches in cases.items():
        found = bench.run(name, patches)
        wrong += found or []
        seen += found is not None
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
