# SPDX-License-Identifier: GPL-2.0
"""What the user asked for, from the variables of the Makefile.

Leaves out: whether it makes sense; the module that uses a setting says that.
"""

import os
import re
from pathlib import Path

from . import ui
from .cache import Cache

TOP = Path(__file__).resolve().parents[3]
KERNEL_SERIES = "7.3"
OLDER = ("7.2",)  # see compat/; the tests and the series are for the one above


def _path(name):
    text = os.environ.get(name, "")
    return Path(os.path.abspath(os.path.expanduser(text))) if text else None


def _default_cache():
    given = _path("RUST_MPAGE_CACHE")
    if given:
        return given
    base = _path("XDG_CACHE_HOME") or Path.home() / ".cache"
    return base / "rust_mpage"


class Settings:
    """One per run of the program."""

    def __init__(self):
        self.top = TOP
        self.cache = Cache(_default_cache())
        self.kdir = _path("KDIR")
        self.kdir_checked = _path("KDIR_CHECKED")
        self.ksrc = _path("KSRC")
        self.older = {series: _path(f"KSRC_{series.replace('.', '_')}") for series in OLDER}
        self.llvm = os.environ.get("LLVM", "")
        self.rustc = os.environ.get("RUSTC", "")
        self.bindgen = os.environ.get("BINDGEN", "")
        self.image = _path("IMAGE")
        self.fs = _path("FS")
        self.xfstests = _path("XFSTESTS")
        self.tests = os.environ.get("TESTS", "").split()
        self.seconds = os.environ.get("SECONDS", "")
        self.seed = os.environ.get("SEED", "")
        self.accel = os.environ.get("ACCEL", "")
        self.profile = os.environ.get("PROFILE", "")
        self.cells = os.environ.get("CELLS", "")
        self.kernel = os.environ.get("KERNEL", "")
        self.arch = os.environ.get("ARCH", "")
        self.rw = os.environ.get("RW", "")
        self.fstype = os.environ.get("FSTYPE", "") or "rust_ext2"
        self.mount_options = os.environ.get("MOUNT_OPTIONS", "")
        self.jobs = os.cpu_count() or 1
        self.testing = self.top / "tools" / "testing"

    def guest_tests(self, files="test_*.py"):
        """Names of the guest tests in these files, "file.test" without the prefixes."""
        return [f"{path.stem[5:]}.{name}"
                for path in (self.testing / "guest" / "tests").rglob(files)
                for name in re.findall(r"^def test_(\w+)\(",
                                       path.read_text(encoding="utf-8"), re.M)]

    def check(self):
        """Refuse what cannot work, before anything is done."""
        if self.accel not in ("", "kvm", "tcg"):
            raise ui.Fail(f"ACCEL={self.accel}: it is kvm or tcg")
        for name, text in (("SECONDS", self.seconds), ("SEED", self.seed)):
            if text and not re.fullmatch("[1-9][0-9]{0,8}", text):
                raise ui.Fail(f"{name}={text}: it is a number, from 1 on")
        if not re.fullmatch("([a-z0-9_=]+(,[a-z0-9_=]+)*)?", self.mount_options):
            raise ui.Fail(f"MOUNT_OPTIONS={self.mount_options}: it is mount options, "
                          "with commas between them")
        if self.rw not in ("", "0", "1", "in-place"):
            raise ui.Fail(f"RW={self.rw}: it is 0, 1 or in-place")
        if self.kernel not in ("", "debian", "rt"):
            raise ui.Fail(f"KERNEL={self.kernel}: it is debian, or rt (test), or nothing")
        if self.rw == "in-place" and not self.image:
            raise ui.Fail("RW=in-place: it goes with IMAGE=")
        for path in (self.top, self.cache.path):
            if not re.fullmatch(r"[A-Za-z0-9_+/.@-]+", str(path)):
                raise ui.Fail(
                    f"{path}: the kernel's build cannot work in a path with "
                    "such characters; use letters, digits and _+/.@-"
                )

    def check_command(self, word):
        """Refuse what this command would not heed, and might be taken to."""
        if self.arch and word not in ("kunit", "modules", "test"):
            raise ui.Fail(f"ARCH={self.arch}: it goes with kunit, modules and test; "
                          "all else is for x86_64")
        if self.arch and word == "test":
            if self.arch not in ("arm64", "arm64_64k"):
                raise ui.Fail(f"ARCH={self.arch}: it is arm64, or arm64_64k for large pages only")
            if self.kernel or self.kdir_checked or self.accel == "kvm":
                raise ui.Fail(f"ARCH={self.arch} has kernels of its own, and is emulated: without "
                              "KERNEL=, KDIR_CHECKED= and ACCEL=kvm")
        if self.kernel == "rt" and self.kdir_checked:
            raise ui.Fail("KERNEL=rt is a kernel of its own: without KDIR_CHECKED=")
        heeds = {"": None, "debian": ("run",), "rt": ("test",)}[self.kernel]
        if heeds is not None and word not in heeds:
            raise ui.Fail(f"KERNEL={self.kernel}: it goes with {', '.join(heeds)}")

    def check_patterns(self):
        """Refuse TESTS= that are no regular expressions."""
        for pattern in self.tests:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ui.Fail(f"TESTS={pattern}: {error}") from error
