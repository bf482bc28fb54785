# SPDX-License-Identifier: GPL-2.0
"""Check an unmounted HFS+ volume: Debian's hpfsck takes volumes inside an HFS wrapper
only, and loses its way in their nodes.

What fs/hfsplus writes is checked: both trees' chains, links, record counts, key order
and node maps; the extents of all forks against their sizes and against each other, and
together against the bitmap and the number of free blocks; each folder's valence.

Leaves out: attributes, journals, wrappers, times, and the order of names beyond ASCII.
Apple's Technical Note 1150 describes the format.
"""

import struct

_FORKS = 112  # in the header: allocation, extents, catalog, attributes, startup
_FORK = 80
_FOLDER, _FILE = 1, 2
_LEAF = 0xFF
_EXTENTS_FILE, _CATALOG_FILE = 3, 4
_FIRST_FORK, _SECOND_FORK = 88, 168  # in a file's record


class Damage(AssertionError):
    """The volume is not what it has to be."""


def need(right, what):
    if not right:
        raise Damage(what)


def _fork(data):
    """(bytes, blocks, [(first block, blocks)])."""
    size, _, blocks, *pairs = struct.unpack_from(">QII16I", data)
    return size, blocks, [pair for pair in zip(pairs[::2], pairs[1::2]) if pair[1]]


class Tree:
    """A B-tree; `records` are the leaves' (key, data), in order."""

    def __init__(self, name, data):
        self.name = name
        self._data = data
        header = struct.unpack_from(">HIIIIHHII", data, 14)
        (self._depth, root, count, first, last, self._size, _, self._nodes,
         free) = header
        need(self._nodes * self._size == len(data), f"{name}: its size is not its nodes'")
        self._used = {0}
        self.records = []
        if root:
            self._walk(root, self._depth)
        self._check_chain(first, last)
        need(len(self.records) == count,
             f"{name}: {len(self.records)} records, and the header says {count}")
        need(self._nodes - len(self._used) == free,
             f"{name}: {self._nodes - len(self._used)} free nodes, the header: {free}")
        self._check_map()

    def _node(self, number):
        need(0 < number < self._nodes, f"{self.name}: no node {number}")
        node = self._data[number * self._size:(number + 1) * self._size]
        after, before, kind, height, count, _ = struct.unpack_from(">IIBBHH", node)
        table = struct.unpack_from(f">{count + 1}H", node, self._size - 2 * (count + 1))
        offsets = table[::-1]
        need(list(offsets) == sorted(set(offsets)) and offsets[0] == 14 and
             offsets[-1] <= self._size - 2 * (count + 1),
             f"{self.name}: node {number} has records at {offsets}")
        records = []
        for begin, end in zip(offsets, offsets[1:]):
            length = 2 + struct.unpack_from(">H", node, begin)[0]
            need(begin + length <= end, f"{self.name}: a key in node {number} is too long")
            records.append((node[begin + 2:begin + length], node[begin + length:end]))
        return after, before, kind, height, records

    def _walk(self, number, height):
        """A node and what is below it; its first key."""
        need(number not in self._used, f"{self.name}: two ways to node {number}")
        self._used.add(number)
        _, _, kind, found, records = self._node(number)
        need(found == height and (kind == _LEAF) == (height == 1),
             f"{self.name}: node {number} is of height {found}, not {height}")
        need(records, f"{self.name}: node {number} is empty")
        if height == 1:
            self.records += records
        else:
            for key, data in records:
                child = self._walk(struct.unpack_from(">I", data)[0], height - 1)
                need(child == key, f"{self.name}: the key of a child of {number} is not its")
        return records[0][0]

    def _check_chain(self, first, last):
        number, before, records = first, 0, []
        while number:
            after, back, kind, _, found = self._node(number)
            need(kind == _LEAF and back == before and len(records) <= len(self.records),
                 f"{self.name}: the chain of leaves is broken at {number}")
            records += found
            number, before = after, number
        need(before == last and records == self.records,
             f"{self.name}: the chain is not the tree")

    def _check_map(self):
        """Of the header node, and of map nodes behind it."""
        bits, number, begin = b"", 0, 248
        while True:
            node = self._data[number * self._size:(number + 1) * self._size]
            count = struct.unpack_from(">H", node, 10)[0]
            end = struct.unpack_from(">H", node, self._size - 2 * (count + 1))[0]
            bits += node[begin:end]
            number, begin = struct.unpack_from(">I", node)[0], 14
            if not number:
                break
            self._used.add(number)
        marked = {at for at in range(self._nodes) if bits[at // 8] & 0x80 >> at % 8}
        need(marked == self._used,
             f"{self.name}: nodes {sorted(marked ^ self._used)} in the map only, or not")


class Volume:
    """Reads all of a volume; `report` is what it has."""

    def __init__(self, data):
        need(data[1024:1026] == b"H+", "no volume header")
        self._data = data
        header = struct.unpack_from(">9I", data, 1024 + 32)
        self._files, self._folders, self._block, self._total, self._free = header[:5]
        self._owner = {0: "header", self._total - 1: "header"}
        forks = [_fork(data[at:at + _FORK]) for at in
                 range(1024 + _FORKS, 1024 + _FORKS + 5 * _FORK, _FORK)]
        self._overflow = {}
        extents = self._read("extents", forks[1], _EXTENTS_FILE)
        for key, place in Tree("extents", extents).records:
            kind, _, file, at = struct.unpack(">BBII", key)
            pairs = struct.unpack_from(">16I", place)
            self._overflow.setdefault((file, kind), []).append(
                (at, [pair for pair in zip(pairs[::2], pairs[1::2]) if pair[1]]))
        bitmap = self._read("bitmap", forks[0], 6)
        self._catalog(Tree("catalog", self._read("catalog", forks[2], _CATALOG_FILE)))
        need(not self._overflow, f"extents of nobody: {self._overflow}")
        self._check_bitmap(bitmap)

    def _take(self, name, fork, file, kind=0):
        """The extents of a fork, each block its own."""
        size, blocks, places = fork
        have = sum(count for _, count in places)
        for at, more in sorted(self._overflow.pop((file, kind), [])):
            need(at == have, f"{name}: extents for block {at} after {have}")
            places = places + more
            have += sum(count for _, count in more)
        need(have == blocks, f"{name}: {have} blocks in extents, not {blocks}")
        need(size <= blocks * self._block, f"{name}: {size} bytes in {blocks} blocks")
        for first, count in places:
            for block in range(first, first + count):
                need(block < self._total, f"{name}: block {block}")
                need(block not in self._owner,
                     f"block {block}: of {name} and of {self._owner.get(block)}")
                self._owner[block] = name
        return places

    def _read(self, name, fork, file):
        block = self._block
        data = b"".join(self._data[first * block:(first + count) * block]
                        for first, count in self._take(name, fork, file))
        return data[:fork[0]]

    def _catalog(self, tree):
        valence, children, files = {}, {}, 0
        last = (0, b"")
        for key, data in tree.records:
            parent = struct.unpack_from(">I", key)[0]
            need(parent >= last[0], f"catalog: parent {parent} after {last[0]}")
            last = parent, key
            kind = struct.unpack_from(">H", data)[0]
            if kind == _FOLDER:
                count, number = struct.unpack_from(">II", data, 4)
                valence[number] = count
            elif kind == _FILE:
                files += 1
                number = struct.unpack_from(">I", data, 8)[0]
                for which, at in ((0, _FIRST_FORK), (0xFF, _SECOND_FORK)):
                    self._take(f"file {number}", _fork(data[at:at + _FORK]), number, which)
            if kind in (_FOLDER, _FILE):
                children[parent] = children.get(parent, 0) + 1
        for number, count in valence.items():
            need(children.get(number, 0) == count,
                 f"folder {number} has {children.get(number, 0)} entries, not {count}")
        need(set(children) <= {1, *valence}, "entries of no folder")
        self.report = (f"{files} files, {len(valence)} folders, {len(self._owner)} blocks "
                       f"used, {self._free} free; the header counts {self._files} files "
                       f"and {self._folders} folders")

    def _check_bitmap(self, bitmap):
        marked = {at for at in range(self._total) if bitmap[at // 8] & 0x80 >> at % 8}
        wrong = sorted(marked ^ set(self._owner))
        need(not wrong, f"blocks that are marked and not used, or used and not marked: "
                        f"{wrong[:20]}")
        need(self._total - len(marked) == self._free,
             f"{self._total - len(marked)} blocks are free, the header says {self._free}")


    def trees(self):
        """The sectors of the bitmap and of both trees."""
        per = self._block // 512
        return frozenset(
            sector for block, name in self._owner.items()
            if name in ("extents", "bitmap", "catalog")
            for sector in range(block * per, (block + 1) * per))


def trees(path):
    """The sectors of a good volume's trees."""
    with open(path, "rb") as file:
        return Volume(file.read()).trees()


def check(path):
    """What the volume has, a text; Damage if it is damaged."""
    with open(path, "rb") as file:
        return Volume(file.read()).report
