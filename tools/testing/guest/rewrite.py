# SPDX-License-Identifier: GPL-2.0
"""Copy a tree onto a filesystem with one driver and read it back with C ext2:
the writing part of `make run`.

Regular files are copied with their holes, directories, links, owners, modes and
times. What it cost is counted the same way for each driver: bios and bytes by
the block device, questions for blocks by the library's counter or by a probe of
C's ext2_get_block().

Leaves out: devices, FIFOs and sockets.
"""

import collections
import contextlib
import os
import stat
import subprocess
import sys
import traceback

import context
import lowlevel
import sysapi

CHUNK = 1 << 20
WORKERS = 2
TRACING = "/sys/kernel/tracing"
PROBE = "rust_mpage_get_block"
IN_PLACE_BYTES = 256 << 20  # at most this much is copied within a user's image
IN_PLACE_NAMES = 20000


def write_stat(device):
    """(bios, bytes) written to a disk so far: bios are those that became a
    request and those that joined one."""
    name = os.path.basename(device)
    with open(f"/sys/block/{name}/stat", encoding="ascii") as file:
        fields = [int(word) for word in file.read().split()]
    return fields[4] + fields[5], fields[6] * 512


class MapperCalls:
    """Counts how often a driver is asked where a block is."""

    def __init__(self, fstype):
        self._probed = fstype == "ext2"

    def __enter__(self):
        if self._probed:
            self._tell("kprobe_events", f"p:{PROBE} ext2:ext2_get_block")
            self._tell(f"events/kprobes/{PROBE}/enable", "1")
        return self

    def __exit__(self, *_):
        if self._probed:
            self._tell(f"events/kprobes/{PROBE}/enable", "0")
            self._tell("kprobe_events", f"-:{PROBE}")

    @staticmethod
    def _tell(name, text):
        # not open(): these files cannot seek, and O_TRUNC would forget all probes
        fd = os.open(f"{TRACING}/{name}", os.O_WRONLY | os.O_APPEND)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)

    def count(self):
        """So far."""
        if not self._probed:
            return context.counters().get("mapper_calls", 0)
        with open(f"{TRACING}/kprobe_profile", encoding="ascii") as file:
            for line in file:
                name, hits, _ = line.split()
                if name == PROBE:
                    return int(hits)
        return 0


def extents(fd, size):
    """The (offset, end) ranges of a file that have blocks, in order."""
    at = 0
    while at < size:
        found = lowlevel.fiemap(fd, at, size - at, lowlevel.FIEMAP_FLAG_SYNC)
        for begin, _, length, _ in found:
            at = begin + length
            yield begin, min(at, size)
        if not found:
            return


def together(one, other):
    """Two lists of ranges as one, in order."""
    merged = []
    for begin, end in sorted([*one, *other]):
        if merged and begin <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([begin, end])
    return merged


def copy_file(source, target, buffer):
    """One regular file; what is a hole stays one."""
    fd = os.open(source, os.O_RDONLY)
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        size = os.fstat(fd).st_size
        os.ftruncate(out, size)
        for begin, end in extents(fd, size):
            while begin < end:
                view = memoryview(buffer)[:min(CHUNK, end - begin)]
                count = os.preadv(fd, [view], begin)
                if not count:
                    break
                os.pwrite(out, view[:count], begin)
                begin += count
    finally:
        os.close(fd)
        os.close(out)


def finish(path, info):
    """Owner, mode and times of something that has been copied."""
    os.chown(path, info.st_uid, info.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(path, stat.S_IMODE(info.st_mode))
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)


def _share(names, found, source, target):
    """A worker: the regular files of one list."""
    buffer = bytearray(CHUNK)
    for name in names:
        path = os.path.join(target, name)
        copy_file(os.path.join(source, name), path, buffer)
        finish(path, found[name])


def _in_processes(shares, work):
    """work(names) in a process for each list; RuntimeError if one fails."""
    pids = []
    for names in shares:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                work(names)
                code = 0
            except BaseException:  # pylint: disable=broad-exception-caught
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        pids.append(pid)
    if any([os.waitpid(pid, 0)[1] for pid in pids]):
        raise RuntimeError("a process that copied or compared failed")


def first_names(found):
    """{inode: the first name of each regular file}."""
    names = {}
    for name, info in found.items():
        if stat.S_ISREG(info.st_mode):
            names.setdefault(info.st_ino, name)
    return names


def copy_tree(found, shares, source, target):
    """Everything in `found` ({name: lstat}); shares are the regular files."""
    folders = [name for name, info in found.items() if stat.S_ISDIR(info.st_mode)]
    for name in folders:
        if name != ".":
            os.makedirs(os.path.join(target, name), exist_ok=True)
    _in_processes(shares, lambda names: _share(names, found, source, target))
    first = first_names(found)
    for name, info in found.items():
        path = os.path.join(target, name)
        if stat.S_ISREG(info.st_mode) and first[info.st_ino] != name:
            os.link(os.path.join(target, first[info.st_ino]), path)
        elif stat.S_ISLNK(info.st_mode):
            os.symlink(os.readlink(os.path.join(source, name)), path)
            finish(path, info)
    for name in reversed(folders):
        finish(os.path.join(target, name), found[name])


def same_bytes(one, other, buffers):
    """Whether two files have the same contents."""
    pair = [os.open(path, os.O_RDONLY) for path in (one, other)]
    try:
        sizes = {os.fstat(fd).st_size for fd in pair}
        if len(sizes) > 1:
            return False
        size = sizes.pop()
        for at, end in together(*(extents(fd, size) for fd in pair)):
            while at < end:
                length = min(CHUNK, end - at)
                parts = [buffer if length == CHUNK else bytearray(length)
                         for buffer in buffers]
                counts = [os.preadv(fd, [part], at) for fd, part in zip(pair, parts)]
                if counts != [length, length] or parts[0] != parts[1]:
                    return False
                at += length
        return True
    finally:
        for fd in pair:
            os.close(fd)


def differences(found, shares, source, target, scratch):
    """What of `found` is not the same under `target`, a list of texts."""
    wrong, links = [], collections.Counter(
        info.st_ino for info in found.values() if stat.S_ISREG(info.st_mode))
    for name, info in found.items():
        try:
            have = os.lstat(os.path.join(target, name))
        except OSError as error:
            wrong.append(f"{name}: {error.strerror}")
            continue
        want = {"st_mode": info.st_mode, "st_uid": info.st_uid,
                "st_gid": info.st_gid, "st_mtime": info.st_mtime}
        if not stat.S_ISDIR(info.st_mode):
            want["st_size"] = info.st_size
        if stat.S_ISREG(info.st_mode):
            want["st_nlink"] = links[info.st_ino]
        wrong += [f"{name}: {key} is {getattr(have, key)}, not {value}"
                  for key, value in want.items() if getattr(have, key) != value]
        if stat.S_ISLNK(info.st_mode) and os.readlink(os.path.join(source, name)) != \
                os.readlink(os.path.join(target, name)):
            wrong.append(f"{name}: the symbolic link leads elsewhere")
    log = os.path.join(scratch, "differences")

    def work(names):
        buffers = [bytearray(CHUNK), bytearray(CHUNK)]
        for name in names:
            paths = [os.path.join(root, name) for root in (source, target)]
            if not same_bytes(*paths, buffers):
                with open(log, "a", encoding="utf-8") as out:
                    out.write(f"{name}: the contents differ\n")

    _in_processes(shares, work)
    if os.path.exists(log):
        with open(log, encoding="utf-8") as file:
            wrong += file.read().splitlines()
        os.unlink(log)
    return wrong


def e2fsck(device):
    """What e2fsck says of a filesystem that nobody has mounted; "" if clean."""
    done = subprocess.run(["e2fsck", "-fn", device], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False)
    return done.stdout if done.returncode else ""


@contextlib.contextmanager
def mounted(device, point, fstype, flags=0):
    """A filesystem on `point` for as long as the block runs."""
    os.makedirs(point, exist_ok=True)
    sysapi.mount(device, point, fstype, flags)
    try:
        yield point
    finally:
        sysapi.umount(point)


def measured_copy(fstype, device, found, shares, source, target):
    """Copy, and write everything to the disk, which `target` is on; what it took
    as a table for JSON."""
    bios, written = write_stat(device)
    before = context.counters()
    with MapperCalls(fstype) as calls:
        asked = calls.count()
        copy_tree(found, shares, source, target)
        lowlevel.syncfs(target)
        asked = calls.count() - asked
    after, now = context.counters(), write_stat(device)
    return {
        "fstype": fstype, "bios": now[0] - bios, "bytes": now[1] - written,
        "mapper_calls": asked,
        "counters": {key: after[key] - before.get(key, 0) for key in after},
    }


def onto_fresh_disks(job, found, shares, source, target):
    """Copy with our driver and with C's, each onto a disk of its own; check and
    compare what ours wrote."""
    ours, device, (mine, theirs) = job["fstype"], job["device"], job["fresh"]
    with mounted(device, source, ours, sysapi.MS_RDONLY), mounted(mine, target, ours):
        copies = [measured_copy(ours, mine, found, shares, source, target)]
    context.load_module(job["trees"], "ext2")
    with mounted(device, source, "ext2", sysapi.MS_RDONLY):
        with mounted(theirs, target, "ext2"):
            copies.append(
                measured_copy("ext2", theirs, found, shares, source, target))
        complaint = e2fsck(mine)
        with mounted(mine, target, "ext2", sysapi.MS_RDONLY):
            wrong = differences(found, shares, source, target, job["scratch"])
    return {"copies": copies, "wrong": wrong, "e2fsck": complaint}


def what_fits(found, point):
    """As much of a tree as may be copied within its own filesystem."""
    free = os.statvfs(point)
    budget = min(IN_PLACE_BYTES, free.f_bavail * free.f_frsize // 2)
    names = min(IN_PLACE_NAMES, free.f_favail // 2)
    chosen = {}
    for name, info in found.items():
        size = info.st_blocks * 512 + free.f_frsize
        if len(chosen) < names and (size <= budget or name == "."):
            chosen[name] = info
            budget -= size
    # no name without its directory
    return {name: info for name, info in chosen.items()
            if name == "." or (os.path.dirname(name) or ".") in chosen}


def within(job, found, share_out, point):
    """Copy the files of a user's image into a new directory of it."""
    ours, device = job["fstype"], job["device"]
    dirty = e2fsck(device)
    with mounted(device, point, ours):
        chosen = what_fits(found, point)
        shares = share_out(chosen)
        folder = f"rust_mpage-{os.urandom(4).hex()}"
        target = os.path.join(point, folder)
        os.mkdir(target)
        copies = [measured_copy(ours, device, chosen, shares, point, target)]
    complaint = "" if dirty else e2fsck(device)
    context.load_module(job["trees"], "ext2")
    with mounted(device, point, "ext2", sysapi.MS_RDONLY):
        wrong = differences(chosen, shares, point, os.path.join(point, folder),
                            job["scratch"])
    return {"copies": copies, "wrong": wrong, "e2fsck": complaint,
            "names": len(chosen), "was_broken": bool(dirty), "folder": folder}


def run(job, found, share_out):
    """The writing part, after the disk was read and unmounted."""
    kinds = (stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK)
    found = {name: info for name, info in found.items()
             if stat.S_IFMT(info.st_mode) in kinds and name != "lost+found"}
    points = [os.path.join(job["scratch"], name) for name in ("source", "target")]
    if "fresh" in job:
        return onto_fresh_disks(job, found, share_out(found), *points)
    return within(job, found, share_out, points[1])
