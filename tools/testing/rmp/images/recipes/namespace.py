# SPDX-License-Identifier: GPL-2.0
"""Disks for the tests of names whose state cannot be had in a few calls."""

import os

from ..images import image


@image
def namespace_flags(b):
    """Files and directories with EXT2_*_FL."""
    for name in ("plain", "immutable", "append"):
        b.file(name, b"text")
    for name in ("immutable-dir", "append-dir"):
        b.file(name + "/f", b"text")
        b.file(name + "/d/x", b"")
        (b.root / name / "d" / "x").unlink()
    b.file("inherit/x")
    b.mke2fs("-b", "1024", "-O", "^resize_inode", size="4M")
    b.debugfs(
        "set_inode_field immutable flags 0x10",
        "set_inode_field append flags 0x20",
        "set_inode_field immutable-dir flags 0x10",
        "set_inode_field append-dir flags 0x20",
        # sync, nodump, noatime, dirsync; the last for directories only
        "set_inode_field inherit flags 0x100c8",
    )
    b.fsck_clean()


@image
def namespace_links(b):
    """A file and a directory with 31999 links, or so they say."""
    b.file("file")
    b.file("dir/x")
    b.mke2fs("-b", "1024", "-O", "^resize_inode", size="4M")
    b.debugfs(
        "set_inode_field file links_count 31999",
        "set_inode_field dir links_count 31999",
    )


LOW = ("one", "two")


@image
def namespace_counts(b):
    """Directories and files with links that are not theirs: fewer, and more."""
    for name in (*LOW, "sound"):
        for child in "abc":
            (b.root / name / child).mkdir(parents=True)
        b.file(f"{name}/file", name.encode())
    for name in ("empty-1", "empty-5", "over-1", "over-5", "many/a"):
        (b.root / name).mkdir(parents=True)
    b.file("names/first", b.data("names", 20_000))
    os.link(b.root / "names" / "first", b.root / "names" / "second")
    b.file("most", b"most")
    os.link(b.root / "most", b.root / "most-2")
    b.mke2fs("-b", "1024", "-O", "^resize_inode,^dir_index", size="4M")
    counts = {"one": 1, "two": 2, "empty-1": 1, "empty-5": 5, "over-1": 1, "over-5": 5,
              "names/first": 1, "most": 65535, "many": 65535}
    b.debugfs(*(f"set_inode_field {name} links_count {count}"
                for name, count in counts.items()))
