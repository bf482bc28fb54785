# SPDX-License-Identifier: GPL-2.0
"""C filesystems twice: the kernel's own module, and the same sources built on the
symbols of rust_mpage.ko (tools/testing/rmp/build/dropin.py).

Both modules have the same name, so that one is unloaded before the other is
loaded; everything that is compared is recorded first.

Leaves out: what is done to a filesystem; test_dropin.py has that.
"""

import contextlib
import hashlib
import os
import stat
import subprocess
from typing import NamedTuple

import hfspluscheck
import sysapi
from runner import kmsg

MODULES = "/run/rust_mpage/dropin"
C, RUST = "C mpage", "rust_mpage"


class Spec(NamedTuple):
    """A filesystem: its modules in the order of loading, what it is mounted as,
    the program that checks it, and its block size in bytes."""

    fstype: str
    image: str
    block: int
    modules: tuple
    check: tuple
    options: str = ""


_HFSPLUS = ("hfspluscheck",)
SPECS = {
    # the old allocator does not choose groups by chance
    "ext2-1k": Spec("ext2", "blank-1k", 1024, ("ext2",), ("e2fsck", "-fn"), "oldalloc"),
    "ext2-4k": Spec("ext2", "blank-4k", 4096, ("ext2",), ("e2fsck", "-fn"), "oldalloc"),
    "minix": Spec("minix", "dropin-minix", 1024, ("minix",), ("fsck.minix", "-f")),
    "fat16": Spec("vfat", "dropin-fat16", 512, ("fat", "vfat"), ("fsck.vfat", "-n")),
    "fat32": Spec("vfat", "dropin-fat32", 512, ("fat", "vfat"), ("fsck.vfat", "-n")),
    "udf-512": Spec("udf", "dropin-udf-512", 512, ("udf",), ("udfinfo",)),
    "udf-4k": Spec("udf", "dropin-udf-4k", 4096, ("udf",), ("udfinfo",)),
    "hfsplus": Spec("hfsplus", "dropin-hfsplus", 4096, ("hfsplus",), _HFSPLUS),
    "isofs": Spec("iso9660", "dropin-iso", 2048, ("isofs",), ()),
}


def _unload(names):
    for name in reversed(names):
        if name in sysapi.loaded_modules():
            sysapi.rmmod(name)


@contextlib.contextmanager
def loaded(ctx, spec, which):
    """Have the modules of a filesystem from one of the two builds."""
    if which == RUST and not os.path.isdir(MODULES):
        raise AssertionError(f"{MODULES}: the drop-ins were not built")
    _unload(spec.modules)
    for name in spec.modules:
        if which == C:
            ctx.load(name)
            continue
        path = sysapi.module_path(MODULES, name)
        if not path:
            ctx.skip(f"the kernel has no module {name}")
        for needed in sysapi.module_depends(path):
            if needed not in spec.modules:
                ctx.load(needed)
        sysapi.insmod(path)
    kmsg(f"{spec.fstype} is on {which}")
    try:
        yield
    finally:
        _unload(spec.modules)


def disk(ctx, spec):
    """A writable copy of the empty disk; the test is skipped without one."""
    if not os.path.getsize(ctx.image(spec.image)):
        ctx.skip(f"the host has no program that makes {spec.fstype}")
    return ctx.copy(spec.image)


def _content(path, size):
    total = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        done = 0
        while piece := file.read(1 << 18):
            total.update(piece)
            done += len(piece)
    return total.hexdigest() if done == size else f"{done} bytes, not {size}"


def snapshot(point):
    """{name: everything about it that does not depend on the clock}."""
    found, pending = {}, [""]
    while pending:
        folder = pending.pop()
        for name in sorted(os.listdir(os.path.join(point, folder))):
            path = os.path.join(folder, name)
            full = os.path.join(point, path)
            info = os.lstat(full)
            entry = [oct(info.st_mode), info.st_nlink, info.st_uid, info.st_gid,
                     info.st_size, info.st_blocks]
            if stat.S_ISDIR(info.st_mode):
                pending.append(path)
            elif stat.S_ISLNK(info.st_mode):
                entry.append(os.readlink(full))
            elif stat.S_ISREG(info.st_mode):
                entry.append(_content(full, info.st_size))
            found[path] = entry
    info = os.statvfs(point)
    found["statfs"] = [info.f_bsize, info.f_blocks, info.f_bfree, info.f_files,
                       info.f_ffree]
    return found


def without_links(tree):
    """A snapshot without the link counts of directories."""
    return {name: [entry[0], *entry[2:]]
            if name != "statfs" and stat.S_ISDIR(int(entry[0], 8)) else entry
            for name, entry in tree.items()}


def differences(one, two):
    """What differs between two snapshots, a list of texts."""
    return [f"{name}: {one.get(name)} and {two.get(name)}"
            for name in sorted({*one, *two}) if one.get(name) != two.get(name)]


def check(ctx, spec, device):
    """The filesystem's own checker finds nothing on an unmounted disk; what it
    says, to be compared."""
    if not spec.check:
        return ""
    if spec.check == _HFSPLUS:
        return hfspluscheck.check(device)
    program = ctx.tool(spec.check[0])
    done = subprocess.run(
        [program, *spec.check[1:], device], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        encoding="utf-8", errors="replace", env={"PATH": "/usr/sbin:/usr/bin"})
    text = done.stdout.replace(device, "DISK")
    assert done.returncode == 0, f"{spec.check[0]}: {done.returncode}\n{text}"
    if spec.check[0] == "udfinfo":
        assert "integrity=closed" in text, text
    return text


def trees(spec, device):
    """The sectors of the files in which a filesystem keeps its trees, unmounted."""
    return hfspluscheck.trees(device) if spec.check == _HFSPLUS else frozenset()
