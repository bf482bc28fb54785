# SPDX-License-Identifier: GPL-2.0
"""Read and edit an ext2 image by its on-disk format.

Recipes of test images use it to say exactly which block of a file is where, and
to break an image at one place. It knows as little as that needs: superblock,
group descriptors, bitmaps, inodes, the indirect tree, linear directories.

Leaves out: counts and bitmaps after an edit; `e2fsck -fy` puts them right.
"""

import hashlib
import struct

SUPERBLOCK = 1024
ROOT_INO = 2

# offsets in the superblock, all of four bytes unless said otherwise
SB = {
    "inodes_count": 0, "blocks_count": 4, "r_blocks_count": 8,
    "free_blocks_count": 12, "free_inodes_count": 16, "first_data_block": 20,
    "log_block_size": 24, "log_frag_size": 28, "blocks_per_group": 32,
    "frags_per_group": 36, "inodes_per_group": 40, "rev_level": 76,
    "first_ino": 84, "feature_compat": 92, "feature_incompat": 96,
    "feature_ro_compat": 100, "first_meta_bg": 260,
}
SB16 = {"magic": 56, "state": 58, "errors": 60, "inode_size": 88}

# offsets in a group descriptor of 32 bytes
GD = {"block_bitmap": 0, "inode_bitmap": 4, "inode_table": 8}

# offsets in an inode
INODE = {"mode": (0, "H"), "size": (4, "I"), "blocks": (28, "I"),
         "flags": (32, "I"), "generation": (100, "I"), "size_high": (108, "I"),
         "links": (26, "H")}
I_BLOCK = 40
DIRECT = 12


class Ext2Image:
    """An image file, open for reading and writing."""

    def __init__(self, path):
        self.file = open(path, "r+b")
        self.block_size = 1024 << self.sb("log_block_size")
        self.pointers = self.block_size // 4
        dynamic = self.sb("rev_level") > 0
        self.inode_size = self.sb16("inode_size") if dynamic else 128

    def close(self):
        self.file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # bytes

    def read(self, offset, length):
        self.file.seek(offset)
        return self.file.read(length)

    def write(self, offset, data):
        self.file.seek(offset)
        self.file.write(data)

    def block(self, number):
        return self.read(number * self.block_size, self.block_size)

    # superblock and group descriptors

    def sb(self, field):
        return struct.unpack("<I", self.read(SUPERBLOCK + SB[field], 4))[0]

    def sb16(self, field):
        return struct.unpack("<H", self.read(SUPERBLOCK + SB16[field], 2))[0]

    def groups(self):
        blocks = self.sb("blocks_count") - self.sb("first_data_block")
        return -(-blocks // self.sb("blocks_per_group"))

    def gd_offset(self, group, field):
        """Where a field of a group descriptor is (without meta_bg)."""
        table = (self.sb("first_data_block") + 1) * self.block_size
        return table + group * 32 + GD[field]

    def gd(self, group, field):
        return struct.unpack("<I", self.read(self.gd_offset(group, field), 4))[0]

    def free_runs(self):
        """[(first, length)] of the free blocks, by the bitmaps."""
        runs = []
        per_group = self.sb("blocks_per_group")
        first = self.sb("first_data_block")
        count = self.sb("blocks_count")
        for group in range(self.groups()):
            bitmap = self.block(self.gd(group, "block_bitmap"))
            base = first + group * per_group
            for index in range(min(per_group, count - base)):
                if bitmap[index >> 3] >> (index & 7) & 1:
                    continue
                at = base + index
                if runs and sum(runs[-1]) == at:
                    runs[-1] = (runs[-1][0], runs[-1][1] + 1)
                else:
                    runs.append((at, 1))
        return runs

    # inodes

    def inode_offset(self, ino):
        per_group = self.sb("inodes_per_group")
        table = self.gd((ino - 1) // per_group, "inode_table")
        return table * self.block_size + (ino - 1) % per_group * self.inode_size

    def inode_field(self, ino, field):
        """(offset, struct format) of a field of an inode."""
        offset, form = INODE[field]
        return self.inode_offset(ino) + offset, "<" + form

    def inode_get(self, ino, field):
        offset, form = self.inode_field(ino, field)
        return struct.unpack(form, self.read(offset, struct.calcsize(form)))[0]

    def inode_set(self, ino, field, value):
        offset, form = self.inode_field(ino, field)
        self.write(offset, struct.pack(form, value))

    def pointer_offset(self, ino, index):
        """Where i_block[index] is."""
        return self.inode_offset(ino) + I_BLOCK + 4 * index

    def i_block(self, ino):
        return struct.unpack("<15I", self.read(self.pointer_offset(ino, 0), 60))

    # directories

    def entries(self, ino):
        """[(name, inode number, offset in the image)] of a directory whose
        blocks are all direct."""
        found = []
        blocks = self.inode_get(ino, "size") // self.block_size
        for number in self.i_block(ino)[:min(blocks, DIRECT)]:
            data, at = self.block(number), 0
            while at < self.block_size:
                child, length, size = struct.unpack_from("<IHB", data, at)
                name = data[at + 8:at + 8 + size].decode()
                found.append((name, child, number * self.block_size + at))
                at += length
        return found

    def lookup(self, path):
        """Inode number of a path from the root."""
        ino = ROOT_INO
        for part in path.strip("/").split("/"):
            ino = next(child for name, child, _ in self.entries(ino) if name == part)
        return ino


def path_to(logical, pointers):
    """Way to a file block: the slot in i_block, then the index at each level."""
    if logical < DIRECT:
        return (logical,)
    logical -= DIRECT
    if logical < pointers:
        return (12, logical)
    logical -= pointers
    if logical < pointers ** 2:
        return (13, *divmod(logical, pointers))
    logical -= pointers ** 2
    high, low = divmod(logical, pointers ** 2)
    return (14, high, *divmod(low, pointers))


class Placer:
    """Gives a file's blocks their places, one after the other.

    The cursor moves through a run of free blocks. An indirect block is put where
    the cursor is when the first block that needs it is placed, as the
    filesystem's own allocator does in an empty disk, unless `meta` is a second
    run to take them from.
    """

    def __init__(self, image, ino, first, meta=None):
        self._image = image
        self._ino = ino
        self._cursor = first
        self._meta = meta
        self.data = {}      # logical block to physical
        self.indirect = {}  # path prefix to physical
        self.order = []     # every block as the tree is walked

    def skip(self, count):
        self._cursor += count

    def _indirect(self, prefix):
        if prefix in self.indirect:
            return
        if self._meta is None:
            at, self._cursor = self._cursor, self._cursor + 1
        else:
            at, self._meta = self._meta, self._meta + 1
        self.indirect[prefix] = at

    def run(self, logical, count=1):
        """`count` file blocks from `logical` on, one behind the other."""
        for block in range(logical, logical + count):
            way = path_to(block, self._image.pointers)
            for depth in range(1, len(way)):
                self._indirect(way[:depth])
            self.data[block] = self._cursor
            self._cursor += 1

    def reverse(self, logical, count):
        """The same, the last block first on the disk."""
        for block in range(logical + count - 1, logical - 1, -1):
            self.run(block)

    def finish(self, size, content):
        """Write data, tree and inode. content(logical) gives a block's bytes."""
        image = self._image
        tree = {}
        for block, at in self.data.items():
            image.write(at * image.block_size, content(block))
            tree[path_to(block, image.pointers)] = at
        tree.update(self.indirect)
        for at in self.indirect.values():
            image.write(at * image.block_size, bytes(image.block_size))
        for way, at in tree.items():
            if len(way) == 1:
                where = image.pointer_offset(self._ino, way[0])
            else:
                where = self.indirect[way[:-1]] * image.block_size + 4 * way[-1]
            image.write(where, struct.pack("<I", at))
        used = len(self.data) + len(self.indirect)
        image.inode_set(self._ino, "size", size & 0xFFFFFFFF)
        image.inode_set(self._ino, "size_high", size >> 32)
        image.inode_set(self._ino, "blocks", used * (image.block_size // 512))
        self.order = [at for way, at in sorted(tree.items())]


def noise(seed, length):
    """Bytes that depend on the seed only."""
    return hashlib.shake_256(str(seed).encode()).digest(length)
