# SPDX-License-Identifier: GPL-2.0
"""The disk of `make run`: real files, and a manifest of what is on it.

The files are the kernel's sources and documents, some thousand from empty to
megabytes, and a tar archive of over 100 MiB of them; one sparse file, one sparse
file of over 2 GiB, one file scattered over the disk block by block, hard links,
symbolic links short and long.

The manifest has a SHA-256 of each file. A sparse file's entry has the SHA-256 of
each part that has data, and the rest of it has to be zeros: as strong as one
hash of the whole, and gigabytes of zeros need no hashing in an emulated guest.
"""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

from .. import cache, command, ui
from . import scatter

TREES = ("Documentation/filesystems", "Documentation/core-api",
         "Documentation/block", "Documentation/rust", "fs", "mm", "block", "rust",
         "tools/testing/selftests/mm")
BIG_TREES = ("drivers/gpu/drm", "drivers/net", "arch", "sound")
BIG = 110 << 20
BLOCK = 4096
SIZE = "640M"
SCATTERED = 3 << 20


def _copy_trees(source, root):
    for tree in TREES:
        target = root / "linux" / tree
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / tree).is_dir():
            shutil.copytree(source / tree, target, symlinks=True,
                            ignore=shutil.ignore_patterns("*.o", "*.cmd", "*.a"))


def _big(source, path):
    """A tar archive of sources, over 100 MiB."""
    with open(path, "wb") as out, tarfile.open(fileobj=out, mode="w|") as archive:
        for tree in BIG_TREES:
            for name in sorted((source / tree).rglob("*.[ch]")):
                if out.tell() > BIG:
                    return
                archive.add(name, arcname=name.relative_to(source), recursive=False)


def _sparse(path, size, parts):
    """A file with holes; parts is {offset: file to take the data from}."""
    extents = []
    with open(path, "wb") as out:
        out.truncate(size)
        for offset, data in sorted(parts.items()):
            out.seek(offset)
            out.write(data)
            extents.append([offset, len(data), hashlib.sha256(data).hexdigest()])
    return extents


def _links(root):
    folder = root / "links"
    folder.mkdir()
    os.symlink("../linux/fs/mpage.c", folder / "short")
    os.symlink("../" * 30 + "x" * 200, folder / "long")
    original = root / "linux" / "fs" / "mpage.c"
    if original.exists():
        os.link(original, folder / "hard")
    (folder / "empty").write_bytes(b"")
    (folder / "empty-directory").mkdir()


def _hash(path):
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def _manifest(root, sparse):
    """One entry for every name under root, "." included."""
    entries = {}
    for folder, folders, files in os.walk(root):
        for name in [".", *folders, *files] if folder == str(root) else [*folders, *files]:
            path = Path(folder) / name
            relative = os.path.relpath(path, root)
            info = path.lstat()
            entry = {"mode": info.st_mode, "uid": info.st_uid, "gid": info.st_gid,
                     "mtime": int(info.st_mtime)}
            if stat.S_ISLNK(info.st_mode):
                entry["target"] = os.readlink(path)
            elif stat.S_ISREG(info.st_mode):
                entry.update(size=info.st_size, nlink=info.st_nlink)
                if relative in sparse:
                    entry["parts"] = sparse[relative]
                else:
                    entry["sha256"] = _hash(path)
            entries[relative] = entry
    return entries


def _write_scattered(image, data, name, log):
    """Write a host file as `name`, one block here and one block there."""
    env = command.environment()
    listing = subprocess.run(["dumpe2fs", image], stdout=subprocess.PIPE, check=True,
                             stderr=subprocess.DEVNULL, env=env, text=True).stdout
    blocks = data.stat().st_size // BLOCK + 8
    lines = scatter.commands(scatter.free_ranges(listing), data, name, blocks)
    info = data.stat()
    lines += ["cd /", f"set_inode_field {name} mtime @{int(info.st_mtime)}",
              f"set_inode_field {name} mode 0{info.st_mode:o}",
              f"set_inode_field {name} uid {info.st_uid}",
              f"set_inode_field {name} gid {info.st_gid}"]
    script = log.with_suffix(".debugfs")
    script.write_text("\n".join(lines) + "\n", encoding="ascii")
    command.step("disk, a scattered file",
                 ["debugfs", "-w", "-f", script, image], log)


def _make(settings, source, entry):
    logs = settings.cache.logs
    root, image = entry / "root", entry / "disk.img"
    with ui.Progress("disk, files") as step:
        root.mkdir()
        _copy_trees(source, root)
        (root / "big").mkdir()
        step.update("an archive of 110 MiB")
        _big(source, root / "big" / "sources.tar")
        text = (root / "linux/fs/mpage.c").read_bytes()
        sparse = {
            "big/sparse": _sparse(root / "big/sparse", 40 << 20, {
                0: text[:100], 5 << 20: text, (12 << 20) + 17: text * 9,
                (33 << 20) - 1: b"x"}),
            "big/sparse-2g": _sparse(root / "big/sparse-2g", (2 << 30) + 123456, {
                48 << 10: text, (1 << 30) + 511: text * 3,
                (2 << 30) - 100: text, (2 << 30) + 99999: text}),
        }
        _links(root)
        scattered = entry / "scattered"
        with open(root / "big/sources.tar", "rb") as file:
            scattered.write_bytes(file.read(SCATTERED))
        step.update("checksums")
        manifest = _manifest(root, sparse)
    command.step("disk, mke2fs", [
        "mke2fs", "-q", "-F", "-t", "ext2", "-b", str(BLOCK), "-L", "rust_mpage",
        "-d", root, image, SIZE], logs / "mke2fs.log")
    _write_scattered(image, scattered, "big/scattered", logs / "scattered.log")
    entries = {"big/scattered": scattered}
    for name, path in entries.items():
        info = path.stat()
        manifest[name] = {"mode": info.st_mode, "uid": info.st_uid,
                          "gid": info.st_gid, "mtime": int(info.st_mtime),
                          "size": info.st_size, "nlink": 1, "sha256": _hash(path)}
    # debugfs wrote into a directory after mke2fs had set its time
    manifest["big"].pop("mtime")
    manifest["."].pop("mtime")
    command.step("disk, e2fsck", ["e2fsck", "-fn", image], logs / "e2fsck.log")
    (entry / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    shutil.rmtree(root)


def ensure(settings, source, version):
    """(image, manifest). Needs the cache's lock."""
    here = Path(__file__).read_bytes()
    key = cache.digest(here, Path(scatter.__file__).read_bytes(), version,
                       str(source), command.text("mke2fs", "-V"))
    entry = settings.cache.make(
        "disk", key, lambda folder: _make(settings, source, folder))
    return entry / "disk.img", entry / "manifest.json"
