# SPDX-License-Identifier: GPL-2.0
"""kernel-rust: which kernels it takes and which it refuses, with a kernel that is made up.

Its headers are a few files, and what makes its crates writes only what they export.
"""

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from rmp.settings import TOP

SCRIPT = TOP / "tools/debian/kernel-rust"
RELEASE = "7.3.0-made-up"
RUSTC = "rustc 1.0.0 (made up)"
_VERSION = "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = {}\n"
# as the kernel's own: $(build)=rust has make look there
_MAKEFILE = """RUSTC = rustc
HOSTRUSTC = rustc
build := -f $(dir $(lastword $(MAKEFILE_LIST)))rust/crates.mk OBJ=$(CURDIR) crates
"""
_CRATES = """all:
	echo 'EXPORT_SYMBOL_RUST_GPL(_Rours);' > $(OBJ)/rust/exports_core_generated.h
	touch $(OBJ)/rust/core.o
"""
_IN_SOURCE = {"rust/crates.mk": _CRATES, "scripts/generate_rust_target.rs": "",
              "scripts/rust_is_available_bindgen_libclang.h": "", "drivers/base/base.h": "",
              "drivers/android/binder/rust_binder.h": ""}
# It says its version; asked to compile, it makes a program that says nothing.
_COMPILER = f"""#!/bin/sh
[ "$1" = --version ] && exec echo "{RUSTC}"
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho {{}}\\n' > "$2"
chmod +x "$2"
"""


class KernelRust(unittest.TestCase):
    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.root = Path(held.name)
        self.headers = self.root / "usr/src/headers"
        self.config = {"CONFIG_RUST": "y", "CONFIG_RUSTC_VERSION_TEXT": f'"{RUSTC}"'}
        (self.headers / "include/config").mkdir(parents=True)
        (self.headers / "include/uapi").mkdir()
        (self.headers / "scripts").mkdir()
        self.write(self.headers / "include/config/auto.conf", "")
        self.headers_of("7.3.4-1")
        self.write(self.headers / "Makefile", _VERSION.format(4) + _MAKEFILE)
        self.exported("_Rours", "_Rothers")
        modules = self.root / "lib/modules" / RELEASE
        modules.mkdir(parents=True)
        (modules / "build").symlink_to(self.headers)
        self.source(4)
        self.source_of("7.3.4-1")
        self.tool("rustc", _COMPILER)
        self.tool("bindgen", "#!/bin/sh\n")

    @staticmethod
    def write(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def tool(self, name, text):
        path = self.root / "bin" / name
        self.write(path, text)
        path.chmod(0o755)

    def headers_of(self, version):
        """Debian's headers say of which version of its package they are."""
        self.write(self.headers / "include/generated/package.h",
                   f'#define LINUX_PACKAGE_ID " Debian {version}"\n')

    def source_of(self, version):
        """dpkg has this version of linux-source."""
        self.tool("dpkg-query", f"#!/bin/sh\necho '{version}'\n")

    def exported(self, *symbols):
        self.write(self.headers / "Module.symvers", "".join(
            f"0x00000000\t{name}\tvmlinux\tEXPORT_SYMBOL_GPL\t\n" for name in symbols))

    def source(self, sublevel, **more):
        """The archive of linux-source, of this version."""
        files = {"Makefile": _VERSION.format(sublevel) + _MAKEFILE, **_IN_SOURCE, **more}
        with tarfile.open(self.root / "usr/src/linux-source-7.3.tar.xz", "w:xz") as archive:
            for name, text in files.items():
                if text is None:
                    continue
                entry = tarfile.TarInfo(f"linux-source-7.3/{name}")
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))

    def run_it(self, *words, **more):
        """(exit status, what it prints, what it says)"""
        self.write(self.headers / ".config",
                   "".join(f"{key}={value}\n" for key, value in self.config.items()))
        path = f"{self.root}/bin:{os.environ['PATH']}"
        done = subprocess.run(
            [SCRIPT, *(words or (RELEASE,))], check=False,
            stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8",
            env=dict(os.environ, PATH=path, RUST_MPAGE_ROOT=str(self.root),
                     **{"RUSTC": f"{self.root}/bin/rustc", **more}))
        return done.returncode, done.stdout.strip(), done.stderr

    def refused(self, status, words, **more):
        """It refuses this kernel, for this reason, and names no folder to build in."""
        found, printed, said = self.run_it(**more)
        self.assertEqual((found, printed), (status, ""), said)
        self.assertIn(words, said)
        self.assertFalse(list(self.root.glob("var/cache/rust-mpage/*/obj/.ready")))

    def test_what_is_no_release(self):
        for words in (("",), ("../7",), ("7.3 x",), ("7.3", "7.4"), ("7.3/..",)):
            status, _, said = self.run_it(*words)
            self.assertEqual((status, "usage" in said), (2, True), words)

    def test_a_kernel_without_headers(self):
        status, _, said = self.run_it("7.3.0-nobody-has-this")
        self.assertEqual((status, said.count("\n")), (77, 1))
        self.assertIn("install linux-headers-7.3.0-nobody-has-this", said)

    def test_its_crates_are_made_once(self):
        folder = self.root / "var/cache/rust-mpage" / RELEASE / "obj"
        status, printed, said = self.run_it()
        self.assertEqual((status, printed), (0, str(folder)), said)
        self.assertEqual((folder / "scripts/target.json").read_text(encoding="ascii"), "{}\n")
        self.assertIn("building the Rust crates", said)
        self.assertEqual(self.run_it(), (0, str(folder), ""))

    def test_who_may_not_write_uses_what_was_made(self):
        """As if it were not root: there can be no lock."""
        self.assertEqual(self.run_it()[0], 0)
        cache = self.root / "var/cache/rust-mpage"
        (cache / "lock").unlink()
        (cache / "lock").mkdir()
        self.assertEqual(self.run_it(), (0, str(cache / RELEASE / "obj"), ""))

    def test_who_may_not_write_is_told_so(self):
        self.write(self.root / "var/cache/rust-mpage", "no folder")
        status, printed, said = self.run_it()
        self.assertEqual((status, printed, said.count("\n")), (1, "", 1), said)
        self.assertIn("RUST_MPAGE_KERNELS=", said)

    def test_what_was_made_goes_with_the_headers(self):
        cache = self.root / "var/cache/rust-mpage"
        self.assertEqual(self.run_it()[0], 0)
        (cache / RELEASE).rename(cache / "7.3.0-gone")
        self.write(cache / "7.3.0-others/of/somebody", "else")
        kept = self.root / "lib/modules/7.3.0-kept"
        (cache / "7.3.0-kept").mkdir()
        self.write(cache / "7.3.0-kept/.kernel-rust", "")
        kept.mkdir()
        (kept / "build").symlink_to(self.headers)
        self.assertEqual(self.run_it()[0], 0)
        self.assertEqual({path.name for path in cache.iterdir()},
                         {RELEASE, "7.3.0-kept", "7.3.0-others", "lock"})

    def test_other_crates_than_the_kernels(self):
        self.exported("_Rothers")
        self.refused(77, "1 of the Rust symbols are not those of")
        # and not at the next call, either
        self.refused(77, "1 of the Rust symbols are not those of")

    def test_a_kernel_of_before_is_not_taken_for_this_one(self):
        self.assertEqual(self.run_it()[0], 0)
        self.exported("_Rothers")
        status, printed, said = self.run_it()
        self.assertEqual((status, printed), (77, ""), said)

    def test_headers_that_have_changed(self):
        """The crates are made again, whatever of it is another."""
        self.assertEqual(self.run_it()[0], 0)
        for change in (lambda: self.config.update(CONFIG_KASAN="y"),
                       lambda: self.write(self.headers / "include/generated/bounds.h", "x"),
                       lambda: self.write(self.headers / "include/config/auto.conf", "x"),
                       lambda: self.exported("_Rours", "_Rmore"),
                       lambda: self.headers_of("7.3.4-1+b1")):
            change()
            self.assertIn("building the Rust crates", self.run_it()[2])
            self.assertEqual(self.run_it()[2], "")

    def test_another_script(self):
        """A recipe that was repaired is used."""
        self.assertEqual(self.run_it()[0], 0)
        text = (TOP / "tools/debian/kernel-rust").read_text(encoding="utf-8")
        self.tool("kernel-rust", text + "# repaired\n")
        with mock.patch.object(sys.modules[__name__], "SCRIPT", self.root / "bin/kernel-rust"):
            self.assertIn("building the Rust crates", self.run_it()[2])

    def test_headers_are_not_written_to(self):
        """Whatever they have: what is made is beside them."""
        self.write(self.headers / "scripts/target.json", "theirs\n")
        self.assertEqual(self.run_it()[0], 0)
        self.assertEqual((self.headers / "scripts/target.json").read_text("ascii"), "theirs\n")

    def test_an_archive_that_is_cut_off(self):
        archive = self.root / "usr/src/linux-source-7.3.tar.xz"
        archive.write_bytes(archive.read_bytes()[:-40])
        self.refused(1, "cannot be unpacked")

    def test_an_archive_that_lacks_something(self):
        self.source(4, **{"drivers/android/binder/rust_binder.h": None})
        self.refused(77, "lacks a part of the kernel's Rust")

    def test_headers_that_are_not_whole(self):
        (self.headers / "include/config/auto.conf").unlink()
        self.refused(1, "is not whole")

    def test_a_kernel_without_rust(self):
        self.config["CONFIG_RUST"] = "n"
        self.refused(77, "was built without CONFIG_RUST")

    def test_headers_that_have_the_crates(self):
        """As distributions may ship them: nothing is built. rustc is what make takes there."""
        self.write(self.headers / "rust/libkernel.rmeta", "")
        self.exported("_Rothers")
        self.assertEqual(self.run_it(), (0, str(self.headers), ""))
        self.assertEqual(self.run_it(RUSTC=""), (0, str(self.headers), ""))
        self.tool("rustc", _COMPILER.replace("1.0.0", "2.0.0"))
        for named in ("", f"{self.root}/bin/rustc"):
            self.refused(77, "was built with rustc 1.0.0 (made up), which none of", RUSTC=named)

    def test_the_compiler_has_changed(self):
        """Where it was; what is made is of no use to another."""
        self.assertEqual(self.run_it()[0], 0)
        self.tool("rustc", _COMPILER.replace("1.0.0", "2.0.0"))
        status, printed, said = self.run_it()
        self.assertEqual((status, printed), (77, ""), said)
        self.assertIn("which none of", said)

    def test_the_compiler_that_is_named_is_the_one(self):
        self.refused(77, "which none of /nowhere/rustc is", RUSTC="/nowhere/rustc")
        self.tool("mine", _COMPILER)
        self.assertEqual(self.run_it(RUSTC="mine")[0], 0)
        text = (self.root / "var/cache/rust-mpage" / RELEASE / "src/Makefile").read_text("utf-8")
        self.assertIn(f"\nRUSTC = {self.root}/bin/mine\n", text)

    def test_what_is_missing(self):
        self.config["CONFIG_RUSTC_VERSION_TEXT"] = '"rustc 2.0.0"'
        self.refused(77, "was built with rustc 2.0.0, which none of")
        self.config["CONFIG_RUSTC_VERSION_TEXT"] = f'"{RUSTC}"'
        self.source(5)
        self.refused(77, "linux-source is 7.3.5, the headers are 7.3.4")
        (self.root / "usr/src/linux-source-7.3.tar.xz").unlink()
        self.refused(77, "install linux-source-7.3")

    def test_a_source_of_another_revision(self):
        """The version of Linux is the same, Debian's is not."""
        self.source_of("7.3.4-2")
        self.refused(77, "linux-source-7.3 is 7.3.4-2, the headers are of 7.3.4-1")
        self.headers_of("7.3.4-2+b1")
        self.assertEqual(self.run_it()[0], 0)

    def test_crates_that_cannot_be_built_are_a_fault(self):
        self.source(4, **{"rust/crates.mk": "all:\n\tfalse\n"})
        self.refused(1, "could not be built")


if __name__ == "__main__":
    unittest.main()
