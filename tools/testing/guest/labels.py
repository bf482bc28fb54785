# SPDX-License-Identifier: GPL-2.0
"""Labels of a security module, on C ext2 and on the filesystem under test.

    labels.py JOB.json

The guest was booted with Smack, which labels every new inode as the task that makes it:
security_inode_init_security() gives the filesystem the attributes, and what it says of an
inode it has read is what the filesystem has read of them. Each check ends in a mark for
the host; what C ext2 does is what is wanted.
"""

import contextlib
import os
import socket
import stat
import sys
import traceback

import context
from solo import load, say

LABEL, TRANSMUTES = "security.SMACK64", "security.SMACK64TRANSMUTE"
SMACKFS = "/sys/fs/smackfs"
WHO = 1000
LONG = "t" * 900  # a symbolic link that needs a block
_ME = "/proc/self/attr/smack/current"


def _write(path, text):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


@contextlib.contextmanager
def labelled(label):
    """Be a task with a label."""
    with open(_ME, encoding="ascii") as file:
        before = file.read().rstrip("\0\n")
    _write(_ME, label)
    try:
        yield
    finally:
        _write(_ME, before)


def rule(subject, target, access):
    """Let tasks with a label do something with what has another."""
    _write(os.path.join(SMACKFS, "load2"), f"{subject} {target} {access}\n")


def _make_socket(path):
    # its address is short
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)


def _make_unnamed(path):
    fd = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_RDWR, 0o600)
    try:
        os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd)
    finally:
        os.close(fd)


MAKERS = {
    "file": lambda path: os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o644)),
    "folder": os.mkdir,
    "fast": lambda path: os.symlink("target", path),
    "slow": lambda path: os.symlink(LONG, path),
    "fifo": lambda path: os.mkfifo(path, 0o640),
    "char": lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3)),
    "block": lambda path: os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 300)),
    "socket": _make_socket,
    "unnamed": _make_unnamed,
}


def _labels(top):
    """{name: labels} of a tree: what the module says, and which the filesystem lists."""
    found = {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            names = sorted(os.listxattr(path, follow_symlinks=False))
            found[os.path.relpath(path, top)] = [
                (name, os.getxattr(path, name, follow_symlinks=False))
                for name in {LABEL, *names} if name.startswith("security.")]
    return {name: sorted(labels) for name, labels in found.items()}


def _on_disk(ctx, disk, names):
    """{name: labels} as debugfs finds them in the unmounted image."""
    script = os.path.join(ctx.tmp, "commands")
    with open(script, "w", encoding="ascii") as file:
        file.writelines(f"ea_list {name}\n" for name in names)
    found, name = {}, ""
    for line in ctx.run(ctx.tool("debugfs"), "-f", script, disk.path).splitlines():
        if line.startswith("debugfs: ea_list "):
            name = line.split()[-1]
            found[name] = []
        elif "SMACK" in line:
            found[name].append(line.strip())
    return found


def _pair(ctx, options=""):
    """A fresh disk for C ext2 and one for the filesystem under test, one after the other."""
    import disks  # pylint: disable=import-outside-toplevel

    for fstype in (disks.C_FSTYPE, ctx.fstype):
        yield disks.Disk(ctx, "blank-1k", fstype).mount(options)


def _other(ctx, disk):
    """The other driver."""
    import disks  # pylint: disable=import-outside-toplevel

    return ctx.fstype if disk.fstype == disks.C_FSTYPE else disks.C_FSTYPE


def _same(answers):
    first, second = answers
    assert first == second, f"C ext2: {first}\nhere: {second}"
    return first


def check_created(ctx):
    """Whatever is made has its label at once, on the disk and after a mount, by whichever
    driver; and an inherited list beside it."""
    from workload import acl  # pylint: disable=import-outside-toplevel

    answers = []
    for disk in _pair(ctx):
        os.mkdir(disk.where("listed"))
        os.setxattr(disk.where("listed"), "system.posix_acl_default",
                    acl((1, 7), (2, 5, WHO), (4, 4), (16, 5), (32, 0)))
        with labelled("Maker"):
            for folder in ("", "listed/"):
                for name, make in MAKERS.items():
                    make(disk.where(folder + name))
            os.link(disk.where("file"), disk.where("linked"))
        told = [_labels(disk.point)]
        disk.finish()
        told.append(_on_disk(ctx, disk, sorted(told[0])))
        for fstype in (disk.fstype, _other(ctx, disk)):
            disk.mount(fstype=fstype)
            told.append(_labels(disk.point))
            disk.umount()
        assert told[0] == told[2] == told[3], told
        answers.append(told)
    now, there, *_ = _same(answers)
    for name in MAKERS:
        want = [] if name == "socket" else [(LABEL, b"Maker")]
        assert name == "socket" or now[name] == now["listed/" + name] == want, (name, now)
        assert bool(there[name]) == bool(want), (name, there)


def check_transmuted(ctx):
    """What is made in a directory that passes its label on has that; a directory passes it
    on, too."""
    rule("Maker", "Shared", "rwxat")
    answers = []
    for disk in _pair(ctx):
        folder = disk.where("folder")
        os.mkdir(folder)
        os.setxattr(folder, LABEL, b"Shared")
        os.setxattr(folder, TRANSMUTES, b"TRUE")
        with labelled("Maker"):
            for path in (folder, disk.where("folder/sub")):
                os.makedirs(path, exist_ok=True)
                MAKERS["file"](os.path.join(path, "file"))
        told = _labels(disk.point)
        disk.finish()
        disk.mount(fstype=_other(ctx, disk))
        assert _labels(disk.point) == told
        disk.finish()
        answers.append(told)
    told = _same(answers)
    assert told["folder/sub"] == [(LABEL, b"Shared"), (TRANSMUTES, b"TRUE")], told
    assert told["folder/sub/file"] == [(LABEL, b"Shared")], told


def _try_all(disk, label):
    """(errors, names that are there) of making one of each kind with a label."""
    from lowlevel import error_of  # pylint: disable=import-outside-toplevel

    with labelled(label):
        errors = {name: error_of(make, disk.where(f"{name}-{label}"))[1]
                  for name, make in MAKERS.items() if name != "slow"}
    return errors, sorted(name for name in os.listdir(disk.point) if name.endswith(label))


def check_no_room(ctx):
    """There is no block for a label: ENOSPC, and neither a name nor an inode. A label that
    others have needs none."""
    import attributes  # pylint: disable=import-outside-toplevel

    answers = []
    for disk in _pair(ctx):
        with labelled("Maker"):
            MAKERS["file"](disk.where("first"))
        attributes.fill(disk.where("full"))
        before = os.statvfs(disk.point)
        told = [_try_all(disk, "Other")]
        after = os.statvfs(disk.point)
        # the socket, which has no label
        assert before.f_ffree - after.f_ffree == len(told[0][1]), (before, after, told)
        os.truncate(disk.where("full"), 0)
        told.append(_try_all(disk, "Later"))
        told.append(_labels(disk.point))
        disk.finish()
        answers.append(told)
    (errors, names), (later, _), _ = _same(answers)
    assert names == ["socket-Other"], names
    assert {name for name, error in errors.items() if error} == \
        set(errors) - {"socket"}, errors
    assert not any(later.values()), later


def check_quota(ctx):
    """The same where the owner may have no block for it: EDQUOT, and nobody is charged."""
    import errno  # pylint: disable=import-outside-toplevel

    import pair  # pylint: disable=import-outside-toplevel
    import quotas  # pylint: disable=import-outside-toplevel

    rule("Other", "_", "rwxat")
    quotas.load(ctx)
    answers = []
    for disk in _pair(ctx, quotas.OPTIONS):
        os.chmod(disk.point, 0o777)
        quotas.turn_on(disk)
        with labelled("Other"), pair.user(WHO):
            os.mkdir(disk.where("mine"))
        has = quotas.get(disk, quotas.USER, WHO)[2][0] // 1024
        quotas.limit(disk, quotas.USER, WHO, blocks=(0, has))
        with labelled("Other"), pair.user(WHO):
            told = _make_each(disk, ("file", "folder", "fast", "fifo", "unnamed"))
        quotas.check(disk)
        told = told, sorted(os.listdir(disk.where("mine")))
        disk.finish()
        answers.append(told)
    errors, names = _same(answers)
    assert names == [] and set(errors.values()) == {errno.EDQUOT}, (errors, names)


def _make_each(disk, names):
    from lowlevel import error_of  # pylint: disable=import-outside-toplevel

    return {name: error_of(MAKERS[name], disk.where(f"mine/{name}"))[1] for name in names}


def check_options(ctx):
    """The module's mount options get to it, and are shown."""
    import disks  # pylint: disable=import-outside-toplevel

    answers = []
    for disk in _pair(ctx, "smackfsdef=Rest,smackfsroot=Top,usrquota"):
        os.close(os.open(disk.where("file"), os.O_CREAT))
        os.removexattr(disk.where("file"), LABEL)
        shown = {option for option in disks.shown_options(disk.point)
                 if option.startswith("smack") or "quota" in option}
        top = os.getxattr(disk.point, LABEL)
        disk.remount(options="usrquota")
        disk.finish()
        disk.mount("smackfsdef=Rest")
        answers.append((shown, top, os.getxattr(disk.where("file"), LABEL)))
        disk.finish()
    _, top, rest = _same(answers)
    assert (top, rest) == (b"Top", b"Rest"), answers


CHECKS = (check_created, check_transmuted, check_no_room, check_quota, check_options)


def main(path):
    job = load(path)
    if not os.path.ismount(SMACKFS):
        context.sysapi.mount("smackfs", SMACKFS, "smackfs")
    for check in CHECKS:
        name = check.__name__[6:]
        tmp = os.path.join(job["scratch"], name)
        os.makedirs(tmp)
        ctx = context.Context(job, tmp)
        try:
            check(ctx)
            ctx.close()
        except Exception:  # pylint: disable=broad-exception-caught
            for line in traceback.format_exc().splitlines():
                # the kernel takes no longer one
                say(f"error {name}: {line[:700]}")
        else:
            say(f"passed {name}")
    say("complete")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
