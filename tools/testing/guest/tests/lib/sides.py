# SPDX-License-Identifier: GPL-2.0
"""C ext2 and the filesystem under test, side by side in one boot.

Each side has its own loop device over the same read-only file, so that sectors
are comparable and neither finds in the cache what the other has read.
"""

import fcntl
import hashlib
import json
import os

import page_cache

C_FSTYPE = "ext2"

_BLKFLSBUF = 0x1261


class Side:
    """One mounted copy of an image."""

    def __init__(self, ctx, fstype, image, options=""):
        self._ctx = ctx
        self.fstype = fstype
        self.is_c = fstype == C_FSTYPE
        self.image = image
        self.device = ctx.loop(image)
        self.point = ctx.mount(self.device, fstype, options)

    def path(self, name):
        return os.path.join(self.point, name)

    def umount(self):
        self._ctx.umount(self.point)

    def forget(self, fd):
        """Drop the file's pages and the device's buffers; the inode stays."""
        page_cache.drop(fd)
        device = os.open(self.device, os.O_RDONLY)
        try:
            fcntl.ioctl(device, _BLKFLSBUF, 0)
        finally:
            os.close(device)


def both(ctx, image, options=""):
    """(C ext2, the filesystem under test) on the same image."""
    ctx.load(C_FSTYPE)
    copy = ctx.copy(image)
    return (Side(ctx, C_FSTYPE, copy, options), Side(ctx, ctx.fstype, copy, options))


def manifest(ctx, image):
    """What the recipe wrote beside an image."""
    with open(ctx.image(image + ".json"), encoding="utf-8") as file:
        return json.load(file)


def sha256(data):
    return hashlib.sha256(data).hexdigest()
