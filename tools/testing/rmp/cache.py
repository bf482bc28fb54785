# SPDX-License-Identifier: GPL-2.0
"""A cache of finished steps, keyed by what each depends on.

An entry is a directory kind-key. It counts only with its stamp, which is
written last, after everything else is on disk: what an interrupted step left
has no stamp, and is removed and made again. One make at a time changes the
cache (a lock file, released by the kernel however the holder ends).

Lock order: the one lock; it is held while entries are made, not while guests
run. An entry is never changed once it has its stamp.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time

from . import ui

_KEEP = 5  # entries of a kind, the newest by use: of modules, for each kernel
_STAMP = ".rust_mpage-stamp"


def digest(*parts):
    """A short key from text, bytes, or anything that JSON can hold."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            part = part.encode()
        if not isinstance(part, bytes):
            part = json.dumps(part, sort_keys=True).encode()
        total.update(len(part).to_bytes(8, "little") + part)
    return total.hexdigest()[:16]


def digest_files(root, paths):
    """A key from the names and contents of files under root."""
    return digest(*[
        part for path in sorted(paths)
        for part in (str(path), (root / path).read_bytes())
    ])


class Cache:
    """The cache directory."""

    def __init__(self, path):
        self.path = path
        self.logs = path / "log"

    @contextlib.contextmanager
    def locked(self):
        """Hold the lock; wait for another make, and say so."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ui.Fail(
                f"cannot write to the cache {self.path}: {error.strerror}; "
                "choose another with RUST_MPAGE_CACHE="
            ) from error
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(fd, 32, 0).decode().strip() or "?"
                ui.say(f"  waiting for another make (process {holder}) "
                       "that is using the cache")
                fcntl.flock(fd, fcntl.LOCK_EX)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(fd)

    def find(self, kind, key):
        """Path of a finished entry, or None."""
        entry = self.path / f"{kind}-{key}"
        if not (entry / _STAMP).exists():
            return None
        os.utime(entry / _STAMP)
        return entry

    def newest(self, kind):
        """Path of the newest finished entry of a kind, or None."""
        stamps = sorted(self.path.glob(f"{kind}-*/{_STAMP}"),
                        key=lambda stamp: stamp.stat().st_mtime)
        return stamps[-1].parent if stamps else None

    def make(self, kind, key, build):
        """The entry of a key; `build(directory)` makes it if there is none."""
        entry = self.find(kind, key)
        if entry:
            return entry
        entry = self.path / f"{kind}-{key}"
        remove(entry)
        entry.mkdir(parents=True)
        build(entry)
        _sync(entry)
        stamp = entry / (_STAMP + ".new")
        stamp.write_text(f"{kind} {key} {time.time():.0f}\n", encoding="ascii")
        stamp.rename(entry / _STAMP)
        self._trim(kind)
        return entry

    def _trim(self, kind):
        stamps = sorted(self.path.glob(f"{kind}-*/{_STAMP}"),
                        key=lambda stamp: stamp.stat().st_mtime)
        for stamp in stamps[:-_KEEP]:
            # not while a guest of another make may be using it
            if time.time() - stamp.stat().st_mtime > 7200:
                remove(stamp.parent)

    def recall(self, name):
        """A small remembered answer, or None."""
        try:
            return (self.path / "answers" / name).read_text(encoding="utf-8")
        except OSError:
            return None

    def remember(self, name, text):
        folder = self.path / "answers"
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / (name + ".new")
        new.write_text(text, encoding="utf-8")
        new.rename(folder / name)


def remove(path):
    """Remove a directory tree; its stamp first."""
    if not path.exists():
        return
    with contextlib.suppress(FileNotFoundError):
        (path / _STAMP).unlink()
    shutil.rmtree(path)


def _sync(entry):
    """The entry's data reaches the disk before its stamp does."""
    fd = os.open(entry, os.O_RDONLY)
    try:
        if hasattr(os, "syncfs"):
            os.syncfs(fd)
        else:
            os.sync()
    finally:
        os.close(fd)
