# SPDX-License-Identifier: GPL-2.0
"""Extended attributes and quota, which are not supported yet (E9, E13): it is said,
and ignoring access control lists widens no access.

C ext2 sets the lists, and looks at them afterwards.
"""

import contextlib
import ctypes
import errno
import os
import struct

import disks
import ext2disk
import pair
import sides
import sysapi
from lowlevel import error_of
from runner import timeout

OWNER, USER, GROUP_OWNER, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
TEAM = 500
MAGIC = 0xEA020000
SAID = "extended attributes and ACLs are not supported yet"
_QUOTACTL = 179
_Q_GETFMT = 0x800004


def _list(*entries):
    """An access control list as setxattr(2) takes it: (tag, permissions, number)."""
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, permissions, *(number or [0xFFFFFFFF]))
        for tag, permissions, *number in entries)


def _rust_only(ctx):
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("for rust_ext2: C heeds the lists")


def _make(disk):
    """Files with lists, made by C ext2: {name: mode that C shows}."""
    modes = {"full": 0o660, "most": 0o664, "less": 0o646, "program": 0o770}
    disk.mount("acl,user_xattr", sides.C_FSTYPE)
    os.chmod(disk.point, 0o777)
    for name, mode in modes.items():
        path = disk.where(name)
        with open(path, "wb") as file:
            file.write(b"contents")
        os.chown(path, 1, TEAM)
        os.chmod(path, mode & ~0o070)
        group = mode >> 3 & 7
        os.setxattr(path, ACCESS, _list(
            (OWNER, mode >> 6), (USER, group, 1000), (GROUP_OWNER, 0), (MASK, group),
            (OTHER, mode & 7)))
        assert os.stat(path).st_mode & 0o777 == mode, name
    with open(disk.where("none"), "wb") as file:
        file.write(b"contents")
    os.chown(disk.where("none"), 1, TEAM)
    os.chmod(disk.where("none"), 0o660)
    folder = disk.where("folder")
    os.mkdir(folder)
    os.chown(folder, 1, TEAM)
    os.setxattr(folder, ACCESS, _list((OWNER, 7), (USER, 7, 1000), (GROUP_OWNER, 0),
                                      (MASK, 7), (OTHER, 1)))
    disk.umount()
    return {**modes, "none": 0o660, "folder": 0o771}


def _shown(disk, names):
    return {name: os.stat(disk.where(name)).st_mode & 0o7777 for name in names}


def _opens(path, flags):
    fd, number = error_of(os.open, path, flags)
    if not number:
        os.close(fd)
    return number


@timeout(120)
def test_access_lists(ctx):
    """Who is of the group of a file with a list gets what others get, in permission
    checks and in what stat shows; the owner, root and files without a list are not
    affected."""
    _rust_only(ctx)
    disk = disks.Disk(ctx, "blank-1k")
    modes = _make(disk)
    log = len(ctx.kernel_log())
    disk.mount(fstype=ctx.fstype)
    assert any(SAID in line and os.path.basename(disk.device) in line
               for line in ctx.kernel_log()[log:])
    with pair.user(2000, TEAM):
        got = {(name, flags): _opens(disk.where(name), flags)
               for name in modes if name != "folder"
               for flags in (os.O_RDONLY, os.O_WRONLY)}
        wanted = {**dict.fromkeys(got, errno.EACCES), ("none", os.O_RDONLY): 0,
                  ("none", os.O_WRONLY): 0, ("most", os.O_RDONLY): 0,
                  ("less", os.O_RDONLY): 0}
        assert got == wanted, got
        assert error_of(os.listdir, disk.where("folder"))[1] == errno.EACCES
        assert error_of(os.mkdir, disk.where("folder/x"))[1] == errno.EACCES
        assert error_of(os.stat, disk.where("folder/x"))[1] == errno.ENOENT
    with pair.user(1, TEAM):
        assert _opens(disk.where("full"), os.O_RDWR) == 0
    assert _opens(disk.where("full"), os.O_RDWR) == 0
    shown = _shown(disk, modes)
    assert shown == {"full": 0o600, "most": 0o644, "less": 0o646, "program": 0o700,
                     "none": 0o660, "folder": 0o711}, shown
    disk.finish()


@timeout(120)
def test_disk_keeps_modes(ctx):
    """What is not shown is not lost: files are written to, and get other times,
    owners and names, and C finds the modes and the lists that it has set. A mode that
    is set is set on the disk."""
    _rust_only(ctx)
    disk = disks.Disk(ctx, "blank-1k")
    modes = _make(disk)
    disk.mount(fstype=ctx.fstype)
    for name in modes:
        os.utime(disk.where(name), (5, 5))
        os.chown(disk.where(name), 1, TEAM + 1)
    with open(disk.where("full"), "ab") as file:
        file.write(b" and more" * 1000)
    os.rename(disk.where("most"), disk.where("renamed"))
    os.chmod(disk.where("less"), 0o674)
    os.chmod(disk.where("program"), 0o600)
    assert _shown(disk, ("less", "program")) == {"less": 0o644, "program": 0o600}
    disk.umount()
    disk.mount("acl", sides.C_FSTYPE)
    shown = _shown(disk, ("full", "renamed", "less", "program", "none", "folder"))
    assert shown == {"full": 0o660, "renamed": 0o664, "less": 0o674, "program": 0o600,
                     "none": 0o660, "folder": 0o771}, shown
    for name in shown:
        if name != "none":
            assert struct.pack("<HHI", USER, 7 if name in ("folder", "program") else
                               4 if name == "less" else 6, 1000) in \
                os.getxattr(disk.where(name), ACCESS), name
    disk.umount()
    disk.mount(fstype=ctx.fstype)
    assert _shown(disk, ("full", "less")) == {"full": 0o600, "less": 0o644}
    disk.finish()


@contextlib.contextmanager
def _umask(mask):
    old = os.umask(mask)
    try:
        yield
    finally:
        os.umask(old)


@timeout(120)
def test_default_lists(ctx):
    """What is made in a directory with a default list is open to no more than each
    entry of that says."""
    _rust_only(ctx)
    disk = disks.Disk(ctx, "blank-1k").mount("acl", sides.C_FSTYPE)
    lists = {
        "closed": _list((OWNER, 7), (GROUP_OWNER, 5), (OTHER, 0)),
        "named": _list((OWNER, 6), (USER, 4, 1000), (GROUP_OWNER, 7), (MASK, 7),
                       (OTHER, 6)),
    }
    for name, text in lists.items():
        os.mkdir(disk.where(name))
        os.setxattr(disk.where(name), DEFAULT, text)
    os.mkdir(disk.where("plain"))
    os.setxattr(disk.where("plain"), "user.x", b"1")
    disk.umount()
    disk.mount(fstype=ctx.fstype)
    made = {}
    with _umask(0):
        for folder in (*lists, "plain"):
            os.close(os.open(disk.where(f"{folder}/f"), os.O_CREAT, 0o666))
            os.mkdir(disk.where(f"{folder}/d"), 0o1777)
            os.mkfifo(disk.where(f"{folder}/p"), 0o622)
            os.symlink("f", disk.where(f"{folder}/s"))
            made[folder] = [os.lstat(disk.where(f"{folder}/{name}")).st_mode & 0o7777
                            for name in "fdps"]
    assert made == {"closed": [0o640, 0o1750, 0o600, 0o777],
                    "named": [0o644, 0o1644, 0o600, 0o777],
                    "plain": [0o666, 0o1777, 0o622, 0o777]}, made
    disk.umount()
    disk.mount(fstype=ctx.fstype)
    assert os.stat(disk.where("closed/f")).st_mode & 0o777 == 0o640
    disk.finish()


@timeout(60)
def test_bad_default_list(ctx):
    """A block of attributes that is none: nothing is made in the directory."""
    _rust_only(ctx)
    disk = disks.Disk(ctx, "blank-1k").mount("acl", sides.C_FSTYPE)
    os.mkdir(disk.where("d"))
    ino = os.stat(disk.where("d")).st_ino
    os.setxattr(disk.where("d"), DEFAULT,
                _list((OWNER, 7), (GROUP_OWNER, 5), (OTHER, 0)))
    disk.umount()
    with open(disk.path, "r+b") as file:
        file.seek(ext2disk.inode_offset(disk.path, ino) + 104)
        block, = struct.unpack("<I", file.read(4))
        file.seek(block * 1024)
        file.write(b"nonsense")
    disk.mount("errors=continue", fstype=ctx.fstype)
    assert error_of(os.mkdir, disk.where("d/x"))[1] == errno.EUCLEAN
    assert any("bad extended attributes" in line for line in ctx.kernel_log())
    os.mkdir(disk.where("x"))
    disk.umount()


def _put_in_inode(path, ino, kind, name, value):
    """An attribute where ext4 has it: behind the fields of the inode."""
    start = ext2disk.inode_offset(path, ino) + 128
    entry = struct.pack("<BBHIII", len(name), kind, 96 - len(value), 0, len(value), 0)
    text = struct.pack("<HH", 28, 0) + bytes(24) + struct.pack("<I", MAGIC)
    room = 96 - len(value)
    text += (entry + name)[:room].ljust(room, b"\0") + value
    assert len(text) == 128
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(text)


@timeout(60)
def test_lists_in_inodes(ctx):
    """ext4 keeps attributes in the inode, if they fit there: a list counts, a label
    of a security module does not."""
    _rust_only(ctx)
    disk = disks.Disk(ctx, "blank-1k").mount(fstype=sides.C_FSTYPE)
    numbers = {}
    for name in ("list", "label", "nonsense", "default"):
        path = disk.where(name)
        if name == "default":
            os.mkdir(path)
        else:
            open(path, "wb").close()
        os.chmod(path, 0o770)
        numbers[name] = os.stat(path).st_ino
    disk.umount()
    access = struct.pack("<IHHHHIHHHHHH", 1, OWNER, 7, USER, 7, 1000, GROUP_OWNER, 0,
                         MASK, 7, OTHER, 0)
    default = struct.pack("<IHHHHHH", 1, OWNER, 7, GROUP_OWNER, 4, OTHER, 4)
    _put_in_inode(disk.path, numbers["list"], 2, b"", access)
    _put_in_inode(disk.path, numbers["label"], 6, b"selinux", b"label_t\0")
    _put_in_inode(disk.path, numbers["nonsense"], 6, b"s" * 90, b"")
    _put_in_inode(disk.path, numbers["default"], 3, b"", default)
    disk.mount(fstype=ctx.fstype)
    shown = _shown(disk, numbers)
    assert shown == {"list": 0o700, "label": 0o770, "nonsense": 0o700,
                     "default": 0o770}, shown
    with _umask(0):
        os.close(os.open(disk.where("default/f"), os.O_CREAT, 0o666))
    assert os.stat(disk.where("default/f")).st_mode & 0o777 == 0o644
    os.chmod(disk.where("label"), 0o710)
    disk.umount()
    disk.mount(fstype=sides.C_FSTYPE)
    assert _shown(disk, ("list", "label")) == {"list": 0o770, "label": 0o710}
    disk.umount()


@timeout(60)
def test_said_only_if_there_may_be_any(ctx):
    """A filesystem without the feature ext_attr is mounted without a word."""
    _rust_only(ctx)
    log = len(ctx.kernel_log())
    disk = disks.Disk(ctx, "features-none").mount()
    disk.umount()
    assert not any(SAID in line for line in ctx.kernel_log()[log:])


def _quota_format(device):
    """errno of quotactl(2) with Q_GETFMT."""
    out = ctypes.c_uint32()
    result = sysapi.libc.syscall(_QUOTACTL, ctypes.c_int(_Q_GETFMT << 8),
                                 device.encode(), 0, ctypes.byref(out))
    return ctypes.get_errno() if result else 0


@timeout(60)
def test_quota(ctx):
    """Quota is accepted as an option, and shown; that nothing is counted is said at
    each such mount and remount, and quotactl(2) says it, too."""
    _rust_only(ctx)
    disk = disks.Disk(ctx, "features-none")
    device = os.path.basename(disk.device)

    def said(call, *args):
        log = len(ctx.kernel_log())
        call(*args)
        return any("nothing is counted" in line and device in line
                   for line in ctx.kernel_log()[log:])

    assert not said(disk.mount)
    assert _quota_format(disk.device) == errno.ENOSYS
    assert not said(disk.remount)
    assert said(disk.remount, 0, "grpquota")
    assert not said(disk.remount)
    disk.umount()
    for options in ("usrquota", "grpquota", "quota", "usrquota,grpquota"):
        assert said(disk.mount, options), options
        assert _quota_format(disk.device) == errno.ENOSYS
        assert {"usrquota", "grpquota"} & set(disks.shown_options(disk.point)), options
        disk.umount()
    assert not said(disk.mount, "noquota")
    disk.finish()
