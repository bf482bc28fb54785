# SPDX-License-Identifier: GPL-2.0
"""Images of directory trees, in every variant of the format that is read.

The tree has all types of files, directories of 1, 100 and more entries, names up
to 255 bytes, symbolic links around the length that fits in an inode, owners of
more than 16 bits, times before 1970 and after 2038, every flag, devices with
small and big numbers, and a sparse file of more than 2 GiB.
"""

import os
import struct

from ..ext2 import Ext2Image
from ..images import image

_DEFAULT = ["-b", "1024", "-I", "256", "-O", "^resize_inode"]

# name: options of mke2fs, and how many names of one file the big directory has.
# 3000 need an index of two levels, with blocks of 1 KiB.
VARIANTS = {
    "tree-1k": (_DEFAULT, 3000),
    "tree-2k": (["-b", "2048", "-O", "^resize_inode"], 0),
    "tree-4k": (["-b", "4096"], 3000),
    "tree-dir-index": (["-b", "1024", "-O", "dir_index"], 3000),
    "tree-small-index": (["-b", "1024", "-O", "dir_index"], 600),
    "tree-rev0": (["-b", "1024", "-r", "0", "-O", "none"], 0),
    "tree-i128": (["-b", "1024", "-I", "128"], 0),
    "tree-i1024": (["-b", "4096", "-I", "1024"], 0),
    "tree-no-sparse-super": (["-b", "1024", "-g", "2048", "-O",
                              "^sparse_super,^resize_inode"], 0),
    "tree-sparse-super": (["-b", "1024", "-g", "2048", "-O",
                           "sparse_super,^resize_inode"], 0),
    # a descriptor block for 32 groups: two meta groups, and a bit
    "tree-meta-bg": (["-b", "1024", "-g", "256", "-N", "1024", "-O",
                      "meta_bg,^resize_inode"], 0),
    "tree-no-filetype": (["-b", "1024", "-O", "^filetype"], 0),
    "tree-journal": (["-b", "1024", "-O", "has_journal", "-J", "size=1"], 0),
    "tree-reserved": (["-b", "1024", "-m", "20", "-O", "^resize_inode"], 0),
}

_INODES = {
    "plain": ("uid 70000", "gid 131073", "mtime @1600000000", "generation 305419896"),
    "old": ("mtime @-86400", "atime @-1", "ctime @1"),
    "late": ("mtime @0x7fffffff", "atime @0x80000000", "ctime @0xffffffff"),
    "immutable": ("flags 0x10",),
    "append": ("flags 0x20",),
    "nodump": ("flags 0x40",),
    "noatime": ("flags 0x80",),
    "sync": ("flags 0x8",),
    "compressed": ("flags 0x4",),
    "deep": ("flags 0x10000",),  # dirsync
}

_SPECIAL = ("mknod fifo p", "mknod socket p", "mknod char-small c 5 1",
            "mknod block-small b 7 200", "mknod char-big c 1 1",
            "mknod block-big b 1 1")


def _fill(b, names):
    b.file("one/entry", b"1")
    for number in range(100 if names else 30):
        b.file(f"hundred/{number:03}", b"x" * number)
    b.file("empty")
    (b.root / "deep" / "a" / "b" / "c").mkdir(parents=True)
    (b.root / "hollow").mkdir()
    for name in ("plain", "old", "late", "immutable", "append", "nodump", "noatime",
                 "sync", "compressed"):
        b.file(name, name.encode() * 100)
    for mode in (0o4755, 0o2711, 0o1777, 0o000, 0o644):
        os.chmod(b.file(f"mode-{mode:04o}"), mode)
    for length in (1, 2, 3, 4, 100, 254, 255):
        b.file(f"names/{'n' * length}")
    b.file("names/f\u00fcr \u540d\u524d")
    b.file("names/a b\tc\nd")
    os.link(b.root / "plain", b.root / "hard-link")
    os.link(b.root / "plain", b.root / "one" / "hard-link")
    for length in (1, 58, 59, 60, 61, 500, 1000, 1023):
        os.symlink("t" * length, b.root / f"link-{length}")
    os.symlink("one/entry", b.root / "link-to-entry")
    b.sparse("sparse", 3 << 20, {0: b"head", (2 << 20) + 100: b"middle"})
    if names > 1000:
        b.sparse("over-2g", (2 << 30) + 5, {0: b"head", (2 << 30) - 3: b"boundary"})
    if names:
        first = b.file("thousands/entry-0000")
        for number in range(1, names):
            os.link(first, b.root / "thousands" / f"entry-{number:04}{'-' * (number % 50)}")
    os.chmod(b.root / "hollow", 0o2775)


@image(names=list(VARIANTS))
def tree(b, name):
    options, names = VARIANTS[name]
    _fill(b, names)
    size = "24M" if names or name == "tree-meta-bg" else "8M"
    b.mke2fs(*options, size=size)
    commands = list(_SPECIAL)
    for file, fields in _INODES.items():
        commands += [f"set_inode_field {file} {field}" for field in fields]
    b.debugfs(*commands)
    _adjust(b)
    indexed = name in ("tree-dir-index", "tree-small-index")
    if indexed:
        # makes a tree of every directory of more than a block
        b.run("e2fsck", "-fyD", b.path, good=(0, 1))
    b.fsck_repair()
    b.fsck_clean()
    if indexed and "0x1000" not in b.debugfs("stat thousands"):
        raise AssertionError("e2fsck -D made no index")


def _adjust(b):
    """What debugfs cannot make: a socket, and devices with big numbers."""
    with Ext2Image(b.path) as img:
        at = next(offset for name, _, offset in img.entries(2) if name == "socket")
        img.inode_set(img.lookup("socket"), "mode", 0o140755)
        if img.sb("feature_incompat") & 2:
            img.write(at + 7, b"\x06")
        for name, major, minor in (("char-big", 300, 70000), ("block-big", 259, 0xFFFFF)):
            number = minor & 0xFF | major << 8 | (minor & ~0xFF) << 12
            img.write(img.pointer_offset(img.lookup(name), 0),
                      struct.pack("<II", 0, number))
