# SPDX-License-Identifier: GPL-2.0
"""What who mounts by fsopen(2), or remounts by fspick(2), is told: the option that is refused,
and why a filesystem is not mounted. mount(8) shows it. By mount(2) the kernel log has it."""

import ctypes
import errno
import os
import struct

from lowlevel import error_of
from sysapi import check, libc

_SYS_FSOPEN, _SYS_FSCONFIG, _SYS_FSPICK = 430, 431, 433
_SET_FLAG, _SET_STRING, _CREATE, _RECONFIGURE = 0, 1, 6, 7
_AT_FDCWD = -100
# where the superblock has its features, in bytes
_INCOMPAT, _RO_COMPAT = 96, 100

OPTIONS = {
    "bogus": "e {}: Unknown parameter 'bogus'",
    "nobogus": "e {}: Unknown parameter 'nobogus'",
    "errors=bogus": "e {}: Bad value for 'errors'",
    "sb=abc": "e {}: Bad value for 'sb'",
    "resuid=4294967295": "e {}: Invalid uid '4294967295'",
    "debug=0": "e {}: Unexpected value for 'debug'",
    "nodebug": "e {}: Unknown parameter 'nodebug'",
}
# options that are taken, the errno of the mount, and one of the messages
REASONS = (
    ("sb=2", errno.EINVAL, "e {}: error: not an ext2 filesystem: the magic number is "),
    ("nobh", 0, "w {}: the option nobh is obsolete and ignored"),
)


class _Context:
    """A context of fsopen(2), or of fspick(2) of what is mounted somewhere."""

    def __init__(self, fstype=None, point=None):
        if point:
            self.fd = check(libc.syscall(_SYS_FSPICK, _AT_FDCWD, os.fsencode(point), 0))
        else:
            self.fd = check(libc.syscall(_SYS_FSOPEN, os.fsencode(fstype), 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def _config(self, command, key=None, value=None):
        check(libc.syscall(_SYS_FSCONFIG, self.fd, command,
                           os.fsencode(key) if key else None,
                           os.fsencode(value) if value is not None else None,
                           ctypes.c_int(0)))

    def set(self, option):
        """Give it an option, as in fstab."""
        key, equals, value = option.partition("=")
        self._config(_SET_STRING if equals else _SET_FLAG, key, value if equals else None)

    def create(self, source):
        self._config(_SET_STRING, "source", source)
        self._config(_CREATE)

    def reconfigure(self):
        self._config(_RECONFIGURE)

    def told(self):
        """The messages that nobody has read yet."""
        found = []
        while True:
            text, number = error_of(os.read, self.fd, 4096)
            if number == errno.ENODATA:
                return found
            assert text, f"reading the messages: errno {number}"
            found.append(text.decode().rstrip("\n"))


def _with_feature(ctx, field, feature):
    """The path of an image with one feature more."""
    path = ctx.copy("small-1k")
    with open(path, "r+b") as file:
        file.seek(1024 + field)
        features, = struct.unpack("<I", file.read(4))
        file.seek(1024 + field)
        file.write(struct.pack("<I", features | feature))
    return path


def test_refused_options(ctx):
    """Each names the option, and what is wrong with it."""
    for option, want in OPTIONS.items():
        with _Context(ctx.fstype) as context:
            _, number = error_of(context.set, option)
            assert number == errno.EINVAL, f"{option}: errno {number}"
            told = context.told()
            assert told == [want.format(ctx.fstype)], f"{option}: {told}"


def test_reasons(ctx):
    """What the log says while it mounts is told, too."""
    if ctx.fstype != "rust_ext2":
        ctx.skip("C ext2 says it to the log alone")
    device = ctx.loop(ctx.copy("small-1k"), read_only=False)
    for option, errors, want in REASONS:
        with _Context(ctx.fstype) as context:
            context.set(option)
            _, number = error_of(context.create, device)
            assert number == errors, f"{option}: errno {number}"
            told = context.told()
            assert any(text.startswith(want.format(ctx.fstype)) for text in told), \
                f"{option}: {told}"


def test_feature_that_is_not_there(ctx):
    """A feature that the driver has not is named."""
    if ctx.fstype != "rust_ext2":
        ctx.skip("C ext2 says it to the log alone")
    path = _with_feature(ctx, _INCOMPAT, 0x40)
    with _Context(ctx.fstype) as context:
        _, number = error_of(context.create, ctx.loop(path, read_only=False))
        assert number == errno.EINVAL, f"errno {number}"
        told = context.told()
        assert told == [f"e {ctx.fstype}: error: unsupported features: extent"], told


def test_log_of_refused_options(ctx):
    """Who mounts by mount(2) has no context to ask: the kernel log names the option."""
    device = ctx.loop(ctx.copy("small-1k"), read_only=False)
    for option, want in OPTIONS.items():
        log = len(ctx.kernel_log())
        _, number = error_of(ctx.mount, device, None, option)
        assert number == errno.EINVAL, f"{option}: errno {number}"
        said = [line for line in ctx.kernel_log()[log:] if want.format(ctx.fstype)[2:] in line]
        assert len(said) == 1, f"{option}: {ctx.kernel_log()[log:]}"


def test_reasons_of_a_remount(ctx):
    """Why it cannot be written to is told to who remounts it, and is in the log."""
    if ctx.fstype != "rust_ext2":
        ctx.skip("C ext2 says it to the log alone")
    path = _with_feature(ctx, _RO_COMPAT, 0x400)
    point = ctx.mount(ctx.loop(path, read_only=False))
    log = len(ctx.kernel_log())
    with _Context(point=point) as context:
        context.set("rw")
        _, number = error_of(context.reconfigure)
        assert number == errno.EROFS, f"errno {number}"
        told = context.told()
    want = "error: features that can only be read: metadata_csum"
    assert told == [f"e {ctx.fstype}: {want}"], told
    said = [line for line in ctx.kernel_log()[log:] if want in line]
    assert len(said) == 1 and "loop" in said[0], said
