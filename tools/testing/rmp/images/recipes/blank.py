# SPDX-License-Identifier: GPL-2.0
"""Empty disks for the tests that write: several groups, so that allocation has a
choice, and small enough that a copy and a check are quick.
"""

from ..images import image

_BLANK = {
    "blank-1k": ("24M", "-b", "1024", "-g", "4096", "-N", "2048"),
    "blank-2k": ("24M", "-b", "2048", "-g", "2048", "-N", "2048"),
    "blank-4k": ("24M", "-b", "4096", "-g", "1024", "-N", "2048"),
    "blank-old": ("24M", "-b", "1024", "-g", "4096", "-N", "2048", "-r", "0",
                  "-O", "none", "-I", "128"),
    # for a workload that is cut short at every write: as small as it can be
    "tiny-1k": ("2M", "-b", "1024", "-g", "1024", "-N", "128"),
    "tiny-4k": ("4M", "-b", "4096", "-g", "512", "-N", "128"),
    # to be filled
    "full-1k": ("4M", "-b", "1024", "-g", "2048", "-N", "256", "-m", "12"),
    "full-4k": ("4M", "-b", "4096", "-g", "512", "-N", "256", "-m", "2"),
    # for many small files, which leave little of it free
    "many-1k": ("58M", "-b", "1024", "-N", "10752", "-I", "256"),
    # for programs that bring their own workload
    "large-1k": ("128M", "-b", "1024"),
    "large-4k": ("128M", "-b", "4096"),
}


@image(names=list(_BLANK))
def blank(b, name):
    """mke2fs, without the inode for growing, which takes half of a small disk."""
    size, *options = _BLANK[name]
    if "-O" not in options:
        options += ["-O", "^resize_inode"]
    b.mke2fs(*options, size=size)
    b.fsck_clean()
