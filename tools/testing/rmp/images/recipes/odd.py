# SPDX-License-Identifier: GPL-2.0
"""A filesystem on a device whose size is no multiple of a page: "odd-1k".

It has 1537 blocks of 1 KiB, and the device half a block more. The file "last" has
the last three blocks, in descending order, and "end" the ones before them.
"""

import json

from ..ext2 import Ext2Image, Placer, noise
from ..images import image

BLOCKS = 1537


@image
def odd_1k(b):
    for name in ("last", "end"):
        b.file(name)
    b.mke2fs("-b", "1024", "-N", "32", "-m", "0", "-O", "^resize_inode",
             size=str(BLOCKS))
    table = {"block_size": 1024, "files": {}}
    with Ext2Image(b.path) as img:
        for name, size, place in (
                ("last", 3 * 1024 - 7, lambda p: p.reverse(0, 3)),
                ("end", 8 * 1024, lambda p: p.run(0, 8))):
            first = BLOCKS - 3 if name == "last" else BLOCKS - 11
            placer = Placer(img, img.lookup(name), first)
            place(placer)
            placer.finish(size, lambda block, name=name: noise((name, block), 1024))
            table["files"][name] = {
                "size": size, "sha256": None, "indirect": {}, "parts": [[0, size]],
                "data": [[block, at, 1] for block, at in placer.data.items()],
            }
    b.fsck_repair()
    b.fsck_clean()
    b.truncate(BLOCKS * 1024 + 512)
    b.path.with_name("odd-1k.json").write_text(json.dumps(table), encoding="ascii")
