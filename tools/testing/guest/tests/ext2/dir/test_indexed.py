# SPDX-License-Identifier: GPL-2.0
"""Directories with an index by hash, which ext3 and ext4 use: it is not kept in step (B12)."""

import os

import disks
import ext2disk
import sides
from runner import timeout
from test_twin import no_flusher

INDEX_FL = 0x1000


@timeout(120)
def test_index_goes_with_a_change(ctx):
    """When a change of such a directory is on the disk the index is not there any more: with
    dirsync when the call returns, else when somebody has synced it."""
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("C waits for the directory before it clears the flag")
    for options in ("dirsync", ""):
        disk = disks.Disk(ctx, "tree-small-index")
        with no_flusher():
            disk.mount(options)
            number = os.stat(disk.where("thousands")).st_ino
            assert ext2disk.inode_flags(disk.path, number) & INDEX_FL, "it has no index"
            os.mknod(disk.where("thousands/new"))
            if not options:
                assert ext2disk.inode_flags(disk.path, number) & INDEX_FL, "it was written at once"
                directory = os.open(disk.where("thousands"), os.O_RDONLY)
                os.fsync(directory)
                os.close(directory)
            assert not ext2disk.inode_flags(disk.path, number) & INDEX_FL, f"with {options!r}"
        disk.finish()
