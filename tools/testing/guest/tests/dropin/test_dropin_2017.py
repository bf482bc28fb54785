# SPDX-License-Identifier: GPL-2.0
"""The interface of 2017 on the mapping of a file in a mounted C ext2: a module in C
reads and compares the bytes, in which order is compared here (R17, R10).
"""

import dropin
import layout
import sides
import sysapi
from runner import timeout

MODULE = "rust_mpage_mounted"


def _read(ctx, path):
    """Have the module read a file; it does not load if that goes wrong."""
    ctx.load(MODULE, f"path={path}")
    sysapi.rmmod(MODULE)


@timeout(200)
def test_mounted_file(ctx):
    """Files of C ext2 in one piece and in many: bytes, and the order of the bios."""
    table = sides.manifest(ctx, "layout-1k")
    with dropin.loaded(ctx, dropin.SPECS["ext2-1k"], dropin.C):
        side = sides.Side(ctx, "ext2", ctx.copy("layout-1k"))
        for name in ("contiguous", "fragmented", "block-holes"):
            file = layout.File(table["files"][name], table["block_size"])
            with open(side.path(name), "rb", buffering=0) as handle:
                side.forget(handle.fileno())
            with ctx.record(side.device) as io:
                _read(ctx, side.path(name))
            if name == "contiguous":
                _check_order(file, io.bios)
        side.umount()


def _check_order(file, bios):
    """12 blocks, their indirect block, then what it points to."""
    scale = file.block_size // 512
    data = [file.data[block] * scale for block in sorted(file.data)]
    starts = [bio.sector for bio in bios]
    first, rest = starts.index(data[0]), starts.index(data[12])
    indirect = starts.index(file.indirect[(12,)] * scale)
    assert first < indirect < rest, f"{starts[:20]}"
    assert bios[first].sectors == 12 * scale, f"{bios[first]}"
    assert bios[first].op == "R", f"{bios[first]}"
