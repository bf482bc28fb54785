# SPDX-License-Identifier: GPL-2.0
"""Two mounted filesystems that had the same done to them: what differs.

Compared: names in the order of the directory, with their cookies and types;
every field of stat(2) but the inode's number and the device; which names are one
inode; the flags of chattr(1); extended attributes; targets of symbolic links; where in a file there are blocks; contents, byte
by byte; counts of statfs(2).

Inode and block numbers are policy (the first directories go to groups chosen by
chance) and are not compared. Times may differ by as much as the one filesystem
was later than the other when the change was made: `slack`, in seconds.
"""

import fcntl
import os
import stat
import struct

import lowlevel

_GETFLAGS = 0x80086601
CHUNK = 1 << 18
SPARSE = 4 << 20  # holes of bigger files are read at their edges only


def describe(info):
    """The fields of stat(2) that two drivers must agree on, times apart."""
    fields = {"mode": oct(info.st_mode), "nlink": info.st_nlink, "uid": info.st_uid,
              "gid": info.st_gid, "size": info.st_size, "blocks": info.st_blocks,
              "blksize": info.st_blksize}
    if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        fields["rdev"] = info.st_rdev
    return fields


def times(info):
    """Nanoseconds, so that nothing is hidden by rounding."""
    return {"mtime": info.st_mtime_ns, "ctime": info.st_ctime_ns,
            "atime": info.st_atime_ns}


def stats_differ(one, two, slack, without=()):
    """{field: (one, two)} of two stat results."""
    left, right = describe(one), describe(two)
    found = {key: (left[key], right[key]) for key in left
             if left[key] != right.get(key) and key not in without}
    left, right = times(one), times(two)
    for key in left:
        if key not in without and abs(left[key] - right[key]) > slack * 10**9:
            found[key] = (left[key], right[key])
    return found


def statfs(point):
    """Counts and sizes of statvfs(3), by name."""
    info = os.statvfs(point)
    return {key: getattr(info, key) for key in (
        "f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files",
        "f_ffree", "f_favail", "f_namemax", "f_flag")}


def extents(fd):
    """The logical ranges of a file that have blocks, joined: [[start, end]]."""
    found = []
    start = 0
    while True:
        more = lowlevel.fiemap(fd, start, flags=lowlevel.FIEMAP_FLAG_SYNC)
        for logical, _, length, _ in more:
            if found and found[-1][1] == logical:
                found[-1][1] = logical + length
            else:
                found.append([logical, logical + length])
        if not more or more[-1][3] & 1:  # FIEMAP_EXTENT_LAST
            return found
        start = found[-1][1]


def _windows(size, ranges):
    """The parts of a file to read: all, or of a big one what has blocks, a page on
    both sides of it and the end."""
    if size <= SPARSE:
        return [[0, size]]
    found = []
    for start, end in [*ranges, [size, size]]:
        start, end = max(0, start - 4096), min(size, end + 4096)
        if found and start <= found[-1][1]:
            found[-1][1] = max(end, found[-1][1])
        else:
            found.append([start, end])
    return found


def same_bytes(one, two):
    """None, or what is the first difference of two files."""
    fds = []
    try:
        for path in (one, two):
            fds.append(os.open(path, os.O_RDONLY | os.O_NOATIME))
        ranges = [extents(fd) for fd in fds]
        if ranges[0] != ranges[1]:
            return f"blocks at {ranges[0]} and {ranges[1]}"
        for offset, end in _windows(os.fstat(fds[0]).st_size, ranges[0]):
            while offset < end:
                pieces = [os.pread(fd, min(CHUNK, end - offset), offset) for fd in fds]
                if pieces[0] != pieces[1]:
                    at = next((i for i, pair in enumerate(zip(*pieces))
                               if pair[0] != pair[1]), min(map(len, pieces)))
                    return (f"other bytes from {offset + at} on: "
                            f"{pieces[0][at:at + 8].hex()} and "
                            f"{pieces[1][at:at + 8].hex()}")
                if not pieces[0]:
                    return f"the end of the file at {offset}"
                offset += len(pieces[0])
        return None
    finally:
        for fd in fds:
            os.close(fd)


def attributes(path):
    """The extended attributes of what a name is; what it says if there are none."""
    try:
        return {name: os.getxattr(path, name, follow_symlinks=False)
                for name in os.listxattr(path, follow_symlinks=False)}
    except OSError as error:
        return error.errno


def flags(fd):
    """FS_IOC_GETFLAGS of an open file."""
    return struct.unpack("<I", fcntl.ioctl(fd, _GETFLAGS, bytes(4)))[0]


def _flags_of(path):
    """The flags of a file or directory; what it says if it has none."""
    fd = os.open(path, os.O_RDONLY | os.O_NOATIME)
    try:
        return flags(fd)
    except OSError as error:
        return error.errno
    finally:
        os.close(fd)


def _listing(path):
    return [(entry.name, entry.kind, entry.cookie)
            for entry in lowlevel.list_directory(path)]


class _Comparison:
    """One walk through both trees."""

    def __init__(self, roots, slack, without):
        self._roots = roots
        self._slack = slack
        self._without = without
        self._inodes = ({}, {})
        self.found = []

    def walk(self):
        pending = [""]
        while pending:
            folder = pending.pop()
            for name in self._directory(folder):
                path = os.path.join(folder, name)
                if self._inode(path):
                    pending.append(path)
        return self.found

    def _directory(self, folder):
        one, two = (_listing(os.path.join(root, folder)) for root in self._roots)
        if one != two:
            self.found.append(f"/{folder}: entries {one}\n  and {two}")
        names = {name for name, _, _ in one} & {name for name, _, _ in two}
        return sorted(os.fsdecode(name) for name in names - {b".", b".."})

    def _inode(self, path):
        """Compare one name; True for a directory on both sides."""
        paths = [os.path.join(root, path) for root in self._roots]
        infos = [os.lstat(entry) for entry in paths]
        for key, pair in stats_differ(*infos, self._slack, self._without).items():
            self.found.append(f"/{path}: {key} {pair[0]} and {pair[1]}")
        named = [attributes(entry) for entry in paths]
        if named[0] != named[1]:
            self.found.append(f"/{path}: attributes {named[0]} and {named[1]}")
        first = [known.setdefault(info.st_ino, path)
                 for known, info in zip(self._inodes, infos)]
        if first[0] != first[1]:
            self.found.append(f"/{path}: the same inode as {first[0]} and {first[1]}")
        modes = [stat.S_IFMT(info.st_mode) for info in infos]
        if modes[0] != modes[1]:
            return False
        if modes[0] in (stat.S_IFREG, stat.S_IFDIR) and first[0] == path:
            marks = [_flags_of(entry) for entry in paths]
            if marks[0] != marks[1]:
                self.found.append(f"/{path}: flags {marks[0]:#x} and {marks[1]:#x}")
        if modes[0] == stat.S_IFREG and first[0] == path:
            what = same_bytes(*paths)
            if what:
                self.found.append(f"/{path}: {what}")
        if modes[0] == stat.S_IFLNK:
            targets = [os.readlink(entry) for entry in paths]
            if targets[0] != targets[1]:
                self.found.append(f"/{path}: links to {targets[0]} and {targets[1]}")
        return modes[0] == stat.S_IFDIR


def trees(one, two, slack, without=()):
    """What differs between the trees under two directories, a list of texts."""
    return _Comparison((one, two), slack, without).walk()
