# SPDX-License-Identifier: GPL-2.0
"""ioctl(2) of files and directories (E11): versions, reservation windows, flags.

The same is asked of C ext2 and of the filesystem under test, by the owner, by another
user, on a read-only mount, of every kind of file, with pointers that lead nowhere.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
import subprocess

import compare
import disks
import ext2disk
import ia32
import lowlevel
import pair
import programs
import sysapi
from runner import timeout
from sysapi import libc

GETFLAGS, SETFLAGS = 0x80086601, 0x40086602
GETVERSION, SETVERSION = 0x80087601, 0x40087602
GETRSVSZ, SETRSVSZ = 0x80086605, 0x40086606
FSGETXATTR, FSSETXATTR = 0x801C581F, 0x401C5820
GETFSUUID, GETFSLABEL, GETFSSYSFSPATH = 0x80111500, 0x81009431, 0x80811501
UNKNOWN = 0x800866F1
FILE_GETATTR, FILE_SETATTR = 468, 469  # on each processor
AT_FDCWD, AT_SYMLINK_NOFOLLOW = -100, 0x100
COMMANDS = {"flags": (GETFLAGS, SETFLAGS), "version": (GETVERSION, SETVERSION),
            "reserved": (GETRSVSZ, SETRSVSZ)}
IMMUTABLE, APPEND = 0x10, 0x20
SYNC, NODUMP, NOATIME = 0x8, 0x40, 0x80
LINUX_IMMUTABLE = 9  # the capability
NOWHERE = 1


def _ask(path, number, value=0, flags=os.O_RDONLY):
    """What an ioctl(2) makes of a number, or the name of its error."""
    fd = os.open(path, flags)
    try:
        answer, error = lowlevel.error_of(fcntl.ioctl, fd, number, struct.pack(
            "<Q", value) + bytes(264))
    finally:
        os.close(fd)
    if error:
        return errno.errorcode[error]
    return struct.unpack_from("<I", answer)[0]


def _nowhere(path, number):
    """The error of an ioctl(2) whose argument is nowhere."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return lowlevel.error_of(sysapi.check, libc.ioctl(fd, number, NOWHERE))[1]
    finally:
        os.close(fd)


def _fill(disk):
    """One of each kind, owned by user 1."""
    with open(disk.where("file"), "wb") as file:
        file.write(b"contents" * 3000)
    with open(disk.where("empty"), "wb"):
        pass
    os.mkdir(disk.where("folder"))
    os.mkfifo(disk.where("fifo"))
    for name in ("file", "empty", "folder", "fifo"):
        os.chown(disk.where(name), 1, 1)
        os.chmod(disk.where(name), 0o755)
    os.chmod(disk.point, 0o777)


NAMES = ("file", "empty", "folder", "")


def _everything(disk):
    """{question: answer}"""
    found = {}

    def note(what, answer):
        found[what] = answer

    def by(who, user):
        with pair.user(user):
            for name in NAMES:
                path = disk.where(name)
                for what, (read, write) in COMMANDS.items():
                    value = 0x40 if what == "flags" else 700
                    note((who, name, what, "set"), _ask(path, write, value + user))
                    answer = _ask(path, read)
                    if (what, who) != ("version", "another"):  # that of the beginning
                        note((who, name, what), answer)

    by("another", 2)
    by("owner", 1)
    for name in NAMES:
        path = disk.where(name)
        for what, (read, write) in COMMANDS.items():
            note((name, what, "nowhere"), (_nowhere(path, read), _nowhere(path, write)))
        for number in (UNKNOWN, GETFSUUID, GETFSLABEL, GETFSSYSFSPATH):
            note((name, hex(number)), _ask(path, number))
        note((name, "fsx"), _ask(path, FSGETXATTR))
        note((name, "fsx, set"), _ask(path, FSSETXATTR, 8))
        for flags in (0xFFFFFFFF, 0x0003FFFF, 0x000380FF & ~(IMMUTABLE | APPEND), 0):
            note((name, "set", flags), _ask(path, SETFLAGS, flags))
            note((name, "get", flags), _ask(path, GETFLAGS))
            note((name, "statx", flags), lowlevel.statx(path)[8:16].hex())
    for size in (0, 1, 1027, 1028, 65535):
        note(("set", size), _ask(disk.where("file"), SETRSVSZ, size))
        note(("get", size), _ask(disk.where("file"), GETRSVSZ))
    disk.remount(flags=1)
    for name in NAMES:
        for what, (_, write) in COMMANDS.items():
            note(("read-only", name, what), _ask(disk.where(name), write, 5))
            note(("read-only", name, what, "nowhere"), _nowhere(disk.where(name), write))
    disk.remount(options="noreservation")
    note("no reservation", [_ask(disk.where("file"), number, 9)
                            for number in (GETRSVSZ, SETRSVSZ)])
    return found


def test_answers(ctx):
    """Every question to every kind of file, as in C."""
    answers = []
    for fstype in (disks.C_FSTYPE, ctx.fstype):
        disk = disks.Disk(ctx, "blank-1k", fstype)
        disk.mount(disks.at_once(disk.fstype))
        _fill(disk)
        answers.append(_everything(disk))
        disk.finish()
    want, got = answers
    wrong = {key: (got.get(key), answer) for key, answer in want.items()
             if got.get(key) != answer}
    assert not wrong, "here and in C:\n" + "\n".join(map(str, wrong.items()))
    assert want[("owner", "file", "version")] == 701
    assert want[("owner", "file", "reserved")] == 701
    assert want[("another", "file", "version", "set")] == "EPERM"
    assert want[("another", "file", "reserved", "set")] == "EACCES"
    assert want[("read-only", "file", "version")] == "EROFS"


# as a program of 32 bits has them, of which all but a long are the same
OF_32_BITS = {"flags": (0x80046601, 0x40046602), "version": (0x80047601, 0x40047602),
              "reserved": (0x80046605, 0x40046606)}


def _everything_of_32_bits(disk, program):
    """{question: answer} of an owner, of another, and of who has 64 bits' numbers."""
    found = {}
    numbers = {**OF_32_BITS, "of 64 bits": COMMANDS["version"], "fsx": (FSGETXATTR, FSSETXATTR),
               "uuid": (GETFSUUID, UNKNOWN)}
    for user in (2, 1):
        for name in NAMES:
            fd = os.open(disk.where(name), os.O_RDONLY)
            for what, (read, write) in numbers.items():
                value = struct.pack("<II", NODUMP if what == "flags" else 700 + user, 0x55AA55AA)
                with pair.user(user):
                    found[user, name, what, "set"] = program.ioctl(fd, write, value)
                    answer = program.ioctl(fd, read, bytes(4) + value[4:])
                    found[user, name, what, "nowhere"] = [
                        program.ioctl(fd, number, None) for number in (read, write)]
                # a version that nobody has set is of chance, and so is a UUID
                is_known = user == 1 and what in OF_32_BITS
                found[user, name, what] = answer if is_known else answer[0]
            os.close(fd)
    return found


def test_of_32_bits(ctx):
    """What a program of 32 bits asks, as in C: its numbers are other ones, and what is behind
    them is as long as an int. But it is told about windows, too, of which C says nothing."""
    if not ia32.can_run():
        ctx.skip("the kernel runs no programs of 32 bits")
    program, answers = ia32.Ia32(), []
    for fstype in (disks.C_FSTYPE, ctx.fstype):
        disk = disks.Disk(ctx, "blank-1k", fstype)
        disk.mount(disks.at_once(disk.fstype))
        _fill(disk)
        answers.append(_everything_of_32_bits(disk, program))
        disk.finish()
    want, got = answers
    wrong = {key: (got.get(key), answer) for key, answer in want.items()
             if got.get(key) != answer and key[2] != "reserved"}
    assert not wrong, "here and in C:\n" + "\n".join(map(str, wrong.items()))

    def is_(value):
        return 0, struct.pack("<II", value, 0x55AA55AA)

    for name in NAMES[:3]:
        assert got[1, name, "version"] == is_(701)
        assert got[2, name, "version", "set"][0] == -errno.EPERM
        assert got[1, name, "version", "nowhere"] == [(-errno.EFAULT, b"")] * 2
        assert got[1, name, "flags"] == is_(NODUMP)
    if ctx.fstype != disks.C_FSTYPE:
        assert got[1, "file", "reserved"] == is_(701)
        assert got[2, "file", "reserved", "set"][0] == -errno.EACCES
        assert got[1, "folder", "reserved"][0] == -errno.ENOTTY


def _who_may(disk):
    """{question: answer} about the flags that need a capability: of the owner, of somebody
    else, of root with it and without it."""
    found, path = {}, disk.where("file")

    def note(who):
        for there in (0, IMMUTABLE, APPEND, IMMUTABLE | APPEND):
            for flags in (0, NODUMP, IMMUTABLE, APPEND, APPEND | NOATIME,
                          IMMUTABLE | SYNC, IMMUTABLE | APPEND | NODUMP):
                assert _ask(path, SETFLAGS, there) == there
                with who[1]():
                    answer = _ask(path, SETFLAGS, flags)
                found[who[0], there, flags] = answer, _ask(path, GETFLAGS)
        assert _ask(path, SETFLAGS, 0) == 0

    for who in (("owner", lambda: pair.user(1)), ("another", lambda: pair.user(2)),
                ("root without it", lambda: pair.without(LINUX_IMMUTABLE)),
                ("root", contextlib.nullcontext)):
        note(who)
    return found


def test_who_may_set_flags(ctx):
    """Immutable and append-only are set and cleared by who has CAP_LINUX_IMMUTABLE, be he
    root or the owner; the other flags by the owner, also while those are set."""
    answers = []
    for fstype in (disks.C_FSTYPE, ctx.fstype):
        disk = disks.Disk(ctx, "blank-1k", fstype).mount()
        _fill(disk)
        answers.append(_who_may(disk))
        disk.finish()
    want, got = answers
    wrong = {key: (got[key], answer) for key, answer in want.items() if got[key] != answer}
    assert not wrong, "here and in C:\n" + "\n".join(map(str, wrong.items()))
    for (who, there, flags), answer in got.items():
        allowed = who == "root" or (who != "another" and not
                                    (there ^ flags) & (IMMUTABLE | APPEND))
        assert answer == ((flags, flags) if allowed else ("EPERM", there)), \
            (who, there, flags, answer)


def _letters(ctx, *paths):
    """What lsattr(1) shows of files."""
    told = ctx.run(*programs.local(ctx, "lsattr"), "-d", *paths)
    return ["".join(sorted(line.split()[0].replace("-", ""))) for line in told.splitlines()]


def _chattr(ctx, who, *words):
    """The exit status of chattr(1) that somebody runs."""
    return subprocess.run(
        [*programs.local(ctx, "chattr"), *words], check=False, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, user=who, group=who, extra_groups=[]).returncode


_STEPS = {
    "file": ((1, "+i"), (1, "+a"), (1, "+dA"), (2, "-d"), (0, "+i"), (1, "-i"), (1, "+S"),
             (0, "=aS"), (1, "-a"), (1, "-S"), (0, "-a"), (1, "=AdS")),
    "folder": ((1, "+i"), (0, "+ai"), (1, "-a"), (0, "-ai"), (1, "+T"), (1, "=AdDS")),
}


def _by_chattr(ctx, disk):
    """What is set by root and by the owner, and what is refused then: a list."""
    found = []
    for name, steps in _STEPS.items():
        path = disk.where(name)
        for who, word in steps:
            status = _chattr(ctx, who, word, path)
            found.append((name, who, word, status, _ask(path, GETFLAGS)))
    path = disk.where("file")
    for word, call, *args in (("+i", os.utime, (1, 1)), ("+a", os.chmod, 0o700),
                              ("-i", os.rename, path + "-moved")):
        assert _chattr(ctx, 0, word, path) == 0
        found.append((word, lowlevel.error_of(call, path, *args)[1]))
    assert _chattr(ctx, 0, "-a", path) == 0
    with open(disk.where("folder/below"), "wb"):
        pass
    os.mkdir(disk.where("folder/inside"))
    assert _chattr(ctx, 1, "-v", "77", path) == 0
    found.append(ctx.run(*programs.local(ctx, "lsattr"), "-v", path).split()[:1])
    return found


@timeout(200)
def test_programs(ctx):
    """chattr(1) and lsattr(1) of Debian, by root and by the owner; the other driver tells
    and heeds what was set."""
    answers, shown = [], []
    for fstype, other in ((disks.C_FSTYPE, ctx.fstype), (ctx.fstype, disks.C_FSTYPE)):
        disk = disks.Disk(ctx, "blank-1k", fstype).mount()
        _fill(disk)
        answers.append(_by_chattr(ctx, disk))
        assert _chattr(ctx, 0, "=ia", disk.where("empty")) == 0
        disk.umount()
        disk.mount(fstype=other)
        names = ("file", "folder", "folder/below", "folder/inside", "empty")
        shown.append(_letters(ctx, *map(disk.where, names)))
        for call, *args in ((os.unlink,), (os.chmod, 0o600), (os.truncate, 0)):
            number = lowlevel.error_of(call, disk.where("empty"), *args)[1]
            assert number == errno.EPERM, (call, number)
        disk.finish()
    assert answers[0] == answers[1], f"in C {answers[0]}\nhere {answers[1]}"
    assert shown[0] == shown[1] == ["ASd", "ADSd", "ASd", "ADSd", "ai"], shown
    mine = NODUMP | NOATIME
    assert answers[1][:7] == [
        ("file", 1, "+i", 1, 0), ("file", 1, "+a", 1, 0), ("file", 1, "+dA", 0, mine),
        ("file", 2, "-d", 1, mine), ("file", 0, "+i", 0, mine | IMMUTABLE),
        ("file", 1, "-i", 1, mine | IMMUTABLE),
        ("file", 1, "+S", 0, mine | IMMUTABLE | SYNC)], answers[1]
    assert answers[1][-4:] == [("+i", errno.EPERM), ("+a", errno.EPERM),
                               ("-i", errno.EPERM), ["77"]], answers[1]


def test_versions_are_generations(ctx):
    """A version that is set is on the disk, in handles of the file, and a change of the
    inode."""
    disk = disks.Disk(ctx, "blank-4k").mount()
    _fill(disk)
    for name in ("file", "folder"):
        path = disk.where(name)
        old = lowlevel.name_to_handle(path)
        os.utime(path, (5, 5))
        disks.sync(disk.point)
        before = os.stat(path).st_ctime_ns
        while os.stat(disk.point).st_mtime_ns <= before:  # the clock has moved on
            os.close(os.open(disk.where("tick"), os.O_CREAT | os.O_RDWR))
            os.unlink(disk.where("tick"))
        assert _ask(path, SETVERSION, 0xFEDCBA98) == 0xFEDCBA98
        assert os.stat(path).st_ctime_ns > before
        mount = os.open(disk.point, os.O_RDONLY)
        assert lowlevel.error_of(lowlevel.open_handle, mount, old)[1] == errno.ESTALE
        os.close(lowlevel.open_handle(mount, lowlevel.name_to_handle(path)))
        os.close(mount)
    disk.umount()
    ctx.drop_caches()
    for fstype in (disks.C_FSTYPE, ctx.fstype):
        disk.mount(fstype=fstype)
        for name in ("file", "folder"):
            assert _ask(disk.where(name), GETVERSION) == 0xFEDCBA98, (fstype, name)
        disk.umount()
    disk.check()


def test_windows_have_the_size_that_is_set(ctx):
    """Files that grow side by side with windows of other sizes, or none, have the same
    bitmaps as in C; and what is set on an empty file lasts as long as the inode."""
    groups = []
    for fstype in (disks.C_FSTYPE, ctx.fstype):
        disk = disks.Disk(ctx, "groups-1k", fstype)
        disk.mount(disks.at_once(disk.fstype, "oldalloc"))
        files = []
        for number, size in enumerate((0, 1, 40, 300, None)):
            path = disk.where(f"f{number}")
            files.append(open(path, "wb", 0))
            if size is not None:
                assert _ask(path, SETRSVSZ, size) == size
                assert _ask(path, GETRSVSZ) == size
            else:
                assert _ask(path, GETRSVSZ) == "ENOTTY"
        for step in range(40):
            for number, file in enumerate(files):
                file.write(b"w" * (1024 + 512 * (step * number % 3)))
                os.fsync(file.fileno())
        sizes = [_ask(disk.where(f"f{number}"), GETRSVSZ) for number in range(5)]
        extents = [compare.extents(file.fileno()) for file in files]
        blocks = [[lowlevel.fibmap(file.fileno(), at) for at in range(40)] for file in files]
        for file in files:
            file.close()
        disk.finish()
        groups.append((sizes, extents, blocks, ext2disk.Groups(disk.path).used()))
    assert groups[0][:2] == groups[1][:2], groups
    assert groups[0][2] == groups[1][2], f"{groups[1][2]}\nin C {groups[0][2]}"
    assert groups[0][3] == groups[1][3]


def _file_attr(number, path, xflags=0, project=0):
    """What file_getattr(2) or file_setattr(2) says of a file, which is not followed."""
    data = ctypes.create_string_buffer(struct.pack("<QIIII", xflags, 0, 0, project, 0), 24)
    result = libc.syscall(number, AT_FDCWD, path.encode(), data, 24, AT_SYMLINK_NOFOLLOW)
    error = lowlevel.error_of(sysapi.check, result)[1]
    return error or data.raw.hex()


def test_attributes_by_name(ctx):
    """The calls that take a name and no open file, so that they are for links, too."""
    answers = []
    for fstype in (disks.C_FSTYPE, ctx.fstype):
        disk, found = disks.Disk(ctx, "blank-1k", fstype).mount(), {}
        _fill(disk)
        os.symlink("target", disk.where("short"))
        os.symlink("t" * 100, disk.where("long"))
        for name in ("file", "folder", "fifo", "short", "long"):
            path = disk.where(name)
            for flags, project in ((0x80, 0), (0x70, 0), (0x8, 0), (0x10, 0), (0x8000, 0),
                                   (0x200, 0), (1 << 40, 0), (0, 5), (0, 0)):
                found[name, flags, project] = (
                    _file_attr(FILE_SETATTR, path, flags, project),
                    _file_attr(FILE_GETATTR, path), lowlevel.statx(path)[8:16].hex())
        answers.append(found)
        disk.finish()
    want, got = answers
    wrong = {key: (got[key], answer) for key, answer in want.items() if got[key] != answer}
    assert not wrong, "here and in C:\n" + "\n".join(map(str, wrong.items()))
    assert want["file", 0x80, 0][1] != want["file", 0x8, 0][1], want


def test_windows_of_what_is_delayed(ctx):
    """A file that is written has a window, also before its blocks have their places; how large
    the next one is to be depends on how they get them."""
    answers = []
    for fstype in (disks.C_FSTYPE, ctx.fstype):
        disk = disks.Disk(ctx, "blank-1k", fstype).mount()
        with open(disk.where("file"), "wb", 0) as file:
            new = _ask(disk.where("file"), GETRSVSZ)
            file.write(b"w" * 24_000)
            answers.append((new, _ask(disk.where("file"), GETRSVSZ)))
        disk.finish()
    assert all(new == "ENOTTY" and isinstance(size, int) for new, size in answers), answers


def test_windows_too_large(ctx):
    """More than the largest window is the largest. C takes the lower half of the number:
    65536 is no window there."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C takes the lower 16 bits")
    disk = disks.Disk(ctx, "blank-1k").mount()
    _fill(disk)
    for size in (65536, 65537, 1 << 31, 0xFFFFFFFF):
        assert _ask(disk.where("file"), SETRSVSZ, size) == size
        assert _ask(disk.where("file"), GETRSVSZ) == 1027
    disk.finish()
