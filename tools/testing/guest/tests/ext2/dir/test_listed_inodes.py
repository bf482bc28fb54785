# SPDX-License-Identifier: GPL-2.0
"""A block of an inode table is read with those around it; and who lists a directory and then
asks for each inode has the inode table read ahead, in large requests (B25)."""

import contextlib
import errno
import os
import random
import struct
import time

import disks
import disturb
import dm
import ext2disk
import sysapi
from lowlevel import error_of
from runner import timeout
from test_write_errors import Faulty

FILES = 800
SECTOR = 512
# as many blocks of an inode table are read together
TOGETHER = 32


class _Listed:
    """A disk with a directory of many files, and what is read of its inode tables."""

    def __init__(self, ctx, image, files=FILES):
        if ctx.fstype == disks.C_FSTYPE:
            ctx.skip("C ext2 reads nothing ahead")
        self.ctx = ctx
        self.disk = disks.Disk(ctx, image).mount()
        self.names = [f"file{number:05d}" for number in range(files)]
        os.mkdir(self.disk.where("d"))
        for name in self.names:
            os.close(os.open(self.path(name), os.O_CREAT | os.O_WRONLY, 0o644))
        self.disk.umount()
        info = ext2disk.superblock(self.disk.path)
        self.size = 1024 << info["log_block_size"]
        self.per_block = self.size // info["inode_size"]
        self.per_group = info["inodes_per_group"]
        self.in_table = -(-self.per_group // self.per_block)
        self.groups = ext2disk.Groups(self.disk.path)
        self.tables = {number for places in self.groups.places
                       for number in range(places[2], places[2] + self.in_table)}

    def path(self, name):
        return os.path.join(self.disk.where("d"), name)

    def list_it(self):
        """The names, as they are in the directory."""
        return [name for name in os.listdir(self.disk.where("d")) if name in self.names]

    def blocks(self, ios):
        """The blocks of some requests, a list of lists."""
        per = self.size // SECTOR
        return [list(range(io.sector // per, -(-(io.sector + io.sectors) // per)))
                for io in ios if io.op.startswith("R")]

    def tables_read(self, io):
        """(requests, blocks) that were read of inode tables since the last call."""
        bios, requests = io.take()
        found = [len(self.tables.intersection(blocks))
                 for blocks in self.blocks(requests)]
        once = [block for blocks in self.blocks(bios) for block in blocks
                if block in self.tables]
        assert len(once) == len(set(once)), "a block of an inode table is read twice"
        return sum(map(bool, found)), sum(found)

    def around(self, inodes):
        """The blocks that are read for inodes: parts of the tables of their groups."""
        found = set()
        for inode in inodes:
            group, index = divmod(inode - 1, self.per_group)
            first = index // self.per_block // TOGETHER * TOGETHER
            table = self.groups.places[group][2]
            found.update(range(table + first,
                               table + min(first + TOGETHER, self.in_table)))
        return found

    def cold(self):
        """Mounts the disk, of which nothing is in memory."""
        if self.disk.point:
            self.disk.umount()
        self.disk.mount()


def _ahead(ctx, image):
    it = _Listed(ctx, image)
    needed = FILES // it.per_block
    it.cold()
    with ctx.record(it.disk.device) as io:
        names = it.list_it()
        requests, blocks = it.tables_read(io)
        # the root's inode, which was read when mounting, and the directory's
        assert blocks <= 2 * TOGETHER, f"{blocks} blocks of inode tables to list names"
        for name in names:
            os.stat(it.path(name))
        requests, blocks = it.tables_read(io)
    ctx.log(f"{image}: {requests} requests for {blocks} blocks, {needed} needed")
    # what is around the inodes of the root and of the directory is in memory
    assert needed - 2 * TOGETHER <= blocks <= needed + TOGETHER, f"{blocks} blocks, {needed} needed"
    assert requests <= max(16, blocks // 8), f"{requests} requests for {blocks} blocks"
    it.disk.finish()


@timeout(200)
def test_ahead_4k(ctx):
    """4 KiB blocks: all inodes of a directory in a few requests."""
    _ahead(ctx, "blank-4k")


@timeout(200)
def test_ahead_1k(ctx):
    """1 KiB blocks."""
    _ahead(ctx, "blank-1k")


@timeout(300)
def test_scattered(ctx):
    """A directory of which each inode is elsewhere: who listed it waits for a few of them."""
    it = _Listed(ctx, "large-1k", 6000)
    it.disk.mount()
    os.mkdir(it.disk.where("e"))
    # no two of them are read together
    names = it.names[::TOGETHER * it.per_block + 1]
    for name in names:
        os.link(it.path(name), it.disk.where("e/" + name))
    inodes = [os.stat(it.path(name)).st_ino for name in names]
    assert len(it.around(inodes)) >= (len(inodes) - 2) * TOGETHER
    it.cold()
    with ctx.record(it.disk.device) as io:
        os.listdir(it.disk.where("e"))
        it.tables_read(io)
        waited = 0
        for name in names:
            os.stat(it.disk.where("e/" + name))
            waited += it.tables_read(io)[0] != 0
    ctx.log(f"{waited} of {len(names)} inodes were waited for")
    assert len(names) >= 40 and waited <= 10, (len(names), waited)
    it.disk.finish()


@timeout(200)
def test_not_in_vain(ctx):
    """Nothing but what is around an inode is read for names that were not listed, and little for
    a few; and that in few requests."""
    it = _Listed(ctx, "blank-1k")
    rng = random.Random(3)
    some = rng.sample(it.names, 8)
    it.disk.mount()
    around = it.around([2, os.stat(it.disk.where("d")).st_ino])
    wanted = it.around(os.stat(it.path(name)).st_ino for name in some) - around

    def read_for_some(before):
        it.cold()
        with ctx.record(it.disk.device) as io:
            before()
            os.stat(it.disk.where("d"))
            it.tables_read(io)
            for name in some:
                os.stat(it.path(name))
            requests, blocks = it.tables_read(io)
            assert requests <= len(some)
            return blocks

    alone = read_for_some(lambda: None)
    assert len(it.tables) > 3 * len(wanted), "nothing can be in vain"
    assert alone == len(wanted), f"{alone} blocks, not {len(wanted)}"
    listed = read_for_some(it.list_it)
    # those of five names for each, many in one block, and blocks that both want
    assert listed <= alone + 5 * len(some) // it.per_block + 3, f"{listed}, not {alone}"
    it.disk.finish()


def _arrays_read(ctx, image, removed):
    """Removes some of the files of a directory that was listed, each with an indirect block.
    (waited for, read ahead): how many of these blocks are read."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 reads nothing ahead")
    disk = disks.Disk(ctx, image).mount()
    names = [f"file{number:03d}" for number in range(100)]
    for name in names:
        with open(disk.where(name), "wb") as file:
            file.write(b"x" * 13 * os.statvfs(disk.point).f_bsize)
    inodes = [os.stat(disk.where(name)).st_ino for name in names]
    disk.umount()
    arrays = {ext2disk.inode_pointers(disk.path, inode)[12] for inode in inodes}
    assert len(arrays) == len(names) and 0 not in arrays
    per = (1024 << ext2disk.superblock(disk.path)["log_block_size"]) // SECTOR
    disk.mount()
    with ctx.record(disk.device) as io:
        for name in [name for name in os.listdir(disk.point) if name in names][:removed]:
            os.unlink(disk.where(name))
        bios = [bio for bio in io.take()[0] if bio.op.startswith("R")]
    found = [bio for bio in bios if bio.sector // per in arrays]
    ahead = sum("A" in bio.op for bio in found)
    disk.finish()
    return len(found) - ahead, ahead


@timeout(200)
def test_arrays_of_removed(ctx):
    """Who removes what was listed does not wait for one indirect block after the other; who
    removes a few files has few read."""
    for image in ("blank-1k", "blank-4k"):
        waited, ahead = _arrays_read(ctx, image, 100)
        ctx.log(f"{image}: {ahead} read ahead, {waited} waited for")
        assert waited <= 10 and ahead >= 90, (image, waited, ahead)
        waited, ahead = _arrays_read(ctx, image, 5)
        assert waited + ahead <= 5 * 5 + 5, (image, waited, ahead)


@timeout(200)
def test_changed_meanwhile(ctx):
    """The directory changes while it is listed and asked for: what is there is found."""
    it = _Listed(ctx, "blank-1k")
    rng = random.Random(5)
    it.cold()
    here = set(it.names)
    for name in it.list_it():
        if name not in here:
            continue
        assert os.stat(it.path(name)).st_size == 0
        gone = rng.choice(it.names)
        if gone in here:
            here.remove(gone)
            os.unlink(it.path(gone))
    assert set(os.listdir(it.disk.where("d"))) == here
    it.disk.finish()


def _make_hostile(it):
    """Entries get inodes that are reserved, not in use, or another's. {name: inode}"""
    info = ext2disk.superblock(it.disk.path)
    last = info["inodes"]
    numbers = [3, 7, info["first_ino"] - 1, last, last - 1, info["inodes_per_group"],
               info["inodes_per_group"] + 1]
    given = {}
    with open(it.disk.path, "r+b") as file:
        data = file.read()
        for index, name in enumerate(it.names):
            if index % 10:
                continue
            given[name] = numbers[index // 10 % len(numbers)]
            at = data.index(name.encode())
            file.seek(at - 8)
            file.write(struct.pack("<I", given[name]))
    return given


@timeout(200)
def test_hostile_numbers(ctx):
    """Whatever inodes entries name, nothing is read but inode tables and what the
    directory has."""
    it = _Listed(ctx, "blank-4k")
    given, failed = _make_hostile(it), 0
    ctx.allow_log("rust_ext2 .*error")
    it.cold()
    with ctx.record(it.disk.device) as io:
        names = it.list_it()
        assert names == it.names
        for name in names:
            try:
                number = os.stat(it.path(name)).st_ino
                assert given.get(name, number) == number, f"{name}: {number}"
            except OSError as error:
                # the directory itself may be among them
                assert error.errno in (errno.EUCLEAN, errno.ELOOP) and name in given, name
                failed += 1
        assert failed > FILES // 30, f"{failed} of {len(given)} names lead nowhere"
        bios, _ = io.take()
    read = {block for blocks in it.blocks(bios) for block in blocks}
    wrong = [block for block in read if not it.groups.is_used(block)]
    assert not wrong, f"blocks that nobody has: {wrong[:5]}"
    it.disk.umount()


def _two_of_a_part(it):
    """Two blocks of an inode table that are read together, and not with the root's inode or a
    directory's: ((block, its names), (block, its names))."""
    it.disk.mount()
    folders = [2, *(os.stat(it.disk.where(name)).st_ino for name in ("d", "e"))]
    inodes = {name: os.stat(it.path(name)).st_ino for name in it.names}
    it.disk.umount()
    taken = it.around(folders)
    blocks = {}
    for name, inode in inodes.items():
        group, index = divmod(inode - 1, it.per_group)
        block = it.groups.places[group][2] + index // it.per_block
        if block not in taken and index // it.per_block % TOGETHER < TOGETHER - 1:
            blocks.setdefault(block, []).append(name)
    one = next(block for block in blocks if block + 1 in blocks)
    return (one, blocks[one]), (one + 1, blocks[one + 1])


def _two_in_a_directory(ctx, image):
    """A disk with a directory that has names with inodes of one block of an inode table, and then
    of another that is read with it. (disk, names, names of the other, the other block)."""
    it = _Listed(ctx, image)
    it.disk.mount()
    os.mkdir(it.disk.where("e"))
    it.disk.umount()
    (_, names), (two, others) = _two_of_a_part(it)
    it.disk.mount()
    for name in names + others:
        os.link(it.path(name), it.disk.where("e/" + name))
    it.disk.umount()
    return it.disk, names, others, two


SLOW = 4  # seconds, of each request for a block


@contextlib.contextmanager
def _slow(ctx, disk, block, size):
    """The disk is mounted through a device of which one block is slow."""
    assert "null_blk" not in sysapi.loaded_modules()
    ctx.load("dm-mod")
    ctx.load("null_blk", f"nr_devices=1 gb=1 memory_backed=1 irqmode=2 "
                         f"completion_nsec={SLOW * 10**9}")
    ctx.afterwards(sysapi.rmmod, "null_blk")
    per, sectors = size // SECTOR, dm.sectors(disk.device)
    with open(disk.path, "rb") as file, open("/dev/nullb0", "r+b", buffering=0) as slow:
        slow.write(os.pread(file.fileno(), size, block * size))
        os.fsync(slow.fileno())
    begin, end = block * per, (block + 1) * per
    device = dm.Device(f"slow-{os.getpid()}", [
        (0, begin, "linear", f"{disk.device} 0"), (begin, per, "linear", "/dev/nullb0 0"),
        (end, sectors - end, "linear", f"{disk.device} {end}")])
    ctx.afterwards(device.remove)
    disk.mount(device=device.path)
    yield
    disk.umount()
    device.remove()


@timeout(200)
def test_removed_beside_slow_inodes(ctx):
    """The inodes of the names behind one that is removed are on their way: it is removed, and
    nobody waits for them."""
    disk, names, others, two = _two_in_a_directory(ctx, "blank-1k")
    with _slow(ctx, disk, two, 1024):
        assert sorted(os.listdir(disk.where("e"))) == sorted(names + others)
        begin = time.monotonic()
        # the other block is read with it
        os.stat(disk.where("e/" + names[0]))
        for name in names:
            os.unlink(disk.where("e/" + name))
        removed = time.monotonic() - begin
        os.stat(disk.where("e/" + others[0]))
        found = time.monotonic() - begin
        ctx.log(f"removed after {removed:.1f} s, the others found after {found:.1f} s")
        assert found > SLOW * 0.9, f"nothing was slow: {found:.1f} s"
        assert removed < SLOW / 2, f"{removed:.1f} s to remove a name"


@timeout(200)
def test_unmounted_beside_slow_inodes(ctx):
    """The disk is unmounted, and the device of the slow block goes, while inodes that nobody has
    waited for are on their way."""
    disk, names, _, two = _two_in_a_directory(ctx, "blank-1k")
    with _slow(ctx, disk, two, 1024):
        begin = time.monotonic()
        os.stat(disk.where("e/" + names[0]))
        found = time.monotonic() - begin
        assert found < SLOW / 2, f"it was waited for: {found:.1f} s"
    disk.check()


@timeout(200)
def test_beside_a_bad_block(ctx):
    """A block of an inode table cannot be read: that is nobody's error who asks for an inode that
    is read with it, and that of who asks for one in it; and no more when it can be read."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 reads nothing ahead")
    ctx.allow_log("I/O error|Buffer I/O error|rust_ext2 .*error")
    disk, names, others, two = _two_in_a_directory(ctx, "blank-1k")
    faulty = Faulty(ctx, "blank-1k")
    with open(disk.path, "rb") as source, open(faulty.disk.path, "r+b") as copy:
        copy.write(source.read())
    faulty.disk.mount(device=faulty.device.path)
    faulty.bad(two)
    before = len(ctx.kernel_log())
    paths = [faulty.disk.where("e/" + name) for name in names + others]
    assert len(os.listdir(faulty.disk.where("e"))) == len(paths)
    for path in paths[:len(names)]:
        assert os.stat(path).st_size == 0
    said = [line for line in ctx.kernel_log()[before:] if "rust_ext2" in line and "error" in line]
    assert not said, said
    for path in paths[len(names):]:
        assert error_of(os.stat, path)[1] == errno.EIO
    faulty.good()
    for path in paths:
        assert os.stat(path).st_size == 0
    faulty.finish()


@timeout(200)
def test_pages_not_in_memory(ctx):
    """A directory was listed, and then its pages had to go: who asks for some of its names waits
    for the pages with these, and no others."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 reads all pages in front")
    disk = disks.Disk(ctx, "blank-1k").mount()
    names = [f"{number:04}{'x' * 196}" for number in range(600)]
    os.mkdir(disk.where("d"))
    os.close(os.open(disk.where("file"), os.O_CREAT | os.O_WRONLY, 0o644))
    for name in names:
        os.link(disk.where("file"), disk.where("d/" + name))
    disk.umount()
    disk.mount()
    with contextlib.ExitStack() as stack:
        # they keep their inodes in memory
        for name in ("d", "file"):
            stack.callback(os.close, os.open(disk.where(name), os.O_RDONLY))
        # all names are known
        assert error_of(os.stat, disk.where("d/nobody"))[1] == errno.ENOENT
        assert sorted(os.listdir(disk.where("d"))) == names
        disks.sync(disk.point)
        disturb.reclaim()
        io = stack.enter_context(ctx.record(disk.device))
        for name in names[-64:]:
            os.stat(disk.where("d/" + name))
        read = sum(bio.sectors for bio in io.take()[0] if bio.op.startswith("R")) * SECTOR
    ctx.log(f"{read} bytes are read")
    # 16 names to a page
    assert 4 * 4096 <= read <= 8 * 4096, f"{read} bytes for 64 names"
    disk.finish()
