# SPDX-License-Identifier: GPL-2.0
"""Rooms: folders of a crate whose mod.rs says what each may use. The arrows between
them are as it says, and nowhere is there a circle of rooms, or of more than three
files in a room.

Read from the `use` paths of the code, and from paths in it; what is only for tests
does not count.

Leaves out: what is reached without being named, as a method of something that is
at hand.
"""

import re
from pathlib import Path
from typing import NamedTuple

# folders with rooms, and the file that their paths begin at
TREES = {"ext2": "crate", "mpage": "crate::mpage",
         "abstractions/fs": "crate::abstractions::fs"}
MOST_IN_CIRCLE = 3

_COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"', re.S)
_TESTS = re.compile(r"^#\[(?:kernel::macros::)?kunit_tests\(\w+\)\]\n"
                    r"(?:#\[[^\n]*\]\n)*mod \w+ \{.*?^\}\n", re.M | re.S)
_SHOWN_TO = re.compile(r"\bpub\(in [\w:]+\)")
_USE = re.compile(r"\b(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);")
_PATH = re.compile(r"(?<![\w:$])(?:crate|self|super)(?:::\w+)+")
_HEAD = re.compile(r"^//! May use: (.*?)\.$", re.M | re.S)
_TOKEN = re.compile(r"::|[{},]|\bas\s+\w+|[\w*]+")


def leaves(tree):
    """Paths of a use tree, each a tuple of names: `a::{b, c::d}` has two."""
    found, stack, path = [], [()], ()
    for token in [*_TOKEN.findall(tree), ","]:
        if token in ("{", "}", ","):
            if token == "{":
                stack.append(stack[-1] + path)
            elif path:
                found.append(stack[-1] + path)
            if token == "}":
                stack.pop()
            path = ()
        elif token != "::" and not token.startswith("as "):
            path += (token,)
    return [path[:-1] if path[-1] == "self" and len(path) > 1 else path
            for path in found]


class Arrow(NamedTuple):
    """One file uses another, and by which names."""

    source: tuple
    target: tuple
    name: str


class Tree:
    """The files of a folder, by module: ("tree", "path") is tree/path.rs."""

    def __init__(self, top, folder, root):
        self.folder = folder
        self._base = top / folder
        self._root = tuple(root.split("::"))
        self._files = {}
        for path in sorted(self._base.rglob("*.rs")):
            module = path.relative_to(self._base).with_suffix("").parts
            if not re.search(r"(^test_|_tests?$)", module[-1]):
                self._files[module[:-1] if module[-1] == "mod" else module] = path
        self._code = {module: _TESTS.sub("", path.read_text(encoding="utf-8"))
                      for module, path in self._files.items()}
        self.rooms = sorted(module[0] for module, path in self._files.items()
                            if path.name == "mod.rs" and len(module) == 1)
        self._handed_on = {}
        self.arrows = []
        for module in self._files:
            self._read(module)
        self.arrows = [self._straight(arrow) for arrow in self.arrows]

    def _read(self, module):
        """Collects the arrows of a file, and what it hands on for others."""
        text = _SHOWN_TO.sub("", _COMMENT.sub("", self._code[module]))
        paths = []
        for match in _USE.finditer(text):
            for path in leaves(match[2]):
                target, rest = self._find(module, path)
                if match[1] and len(rest) == 1:
                    self._handed_on[module, rest[0]] = target
                else:
                    paths.append(path)
        paths += [tuple(path.split("::")) for path in _PATH.findall(_USE.sub("", text))]
        for path in paths:
            target, rest = self._find(module, path)
            if target is not None and target != module and target in self._files:
                self.arrows.append(Arrow(module, target, "::".join(rest)))

    def _find(self, module, path):
        """(module, names in it) that a path leads to, seen from a file; (None, ...)
        if that is not in this tree."""
        if path[0] == "crate":
            if path[:len(self._root)] != self._root:
                return None, ()
            path = path[len(self._root):]
        elif path[0] in ("self", "super"):
            path = list(path)
            while path and path[0] in ("self", "super"):
                if path.pop(0) == "super":
                    if not module:
                        return None, ()
                    module = module[:-1]
            path = (*module, *path)
        else:
            return None, ()
        for length in range(len(path), -1, -1):
            if path[:length] in self._files or length == 0:
                return path[:length], path[length:]
        return None, ()

    def _straight(self, arrow):
        """An arrow to what a room hands on is one to where that is."""
        first = arrow.name.split("::")[0]
        return arrow._replace(
            target=self._handed_on.get((arrow.target, first), arrow.target))

    def room(self, module):
        """The room that a file is in, or what it is called beside the rooms."""
        return module[0] if module else ""

    def name(self, module):
        """The path of a file, from the top."""
        return f"{self.folder}/" + self._files[module].relative_to(self._base).as_posix()

    def may_use(self, room):
        """What the head of a room says that it may use; None if it does not say."""
        text = self._files[room,].read_text(encoding="utf-8")
        match = _HEAD.search(text)
        return re.findall(r"`(\w+)`", match[1]) if match else None


def circles(nodes, edges):
    """Sets of nodes that lead to each other, of two or more."""
    reach = {}
    for node in {*nodes, *(end for ends in edges.values() for end in ends)}:
        seen, pending = set(), list(edges.get(node, ()))
        while pending:
            here = pending.pop()
            if here not in seen:
                seen.add(here)
                pending += edges.get(here, ())
        reach[node] = seen
    found = []
    for node in nodes:
        circle = {other for other in reach[node] if node in reach[other]}
        if len(circle) > 1 and circle not in found:
            found.append(circle)
    return found


def check(tree):
    """Complaints about one tree."""
    allowed = {}
    for room in tree.rooms:
        uses = tree.may_use(room)
        if uses is None:
            yield f"{tree.folder}/{room}/mod.rs: does not say what the room may use"
        allowed[room] = uses
    between, inside, ties = {}, {}, {}
    for arrow in tree.arrows:
        source, target = tree.room(arrow.source), tree.room(arrow.target)
        if source != target:
            between.setdefault(source, set()).add(target)
            ties.setdefault((source, target), []).append(arrow)
        else:
            inside.setdefault(arrow.source, set()).add(arrow.target)
    for (source, target), arrows in sorted(ties.items()):
        if source in tree.rooms and allowed[source] is not None \
                and target not in allowed[source]:
            for arrow in arrows:
                yield (f"{tree.name(arrow.source)}: uses {tree.name(arrow.target)} "
                       f"({arrow.name or 'the module'}): not what {source} may use")
    for room in tree.rooms:
        for unused in set(allowed[room] or ()) - between.get(room, set()):
            yield f"{tree.folder}/{room}/mod.rs: may use {unused}, and does not"
    for circle in circles(tree.rooms, between):
        names = sorted(circle)
        yield f"{tree.folder}: rooms in a circle: {', '.join(names)}"
    for circle in circles(list(inside), inside):
        if len(circle) > MOST_IN_CIRCLE:
            yield (f"{tree.folder}: {len(circle)} files in a circle: " +
                   ", ".join(sorted(map(tree.name, circle))))


def complaints(top):
    """Complaints about all trees that have rooms."""
    return [line for folder, root in TREES.items()
            for line in check(Tree(Path(top), folder, root))]
