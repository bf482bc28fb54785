# SPDX-License-Identifier: GPL-2.0
"""Quota by quotactl(2): its files, what is counted, and what should be."""

import ctypes
import os
import struct

import disks
import sysapi

USER, GROUP = 0, 1
KINDS = (USER, GROUP)
FILES = ("aquota.user", "aquota.group")
OPTIONS = "usrquota,grpquota,user_xattr"
VFSOLD, VFSV0, VFSV1 = 1, 2, 4

Q_SYNC, Q_ON, Q_OFF, Q_GETFMT, Q_GETINFO, Q_SETINFO, Q_GET, Q_SET, Q_GETNEXT = (
    0x800001, 0x800002, 0x800003, 0x800004, 0x800005, 0x800006, 0x800007, 0x800008,
    0x800009)
_QUOTACTL = sysapi.call_number(179, 60)
_MAGICS = (0xD9C01F11, 0xD9C01927)
_BLOCK = 1024  # of a quota file, and the unit of limits
_WEEK = 7 * 24 * 3600
_BLOCK_LIMITS, _SPACE, _INODE_LIMITS, _INODES, _BLOCK_TIME = 1, 2, 4, 8, 16
_FIELDS = struct.Struct("<8QI")
_NEXT_FIELDS = struct.Struct("<8QII")


def call(command, kind, device, number=0, data=None):
    """quotactl(2); OSError if it fails."""
    sysapi.check(sysapi.libc.syscall(
        _QUOTACTL, ctypes.c_int(command << 8 | kind), device.encode(),
        ctypes.c_int(number), data))


def load(ctx):
    """Have the kernel know the format of quota files."""
    ctx.load("quota_v2")


def make_file(path, kind, form=VFSV1):
    """A quota file in which nobody is."""
    head = struct.pack("<2I6I", _MAGICS[kind], form == VFSV1, _WEEK, _WEEK, 0, 2, 0, 0)
    with open(path, "wb") as file:
        # of the old format it is an entry for each number, from 0 on
        file.write(bytes(40) if form == VFSOLD else head.ljust(2 * _BLOCK, b"\0"))


def turn_on(disk, kinds=KINDS, form=VFSV1):
    """Turn quota on, with new files if there are none, in which everybody has what is
    there."""
    new = []
    for kind in kinds:
        if not os.path.exists(disk.where(FILES[kind])):
            make_file(disk.where(FILES[kind]), kind, form)
            new.append(kind)
    for kind in kinds:
        call(Q_ON, kind, disk.device, form, disk.where(FILES[kind]).encode())
    there = counted(disk.point) if new else {}
    for (kind, number), (size, inodes) in there.items():
        if kind in new:
            put(disk, kind, number, _SPACE | _INODES, size=size, inodes=inodes)


def turn_off(disk, kinds=KINDS):
    for kind in kinds:
        call(Q_OFF, kind, disk.device)


def put(disk, kind, number, valid, block_limits=(0, 0), inode_limits=(0, 0), size=0,
        inodes=0, block_time=0):
    """Q_SETQUOTA of what `valid` says. Limits are (soft, hard)."""
    data = _FIELDS.pack(block_limits[1], block_limits[0], size, inode_limits[1],
                        inode_limits[0], inodes, block_time, 0, valid)
    call(Q_SET, kind, disk.device, number, ctypes.create_string_buffer(data, 80))


def limit(disk, kind, number, blocks=(0, 0), inodes=(0, 0)):
    """Limits, (soft, hard): of KiB, and of inodes; 0 is none."""
    put(disk, kind, number, _BLOCK_LIMITS | _INODE_LIMITS, blocks, inodes)


def end_grace(disk, kind, number):
    """The time is over in which more than the soft limit of blocks may be had."""
    put(disk, kind, number, _BLOCK_TIME, block_time=1)


def get(disk, kind, number):
    """((soft, hard) KiB, (soft, hard) inodes, (bytes, inodes)) of somebody."""
    data = ctypes.create_string_buffer(80)
    call(Q_GET, kind, disk.device, number, data)
    bhard, bsoft, size, ihard, isoft, inodes, *_ = _FIELDS.unpack_from(data)
    return (bsoft, bhard), (isoft, ihard), (size, inodes)


def ends_of_grace(disk, kind, number):
    """When somebody may not have more than the soft limits any more: of blocks, inodes."""
    data = ctypes.create_string_buffer(80)
    call(Q_GET, kind, disk.device, number, data)
    return _FIELDS.unpack_from(data)[6:8]


def grace(disk, kind):
    """For how many seconds more than the soft limits may be had: of blocks, inodes."""
    data = ctypes.create_string_buffer(24)
    call(Q_GETINFO, kind, disk.device, 0, data)
    return struct.unpack_from("<QQ", data)


def set_grace(disk, kind, blocks, inodes):
    data = ctypes.create_string_buffer(struct.pack("<QQII", blocks, inodes, 0, 3), 24)
    call(Q_SETINFO, kind, disk.device, 0, data)


def usage(disk, kinds=KINDS):
    """What is counted, {(kind, number): (bytes, inodes)} of who has anything."""
    found = {}
    for kind in kinds:
        number = 0
        while True:
            data = ctypes.create_string_buffer(80)
            try:
                call(Q_GETNEXT, kind, disk.device, number, data)
            except OSError:
                break  # there is no next one
            _, _, size, _, _, inodes, _, _, _, who = _NEXT_FIELDS.unpack_from(data)
            if size or inodes:
                found[kind, who] = size, inodes
            number = who + 1
    return found


def counted(point):
    """What should be counted, by a walk through the tree."""
    found, seen = {}, set()
    names = [point]
    for folder, folders, files in os.walk(point):
        names += [os.path.join(folder, name) for name in folders + files]
    for name in names:
        info = os.lstat(name)
        if info.st_ino in seen or os.path.relpath(name, point) in FILES:
            continue
        seen.add(info.st_ino)
        for key in ((USER, info.st_uid), (GROUP, info.st_gid)):
            size, inodes = found.get(key, (0, 0))
            found[key] = size + info.st_blocks * 512, inodes + 1
    return found


def check(disk, kinds=KINDS):
    """Everybody has what is in the tree."""
    said = usage(disk, kinds)
    want = {key: value for key, value in counted(disk.point).items()
            if key[0] in kinds}
    wrong = {key: (said.get(key), want.get(key)) for key in {*said, *want}
             if said.get(key) != want.get(key)}
    assert not wrong, f"{disk}: (kind, number): (counted, in the tree): {wrong}"


def ready(ctx, image):
    """A disk that anybody can write to, mounted with quota on."""
    load(ctx)
    disk = disks.Disk(ctx, image).mount(OPTIONS)
    os.chmod(disk.point, 0o777)
    turn_on(disk)
    return disk
