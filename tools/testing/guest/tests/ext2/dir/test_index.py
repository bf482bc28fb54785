# SPDX-License-Identifier: GPL-2.0
"""Directories of many names, which rust_ext2 finds by a hash in memory (B13): what is found, where
new names go and what a reader sees is as in C, and what is known is not read again.
"""

import os
import random
import time

import disks
import pair
import sysapi
from lowlevel import getdents
from runner import long, pages_of_4k, parallel, timeout

DIR, FILE = 0o755, 0o644
LINKS = 30_000  # of one file; ext2 has at most 32,000


def _put(text):
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write(text)


def _forget_index():
    """Dentries, inodes that nobody uses, and what is known of names."""
    _put("2")


def _name(number):
    return f"n{number:07d}"


def _fill(folder, numbers):
    """Names of a few files: names cost less than files."""
    target = None
    for number in numbers:
        if target != f"{folder}.{number // LINKS}":
            target = f"{folder}.{number // LINKS}"
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, FILE))
        os.link(target, f"{folder}/{_name(number)}")


@timeout(200)
def test_nothing_is_read(ctx):
    """What is known of names that are not there, and of where there is room, is not
    read again when the directory's pages have left memory."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 walks over the directory")
    disk = disks.Disk(ctx, "blank-1k").mount()
    folder = disk.where("d")
    os.mkdir(folder)
    _fill(folder, range(5000))
    ctx.drop_caches()
    assert not os.path.lexists(os.path.join(folder, "absent"))

    def reads(call):
        disks.sync(disk.point)
        _put("1")
        before = disks.done(disk.device).reads
        call()
        return disks.done(disk.device).reads - before

    def absent():
        for number in range(5000, 5050):
            assert not os.path.lexists(os.path.join(folder, _name(number)))

    count = reads(absent)
    assert count == 0, f"{count} reads for names that are not there"
    # the block with the name, and perhaps an indirect block
    count = reads(lambda: os.stat(os.path.join(folder, _name(1900))))
    assert count <= 3, f"{count} reads to find a name"
    pages = os.stat(folder).st_size // 4096
    count = reads(lambda: os.listdir(folder))
    assert count < pages - 5, f"{count} reads to list {pages} pages"
    os.unlink(os.path.join(folder, _name(1000)))
    count = reads(lambda: _fill(folder, [6000]))
    assert count <= 6, f"{count} reads to make a name"
    # the block with the name, and perhaps an indirect block; and of both names
    count = reads(lambda: os.unlink(os.path.join(folder, _name(2500))))
    assert count <= 3, f"{count} reads to remove a name"
    count = reads(lambda: os.rename(os.path.join(folder, _name(3300)),
                                    os.path.join(folder, _name(7000))))
    assert count <= 6, f"{count} reads to rename"
    disk.finish()


def _listed(folder, count, rng, step=1):
    """Removes names, one in `step` of those that may go, and makes some while the directory is
    read: nothing is seen twice, and what was there all the time is seen, also by who comes back to
    a position that he was given before. The names that are left."""
    here = set(map(_name, range(count)))
    stays = {name for name in here if int(name[1:]) % 3 == 0}
    goes = sorted(here - stays)[::step]
    seen, made, order, given = set(), count, [], []
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        while entries := getdents(fd, 2048):
            for entry in entries:
                name = os.fsdecode(entry.name)
                assert name not in seen, f"{name} is seen twice"
                seen.add(name)
                order.append(name)
            given.append((entries[-1].cookie, len(order)))
            for _ in range(min(len(goes), 2 * len(entries) // 3)):
                # the last takes its place: all behind it would move up
                at = rng.randrange(len(goes))
                gone, goes[at] = goes[at], goes[-1]
                goes.pop()
                os.unlink(os.path.join(folder, gone))
                here.remove(gone)
            _fill(folder, [made])
            here.add(_name(made))
            made += 1
        for cookie, before in rng.sample(given, min(3, len(given))):
            os.lseek(fd, cookie, os.SEEK_SET)
            again = []
            while entries := getdents(fd, 1 << 16):
                again += [os.fsdecode(entry.name) for entry in entries]
            assert len(again) == len(set(again)), f"twice, from {cookie} on"
            follow = stays - set(order[:before])
            assert stays & set(again) == follow, f"from {cookie} on"
    finally:
        os.close(fd)
    assert stays <= seen, f"not seen: {sorted(stays - seen)[:5]}"
    return here


def _cookies(folder, here, rng):
    """From a position that a reader was given it goes on with what follows."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        entries, positions = [], []
        while more := getdents(fd, 8192):
            entries += more
            positions.append(len(entries))
        for at in rng.sample(positions, min(5, len(positions))):
            os.lseek(fd, entries[at - 1].cookie, os.SEEK_SET)
            follows = getdents(fd, 8192)
            assert follows == entries[at:at + len(follows)], f"from entry {at}"
    finally:
        os.close(fd)
    names = {os.fsdecode(entry.name) for entry in entries} - {".", ".."}
    assert names == here, "what is listed is not what is there"


def _find(folder, numbers, count, what):
    """Names that are there, and for each fourth one that is not."""
    for number in numbers:
        info = os.stat(os.path.join(folder, _name(number)))
        assert info.st_nlink > 1, _name(number)
        if number % 4 == 0:
            absent = os.path.join(folder, _name(count + number))
            assert not os.path.lexists(absent), f"{absent}, {what}"


def _many(ctx, count, step=1):
    """So many names; where all were looked for before, one in so many."""
    rng = random.Random(14)
    disk = disks.Disk(ctx, "blank-4k").mount()
    folder = disk.where("d")
    os.mkdir(folder)
    watch = _Watch(ctx)
    _fill(folder, range(count))
    watch.tell("made")
    _find(folder, range(count), count, "known")
    watch.tell("found")
    disk.umount()
    disk.mount()
    folder = disk.where("d")
    _find(folder, range(0, count, step), count, "read again")
    watch.tell("found again")
    here = _listed(folder, count, rng)
    watch.tell("listed while they went")
    _forget_index()
    _cookies(folder, here, rng)
    left = sorted(here)
    rng.shuffle(left)
    for number, name in enumerate(left):
        path = os.path.join(folder, name)
        os.unlink(path)
        assert number % step or not os.path.lexists(path), name
        if number == count // 3:
            _forget_index()
    os.rmdir(folder)
    watch.tell("removed")
    disk.finish()


class _Watch:
    """How long what has been done has taken, for the log."""

    def __init__(self, ctx):
        self._ctx, self._begin = ctx, time.monotonic()

    def tell(self, what):
        now = time.monotonic()
        self._ctx.log(f"{what}: {now - self._begin:.0f} s")
        self._begin = now


@timeout(300)
def test_many_names(ctx):
    """Names in a directory of many blocks are made, found, not found, listed while
    they go, and removed."""
    _many(ctx, 8000)


@long
@timeout(7200)
def test_million_names(ctx):
    """As many_names, of a directory nearly as large as its disk."""
    _many(ctx, 1_000_000, 16)


@timeout(300)
def test_forgotten(ctx):
    """What is known is forgotten now and then, while names of all lengths come, go and
    move: a directory is what it is in C, to the byte."""
    p = pair.Pair(ctx, "blank-1k")
    for name in ("d", "e"):
        p.ok("mkdir", name, DIR)
    p.ok("create", "file", FILE)
    rng, here = random.Random(41), []

    def script(step):
        for number in range(50):
            if here and rng.random() < 0.4:
                gone = here.pop(rng.randrange(len(here)))
                yield rng.choice((("unlink", gone),
                                  ("rename", gone, f"e/{step}-{number}")))
                continue
            new = f"d/{step}-{number}" + "x" * rng.choice((0, rng.randrange(200)))
            here.append(new)
            yield ("link", "file", new)

    for step in range(14):
        todo = list(script(step))
        p.same(lambda actor, todo=todo: (
            [actor.do(op) for op in todo], actor.do(("list", "d")),
            os.path.lexists(actor.path("d/absent"))), f"step {step}")
        if step % 3 == 1:
            _forget_index()
        elif step % 5 == 3:
            p.mount_again()
    p.compare()
    p.finish()


def _hostile():
    """Names that a quick look takes for each other: of one length with one end, that
    begin with each other, of all bytes, and the longest."""
    for number in range(300):
        yield b"%03d" % number + b"same-end"
        yield b"a" * (1 + number % 255) + b"z%d" % (number // 255)
    for byte in range(1, 256):
        if byte != ord("/"):
            yield b"b" + bytes([byte])
            yield (bytes([byte]) + b"l" * 254)[:255]
            # what would be the head of an entry, but for the NULs that no name has
            yield b"e" + bytes([byte, 1, 1, 1, 12, 1, 1, 1]) * 4


@timeout(200)
def test_hostile_names(ctx):
    """Names that look alike are told apart."""
    p = pair.Pair(ctx, "blank-1k")
    p.ok("mkdir", "d", DIR)
    p.ok("create", "file", FILE)
    names = list(dict.fromkeys(_hostile()))

    def make(actor):
        root = os.fsencode(actor.root)
        errors = 0
        for name in names:
            try:
                os.link(root + b"/file", root + b"/d/" + name)
            except OSError:
                errors += 1
        return errors

    def find(actor):
        root = os.fsencode(actor.root) + b"/d/"
        return [(os.path.lexists(root + name), os.path.lexists(root + name[:-1]),
                 os.path.lexists(root + name + b"x")) for name in names]

    def thin(actor):
        root = os.fsencode(actor.root) + b"/d/"
        for name in names[::2]:
            if os.path.lexists(root + name):
                os.unlink(root + name)

    p.same(make, "make")
    p.same(find, "find")
    p.mount_again()
    p.same(find, "find again")
    p.same(thin, "thin")
    p.same(find, "find what is left")
    p.same(lambda actor: actor.do(("list", "d")), "list")
    p.finish()


def _siphash(name):
    """SipHash-2-4 of eight bytes, with a key of zeros."""
    most = (1 << 64) - 1

    def turned(word, bits):
        return (word << bits | word >> 64 - bits) & most

    def mix(v0, v1, v2, v3):
        v0, v2 = (v0 + v1) & most, (v2 + v3) & most
        v1, v3 = turned(v1, 13) ^ v0, turned(v3, 16) ^ v2
        v2, v0 = (v2 + v1) & most, (turned(v0, 32) + v3) & most
        return v0, turned(v1, 17) ^ v2, turned(v2, 32), turned(v3, 21) ^ v0

    state = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    for word in (int.from_bytes(name, "little"), 8 << 56):
        v0, v1, v2, v3 = mix(*mix(state[0], state[1], state[2], state[3] ^ word))
        state = v0 ^ word, v1, v2, v3
    v0, v1, v2, v3 = mix(*mix(*mix(*mix(state[0], state[1], state[2] ^ 0xFF, state[3]))))
    return v0 ^ v1 ^ v2 ^ v3


# found by trying 2**28 of them
ALIKE = ("0612f9a3", "0676d13a", "07fdb706", "09151eb6", "0ccac58a")


@pages_of_4k
@timeout(200)
def test_chosen_names(ctx):
    """Names that were chosen to have one hash, if that has no key that nobody knows: more than
    are looked for by it. Each is found where it is, and the directory is not walked over."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 walks over the directory")
    assert len({_siphash(name.encode()) & 0xFFFFFFFF for name in ALIKE}) == 1
    disk = disks.Disk(ctx, "blank-1k").mount()
    folder = disk.where("d")
    os.mkdir(folder)
    _fill(folder, range(1))
    for name in ALIKE[::2]:
        os.link(f"{folder}.0", os.path.join(folder, name))
    _fill(folder, range(1, 5000))
    for name in ALIKE[1::2]:
        os.link(f"{folder}.0", os.path.join(folder, name))
    ctx.drop_caches()
    assert not os.path.lexists(os.path.join(folder, "absent"))
    size, read = os.stat(folder).st_size, []
    os.stat(f"{folder}.0")  # the inode, and those around it
    for name in ALIKE:
        disks.sync(disk.point)
        _put("1")
        before = disks.done(disk.device).sectors_read
        os.stat(os.path.join(folder, name))
        read.append((disks.done(disk.device).sectors_read - before) * 512)
    assert max(read) < size // 4, f"{read} bytes are read of {size} to find one name each"
    disk.finish()


def _unload(name):
    """A module, and before it those that need it. All that were unloaded, in that order."""
    with open("/proc/modules", encoding="ascii") as file:
        users = {fields[0]: fields[3] for fields in map(str.split, file)}
    gone = []
    for user in users[name].split(","):
        if user in sysapi.loaded_modules():
            gone += _unload(user)
    sysapi.rmmod(name)
    return [*gone, name]


def _load_with_limit(ctx, kib):
    """The library and the filesystem are loaded anew, with a limit for what is remembered."""
    if "rust_mpage" in sysapi.loaded_modules():
        _unload("rust_mpage")
    ctx.load("rust_mpage", f"spare_kib={kib}")
    ctx.load(ctx.fstype)


def _load_again(ctx, names):
    """As they were before, after the test has unmounted everything."""
    if "rust_mpage" in sysapi.loaded_modules():
        _unload("rust_mpage")
    for name in names:
        ctx.load(name)


def _reads_for_an_absent_name(disk, folder):
    """What is read of the directory to say that there is no such name, when no page of it is in
    memory, and what is known is."""
    assert not os.path.lexists(os.path.join(folder, "absent"))
    disks.sync(disk.point)
    _put("1")
    before = disks.done(disk.device).sectors_read
    assert not os.path.lexists(os.path.join(folder, "not-there"))
    return (disks.done(disk.device).sectors_read - before) * 512


LIMITED = 3000  # names, which take a table of 4,096 words: 32 KiB


def _with_a_limit(ctx, kib):
    """Makes, finds and removes names; how much is read of the directory for one that is not
    there, and how large it is."""
    disk = disks.Disk(ctx, "blank-4k").mount()
    folder = disk.where("d")
    os.mkdir(folder)
    _fill(folder, range(LIMITED))
    here = set(map(_name, range(LIMITED)))
    read, size = _reads_for_an_absent_name(disk, folder), os.stat(folder).st_size
    ctx.log(f"{kib} KiB: {read} of {size} bytes are read")
    _find(folder, range(0, LIMITED, 3), LIMITED, f"{kib} KiB")
    for number in range(0, LIMITED, 2):
        os.unlink(os.path.join(folder, _name(number)))
        here.remove(_name(number))
    _fill(folder, range(LIMITED, LIMITED + 300))
    here |= set(map(_name, range(LIMITED, LIMITED + 300)))
    for number in range(0, LIMITED + 300, 7):
        name = _name(number)
        assert os.path.lexists(os.path.join(folder, name)) == (name in here), name
    assert set(os.listdir(folder)) == here
    disk.finish()
    return read, size


def _more_than_the_table_takes(ctx):
    """Short names come to blocks that are known, where long ones were: more than there is memory
    to note. Each is there."""
    disk = disks.Disk(ctx, "blank-4k").mount()
    folder = disk.where("d")
    os.mkdir(folder)
    os.close(os.open(disk.where("file"), os.O_CREAT | os.O_WRONLY, FILE))
    long = [f"{number:0240}" for number in range(300)]
    for name in long:
        os.link(disk.where("file"), os.path.join(folder, name))
    assert not os.path.lexists(os.path.join(folder, "absent"))
    for name in long:
        os.unlink(os.path.join(folder, name))
    short = range(1500)
    for number in short:
        os.link(disk.where("file"), os.path.join(folder, _name(number)))
    # not found by the dentry alone
    for number in short:
        os.unlink(os.path.join(folder, _name(number)))
    os.rmdir(folder)
    disk.finish()


@pages_of_4k
@timeout(300)
def test_limit(ctx):
    """The limit is less than what a directory's names take, or there is to be nothing: the names
    that are not known are walked over, no others, and all answers are right."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C remembers nothing")
    ctx.afterwards(_load_again, ctx, _unload("rust_mpage")[::-1])
    _load_with_limit(ctx, 24)
    read, size = _with_a_limit(ctx, 24)
    assert 0 < read < size, f"{read} of {size} bytes"
    _more_than_the_table_takes(ctx)
    _load_with_limit(ctx, 0)
    read, size = _with_a_limit(ctx, 0)
    assert read >= size, f"{read} of {size} bytes"


@parallel
@timeout(200)
def test_forgotten_meanwhile(ctx):
    """What is known is given up by another processor, again and again, while names come
    and go: each is there or not, as it should be."""
    disk = disks.Disk(ctx, "blank-1k").mount()
    folder = disk.where("d")
    os.mkdir(folder)
    _fill(folder, range(600))
    begin, end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        os.set_blocking(begin, False)
        while True:
            try:
                os.read(begin, 1)
                os._exit(0)
            except BlockingIOError:
                _forget_index()
    os.close(begin)
    try:
        for number in range(600, 1000):
            name = os.path.join(folder, _name(number))
            gone = os.path.join(folder, _name(number - 600))
            assert not os.path.lexists(name), name
            _fill(folder, [number])
            assert os.path.lexists(name), name
            os.unlink(gone)
            assert not os.path.lexists(gone), gone
    finally:
        os.close(end)
        os.waitpid(child, 0)
    left = {os.fsdecode(entry) for entry in os.listdir(os.fsencode(folder))}
    assert left == set(map(_name, range(400, 1000)))
    disk.finish()
