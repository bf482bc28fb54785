# SPDX-License-Identifier: GPL-2.0
"""The broken images of test_hostile.py, to be written to: one image that is made anew for
each case, and everything that is done to it.
"""

import errno

import disks
import ext2disk
import sides
from lowlevel import error_of

# what a call may say of a broken filesystem
FINE = {0, errno.EUCLEAN, errno.EIO, errno.ENOENT, errno.ENOTDIR, errno.EISDIR,
        errno.EINVAL, errno.EFBIG, errno.ENOTEMPTY, errno.EMLINK, errno.ELOOP,
        errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ENXIO}


class Bench:
    """The image. prepare(disk) makes it what it is before it is broken, ok(disk) looks at
    what is sound in it, and `fine` is what calls may give. `prepared` is what prepare() has
    returned, and `told` what the calls of the last case have given, errnos by what they are."""

    def __init__(self, ctx, ok, fine=FINE, options="", prepare=None):
        self._ok, self._fine = ok, fine
        self._options = ",".join(filter(None, (options, "errors=continue")))
        self.disk = disks.Disk(ctx, "hostile")
        self.prepared, self.told = None, {}
        if prepare:
            self.disk.mount(options)
            self.prepared = prepare(self.disk)
            self.disk.umount()
        with open(self.disk.path, "rb") as file:
            self._sound = file.read()
        groups, info = ext2disk.Groups(self.disk.path), ext2disk.superblock(self.disk.path)
        table = -(-info["inodes_per_group"] * info["inode_size"] // groups.size)
        # the blocks that are none of any file's, by group descriptor
        self._metadata = groups.metadata(table)

    def damage(self, patches):
        """The image with this of it overwritten: [(offset, bytes as hex)]."""
        with open(self.disk.path, "r+b") as file:
            file.write(self._sound)
            for offset, text in patches:
                file.seek(offset)
                file.write(bytes.fromhex(text))

    def sound(self):
        """What is sound in it, or None if nothing is."""
        return error_of(self._ok, self.disk)[0]

    def run(self, name, patches, calls):
        """(what is sound before, what is wrong, what is sound after) with the calls of a
        case, [(what, call)], on a disk that is mounted meanwhile; None if it cannot be."""
        self.damage(patches)
        if error_of(self.disk.mount, self._options)[1]:
            return None
        before, found = self.sound(), []
        self.told = {}
        for what, call in calls(self.disk):
            self.told[what] = number = error_of(call)[1]
            if number not in self._fine:
                found.append(f"{name}: {what} gives {number}")
        after = self.sound()
        self.disk.umount()
        bitmaps = ext2disk.Groups(self.disk.path)
        free = [block for block in self._metadata if not bitmaps.is_used(block)]
        if free:
            found.append(f"{name}: the metadata in blocks {free[:9]} is called free")
        return before, found, after


def begin(ctx):
    """For rust_ext2, which says what is wrong."""
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("for rust_ext2")
    ctx.allow_log(r"rust_ext2 .*error: ")


def each(cases, run):
    """run(name, case) of each, which is None if that is not mounted:
    (how many were, what was wrong)."""
    found = [run(name, case) for name, case in cases.items()]
    return (sum(text is not None for text in found),
            [text for texts in found for text in texts or ()])
