# SPDX-License-Identifier: GPL-2.0
"""Broken images whose files have extended attributes, and whose owners are counted (E9,
E13, E14): each case of test_hostile.py that can be mounted, and its sweep, with everything
done to the attributes of each file, and with quota turned on, used and turned off.

Each call works or says what is wrong; the attributes of a file beside them stay what
they were, what is metadata is not given out, umount works, and e2fsck can repair what
is left.
"""

import errno
import os

import broken
import disks
import quotas
import sides
import test_hostile
from runner import long, timeout
from workload import acl

FINE = {*broken.FINE, errno.ENODATA, errno.EOPNOTSUPP, errno.ENOSPC, errno.EEXIST,
        errno.ESRCH, errno.EXDEV, errno.ESTALE}
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


def _ok(disk):
    path = disk.where("ok")
    with open(path, "rb", 0) as file:
        return file.read(), os.getxattr(path, "user.shared")


def _run(ctx, prepare, calls, options, table):
    broken.begin(ctx)
    cases = sides.manifest(ctx, "hostile")["cases"]
    bench = broken.Bench(ctx, _ok, FINE, options, prepare)

    def run(name, patches):
        result = bench.run(name, patches, calls)
        if result is None:
            return None
        before, found, after = result
        if before is not None and after != before:
            found.append(f"{name}: the sound file is not what it was")
        return found

    def run_case(name, expect):
        short = cases[name]["size"]
        found = None if short else run(name, cases[name]["patches"])
        if (found is None) != bool(expect.mount):
            return (found or []) + [f"{name}: is mounted or not, not as without"]
        return found

    assert run("sound", []) == []
    status, text = disks.fsck(ctx, bench.disk.path, "-fn")
    assert status == 0, text
    seen, wrong = broken.each(table, run_case)
    assert not wrong, "\n".join(wrong)
    ctx.log(f"{seen} of {len(table)} were mounted")
    if seen:
        status, text = disks.fsck(ctx, bench.disk.path, "-fy")
        assert status in (0, 1), f"{status}\n{text}"


def _sweep(ctx, prepare, calls, options):
    """Metadata changed at random; that may be the sound file's, too, and then e2fsck, which
    has only that to repair, does not get it back either."""
    broken.begin(ctx)
    bench = broken.Bench(ctx, _ok, FINE | {errno.ENODEV, errno.EOVERFLOW}, options, prepare)

    def kept_by_e2fsck(patches, before):
        bench.damage(patches)
        if disks.fsck(ctx, bench.disk.path, "-fy")[0] not in (0, 1):
            return False
        bench.disk.mount("user_xattr")
        kept = bench.sound() == before
        bench.disk.umount()
        return kept

    def run(name, patches):
        result = bench.run(name, patches, calls)
        if result is None:
            return None
        before, found, after = result
        status, text = disks.fsck(ctx, bench.disk.path, "-fy")
        if status not in (0, 1):
            found.append(f"{name}: e2fsck: {status}\n{text}")
        if before is not None and after != before and kept_by_e2fsck(patches, before):
            found.append(f"{name}: the sound file is not what it was")
        return found

    assert run("sound", []) == []
    sweep = sides.manifest(ctx, "hostile")["sweep"]
    seen, wrong = broken.each(
        {f"seed {seed}": patches for seed, patches in sweep.items()}, run)
    assert seen > len(sweep) // 3, f"only {seen} of {len(sweep)} could be mounted"
    assert not wrong, "\n".join(wrong)


# prepare(disk), calls(disk), mount options
_ATTRIBUTES = (lambda disk: _give_attributes(disk.point),
               lambda disk: _attribute_calls(disk.point), "acl,user_xattr")


def _prepare_quota(disk):
    quotas.turn_on(disk)
    quotas.turn_off(disk)
    os.setxattr(disk.where("ok"), "user.shared", SHARED)


_QUOTA = (_prepare_quota, _quota_calls, "usrquota,grpquota,user_xattr")


def _attributes(ctx, *tables):
    _run(ctx, *_ATTRIBUTES,
         {name: expect for table in tables for name, expect in table.items()})


def _quota(ctx, *tables):
    quotas.load(ctx)
    _run(ctx, *_QUOTA,
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


@long
@timeout(1800)
def test_attributes_sweep(ctx):
    """Metadata changed at random."""
    _sweep(ctx, *_ATTRIBUTES)


@long
@timeout(1800)
def test_quota_sweep(ctx):
    """Metadata changed at random."""
    quotas.load(ctx)
    _sweep(ctx, *_QUOTA)
