# SPDX-License-Identifier: GPL-2.0
"""What rust_ext2 knows of the names of a directory (B13), where that is not so: it costs time, and
no answer is wrong.
"""

import os
import struct

import disks
import ext2disk
from runner import timeout
from test_index import FILE, _put


def _entries(block):
    """{name: where its entry starts} of a block of a directory."""
    found, at = {}, 0
    while at < len(block):
        length, size = struct.unpack_from("<HB", block, at + 4)
        found[os.fsdecode(block[at + 8:at + 8 + size])] = at
        at += length
    return found


def _turned(block):
    """A block of a directory with its entries in the other direction."""
    entries = [block[at:at + 8 + len(name)].ljust(12 + (len(name) - 1) // 4 * 4, b"\0")
               for name, at in reversed(_entries(block).items())]
    left = len(block)
    for number, entry in enumerate(entries):
        length = left if number == len(entries) - 1 else len(entry)
        entries[number] = entry[:4] + struct.pack("<H", length) + entry[6:]
        left -= length
    return b"".join(entries).ljust(len(block), b"\0")


@timeout(100)
def test_under_the_filesystem(ctx):
    """What is known is not so: under the mounted filesystem a block of the directory has become
    another one, with the same names. They cost a walk, and all are found."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 walks over the directory")
    disk = disks.Disk(ctx, "blank-1k").mount()
    os.close(os.open(disk.where("file"), os.O_CREAT | os.O_WRONLY, FILE))
    # where one was is another one, or none
    kinds = {"alike": lambda number: f"{number:030}",
             "longer": lambda number: f"{number:03}{'x' * (number * 7 % 40)}"}
    for folder, name in kinds.items():
        os.mkdir(disk.where(folder))
        for number in range(200):
            os.link(disk.where("file"), disk.where(f"{folder}/{name(number)}"))
    disk.umount()
    disk.mount()
    for folder, name in kinds.items():
        inode = os.stat(disk.where(folder)).st_ino
        assert not os.path.lexists(disk.where(f"{folder}/absent"))
        with open(disk.path, "r+b") as file:
            at = ext2disk.inode_pointers(disk.path, inode)[1] * 1024
            file.seek(at)
            block = file.read(1024)
            file.seek(at)
            file.write(_turned(block))
        new = _entries(_turned(block))
        first = next(name for name, place in _entries(block).items() if new[name] != place
                     and (place in new.values()) == (folder == "alike"))
        before = os.listdir(disk.where(folder))
        _put("1")
        assert os.listdir(disk.where(folder)) != before, "nothing has changed"
        # which is the first to find that it is not so
        for found in (first, *map(name, range(200))):
            assert os.path.lexists(disk.where(f"{folder}/{found}")), (folder, found)
    disk.finish()
