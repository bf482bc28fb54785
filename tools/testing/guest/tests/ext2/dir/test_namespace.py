# SPDX-License-Identifier: GPL-2.0
"""Names (E4, E5): every operation on them, and every way in which it is refused,
has the answer, the counts, the times and the order of directory entries of C ext2;
both disks are clean after it, and each driver reads the other's.
"""

import os
import random
import stat
import time

import lowlevel
import ops
import pair
import writers
from runner import timeout

DIR, FILE = 0o755, 0o644
FIFO, SOCK = stat.S_IFIFO | 0o600, stat.S_IFSOCK | 0o600
CHAR, BLOCK = stat.S_IFCHR | 0o600, stat.S_IFBLK | 0o600


def _names_and_types(p):
    """What can be made, how long names are, what is in the way."""
    for length in (1, 2, 11, 12, 13, 254, 255):
        p.ok("create", "n" * length, FILE)
    p.fails("ENAMETOOLONG", "create", "n" * 256, FILE)
    p.fails("ENAMETOOLONG", "mkdir", "d" * 256, DIR)
    p.fails("ENAMETOOLONG", "link", "n", "l" * 256)
    p.fails("ENAMETOOLONG", "rename", "n", "r" * 256)
    p.fails("EEXIST", "create", "n", FILE)
    p.fails("EEXIST", "mkdir", "n", DIR)
    p.fails("EEXIST", "symlink", "n", "target")
    p.fails("EEXIST", "mknod", "n", FIFO, 0)
    p.fails("ENOENT", "create", "absent/file", FILE)
    p.fails("ENOTDIR", "create", "n/file", FILE)
    p.ok("mkdir", "d", DIR)
    p.ok("mkdir", "setgid", 0o755)
    p.ok("chmod", "setgid", 0o2775)
    p.ok("chown", "setgid", 5, 77)
    p.ok("create", "setgid/f", 0o2674)
    p.ok("mkdir", "setgid/d", 0o700)
    p.ok("mknod", "fifo", FIFO, 0)
    p.ok("mknod", "socket", SOCK, 0)
    for number, device in enumerate(((8, 1), (255, 255), (256, 0), (1, 256),
                                     (4095, 1048575), (300, 70000), (0, 0))):
        p.ok("mknod", f"char{number}", CHAR, os.makedev(*device))
        p.ok("mknod", f"block{number}", BLOCK, os.makedev(*device))


def _symlinks(p, block_size):
    """In the inode, in a block, too long; and what they lead to."""
    for length in (1, 58, 59, 60, 61, 500, block_size - 1):
        p.ok("symlink", f"s{length}", "t" * length)
    p.fails("ENAMETOOLONG", "symlink", "s-", "t" * block_size)
    p.ok("symlink", "loop", "loop")
    p.fails("ELOOP", "truncate", "loop", 0)
    p.ok("symlink", "to-d", "d")
    p.fails("EEXIST", "mkdir", "to-d", DIR)
    p.fails("ENOTDIR", "rmdir", "to-d")
    p.ok("create", "to-d/through", FILE)
    p.ok("link", "to-d", "hard-to-d")
    p.ok("unlink", "to-d")
    for length in (1, 59, 60, block_size - 1):
        p.ok("readlink", f"s{length}")
    p.mount_again()
    for length in (58, 59, 60, 61, block_size - 1):
        p.ok("readlink", f"s{length}")
        p.ok("unlink", f"s{length}")


def _links(p):
    """Several names of one file, none of one that is open, removal of wrong things."""
    p.ok("create", "one", FILE)
    p.ok("write", "one", 0, 9000, 1)
    p.ok("link", "one", "d/two")
    p.ok("link", "d/two", "three")
    p.fails("EEXIST", "link", "one", "three")
    p.fails("ENOENT", "link", "absent", "four")
    p.fails("EPERM", "link", "d", "d2")
    p.ok("rename", "one", "three")  # the same file: nothing happens
    p.ok("unlink", "one")
    p.ok("unlink", "d/two")
    p.fails("ENOENT", "unlink", "one")
    p.fails("EISDIR", "unlink", "d")
    p.fails("ENOTDIR", "rmdir", "three")
    before = p.counts()
    p.ok("open", 0, "three")
    p.ok("unlink", "three")
    assert p.ok("slot_stat", 0)[1] == 0
    p.ok("slot_write", 0, 20000, 5000, 2)
    p.ok("slot_read", 0, 0, 30000)
    p.ok("close", 0)
    assert p.counts()["f_ffree"] == before["f_ffree"] + 1
    p.ok("tmpfile", 1, "d", 0o640)
    p.ok("slot_write", 1, 0, 100, 3)
    assert p.ok("slot_stat", 1)[1] == 0
    p.ok("slot_link", 1, "d/from-tmpfile")
    p.ok("tmpfile", 1, "d", 0o600)
    p.ok("close", 1)


def _directories(p):
    """Counts of links, emptiness."""
    p.ok("mkdir", "a", DIR)
    p.ok("mkdir", "a/b", 0o1777)
    p.ok("mkdir", "a/b/c", 0)
    p.fails("ENOTEMPTY", "rmdir", "a")
    p.fails("ENOTEMPTY", "rmdir", "a/b")
    p.ok("rmdir", "a/b/c")
    p.ok("create", "a/b/f", FILE)
    p.fails("ENOTEMPTY", "rmdir", "a/b")
    p.ok("unlink", "a/b/f")
    p.ok("rmdir", "a/b")
    p.fails("ENOENT", "rmdir", "a/b")
    p.fails("EINVAL", "rmdir", "a/.")
    p.fails("ENOTEMPTY", "rmdir", "a/..")
    # somebody works in a directory that is gone
    fds = [os.open(actor.path("a"), os.O_RDONLY) for actor in p.actors]
    p.ok("rmdir", "a")
    for fd in fds:
        assert lowlevel.error_of(os.open, "f", os.O_CREAT, dir_fd=fd)[1] == 2
        assert not os.listdir(fd)
        os.close(fd)


def _rename_over(p):
    """Every kind over every kind, in one directory and across two."""
    for where in ("", "other/"):
        if where:
            p.ok("mkdir", "other", DIR)
        for name in ("f1", "f2", where + "g1", where + "g2"):
            p.do("create", name, FILE)
        for name in ("e1", "e2", "full", where + "e3", where + "e4", where + "full2"):
            p.do("mkdir", name, DIR)
        p.do("create", "full/x", FILE)
        p.do("create", where + "full2/x", FILE)
        p.ok("rename", "f1", where + "g1")
        p.fails("EISDIR", "rename", "f2", where + "e3")
        p.fails("ENOTDIR", "rename", "e1", where + "g1")
        p.fails("ENOTEMPTY", "rename", "e1", where + "full2")
        p.ok("rename", "full", where + "e3")
        p.ok("rename", "e1", where + "e4")
        p.ok("rename", "e2", where + "moved")
        p.fails("ENOENT", "rename", "e2", where + "again")
        p.fails("EINVAL", "rename", where + "e3", where + "e3/below")
        p.fails("ENOTEMPTY", "rename", where + "e3/x", where.rstrip("/") or ".") \
            if where else None
        p.fails("EEXIST", "rename2", "f2", where + "g2", ops.RENAME_NOREPLACE)
        p.ok("rename2", "f2", where + "h", ops.RENAME_NOREPLACE)
        p.fails("EINVAL", "rename2", where + "h", where + "g2", ops.RENAME_EXCHANGE)
        p.fails("EINVAL", "rename2", where + "h", "w", ops.RENAME_WHITEOUT)
        p.fails("EINVAL", "rename2", where + "h", "w", 64)
        p.compare()


def _rename_parents(p):
    """`..` of what moves, and counts of links of who loses and gets it."""
    for name in ("from", "to", "from/d", "from/d/below", "to/empty"):
        p.ok("mkdir", name, DIR)

    def parent(actor):
        here, up = os.stat(actor.path("to/d/..")), os.stat(actor.path("to"))
        return here.st_ino == up.st_ino

    p.ok("rename", "from/d", "to/d")
    assert p.same(parent, "the parent")
    p.fails("EINVAL", "rename", "to", "to/d/below/to")
    p.ok("rename", "to/d/below", "to/empty")
    p.ok("rmdir", "from")
    p.mount_again()
    assert p.same(parent, "the parent")


def _script(ctx, image, block_size, options=""):
    with pair.Pair(ctx, image, options) as p:
        _names_and_types(p)
        p.compare()
        _symlinks(p, block_size)
        p.mount_again()
        _links(p)
        _directories(p)
        p.compare()
        _rename_over(p)
        _rename_parents(p)
        p.finish()


@timeout(200)
def test_script_1k(ctx):
    """All operations, 1 KiB blocks."""
    _script(ctx, "blank-1k", 1024)


@timeout(200)
def test_script_2k(ctx):
    """The same on 2 KiB, with groups as in BSD and synchronous directories."""
    _script(ctx, "blank-2k", 2048, "grpid,dirsync")


@timeout(200)
def test_script_4k(ctx):
    """The same on 4 KiB."""
    _script(ctx, "blank-4k", 4096)


@timeout(200)
def test_script_old(ctx):
    """The same without types in directories, revision 0."""
    _script(ctx, "blank-old", 1024)


def _grow(p, count):
    """Names of all lengths; every third goes, others come into the gaps."""
    p.ok("mkdir", "big", DIR)
    p.ok("create", "file", FILE)
    name = "{:05d}-{}".format

    def fill(numbers, pad):
        def call(actor):
            for number in numbers:
                path = actor.path("big/" + name(number, "x" * (number * 37 % pad)))
                os.link(actor.path("file"), path)

        p.same(call, f"fill {numbers}")

    def thin(actor):
        for number, entry in enumerate(sorted(os.listdir(actor.path("big")))):
            if number % 3 != 1:
                os.unlink(actor.path("big/" + entry))

    fill(range(count), 240)
    p.mount_again()
    p.same(thin, "thin")
    p.compare()
    fill(range(count, count + count // 2), 60)
    p.mount_again()
    for _ in range(3):
        p.same(thin, "thin")
    p.fails("ENOTEMPTY", "rmdir", "big")
    p.same(lambda actor: [os.unlink(actor.path("big/" + entry))
                          for entry in os.listdir(actor.path("big"))], "empty")
    p.compare()
    p.ok("rmdir", "big")
    p.finish()


@timeout(300)
def test_growing_1k(ctx):
    """A directory of many blocks that fills, thins out, fills again and goes."""
    _grow(pair.Pair(ctx, "blank-1k"), 300)


@timeout(300)
def test_growing_4k(ctx):
    _grow(pair.Pair(ctx, "blank-4k"), 250)


@timeout(200)
def test_gaps(ctx):
    """Names of all lengths come and go in a directory of many pages that stays in
    memory: each new one is in the first gap that has room for it, also in a page
    that was full when the last one came."""
    p = pair.Pair(ctx, "blank-1k")
    for name in ("d", "e"):
        p.ok("mkdir", name, DIR)
    p.ok("create", "file", FILE)
    rng, here = random.Random(20), []

    def script(step, adds):
        for number in range(60):
            if here and rng.random() >= adds:
                gone = here.pop(rng.randrange(len(here)))
                yield ("rename", gone, f"e/{step}-{number}") if number % 2 else \
                    ("unlink", gone)
                continue
            new = f"d/{step}-{number}"
            new += "x" * rng.choice((0, rng.randrange(30), rng.randrange(240)))
            old = here.pop(0) if here and number % 5 == 4 else "file"
            here.append(new)
            yield ("link" if old == "file" else "rename", old, new)

    for step in range(12):
        todo = list(script(step, 0.95 if step < 5 else 0.4 + step % 2 * 0.3))
        p.same(lambda actor, todo=todo: (
            [actor.do(op) for op in todo], actor.do(("list", "d"))), f"step {step}")
    p.finish()


@timeout(200)
def test_reading_meanwhile(ctx):
    """A reader in the middle of a directory, while names go, come and move: it sees
    what C's reader sees, nothing twice, and nothing that stayed is missed."""
    p = pair.Pair(ctx, "blank-1k")
    p.ok("mkdir", "d", DIR)
    stays = [f"stays-{number:03d}" for number in range(60)]
    for number, name in enumerate(stays):
        p.ok("create", "d/" + name, FILE)
        p.ok("create", f"d/goes-{number:03d}", FILE)

    def read(actor):
        fd = os.open(actor.path("d"), os.O_RDONLY)
        seen = []
        try:
            for step in range(1000):
                got = lowlevel.getdents(fd, 300)
                if not got:
                    break
                seen += [entry.name.decode() for entry in got]
                if step < 12:
                    last = seen[-1]
                    for name in (f"goes-{step:03d}", f"goes-{59 - step:03d}", last):
                        if name.startswith("goes") and \
                                os.path.exists(actor.path("d/" + name)):
                            os.unlink(actor.path("d/" + name))
                    os.mkdir(actor.path(f"d/comes-{step:03d}"))
                    os.rename(actor.path(f"d/comes-{step:03d}"),
                              actor.path(f"d/moved-{step:03d}" + "m" * step))
            # and from where it was, once more
            os.lseek(fd, got[0].cookie if got else 700, os.SEEK_SET)
            seen.append("again")
            seen += [entry.name.decode() for entry in lowlevel.getdents(fd)]
        finally:
            os.close(fd)
        return seen

    seen = p.same(read, "read")
    once = seen[:seen.index("again")]
    assert [name for name in sorted(once) if name.startswith("stays")] == stays
    p.finish()


def _clock(seconds):
    """Move the clock, so that whole seconds pass in no time."""
    now = time.clock_gettime(time.CLOCK_REALTIME)
    time.clock_settime(time.CLOCK_REALTIME, now + seconds)


def _stamps(path):
    try:
        info = os.lstat(path)
    except OSError:
        return None
    return info.st_atime, info.st_mtime, info.st_ctime


@timeout(200)
def test_times(ctx):
    """Which of the times of which inodes an operation changes."""
    if time.time() < 10 ** 9:
        ctx.skip("the machine has no clock, and time cannot be moved back behind its beginning")
    p = pair.Pair(ctx, "blank-1k")
    for op in (("mkdir", "d", DIR), ("mkdir", "e", DIR), ("create", "d/f", FILE),
               ("create", "e/g", FILE), ("mkdir", "d/sub", DIR),
               ("mkdir", "e/empty", DIR), ("symlink", "d/s", "target")):
        p.ok(*op)
    watched = [".", "d", "e", "d/f", "e/g", "d/sub", "d/s", "d/h", "e/empty", "e/sub"]
    script = [("create", "d/new", FILE), ("link", "d/f", "d/h"), ("unlink", "d/new"),
              ("link", "d/f", "e/g"), ("rename", "d/h", "e/h"), ("rename", "d/f", "e/g"),
              ("mkdir", "d/m", DIR), ("rmdir", "d/m"), ("rename", "d/sub", "e/empty"),
              ("rename", "e/empty", "d/sub"), ("rename", "d/s", "d/s2"),
              ("mknod", "d/p", FIFO, 0), ("chmod", "e/g", 0o600), ("list", "e"),
              ("rmdir", "d"), ("unlink", "e/h"), ("symlink", "e/t", "x" * 100),
              ("readlink", "e/t"), ("truncate", "e/g", 10), ("rename", "d", "e/d")]

    def changed(actor, op):
        before = {}
        held = []
        for name in watched:
            path = actor.path(name)
            before[name] = _stamps(path)
            if before[name]:
                held.append((name, os.open(path, os.O_PATH | os.O_NOFOLLOW)))
        _clock(7)
        answer = actor.do(op)
        after = {}
        for name, fd in held:
            info = os.fstat(fd)
            now = (info.st_atime, info.st_mtime, info.st_ctime)
            after[name] = [one != two for one, two in zip(before[name], now)]
            os.close(fd)
        return answer, after

    try:
        for op in script:
            p.same(lambda actor, op=op: changed(actor, op), op)
    finally:
        _clock(-7 * 2 * len(script))
    for disk, actor in zip(p.disks, p.actors):
        actor.close()
        disk.finish()


@timeout(200)
def test_hashed(ctx):
    """A directory with an index, changed: the index goes, e2fsck is content."""
    p = pair.Pair(ctx, "tree-small-index")
    big = p.same(lambda actor: max(
        (name for name in os.listdir(actor.root)
         if os.path.isdir(actor.path(name))),
        key=lambda name: len(os.listdir(actor.path(name)))), "the largest")
    names = p.same(lambda actor: os.listdir(actor.path(big)), "names")
    assert len(names) > 500
    for name in names[::50]:
        p.ok("unlink", f"{big}/{name}")
    for number in range(20):
        p.ok("create", f"{big}/new-{number}", FILE)
    p.finish()


@timeout(300)
def test_no_room(ctx):
    """No inode, no block for a name, a directory, a symbolic link: nothing is left
    of what has failed."""
    p = pair.Pair(ctx, "tiny-1k")
    count = 0
    while p.do("create", f"f{count}", FILE)[1] == 0:
        count += 1
    assert p.counts()["f_ffree"] == 0
    for op in (("mkdir", "d", DIR), ("symlink", "s", "x"), ("mknod", "p", FIFO, 0),
               ("tmpfile", 0, "", FILE)):
        p.fails("ENOSPC", *op)
    p.compare()
    for number in range(0, count, 2):
        p.ok("unlink", f"f{number}")
    p.ok("mkdir", "full", DIR)
    # all blocks but a few
    p.same(lambda actor: _fill(actor.path("f1")), "fill")
    before = p.counts()
    assert before["f_bfree"] == 0
    p.fails("ENOSPC", "mkdir", "d", DIR)
    p.fails("ENOSPC", "symlink", "s", "x" * 100)
    p.ok("symlink", "fast", "x")
    p.ok("unlink", "fast")
    assert p.counts() == before
    added = 0
    while True:
        name = f"full/{added}" + "n" * 200
        if p.do("link", "f3", name)[1]:
            break
        added += 1
    p.fails("ENOSPC", "rename", "f5", name)
    p.fails("ENOSPC", "create", name, FILE)
    assert p.counts() == before
    p.ok("rename", "f5", "full/0" + "n" * 200)
    p.ok("truncate", "f1", 0)
    p.ok("create", name, FILE)
    p.finish()


def _fill(path):
    """Write until there is no room; how much went in."""
    fd = os.open(path, os.O_WRONLY)
    try:
        return writers.fill(fd, (65536, 1024))
    finally:
        os.close(fd)
