# SPDX-License-Identifier: GPL-2.0
"""Operations on a filesystem as plain tuples, ("write", "d1/f", 100, 5000, 7), so
that the same can be done on two filesystems, printed, and done again.

Each answers with something that two filesystems must agree on: how many bytes
were written, a checksum of what was read, an errno. Data depends on a number in
the operation only.

Leaves out: which operations make sense when; workload.py decides that.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import random
import stat
import struct
import zlib

import compare
import lowlevel
import sysapi

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
RENAME_WHITEOUT = 4
_SETFLAGS = 0x40086602
_GETVERSION, _SETVERSION = 0x80087601, 0x40087602


def data(seed, length):
    """Bytes that depend on the seed; different from page to page."""
    return random.Random(seed).randbytes(length)


def _rename2(source, target, flags):
    sysapi.check(sysapi.libc.renameat2(
        -100, os.fsencode(source), -100, os.fsencode(target), flags))


class Actor:
    """Does operations below one directory; keeps descriptors in slots."""

    def __init__(self, root):
        self.root = root
        self.slots = {}

    def do(self, op):
        """(answer, errno) of an operation."""
        try:
            return getattr(self, "op_" + op[0])(*op[1:]), 0
        except OSError as error:
            return None, errno.errorcode.get(error.errno, error.errno)

    def close(self):
        for fd in self.slots.values():
            os.close(fd)
        self.slots.clear()

    def path(self, name):
        return os.path.join(self.root, name)

    def _opened(self, name, flags, call):
        fd = os.open(self.path(name), flags | os.O_NONBLOCK)  # a FIFO has no peer
        try:
            return call(fd)
        finally:
            os.close(fd)

    # files

    def op_create(self, name, mode):
        os.close(os.open(self.path(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))

    def op_write(self, name, offset, length, seed):
        return self._opened(name, os.O_WRONLY,
                            lambda fd: os.pwrite(fd, data(seed, length), offset))

    def op_write_sync(self, name, offset, length, seed):
        return self._opened(name, os.O_WRONLY | os.O_SYNC,
                            lambda fd: os.pwrite(fd, data(seed, length), offset))

    def op_append(self, name, length, seed):
        return self._opened(name, os.O_WRONLY | os.O_APPEND,
                            lambda fd: os.write(fd, data(seed, length)))

    def op_write_direct(self, name, offset, length, seed):
        """O_DIRECT, from memory that is aligned as it asks for."""
        with mmap.mmap(-1, length) as area:
            area[:] = data(seed, length)
            return self._opened(name, os.O_WRONLY | os.O_DIRECT,
                                lambda fd: os.pwrite(fd, area, offset))

    def op_read_direct(self, name, offset, length):
        """Without the time of access, which rust_ext2 sets for direct reads, too, and C ext2
        forgets."""
        with mmap.mmap(-1, length) as area:
            count = self._opened(name, os.O_RDONLY | os.O_DIRECT | os.O_NOATIME,
                                 lambda fd: os.preadv(fd, [area], offset))
            return count, zlib.crc32(area[:count])

    def op_map_write(self, name, offset, length, seed, how):
        """Through a shared mapping; `how` is "sync" or "later"."""

        def change(fd):
            end = min(offset + length, os.fstat(fd).st_size)
            if end <= offset:
                return 0
            start = offset // mmap.PAGESIZE * mmap.PAGESIZE
            with mmap.mmap(fd, end - start, offset=start) as area:
                area[offset - start:] = data(seed, end - offset)
                if how == "sync":
                    area.flush()
            return end - offset

        return self._opened(name, os.O_RDWR, change)

    def op_copy(self, source, target, offset, length):
        """sendfile(2) into a file: splice_write below."""

        def out(target_fd):
            os.lseek(target_fd, offset, os.SEEK_SET)
            return self._opened(
                source, os.O_RDONLY,
                lambda fd: os.sendfile(target_fd, fd, 0, length))

        return self._opened(target, os.O_WRONLY, out)

    def op_read(self, name, offset, length):
        got = self._opened(name, os.O_RDONLY, lambda fd: os.pread(fd, length, offset))
        return len(got), zlib.crc32(got)

    def op_truncate(self, name, size):
        os.truncate(self.path(name), size)

    def op_falloc(self, name, mode, offset, length):
        """fallocate(2) with a mode: ext2 has none."""

        def call(fd):
            sysapi.check(sysapi.libc.fallocate(
                fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))

        return self._opened(name, os.O_RDWR, call)

    def op_seek(self, name, offset, whence):
        return self._opened(name, os.O_RDONLY,
                            lambda fd: os.lseek(fd, offset, whence))

    def op_extents(self, name):
        """The logical ranges that have blocks, joined; where is policy."""
        return self._opened(name, os.O_RDONLY, compare.extents)

    def op_fsync(self, name):
        self._opened(name, os.O_RDONLY, os.fsync)

    def op_fdatasync(self, name):
        self._opened(name, os.O_RDONLY, os.fdatasync)

    # descriptors that stay open, also when the name goes

    def op_open(self, slot, name):
        self.op_close(slot)
        self.slots[slot] = os.open(self.path(name), os.O_RDWR | os.O_NONBLOCK)

    def op_close(self, slot):
        if slot in self.slots:
            os.close(self.slots.pop(slot))

    def _slot(self, slot):
        if slot not in self.slots:
            raise OSError(errno.EBADF, "no such slot")
        return self.slots[slot]

    def op_slot_write(self, slot, offset, length, seed):
        return os.pwrite(self._slot(slot), data(seed, length), offset)

    def op_slot_truncate(self, slot, size):
        os.ftruncate(self._slot(slot), size)

    def op_slot_read(self, slot, offset, length):
        return zlib.crc32(os.pread(self._slot(slot), length, offset))

    def op_slot_stat(self, slot):
        info = os.fstat(self._slot(slot))
        return info.st_size, info.st_nlink, oct(info.st_mode)

    def op_slot_fsync(self, slot):
        os.fsync(self._slot(slot))

    def op_tmpfile(self, slot, folder, mode):
        self.op_close(slot)
        self.slots[slot] = os.open(self.path(folder), os.O_TMPFILE | os.O_RDWR, mode)

    def op_slot_link(self, slot, name):
        """Give a name to what has none: linkat(2) with AT_SYMLINK_FOLLOW."""
        fd = self._slot(slot)
        # with a directory's descriptor, or else Python calls link(2)
        os.link(f"/proc/self/fd/{fd}", self.path(name), src_dir_fd=fd)

    # names

    def op_unlink(self, name):
        os.unlink(self.path(name))

    def op_link(self, name, new):
        os.link(self.path(name), self.path(new), follow_symlinks=False)

    def op_rename(self, name, new):
        os.rename(self.path(name), self.path(new))

    def op_rename2(self, name, new, flags):
        _rename2(self.path(name), self.path(new), flags)

    def op_mkdir(self, name, mode):
        os.mkdir(self.path(name), mode)

    def op_rmdir(self, name):
        os.rmdir(self.path(name))

    def op_symlink(self, name, target):
        os.symlink(target, self.path(name))

    def op_readlink(self, name):
        return os.readlink(self.path(name))

    def op_mknod(self, name, mode, device):
        os.mknod(self.path(name), mode, device)

    def op_list(self, name):
        return [(entry.name, entry.kind)
                for entry in lowlevel.list_directory(self.path(name), size=1024)]

    def op_fsync_dir(self, name):
        self._opened(name, os.O_RDONLY | os.O_DIRECTORY, os.fsync)

    # attributes

    def op_chmod(self, name, mode):
        os.chmod(self.path(name), mode)

    def op_chown(self, name, uid, gid):
        os.lchown(self.path(name), uid, gid)

    def op_utime(self, name, atime, mtime):
        os.utime(self.path(name), ns=(atime, mtime), follow_symlinks=False)

    # extended attributes, of what a name is

    def op_set_attribute(self, name, attribute, length, seed, flags=0):
        """A small `seed` gives the same value to many files."""
        os.setxattr(self.path(name), attribute, data(seed, length), flags,
                    follow_symlinks=False)

    def op_set_list(self, name, attribute, value):
        """An access control list, or anything else that is given as it is."""
        os.setxattr(self.path(name), attribute, value, follow_symlinks=False)

    def op_remove_attribute(self, name, attribute):
        os.removexattr(self.path(name), attribute, follow_symlinks=False)

    def op_get_attribute(self, name, attribute):
        return os.getxattr(self.path(name), attribute, follow_symlinks=False)

    def op_list_attributes(self, name):
        return sorted(os.listxattr(self.path(name), follow_symlinks=False))

    # ioctl(2)

    def op_get_flags(self, name):
        """FS_IOC_GETFLAGS: a new file has its directory's inheritable flags."""
        return self._opened(name, os.O_RDONLY, compare.flags)

    def op_set_flags(self, name, flags):
        """FS_IOC_SETFLAGS; what they are then."""

        def call(fd):
            fcntl.ioctl(fd, _SETFLAGS, struct.pack("<I", flags))
            return compare.flags(fd)

        return self._opened(name, os.O_RDONLY, call)

    def op_get_version(self, name):
        """FS_IOC_GETVERSION; that of a new inode is chance."""
        return self._opened(name, os.O_RDONLY, lambda fd: struct.unpack(
            "<I", fcntl.ioctl(fd, _GETVERSION, bytes(4)))[0])

    def op_set_version(self, name, version):
        """FS_IOC_SETVERSION; what it is then."""

        def call(fd):
            fcntl.ioctl(fd, _SETVERSION, struct.pack("<I", version))
            return struct.unpack("<I", fcntl.ioctl(fd, _GETVERSION, bytes(4)))[0]

        return self._opened(name, os.O_RDONLY, call)

    def op_lstat(self, name):
        info = os.lstat(self.path(name))
        return stat.S_IFMT(info.st_mode), info.st_size if not stat.S_ISDIR(
            info.st_mode) else None


def paths_of(op):
    """The names in an operation, and the directories that they are in."""
    kind = op[0]
    if kind in ("rename", "rename2", "link", "copy"):
        names = [op[1], op[2]]
    elif kind == "slot_link" or kind == "open" or kind == "tmpfile":
        names = [op[2]]
    elif kind.startswith("slot_") or kind == "close":
        names = []
    else:
        names = [op[1]]
    return sorted({part for name in names
                   for part in (name, os.path.dirname(name))} | {""})
