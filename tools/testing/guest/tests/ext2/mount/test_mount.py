# SPDX-License-Identifier: GPL-2.0
"""Mounting (E1, E10): which requests are accepted, what /proc/mounts says, what
holds the module, and that nothing on the disk changes.

What is in the superblock after mounting for writing is test_state.py's.
"""

import errno
import hashlib
import os
import re
import struct

import ext2disk
import sides
import sysapi
from lowlevel import error_of

MS_RDONLY = 1
MS_REMOUNT = 32
SUPERBLOCK = 1024

OPTIONS = (
    "", "bsddf", "minixdf", "minixdf,bsddf", "grpid", "bsdgroups", "grpid,nogrpid",
    "sysvgroups", "resuid=5", "resgid=6", "resuid=70000,resgid=70001", "resuid=0",
    "sb=1", "errors=continue", "errors=remount-ro", "errors=panic",
    "errors=panic,errors=continue", "nouid32", "debug", "oldalloc", "orlov",
    "oldalloc,orlov", "nobh", "user_xattr", "nouser_xattr", "acl", "noacl",
    "acl,noacl", "xip", "dax", "grpquota", "usrquota", "quota", "noquota",
    "usrquota,grpquota", "reservation", "noreservation",
    "minixdf,nouid32,resuid=1,errors=continue,noacl,grpid,oldalloc",
    "BSDDF", "nogrpid,nogrpid",
)
WRONG_OPTIONS = (
    "bogus", "nobogus", "errors=bogus", "errors=", "errors", "resuid", "resuid=",
    "resuid=abc", "resuid=-1", "resgid=4294967296", "sb", "sb=", "sb=abc", "sb=-1",
    "sb=4294967296", "sb=1.5", "bsddf=1", "nobsddf", "nominixdf", "debug=0",
    "reservation=1", "data=ordered", "bsddf,bogus", "journal_checksum",
    # of quota with a journal, and of projects: those of ext3 and ext4
    "usrjquota=aquota.user", "grpjquota=aquota.group", "usrjquota=", "jqfmt=vfsv1",
    "usrjquota=aquota.user,jqfmt=vfsv0", "prjquota", "pquota", "usrquota=1",
    # not where a superblock is
    "sb=0", "sb=2", "sb=100",
)


def _shown(point):
    """The options of a mount point in /proc/mounts."""
    with open("/proc/mounts", encoding="utf-8") as file:
        for line in file:
            fields = line.split()
            if fields[1] == point:
                return fields[3]
    raise AssertionError(f"{point} is not in /proc/mounts")


def _try(ctx, side, options, read_only=True):
    """(errno, options shown, statfs) of a mount with options."""
    point, number = error_of(ctx.mount, side.device, side.fstype, options, read_only)
    if number:
        return number, None, None
    info = os.statvfs(point)
    answer = 0, _shown(point), (info.f_blocks, info.f_bavail, info.f_flag)
    ctx.umount(point)
    return answer


class _Device:
    """A loop device and the filesystem that is to be mounted from it."""

    def __init__(self, ctx, fstype, path, read_only=True):
        self.fstype = fstype
        self.path = path
        self.device = ctx.loop(path, read_only)


def _devices(ctx, image, patches=(), read_only=True):
    """(C's, ours): a device for each, over one copy that has been patched."""
    ctx.load(sides.C_FSTYPE)
    path = ctx.copy(image)
    with open(path, "r+b") as file:
        for offset, data in patches:
            file.seek(offset)
            file.write(data)
    return (_Device(ctx, sides.C_FSTYPE, path, read_only),
            _Device(ctx, ctx.fstype, path, read_only))


def test_options(ctx):
    """Every option: accepted as in C, shown in /proc/mounts as in C."""
    c, rust = _devices(ctx, "small-1k")
    trouble = []
    for options in OPTIONS:
        want, got = _try(ctx, c, options), _try(ctx, rust, options)
        if got != want or (want[0] and options != "BSDDF"):
            trouble.append(f"{options!r}: {got}, in C {want}")
    assert not trouble, "\n".join(trouble)


def test_wrong_options(ctx):
    """What C refuses is refused, for the same reason."""
    c, rust = _devices(ctx, "small-1k")
    trouble = []
    for options in WRONG_OPTIONS:
        want, got = _try(ctx, c, options), _try(ctx, rust, options)
        if got != want or not want[0]:
            trouble.append(f"{options!r}: {got}, in C {want}")
    assert not trouble, "\n".join(trouble)


def test_unreadable_superblock(ctx):
    """Behind the end of the device: C loses the errno and says EINVAL."""
    c, rust = _devices(ctx, "small-1k")
    assert _try(ctx, c, "sb=4294967295")[0] == errno.EINVAL
    if rust.fstype != c.fstype:
        assert _try(ctx, rust, "sb=4294967295")[0] == errno.EIO


def test_default_options(ctx):
    """Defaults in the superblock, and options against them."""
    trouble = []
    for image in ("tuned-plain", "tuned-all", "tuned-panic", "tuned-ro"):
        c, rust = _devices(ctx, image)
        for options in ("", "noacl", "nouser_xattr,acl", "nogrpid", "grpid",
                        "errors=remount-ro", "errors=continue", "resuid=0,resgid=0"):
            want, got = _try(ctx, c, options), _try(ctx, rust, options)
            if got != want or want[0]:
                trouble.append(f"{image}, {options!r}: {got}, in C {want}")
    assert not trouble, "\n".join(trouble)


def test_remount_options(ctx):
    """Options change on a remount, and those that are not named stay."""
    c, rust = _devices(ctx, "small-1k")
    points = [ctx.mount(side.device, side.fstype, "minixdf,resuid=5")
              for side in (c, rust)]
    for options in ("", "bsddf", "errors=continue", "nouid32,noacl", "acl",
                    "resgid=8", "grpid", "sb=77", "noreservation", "debug"):
        shown = []
        for point, side in zip(points, (c, rust)):
            sysapi.mount(side.device, point, side.fstype, MS_REMOUNT | MS_RDONLY,
                         options)
            shown.append((_shown(point), os.statvfs(point).f_blocks))
        assert shown[0] == shown[1], f"after {options!r}: {shown[1]}, in C {shown[0]}"
    for point, side in zip(points, (c, rust)):
        number = error_of(sysapi.mount, side.device, point, side.fstype,
                          MS_REMOUNT | MS_RDONLY, "bogus")[1]
        assert number == errno.EINVAL, side.fstype
        with open(os.path.join(point, "file"), "rb") as file:
            assert file.read() == b"read me\n" * 1000


def _layout_told(ctx, side, steps):
    """Of each step, (flags, options), of which the first one mounts and the others remount:
    how often the log has the blocks of a group then."""
    info = ext2disk.superblock(side.path)
    says = re.compile(rf"[ =]{info['blocks_per_group']}\b.*[ =]{info['inodes_per_group']}\b")
    point, told = None, []
    for flags, options in steps:
        log = len(ctx.kernel_log())
        if point:
            sysapi.mount(side.device, point, side.fstype, MS_REMOUNT | flags, options)
        else:
            point = ctx.mount(side.device, side.fstype, options, read_only=bool(flags))
        told.append(sum(bool(says.search(line)) for line in ctx.kernel_log()[log:]
                        if os.path.basename(side.device) in line))
    ctx.umount(point)
    return told


def test_debug(ctx):
    """With debug the log has how the blocks lie, whenever it has in C, where the filesystem
    begins to be written to; and also where it is mounted, or debug is new."""
    stories = {
        "for writing": [(0, "debug")],
        "not asked for": [(0, ""), (MS_RDONLY, ""), (0, "")],
        "and later": [(MS_RDONLY, "debug"), (0, "debug"), (MS_RDONLY, "debug"), (0, "debug")],
        "new": [(MS_RDONLY, ""), (0, "debug"), (0, "debug")],
    }
    want = {"for writing": [1], "not asked for": [0, 0, 0], "and later": [1, 1, 0, 1],
            "new": [0, 1, 0]}
    for what, steps in stories.items():
        c, rust = _devices(ctx, "small-1k", read_only=False)
        of_c = _layout_told(ctx, c, steps)
        if rust.fstype == c.fstype:
            continue
        got = _layout_told(ctx, rust, steps)
        assert got == want[what], f"{what}: {got}, in C {of_c}"
        assert all(here >= there for here, there in zip(got, of_c)), (what, got, of_c)
        assert any(of_c) == (what in ("for writing", "and later")), (what, of_c)


def test_backup_superblock(ctx):
    """With the primary superblock gone, sb= reads a copy of it."""
    for image, number in (("small-1k", 2049), ("small-4k", 2048)):
        gone = [(SUPERBLOCK, bytes(1024))]
        if image == "small-1k":
            gone.append((2 * 1024, bytes(1024)))  # its group descriptors
        shown = []
        for side in _devices(ctx, image, gone):
            assert _try(ctx, side, "")[0] == errno.EINVAL, f"{image}, {side.fstype}"
            point = ctx.mount(side.device, side.fstype, f"sb={number}")
            shown.append((_shown(point), os.statvfs(point).f_blocks))
            with open(os.path.join(point, "file"), "rb") as file:
                assert file.read() == b"read me\n" * 1000
            assert os.listdir(os.path.join(point, "folder")) == ["other"]
        assert shown[0] == shown[1], f"{image}: {shown[1]}, in C {shown[0]}"
        assert f"sb={number}" in shown[1][0]


def _hash(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_nothing_is_written(ctx):
    """The device's bytes are the same after a read-only mount and reading."""
    for image in ("tree-rev0", "small-4k"):
        path = ctx.copy(image)
        device = ctx.loop(path, read_only=False)
        before = _hash(path)
        point = ctx.mount(device)
        for folder, _, files in os.walk(point):
            for name in files:
                target = os.path.join(folder, name)
                if os.path.isfile(target):
                    with open(target, "rb") as file:
                        file.read()
        os.sync()
        ctx.umount(point)
        assert _hash(device) == before == _hash(path), image


def test_write_request(ctx):
    """A read-write request gives a read-write mount, and a device that cannot be
    written to a refusal, as in C."""
    c, rust = _devices(ctx, "small-1k", read_only=True)
    for side in (c, rust):
        number, _, _ = _try(ctx, side, "", read_only=False)
        assert number == errno.EACCES, (side.fstype, number)
    c, rust = _devices(ctx, "small-1k", read_only=False)
    want, got = (_try(ctx, side, "", read_only=False) for side in (c, rust))
    assert got == want and got[1].split(",")[0] == "rw", (got, want)


def test_read_only(ctx):
    """A read-only mount of a device that can be written to refuses every change."""
    device = ctx.loop(ctx.copy("small-1k"), read_only=False)
    point = ctx.mount(device)
    assert _shown(point).split(",")[0] == "ro"
    assert os.statvfs(point).f_flag & os.ST_RDONLY
    target = os.path.join(point, "file")
    for call, *args in ((os.truncate, target, 0), (os.unlink, target),
                        (os.mkdir, os.path.join(point, "new")),
                        (os.rename, target, target + "2"), (os.chmod, target, 0),
                        (os.utime, target), (os.link, target, target + "2"),
                        (os.symlink, "x", target + "2"),
                        (os.setxattr, target, "user.x", b"1"),
                        (os.open, target, os.O_RDWR),
                        (os.open, target + "3", os.O_CREAT | os.O_WRONLY)):
        assert error_of(call, *args)[1] == errno.EROFS, call.__name__


def test_atime_stays(ctx):
    """Reading does not change times: the mount is read-only."""
    _, rust = _devices(ctx, "small-1k")
    point = ctx.mount(rust.device, rust.fstype)
    target = os.path.join(point, "file")
    before = os.stat(target)
    with open(target, "rb") as file:
        file.read()
    os.listdir(point)
    assert os.stat(target).st_atime_ns == before.st_atime_ns


def test_mount_twice(ctx):
    """One device, one superblock: a second mount of it, and one by the other."""
    c, rust = _devices(ctx, "small-1k")
    first = ctx.mount(rust.device, rust.fstype)
    second = ctx.mount(rust.device, rust.fstype)
    assert os.stat(first).st_dev == os.stat(second).st_dev
    ctx.umount(first)
    with open(os.path.join(second, "file"), "rb") as file:
        assert file.read(7) == b"read me"
    if rust.fstype != c.fstype:
        number = error_of(ctx.mount, rust.device, c.fstype)[1]
        assert number == errno.EBUSY, number


FEATURES = {
    # offset in the superblock: compat 92, incompat 96, ro_compat 100
    # but for sparse_super2, which changes the layout, see test_features.py
    "compat, all unknown": (92, 0xFFFFFC00),
    "needs_recovery": (96, 0x4),
    "journal_dev": (96, 0x8),
    "compression": (96, 0x1),
    "extents": (96, 0x40),
    "64bit": (96, 0x80),
    "flex_bg": (96, 0x200),
    "inline_data": (96, 0x8000),
    "unknown incompat": (96, 0x80000000),
    "ro_compat huge_file": (100, 0x8),
    "ro_compat metadata_csum": (100, 0x400),
    "unknown ro_compat": (100, 0x80000000),
    "btree_dir": (100, 0x4),
}


def test_features(ctx):
    """Unknown incompatible features are refused by name, others only read."""
    for what, (offset, bits) in FEATURES.items():
        with open(ctx.image("small-1k"), "rb") as file:
            file.seek(SUPERBLOCK + offset)
            now = struct.unpack("<I", file.read(4))[0]
        patch = (SUPERBLOCK + offset, struct.pack("<I", now | bits))
        c, rust = _devices(ctx, "small-1k", [patch])
        log = len(ctx.kernel_log())
        want, got = _try(ctx, c, ""), _try(ctx, rust, "")
        assert got == want, f"{what}: {got}, in C {want}"
        assert (want[0] == errno.EINVAL) == (offset == 96), f"{what}: {want}"
        if offset == 96:
            device = os.path.basename(rust.device)
            said = [line for line in ctx.kernel_log()[log:] if device in line]
            assert said, f"{what}: no message that names {device}"


def test_unknown_ro_compat_read_write(ctx):
    """It is not mounted for writing, and not remounted either."""
    patch = [(SUPERBLOCK + 100, struct.pack("<I", 0x80000003))]
    for side in _devices(ctx, "small-1k", patch, read_only=False):
        assert _try(ctx, side, "", read_only=False)[0] == errno.EINVAL, side.fstype
        point = ctx.mount(side.device, side.fstype)
        number = error_of(sysapi.mount, side.device, point, side.fstype, MS_REMOUNT,
                          "")[1]
        assert number == errno.EROFS, side.fstype
        assert _shown(point).split(",")[0] == "ro", side.fstype
        ctx.umount(point)


def test_revision(ctx):
    """A revision from the future is read, and complained of."""
    c, rust = _devices(ctx, "small-1k", [(SUPERBLOCK + 76, struct.pack("<I", 7))])
    want, got = _try(ctx, c, ""), _try(ctx, rust, "")
    assert got == want and got[0] == 0, f"{got}, in C {want}"
    said = [line for line in ctx.kernel_log() if "evision" in line]
    assert any(os.path.basename(rust.device) in line for line in said), said


def _uses(module):
    with open("/proc/modules", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if fields[0] == module:
                return int(fields[2])
    return None


def test_module_is_held(ctx):
    """A mount, or a file open on one that is gone, holds the module."""
    module = ctx.fstype
    if _uses(module) is None:
        ctx.load(module)
    idle = _uses(module)
    point = ctx.mount(ctx.copy("small-1k"))
    assert _uses(module) > idle
    assert error_of(sysapi.rmmod, module)[1] == errno.EAGAIN
    with open(os.path.join(point, "file"), "rb") as file:
        sysapi.umount(point, sysapi.MNT_DETACH)
        assert error_of(sysapi.rmmod, module)[1] == errno.EAGAIN
        assert file.read() == b"read me\n" * 1000
    ctx.forget_mount(point)
    assert _uses(module) == idle


def _filesystems():
    with open("/proc/filesystems", encoding="ascii") as file:
        return [line.split()[-1] for line in file]


def test_register_as_ext2(ctx):
    """With its parameter the module stands in for C ext2, under that name, too."""
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("for rust_ext2")
    ctx.load(sides.C_FSTYPE)
    path = ctx.copy("small-1k")
    sysapi.rmmod(ctx.fstype)
    try:
        # the name is taken, as by ext4 on a distribution's kernel: that is no reason to stay away
        log = len(ctx.kernel_log())
        ctx.load(ctx.fstype, "register_as_ext2=1")
        assert any(f"{ctx.fstype}: there is a filesystem ext2 already, this is {ctx.fstype}"
                   in line
                   for line in ctx.kernel_log()[log:])
        point = ctx.mount(ctx.loop(path))
        ctx.umount(point)
        assert _uses(sides.C_FSTYPE) == 0
        sysapi.rmmod(ctx.fstype)
        assert ctx.fstype not in _filesystems() and "ext2" in _filesystems()
        sysapi.rmmod(sides.C_FSTYPE)
        ctx.load(ctx.fstype, "register_as_ext2=1")
        assert {"ext2", ctx.fstype} <= set(_filesystems())
        device = ctx.loop(path)
        point = ctx.mount(device, "ext2")
        with open("/proc/mounts", encoding="utf-8") as file:
            line = next(text for text in file if text.split()[1] == point)
        assert line.split()[2] == "ext2"
        assert _uses(sides.C_FSTYPE) is None and _uses(ctx.fstype) >= 1
        with open(os.path.join(point, "file"), "rb") as file:
            assert file.read() == b"read me\n" * 1000
        assert error_of(ctx.mount, device, ctx.fstype)[1] == errno.EBUSY
        ctx.umount(point)
        sysapi.rmmod(ctx.fstype)
        assert "ext2" not in _filesystems()
    finally:
        if _uses(ctx.fstype) is not None:
            sysapi.rmmod(ctx.fstype)
        ctx.load(ctx.fstype)
        ctx.load(sides.C_FSTYPE)


def test_load_and_unload(ctx):
    """Loading, mounting and unloading, again and again."""
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("for rust_ext2")
    path = ctx.copy("small-1k")
    device = ctx.loop(path)
    for _ in range(3):
        point = ctx.mount(device)
        with open(os.path.join(point, "file"), "rb") as file:
            file.read()
        ctx.umount(point)
        sysapi.rmmod(ctx.fstype)
        assert ctx.fstype not in _filesystems()
        ctx.load(ctx.fstype)
