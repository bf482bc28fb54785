# SPDX-License-Identifier: GPL-2.0
"""The same scripted operations on C ext2 and on the filesystem under test, one
after the other, with every answer, every inode and every count compared.

What a random workload (test_twin.py) finds by chance is asked here on purpose.
"""

import contextlib
import ctypes
import os
import struct
import time

import compare
import disks
import ops
import sysapi

SYS_RESOURCE = 24
_CAPABILITY_VERSION = 0x20080522
SLACK = 3.0  # seconds that the later side may be behind


class Pair:
    """Two disks of one image, and who works on them."""

    def __init__(self, ctx, image, options=""):
        self.ctx = ctx
        self.options = options
        self.disks = [disks.Disk(ctx, image, disks.C_FSTYPE), disks.Disk(ctx, image)]
        self.actors = [ops.Actor(""), ops.Actor("")]
        self.log = []
        self._slack = SLACK
        self._mount()

    def _mount(self):
        for disk, actor in zip(self.disks, self.actors):
            disk.mount(self.options)
            actor.root = disk.point

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for actor in self.actors:
            actor.close()

    def _wrong(self, what):
        done = "\n".join(f"    {op}" for op in self.log[-15:])
        raise AssertionError(f"{what}\nin C and here, after\n{done}")

    def same(self, call, what):
        """Call with both actors; the answers have to be alike."""
        begin = time.monotonic()
        answers = [call(actor) for actor in self.actors]
        self._slack = max(self._slack, SLACK + time.monotonic() - begin)
        self.log.append((what, "->", answers[0]))
        if answers[0] != answers[1]:
            self._wrong(f"{what}: {answers[0]} and {answers[1]}")
        return answers[0]

    def do(self, *op):
        """One operation of ops.py; (answer, errno's name or 0)."""
        answer = self.same(lambda actor: actor.do(op), op)
        for name in ops.paths_of(op):
            self.same(lambda actor, name=name: self._told(actor.path(name)), name)
        return answer

    def ok(self, *op):
        """One that has to work; its answer."""
        answer, error = self.do(*op)
        assert error == 0, f"{op}: {error}, in C, too"
        return answer

    def fails(self, error, *op):
        """One that has to fail, so that the script is what it says."""
        found = self.do(*op)[1]
        assert found == error, f"{op}: {found} in C and here, and not {error}"

    @staticmethod
    def _told(path):
        try:
            info = os.lstat(path)
        except OSError as error:
            return error.errno
        return compare.describe(info)

    def counts(self):
        """statfs of both, which is alike."""
        return self.same(lambda actor: compare.statfs(actor.root), "statfs")

    def compare(self):
        """Everything, but times only roughly."""
        for actor in self.actors:
            disks.sync(actor.root)
        found = compare.trees(*[actor.root for actor in self.actors], self._slack)
        if found:
            self._wrong("\n".join(found[:20]))

    def forget(self):
        """Mount again: nothing is in memory, and nothing is looked at."""
        for disk, actor in zip(self.disks, self.actors):
            actor.close()
            disk.umount()
        self._mount()

    def mount_again(self):
        """With nothing in memory; what is on the disks is compared, too."""
        self.compare()
        self.forget()
        self.compare()

    def finish(self, check=True):
        """Compare, unmount, check, and look at each with the other's driver."""
        self.compare()
        for disk, actor in zip(self.disks, self.actors):
            actor.close()
            disk.umount()
            if check:
                disk.check()
        one, two = self.disks
        one.fstype, two.fstype = two.fstype, one.fstype
        self._mount()
        self.compare()
        for disk in self.disks:
            disk.umount()


@contextlib.contextmanager
def user(uid, gid=None):
    """Be somebody else, without any capability in effect."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(uid if gid is None else gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@contextlib.contextmanager
def without(capability):
    """Do without a capability."""
    head = ctypes.create_string_buffer(struct.pack("<Ii", _CAPABILITY_VERSION, 0), 8)
    data = ctypes.create_string_buffer(24)
    sysapi.check(sysapi.libc.capget(head, data))
    before = data.raw
    effective, *others = struct.unpack("<6I", before)
    fewer = struct.pack("<6I", effective & ~(1 << capability), *others)
    sysapi.check(sysapi.libc.capset(head, fewer))
    try:
        yield
    finally:
        sysapi.check(sysapi.libc.capset(head, before))
