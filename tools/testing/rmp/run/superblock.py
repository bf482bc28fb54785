# SPDX-License-Identifier: GPL-2.0
"""Say in one line why a file is no ext2 filesystem, before anything is booted.

Only what tells ext2 from something else; the filesystem checks the rest.
"""

import os
import struct

from .. import ui

_OFFSET = 1024
_MAGIC = 0xEF53
_READABLE = 0x0002 | 0x0010  # filetype, meta_bg
_INCOMPAT = {
    0x0001: "compression", 0x0004: "a journal to replay (ext3 or ext4)",
    0x0008: "an external journal", 0x0040: "extents (ext4)", 0x0080: "64bit (ext4)",
    0x0100: "mmp (ext4)", 0x0200: "flex_bg (ext4)", 0x0400: "ea_inode (ext4)",
    0x1000: "dirdata", 0x2000: "csum_seed (ext4)", 0x4000: "largedir (ext4)",
    0x8000: "inline_data (ext4)", 0x10000: "encryption (ext4)",
    0x20000: "casefold (ext4)",
}
_OTHERS = (
    (0, b"\x1f\x8b", "gzip data"), (0, b"\xfd7zXZ", "xz data"),
    (0, b"QFI\xfb", "a qcow2 image: qemu-img convert -O raw makes it raw"),
    (0, b"XFSB", "an XFS filesystem"), (3, b"NTFS", "an NTFS filesystem"),
    (0x10040, b"_BHRfS_M", "a btrfs filesystem"), (82, b"FAT32", "a FAT filesystem"),
    (54, b"FAT", "a FAT filesystem"), (32769, b"CD001", "an ISO 9660 filesystem"),
    (510, b"\x55\xaa", "a disk with partitions: give one partition"),
)


def check(path):
    """Raise ui.Fail if the file cannot be mounted as ext2."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(0x10050)
    except OSError as error:
        raise ui.Fail(f"{path}: {error.strerror}") from error
    block = head[_OFFSET:_OFFSET + 1024]
    if len(block) < 1024 or struct.unpack_from("<H", block, 56)[0] != _MAGIC:
        what = f"only {size} bytes" if len(block) < 1024 else "no superblock at 1024"
        for offset, magic, name in _OTHERS:
            if head[offset:offset + len(magic)] == magic:
                what = name
                break
        raise ui.Fail(f"{path} is no ext2 filesystem: {what}")
    revision, = struct.unpack_from("<I", block, 76)
    incompat, = struct.unpack_from("<I", block, 96)
    if revision and incompat & ~_READABLE:
        names = [_INCOMPAT.get(1 << bit, f"feature {1 << bit:#x}")
                 for bit in range(32) if incompat & ~_READABLE & (1 << bit)]
        raise ui.Fail(f"{path} is no ext2 filesystem: it has {', '.join(names)}")
