# SPDX-License-Identifier: GPL-2.0
"""The guest's half of `make xfstests`: unpack the user's tree, make the machine one that
xfstests expects, and run its own `check` for the tests that are left.

    xfstests.py JOB.json

The tree comes as a tar archive on a disk and is unpacked into memory, as do the programs
that tests start most: from the guest's root, which is the host's over 9p, that takes far
longer; and the user's tree is not written to. What `check` says goes to check.txt among the results, line by line, so it is
there however this ends; what it wrote of each test goes there at the end.

A test that is not done in its time ends this with status HUNG: the kernel's stuck tasks
are on the console by then, and the host boots again.

Leaves out: which tests passed (rmp/xfstests).
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import context
import sysapi

HUNG = 3
KEPT = 1 << 16  # bytes of a file
DIFF_LINES = "40"
WORK = "/run/xfstests"
MS_BIND = 4096
WRITTEN = ("/tmp", "/var/tmp")  # the guest's root is read-only
# whom tests act as, and their groups: no password, no number that anybody has
PEOPLE = {"fsgqa": 61001, "123456-fsgqa": 61002, "fsgqa2": 61003}
# targets of device-mapper and formats of quota files: without a module, the tests that
# want it are not run
EXTRAS = ("dm-mod", "dm-flakey", "dm-snapshot", "dm-zero", "dm-log-writes", "dm-dust",
          "quota_v2")
LOADER = "/lib64/ld-linux-x86-64.so.2"
# by full path, in the first lines of scripts
SHELLS = ("bash", "dash", "perl")
# nothing answers udevadm here: it would wait for ever
STUBS = {"udevadm": "#!/bin/sh\nexit 0\n"}


class Machine:
    """Where things are in the guest; `where` is WORK, and another folder in a test."""

    def __init__(self, job, where=WORK):
        self.job = job
        self.tree = os.path.join(where, "tree")
        self.results = os.path.join(where, "results")
        self.config = os.path.join(where, "config")
        self.programs = os.path.join(where, "programs")
        self.stubs = os.path.join(where, "stubs")
        self.home = os.path.join(where, "home")
        self.points = [os.path.join(where, name) for name in ("test", "scratch")]
        self.out = job["out"]
        for folder in (self.tree, self.results, self.programs, self.stubs, self.home, *self.points):
            os.makedirs(folder)

    def unpack(self):
        """The user's tree and the programs, from the disks they came on."""
        for source, target in ((self.job["tree"], self.tree),
                               (self.job["programs"], self.programs)):
            subprocess.run(["tar", "-xf", source, "-C", target, "--no-same-owner"],
                           check=True, stdin=subprocess.DEVNULL)

    def replaced(self):
        """Programs that are used by full path: [(copy, file)]."""
        pairs = [(os.path.join(self.programs, "bin", name), f"/usr/bin/{name}")
                 for name in SHELLS]
        pairs.append((os.path.join(self.programs, "lib", os.path.basename(LOADER)),
                      os.path.realpath(LOADER)))
        return [pair for pair in pairs if all(map(os.path.exists, pair))]

    def configure(self):
        """What `check` is told: both disks, ext2, and the size of its blocks."""
        job = self.job
        lines = {"FSTYP": "ext2", "TEST_DEV": job["test"], "TEST_DIR": self.points[0],
                 "SCRATCH_DEV": job["scratch"], "SCRATCH_MNT": self.points[1],
                 "MKFS_OPTIONS": f"-b {job['block_size']}", "RESULT_BASE": self.results}
        with open(self.config, "w", encoding="ascii") as file:
            file.writelines(f"export {name}='{text}'\n" for name, text in lines.items())
        for name, text in STUBS.items():
            path = os.path.join(self.stubs, name)
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            os.chmod(path, 0o755)

    def environment(self):
        """Of `check`: the shell's, and where its answers are."""
        keep = {name: text for name, text in os.environ.items()
                if name in ("OPENSSL_ia32cap", "TERM")}
        path = f"{self.stubs}:{self.programs}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return dict(keep, PATH=path, LD_LIBRARY_PATH=f"{self.programs}/lib",
                    HOME=self.home, USER="root", LOGNAME="root", SHELL="/bin/bash",
                    LC_ALL="C", HOST_OPTIONS=self.config, RESULT_BASE=self.results,
                    DIFF_LENGTH=DIFF_LINES)

    def keep(self):
        """The end of what `check` wrote of each test, to the host."""
        for folder, _, names in os.walk(self.results):
            target = os.path.join(self.out, "results",
                                  os.path.relpath(folder, self.results))
            os.makedirs(target, exist_ok=True)
            for name in names:
                with open(os.path.join(folder, name), "rb") as file, \
                        open(os.path.join(target, name), "wb") as out:
                    file.seek(max(0, os.fstat(file.fileno()).st_size - KEPT))
                    out.write(file.read())


def people(folder, passwd="/etc/passwd", group="/etc/group"):
    """Copies of both files with those in it whom tests act as: [(copy, file)]."""
    home = os.path.join(folder, "home")
    made = []
    for path, line in ((passwd, "{0}:*:{1}:{1}::{2}:/bin/bash\n"),
                       (group, "{0}:*:{1}:\n")):
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
        have = {entry.split(":")[0] for entry in text.splitlines()}
        text += "".join(line.format(name, number, home)
                        for name, number in PEOPLE.items() if name not in have)
        copy = os.path.join(folder, os.path.basename(path))
        with open(copy, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        os.chmod(copy, 0o644)
        made.append((copy, path))
    return made


def load(job):
    """The filesystem, and what tests use beside it."""
    for name, params in job["modules"]:
        context.load_module(job["trees"], name, params)
    for name in EXTRAS:
        with contextlib.suppress(OSError):
            context.load_module(job["trees"], name)


class Watch:
    """How long nothing has been added to a file."""

    def __init__(self, path, now=time.monotonic):
        self._path = path
        self._now = now
        self._size = -1
        self._since = now()

    def silent(self):
        """Seconds."""
        size = os.path.getsize(self._path)
        if size != self._size:
            self._size, self._since = size, self._now()
        return self._now() - self._since


def show_stuck():
    """The kernel's blocked tasks, and what runs, to the console."""
    for key in "wl":
        with contextlib.suppress(OSError), \
                open("/proc/sysrq-trigger", "w", encoding="ascii") as file:
            file.write(key)


def check(machine):
    """Run `check`; its exit status, which says nothing, or None for one that hangs.

    A test says its name when it begins and how it was when it ends, so silence is how
    long it has been at it.
    """
    job = machine.job
    said = os.path.join(machine.out, "check.txt")
    with open(said, "wb") as out, \
            open(os.path.join(machine.out, "check.err"), "wb") as err:
        process = subprocess.Popen(
            ["/bin/bash", "./check", *job["tests"]], cwd=machine.tree, stdout=out,
            stderr=err, stdin=subprocess.DEVNULL, env=machine.environment(),
            start_new_session=True)
        watch = Watch(said)
        while True:
            try:
                return process.wait(1)
            except subprocess.TimeoutExpired:
                if watch.silent() > job["limit"]:
                    show_stuck()
                    os.killpg(process.pid, signal.SIGKILL)
                    return None


def main(path):
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    os.makedirs(WORK)
    sysapi.mount("none", WORK, "tmpfs", 0, "mode=755")
    machine = Machine(job)
    load(job)
    for folder in WRITTEN:
        sysapi.mount("none", folder, "tmpfs", 0, "mode=1777")
    machine.unpack()
    machine.configure()
    for copy, target in people(WORK) + machine.replaced():
        sysapi.mount(copy, target, "", MS_BIND)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext2", "-b", str(job["block_size"]),
                    job["test"]], check=True, stdin=subprocess.DEVNULL)
    status = check(machine)
    machine.keep()
    return HUNG if status is None else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
