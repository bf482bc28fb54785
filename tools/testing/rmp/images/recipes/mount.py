# SPDX-License-Identifier: GPL-2.0
"""Small images for what mounting looks at: defaults in the superblock, backup
superblocks.
"""

from ..images import image


@image(names=["small-1k", "small-4k"])
def small(b, name):
    """More than one group each, so that there is a backup superblock.

    It is in block 2049 (sb=2049) or block 512 (sb=2048).
    """
    b.file("file", b"read me\n" * 1000)
    b.file("folder/other", b"x")
    if name == "small-1k":
        b.mke2fs("-b", "1024", "-g", "2048", "-N", "64", "-O", "^resize_inode",
                 size="3M")
    else:
        b.mke2fs("-b", "4096", "-g", "512", "-N", "64", "-O", "^resize_inode",
                 size="3M")
    b.fsck_clean()


_TUNED = {
    "tuned-plain": ("-o", "^acl,^user_xattr"),
    "tuned-all": ("-o", "acl,user_xattr,bsdgroups,uid16", "-e", "continue",
                  "-u", "7", "-g", "9"),
    "tuned-panic": ("-o", "^acl,user_xattr", "-e", "panic"),
    "tuned-ro": ("-o", "acl,^user_xattr", "-e", "remount-ro"),
}


@image(names=list(_TUNED))
def tuned(b, name):
    """Other defaults of the mount options."""
    b.file("file", b"x")
    b.mke2fs("-b", "1024", "-N", "32", "-O", "^resize_inode", size="1M")
    b.run("tune2fs", *_TUNED[name], b.path)
    b.fsck_clean()
