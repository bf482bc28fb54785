# SPDX-License-Identifier: GPL-2.0
"""Quota files that are not what they should be (E13, E14)."""

import errno
import os
import random
import struct

import disks
import ext2disk
import quotas
import writers
from lowlevel import error_of
from quotas import USER
from runner import timeout

WHO = 1000


def _use(disk):
    """Do what quota has to be read and written for; any error is an answer, but what is
    done or not is so as a whole, which e2fsck sees."""
    for number in (1, WHO, WHO + 1, 70000, 2 ** 31 - 5):
        error_of(quotas.get, disk, USER, number)
        path = disk.where(f"of-{number}")
        error_of(writers.make, path, 3, 3000)
        error_of(os.chown, path, number, number)
        error_of(os.truncate, path, 9000)
        error_of(os.mkdir, path + "-folder")
    for number in (WHO, 70000):
        error_of(os.unlink, disk.where(f"of-{number}"))
    error_of(quotas.usage, disk)
    error_of(disks.sync, disk.point)


@timeout(150)
def test_files(ctx):
    """Quota files with anything in them: refused, or used without harm to what they do
    not count."""
    disk = quotas.ready(ctx, "blank-1k")
    for number in (1, 77, WHO, 70000, 2 ** 31 - 5):
        quotas.limit(disk, USER, number, blocks=(0, 1000))
    quotas.turn_off(disk)
    path = disk.where(quotas.FILES[USER])
    with open(path, "rb") as file:
        good = file.read()
    writers.make(disk.where("bystander"), 9, 50_000)
    chance = random.Random(ctx.seed(13))

    def broken():
        for size in (0, 3, 7, 8, 31, 32, 1023, 1024, 2047, len(good) - 1):
            yield good[:size]
        for offset in range(0, 32, 4):
            for word in (1, 0xFFFFFFFF):
                yield good[:offset] + struct.pack("<I", word) + good[offset + 4:]
        for _ in range(12):
            data = bytearray(good)
            for _ in range(chance.choice((1, 3, 30))):
                at = chance.randrange(1024, len(good)) & ~3
                word = chance.choice((0, 1, 2, 3, 5, len(good) // 1024, 0x7FFFFFFF,
                                      chance.getrandbits(32)))
                struct.pack_into("<I", data, at, word)
            yield bytes(data)

    turned_on = 0
    for data in broken():
        with open(path, "wb") as file:
            file.write(data)
        if not error_of(quotas.turn_on, disk, (USER,))[1]:
            turned_on += 1
            _use(disk)
            quotas.turn_off(disk, (USER,))
    assert turned_on > 10, f"only {turned_on} could be turned on"
    # holes in place of all blocks
    os.truncate(path, 0)
    os.truncate(path, 1 << 20)
    assert error_of(quotas.turn_on, disk, (USER,))[1] == errno.EINVAL
    writers.check(disk.where("bystander"), 9, 50_000)
    disk.finish()


def _unused_table_block(path):
    """The last block of the first group's inode table, which has no inode in use."""
    with open(path, "rb") as file:
        raw = file.read(4096)
    per_group, = struct.unpack_from("<I", raw, 1024 + 40)
    size, = struct.unpack_from("<H", raw, 1024 + 88)
    table, = struct.unpack_from("<I", raw, 2048 + 8)
    return table + per_group * size // 1024 - 1


def _block(path, number, data=None):
    """A block of an image; with data it is written."""
    with open(path, "r+b") as file:
        file.seek(number * 1024)
        if data is None:
            return file.read(1024)
        return file.write(data)


@timeout(60)
def test_pointers(ctx):
    """A quota file that has a block of the inode table: it is not written to."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("for rust_ext2: C writes to it")
    disk = quotas.ready(ctx, "blank-1k")
    last = os.path.getsize(disk.where(quotas.FILES[USER])) // 1024 - 1
    quotas.turn_off(disk)
    disk.finish()
    table = _unused_table_block(disk.path)
    name, debugfs = quotas.FILES[USER], ctx.tool("debugfs")
    # the root of the tree, and the block with the entries
    for index in (1, last):
        place = int(ctx.run(debugfs, "-R", f"bmap {name} {index}", disk.path))
        data = _block(disk.path, place)
        assert any(data) and not any(_block(disk.path, table))
        _block(disk.path, table, data)
        ctx.run(debugfs, "-w", "-R", f"sif {name} block[{index}] {table}", disk.path)
        disk.mount(quotas.OPTIONS + ",errors=continue")
        quotas.turn_on(disk, (USER,))
        _use(disk)
        disk.umount()
        assert _block(disk.path, table) == data, f"block {index} of the file"
        ctx.run(debugfs, "-w", "-R", f"sif {name} block[{index}] {place}", disk.path)
        _block(disk.path, table, bytes(1024))
    disk.mount()
    disk.finish()


_MODE, _SIZE, _BLOCKS, _POINTERS, _SIZE_HIGH = 0, 4, 28, 40, 108


def _cases(end, table, directory):
    """What is overwritten in the inode of a quota file, [(offset, form, value)], by name;
    `end` is the number of blocks, `table` and `directory` are blocks of such."""
    def pointer(index, value):
        return [(_POINTERS + 4 * index, "<I", value)]

    def all_of_them(value):
        return [(_POINTERS + 4 * index, "<I", value) for index in range(15)]

    yield "type 0", [(_MODE, "<H", 0o644)]
    yield "a directory", [(_MODE, "<H", 0o040644)]
    yield "a device", [(_MODE, "<H", 0o060644)]
    yield "size 0", [(_SIZE, "<I", 0)]
    yield "size odd", [(_SIZE, "<I", 0x1FFF)]
    yield "size negative", [(_SIZE_HIGH, "<I", 0x80000000)]
    yield "size huge", [(_SIZE_HIGH, "<I", 0x7FFFFFFF)]
    yield "size of 1 TiB", [(_SIZE_HIGH, "<I", 0x100)]
    yield "i_blocks absurd", [(_BLOCKS, "<I", 0xFFFFFFFF)]
    yield "i_blocks 0", [(_BLOCKS, "<I", 0)]
    yield "a hole in front", pointer(0, 0)
    yield "a hole for the root", pointer(1, 0)
    for index in (0, 1, 2, 12):
        yield f"pointer {index} far outside", pointer(index, 0xFFFFFF00)
        yield f"pointer {index} just outside", pointer(index, end)
        yield f"pointer {index} at the superblock", pointer(index, 1)
        yield f"pointer {index} at the descriptors", pointer(index, 2)
        yield f"pointer {index} at an inode table", pointer(index, table)
        yield f"pointer {index} at a directory", pointer(index, directory)
    yield "nothing but holes", all_of_them(0)
    yield "all outside", all_of_them(end + 1)
    yield "one level too many", [(_POINTERS + 4 * 13, "<I", directory),
                                 (_SIZE, "<I", 1 << 20)]


@timeout(180)
def test_inodes(ctx):
    """A quota file whose inode is broken, each field: refused, or used without harm to
    anybody else; no metadata is given out or overwritten."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("for rust_ext2: C writes to what it is led to")
    ctx.allow_log(r"rust_ext2 .*error: ")
    disk = quotas.ready(ctx, "blank-1k")
    for number in range(12):
        quotas.limit(disk, USER, 1 + (number << 16), blocks=(0, 1000))
    ino = os.stat(disk.where(quotas.FILES[USER])).st_ino
    size = os.path.getsize(disk.where(quotas.FILES[USER]))
    assert size > 14 * 1024, f"no indirect block: {size}"
    quotas.turn_off(disk)
    os.mkdir(disk.where("folder"))
    os.mkdir(disk.where("folder/kept"))
    directory = os.stat(disk.where("folder")).st_ino
    writers.make(disk.where("bystander"), 9, 50_000)
    disk.finish()
    at = ext2disk.inode_offset(disk.path, ino)
    with open(disk.path, "rb") as file:
        sound = file.read()
    of_directory, = struct.unpack_from(
        "<I", sound, ext2disk.inode_offset(disk.path, directory) + _POINTERS)
    groups, info = ext2disk.Groups(disk.path), ext2disk.superblock(disk.path)
    blocks = -(-info["inodes_per_group"] * info["inode_size"] // groups.size)
    metadata = groups.metadata(blocks)
    turned_on, wrong = 0, []
    for name, patches in _cases(info["blocks"], _unused_table_block(disk.path),
                                of_directory):
        with open(disk.path, "r+b") as file:
            file.write(sound)
            for offset, form, value in patches:
                file.seek(at + offset)
                file.write(struct.pack(form, value))
        disk.mount(quotas.OPTIONS + ",errors=continue")
        if not error_of(quotas.turn_on, disk, (USER,))[1]:
            turned_on += 1
        _use(disk)
        error_of(quotas.turn_off, disk, (USER,))
        writers.check(disk.where("bystander"), 9, 50_000, what=name)
        if "directory" not in name and "level" not in name:
            assert os.listdir(disk.where("folder")) == ["kept"], name
        disk.umount()
        bitmaps = ext2disk.Groups(disk.path)
        free = [block for block in metadata if not bitmaps.is_used(block)]
        if free:
            wrong.append(f"{name}: the metadata in blocks {free[:9]} is called free")
        if "table" in name:
            status, text = disks.fsck(ctx, disk.path, "-fy")
            assert status in (0, 1), f"{name}: {status}\n{text}"
    assert not wrong, "\n".join(wrong)
    assert turned_on > 5, f"only {turned_on} could be turned on"
