# SPDX-License-Identifier: GPL-2.0
"""File handles (E12): those of C ext2, good for as long as the file is there.

A handle has the inode's number and its generation; knfsd makes the same ones.
"""

import errno
import os
import struct

import disks
import lowlevel
import sides
import sysapi
from lowlevel import error_of
from test_file_io import MOUNTED
from test_twin import no_flusher

FILES = ("", "plain", "one", "one/entry", "hundred/029", "link-60", "link-61",
         "fifo", "char-big", "hard-link", "deep/a/b/c", "immutable")


def _open(mount, handle, flags=os.O_RDONLY):
    """(what is behind a handle, errno)."""
    fd, number = error_of(lowlevel.open_handle, mount, handle, flags)
    if number:
        return None, number
    try:
        info = os.fstat(fd)
        data = os.pread(fd, 100, 0) if flags == os.O_RDONLY and \
            info.st_mode & 0o170000 == 0o100000 else b""
        return (info.st_ino, info.st_mode, info.st_nlink, data), 0
    finally:
        os.close(fd)


def _with(handle, ino=None, generation=None):
    """A handle with other numbers in it."""
    now = struct.unpack_from("<II", handle.data)
    ino = now[0] if ino is None else ino
    generation = now[1] if generation is None else generation
    return handle._replace(data=struct.pack("<II", ino, generation) + handle.data[8:])


def test_handles(ctx):
    """The same handles as in C; each opens its file, also from a cold cache."""
    pair = sides.both(ctx, "tree-i128")
    handles = [[lowlevel.name_to_handle(side.path(name)) for name in FILES]
               for side in pair]
    assert handles[0] == handles[1], f"{handles[1]}, in C {handles[0]}"
    ctx.drop_caches()
    for side in pair:
        mount = os.open(side.point, os.O_RDONLY)
        try:
            for name, handle in zip(FILES, handles[1]):
                info = os.lstat(side.path(name))
                found, number = _open(mount, handle, os.O_PATH)
                assert number == 0 and found[0] == info.st_ino, (name, found, number)
            ctx.drop_caches()
            found, number = _open(mount, handles[1][FILES.index("one/entry")])
            assert (found[3], number) == (b"1", 0), (found, number)
        finally:
            os.close(mount)


def test_stale_handles(ctx):
    """Another generation, no such inode, a deleted or a reserved one: ESTALE."""
    pair = sides.both(ctx, "tree-i128")
    answers = []
    for side in pair:
        handle = lowlevel.name_to_handle(side.path("plain"))
        ino, generation = struct.unpack_from("<II", handle.data)
        assert generation == 0x12345678
        root = lowlevel.name_to_handle(side.point)
        files = os.statvfs(side.point).f_files
        mount = os.open(side.point, os.O_RDONLY)
        try:
            cases = {
                "sound": handle,
                "generation 0 is any": _with(handle, generation=0),
                "generation": _with(handle, generation=generation + 1),
                "no such inode": _with(handle, ino=files + 1),
                "inode -1": _with(handle, ino=0xFFFFFFFF),
                "inode 0": _with(handle, ino=0),
                "free inode": _with(handle, ino=files, generation=0),
                "reserved inode": _with(handle, ino=5),
                "root": root,
                "root, another generation": _with(root, generation=99),
                "too short": handle._replace(data=handle.data[:4]),
                "unknown type": handle._replace(kind=77),
            }
            answers.append({name: _open(mount, one, os.O_PATH)
                            for name, one in cases.items()})
        finally:
            os.close(mount)
    assert answers[0] == answers[1], f"{answers[1]}, in C {answers[0]}"
    ours = answers[1]
    assert ours["sound"][0][0] == ino and ours["root"][0][0] == 2
    for name in ("generation", "no such inode", "free inode", "reserved inode"):
        assert ours[name] == (None, errno.ESTALE), f"{name}: {ours[name]}"


def test_parents(ctx):
    """A directory from its handle, cold: its path is found through "..", for
    which all its parents must be."""
    for side in sides.both(ctx, "tree-i128"):
        handle = lowlevel.name_to_handle(side.path("deep/a/b/c"))
        ctx.drop_caches()
        mount = os.open(side.point, os.O_RDONLY)
        try:
            fd = lowlevel.open_handle(mount, handle, os.O_RDONLY | os.O_DIRECTORY)
            path = os.readlink(f"/proc/self/fd/{fd}")
            os.close(fd)
        finally:
            os.close(mount)
        assert path == side.path("deep/a/b/c"), f"{side.fstype}: {path}"


def _committed(ctx, path):
    """What knfsd does behind a change that it made for a client."""
    ctx.load(MOUNTED, f"path={path} commit=1")
    sysapi.rmmod(MOUNTED)


def test_server_has_names_on_the_medium(ctx):
    """What a server has told its client is there when the power goes: a name, and a mode that
    the flusher has brought to the inode's block, but not that to the disk."""
    disk = disks.Disk(ctx, "blank-4k").mount()
    with no_flusher():
        os.mkdir(disk.where("folder"))
        os.close(os.open(disk.where("folder/name"), os.O_CREAT | os.O_WRONLY, 0o640))
        _committed(ctx, disk.where("folder"))
        _committed(ctx, disk.where("folder/name"))
        path = os.path.join(ctx.tmp, "crash")
        with open(disk.path, "rb") as source, open(path, "wb") as target:
            target.write(source.read())
    disk.finish()
    status, text = disks.fsck(ctx, path, "-fy")
    assert status in (0, 1), text
    point = ctx.mount(path, disk.fstype)
    assert os.stat(os.path.join(point, "folder/name")).st_mode & 0o777 == 0o640
    ctx.umount(point)
