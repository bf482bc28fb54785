# SPDX-License-Identifier: GPL-2.0
"""Images that are broken in one place each: "hostile", and what to change in it.

The sound image is stored once. Its manifest says for each case which bytes to
overwrite, or how long the device is:

    {"cases": {name: {"patches": [[offset, hex], ...], "size": bytes or null}},
     "sweep": {seed: [[offset, hex], ...]}}

Leaves out: what the drivers should make of them; test_hostile.py knows.
"""

import json
import os
import random
import struct

from ..ext2 import Ext2Image, GD, INODE, SB, SB16, SUPERBLOCK
from ..images import image

SWEEP = 60  # seeds


class _Cases:
    """Collects the cases; `img` is the sound image."""

    def __init__(self, img):
        self.img = img
        self.cases = {}

    def add(self, name, *patches, size=None):
        self.cases[name] = {
            "patches": [[offset, data.hex()] for offset, data in patches],
            "size": size,
        }

    def sb(self, name, **fields):
        """Other values in the superblock."""
        patches = []
        for field, value in fields.items():
            if field in SB16:
                patches.append((SUPERBLOCK + SB16[field], struct.pack("<H", value)))
            else:
                patches.append((SUPERBLOCK + SB[field], struct.pack("<I", value)))
        self.add(name, *patches)

    def gd(self, name, group, field, value):
        """Another block number in a group descriptor."""
        assert field in GD
        self.add(name, (self.img.gd_offset(group, field), struct.pack("<I", value)))

    def inode(self, name, path, **fields):
        """Other values in the inode of a path."""
        ino = self.img.lookup(path) if path else 2
        patches = []
        for field, value in fields.items():
            offset, form = self.img.inode_field(ino, field)
            patches.append((offset, struct.pack(form, value)))
        self.add(name, *patches)

    def pointer(self, name, path, index, value):
        """Another block number in i_block."""
        ino = self.img.lookup(path)
        self.add(name, (self.img.pointer_offset(ino, index), struct.pack("<I", value)))

    def indirect(self, name, path, slot, index, value):
        """Another block number in the indirect block that i_block[slot] is."""
        block = self.img.i_block(self.img.lookup(path))[slot]
        offset = block * self.img.block_size + 4 * index
        self.add(name, (offset, struct.pack("<I", value)))

    def entry(self, name, folder, child, rec_len=None, name_len=None, ino=None):
        """Other values in a directory entry."""
        at = next(offset for found, _, offset in
                  self.img.entries(self.img.lookup(folder)) if found == child)
        patches = []
        if ino is not None:
            patches.append((at, struct.pack("<I", ino)))
        if rec_len is not None:
            patches.append((at + 4, struct.pack("<H", rec_len)))
        if name_len is not None:
            patches.append((at + 6, struct.pack("<B", name_len)))
        self.add(name, *patches)


def _superblock(c):
    img = c.img
    c.sb("magic", magic=0x1234)
    c.add("superblock of zeros", (SUPERBLOCK, bytes(1024)))
    c.sb("blocks of 64 KiB", log_block_size=6, log_frag_size=6)
    c.sb("log_block_size 22", log_block_size=22, log_frag_size=22)
    c.sb("log_block_size -1", log_block_size=0xFFFFFFFF, log_frag_size=0xFFFFFFFF)
    c.sb("log_block_size 1", log_block_size=1, log_frag_size=1)
    c.sb("log_frag_size", log_frag_size=1)
    for size in (0, 64, 100, 2048, 0xFFFF):
        c.sb(f"inode_size {size}", inode_size=size)
    for number in (0, 3, 0xFFFFFFFF):
        c.sb(f"inodes_per_group {number}", inodes_per_group=number)
    c.sb("inodes_per_group more",
         inodes_per_group=img.sb("inodes_per_group") + 8)
    for number in (0, 3, 8193, 0xFFFFFFFF):
        c.sb(f"blocks_per_group {number}", blocks_per_group=number)
    c.sb("first_data_block 0", first_data_block=0)
    c.sb("first_data_block behind the end", first_data_block=img.sb("blocks_count"))
    c.sb("first_data_block -1", first_data_block=0xFFFFFFFF)
    for number in (0, 1, img.sb("blocks_count") + 1, 0xFFFFFFFF):
        c.sb(f"blocks_count {number}", blocks_count=number)
    for number in (0, 0xFFFFFFFF):
        c.sb(f"inodes_count {number}", inodes_count=number)
    c.sb("first_ino 3", first_ino=3)
    c.sb("first_ino -1", first_ino=0xFFFFFFFF)
    c.sb("r_blocks_count -1", r_blocks_count=0xFFFFFFFF)
    c.sb("free counts", free_blocks_count=0xFFFFFFFF, free_inodes_count=0xFFFFFFFF)
    for size in (512, 1024, 1536, 4096, 1 << 20):
        c.add(f"device of {size} bytes", size=size)


def _groups(c):
    img = c.img
    c.gd("block bitmap far outside", 0, "block_bitmap", 0xFFFFFFF0)
    c.gd("block bitmap in another group", 0, "block_bitmap", img.gd(1, "block_bitmap"))
    c.gd("inode bitmap 0", 1, "inode_bitmap", 0)
    c.gd("inode table far outside", 0, "inode_table", 0x7FFFFFFF)
    c.gd("inode table over the end", 1, "inode_table", img.sb("blocks_count") - 2)
    c.gd("inode table over the descriptors", 0, "inode_table", 2)
    c.gd("bitmaps in one block", 0, "block_bitmap", img.gd(0, "inode_bitmap"))
    table = img.gd_offset(0, "block_bitmap")
    c.add("descriptors of zeros", (table, bytes(1024)))


def _inodes(c):
    c.inode("root is a file", "", mode=0o100644)
    c.inode("root of size 0", "", size=0)
    c.inode("root without blocks", "", blocks=0)
    c.inode("root is deleted", "", links=0, mode=0)
    c.inode("type 0", "direct", mode=0o644)
    c.inode("type 15", "direct", mode=0o170644)
    c.inode("no links", "direct", links=0)
    c.inode("size negative", "direct", size_high=0x80000000)
    c.inode("size huge", "direct", size_high=0x7FFFFFFF)
    c.inode("size of 1 TiB", "direct", size_high=0x100)
    c.inode("i_blocks absurd", "direct", blocks=0xFFFFFFFF)
    acl = c.img.inode_offset(c.img.lookup("direct")) + 104
    c.add("attribute block outside", (acl, struct.pack("<I", 0x7FFFFFFF)))


def _blocks(c):
    img, end = c.img, c.img.sb("blocks_count")
    c.pointer("direct far outside", "direct", 2, 0xFFFFFF00)
    c.pointer("direct just outside", "direct", 2, end)
    c.pointer("direct at the superblock", "direct", 2, 1)
    c.pointer("direct at the descriptors", "direct", 2, 2)
    c.pointer("direct at block 0", "direct", 0, 0)
    c.pointer("direct at the inode table", "direct", 2, img.gd(0, "inode_table"))
    c.pointer("direct at a directory", "direct", 2, img.i_block(img.lookup("dir"))[0])
    c.pointer("indirect outside", "single", 12, end + 5)
    c.pointer("indirect at the superblock", "single", 12, 1)
    c.indirect("indirect entry outside", "single", 12, 7, end)
    c.pointer("double outside", "double", 13, 0x80000000)
    c.indirect("double entry outside", "double", 13, 0, end)
    c.indirect("double entry at the descriptors", "double", 13, 0, 2)
    for path, slot in (("single", 12), ("double", 13)):
        itself = img.i_block(img.lookup(path))[slot]
        c.indirect(f"{path}: a loop", path, slot, 0, itself)
    # the same block at each of three levels
    loop = img.i_block(img.lookup("double"))[13]
    ino = img.lookup("double")
    c.add("triple: a loop",
          (img.pointer_offset(ino, 14), struct.pack("<I", loop)),
          (loop * img.block_size, struct.pack("<256I", *[loop] * 256)),
          (img.inode_field(ino, "size")[0], struct.pack("<I", 1 << 30)))


def _directories(c):
    img = c.img
    c.entry("rec_len 0", "dir", "b", rec_len=0)
    c.entry("rec_len unaligned", "dir", "b", rec_len=13)
    c.entry("rec_len too short", "dir", "b", rec_len=8)
    c.entry("rec_len too short for the name", "dir", "longer-name", rec_len=12)
    c.entry("rec_len over the block", "dir", "b", rec_len=2000)
    c.entry("rec_len 65535", "dir", "b", rec_len=0xFFFF)
    c.entry("name_len 0", "dir", "b", name_len=0)
    c.entry("name_len 255", "dir", "b", name_len=255)
    c.entry("entry's inode outside", "dir", "b", ino=img.sb("inodes_count") + 1)
    c.entry("entry's inode -1", "dir", "b", ino=0xFFFFFFFF)
    c.entry("entry's inode reserved", "dir", "b", ino=5)
    c.entry("entry's inode free", "dir", "b", ino=img.sb("inodes_count"))
    c.entry("unused entry", "dir", "b", ino=0)
    c.inode("directory of half a block", "dir", size=1536)
    c.inode("directory of 0 bytes", "dir", size=0)
    c.inode("directory of 2 GiB", "dir", size=0x7FFFFC00)
    c.pointer("directory without a block", "dir", 0, 0)
    c.pointer("directory's block outside", "dir", 0, img.sb("blocks_count"))
    c.pointer("second block outside", "two-blocks", 1, img.sb("blocks_count"))
    c.add("directory of noise", (img.i_block(img.lookup("dir"))[0] * img.block_size,
                                 random.Random(7).randbytes(1024)))


def _links(c):
    c.inode("fast link of 60 bytes", "fast", size=60)
    c.inode("fast link of 4 GiB", "fast", size=0xFFFFFFFF)
    c.inode("fast link of 0 bytes", "fast", size=0)
    c.inode("slow link over its block", "slow", size=3000)
    c.inode("slow link over a page", "slow", size=5000)
    c.inode("slow link of 4 GiB", "slow", size=0xFFFFFFFF)
    c.inode("slow link of 0 bytes", "slow", size=0)
    c.pointer("slow link without a block", "slow", 0, 0)
    c.pointer("slow link's block outside", "slow", 0, c.img.sb("blocks_count"))


def _sweep(img):
    """Some bytes of metadata changed at random, for each seed."""
    size = img.block_size
    used = [img.lookup(path) for path in
            ("direct", "single", "double", "dir", "two-blocks", "fast", "slow", "ok")]
    places = [(SUPERBLOCK, 264), (img.gd_offset(0, "block_bitmap"), 64)]
    places += [(img.inode_offset(ino), 128) for ino in [2, *used]]
    for path in ("", "dir", "two-blocks"):
        blocks = img.i_block(img.lookup(path) if path else 2)
        places += [(block * size, size) for block in blocks[:2] if block]
    places.append((img.i_block(img.lookup("single"))[12] * size, 400))
    places.append((img.i_block(img.lookup("double"))[13] * size, 8))
    sweep = {}
    for seed in range(SWEEP):
        rng = random.Random(seed)
        # the superblock is checked well and hides everything else
        chosen = places[1:] if seed % 5 else places
        patches = []
        for _ in range(rng.randint(1, 6)):
            start, length = rng.choice(chosen)
            value = rng.choice((b"\0", b"\xff", b"\x01", b"\x80", rng.randbytes(1)))
            patches.append([start + rng.randrange(length), value.hex()])
        sweep[str(seed)] = patches
    return sweep


@image
def hostile(b):
    b.file("direct", b.data("direct", 5000))
    b.file("single", b.data("single", 100_000))
    b.file("double", b.data("double", 400_000))
    b.file("ok", b.data("ok", 3000))
    b.file("dir/a", b"a")
    b.file("dir/b", b"b")
    b.file("dir/longer-name", b"c")
    b.file("dir/sub/d", b"d")
    for number in range(40):
        b.file(f"two-blocks/{'n' * 40}{number}", b"")
    os.symlink("f" * 20, b.root / "fast")
    os.symlink("s" * 200, b.root / "slow")
    b.mke2fs("-b", "1024", "-g", "2048", "-N", "256", "-O",
             "^resize_inode,^dir_index", size="3M")
    b.fsck_clean()
    with Ext2Image(b.path) as img:
        assert INODE["links"] == (26, "H")
        cases = _Cases(img)
        for collect in (_superblock, _groups, _inodes, _blocks, _directories, _links):
            collect(cases)
        table = {"cases": cases.cases, "sweep": _sweep(img)}
    b.path.with_name("hostile.json").write_text(json.dumps(table), encoding="ascii")
