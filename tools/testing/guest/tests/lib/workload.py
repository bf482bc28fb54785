# SPDX-License-Identifier: GPL-2.0
"""A random workload: which operation comes next, from a seed and from what the
operations so far have left.

The tree is kept as names and kinds only; an operation is mostly on names that are
there, sometimes on ones that are not, and some are meant to fail.
"""

import os
import random
import stat
import struct

import ops

SLOTS = 3
MAX_NAMES = 120

_WEIGHTS = {
    "create": 12, "write": 24, "append": 12, "write_sync": 3, "write_direct": 4,
    "read_direct": 2, "map_write": 10, "copy": 3, "read": 6, "truncate": 12,
    "falloc": 1, "seek": 3, "extents": 3, "fsync": 5, "fdatasync": 2, "open": 8,
    "close": 3, "slot_write": 5, "slot_truncate": 2, "slot_read": 2, "slot_stat": 2,
    "slot_fsync": 1, "tmpfile": 2, "slot_link": 2, "unlink": 9, "link": 6,
    "rename": 14, "rename2": 4, "mkdir": 7, "rmdir": 4, "symlink": 5, "readlink": 2,
    "mknod": 2, "list": 3, "fsync_dir": 1, "chmod": 4, "chown": 4, "utime": 10,
    "many": 1,
    "sync": 2, "drop_caches": 2, "remount": 1, "mount_again": 1, "compare": 1,
}


# added to those, of ext2 only: flags and versions
IOCTLS = {"get_flags": 2, "set_flags": 6, "set_version": 2}
# and where attributes are what it is about
ATTRIBUTES = {
    "set_attribute": 40, "remove_attribute": 14, "get_attribute": 6,
    "list_attributes": 8, "set_list": 25, "remove_list": 8,
}
_NAMES = ("user.a", "user.b", "user.name", "user." + "n" * 100, "trusted.t",
          "security.s", "user.", "other.x")
_LISTS = ("system.posix_acl_access", "system.posix_acl_default")
# of FS_IOC_SETFLAGS: writes are waited for, no times of access, not for dump(8), changes of
# a directory are waited for, a directory at the top, and none
_FLAGS = (0x8, 0x80, 0x40, 0x10000, 0x20000, 0, 0)
_IMMUTABLE, _APPEND = 0x10, 0x20


def acl(*entries):
    """An access control list as setxattr(2) takes it: (tag, permissions, number)."""
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, permissions, *(number or [0xFFFFFFFF]))
        for tag, permissions, *number in entries)


class Workload:
    """Gives operations; is told which of them worked."""

    def __init__(self, seed, block_size, more=None):
        self._weights = {**_WEIGHTS, **(more or {})}
        self._rng = random.Random(seed)
        self._block = block_size
        self._kinds = {"": "dir"}
        self._sizes = {}
        self._count = 0
        self._queue = []

    def next(self):
        """The next operation."""
        if self._queue:
            return self._queue.pop(0)
        self._count += 1
        if len(self._kinds) > MAX_NAMES:
            return self._remove()
        kind = self._rng.choices(list(self._weights), self._weights.values())[0]
        return getattr(self, "_" + kind, lambda: (kind,))()

    # names

    def _some(self, *kinds):
        """A name of one of the kinds; rarely one that is not of them."""
        rng = self._rng
        if rng.random() < 0.03:
            return rng.choice(sorted(self._kinds))
        found = [name for name, kind in sorted(self._kinds.items()) if kind in kinds]
        return rng.choice(found) if found else self._fresh()

    def _fresh(self, long=False):
        """A name that is not there, in a directory that is."""
        rng = self._rng
        folder = rng.choice([name for name, kind in sorted(self._kinds.items())
                             if kind == "dir" and name.count("/") < 4])
        if rng.random() < 0.02:
            return self._some("dir", "file", "link", "node")
        base = f"{rng.choice('abcdefgh')}{self._count}"
        if long or rng.random() < 0.2:
            base = (base + "-" * 255)[:rng.choice((12, 60, 120, 200, 254, 255))]
        elif rng.random() < 0.01:
            base = (base + "x" * 256)[:256]
        return os.path.join(folder, base)

    def _file(self):
        return self._some("file")

    def _slot(self):
        return self._rng.randrange(SLOTS)

    # offsets and lengths: mostly small, at edges of blocks and of the tree

    def _offset(self, name=None):
        rng, block = self._rng, self._block
        per = block // 4
        way = rng.random()
        if way < 0.4 and name in self._sizes:
            return rng.randrange(self._sizes[name] + 1)
        if way < 0.7:
            return rng.randrange(20 * block)
        edge = rng.choice((0, 1, 11, 12, 13, 12 + per, 12 + per + 1, 12 + 2 * per))
        if way > 0.97:
            edge = rng.choice((12 + per + per * per - 1, 12 + per + per * per,
                               per * per + 2 * per + 12))
        return max(0, edge * block + rng.choice((-1, 0, 0, 1, -block, block // 2)))

    def _length(self):
        rng = self._rng
        return rng.choice((1, 17, 100, 512, self._block - 1, self._block,
                           self._block + 1, 4096, 5000, 8192, 12288,
                           rng.randrange(1, 20_000), rng.randrange(1, 60_000)))

    def _seed(self):
        return self._rng.randrange(1 << 30)

    # operations

    def _owner(self):
        return self._some("file", "file", "dir", "dir", "link", "node")

    def _set_attribute(self):
        rng = self._rng
        length = rng.choice((0, 1, 3, 8, 60, 300, self._block // 2, self._block - 60,
                             self._block, self._block + 1))
        return ("set_attribute", self._owner(), rng.choice(_NAMES), length, rng.randrange(3),
                rng.choice((0, 0, 0, os.XATTR_CREATE, os.XATTR_REPLACE)))

    def _remove_attribute(self):
        return ("remove_attribute", self._owner(), self._rng.choice(_NAMES))

    def _get_attribute(self):
        return ("get_attribute", self._owner(), self._rng.choice(_NAMES + _LISTS))

    def _list_attributes(self):
        return ("list_attributes", self._owner())

    def _set_list(self):
        rng = self._rng
        named = [(tag, rng.randrange(8), rng.choice((1, 1000)))
                 for tag in (2, 8) if rng.random() < 0.6]
        entries = [(1, rng.randrange(8)), (4, rng.randrange(8)), (32, rng.randrange(8))]
        entries += [*named, *([(16, rng.randrange(8))] if named else [])]
        if rng.random() < 0.05:
            entries.pop()
        order = (1, 2, 4, 8, 16, 32)
        return ("set_list", self._owner(), rng.choice(_LISTS),
                acl(*sorted(entries, key=lambda entry: order.index(entry[0]))))

    def _remove_list(self):
        return ("remove_attribute", self._owner(), self._rng.choice(_LISTS))

    def _create(self):
        return ("create", self._fresh(), self._rng.choice((0o644, 0o600, 0o777, 0o4755)))

    def _write(self):
        name = self._file()
        return ("write", name, self._offset(name), self._length(), self._seed())

    def _write_sync(self):
        name = self._file()
        return ("write_sync", name, self._offset(name), self._length(), self._seed())

    def _aligned(self, value):
        return value // 4096 * 4096

    def _write_direct(self):
        name = self._file()
        return ("write_direct", name, self._aligned(self._offset(name)),
                self._aligned(self._length()) + 4096, self._seed())

    def _read_direct(self):
        name = self._file()
        return ("read_direct", name, self._aligned(self._offset(name)),
                self._aligned(self._length()) + 4096)

    def _append(self):
        return ("append", self._file(), self._length(), self._seed())

    def _map_write(self):
        """What is written through a mapping into a hole gets its blocks at the
        fault or at writeback: what comes next must not depend on when."""
        name = self._file()
        how = self._rng.choice(("sync", "sync", "later"))
        if how == "later":
            self._queue = self._rng.choice((
                [("fsync", name)], [("sync",)], [("truncate", name, 0)],
                [("read", name, 0, 100_000), ("fsync", name)],
                [("mount_again",)], [("drop_caches",)]))
        return ("map_write", name, self._offset(name), self._length(), self._seed(), how)

    def _copy(self):
        return ("copy", self._file(), self._file(), self._rng.randrange(30_000),
                self._length())

    def _read(self):
        name = self._file()
        return ("read", name, self._offset(name), self._length() * 4)

    def _truncate(self):
        name = self._file()
        rng = self._rng
        size = rng.choice((0, self._offset(name), self._offset(name), self._offset()))
        return ("truncate", name, size)

    def _falloc(self):
        return ("falloc", self._file(), self._rng.choice((0, 1, 3)), 0, 8192)

    def _seek(self):
        name = self._file()
        return ("seek", name, self._offset(name),
                self._rng.choice((os.SEEK_SET, os.SEEK_END)))

    def _extents(self):
        return ("extents", self._file())

    def _fsync(self):
        return ("fsync", self._file())

    def _fdatasync(self):
        return ("fdatasync", self._file())

    def _open(self):
        return ("open", self._slot(), self._file())

    def _close(self):
        return ("close", self._slot())

    def _slot_write(self):
        return ("slot_write", self._slot(), self._offset(), self._length(), self._seed())

    def _slot_truncate(self):
        return ("slot_truncate", self._slot(), self._offset())

    def _slot_read(self):
        return ("slot_read", self._slot(), self._offset(), self._length())

    def _slot_stat(self):
        return ("slot_stat", self._slot())

    def _slot_fsync(self):
        return ("slot_fsync", self._slot())

    def _tmpfile(self):
        return ("tmpfile", self._slot(), self._some("dir"), 0o640)

    def _slot_link(self):
        return ("slot_link", self._slot(), self._fresh())

    def _unlink(self):
        return ("unlink", self._some("file", "link", "node"))

    def _link(self):
        return ("link", self._some("file", "file", "file", "link", "node"), self._fresh())

    def _rename(self):
        """Any name to a new one, over one of its kind, or over another's."""
        rng = self._rng
        name = self._some("file", "dir", "link", "node")
        way = rng.random()
        if way < 0.45:
            return ("rename", name, self._fresh())
        return ("rename", name, self._some(
            self._kinds.get(name, "file") if way < 0.85 else "dir"))

    def _rename2(self):
        flags = self._rng.choice((ops.RENAME_NOREPLACE, ops.RENAME_NOREPLACE,
                                  ops.RENAME_EXCHANGE, ops.RENAME_WHITEOUT))
        return ("rename2", *self._rename()[1:], flags)

    def _mkdir(self):
        return ("mkdir", self._fresh(), self._rng.choice((0o755, 0o700, 0o2775, 0o1777)))

    def _rmdir(self):
        return ("rmdir", self._some("dir"))

    def _symlink(self):
        length = self._rng.choice((1, 10, 59, 60, 61, 200, 1000, self._block - 1,
                                   self._block, 4095))
        return ("symlink", self._fresh(), (f"t{self._count}/" + "s" * length)[:length])

    def _readlink(self):
        return ("readlink", self._some("link"))

    def _mknod(self):
        kind, device = self._rng.choice((
            (stat.S_IFIFO, 0), (stat.S_IFCHR, os.makedev(1, 3)),
            (stat.S_IFBLK, os.makedev(300, 70_000)), (stat.S_IFSOCK, 0)))
        return ("mknod", self._fresh(), kind | 0o640, device)

    def _list(self):
        return ("list", self._some("dir"))

    def _fsync_dir(self):
        return ("fsync_dir", self._some("dir"))

    def _any(self):
        return self._some("file", "dir", "node")

    def _chmod(self):
        return ("chmod", self._any(), self._rng.choice((0o644, 0o4711, 0o2755, 0o777, 0)))

    def _chown(self):
        ids = (0, 1, 1000, 65535, 65536, 70_000, 2**31, -1)
        return ("chown", self._some("file", "dir", "link", "node"),
                self._rng.choice(ids), self._rng.choice(ids))

    def _utime(self):
        """Times long ago, so that an update that is missed is seen."""
        rng = self._rng
        moments = [rng.choice((0, 1, 86_400, 10**9, 2**31 - 1, 10**9 + 12_345,
                               -1, -86_400)) * 10**9 + rng.choice((0, 999_999_999))
                   for _ in range(2)]
        return ("utime", self._some("file", "dir", "dir", "link", "node"), *moments)

    def _get_flags(self):
        return ("get_flags", self._some("file", "dir"))

    def _set_flags(self):
        """With flags that forbid something follows what they forbid, and their end."""
        rng = self._rng
        name, flags = self._some("file", "dir"), rng.choice(_FLAGS) | rng.choice(_FLAGS)
        if rng.random() < 0.3 and self._kinds.get(name) and name:
            below = os.path.join(name, f"i{self._count}")
            self._queue = rng.sample([
                ("write", name, self._offset(name), self._length(), self._seed()),
                ("append", name, self._length(), self._seed()),
                ("truncate", name, self._offset(name)), ("utime", name, 10**18, 10**18),
                ("chmod", name, 0o640), ("link", name, self._fresh()),
                ("rename", name, self._fresh()), ("get_flags", name),
                ("create", below, 0o644), ("mkdir", below, 0o755), ("unlink", below),
                ("drop_caches",)], 5) + [("set_flags", name, flags)]
            flags |= rng.choice((_IMMUTABLE, _APPEND, _IMMUTABLE | _APPEND))
        return ("set_flags", name, flags)

    def _set_version(self):
        """One that is known can be asked for afterwards."""
        name = self._some("file", "dir")
        self._queue = [self._rng.choice((
            ("fsync", name), ("sync",), ("drop_caches",), ("mount_again",))),
                       ("get_version", name)]
        return ("set_version", name, self._rng.choice((0, 1, 2**31, 2**32 - 1, self._count)))

    def _many(self):
        """A directory that grows beyond a block, and has names taken out."""
        folder = self._some("dir")
        if self._kinds.get(folder) != "dir":
            return ("list", folder)
        rng = self._rng
        names = [os.path.join(folder, f"m{self._count}-{i}" + "y" * rng.randrange(60))
                 for i in range(40)]
        self._queue = [("create", name, 0o644) for name in names]
        rng.shuffle(names)
        self._queue += [("unlink", name) for name in names[:35]]
        return ("mkdir", self._fresh(), 0o755)

    def _remove(self):
        name = self._some("file", "link", "node", "dir")
        return ("rmdir" if self._kinds.get(name) == "dir" else "unlink", name)

    # what is there now

    def done(self, op, answer):
        """An operation has worked."""
        kind, names = op[0], op[1:]
        if kind == "create":
            self._kinds[names[0]], self._sizes[names[0]] = "file", 0
        elif kind == "slot_link":
            self._kinds[names[1]] = "file"
        elif kind == "mkdir":
            self._kinds[names[0]] = "dir"
        elif kind == "symlink":
            self._kinds[names[0]] = "link"
        elif kind == "mknod":
            self._kinds[names[0]] = "node"
        elif kind in ("unlink", "rmdir"):
            self._kinds.pop(names[0], None)
            self._sizes.pop(names[0], None)
        elif kind == "link":
            self._kinds[names[1]] = self._kinds.get(names[0], "file")
        elif kind in ("rename", "rename2"):
            self._renamed(*names[:2], names[2] if names[2:] else 0)
        elif kind == "truncate":
            self._sizes[names[0]] = names[1]
        elif kind.startswith("write") and answer:
            self._sizes[names[0]] = max(self._sizes.get(names[0], 0), names[1] + answer)
        self._kinds[""] = "dir"  # whatever is said to have happened to it

    def _renamed(self, old, new, flags):
        if old == new or not self._kinds.get(old):
            return
        for table in (self._kinds, self._sizes):
            moved = {name: table.pop(name) for name in list(table)
                     if name == old or name.startswith(old + "/")}
            if table is self._kinds:
                self._kinds.pop(new, None)
            for name, value in moved.items():
                table[new + name[len(old):]] = value
        if flags == ops.RENAME_WHITEOUT:
            self._kinds[old] = "node"
