# SPDX-License-Identifier: GPL-2.0
"""Broken images (E14, B5, B6): each a refused mount or an error where it is broken,
with a message that names the device and says what is wrong; the rest of the
filesystem is still there, and so is the kernel.

Each case goes to C ext2, too. What C does not read is not read here either, and
what both read is the same; where rust_ext2 refuses what C lets pass, the case
says so with STRICTER.
"""

import errno
import os
import re
import stat
import time
from typing import NamedTuple

import sides
from lowlevel import error_of
from runner import timeout

EINVAL, EIO, EUCLEAN = errno.EINVAL, errno.EIO, errno.EUCLEAN
READ_LIMIT = 512 << 10
NAME_LIMIT = 400


class Expect(NamedTuple):
    """What rust_ext2 makes of a case."""

    mount: int = 0          # errno of the mount
    fails: dict = {}        # "operation name" to errno, of a mounted filesystem
    says: str = ""          # a regular expression for the kernel's message
    stricter: bool = False  # C takes it


def refused(says, number=EUCLEAN, stricter=False):
    """The mount fails."""
    return Expect(number, {}, says, stricter)


def fails(says, *operations, number=EUCLEAN, stricter=False):
    """These operations fail, and all others do not."""
    return Expect(0, {operation: number for operation in operations}, says, stricter)


STRICTER = True
FINE = Expect()

SUPERBLOCKS = {
    "magic": refused("magic number", EINVAL),
    "superblock of zeros": refused("magic number", EINVAL),
    "blocks of 64 KiB": refused("block size: 65536 bytes", EINVAL),
    "log_block_size 22": refused("bad block size"),
    "log_block_size -1": refused("bad block size"),
    # the superblock looks right, but everything is elsewhere
    "log_block_size 1": refused("first data block"),
    "log_frag_size": refused("fragments", EINVAL),
    "inode_size 0": refused("bad inode size: 0"),
    "inode_size 64": refused("bad inode size"),
    "inode_size 100": refused("bad inode size"),
    "inode_size 2048": refused("bad inode size"),
    "inode_size 65535": refused("bad inode size"),
    "inodes_per_group 0": refused("inodes per group: 0"),
    "inodes_per_group 3": refused("inodes per group"),
    "inodes_per_group 4294967295": refused("inodes per group"),
    "inodes_per_group more": refused("number of inodes"),
    "blocks_per_group 0": refused("blocks per group: 0"),
    "blocks_per_group 3": refused("number of inodes"),  # there would be more groups
    "blocks_per_group 8193": refused("blocks per group"),
    "blocks_per_group 4294967295": refused("blocks per group"),
    # C reads it, and takes each group for where it is not
    "first_data_block 0": refused("first data block", stricter=STRICTER),
    "first_data_block behind the end": refused("first data block"),
    "first_data_block -1": refused("first data block"),
    "blocks_count 0": refused("number of blocks"),
    "blocks_count 1": refused("number of blocks"),
    "blocks_count 3073": refused("the device only 3072"),
    "blocks_count 4294967295": refused("the device only"),
    "inodes_count 0": refused("number of inodes"),
    "inodes_count 4294967295": refused("number of inodes"),
    "first_ino 3": refused("first inode", stricter=STRICTER),
    "first_ino -1": refused("first inode", stricter=STRICTER),
    "r_blocks_count -1": FINE,
    "free counts": FINE,
    # C says EINVAL of a superblock that cannot be read
    "device of 512 bytes": refused("cannot read the superblock", EIO),
    "device of 1024 bytes": refused("cannot read the superblock", EIO),
    "device of 1536 bytes": refused("cannot read the superblock", EIO),
    "device of 4096 bytes": refused("the device only 4"),
    "device of 1048576 bytes": refused("the device only 1024"),
}

GROUPS = {
    "block bitmap far outside": refused("block bitmap of group 0"),
    "block bitmap in another group": refused("block bitmap of group 0"),
    "inode bitmap 0": refused("inode bitmap of group 1"),
    "inode table far outside": refused("inode table of group 0"),
    "inode table over the end": refused("inode table of group 1"),
    "inode table over the descriptors": refused("over group descriptors"),
    "bitmaps in one block": refused("group 0 overlap", stricter=STRICTER),
    "descriptors of zeros": refused("group 0"),
}

INODES = {
    "root is a file": refused("root directory"),
    "root of size 0": refused("root directory"),
    "root without blocks": refused("root directory"),
    "root is deleted": refused("root directory", errno.ESTALE),
    # C makes a special file of it
    "type 0": fails("mode of no known type", "stat direct", stricter=STRICTER),
    "type 15": fails("mode of no known type", "stat direct", stricter=STRICTER),
    "no links": fails("no links", "stat direct"),
    "size negative": fails("inode .* impossible size", "stat direct"),
    "size huge": FINE,
    "size of 1 TiB": FINE,
    "i_blocks absurd": FINE,
    "attribute block outside": fails("extended attributes: block .* outside", "stat direct"),
}

BLOCKS = {
    # a page with one bad block is bad; C's buffer_heads know its other blocks, and
    # give the head of the file
    "direct far outside": fails("block .* outside", "read direct", "head direct",
                                stricter=STRICTER),
    "direct just outside": fails("block 3072 is outside", "read direct", "head direct",
                                 stricter=STRICTER),
    # C reads the superblock as if it were data
    "direct at the superblock": fails("block 1 is outside", "read direct",
                                      "head direct", stricter=STRICTER),
    "direct at the descriptors": fails("over group descriptors", "read direct",
                                       "head direct", stricter=STRICTER),
    "direct at block 0": FINE,  # it is a hole
    # what else is in use by whom is not known when reading
    "direct at the inode table": FINE,
    "direct at a directory": FINE,
    "indirect outside": fails("block 3077 is outside", "read single"),
    "indirect at the superblock": fails("block 1 is outside", "read single"),
    "indirect entry outside": fails("block 3072 is outside", "read single"),
    "double outside": fails("outside", "read double"),
    "double entry outside": fails("block 3072 is outside", "read double"),
    "double entry at the descriptors": fails("over group descriptors", "read double"),
    # the depth of the tree is bounded: a loop is garbage, not a loop
    "single: a loop": FINE,
    "double: a loop": FINE,
    "triple: a loop": FINE,
}

_DIR = ("list dir",)
DIRECTORIES = {
    "rec_len 0": fails("too short: at byte", *_DIR),
    "rec_len unaligned": fails("not aligned: at byte", *_DIR),
    "rec_len too short": fails("too short: at byte", *_DIR),
    "rec_len too short for the name": fails("too short for its name", *_DIR),
    "rec_len over the block": fails("beyond its block", *_DIR),
    "rec_len 65535": fails("at byte", *_DIR),
    "name_len 0": fails("no name", *_DIR),
    "name_len 255": fails("too short for its name", *_DIR),
    "entry's inode outside": fails("inode that does not exist", *_DIR),
    "entry's inode -1": fails("inode that does not exist", *_DIR),
    "entry's inode reserved": fails("bad inode number: 5", "stat dir/b"),
    "entry's inode free": fails("deleted inode", "stat dir/b"),
    "unused entry": FINE,
    "directory of half a block": fails("ends within a block", *_DIR),
    "directory of 0 bytes": FINE,
    "directory of 2 GiB": fails("too short: at byte", *_DIR),
    "directory without a block": fails("too short: at byte 0", *_DIR),
    "directory's block outside": fails("block 3072 is outside", *_DIR),
    "second block outside": fails("block 3072 is outside", "list two-blocks"),
    "directory of noise": fails("at byte", *_DIR),
}

_FAST = fails("inode .* symbolic link with a bad target", "stat fast", stricter=STRICTER)
_SLOW = fails("inode .* symbolic link with a bad target", "stat slow", stricter=STRICTER)
LINKS = {
    # C cuts the target off, or says that there is none
    "fast link of 60 bytes": _FAST,
    "fast link of 4 GiB": _FAST,
    "fast link of 0 bytes": _FAST,
    "slow link over its block": _SLOW,
    "slow link over a page": _SLOW,
    "slow link of 4 GiB": _SLOW,
    "slow link of 0 bytes": _SLOW,
    "slow link without a block": FINE,
    "slow link's block outside": fails("block 3072 is outside", "link slow"),
}

# What anything on a broken filesystem may fail with, in the sweep
BAD = {EUCLEAN, EIO, EINVAL, errno.ESTALE}
# ... and what is the answer to a sound but odd question
ODD = {errno.EACCES, errno.ENXIO, errno.ENOTDIR, errno.ENOENT, errno.ELOOP,
       errno.ENAMETOOLONG, errno.EPERM, errno.EFBIG, errno.ENODEV, errno.EOVERFLOW}


def _read(path):
    with open(path, "rb", buffering=0) as file:
        out = []
        while sum(map(len, out)) < READ_LIMIT and (data := file.read(65536)):
            out.append(data)
        return sides.sha256(b"".join(out))


def _head(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.pread(fd, 1000, 0)
    finally:
        os.close(fd)


def _far(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        return [error_of(os.pread, fd, 100, where)
                for where in (1 << 20, 1 << 36, 1 << 45, (1 << 62) + 1)]
    finally:
        os.close(fd)


def _survey(top):
    """Everything that a walk over a filesystem gets: "operation name" to the
    pair (answer, errno)."""
    found, pending = {}, [""]
    while pending and len(found) < NAME_LIMIT * 4:
        name = pending.pop(0)
        path = os.path.join(top, name)

        def ask(operation, call, name=name, path=path):
            found[f"{operation} {name}"] = error_of(call, path)
            return found[f"{operation} {name}"]

        info, number = error_of(os.lstat, path)
        found[f"stat {name}"] = (tuple(info)[:1] + tuple(info)[3:] if info else None,
                                 number)
        if number:
            continue
        if stat.S_ISDIR(info.st_mode) and name.count("/") < 6:
            names, number = ask("list", os.listdir)
            if not number:
                pending += [os.path.join(name, child) for child in names]
        elif stat.S_ISREG(info.st_mode):
            for operation, call in (("read", _read), ("head", _head), ("far", _far)):
                ask(operation, call)
        elif stat.S_ISLNK(info.st_mode):
            ask("link", os.readlink)
    return found


class _Bench:
    """One file, broken again and again, and a loop device for each driver."""

    def __init__(self, ctx, fstypes):
        self._ctx = ctx
        self.path = ctx.copy("hostile")
        with open(self.path, "rb") as file:
            self._sound = file.read()
        self.fstypes = fstypes
        self._devices = {fstype: ctx.loop(self.path) for fstype in fstypes}

    def _patch(self, patches):
        with open(self.path, "r+b") as file:
            for offset, text in patches:
                data = bytes.fromhex(text)
                file.seek(offset)
                file.write(data)

    def _repair(self, patches):
        with open(self.path, "r+b") as file:
            for offset, text in patches:
                file.seek(offset)
                file.write(self._sound[offset:offset + len(text) // 2])

    def _short(self, size):
        path = f"{self.path}.{size}"
        if not os.path.exists(path):
            with open(path, "wb") as file:
                file.write(self._sound[:size])
        return self._ctx.loop(path)

    def survey(self, fstype, patches, size=None):
        """(errno of the mount, what _survey says, the kernel's messages)."""
        log = len(self._ctx.kernel_log())
        device = self._short(size) if size else self._devices[fstype]
        self._patch(patches)
        try:
            point, number = error_of(self._ctx.mount, device, fstype)
            found = {}
            if not number:
                found = _survey(point)
                self._ctx.umount(point)
        finally:
            self._repair(patches)
        said = [line for line in self._ctx.kernel_log()[log:]
                if os.path.basename(device) in line]
        return number, found, said


def _check_ours(name, expect, number, found, said, sound):
    """What rust_ext2 did with a case."""
    yield from _check_answers(name, expect, number, found, sound)
    if expect.says and not any(
            re.search(expect.says, line) and "rust_ext2" in line for line in said):
        yield f"{name}: no message like {expect.says!r}: {said}"
    if expect == FINE and any("error" in line for line in said):
        yield f"{name}: complains without reason: {said}"


def _check_answers(name, expect, number, found, sound):
    if number != expect.mount:
        yield f"{name}: the mount gives {number}, not {expect.mount}"
        return
    if number:
        return
    failed = {what: error for what, (_, error) in found.items() if error}
    if failed != expect.fails:
        yield f"{name}: fails with {failed}, not {expect.fails}"
    if found.get("read ok") != sound["read ok"]:
        yield f"{name}: the sound file is {found.get('read ok')}"


def _check_beside_c(name, expect, ours, of_c):
    """C ext2 must not refuse what ours takes, or read something else."""
    (number, found, _), (c_number, c_found, _) = ours, of_c
    lenient = (number and not c_number)
    if c_number and not number:
        yield f"{name}: C refuses to mount it, with {c_number}"
    for what, (answer, error) in found.items() if not (number or c_number) else ():
        c_answer, c_error = c_found.get(what, (None, 0))
        if what not in c_found:
            continue  # behind something that C could not list
        if c_error and not error:
            yield f"{name}: C cannot {what}: {c_error}"
        elif error and not c_error:
            lenient = True
        elif not error and answer != c_answer:
            yield f"{name}: {what} is {answer!r:.200}, in C {c_answer!r:.200}"
    if bool(lenient) != expect.stricter:
        yield (f"{name}: C takes it, and no test says so" if lenient
               else f"{name}: C does not take it, as it is said to")


def _run(ctx, table):
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("for rust_ext2")
    ctx.load(sides.C_FSTYPE)
    cases = sides.manifest(ctx, "hostile")["cases"]
    bench = _Bench(ctx, (sides.C_FSTYPE, ctx.fstype))
    sound = bench.survey(ctx.fstype, [])[1]
    trouble = []
    for name, expect in table.items():
        case = cases[name]
        of_c, ours = (bench.survey(fstype, case["patches"], case["size"])
                      for fstype in bench.fstypes)
        trouble += _check_ours(name, expect, *ours, sound)
        trouble += _check_beside_c(name, expect, ours, of_c)
    assert not trouble, f"{len(trouble)}:\n" + "\n".join(trouble)


def test_every_case_is_expected(ctx):
    """The recipe and the tables here have the same cases."""
    cases = set(sides.manifest(ctx, "hostile")["cases"])
    known = {*SUPERBLOCKS, *GROUPS, *INODES, *BLOCKS, *DIRECTORIES, *LINKS}
    assert cases == known, f"only in one place: {cases ^ known}"


@timeout(240)
def test_superblock(ctx):
    """Magic, sizes, counts, devices that are too short."""
    _run(ctx, SUPERBLOCKS)


@timeout(240)
def test_group_descriptors(ctx):
    """Bitmaps and inode tables outside, or over each other."""
    _run(ctx, GROUPS)


@timeout(240)
def test_inodes(ctx):
    """The root directory, types, sizes, links."""
    _run(ctx, INODES)


@timeout(240)
def test_blocks(ctx):
    """Blocks outside the filesystem or over its metadata, at each level; loops."""
    _run(ctx, BLOCKS)


@timeout(240)
def test_directories(ctx):
    """Entries with bad lengths, names and inodes; directories of odd sizes."""
    _run(ctx, DIRECTORIES)


@timeout(240)
def test_links(ctx):
    """Symbolic links with absurd lengths."""
    _run(ctx, LINKS)


@timeout(400)
def test_sweep(ctx):
    """Metadata changed at random: errors, in bounded time, and a kernel alive."""
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("for rust_ext2")
    sweep = sides.manifest(ctx, "hostile")["sweep"]
    bench = _Bench(ctx, (ctx.fstype,))
    sound = bench.survey(ctx.fstype, [])[1]
    mounted = damaged = 0
    for seed, patches in sweep.items():
        begin = time.monotonic()
        number, found, said = bench.survey(ctx.fstype, patches)
        spent = time.monotonic() - begin
        assert number in BAD | {0}, f"seed {seed}: mount gives {number}"
        mounted += not number
        errors = {what: error for what, (_, error) in found.items() if error}
        odd = {what: error for what, error in errors.items()
               if error not in BAD | ODD}
        assert not odd, f"seed {seed}: {odd}"
        damaged += bool(errors)
        if number or set(errors.values()) & {EUCLEAN}:
            assert said, f"seed {seed}: {number or errors}, and no message"
        assert spent < 60, f"seed {seed} took {spent:.0f} seconds"
    assert mounted >= len(sweep) // 2, f"only {mounted} of {len(sweep)} mounted"
    assert damaged >= len(sweep) // 5, f"only {damaged} of {len(sweep)} had errors"
    assert bench.survey(ctx.fstype, [])[1] == sound
