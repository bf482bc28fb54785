# SPDX-License-Identifier: GPL-2.0
"""Blocks of extended attributes of an unmounted image, and what makes them."""

import os
import struct

import ext2disk
import writers
from ext2disk import superblock

MAGIC = 0xEA020000
_FILE_ACL = 104


def pointer_at(path, ino):
    """Where in the image an inode says which block of attributes it has."""
    return ext2disk.inode_offset(path, ino) + _FILE_ACL


def block_of(path, ino):
    """The block of attributes of an inode, 0 if it has none."""
    with open(path, "rb") as file:
        file.seek(pointer_at(path, ino))
        return struct.unpack("<I", file.read(4))[0]


def offset_of(path, block):
    """Where a block is, in bytes."""
    return block * (1024 << superblock(path)["log_block_size"])


def owners(path, block):
    """How many inodes a block of attributes says that it has."""
    with open(path, "rb") as file:
        file.seek(offset_of(path, block))
        magic, count = struct.unpack("<II", file.read(8))
    assert magic == MAGIC, f"block {block} is no block of attributes: {magic:#x}"
    return count


def fill(path):
    """A file in all free blocks."""
    with open(path, "wb", 0) as file:
        writers.fill(file.fileno(), (4096, 1024))
        os.fsync(file.fileno())
