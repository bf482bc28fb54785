# SPDX-License-Identifier: GPL-2.0
"""What an ext2 image says of itself: its superblock, its group descriptors, its
bitmaps, read from the image file. Numbers only, nothing is checked.
"""

import os
import struct

_SUPERBLOCK = 1024
_FIELDS = {
    "inodes": (0, "I"), "blocks": (4, "I"), "free_blocks": (12, "I"),
    "free_inodes": (16, "I"), "first_data_block": (20, "I"),
    "log_block_size": (24, "I"), "blocks_per_group": (32, "I"),
    "inodes_per_group": (40, "I"), "mtime": (44, "I"), "wtime": (48, "I"),
    "mnt_count": (52, "H"), "max_mnt_count": (54, "H"), "state": (58, "H"),
    "lastcheck": (64, "I"), "rev_level": (76, "I"), "first_ino": (84, "I"),
    "inode_size": (88, "H"), "compat": (92, "I"), "incompat": (96, "I"),
    "ro_compat": (100, "I"),
}


def superblock(path):
    """The fields that matter here, by name."""
    with open(path, "rb") as file:
        file.seek(_SUPERBLOCK)
        data = file.read(1024)
    return {name: struct.unpack_from("<" + code, data, offset)[0]
            for name, (offset, code) in _FIELDS.items()}


class Groups:
    """The groups of an image: `counts` is one (free blocks, free inodes,
    directories) for each."""

    def __init__(self, path):
        info = superblock(path)
        self.size = 1024 << info["log_block_size"]
        self.per_group = info["blocks_per_group"]
        blocks = info["blocks"] - info["first_data_block"]
        number = -(-blocks // self.per_group)
        self.first = info["first_data_block"]
        self.places = []  # block bitmap, inode bitmap, inode table
        self.counts, self.block_bitmaps, self.inode_bitmaps = [], [], []
        with open(path, "rb") as file:
            for group in range(number):
                file.seek((info["first_data_block"] + 1) * self.size + group * 32)
                words = struct.unpack("<IIIHHH", file.read(18))
                self.places.append(words[:3])
                self.counts.append(words[3:])
                file.seek(words[0] * self.size)
                self.block_bitmaps.append(file.read(self.per_group // 8))
                file.seek(words[1] * self.size)
                self.inode_bitmaps.append(file.read(info["inodes_per_group"] // 8))

    def metadata(self, table):
        """The blocks of bitmaps and of inode tables of `table` blocks each."""
        found = set()
        for places in self.places:
            found |= {*places[:2], *range(places[2], places[2] + table)}
        return sorted(found)

    def is_used(self, block):
        """What the block bitmap says."""
        group, bit = divmod(block - self.first, self.per_group)
        return bool(self.block_bitmaps[group][bit // 8] >> bit % 8 & 1)

    def used(self):
        """What of this must not differ for the same layout."""
        return self.counts, self.block_bitmaps, self.inode_bitmaps


def inode_offset(path, ino):
    """Where an inode is in the image, in bytes."""
    info = superblock(path)
    size = 1024 << info["log_block_size"]
    group, index = divmod(ino - 1, info["inodes_per_group"])
    with open(path, "rb") as file:
        file.seek((info["first_data_block"] + 1) * size + group * 32 + 8)
        table, = struct.unpack("<I", file.read(4))
    return table * size + index * info["inode_size"]


def inode_times(path, ino):
    """(atime, ctime, mtime) of an inode in the image, in seconds."""
    with open(path, "rb") as file:
        file.seek(inode_offset(path, ino) + 8)
        return struct.unpack("<III", file.read(12))


def inode_mode(path, ino):
    """The mode of an inode in the image."""
    with open(path, "rb") as file:
        file.seek(inode_offset(path, ino))
        return struct.unpack("<H", file.read(2))[0]


def inode_links(path, ino):
    """The count of links of an inode in the image."""
    with open(path, "rb") as file:
        file.seek(inode_offset(path, ino) + 26)
        return struct.unpack("<H", file.read(2))[0]


def inode_flags(path, ino):
    """The flags of an inode in the image."""
    with open(path, "rb") as file:
        file.seek(inode_offset(path, ino) + 32)
        return struct.unpack("<I", file.read(4))[0]


def inode_size(path, ino):
    """The size of a file in the image, below 4 GiB."""
    with open(path, "rb") as file:
        file.seek(inode_offset(path, ino) + 4)
        return struct.unpack("<I", file.read(4))[0]


def inode_pointers(path, ino):
    """The 15 pointers of an inode in the image, or on a device, through its page cache."""
    at = inode_offset(path, ino)
    with open(path, "rb", buffering=0) as file:
        return struct.unpack("<15I", os.pread(file.fileno(), 60, at + 40))
