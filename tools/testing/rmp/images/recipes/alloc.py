# SPDX-License-Identifier: GPL-2.0
"""Disks of many small groups, for what allocation decides (E7, E8) and for what
mounting, syncing and unmounting write (E1, E10).
"""

import struct

from ..images import image

_SUPERBLOCK = 1024
_STATE = 58
_MAX_MOUNTS = 54


@image(names=["groups-1k", "groups-4k"])
def groups(b, name):
    """Twelve groups; nothing is in them."""
    size, blocks = (1024, 2048) if name == "groups-1k" else (4096, 1024)
    b.mke2fs("-b", str(size), "-g", str(blocks), "-N", "1536", "-m", "5",
             "-O", "^resize_inode", size=f"{12 * blocks * size // 1024}k")
    b.fsck_clean()


@image
def reserved_1k(b):
    """A fifth of it is reserved."""
    b.mke2fs("-b", "1024", "-g", "2048", "-N", "96", "-m", "20", "-O",
             "^resize_inode", size="4M")
    b.fsck_clean()


_STATES = {
    "state-valid": 1,
    "state-in-use": 0,
    "state-errors": 3,
    "state-never": 1,
}


@image(names=list(_STATES))
def state(b, name):
    """Filesystems as they may have been left; the last has no limit of mounts."""
    b.file("file", b"x" * 5000)
    b.mke2fs("-b", "1024", "-N", "64", "-O", "^resize_inode", size="2M")
    b.poke(_SUPERBLOCK + _STATE, struct.pack("<H", _STATES[name]))
    limit = 0 if name == "state-never" else 30
    b.poke(_SUPERBLOCK + _MAX_MOUNTS, struct.pack("<H", limit))


@image
def state_rev0(b):
    """The oldest revision, which has no feature flags."""
    b.mke2fs("-b", "1024", "-N", "64", "-r", "0", "-O", "none", size="2M")
    b.fsck_clean()


@image(names=["bitmap-hole", "bitmap-hole-continue"])
def bitmap_hole(b, name):
    """A block of the inode table that the bitmap says is free."""
    b.file("file", b"x" * 5000)
    b.mke2fs("-b", "1024", "-N", "64", "-O", "^resize_inode", "-e",
             "continue" if name.endswith("continue") else "remount-ro", size="2M")
    bitmap, _, table = struct.unpack("<III", b.peek(2 * 1024, 12))
    where = bitmap * 1024 + (table - 1) // 8
    byte = b.peek(where, 1)[0] & ~(1 << (table - 1) % 8)
    b.poke(where, bytes([byte]))
