# SPDX-License-Identifier: GPL-2.0
"""Which way the Rust code points: a layer uses what is below it, and nothing above.

A file points to the file that defines what it names, in a `use` or elsewhere, however
many times that is passed on by `pub use` on the way, which is no arrow itself. In the
library's crate the layers are folders; files that point to each other in a circle are in one folder.

Leaves out: names that come by a glob or by a macro, fields and methods, and tests/.
"""

import posixpath
import re

CRATES = {"rust_mpage.rs": "rust_mpage", "ext2/rust_ext2.rs": "rust_ext2"}
# From the ground up. What is in no folder is the crate's root, above all.
LAYERS = ("bindings", "compat", "abstractions", "mpage", "abi")
# Where files of several folders may not point to each other in a circle.
APART = ("rust_mpage",)

_MODULE = re.compile(r"^\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;", re.M)
_INLINE = re.compile(r"\bmod\s+\w+\s*\{")
_USE = re.compile(r"(\bpub(?:\([^)]*\))?\s+)?\buse\s+((?:[^;{}]|\{[^;]*\})+?)\s*;")
_PATH = re.compile(r"(?<![\w:])\w+(?:::\w+)+")
_TOKEN = re.compile(r"\w+|::|[{},*]")


def _code(text):
    """The text without comments and strings."""
    text = re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', text)
    return re.sub(r"//[^\n]*", "", text)


def _inlines(code):
    """[(start, end)] of the modules that are written in the file."""
    found = []
    for match in _INLINE.finditer(code):
        depth, at = 1, match.end()
        while depth and at < len(code):
            depth += {"{": 1, "}": -1}.get(code[at], 0)
            at += 1
        found.append((match.end(), at))
    return found


def uses(text):
    """[(path, name, place, passed on)] of the `use` declarations in code: the path as a
    tuple, what it is called here, and where it is; a glob is called "*"."""
    found = []
    place, passed_on = 0, False

    def tree(tokens, path):
        path = list(path)
        name = None
        while tokens:
            token = tokens.pop(0)
            if token == "{":
                while tokens and tokens[0] != "}":
                    tree(tokens, path)
                    if tokens and tokens[0] == ",":
                        tokens.pop(0)
                tokens[:1] = []
                return
            if token in (",", "}"):
                tokens.insert(0, token)
                break
            if token == "as":
                name = tokens.pop(0)
            elif token == "*":
                name = "*"
            elif token == "self" and path:
                pass
            elif token != "::":
                path.append(token)
        found.append((tuple(path), name or path[-1], place, passed_on))

    for match in _USE.finditer(text):
        place, passed_on = match.start(), match[1] is not None
        tree(_TOKEN.findall(match[2]), ())
    return found


class Tree:
    """The modules of some crates: {path: text} of their files, by names from the top."""

    def __init__(self, sources):
        self.code = {path: _code(text) for path, text in sources.items()}
        self.module = {}  # file -> (crate, module, ...)
        self.file = {}  # and back
        for root, crate in CRATES.items():
            if root in self.code:
                self._walk(root, (crate,))
        self.names = {path: {name: target for target, name, at, _ in uses(self.code[path])
                             if name != "*" and not self._depth(path, at)}
                      for path in self.module}

    def _walk(self, path, module):
        self.module[path], self.file[module] = module, path
        folder, base = posixpath.split(path)
        if base not in ("mod.rs",) and path not in CRATES:
            folder = path[:-len(".rs")]
        for name in _MODULE.findall(self.code[path]):
            for child in (f"{name}.rs", f"{name}/mod.rs"):
                child = posixpath.join(folder, child)
                if child in self.code:
                    self._walk(child, (*module, name))

    def _depth(self, path, place):
        """How many modules of the file a place in it is in."""
        return sum(start <= place < end for start, end in _inlines(self.code[path]))

    def definer(self, path, words, passed=()):
        """The file that has what `words` name in file `path`, or None if it is another
        crate's. `passed`: where the search has been."""
        if (path, words) in passed or path not in self.module:
            return None
        passed = (*passed, (path, words))
        at, words = self.module[path], list(words)
        if words[0] in ("crate", *CRATES.values()):
            at = (at[0],) if words[0] == "crate" else (words[0],)
            words.pop(0)
        elif words[0] not in ("self", "super"):
            # a name that was brought here, or a module of this one
            if words[0] not in self.names[path] and (*at, words[0]) not in self.file:
                return None
        while words and words[0] in ("self", "super"):
            at = at if words.pop(0) == "self" else at[:-1]
        while words and (*at, words[0]) in self.file:
            at = (*at, words.pop(0))
        here = self.file.get(at)
        if here is None or not words:
            return here
        further = self.names[here].get(words[0])
        if further is None:
            return here
        return self.definer(here, (*further, *words[1:]), passed) or (
            None if further[0] in ("core", "kernel") else here)

    def arrows(self):
        """{file: {file: a name that it takes from there}}"""
        found = {path: {} for path in self.module}
        for path in self.module:
            named = [(words, at) for words, name, at, passed_on in uses(self.code[path])
                     if name != "*" and not passed_on]
            body = _USE.sub(lambda match: " " * len(match[0]), self.code[path])
            named += [(tuple(match[0].split("::")), match.start())
                      for match in _PATH.finditer(body)]
            for words, at in named:
                up = self._depth(path, at)
                if up and words[:up] == ("super",) * up:
                    words = ("self", *words[up:])
                target = self.definer(path, words)
                if target not in (None, path):
                    found[path].setdefault(target, words[-1])
        return found


def _layer(path):
    folder = path.partition("/")[0]
    return LAYERS.index(folder) if folder in LAYERS else len(LAYERS)


def circles(arrows):
    """The sets of more than one node that all point to each other, on some way."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(arrows.get(node, ())):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            circle = stack[stack.index(node):]
            del stack[stack.index(node):]
            if len(circle) > 1:
                found.append(sorted(circle))

    for node in sorted(arrows):
        if node not in index:
            visit(node)
    return found


def _folders(path):
    """The folders that a file is of: where it is, and where its module's parts are."""
    return {posixpath.dirname(path), path[:-len(".rs")]}


def check(sources):
    """What is wrong with these files, {path: text}."""
    tree = Tree(sources)
    arrows = tree.arrows()
    found = []
    for path, targets in sorted(arrows.items()):
        for target, name in sorted(targets.items()):
            if _layer(target) > _layer(path):
                found.append(f"{path}: points up, to {name} of {target}")
    for circle in circles(arrows):
        if tree.module[circle[0]][0] not in APART:
            continue
        if not set.intersection(*map(_folders, circle)):
            found.append("a circle of files in several folders: " + ", ".join(circle))
    return found


def complaints(top, paths):
    """The same of the project's files."""
    return check({path: (top / path).read_text(encoding="utf-8")
                  for path in paths if path.endswith(".rs")})
