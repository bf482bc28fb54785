# SPDX-License-Identifier: GPL-2.0
"""Broken images whose files have extended attributes, and whose owners are counted (E9,
E13, E14): each case of test_hostile.py that can be mounted, with everything done to the
attributes of each file, and with quota turned on, used and turned off.

Each call works or says what is wrong; the attributes of a file beside them stay what
they were, what is metadata is not given out, umount works, and e2fsck can repair what
is left.
"""

import errno
import os

import disks
import ext2disk
import quotas
import sides
import test_hostile
from lowlevel import error_of
from runner import timeout
from workload import acl

FINE = {0, errno.EUCLEAN, errno.EIO, errno.ENOENT, errno.ENOTDIR, errno.ENODATA,
        errno.EINVAL, errno.EFBIG, errno.ENOTEMPTY, errno.EMLINK, errno.ELOOP,
        errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSPC,
        errno.EISDIR, errno.EEXIST, errno.ESRCH, errno.EXDEV, errno.ENXIO, errno.ESTALE}
NAMES = ("direct", "single", "double", "ok", "dir", "dir/a", "dir/b", "dir/longer-name",
         "dir/sub", "two-blocks", "slow", "fast")
GONE = ("direct", "single", "double", "dir/b", "slow", "fast")
SHARED, OWN = b"the same of all " * 4, b"of one"
_LIST = acl((1, 6), (2, 5, 1000), (4, 4), (16, 5), (32, 4))
WHO = 1000


def _give_attributes(root):
    for name in NAMES:
        path = os.path.join(root, name)
        if os.path.islink(path):
            continue
        os.setxattr(path, "user.shared", SHARED)
        if name in ("single", "dir"):
            os.setxattr(path, "user.own", OWN)
    for name in ("direct", "dir"):
        os.setxattr(os.path.join(root, name), "system.posix_acl_access", _LIST)
    os.setxattr(os.path.join(root, "dir"), "system.posix_acl_default", _LIST)


def _attribute_calls(root):
    """(what, call) for everything that is done with attributes."""
    for name in NAMES:
        path = os.path.join(root, name)
        for what, call, *args in (
                ("list", os.listxattr), ("get", os.getxattr, "user.shared"),
                ("get the list of", os.getxattr, "system.posix_acl_access"),
                ("set", os.setxattr, "user.more", b"m" * 30),
                ("set the list of", os.setxattr, "system.posix_acl_access", _LIST),
                ("chmod", os.chmod, 0o640), ("remove", os.removexattr, "user.shared"),
                ("set much", os.setxattr, "user.much", b"l" * 700)):
            if name != "ok":
                yield f"{what} {name}", lambda call=call, path=path, args=args: call(path, *args)
    folder = os.path.join(root, "dir")
    yield "inherit", lambda: os.close(os.open(os.path.join(folder, "new"),
                                              os.O_CREAT | os.O_WRONLY, 0o666))
    for name in GONE:
        yield f"unlink {name}", lambda name=name: os.unlink(os.path.join(root, name))


def _quota_calls(disk):
    """(what, call) for what is counted and refused."""
    def grow(path):
        with open(path, "ab", 0) as file:
            file.write(b"more" * 2000)

    root = disk.point
    for kind in quotas.KINDS:
        yield f"quotaon {kind}", lambda kind=kind: quotas.turn_on(disk, (kind,))
    yield "limit", lambda: quotas.limit(disk, quotas.USER, WHO, blocks=(0, 60))
    for name in NAMES:
        path = os.path.join(root, name)
        yield f"chown {name}", lambda path=path: os.lchown(path, WHO, WHO)
        if name != "ok":
            yield f"grow {name}", lambda path=path: grow(path)
            yield f"cut {name}", lambda path=path: os.truncate(path, 700)
    yield "mkdir", lambda: os.mkdir(os.path.join(root, "dir", "made"))
    for name in GONE:
        yield f"unlink {name}", lambda name=name: os.unlink(os.path.join(root, name))
    yield "usage", lambda: quotas.usage(disk)
    yield "sync", lambda: disks.sync(root)
    for kind in quotas.KINDS:
        yield f"quotaoff {kind}", lambda kind=kind: quotas.turn_off(disk, (kind,))


class _Bench:
    """One image that is made anew for each case. `prepare` makes it what it is, `calls`
    are what is done to it."""

    def __init__(self, ctx, prepare, calls, options):
        self._ctx, self._calls, self._options = ctx, calls, options
        self.disk = disks.Disk(ctx, "hostile")
        self.disk.mount(options)
        prepare(self.disk)
        self.disk.umount()
        with open(self.disk.path, "rb") as file:
            self._sound = file.read()
        groups, info = ext2disk.Groups(self.disk.path), ext2disk.superblock(self.disk.path)
        table = -(-info["inodes_per_group"] * info["inode_size"] // groups.size)
        self._metadata = groups.metadata(table)

    def _ok(self):
        path = self.disk.where("ok")
        with open(path, "rb", 0) as file:
            return file.read(), os.getxattr(path, "user.shared")

    def run(self, name, patches):
        """What is wrong with a case, or None if it is not mounted."""
        with open(self.disk.path, "r+b") as file:
            file.write(self._sound)
            for offset, text in patches:
                file.seek(offset)
                file.write(bytes.fromhex(text))
        if error_of(self.disk.mount, self._options + ",errors=continue")[1]:
            return None
        before = error_of(self._ok)[0]
        found = []
        for what, call in self._calls(self.disk):
            number = error_of(call)[1]
            if number not in FINE:
                found.append(f"{name}: {what} gives {number}")
        after = error_of(self._ok)[0]
        if before is not None and after != before:
            found.append(f"{name}: the sound file is not what it was")
        self.disk.umount()
        bitmaps = ext2disk.Groups(self.disk.path)
        free = [block for block in self._metadata if not bitmaps.is_used(block)]
        if free:
            found.append(f"{name}: the metadata in blocks {free[:9]} is called free")
        return found


def _run(ctx, prepare, calls, options, table):
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("for rust_ext2")
    ctx.allow_log(r"rust_ext2 .*error: ")
    cases = sides.manifest(ctx, "hostile")["cases"]
    bench = _Bench(ctx, prepare, calls, options)
    assert bench.run("sound", []) == []
    status, text = disks.fsck(ctx, bench.disk.path, "-fn")
    assert status == 0, text
    wrong, seen = [], 0
    for name, expect in table.items():
        found = None
        if not cases[name]["size"]:
            found = bench.run(name, cases[name]["patches"])
        if (found is None) != bool(expect.mount):
            wrong.append(f"{name}: is mounted or not, not as without")
        wrong += found or []
        seen += found is not None
    assert not wrong, "\n".join(wrong)
    ctx.log(f"{seen} of {len(table)} were mounted")
    if seen:
        status, text = disks.fsck(ctx, bench.disk.path, "-fy")
        assert status in (0, 1), f"{status}\n{text}"


def _attributes(ctx, *tables):
    _run(ctx, lambda disk: _give_attributes(disk.point),
         lambda disk: _attribute_calls(disk.point), "acl,user_xattr",
         {name: expect for table in tables for name, expect in table.items()})


def _quota(ctx, *tables):
    quotas.load(ctx)

    def prepare(disk):
        quotas.turn_on(disk)
        quotas.turn_off(disk)
        os.setxattr(disk.where("ok"), "user.shared", SHARED)

    _run(ctx, prepare, _quota_calls, "usrquota,grpquota,user_xattr",
         {name: expect for table in tables for name, expect in table.items()})


@timeout(240)
def test_attributes_superblock(ctx):
    """Superblocks and groups that can be mounted all the same."""
    _attributes(ctx, test_hostile.SUPERBLOCKS, test_hostile.GROUPS)


@timeout(240)
def test_attributes_inodes(ctx):
    """Inodes, and symbolic links."""
    _attributes(ctx, test_hostile.INODES, test_hostile.LINKS)


@timeout(240)
def test_attributes_blocks(ctx):
    """Pointers."""
    _attributes(ctx, test_hostile.BLOCKS)


@timeout(240)
def test_attributes_directories(ctx):
    """Directories, which new files inherit from."""
    _attributes(ctx, test_hostile.DIRECTORIES)


@timeout(240)
def test_quota_superblock(ctx):
    """Superblocks and groups that can be mounted all the same."""
    _quota(ctx, test_hostile.SUPERBLOCKS, test_hostile.GROUPS)


@timeout(240)
def test_quota_inodes(ctx):
    """Inodes, and symbolic links."""
    _quota(ctx, test_hostile.INODES, test_hostile.LINKS)


@timeout(240)
def test_quota_blocks(ctx):
    """Pointers."""
    _quota(ctx, test_hostile.BLOCKS)


@timeout(240)
def test_quota_directories(ctx):
    """Directories."""
    _quota(ctx, test_hostile.DIRECTORIES)
