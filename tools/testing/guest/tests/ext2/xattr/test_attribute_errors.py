# SPDX-License-Identifier: GPL-2.0
"""Files that share their attributes, one of which cannot be written when it has them no more: the
block counts it as long as the disk says that it has it. A superblock that cannot say that there are
attributes. A block of them that cannot be read.
"""

import errno
import os
import struct

import disks
import ext2disk
import quotas
from lowlevel import error_of
from runner import timeout
from test_metadata_lost import prepared, table_block
from test_quota_errors import TEAM, WHO, ready
from test_twin import no_flusher
from test_write_errors import Faulty

NAME = "user.value"
COMPAT, EXT_ATTR = 1024 + 92, 0x8  # s_feature_compat, in bytes of the disk, and a bit of it


def _touch(path):
    os.close(os.open(path, os.O_CREAT, 0o644))
    return os.stat(path).st_ino


def _block_of(disk, number):
    """The block of attributes of an inode, as the disk has it."""
    with open(disk.path, "rb") as file:
        file.seek(ext2disk.inode_offset(disk.path, number) + 104)
        return struct.unpack("<I", file.read(4))[0]


def _owners(disk, block):
    """How many the disk says have a block of attributes, in 1 KiB blocks."""
    with open(disk.path, "rb") as file:
        file.seek(block * 1024)
        magic, owners = struct.unpack("<II", file.read(8))
    assert magic == 0xEA020000, f"{magic:x}"
    return owners


def _loses(ctx, lose):
    """A file loses the attributes that it shares by lose(path), and cannot be written."""
    with prepared(ctx, options="errors=continue,user_xattr") as (faulty, disk):
        numbers = [_touch(disk.where(f"file{number}")) for number in range(24)]
        stays, goes = disk.where("file0"), disk.where("file20")
        for path in (stays, goes):
            os.setxattr(path, NAME, b"the same")
        disks.sync(disk.point)
        table = table_block(disk.path, ext2disk.Groups(disk.path), numbers[20])
        block = _block_of(disk, numbers[20])
        assert _block_of(disk, numbers[0]) == block and _owners(disk, block) == 2
        faulty.bad(table)
        lose(goes)
        for _ in range(2):
            error_of(disks.sync, disk.point)
            assert _block_of(disk, numbers[20]) == block, "it has been written"
            owners = _owners(disk, block)
            assert owners == 2, f"the disk says that {owners} have the attributes of 2"
        faulty.good()
        for _ in range(2):
            error_of(disks.sync, disk.point)
        assert _block_of(disk, numbers[20]) != block, "it has not been written"
        assert _owners(disk, block) == 1
        assert os.getxattr(stays, NAME) == b"the same"
        faulty.end()
        # that there was an error is said, and nothing else
        status, text = disks.fsck(ctx, disk.path, "-fy")
        assert status in (0, 1) and "reference count " not in text, text


@timeout(100)
def test_removed(ctx):
    """The attributes are removed."""
    _loses(ctx, lambda path: os.removexattr(path, NAME))


@timeout(100)
def test_changed(ctx):
    """Others take their place."""
    _loses(ctx, lambda path: os.setxattr(path, NAME, b"another"))


@timeout(100)
def test_deleted(ctx):
    """The file is deleted."""
    _loses(ctx, os.unlink)


def _says_attributes(disk):
    """Whether the superblock on the disk has `ext_attr`."""
    with open(disk.path, "rb") as file:
        file.seek(COMPAT)
        features, = struct.unpack("<I", file.read(4))
    return features & EXT_ATTR != 0


@timeout(100)
def test_first_of_a_filesystem(ctx):
    """No inode has attributes before the superblock on the disk says that there are some: who comes
    second does not rely on what the first could not write."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 waits for nothing")
    ctx.allow_log("I/O error|lost (a|)sync page write|rust_ext2 .*error")
    faulty = Faulty(ctx, "tiny-1k")
    disk = faulty.disk
    ctx.run(ctx.tool("debugfs"), "-w", "-R", "feature -ext_attr", disk.path)
    assert not _says_attributes(disk)
    with no_flusher():
        disk.mount("errors=continue,user_xattr", device=faulty.device.path)
        paths = [disk.where(f"file{number}") for number in range(3)]
        for path in paths:
            _touch(path)
        disks.sync(disk.point)
        faulty.bad(1)
        for path in paths[:2]:
            assert error_of(os.setxattr, path, NAME, b"value")[1] == errno.EIO, path
        faulty.good()
        assert not _says_attributes(disk)
        os.setxattr(paths[2], NAME, b"value")
        assert _says_attributes(disk)
        assert [os.listxattr(path) for path in paths] == [[], [], [NAME]]
    faulty.end()
    # that there was an error is said, and nothing else
    status, text = disks.fsck(ctx, disk.path, "-fy")
    assert status in (0, 1) and "i_file_acl" not in text, text


@timeout(100)
def test_asked_for_what_cannot_be_read(ctx):
    """Who asks for attributes in a bad block, or sets some, is told so; it is no reason to stop, as
    in C."""
    ctx.allow_log("I/O error|rust_ext2 .*cannot read")
    for fstype in dict.fromkeys((ctx.fstype, disks.C_FSTYPE)):
        faulty = Faulty(ctx, "tiny-1k", fstype)
        disk = faulty.disk
        disk.mount("errors=remount-ro,user_xattr,acl", device=faulty.device.path)
        path = disk.where("file")
        number = _touch(path)
        os.setxattr(path, NAME, b"value")
        disks.sync(disk.point)
        ctx.drop_caches()
        faulty.bad(_block_of(disk, number))
        for call, *more in ((os.getxattr, NAME), (os.listxattr,), (os.setxattr, NAME, b"new"),
                            (os.removexattr, NAME)):
            assert error_of(call, path, *more)[1] == errno.EIO, f"{fstype}: {call.__name__}"
        _touch(disk.where("another"))
        faulty.good()
        assert os.getxattr(path, NAME) == b"value"
        faulty.finish()


@timeout(100)
def test_cannot_be_read(ctx):
    """A file is deleted whose attributes cannot be read. Its owners are counted to have nothing of
    it; in C they have the block for ever."""
    with no_flusher():
        faulty, disk = ready(ctx, ",user_xattr")
        path = disk.where("file")
        number = _touch(path)
        os.chown(path, WHO, TEAM)
        os.setxattr(path, NAME, b"value")
        disks.sync(disk.point)
        assert quotas.get(disk, quotas.USER, WHO)[2] == (1024, 1)
        ctx.drop_caches()
        faulty.bad(_block_of(faulty.disk, number))
        free = os.statvfs(disk.point).f_bfree
        os.unlink(path)
        assert os.statvfs(disk.point).f_bfree == free, "it has been read"
        for kind, who in zip(quotas.KINDS, (WHO, TEAM)):
            assert quotas.get(disk, kind, who)[2] == (0, 0), kind
        faulty.good()
    faulty.end()
