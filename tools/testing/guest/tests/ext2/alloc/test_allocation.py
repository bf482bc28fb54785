# SPDX-License-Identifier: GPL-2.0
"""Where blocks and inodes are put (E7, E8): the same is done on a disk of C ext2
and on one of ours, and the bitmaps and counts of all groups have to be the same.
And what many threads at once leave behind.

Directories at the top go to a group chosen by chance, so the one that everything
is in is made with the option `oldalloc`, which leaves nothing to chance. And the
counters that groups are chosen with are a processor's own for a while, so the work
is done on one.
"""

import os
import random
import threading

import disks
import ext2disk
from runner import parallel

_IMAGES = ("groups-1k", "groups-4k")


def _layout(ctx, image, fstype, work, options=""):
    """The groups after `work(folder)` in a directory of a new disk."""
    disk = disks.Disk(ctx, image, fstype).mount("oldalloc")
    os.mkdir(disk.where("top"))
    disk.umount()
    disk.mount(disks.at_once(fstype, options))
    os.sched_setaffinity(0, {0})
    work(disk.where("top"))
    os.sched_setaffinity(0, range(os.cpu_count()))
    disk.finish()
    return ext2disk.Groups(disk.path)


def _same(ctx, work, options="", images=_IMAGES):
    """Do it on both, compare."""
    trouble = []
    for image in images:
        want = _layout(ctx, image, disks.C_FSTYPE, work, options)
        got = _layout(ctx, image, ctx.fstype, work, options)
        if want.counts != got.counts:
            trouble.append(f"{image} {options}: counts\n{got.counts}\nin C\n{want.counts}")
        elif want.used() != got.used():
            groups = [group for group, (c, ours) in enumerate(
                zip(want.block_bitmaps, got.block_bitmaps)) if c != ours]
            trouble.append(f"{image} {options}: bitmaps of groups {groups}")
    assert not trouble, "\n".join(trouble)


def _write(path, size, chunk=1 << 16):
    with open(path, "wb", 0) as file:
        while size > 0:
            size -= file.write(b"d" * min(size, chunk))


def test_sequence(ctx):
    """Files of many sizes, one after the other."""
    def work(top):
        for number in range(25):
            _write(f"{top}/f{number}", number * number * 500)
    _same(ctx, work)


def test_without_reservation(ctx):
    """The same without reservation windows."""
    def work(top):
        for number in range(30):
            _write(f"{top}/f{number}", number * 4000)
    _same(ctx, work, "noreservation", _IMAGES[:1])


def test_growing_together(ctx):
    """Files that grow at the same time, a block or a few at a time."""
    def work(top):
        files = [open(f"{top}/g{number}", "wb", 0) for number in range(6)]
        for step in range(60):
            for number, file in enumerate(files):
                file.write(b"g" * (1000 + 900 * (step * number % 5)))
        for file in files:
            file.close()
    _same(ctx, work)


def test_cut_while_open(ctx):
    """Files that stay open, grow side by side, are cut and grow again: a cut gives
    the window up that is reserved for the file, and the array of pointers that it
    grew in, which may not be part of it any more."""
    def work(top):
        files = [open(f"{top}/o{number}", "wb", 0) for number in range(4)]
        for step in range(24):
            for number, file in enumerate(files):
                file.write(b"o" * (3000 + 2000 * (step * number % 4)))
            if step % 6 == 5:
                file = files[step // 6]
                size = file.seek(0, os.SEEK_END) // 3
                file.truncate(size)
                file.seek(size)
        for file in files:
            # Without its indirect block, and then where that has been.
            size = file.seek(0, os.SEEK_END)
            file.truncate(5000)
            file.seek(size)
            file.write(b"p" * 20000)
            file.close()
    _same(ctx, work)


def test_churn(ctx):
    """Created, deleted, appended to and cut, in an order from a seed."""
    def work(top):
        rng = random.Random(11)
        names = []
        for step in range(150):
            kind = rng.randrange(10)
            if kind < 5 or not names:
                names.append(f"{top}/c{step}")
                _write(names[-1], rng.randrange(1 << rng.randrange(8, 18)))
            elif kind < 7:
                os.unlink(names.pop(rng.randrange(len(names))))
            elif kind < 9:
                with open(rng.choice(names), "ab", 0) as file:
                    file.write(b"a" * rng.randrange(40000))
            else:
                path = rng.choice(names)
                os.truncate(path, rng.randrange(os.stat(path).st_size + 1))
    _same(ctx, work)


def _tree(top):
    """Directories in directories, with files."""
    for one in range(8):
        os.mkdir(f"{top}/d{one}")
        for two in range(6):
            os.mkdir(f"{top}/d{one}/e{two}")
            for three in range(3):
                _write(f"{top}/d{one}/e{two}/f{three}", 2500 * three)


def test_directories(ctx):
    """Orlov's allocator below the top."""
    _same(ctx, _tree)


def test_old_allocator(ctx):
    """Directories with oldalloc, the top included."""
    _same(ctx, _tree, "oldalloc", _IMAGES[:1])


def test_directories_at_the_top_are_spread(ctx):
    """A few directories in the root are in as many groups."""
    disk = disks.Disk(ctx, "groups-1k").mount()
    for number in range(8):
        os.mkdir(disk.where(f"top{number}"))
    inodes = [os.stat(disk.where(f"top{number}")).st_ino for number in range(8)]
    disk.finish()
    per_group = ext2disk.superblock(disk.path)["inodes_per_group"]
    assert len({(ino - 1) // per_group for ino in inodes}) == 8, inodes


def test_full_groups(ctx):
    """A file larger than a group goes on in the next ones."""
    def work(top):
        _write(f"{top}/large", 5 << 20)
        _write(f"{top}/after", 100000)
        os.unlink(f"{top}/large")
        _write(f"{top}/again", 3 << 20)
    _same(ctx, work)


def test_reserved_blocks(ctx):
    """The last blocks are root's, and those of the user and group named."""
    disk = disks.Disk(ctx, "reserved-1k").mount("resuid=1000,resgid=2000")
    os.chmod(disk.point, 0o777)
    info = os.statvfs(disk.point)
    reserved = info.f_bfree - info.f_bavail
    assert reserved > 500, info
    got = {}
    for name, uid, gid in (("nobody", 3000, 3000), ("group", 3001, 2000),
                           ("user", 1000, 3000), ("root", 0, 0)):
        pid = os.fork()
        if pid == 0:
            try:
                os.setgroups([])
                os.setresgid(gid, gid, gid)
                os.setresuid(uid, uid, uid)
                with open(disk.where(name), "wb", 0) as file:
                    while True:
                        file.write(b"r" * 8192)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        got[name] = os.statvfs(disk.point).f_bfree
        if name != "nobody":
            os.unlink(disk.where(name))
    disk.finish()
    # The count that is asked is approximate: at most 32 off on each processor.
    assert abs(got["nobody"] - reserved) < 32 * (os.cpu_count() + 1), (got, reserved)
    assert all(got[name] < 8 for name in ("group", "user", "root")), got


@parallel
def test_threads(ctx):
    """Threads create, write and delete in the same groups: nothing is lost, and
    nothing is given to two."""
    disk = disks.Disk(ctx, "groups-1k").mount()
    failures = []

    def work(number):
        rng = random.Random(number)
        try:
            mine = disk.where(f"t{number}")
            os.mkdir(mine)
            for step in range(60):
                path = f"{mine}/{step}"
                _write(path, rng.randrange(30000), 3000)
                if rng.randrange(3):
                    os.unlink(path)
                if not step % 20:
                    os.mkdir(path + "d")
                    os.rmdir(path + "d")
        except OSError as error:
            failures.append(f"thread {number}: {error}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    disk.finish()
    info, groups = ext2disk.superblock(disk.path), ext2disk.Groups(disk.path)
    assert info["free_blocks"] == sum(count[0] for count in groups.counts)
    assert info["free_inodes"] == sum(count[1] for count in groups.counts)
