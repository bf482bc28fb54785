# SPDX-License-Identifier: GPL-2.0
"""Power cuts (W18) while files get, share and lose attributes, and data gets the blocks
that were theirs.

A file has attributes then that it has had, those that were fsynced or later ones: never
another's, and never what was no block of attributes. A block says that as many have it as
do, or more. In C a count can be too low, and a block that is shared is changed under who
shares it.

The same of access control lists: a name that is there has the list that its file was made
with, by inheritance, or a later one, and never none, with which the group would be given
what is the mask. One that gets its first list later has it, or a mode by which the group
has no more than others.
"""

import errno
import os
import re
import struct

import cuts
import disks
import writers
from runner import long, timeout
from workload import acl

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


def _data(point, rng):
    """A file with data, in place of the one of that name."""
    path = os.path.join(point, f"data{rng.randrange(3)}")
    if os.path.exists(path):
        os.unlink(path)
    writers.make(path, rng.randrange(1 << 30), rng.randrange(30_000), sync=False)


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
            _data(self._point, rng)
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


def _check(point, marks, what, possible, value):
    """No count is too low, and value(path) of each name is one that may be there."""
    for has, should in re.findall(r"reference count (\d+), should be (\d+)", what):
        assert int(has) >= int(should), f"a count is too low\n{what}"
    for name, values in possible(marks).items():
        try:
            found = value(os.path.join(point, name))
        except OSError as error:
            found = str(error)
        assert found in values, f"{name} has {found}, not of {values}\n{what}"


def _look(point, marks, what):
    _check(point, marks, what, _possible, _value)


_ACCESS, _DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
_TAGS = (1, 2, 4, 16, 32)  # owner, a user, group, mask, others
FOLDER = "folder"
PLAIN = "narrow"  # a file without a list, whose group has no more than others
# what a digit each of these has: the group's is not the mask
_LISTS = ("76051", "74070", "65360")
_DEFAULTS = ("75170", "77050")


def _packed(text):
    return acl(*((tag, int(digit), *([1000] if tag == 2 else []))
                 for tag, digit in zip(_TAGS, text)))


def _told(path, name):
    """The digits of a list, or NONE."""
    try:
        value = os.getxattr(path, name)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return NONE
        raise
    entries = list(struct.iter_unpack("<HHI", value[4:]))
    assert tuple(tag for tag, _, _ in entries) == _TAGS, f"{path}: {value.hex()}"
    return "".join(str(permissions) for _, permissions, _ in entries)


class _ListWorker:
    """Files and directories that get a default list, with a mode that allows everything, so
    that it is their own; and others, and modes. And files that get their first list later."""

    def __init__(self, mark, point, rng):
        self._mark, self._point, self._rng = mark, point, rng
        self._folder = os.path.join(point, FOLDER)
        self._default = _DEFAULTS[0]
        self._there = {}
        os.mkdir(self._folder)
        os.setxattr(self._folder, _DEFAULT, _packed(self._default))
        disks.sync(point)
        mark(f"made {FOLDER} {self._default}")

    def run(self, steps):
        for _ in range(steps):
            self._step()

    def _step(self):
        rng = self._rng
        way = rng.random()
        if way < 0.15:
            _data(self._point, rng)
        elif way < 0.25:
            self._default = rng.choice(_DEFAULTS)
            self._mark(f"begin {FOLDER} {self._default}")
            os.setxattr(self._folder, _DEFAULT, _packed(self._default))
        elif way < 0.4:
            self._give_list(f"p{rng.randrange(FILES)}")
        else:
            self._change(f"{rng.choice('fd')}{rng.randrange(FILES)}", rng.random())

    def _give_list(self, name):
        path, value = os.path.join(self._point, name), PLAIN
        if name in self._there:
            value = self._rng.choice(_LISTS)
            self._mark(f"begin {name} {value}")
            os.setxattr(path, _ACCESS, _packed(value))
        else:
            self._mark(f"begin {name} {value}")
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        self._there[name] = value
        if self._rng.random() < 0.4:
            _fsync(path)
            _fsync(self._point)
            self._mark(f"done {name} {value}")

    def _change(self, name, way):
        path, rng = os.path.join(self._folder, name), self._rng
        if name not in self._there:
            value = self._default
            self._mark(f"begin {name} {value}")
            if name[0] == "d":
                os.mkdir(path, 0o777)
            else:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o777))
        elif way < 0.25:
            self._mark(f"begin {name} {GONE}")
            del self._there[name]
            (os.rmdir if name[0] == "d" else os.unlink)(path)
            return
        elif way < 0.5:
            # it is the mask that is changed, in the block and not in the entry of the group
            mode = rng.choice((0o750, 0o706, 0o775))
            value = self._there[name]
            value = f"{mode >> 6}{value[1:3]}{mode >> 3 & 7}{mode & 7}"
            self._mark(f"begin {name} {value}")
            os.chmod(path, mode)
        else:
            value = rng.choice(_LISTS)
            self._mark(f"begin {name} {value}")
            os.setxattr(path, _ACCESS, _packed(value))
        self._there[name] = value
        if rng.random() < 0.4:
            _fsync(path)
            _fsync(self._folder)
            self._mark(f"done {name} {value}")


def _possible_lists(marks):
    """{name: the lists that it may have}. A name that is going leads to a file without one
    until it is gone."""
    found = {FOLDER: set()}
    found |= {f"{FOLDER}/{kind}{number}": {GONE} for kind in "fd" for number in range(FILES)}
    found |= {f"p{number}": {GONE} for number in range(FILES)}
    for mark in marks:
        kind, name, value = mark.split()
        name = name if name in found else f"{FOLDER}/{name}"
        if kind == "done":
            found[name] = set()
        found[name].add(value)
        if value == GONE:
            found[name].add(NONE)
    return found


def _lists_of(path):
    if os.path.basename(path) == FOLDER:
        return _told(path, _DEFAULT)
    if not os.path.exists(path):
        return GONE
    if os.path.isdir(path):
        assert _told(path, _DEFAULT) in (*_DEFAULTS, NONE), path
    found = _told(path, _ACCESS)
    if found == NONE and os.path.basename(path)[0] == "p":
        mode = os.stat(path).st_mode
        return PLAIN if not (mode >> 3) & ~mode & 7 else f"the mode {mode:o}"
    return found


def _look_at_lists(point, marks, what):
    if marks:  # else there is no folder yet
        _check(point, marks, what, _possible_lists, _lists_of)


def _cuts(ctx, image, count, steps=STEPS, worker=_Worker, look=_look):
    """Cut at so many of the writes, or at all of them."""
    cuts.cut(ctx, image, lambda mark, point, rng: worker(mark, point, rng).run(steps),
             look, seed=15, steps=steps, count=count, options="acl,user_xattr")


@timeout(240)
def test_cuts(ctx):
    """Some cuts."""
    _cuts(ctx, "tiny-1k", 16)


@timeout(240)
def test_cuts_4k(ctx):
    """The same, 4 KiB blocks."""
    _cuts(ctx, "tiny-4k", 16)


@long
@timeout(3600)
def test_every_cut(ctx):
    """All cuts, of a longer workload."""
    _cuts(ctx, "tiny-1k", None, 3 * STEPS)


@long
@timeout(3600)
def test_every_cut_4k(ctx):
    """All cuts, of a longer workload, 4 KiB blocks."""
    _cuts(ctx, "tiny-4k", None, 3 * STEPS)


@timeout(240)
def test_cuts_of_lists(ctx):
    """Some cuts, of lists that are inherited and set."""
    _cuts(ctx, "tiny-1k", 16, worker=_ListWorker, look=_look_at_lists)


@timeout(240)
def test_cuts_of_lists_4k(ctx):
    """The same, 4 KiB blocks."""
    _cuts(ctx, "tiny-4k", 16, worker=_ListWorker, look=_look_at_lists)


@long
@timeout(3600)
def test_every_cut_of_lists(ctx):
    """All cuts, of a longer workload."""
    _cuts(ctx, "tiny-1k", None, 3 * STEPS, _ListWorker, _look_at_lists)
