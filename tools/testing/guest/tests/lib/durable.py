# SPDX-License-Identifier: GPL-2.0
"""A workload that fsyncs, says what is durable now, and can be cut short anywhere.

A name is on its way from "begin NAME" on, and durable after "done NAME SEED LENGTH"
or "gone NAME": the file, the directories it has been in, and what leads to them,
have been fsynced by then.
"""

import os

import writers

NAMES = 12
ATTRIBUTE = "trusted.seed"  # which is there however the filesystem is mounted


def attribute(seed):
    """Of a file's seed: one of three, so that files share blocks of attributes."""
    return f"{seed % 3}".encode() * 20


class Durable:
    """What a power cut must not take, from the marks that had been set."""

    def __init__(self, marks):
        self.files = {}
        self.gone = set()
        for mark in marks:
            kind, name, *numbers = mark.split()
            self.files.pop(name, None)
            self.gone.discard(name)
            if kind == "done":
                self.files[name] = tuple(map(int, numbers))
            elif kind == "gone":
                self.gone.add(name)

    def check(self, point):
        for name, (seed, length) in self.files.items():
            path = os.path.join(point, name)
            assert os.path.exists(path), f"{name}, which was fsynced, is not there"
            info = os.stat(path)
            assert (info.st_size, info.st_nlink) == (length, 1), f"{name}: {info}"
            writers.check(path, seed, length, what=name)
        for name in self.gone:
            assert not os.path.lexists(os.path.join(point, name)), \
                f"{name} is back, and its directory had been fsynced"


def _fsync(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class Worker:
    """The workload: names that come and go, some of them fsynced. mark(text) is
    called before a name is changed and after what is there is durable. Each file gets an
    attribute if `attributes`; fsync(2) makes it durable in rust_ext2, and not in C."""

    def __init__(self, mark, point, rng, attributes=False):
        self._mark = mark
        self._point = point
        self._rng = rng
        self._attributes = attributes
        self._there = {}

    def run(self, steps):
        for number in range(3):
            os.mkdir(os.path.join(self._point, f"d{number}"))
        _fsync(self._point)
        for _ in steps:
            self._step()

    def _path(self, name):
        return os.path.join(self._point, name)

    def _settle(self, name, mark):
        """Fsync the file, what leads to it, and where it has been; then it is
        durable."""
        if os.path.exists(self._path(name)):
            _fsync(self._path(name))
        for number in range(3):
            _fsync(self._path(f"d{number}"))
        self._mark(mark)

    def _step(self):
        rng = self._rng
        name = f"d{rng.randrange(3)}/n{rng.randrange(NAMES)}"
        durable = rng.random() < 0.6
        self._mark(f"begin {name}")
        if name not in self._there:
            self._there[name] = seed, length = (
                rng.randrange(1 << 30), rng.choice((0, 100, 3000, 20_000, 70_000)))
            writers.make(self._path(name), seed, length, sync=False)
            if self._attributes:
                os.setxattr(self._path(name), ATTRIBUTE, attribute(seed))
        elif rng.random() < 0.5:
            seed, length = self._there.pop(name)
            os.unlink(self._path(name))
            if durable:
                self._settle(name, f"gone {name}")
            return
        else:
            seed, length = self._change(name)
        if durable:
            self._settle(name, f"done {name} {seed} {length}")

    def _change(self, name):
        """Cut a file, make it longer, or move it over another and back."""
        rng = self._rng
        seed, length = self._there[name]
        way = rng.randrange(3)
        if way == 0:
            length = rng.randrange(length + 1)
            os.truncate(self._path(name), length)
        elif way == 1:
            more = rng.choice((10, 1024, 9000, 40_000))
            fd = os.open(self._path(name), os.O_WRONLY | os.O_APPEND)
            os.write(fd, writers.content(seed, length, more))
            os.close(fd)
            length += more
        else:
            other = f"d{rng.randrange(3)}/n{rng.randrange(NAMES)}"
            self._mark(f"begin {other}")
            os.rename(self._path(name), self._path(other))
            os.rename(self._path(other), self._path(name))
            if other != name:
                self._there.pop(other, None)
        self._there[name] = seed, length
        return seed, length
