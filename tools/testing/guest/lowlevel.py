# SPDX-License-Identifier: GPL-2.0
"""System calls whose answers are compared and that Python has not, or hides
details of: getdents64, statx, syncfs, fiemap, FIBMAP, file handles.

Leaves out: everything but x86_64 and arm64.
"""

import ctypes
import fcntl
import os
import struct
from typing import NamedTuple

from sysapi import call_number, check, libc

_SYS_GETDENTS64 = call_number(217, 61)
_SYS_STATX = call_number(332, 291)

_FIBMAP = 1
_FS_IOC_FIEMAP = 0xC020660B
FIEMAP_FLAG_SYNC = 1


class Entry(NamedTuple):
    """What getdents64 says of a directory entry; cookie is of the next one."""

    ino: int
    cookie: int
    kind: int
    name: bytes


def getdents(fd, size=32768):
    """One call of getdents64: a list of entries, empty at the end."""
    buffer = ctypes.create_string_buffer(size)
    length = check(libc.syscall(_SYS_GETDENTS64, fd, buffer, size))
    entries, at = [], 0
    while at < length:
        ino, cookie, reclen, kind = struct.unpack_from("<QqHB", buffer, at)
        name = buffer.raw[at + 19:at + reclen].split(b"\0", 1)[0]
        entries.append(Entry(ino, cookie, kind, name))
        at += reclen
    return entries


def list_directory(path, size=32768, start=None):
    """All entries of a directory, from a cookie on."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if start is not None:
            os.lseek(fd, start, os.SEEK_SET)
        found = []
        while more := getdents(fd, size):
            found += more
        return found
    finally:
        os.close(fd)


def statx(path):
    """The fields of statx(2) without the device, as a tuple; no link followed."""
    buffer = ctypes.create_string_buffer(256)
    check(libc.syscall(_SYS_STATX, -100, os.fsencode(path), 0x100, 0xFFF, buffer),
           path)
    # up to the device of the filesystem, then what is behind it
    return buffer.raw[:136]


def syncfs(path):
    """Write everything of the filesystem that has `path`; errors are told."""
    fd = os.open(path, os.O_RDONLY)
    try:
        check(libc.syncfs(fd), path)
    finally:
        os.close(fd)


def fibmap(fd, block):
    """Physical block of a block of the file; 0 is a hole."""
    return struct.unpack("i", fcntl.ioctl(fd, _FIBMAP, struct.pack("i", block)))[0]


def fiemap(fd, start=0, length=2 ** 64 - 1, flags=0, room=256):
    """[(logical, physical, length, flags)] in bytes."""
    head = struct.pack("<QQIIII", start, length, flags, 0, room, 0)
    buffer = bytearray(head + bytes(56 * room))
    fcntl.ioctl(fd, _FS_IOC_FIEMAP, buffer)
    count = struct.unpack_from("<I", buffer, 20)[0]
    extents = []
    for number in range(count):
        logical, physical, size = struct.unpack_from("<QQQ", buffer, 32 + 56 * number)
        mark = struct.unpack_from("<I", buffer, 32 + 56 * number + 40)[0]
        extents.append((logical, physical, size, mark))
    return extents


class Handle(NamedTuple):
    """A file handle as name_to_handle_at(2) gives it."""

    kind: int
    data: bytes


def name_to_handle(path):
    """The handle of a file."""
    buffer = ctypes.create_string_buffer(struct.pack("<Ii", 128, 0) + bytes(128), 136)
    mount = ctypes.c_int()
    check(libc.name_to_handle_at(-100, os.fsencode(path), buffer,
                                   ctypes.byref(mount), 0), path)
    size, kind = struct.unpack_from("<Ii", buffer)
    return Handle(kind, buffer.raw[8:8 + size])


def open_handle(mount_fd, handle, flags=os.O_RDONLY):
    """Open what a handle stands for; a descriptor."""
    buffer = ctypes.create_string_buffer(
        struct.pack("<Ii", len(handle.data), handle.kind) + handle.data)
    return check(libc.open_by_handle_at(mount_fd, buffer, flags))


def sync_data(fd, offset=0, length=0):
    """Write the pages of a file, or some, and wait for them, and nothing else:
    sync_file_range(2)."""
    check(libc.sync_file_range(fd, ctypes.c_int64(offset), ctypes.c_int64(length), 7))


def error_of(call, *args, **named):
    """(result, 0), or (None, errno) of an OSError."""
    try:
        return call(*args, **named), 0
    except OSError as error:
        return None, error.errno
