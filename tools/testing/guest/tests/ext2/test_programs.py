# SPDX-License-Identifier: GPL-2.0
"""Programs that others wrote to test filesystems: fsx, pjdfstest, fio, stress-ng.

All with attributes and access control lists: what fsx, fio and stress-ng make inherits a
list of the root directory. What C ext2 fails in the same guest is in the table KNOWN with
what it says; nothing else may fail. The disks are checked by e2fsck afterwards.
"""

import contextlib
import itertools
import os
import re
import time

import disks
import disturb
import programs
from runner import by_chance, long, parallel, timed, timeout
from workload import acl

OPTIONS = "acl,user_xattr"
# owner, a user, group, mask, others
LIST = acl((1, 7), (2, 6, 1000), (4, 5), (16, 7), (32, 7))
DEFAULT = "system.posix_acl_default"

# pjdfstest: what C ext2 makes of it, with inodes of 128 bytes
KNOWN = {
    "utimensat::subsecond": "times are whole seconds",
    "utimensat::y2038": "2147483648 seconds become 2147483647",
}

_FSX = """
flen = {length}
[opsize]
max = {largest}
[weights]
close_open = 2
read = 10
write = 12
truncate = 6
mapread = 8
mapwrite = 10
invalidate = 1
fsync = 2
fdatasync = 1
posix_fadvise = 2
sendfile = 2
copy_file_range = 2
"""


def _with_lists(disk, options=""):
    """The disk, mounted; what is made in it inherits an access control list."""
    disk.mount(",".join(filter(None, (OPTIONS, options))))
    os.setxattr(disk.point, DEFAULT, LIST)
    return disk


def _finish(disk, inherited):
    """Something has been made that has inherited a list, and all is well."""
    if inherited:
        assert os.getxattr(disk.where(inherited), "system.posix_acl_access")
    disk.finish()


def _fsx(ctx, image, operations, disturbed=False, options=""):
    seed = ctx.seed(42)
    ctx.log(f"SEED={seed}")
    _fsx_on(ctx, _with_lists(disks.Disk(ctx, image), options), operations, disturbed, seed)


def _fsx_on(ctx, disk, operations, disturbed, seed):
    """Side by side: a small file, one that reaches the double indirect block."""
    words = programs.local(ctx, "fsx")
    commands = {}
    for name, length, largest in (("small", 70_000, 20_000), ("large", 700_000, 65_536)):
        config = os.path.join(ctx.tmp, name + ".toml")
        with open(config, "w", encoding="ascii") as file:
            file.write(_FSX.format(length=length, largest=largest))
        commands[name] = [*words, "-q", "-N", operations, "-S", seed, "-f", config,
                          "-P", ctx.tmp, disk.where(name)]
    with contextlib.ExitStack() as stack:
        if disturbed:
            stack.enter_context(disturb.memory([disk.where(name) for name in commands]))
        ended = programs.all_at_once(ctx, commands, ctx.tmp)
    for name, (status, text) in ended.items():
        assert status == 0, f"fsx, {name}, SEED={seed}: status {status}\n{text[-4000:]}"
    _finish(disk, "small")


@timeout(240)
def test_fsx_1k(ctx):
    """fsx, 1 KiB blocks."""
    _fsx(ctx, "blank-1k", 450)


@timeout(240)
def test_fsx_4k(ctx):
    """fsx, 4 KiB blocks."""
    _fsx(ctx, "blank-4k", 450)


@timeout(240)
def test_fsx_2k(ctx):
    """fsx, 2 KiB blocks, which files have as soon as they are written to."""
    _fsx(ctx, "blank-2k", 300, options=disks.at_once(ctx.fstype))


@timeout(240)
def test_fsx_disturbed(ctx):
    """fsx while memory is compacted and reclaimed, and its folios are split."""
    _fsx(ctx, "blank-1k", 200, disturbed=True)


@long
@timed(1200)
@timeout(1200)
def test_fsx_long(ctx):
    """fsx for as long as is asked for, all block sizes in turns, undisturbed and disturbed,
    each time with the next seed."""
    seed = ctx.seed(by_chance())
    ctx.log(f"SEED={seed}")
    end = time.monotonic() + ctx.seconds
    images = [disks.Disk(ctx, image) for image in ("blank-1k", "blank-2k", "blank-4k")]
    for turn in itertools.count():
        for disk in images:
            _with_lists(disk)
            for name in os.listdir(disk.point):
                if name != "lost+found":
                    os.unlink(disk.where(name))
            _fsx_on(ctx, disk, 500, turn % 2 == 1, seed)
            seed += 1
            if time.monotonic() >= end:
                return


_POSIX = """
[features]
rename_ctime = {{}}
utime_now = {{}}
utimensat = {{}}
[settings]
naptime = 1.01
allow_remount = {remount}
[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"]]
"""
# "truncate::" finds those of ftruncate, too
_GROUPS = ("chmod", "chown", "mkdir", "mkfifo", "mknod", "open", "rename", "rmdir",
           "truncate", "unlink", "symlink", "utimensat")
# all but link_count_max, which fills a directory with 32000 names: an hour here, and
# names_refused.link_max sees the same
_LINK = ("link::share", "link::remove", "link::changed", "link::unchanged", "link::e")


def _failed(text):
    return {line.split()[0] for line in text.splitlines() if line.endswith(" FAILED")}


def _posix_config(ctx, remount):
    path = os.path.join(ctx.tmp, f"pjdfstest-{remount}.toml")
    with open(path, "w", encoding="ascii") as file:
        file.write(_POSIX.format(remount=remount))
    return path


def _summary(name, status, text):
    """(failed, skipped, passed), and which have failed."""
    found = re.search(r"(\d+) failed, (\d+) skipped, (\d+) passed", text)
    assert found, f"pjdfstest {name}: status {status}\n{text[-3000:]}"
    assert int(found[1]) == len(_failed(text)), text[-3000:]
    return tuple(map(int, found.groups())), _failed(text)


def _posix_commands(words, plain, folder):
    """{group: words} of all that need no remount."""
    commands = {group: [*words, "-c", plain, "-p", folder, group + "::"]
                for group in _GROUPS}
    commands["link"] = [*words, "-c", plain, "-p", folder, *_LINK]
    return commands


def _posix(ctx, image):
    """The groups side by side, most of the time asleep: the tests wait for timestamps
    of whole seconds to change. Then those that remount, by themselves."""
    words = programs.local(ctx, "pjdfstest")
    plain, remount = [_posix_config(ctx, word) for word in ("false", "true")]
    disk = disks.Disk(ctx, image).mount(OPTIONS)
    os.chmod(disk.point, 0o777)
    found = programs.all_at_once(ctx, _posix_commands(words, plain, disk.point), ctx.tmp)
    found |= programs.all_at_once(
        ctx, {"erofs": [*words, "-c", remount, "-p", disk.point, "erofs"]}, ctx.tmp)
    passed, failed = 0, {}
    for name, (status, text) in found.items():
        counts, bad = _summary(name, status, text)
        passed += counts[2]
        for test in bad - set(KNOWN):
            failed[f"{test} ({name})"] = text[text.find(test):][:500]
    assert not failed, "\n".join(f"{name}:\n{text}" for name, text in failed.items())
    assert passed > 350, f"only {passed} tests ran"
    disk.finish()


@long
@timeout(1800)
def test_posix_1k(ctx):
    """pjdfstest, 1 KiB blocks. By name only: it takes minutes."""
    _posix(ctx, "blank-1k")


@long
@timeout(1800)
def test_posix_4k(ctx):
    """The same, 4 KiB blocks."""
    _posix(ctx, "blank-4k")


@long
@timeout(3000)
def test_posix_lists(ctx):
    """In a directory with a default list, which is heeded in place of the umask: the same
    tests pass and fail as on C ext2, of which some expect a umask."""
    words, plain = programs.local(ctx, "pjdfstest"), _posix_config(ctx, "false")
    found = []
    for fstype in dict.fromkeys((disks.C_FSTYPE, ctx.fstype)):
        disk = disks.Disk(ctx, "blank-1k", fstype).mount(OPTIONS)
        folder = disk.where("folder")
        os.mkdir(folder)
        os.chmod(folder, 0o777)
        os.setxattr(folder, DEFAULT, LIST)
        ended = programs.all_at_once(ctx, _posix_commands(words, plain, folder), ctx.tmp)
        found.append({name: _summary(name, *answer) for name, answer in ended.items()})
        disk.finish()
    for name, want in found[0].items():
        assert found[-1][name] == want, f"{name}: {found[-1][name]}, in C {want}"
    passed = sum(counts[2] for counts, _ in found[0].values())
    ctx.log(f"{passed} passed, failed: {[bad for _, bad in found[0].values() if bad]}")
    assert passed > 300, f"only {passed} tests passed in C"


_FIO = """
[global]
directory={point}
size={size}
verify=crc32c
verify_fatal=1
do_verify=1
randseed={seed}
fallocate=none
[psync]
ioengine=psync
rw=randwrite
bsrange=1k-32k
fsync=20
numjobs=2
[mmap]
ioengine=mmap
rw=randwrite
bs=4k
[append]
ioengine=psync
rw=write
bssplit=3k/50:17k/50
[direct]
ioengine=psync
direct=1
rw=randwrite
bs=4k
[asynchronous]
ioengine=libaio
iodepth=8
direct=1
rw=randrw
bs=4k
[ring]
ioengine=io_uring
iodepth=8
direct=1
rw=randrw
bs=4k
"""


def _fio(ctx, image, size):
    seed = ctx.seed(42)
    fio = ctx.tool("fio")
    disk = _with_lists(disks.Disk(ctx, image))
    config = os.path.join(ctx.tmp, "fio.ini")
    with open(config, "w", encoding="ascii") as file:
        file.write(_FIO.format(point=disk.point, size=size, seed=seed))
    found = programs.all_at_once(ctx, {"fio": [fio, "--minimal", config]}, ctx.tmp)
    status, text = found["fio"]
    assert status == 0, f"fio: status {status}\n{text[-4000:]}"
    _finish(disk, "append.0.0")


@timeout(300)
def test_fio_1k(ctx):
    """fio with verify: several jobs by write(2), mmap and O_DIRECT, also asynchronous; 1 KiB blocks."""
    _fio(ctx, "large-1k", "300k")


@timeout(300)
def test_fio_4k(ctx):
    """The same, 4 KiB blocks."""
    _fio(ctx, "large-4k", "600k")


@long
@timeout(7200)
def test_fio_long(ctx):
    """The same with files of 20 MiB."""
    _fio(ctx, "large-1k", "20m")
    _fio(ctx, "large-4k", "20m")


# what ext2 has: no fallocate, no verity; and nothing that has to be root
_QUICK = ("acl", "dir", "getdent", "hdd", "iomix", "link", "mmap", "rename", "seek",
          "symlink", "utime", "xattr")
# what only newer versions of it have
_NEW = ("acl",)
_STRESSORS = ("acl", "chdir", "dentry", "dir", "dirdeep", "dirmany", "filename", "flock",
              "getdent", "hdd", "iomix", "link", "mmap", "msync", "readahead", "rename",
              "revio", "seek", "symlink", "sync-file", "touch", "utime", "xattr")
_SIZES = ("hdd", "iomix", "readahead", "revio", "sync-file")


def _stress(ctx, image, seconds, stressors):
    stress = ctx.tool("stress-ng")
    there = ctx.run(stress, "--stressors").split()
    stressors = [name for name in stressors if name in there or name not in _NEW]
    disk = _with_lists(disks.Disk(ctx, image))
    words = [stress, "--temp-path", disk.point, "--verify", "--timeout", seconds,
             "--mmap-bytes", "1m", "--mmap-file", "--msync-bytes", "1m",
             "--seek-size", "2m", "--dirdeep-inodes", "100", "--dentries", "200",
             "--chdir-dirs", "100"]
    for name in _SIZES:
        words += [f"--{name}-bytes", "1m"]
    for name in stressors:
        words += [f"--{name}", "1"]
    status, text = programs.all_at_once(ctx, {"stress-ng": words}, ctx.tmp)["stress-ng"]
    assert status == 0, f"stress-ng: status {status}\n{text[-6000:]}"
    assert not re.search(r"\bfail: ", text), text[-6000:]
    # not run, because something is not supported
    assert not re.search(r"(acl|xattr)[^\n]*(skip|not support)", text), text[-6000:]
    _finish(disk, None)


@parallel
@timed(5)
@timeout(300)
def test_stress_1k(ctx):
    """stress-ng's stressors that are quick to end, all at once; 1 KiB blocks."""
    _stress(ctx, "large-1k", ctx.seconds, _QUICK)


@parallel
@long
@timed(60)
@timeout(600)
def test_stress_4k(ctx):
    """All that are for filesystems, 4 KiB blocks."""
    _stress(ctx, "large-4k", ctx.seconds, _STRESSORS)
