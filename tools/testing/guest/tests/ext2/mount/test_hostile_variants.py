# SPDX-License-Identifier: GPL-2.0
"""Broken images whose files have extended attributes, and whose owners are counted (E9,
E13, E14): each case of test_hostile.py that can be mounted, and its sweep, with everything
done to the attributes of each file, and with quota turned on, used and turned off.

Each call works or says what is wrong; the attributes of a file beside them stay what
they were, what is metadata is not given out, umount works, and e2fsck can repair what
is left, if it can repair the image as it was broken.
"""

import errno
import os
import random
from typing import Callable, NamedTuple

import attributes
import broken
import disks
import lowlevel
import pair
import quotas
import sides
import test_hostile
from runner import long, timeout
from workload import acl

FINE = {*broken.FINE, errno.ENODATA, errno.EOPNOTSUPP, errno.ENOSPC, errno.EEXIST,
        errno.ESRCH, errno.EXDEV, errno.ESTALE, errno.EDQUOT}
NAMES = ("direct", "single", "double", "ok", "dir", "dir/a", "dir/b", "dir/longer-name",
         "dir/sub", "two-blocks", "slow", "fast")
LINKS = ("slow", "fast")
GONE = ("direct", "single", "double", "dir/b", "slow", "fast")
SHARED, OWN = b"the same of all " * 4, b"of one"
_LIST = acl((1, 6), (2, 5, 1000), (4, 4), (16, 5), (32, 4))
WHO = 1000


class Variant(NamedTuple):
    """How an image is prepared, what is done to it when it is broken, and what of it is the
    variant's own."""

    prepare: Callable  # prepare(disk), which is mounted; what it returns is bench.prepared
    calls: Callable    # calls(disk), [(what, call)]
    options: str
    sound: Callable    # sound(told) asserts what the calls have given where nothing is broken
    places: Callable   # places(path, prepared), [(offset, length)] of the variant's own metadata


def _give_attributes(root):
    """The numbers of the inodes that have some; the last one is the sound file's."""
    for name in LINKS:
        os.setxattr(os.path.join(root, name), "trusted.own", OWN, follow_symlinks=False)
    names = [name for name in NAMES if name not in LINKS]
    for name in names:
        path = os.path.join(root, name)
        os.setxattr(path, "user.shared", SHARED)
        # two of these share a block
        if name in ("single", "dir/a", "dir"):
            os.setxattr(path, "user.own", OWN)
    for name in ("direct", "dir"):
        os.setxattr(os.path.join(root, name), "system.posix_acl_access", _LIST)
    os.setxattr(os.path.join(root, "dir"), "system.posix_acl_default", _LIST)
    return [os.lstat(os.path.join(root, name)).st_ino for name in (*LINKS, *names, "ok")]


def _attribute_places(path, inos):
    """Of the blocks of attributes: the fields of the header, the entries, the values. But for
    how many have the sound file's: where that is too low its attributes are freed beside it."""
    *blocks, kept = (attributes.block_of(path, ino) for ino in inos)
    assert all(blocks) and kept in blocks and len(set(blocks)) > 3, blocks
    places = []
    for block in sorted(set(blocks)):
        at = attributes.offset_of(path, block)
        places += [(at, 4), (at + 8, 4), (at + 32, 64), (at + 1024 - 128, 128)]
        places += [(at + 4, 4)] if block != kept else []
    return places


def _attributes_sound(told):
    """All can be set, changed and removed."""
    wrong = {what: number for what, number in told.items()
             if number and not what.endswith((" slow", " fast"))}
    assert set(wrong.values()) <= {errno.ENODATA}, wrong
    assert all(what.startswith("get the list of") for what in wrong), wrong


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
    for name in LINKS:
        path = os.path.join(root, name)
        for what, call, *args in (
                ("get", os.getxattr, "trusted.own"), ("list", os.listxattr),
                ("set", os.setxattr, "trusted.more", b"m" * 30),
                ("remove", os.removexattr, "trusted.own"),
                ("remove more", os.removexattr, "trusted.more")):
            yield f"{what} {name}'s own", lambda call=call, path=path, args=args: \
                call(path, *args, follow_symlinks=False)
    folder = os.path.join(root, "dir")
    yield "inherit", lambda: os.close(os.open(os.path.join(folder, "new"),
                                              os.O_CREAT | os.O_WRONLY, 0o666))
    for name in GONE:
        yield f"unlink {name}", lambda name=name: os.unlink(os.path.join(root, name))


def _quota_calls(disk):
    """(what, call) for what is counted and refused: by a user, whom limits hold for."""
    def grow(path):
        with pair.user(WHO), open(path, "ab", 0) as file:
            left = 8000
            while left:  # what there is still room for is written first
                left -= file.write(b"m" * left)

    def by_user(call, *args):
        with pair.user(WHO):
            call(*args)

    root = disk.point
    for kind in quotas.KINDS:
        yield f"quotaon {kind}", lambda kind=kind: quotas.turn_on(disk, (kind,))
    yield "limit", lambda: quotas.limit(disk, quotas.USER, WHO, blocks=(0, 60))
    for name in NAMES:
        path = os.path.join(root, name)
        yield f"chown {name}", lambda path=path: os.lchown(path, WHO, WHO)
        if name != "ok":
            yield f"grow {name}", lambda path=path: grow(path)
            yield f"cut {name}", lambda path=path: by_user(os.truncate, path, 700)
    yield "limit of inodes", lambda: quotas.limit(disk, quotas.USER, WHO, inodes=(0, 5))
    yield "mkdir", lambda: by_user(os.mkdir, os.path.join(root, "dir", "made"))
    yield "no limit", lambda: quotas.limit(disk, quotas.USER, WHO)
    yield "mkdir again", lambda: by_user(os.mkdir, os.path.join(root, "dir", "made"))
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


def _run(ctx, variant, table):
    broken.begin(ctx)
    cases = sides.manifest(ctx, "hostile")["cases"]
    bench = broken.Bench(ctx, _ok, FINE, variant.options, variant.prepare)

    def run(name, patches):
        result = bench.run(name, patches, variant.calls)
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
        return found if found is None else found + _unrepaired(ctx, bench, name, cases[name]["patches"])

    assert run("sound", []) == []
    variant.sound(bench.told)
    status, text = disks.fsck(ctx, bench.disk.path, "-fn")
    assert status == 0, text
    seen, wrong = broken.each(table, run_case)
    assert not wrong, "\n".join(wrong)
    ctx.log(f"{seen} of {len(table)} were mounted")


def _unrepaired(ctx, bench, name, patches):
    """What e2fsck cannot repair of what is left, which it does now, and could before."""
    status, text = disks.fsck(ctx, bench.disk.path, "-fy")
    if status in (0, 1):
        return []
    bench.damage(patches)
    before, _ = disks.fsck(ctx, bench.disk.path, "-fy")
    return [] if before == status else [f"{name}: e2fsck: {status}, not {before}\n{text}"]


def _own_patches(places, seed):
    """Some bytes of the variant's own metadata, changed at random."""
    rng, patches = random.Random(f"own {seed}"), []
    for _ in range(rng.randint(1, 6)):
        start, length = rng.choice(places)
        value = rng.choice((b"\0", b"\xff", b"\x01", b"\x80", rng.randbytes(1)))
        patches.append((start + rng.randrange(length), value.hex()))
    return patches


def _sweep(ctx, variant):
    """Metadata changed at random, that of all variants and then the variant's own; that may be
    the sound file's, too, and then e2fsck, which has only that to repair, does not get it back
    either."""
    broken.begin(ctx)
    bench = broken.Bench(ctx, _ok, FINE | {errno.ENODEV, errno.EOVERFLOW}, variant.options,
                         variant.prepare)

    def kept_by_e2fsck(patches, before):
        bench.damage(patches)
        if disks.fsck(ctx, bench.disk.path, "-fy")[0] not in (0, 1):
            return False
        bench.disk.mount("user_xattr")
        kept = bench.sound() == before
        bench.disk.umount()
        return kept

    def run(name, patches):
        result = bench.run(name, patches, variant.calls)
        if result is None:
            return None
        before, found, after = result
        found += _unrepaired(ctx, bench, name, patches)
        if before is not None and after != before and kept_by_e2fsck(patches, before):
            found.append(f"{name}: the sound file is not what it was")
        return found

    assert run("sound", []) == []
    variant.sound(bench.told)
    bench.damage([])
    places = variant.places(bench.disk.path, bench.prepared)
    sweep = sides.manifest(ctx, "hostile")["sweep"]
    for own in (False, True):
        cases = {f"own seed {seed}" if own else f"seed {seed}":
                 _own_patches(places, seed) if own else patches
                 for seed, patches in sweep.items()}
        seen, wrong = broken.each(cases, run)
        assert seen > len(sweep) // 3, f"only {seen} of {len(sweep)} could be mounted"
        assert not wrong, "\n".join(wrong)


def _prepare_quota(disk):
    """The blocks of the quota files."""
    quotas.turn_on(disk)
    quotas.turn_off(disk)
    os.chmod(disk.point, 0o755)
    os.setxattr(disk.where("ok"), "user.shared", SHARED)
    blocks = []
    for name in quotas.FILES:
        with open(disk.where(name), "rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
            blocks += [lowlevel.fibmap(file.fileno(), block) for block in range(size // 1024)]
    return blocks


def _quota_places(path, blocks):
    """All of the blocks of the quota files, of which the first one has a head."""
    assert all(blocks) and len(blocks) > 6, blocks
    return [(attributes.offset_of(path, block), 1024) for block in blocks] + \
        [(attributes.offset_of(path, blocks[0]), 32)]


def _quota_sound(told):
    """Both kinds are turned on and off, and a user is refused what is beyond his limits."""
    for kind in quotas.KINDS:
        assert told[f"quotaon {kind}"] == told[f"quotaoff {kind}"] == 0, told
    refused = {what for what, number in told.items() if number == errno.EDQUOT}
    assert {"mkdir"} < refused <= {"mkdir", *(f"grow {name}" for name in NAMES)}, told
    assert told["mkdir again"] == told["cut double"] == told["limit"] == 0, told


_ATTRIBUTES = Variant(lambda disk: _give_attributes(disk.point),
                      lambda disk: _attribute_calls(disk.point), "acl,user_xattr",
                      _attributes_sound, _attribute_places)
_QUOTA = Variant(_prepare_quota, _quota_calls, "usrquota,grpquota,user_xattr", _quota_sound,
                 _quota_places)


def _attributes(ctx, *tables):
    _run(ctx, _ATTRIBUTES,
         {name: expect for table in tables for name, expect in table.items()})


def _quota(ctx, *tables):
    quotas.load(ctx)
    _run(ctx, _QUOTA,
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
    """Metadata changed at random, and then the blocks of attributes."""
    _sweep(ctx, _ATTRIBUTES)


@long
@timeout(1800)
def test_quota_sweep(ctx):
    """Metadata changed at random, and then the quota files."""
    quotas.load(ctx)
    _sweep(ctx, _QUOTA)
