# SPDX-License-Identifier: GPL-2.0
"""Power cuts (W18) while files get, share and lose attributes, and data gets the blocks
that were theirs.

A file has attributes then that it has had, those that were fsynced or later ones: never
another's, and never what was no block of attributes. A block says that as many have it as
do, or more. In C a count can be too low, and a block that is shared is changed under who
shares it.
"""

import errno
import os
import re

import cuts
import writers
from runner import long, timeout

STEPS = 60
FILES = 6
GONE, NONE = "gone", "none"
NAME = "user.value"


def _fsync(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class _Worker:
    """Files whose attributes are one of a few values, so that they are often the same."""

    def __init__(self, mark, point, rng):
        self._mark, self._point, self._rng = mark, point, rng
        self._there = {}

    def run(self, steps):
        for _ in range(steps):
            self._step()

    def _step(self):
        rng = self._rng
        name = f"f{rng.randrange(FILES)}"
        path = os.path.join(self._point, name)
        way = rng.random()
        if way < 0.2:
            data = os.path.join(self._point, f"data{rng.randrange(3)}")
            if os.path.exists(data):
                os.unlink(data)
            writers.make(data, rng.randrange(1 << 30), rng.randrange(30_000), sync=False)
            return
        if name in self._there and way < 0.35:
            self._mark(f"begin {name} {GONE}")
            del self._there[name]
            os.unlink(path)
            return
        value = NONE if way < 0.45 else f"v{rng.randrange(3)}"
        self._mark(f"begin {name} {NONE}")
        if name not in self._there:
            open(path, "wb").close()
            self._there[name] = NONE
        self._mark(f"begin {name} {value}")
        if value != NONE:
            os.setxattr(path, NAME, value.encode() * 5)
        elif self._there[name] != NONE:
            os.removexattr(path, NAME)
        self._there[name] = value
        if rng.random() < 0.4:
            _fsync(path)
            _fsync(self._point)
            self._mark(f"done {name} {value}")


def _possible(marks):
    """{name: what may be there}."""
    found = {f"f{number}": {GONE} for number in range(FILES)}
    for mark in marks:
        kind, name, value = mark.split()
        if kind == "done":
            found[name] = set()
        found[name].add(value)
        if value == GONE:
            # until the name is gone it leads to an empty file
            found[name].add(NONE)
    return found


def _value(path):
    if not os.path.exists(path):
        return GONE
    try:
        value = os.getxattr(path, NAME).decode()
    except OSError as error:
        if error.errno == errno.ENODATA:
            return NONE
        raise
    return value[:len(value) // 5]


def _look(point, marks, what):
    for has, should in re.findall(r"reference count (\d+), should be (\d+)", what):
        assert int(has) >= int(should), f"a count is too low\n{what}"
    for name, possible in _possible(marks).items():
        try:
            found = _value(os.path.join(point, name))
        except OSError as error:
            found = str(error)
        assert found in possible, f"{name} has {found}, not of {possible}\n{what}"


def _cuts(ctx, image, count, steps=STEPS):
    """Cut at so many of the writes, or at all of them."""
    cuts.cut(ctx, image, lambda mark, point, rng: _Worker(mark, point, rng).run(steps),
             _look, seed=15, steps=steps, count=count, options="user_xattr")


@timeout(240)
def test_cuts(ctx):
    """Some cuts."""
    _cuts(ctx, "tiny-1k", 16)


@long
@timeout(3600)
def test_every_cut(ctx):
    """All cuts, of a longer workload."""
    _cuts(ctx, "tiny-1k", None, 3 * STEPS)
