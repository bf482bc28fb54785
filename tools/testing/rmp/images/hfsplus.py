# SPDX-License-Identifier: GPL-2.0
"""Make an empty HFS+ volume, which no program of Debian does: a volume header, an
allocation file, an empty extents tree, and a catalog with the root directory.

Apple's Technical Note 1150 describes the format; fs/hfsplus is what reads it.

Leaves out: a wrapper, a journal, attributes, a startup file.
"""

import struct

BLOCK = 4096
NODE = 4096
DATE = 1_700_000_000 + 2_082_844_800  # seconds since 1904
NAME = "rust_mpage".encode("utf-16-be")

_ALLOCATION, _EXTENTS, _CATALOG = (1, 1), (2, 4), (6, 64)  # first block, blocks
_UNMOUNTED = 1 << 8
_BIG_KEYS, _VARIABLE_KEYS = 2, 4
_HEADER, _LEAF = 1, 0xFF


def _node(kind, height, records):
    """A node: descriptor, records, and their offsets from the end back."""
    data = struct.pack(">IIBBHH", 0, 0, kind, height, len(records), 0)
    offsets = [len(data)]
    for record in records:
        data += record
        offsets.append(len(data))
    table = struct.pack(f">{len(offsets)}H", *reversed(offsets))
    return data + bytes(NODE - len(data) - len(table)) + table


def _tree(nodes, key_length, attributes, compare, leaf):
    """A tree of a header and, if there is one, a leaf of some records."""
    used = 2 if leaf else 1
    header = struct.pack(
        ">HIIIIHHIIHIBBI64x", used - 1, used - 1, len(leaf), used - 1, used - 1, NODE,
        key_length, nodes, nodes - used, 0, nodes * NODE, 0, compare, attributes)
    room = bytes([0xC0 if leaf else 0x80]) + bytes(NODE - 256 - 1)
    data = _node(_HEADER, 0, [header, bytes(128), room])
    if leaf:
        data += _node(_LEAF, 1, leaf)
    return data + bytes((nodes - used) * NODE)


def _key(parent, name):
    return struct.pack(">HIH", 6 + len(name), parent, len(name) // 2) + name


def _root():
    """The records of the root directory: itself and its thread."""
    permissions = struct.pack(">IIBBHI", 0, 0, 0, 0, 0o40755, 0)
    folder = struct.pack(">HHII5I", 1, 0, 0, 2, DATE, DATE, DATE, DATE, 0) + \
        permissions + bytes(32) + struct.pack(">II", 0, 0)
    thread = struct.pack(">HhIH", 3, 0, 1, len(NAME) // 2) + NAME
    return [_key(1, NAME) + folder, _key(2, b"") + thread]


def _fork(place):
    first, blocks = place
    return struct.pack(">QIIII56x", blocks * BLOCK, blocks * BLOCK, blocks, first, blocks)


def make(size):
    """The bytes of a volume of `size` bytes, at most 128 MiB."""
    blocks = size // BLOCK
    used = [0, *range(1, _CATALOG[0] + _CATALOG[1]), blocks - 1]
    bitmap = bytearray(BLOCK)
    for block in used:
        bitmap[block // 8] |= 0x80 >> block % 8
    header = struct.pack(
        ">2sHI4sI4I2I3I3I2IQ32x", b"H+", 4, _UNMOUNTED, b"rmpg", 0,
        DATE, DATE, 0, DATE, 0, 0, BLOCK, blocks, blocks - len(used),
        _CATALOG[0] + _CATALOG[1], BLOCK, BLOCK, 16, 0, 1)
    header += _fork(_ALLOCATION) + _fork(_EXTENTS) + _fork(_CATALOG) + bytes(160)
    volume = bytearray(blocks * BLOCK)

    def put(at, data):
        volume[at:at + len(data)] = data

    put(1024, header)
    put(len(volume) - 1024, header)
    put(_ALLOCATION[0] * BLOCK, bytes(bitmap))
    put(_EXTENTS[0] * BLOCK, _tree(_EXTENTS[1], 10, _BIG_KEYS, 0, []))
    put(_CATALOG[0] * BLOCK,
        _tree(_CATALOG[1], 516, _BIG_KEYS | _VARIABLE_KEYS, 0, _root()))
    return bytes(volume)
