# SPDX-License-Identifier: GPL-2.0
"""What a guest test is given: `def test_something(ctx)`.

    ctx.tmp                 an empty directory on tmpfs, gone after the test
    ctx.fstype              the filesystem under test ("rust_ext2")
    ctx.mount_options       what the user wants it to be mounted with besides, a text
                            (MOUNT_OPTIONS=); disks.Disk heeds it
    ctx.image(name)         path of an image that the host made, read-only
    ctx.copy(name)          path of a writable copy of it in ctx.tmp
    ctx.loop(path, ...)     a loop device over a file, detached after the test
    ctx.mount(src, ...)     mount an image or a device; path of the mount point;
                            unmounted after the test; OSError as mount(2) says
    ctx.umount(point)       unmount now
    ctx.drop_caches()       sync, then forget clean pages, dentries and inodes
    ctx.record(device)      with ctx.record(dev) as io: ...; io.bios, io.requests
    ctx.kernel_log()        the kernel's messages since the test began, a list
    ctx.allow_log(regex)    a kernel line that is no failure in this test
    ctx.counters()          rust_mpage's debugfs counters, name to number
    ctx.load(name, params)  insert a module of the kernel (and what it needs)
    ctx.run(*argv)          run a command; AssertionError with its output if it
                            fails, else its standard output (a fork is slow here)
    ctx.seconds             how long a @timed test works
    ctx.seed(default)       the user's SEED=, or the default
    ctx.tool(name)          path of a program that the host built for the tests
                            (or the distribution has); no such thing: skipped
    ctx.afterwards(call)    to be called after the test, in reverse order with the rest
    ctx.log(text)           into the test's record, shown when it fails
    ctx.skip(reason)        end the test, neither passed nor failed

A test fails by any exception. Decorators, from `runner`: @timeout(seconds) in
place of 120, @timed(seconds) for a test that works as long as it is told to
(SECONDS=), @parallel for one that needs two processors, @pages_of_4k for one that has
numbers for such pages, and @long for a test that runs only when its name is asked for.
Tests run in one process each, one after the other; what `ctx` made is undone in
reverse order, also after a failure.
"""

import contextlib
import os
import shutil
import subprocess

import blktrace
import sysapi

COUNTERS = "/sys/kernel/debug/rust_mpage"


class Skip(Exception):
    """The test cannot run here; its text says why."""


def read_kmsg(fd):
    """All records that wait on a non-blocking /dev/kmsg descriptor."""
    lines = []
    while True:
        try:
            record = os.read(fd, 8192).decode("utf-8", "replace")
        except BlockingIOError:
            return lines
        except BrokenPipeError:
            continue  # records were overwritten before they were read
        # "priority,sequence,time,flags;text", then " KEY=value" lines
        text = record.partition(";")[2].split("\n", 1)[0]
        lines.append(text)


def counters():
    """rust_mpage's counters, or an empty table without the module."""
    table = {}
    for folder, _, names in os.walk(COUNTERS):
        for name in names:
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError, ValueError):
                with open(path, encoding="ascii") as file:
                    table[os.path.relpath(path, COUNTERS)] = int(file.read())
    return dict(sorted(table.items()))


def data_of(file):
    """Where a file has data, as (begin, end) in bytes: all but its holes."""
    size = os.fstat(file.fileno()).st_size
    begin = 0
    while begin < size:
        try:
            begin = os.lseek(file.fileno(), begin, os.SEEK_DATA)
        except OSError:  # nothing but a hole up to the end
            return
        end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
        yield begin, end
        begin = end


def load_module(trees, name, params=""):
    """Insert a module from the first build tree that has it, needs first; of those that
    are installed, if there is no tree."""
    loaded = sysapi.loaded_modules()
    if name.replace("-", "_") in loaded:
        return
    if not trees:
        subprocess.run(["modprobe", name, *params.split()], check=True)
        return
    for tree in trees:
        path = sysapi.module_path(tree, name)
        if path and os.path.exists(path):
            break
    else:
        raise FileNotFoundError(f"no module {name} in {', '.join(trees)}")
    for needed in sysapi.module_depends(path):
        load_module(trees, needed)
    sysapi.insmod(path, params)


def mount_images(job):
    """The folder of the images that the host gave as a disk; it stays mounted."""
    load_module(job["trees"], "ext4")
    folder = os.path.join(job["scratch"], "images")
    os.mkdir(folder)
    sysapi.mount(job["image_disk"], folder, "ext4", sysapi.MS_RDONLY)
    return folder


class Context:
    """See the head of this file."""

    def __init__(self, job, tmp, seconds=0):
        self._job = job
        self._undo = contextlib.ExitStack()
        self._mounts = {}
        self._points = 0
        self.tmp = tmp
        self.seconds = seconds
        self.fstype = job.get("fstype", "rust_ext2")
        self.mount_options = job.get("mount_options", "")
        self.messages = []
        self.allowed = []
        self._kmsg = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._kmsg, 0, os.SEEK_END)
        self._lines = []

    def close(self):
        """Undo everything; the first error comes out at the end."""
        self._undo.close()

    def afterwards(self, call, *args):
        self._undo.callback(call, *args)

    def image(self, name):
        for folder in self._job.get("images", []):
            path = os.path.join(folder, name)
            if os.path.exists(path):
                return path
        raise FileNotFoundError(f"no image {name}: is there a recipe for it?")

    def copy(self, name):
        target = os.path.join(self.tmp, os.path.basename(name))
        if os.path.exists(target):
            target += f".{len(os.listdir(self.tmp))}"
        with open(self.image(name), "rb") as src, open(target, "wb") as dst:
            for begin, end in data_of(src):
                src.seek(begin)
                dst.seek(begin)
                while block := src.read(min(1 << 20, end - src.tell())):
                    dst.write(block)
            dst.truncate(os.fstat(src.fileno()).st_size)
        return target

    def loop(self, path, read_only=True, offset=0, size_limit=0, sector_size=512):
        device = sysapi.loop_attach(path, read_only, offset, size_limit, sector_size)
        self._undo.callback(sysapi.loop_detach, device)
        return device

    def mount(self, source, fstype=None, options="", read_only=True, flags=0):
        """`source` is a block device or an image file (looped as needed)."""
        if os.path.isfile(source):
            source = self.loop(source, read_only)
        self._points += 1
        point = os.path.join(self.tmp, f"mnt{self._points}")
        os.mkdir(point)
        flags |= sysapi.MS_RDONLY if read_only else 0
        sysapi.mount(source, point, fstype or self.fstype, flags, options)
        self._mounts[point] = source
        self._undo.callback(self._umount_once, point)
        return point

    def device_of(self, point):
        """The block device under a mount point that ctx.mount gave."""
        return self._mounts[point]

    def _umount_once(self, point):
        if point in self._mounts:
            self.umount(point)

    def umount(self, point):
        sysapi.umount(point)
        self.forget_mount(point)

    def forget_mount(self, point):
        """The test has unmounted it in its own way."""
        del self._mounts[point]
        os.rmdir(point)

    def drop_caches(self):
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("3")

    def record(self, device):
        return blktrace.Recorder(device)

    def kernel_log(self):
        self._lines += read_kmsg(self._kmsg)
        return list(self._lines)

    def allow_log(self, regex):
        self.allowed.append(regex)

    def counters(self):
        return counters()

    def load(self, name, params=""):
        instead = self._job.get("instead", {}).get(name)
        if instead and name not in sysapi.loaded_modules():
            sysapi.insmod(instead, params)
        else:
            load_module(self._job["trees"], name, params)

    def run(self, *argv):
        done = subprocess.run(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", check=False,
        )
        if done.returncode:
            raise AssertionError(
                f"{' '.join(map(str, argv))}: exit status {done.returncode}\n"
                f"{done.stdout}{done.stderr}"
            )
        return done.stdout

    def seed(self, default):
        return self._job.get("seed") or default

    def tool(self, name):
        for folder in self._job.get("tools", []):
            path = os.path.join(folder, "bin", name)
            if os.path.exists(path):
                return path
        path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if not path:
            self.skip(f"there is no {name} here")
        return path

    def log(self, text):
        self.messages.append(str(text))

    def skip(self, reason):
        raise Skip(reason)


def remove_tree(path):
    """Remove a test's directory; a mount left in it is detached first."""
    with open("/proc/mounts", encoding="utf-8") as file:
        points = [line.split()[1] for line in file]
    for point in reversed(points):
        if point == path or point.startswith(path + "/"):
            with contextlib.suppress(OSError):
                sysapi.umount(point, sysapi.MNT_DETACH)
    shutil.rmtree(path, ignore_errors=True)
