# SPDX-License-Identifier: GPL-2.0
"""Every feature bit that e2fsprogs knows (E17): whether a filesystem that has it is
mounted, may be written to, and is sound afterwards; and where the features that
change the layout put things. The table is that of Documentation/ext2.rst.
"""

import errno
import os
import struct

import disks
import ext2disk
import sides
import sysapi
import writers
from lowlevel import error_of
from runner import timeout

SUPERBLOCK = 1024
COMPAT, INCOMPAT, RO_COMPAT = 92, 96, 100
WRITE, READ, REFUSED = "read-write", "read-only", "refused"

# What a bit, set in an image that has nothing of the feature, makes of it. Those that
# cannot be set without more are in LAYOUTS.
BITS = {
    (COMPAT, 0x1, "dir_prealloc"): WRITE,
    (COMPAT, 0x2, "imagic_inodes"): WRITE,
    (COMPAT, 0x8, "ext_attr"): WRITE,
    (COMPAT, 0x20, "dir_index"): WRITE,
    (COMPAT, 0x40, "lazy_bg"): WRITE,
    (COMPAT, 0x80, "exclude_inode"): WRITE,
    (COMPAT, 0x100, "exclude_bitmap"): WRITE,
    (COMPAT, 0x800, "stable_inodes"): WRITE,
    (COMPAT, 0x80000000, "unknown"): WRITE,
    (INCOMPAT, 0x1, "compression"): REFUSED,
    (INCOMPAT, 0x4, "needs_recovery"): REFUSED,
    (INCOMPAT, 0x8, "journal_dev"): REFUSED,
    (INCOMPAT, 0x40, "extent"): REFUSED,
    (INCOMPAT, 0x80, "64bit"): REFUSED,
    (INCOMPAT, 0x100, "mmp"): REFUSED,
    (INCOMPAT, 0x200, "flex_bg"): REFUSED,
    (INCOMPAT, 0x400, "ea_inode"): REFUSED,
    (INCOMPAT, 0x1000, "dirdata"): REFUSED,
    (INCOMPAT, 0x2000, "metadata_csum_seed"): REFUSED,
    (INCOMPAT, 0x4000, "large_dir"): REFUSED,
    (INCOMPAT, 0x8000, "inline_data"): REFUSED,
    (INCOMPAT, 0x10000, "encrypt"): REFUSED,
    (INCOMPAT, 0x20000, "casefold"): REFUSED,
    (INCOMPAT, 0x80000000, "0x80000000"): REFUSED,
    (RO_COMPAT, 0x2, "large_file"): WRITE,
    (RO_COMPAT, 0x4, "btree_dir"): WRITE,
    (RO_COMPAT, 0x8, "huge_file"): READ,
    (RO_COMPAT, 0x10, "uninit_bg"): READ,
    (RO_COMPAT, 0x20, "dir_nlink"): READ,
    (RO_COMPAT, 0x40, "extra_isize"): READ,
    (RO_COMPAT, 0x80, "has_snapshot"): READ,
    (RO_COMPAT, 0x100, "quota"): READ,
    (RO_COMPAT, 0x200, "bigalloc"): READ,
    (RO_COMPAT, 0x400, "metadata_csum"): READ,
    (RO_COMPAT, 0x800, "replica"): READ,
    (RO_COMPAT, 0x1000, "read-only"): READ,
    (RO_COMPAT, 0x2000, "project"): READ,
    (RO_COMPAT, 0x4000, "shared_blocks"): READ,
    (RO_COMPAT, 0x8000, "verity"): READ,
    (RO_COMPAT, 0x10000, "orphan_present"): READ,
    (RO_COMPAT, 0x80000000, "0x80000000"): READ,
}

# whole filesystems; whether everything that is not free is overhead or has a name
LAYOUTS = {
    "features-super2-0": True, "features-super2-1": True, "features-super2-2": True,
    "features-super2-resize": False, "features-super2-meta": True,
    "features-meta": True, "features-meta-all": True, "features-sparse": True,
    "features-all": True, "features-resize": False, "features-journal": False,
    "features-commit": False, "features-orphan": False, "features-stable": False,
    "features-none": True,
}


def _feature_word(path, offset):
    with open(path, "rb") as file:
        file.seek(SUPERBLOCK + offset)
        return struct.unpack("<I", file.read(4))[0]


def _set(path, offset, value):
    with open(path, "r+b") as file:
        file.seek(SUPERBLOCK + offset)
        file.write(struct.pack("<I", value))


def _use(root):
    """Files, directories, blocks in every group, and most of it removed again."""
    for number in range(3):
        folder = os.path.join(root, f"d{number}")
        os.mkdir(folder)
        for child in range(5):
            with open(os.path.join(folder, f"f{child}"), "wb") as file:
                file.write(bytes([child]) * 30_000)
        os.link(os.path.join(folder, "f0"), os.path.join(folder, "g"))
        os.symlink("x" * 100, os.path.join(folder, "s"))
        os.unlink(os.path.join(folder, "f1"))
    os.rename(os.path.join(root, "d0/f2"), os.path.join(root, "d1/f2"))
    os.unlink(os.path.join(root, "d2/s"))


def _fill(root):
    """Write until there is no block left, and remove it."""
    path = os.path.join(root, "large")
    with open(path, "wb", 0) as file:
        writers.fill(file.fileno(), (1 << 16, 1024))
    assert os.statvfs(root).f_bfree == 0
    os.unlink(path)


def _mounts(ctx, disk, read_only):
    """errno of a mount."""
    point, number = error_of(ctx.mount, disk.device, disk.fstype, "", read_only)
    if not number:
        ctx.umount(point)
    return number


@timeout(200)
def test_bits(ctx):
    """Each bit: mounted or not, for reading or for writing, and why not."""
    disk = disks.Disk(ctx, "features-none")
    words = {offset: _feature_word(disk.path, offset)
             for offset in (COMPAT, INCOMPAT, RO_COMPAT)}
    device = os.path.basename(disk.device)
    trouble = []
    for (offset, bit, name), verdict in BITS.items():
        _set(disk.path, offset, words[offset] | bit)
        log = len(ctx.kernel_log())
        wanted = {WRITE: (0, 0), READ: (0, errno.EINVAL),
                  REFUSED: (errno.EINVAL, errno.EINVAL)}[verdict]
        got = tuple(_mounts(ctx, disk, read_only) for read_only in (True, False))
        if got != wanted:
            trouble.append(f"{name}: {got}, not {wanted}")
        said = [line for line in ctx.kernel_log()[log:] if device in line]
        if verdict != WRITE and ctx.fstype != sides.C_FSTYPE and not any(
                "error: " in line and f" {name}" in line for line in said):
            trouble.append(f"{name}: not named: {said}")
        _set(disk.path, offset, words[offset])
    assert not trouble, "\n".join(trouble)
    disk.check()


@timeout(200)
def test_written_with_a_bit(ctx):
    """A filesystem that is used for writing with a bit that changes nothing is what
    it would be without it."""
    used = []
    for (offset, bit, name), verdict in {(COMPAT, 0, ""): WRITE, **BITS}.items():
        if verdict != WRITE:
            continue
        disk = disks.Disk(ctx, "features-none")
        word = _feature_word(disk.path, offset)
        _set(disk.path, offset, word | bit)
        disk.mount()
        _use(disk.point)
        disk.umount()
        assert _feature_word(disk.path, offset) == word | bit, name
        # e2fsck refuses to look at some of them
        _set(disk.path, offset, word)
        disk.check()
        used.append(ext2disk.Groups(disk.path).counts)
        assert used[-1] == used[0] or ctx.fstype == sides.C_FSTYPE, name


def _named_blocks(root):
    """Blocks of everything that has a name, in units of 512 bytes."""
    found = [os.stat(root)]
    for folder, folders, files in os.walk(root):
        found += [os.lstat(os.path.join(folder, name)) for name in folders + files]
    return sum({info.st_ino: info.st_blocks for info in found}.values())


def _accounts(disk, exact):
    """What statfs says is consistent: blocks are free, overhead, or a file's."""
    info = os.statvfs(disk.point)
    used = info.f_blocks - info.f_bfree
    assert info.f_bfree <= info.f_blocks, f"{disk}: {info.f_bfree} of {info.f_blocks} free"
    if exact:
        named = _named_blocks(disk.point) * 512 // info.f_bsize
        assert used == named, f"{disk}: {used} blocks are used, files have {named}"
    return info


def _layout(ctx, image):
    disk = disks.Disk(ctx, image)
    disk.mount()
    fresh = _accounts(disk, LAYOUTS[image])
    _use(disk.point)
    _accounts(disk, LAYOUTS[image])
    if "super2" in image:
        _fill(disk.point)
        assert _accounts(disk, LAYOUTS[image]).f_blocks == fresh.f_blocks
        disk.umount()
        disk.mount("minixdf")
        all_blocks = ext2disk.superblock(disk.path)["blocks"]
        assert os.statvfs(disk.point).f_blocks == all_blocks
    disk.finish()


@timeout(200)
def test_layouts(ctx):
    """Features that move superblocks and descriptors, and those that have a journal
    or files of their own: mounted for writing, e2fsck finds nothing, and not more is
    free than there is, also where the disk has been filled."""
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("for rust_ext2: C does not know sparse_super2")
    trouble = []
    for image in LAYOUTS:
        try:
            _layout(ctx, image)
        except (AssertionError, OSError) as error:
            trouble.append(f"{image}: {error!r}")
    assert not trouble, "\n".join(trouble)


@timeout(60)
def test_backups_of_sparse_super2(ctx):
    """Its backups, the first two groups' and the last's, are where sb= finds them,
    and nowhere else."""
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("for rust_ext2")
    disk = disks.Disk(ctx, "features-super2-2")
    for group in (1, 11):
        point = ctx.mount(disk.device, options=f"sb={1 + 512 * group}")
        info = os.statvfs(point)
        assert (info.f_blocks, info.f_bfree <= info.f_blocks) == \
            (_accounts_of_primary(ctx, disk), True)
        ctx.umount(point)
    number = error_of(ctx.mount, disk.device, None, f"sb={1 + 512 * 3}")[1]
    assert number == errno.EINVAL, number


def _accounts_of_primary(ctx, disk):
    """f_blocks by the primary superblock, from a copy on another device."""
    device = ctx.loop(disk.path)
    point = ctx.mount(device)
    blocks = os.statvfs(point).f_blocks
    ctx.umount(point)
    return blocks


@timeout(60)
def test_read_only_features(ctx):
    """All that may only be read, at once, in a filesystem that has them for good."""
    with open(ctx.image("features-ro"), "rb") as file:
        before = file.read()
    disk = disks.Disk(ctx, "features-ro")
    point = ctx.mount(disk.device)
    with open(os.path.join(point, "file"), "rb") as file:
        assert len(file.read()) == 30_000
    info = os.statvfs(point)
    assert info.f_bfree <= info.f_blocks
    number = error_of(sysapi.mount, disk.device, point, disk.fstype, disks.MS_REMOUNT,
                      "")[1]
    assert number == errno.EROFS, number
    ctx.umount(point)
    log = len(ctx.kernel_log())
    assert _mounts(ctx, disk, read_only=False) == errno.EINVAL
    if ctx.fstype != sides.C_FSTYPE:
        said = next(line for line in ctx.kernel_log()[log:] if "only be read" in line)
        for name in ("huge_file", "metadata_csum", "dir_nlink", "extra_isize", "quota",
                     "project"):
            assert f" {name}" in said, said
    with open(disk.path, "rb") as file:
        assert file.read() == before
