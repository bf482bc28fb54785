# SPDX-License-Identifier: GPL-2.0
"""What stat, readdir, readlink, statfs and the others say of a tree of files is
what C ext2 says, in every variant of the format (E1, E2, E4, E12's inodes).

Both mount the same image in one boot; every answer is compared, errors too.
"""

import os
import stat

import lowlevel
import sides
from lowlevel import error_of
from runner import timeout

# f_flags says how it is mounted, f_fsid comes from the image: both are compared
STATFS = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files",
          "f_ffree", "f_favail", "f_flag", "f_namemax", "f_fsid")
COOKIES = 10  # seekdir is tried from so many entries of each directory


def _walk(top):
    """(name, inode) of everything under `top`, "" too, in the order of the
    directories and from what they say: no name is looked up that has a type."""
    pending = [(b"", os.lstat(top).st_ino)]
    while pending:
        name, ino = pending.pop(0)
        yield name, ino
        path = os.path.join(os.fsencode(top), name)
        with os.scandir(path) as entries:
            for entry in entries:
                child = os.path.join(name, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    pending.append((child, entry.inode()))
                else:
                    yield child, entry.inode()


def _stat(path):
    info = os.lstat(path)
    fields = {name: getattr(info, name) for name in dir(info)
              if name.startswith("st_") and name != "st_dev"}
    fields["statx"] = lowlevel.statx(path).hex()
    return fields


def _attributes(path):
    """What there is instead of extended attributes."""
    return {
        "list": error_of(os.listxattr, path, follow_symlinks=False),
        "user": error_of(os.getxattr, path, "user.x", follow_symlinks=False),
        "trusted": error_of(os.getxattr, path, "trusted.x", follow_symlinks=False),
        "acl": error_of(os.getxattr, path, "system.posix_acl_access",
                        follow_symlinks=False),
        "nonsense": error_of(os.getxattr, path, "nonsense.x", follow_symlinks=False),
    }


def _directory(path):
    whole = lowlevel.list_directory(path)
    answer = {"entries": whole}
    step = max(1, len(whole) // COOKIES)
    for index in range(0, len(whole), step):
        start = whole[index].cookie
        answer[f"from {start}"] = lowlevel.list_directory(path, start=start)
        assert answer[f"from {start}"] == whole[index + 1:], \
            f"{path}: the cookie {start} does not lead to where it is from"
    if len(whole) < 200:
        assert lowlevel.list_directory(path, size=300) == whole, \
            f"{path}: reading little by little gives something else"
    end = whole[-1].cookie if whole else 0
    answer["behind"] = lowlevel.list_directory(path, start=end + 4096)
    return answer


# a hole has no length for C ext2, which looks for each block of one of 2 GiB by itself
MAPPED = 8 << 20


def _file(path, size):
    with open(path, "rb", buffering=0) as file:
        fd = file.fileno()
        answer = {
            "bytes": os.pread(fd, 65536, 0),
            "fiemap": [error_of(lowlevel.fiemap, fd, start, MAPPED)
                       for start in sorted({0, max(0, size - MAPPED)})],
            "tail": os.pread(fd, 8192, max(0, size - 5000)),
            # of holes C knows nothing: test_seek.py
            "seek end": error_of(os.lseek, fd, 0, os.SEEK_END),
        }
        for block in (0, 1, 11, 12, 13, 267, 268, 2048, 2049, 1 << 21):
            answer[f"fibmap {block}"] = error_of(lowlevel.fibmap, fd, block)
        return answer


def _answers(path):
    """Everything that can be asked about one name."""
    info = _stat(path)
    answer = {"stat": info, "xattr": _attributes(path)}
    if stat.S_ISLNK(info["st_mode"]):
        answer["target"] = os.readlink(path)
        answer["follow"] = error_of(os.stat, path)[1]
    elif stat.S_ISDIR(info["st_mode"]):
        answer.update(_directory(path))
        answer["absent"] = error_of(os.lstat, os.path.join(path, b"absent"))[1]
        answer["too long"] = error_of(os.lstat, os.path.join(path, b"n" * 256))[1]
    elif stat.S_ISREG(info["st_mode"]):
        answer.update(_file(path, info["st_size"]))
    answer["access"] = [os.access(path, mode, follow_symlinks=False)
                        for mode in (os.R_OK, os.W_OK, os.X_OK)]
    answer["write"] = error_of(os.truncate, path, 0)[1] \
        if stat.S_ISREG(info["st_mode"]) else None
    return answer


def _differences(name, c, rust, path=()):
    """Lines that say where two tables differ."""
    for key in c:
        here = (*path, key)
        if c[key] == rust.get(key):
            continue
        if isinstance(c[key], dict):
            yield from _differences(name, c[key], rust[key], here)
        else:
            yield f"{name}, {here}: {rust.get(key)!r:.600}, in C {c[key]!r:.600}"


def _statfs(c, rust):
    """Lines that say where statfs differs."""
    tables = [{field: getattr(os.statvfs(side.point), field) for field in STATFS}
              for side in (c, rust)]
    return list(_differences("statfs", *tables))


def _compare(ctx, image, options=""):
    c, rust = sides.both(ctx, image, options)
    names = list(_walk(c.point))
    assert list(_walk(rust.point)) == names, "the names differ"
    trouble = []
    seen = set()
    for name, ino in names:
        # the thousands of names of one file: each is looked up, its answers once
        found = os.lstat(os.path.join(os.fsencode(rust.point), name)).st_ino
        assert found == ino, f"{name}: inode {found}, not {ino}"
        if ino in seen:
            continue
        seen.add(ino)
        tables = [_answers(os.path.join(os.fsencode(side.point), name))
                  for side in (c, rust)]
        trouble += _differences(os.fsdecode(name) or ".", *tables)
    trouble += _statfs(c, rust)
    assert not trouble, f"{len(trouble)} differences:\n" + "\n".join(trouble[:40])
    return len(names)


@timeout(300)
def test_tree_1k(ctx):
    """All types of files, directories of 1, 100 and 3000 entries."""
    assert _compare(ctx, "tree-1k") > 3000


@timeout(300)
def test_tree_2k(ctx):
    _compare(ctx, "tree-2k")


@timeout(300)
def test_tree_4k(ctx):
    assert _compare(ctx, "tree-4k") > 3000


@timeout(300)
def test_dir_index(ctx):
    """Directories with a hashed index are read as linear ones."""
    assert _compare(ctx, "tree-dir-index") > 3000


def test_revision_0(ctx):
    """The original format: no features, no types in directory entries."""
    _compare(ctx, "tree-rev0")


def test_no_filetype(ctx):
    """d_type is DT_UNKNOWN."""
    _compare(ctx, "tree-no-filetype")


@timeout(300)
def test_inode_sizes(ctx):
    """128 bytes, and 1024."""
    _compare(ctx, "tree-i128")
    _compare(ctx, "tree-i1024")


@timeout(300)
def test_sparse_super(ctx):
    """Superblock copies in every group, and in few: statfs counts them."""
    _compare(ctx, "tree-no-sparse-super")
    _compare(ctx, "tree-sparse-super")


def test_meta_bg(ctx):
    """Group descriptors spread over the disk, of which C's statfs counts too many,
    see test_features.py."""
    _compare(ctx, "tree-meta-bg", "minixdf")


def test_journal(ctx):
    """An ext3 filesystem that was unmounted cleanly is an ext2 filesystem."""
    _compare(ctx, "tree-journal")
    said = [line for line in ctx.kernel_log() if "ext3 filesystem as ext2" in line]
    assert len(said) == 2, said


@timeout(300)
def test_options_of_stat(ctx):
    """minixdf, nouid32 and reserved blocks change what is told."""
    for options in ("bsddf", "minixdf", "minixdf,resuid=7"):
        trouble = _statfs(*sides.both(ctx, "tree-reserved", options))
        assert not trouble, f"{options}: {trouble}"
    _compare(ctx, "tree-reserved", "nouid32")


@timeout(60)
def test_filefrag(ctx):
    """filefrag of e2fsprogs sees the same extents."""
    told = []
    for side in sides.both(ctx, "layout-1k"):
        names = ("contiguous", "fragmented", "page-holes", "double", "empty")
        text = ctx.run("filefrag", "-v", *[side.path(name) for name in names])
        told.append(text.replace(side.point, ""))
    assert told[0] == told[1], f"{told[1]}\nin C:\n{told[0]}"
