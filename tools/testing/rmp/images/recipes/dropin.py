# SPDX-License-Identifier: GPL-2.0
"""Empty disks for the C filesystems on rust_mpage, and one CD with files.

Their programs are not everywhere: without one of them the image is an empty
file, and the tests that want it are skipped.
"""

import os
import shutil

from .. import hfsplus
from ..images import image

_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _have(b, program):
    if shutil.which(program, path=_PATH):
        return True
    b.path.write_bytes(b"")
    return False


def _blank(b, size):
    b.path.write_bytes(b"")
    b.truncate(size)


_FAT = {
    # clusters of a page; and of a sector, so that files are in pieces
    "dropin-fat16": ("20M", "-F", "16", "-s", "8", "-S", "512"),
    "dropin-fat32": ("36M", "-F", "32", "-s", "1", "-S", "512"),
}


@image(names=list(_FAT))
def fat(b, name):
    """mkfs.vfat, with a fixed volume number."""
    if _have(b, "mkfs.vfat"):
        size, *options = _FAT[name]
        _blank(b, int(size[:-1]) << 20)
        b.run("mkfs.vfat", *options, "-i", "6d706167", "--invariant", b.path)


@image
def dropin_minix(b):
    """Version 3: blocks of 1 KiB, 60 bytes to a name."""
    if _have(b, "mkfs.minix"):
        _blank(b, 12 << 20)
        b.run("mkfs.minix", "-3", "-i", "512", b.path)


_UDF = {"dropin-udf-512": 512, "dropin-udf-4k": 4096}


@image(names=list(_UDF))
def udf(b, name):
    """A hard disk's UDF, in blocks of the smallest and of a page's size."""
    if _have(b, "mkudffs"):
        _blank(b, 16 << 20)
        b.run("mkudffs", "--media-type=hd", f"--blocksize={_UDF[name]}",
              "--uuid=6d706167652e4c69", b.path)


@image
def dropin_hfsplus(b):
    """HFS+ in blocks of 4 KiB. Debian has no program that makes it."""
    b.path.write_bytes(hfsplus.make(16 << 20))


@image
def dropin_iso(b):
    """A CD with Rock Ridge and Joliet names, and files of all sizes."""
    if not _have(b, "genisoimage"):
        return
    for number, size in enumerate((0, 1, 2047, 2048, 2049, 4096, 10_000, 65_536,
                                   300_001, 1_048_576)):
        b.file(f"f{number}-{size}", b.data(f"iso{number}", size))
    for number in range(20):
        b.file(f"folder/{'n' * (number % 30)}{number}",
               b.data(f"small{number}", 100 + number * 37))
    os.symlink("f3-2048", b.root / "link")
    b.run("genisoimage", "-quiet", "-R", "-J", "-V", "RUST_MPAGE", "-o", b.path, b.root)

