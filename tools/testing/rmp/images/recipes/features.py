# SPDX-License-Identifier: GPL-2.0
"""Filesystems with one feature more, or less, than others have (E17).

Nothing is in them but what mke2fs makes, so that what is not free is known; "-ro"
has a file to be read.
"""

from ..images import image

_GROUPS = ("-b", "1024", "-g", "512", "-N", "256")
# 32 descriptors to a block: the second meta group begins with group 32
_META = ("-b", "1024", "-g", "256", "-N", "576")

FEATURES = {
    "features-super2-0": ("6M", *_GROUPS, "-O",
                          "sparse_super2,^sparse_super,^resize_inode",
                          "-E", "num_backup_sb=0"),
    "features-super2-1": ("6M", *_GROUPS, "-O", "sparse_super2,^resize_inode",
                          "-E", "num_backup_sb=1"),
    "features-super2-2": ("6M", *_GROUPS, "-O",
                          "sparse_super2,^sparse_super,^resize_inode"),
    "features-super2-resize": ("6M", *_GROUPS, "-O", "sparse_super2"),
    "features-super2-meta": ("9M", *_META, "-O",
                             "sparse_super2,meta_bg,^sparse_super,^resize_inode"),
    "features-meta": ("9M", *_META, "-O", "meta_bg,^resize_inode"),
    "features-meta-all": ("9M", *_META, "-O",
                          "meta_bg,^sparse_super,^resize_inode"),
    "features-sparse": ("6M", *_GROUPS, "-O", "^resize_inode"),
    "features-all": ("6M", *_GROUPS, "-O", "^sparse_super,^resize_inode"),
    "features-resize": ("6M", *_GROUPS),
    "features-journal": ("6M", "-b", "1024", "-O", "has_journal", "-J", "size=1"),
    "features-commit": ("16M", "-b", "4096", "-O", "has_journal,fast_commit",
                        "-J", "size=6"),
    "features-orphan": ("6M", "-b", "1024", "-O", "has_journal,orphan_file",
                        "-J", "size=1"),
    "features-stable": ("6M", "-b", "1024", "-O", "stable_inodes"),
    "features-none": ("6M", "-b", "1024", "-O", "none"),
}


@image(names=list(FEATURES))
def features(b, name):
    """What mke2fs makes of a list of features."""
    size, *options = FEATURES[name]
    b.mke2fs(*options, size=size)
    b.fsck_clean()


@image
def features_ro(b):
    """All features at once that a driver without them may only read."""
    b.file("file", b.data("features", 30_000))
    b.mke2fs("-b", "1024", "-I", "256", "-O",
             "huge_file,metadata_csum,dir_nlink,extra_isize,quota,project", size="6M")
    b.fsck_repair()  # quota counts what mke2fs copied
    b.fsck_clean()
