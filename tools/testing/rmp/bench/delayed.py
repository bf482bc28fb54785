# SPDX-License-Identifier: GPL-2.0
"""The boots of `make bench` with a device that needs a millisecond for each request and
has a cache to flush: what names cost on a disk, in seconds, requests and flushes.

With the clock that counts instructions a second is 10^9 of them, or of waiting for the
device, whatever the machine does. The device counts its requests and flushes.
"""

import tarfile

from .. import cache
from . import plan

CREATES = 1000
ARCHIVE = "ARCHIVE"  # where the guest has the archive
HEADERS = "include"  # of the kernel's source

# column, what it is, decimals of the number, and what that is divided by
ROWS = (
    ("create_writes", f"{CREATES:,} files made, and sync: writes", 0, 1),
    ("create_flushes", "  flushes", 0, 1),
    ("create_kib", "  KiB written", 0, 1),
    ("move", f"{CREATES:,} moved to another directory: seconds", 2, 1e9),
    ("move_synced", "  and sync: seconds", 2, 1e9),
    ("move_writes", "  writes", 0, 1),
    ("move_flushes", "  flushes", 0, 1),
    ("unpack", "the kernel's headers unpacked: seconds", 2, 1e9),
    ("unpack_synced", "  and sync: seconds", 2, 1e9),
    ("unpack_writes", "  writes", 0, 1),
    ("unpack_flushes", "  flushes", 0, 1),
    ("unpack_kib", "  MiB written", 1, 1024),
    ("walk", "all listed, and asked for: seconds", 2, 1e9),
    ("walk_reads", "  reads", 0, 1),
    ("remove", "rm -r: seconds", 2, 1e9),
    ("remove_synced", "  and sync: seconds", 2, 1e9),
    ("remove_reads", "  reads", 0, 1),
    ("remove_writes", "  writes", 0, 1),
    ("remove_flushes", "  flushes", 0, 1),
)


def _cell(words, *names, needs=()):
    return {"run": words, "names": {name: name for name in names}, "needs": list(needs)}


def _names(prefix):
    return [name for name, _, _, _ in ROWS if name.split("_", 1)[0] == prefix]


def job(block_size):
    """The job of a boot."""
    cells = [
        _cell(["make-synced", "made", CREATES], *_names("create")),
        _cell(["move-synced", "made", CREATES], *_names("move"),
              needs=["create_writes"]),
        _cell(["unpack", "headers", ARCHIVE], *_names("unpack")),
        _cell(["walk", "headers"], *_names("walk"), needs=["unpack"]),
        _cell(["remove-tree", "headers"], *_names("remove"), needs=["unpack"]),
    ]
    return {"device": "delayed", "block_size": block_size, "device_mib": 256,
            "read": [], "write": cells, "make": [], "only": []}


def _member(info):
    """Regular files and directories, the same each time."""
    if not info.isfile() and not info.isdir():
        return None
    info.mtime = info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def archive(settings, source, version):
    """An archive of the kernel's headers. Needs the cache's lock."""
    def build(entry):
        with tarfile.open(entry / "headers.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            tar.add(source / HEADERS, HEADERS, filter=_member)

    return settings.cache.make("headers", cache.digest(version, HEADERS, "1"), build)


def lines(found):
    """Lines of a table, of the cells of a boot."""
    names = [name for name in plan.FILESYSTEMS if any(fs == name for fs, _ in found)]
    text = [f"{'':44}" + "".join(f"{name[:20]:>22}" for name in names)]
    for column, heading, decimals, unit in ROWS:
        cells = [found.get((name, column)) for name in names]
        if any(cells):
            text.append(f"{heading:44}" + "".join(
                f"{cell.cost * cell.units / unit:>22,.{decimals}f}" if cell
                else f"{'-':>22}" for cell in cells))
    return text
