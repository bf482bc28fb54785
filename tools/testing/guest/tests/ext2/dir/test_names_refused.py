# SPDX-License-Identifier: GPL-2.0
"""What may not be done with names, by permissions, flags and limits (E5, E10): the
errors, and what is left, are those of C ext2.
"""

import os
import stat
import time

import lowlevel
import pair
from runner import timeout

DIR, FILE = 0o755, 0o644
FIFO, CHAR = stat.S_IFIFO | 0o600, stat.S_IFCHR | 0o600


@timeout(200)
def test_permissions(ctx):
    """Sticky directories, directories that others cannot write to or search."""
    p = pair.Pair(ctx, "blank-4k")
    p.ok("mkdir", "sticky", DIR)
    p.ok("chmod", "sticky", 0o1777)
    p.ok("mkdir", "closed", 0o700)
    p.ok("mkdir", "readable", 0o755)
    p.ok("mkdir", "open", DIR)
    p.ok("chmod", "open", 0o777)
    for name in ("sticky/root", "closed/f", "readable/f", "open/root"):
        p.ok("create", name, FILE)
    with pair.user(1000):
        p.ok("create", "sticky/mine", FILE)
        p.ok("mkdir", "sticky/dir", DIR)
        p.fails("EPERM", "unlink", "sticky/root")
        p.fails("EPERM", "rename", "sticky/root", "sticky/x")
        p.fails("EPERM", "rename", "sticky/mine", "sticky/root")
        p.fails("EACCES", "unlink", "readable/f")
        p.fails("EACCES", "create", "readable/g", FILE)
        p.fails("EACCES", "unlink", "closed/f")
        p.fails("EACCES", "rename", "sticky/mine", "closed/f")
        p.ok("rename", "sticky/mine", "open/mine")
        p.ok("unlink", "open/root")
        p.fails("EPERM", "mknod", "open/c", CHAR, os.makedev(1, 3))
        p.ok("mknod", "open/p", FIFO, 0)
    with pair.user(1001):
        p.fails("EPERM", "rename", "sticky/dir", "open/dir")
        p.fails("EPERM", "rmdir", "sticky/dir")
    with pair.user(1000, 7):
        p.ok("rename", "sticky/dir", "open/dir")
        p.ok("create", "open/group", 0o2775)
    p.finish()


@timeout(200)
def test_flags(ctx):
    """Immutable and append-only files and directories."""
    p = pair.Pair(ctx, "namespace-flags")
    for name in ("immutable", "append"):
        p.fails("EPERM", "unlink", name)
        p.fails("EPERM", "rename", name, "other")
        p.fails("EPERM", "rename", "plain", name)
        p.fails("EPERM", "link", name, "other")
        p.fails("EPERM", "truncate", name, 0)
        p.fails("EPERM", "write", name, 0, 10, 1)
        p.fails("EPERM", "unlink", f"{name}-dir/f")
        p.fails("EPERM", "rename", f"{name}-dir/f", "other")
        p.fails("EPERM", "rename", f"{name}-dir/f", f"{name}-dir/g")
        p.fails("EPERM", "rmdir", f"{name}-dir/d")
        p.fails("EPERM", "rmdir", f"{name}-dir")
    p.fails("EPERM", "append", "immutable", 10, 1)
    p.ok("append", "append", 10, 1)
    p.fails("EPERM", "create", "immutable-dir/new", FILE)
    p.fails("EPERM", "mkdir", "immutable-dir/new", DIR)
    p.fails("EPERM", "symlink", "immutable-dir/new", "x")
    p.fails("EPERM", "link", "plain", "immutable-dir/new")
    p.ok("create", "append-dir/new", FILE)
    p.ok("mkdir", "append-dir/dir", DIR)
    p.ok("link", "plain", "append-dir/link")
    p.ok("rename", "plain", "append-dir/moved")
    p.fails("EPERM", "unlink", "append-dir/new")
    # what is made in a directory gets some of its flags
    p.ok("create", "inherit/file", FILE)
    p.ok("mkdir", "inherit/dir", DIR)
    p.ok("mknod", "inherit/fifo", FIFO, 0)
    p.mount_again()
    p.finish()


@timeout(200)
def test_link_max(ctx):
    """32000 links and no more, of files and of directories."""
    p = pair.Pair(ctx, "namespace-links")
    p.ok("link", "file", "last")
    p.fails("EMLINK", "link", "file", "too-many")
    p.ok("mkdir", "dir/last", DIR)
    p.fails("EMLINK", "mkdir", "dir/too-many", DIR)
    p.ok("mkdir", "d", DIR)
    p.fails("EMLINK", "rename", "d", "dir/too-many")
    p.ok("rename", "d", "dir/last")
    p.ok("create", "dir/f", FILE)
    p.ok("unlink", "last")
    p.ok("link", "file", "last")
    # the counts are what the image says, and not what there is
    p.finish(check=False)


@timeout(200)
def test_other_filesystem(ctx):
    """No link and no name across mounts; a running program is not written to."""
    p = pair.Pair(ctx, "blank-4k")
    p.ok("create", "f", FILE)
    for actor in p.actors:
        for call in (os.link, os.rename):
            assert lowlevel.error_of(call, actor.path("f"), ctx.tmp + "/f")[1] == 18
    with open("/bin/sleep", "rb") as file:
        program = file.read()
    running = []
    for actor in p.actors:
        with open(actor.path("program"), "wb") as file:
            file.write(program)
        os.chmod(actor.path("program"), 0o755)
        pid = os.fork()
        if pid == 0:
            os.execv(actor.path("program"), ["program", "60"])
        running.append(pid)
    end = time.monotonic() + 30
    for pid, actor in zip(running, p.actors):
        while os.readlink(f"/proc/{pid}/exe") != actor.path("program"):
            assert time.monotonic() < end
            time.sleep(0.05)
    p.fails("ETXTBSY", "append", "program", 1, 1)
    p.ok("link", "program", "other-name")
    p.ok("rename", "f", "program")
    p.ok("unlink", "other-name")
    for pid in running:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    p.finish()
