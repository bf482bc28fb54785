# SPDX-License-Identifier: GPL-2.0
"""Programs that xfstests starts all the time, copied with their libraries into an
archive that the guest unpacks into memory: to start one from the guest's root, which is
this machine's over 9p, takes far longer, and a test starts thousands.

The guest's root is the same machine's, so these are the very same programs.
"""

import os
import shutil
from pathlib import Path

from .. import command

LOADER = "/lib64/ld-linux-x86-64.so.2"
_NAMES = """
    attr awk basename bash bc blkid blockdev cat chacl chattr chgrp chmod chown cmp
    comm cp cut date dash dd debugfs df diff dirname dmsetup du dumpe2fs e2fsck egrep env
    expr fallocate false fgrep filefrag find findmnt flock fsck fsck.ext2 fsfreeze
    fstrim getcap getconf getent getfacl getfattr grep head hexdump hostname id kill ldd
    ln logger losetup ls lsattr md5sum mkdir mke2fs mkfifo mkfs mkfs.ext2 mknod mkswap
    mktemp mount mountpoint mv nproc od perl pgrep pkill printf ps quota quotacheck
    quotaoff quotaon readlink realpath repquota rm rmdir sed seq setcap setfacl setfattr
    setquota sh sha256sum shuf sleep sort split stat stty su swapoff swapon sync tac tail
    tar tee test timeout touch tr true truncate tune2fs umount uname uniq uuidgen wc
    wipefs xargs xfs_io yes
""".split()


def libraries(said):
    """Paths in what the loader's --list says: "name => path (address)"."""
    return [word for line in said.splitlines()
            for word in line.partition("=>")[2].split()[:1] if word.startswith("/")]


def copy(folder):
    """bin/ and lib/ in a folder."""
    for name in ("bin", "lib"):
        (folder / name).mkdir(parents=True)
    needed = {LOADER}
    for name in _NAMES:
        path = command.which(name)
        if not path:
            continue
        shutil.copyfile(path, folder / "bin" / name)
        os.chmod(folder / "bin" / name, 0o755)
        needed.update(libraries(command.text(LOADER, "--list", path)))
    for path in needed:
        target = folder / "lib" / os.path.basename(path)
        shutil.copyfile(path, target)
        os.chmod(target, 0o755)


def pack(target, out):
    """The archive, at `target`; `out`: a folder for what is in between."""
    folder = Path(out) / "programs"
    copy(folder)
    command.step("programs for the guest", ["tar", "-C", folder, "--owner=0", "--group=0",
                                            "-cf", target, "."], out / "programs.log")
    shutil.rmtree(folder)
