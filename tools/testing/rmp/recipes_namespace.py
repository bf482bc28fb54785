# SPDX-License-Identifier: GPL-2.0
"""Disks for the tests of names whose state cannot be had in a few calls."""

from .images import image


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
