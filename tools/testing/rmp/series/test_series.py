# SPDX-License-Identifier: GPL-2.0
"""The series of patches, of the sources as they are, for a kernel of four files."""

import re
import subprocess
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

from rmp import command, ui
from rmp.series import kunit, patches, reflow, stages, tests, tree
from rmp.settings import TOP

IDENTITY = ("Some One", "some@one.example")
KERNEL = {
    "fs/Kconfig": 'if BLOCK\n\nsource "fs/zonefs/Kconfig"\n\nendif # BLOCK\n',
    "fs/Makefile": "obj-$(CONFIG_EXT2_FS)\t\t+= ext2/\nobj-$(CONFIG_BPF_LSM)\t\t+= bpf.o\n",
    "MAINTAINERS": "List:\n\nRTL\nS:\tOrphan\nF:\ta/\n\nRUST\nM:\tX <x@y>\nF:\trust/\n\n"
                   "RUST [ALLOC]\nM:\tX <x@y>\nF:\trust/alloc/\n",
    "Documentation/filesystems/index.rst": "   romfs\n   smb/index\n   zonefs\n",
}
# what is outside the kernel's tree
_OUTSIDE = re.compile(r"\bmake (?:lint|test|bench|run|doc|deb|dropin|shell)\b|README"
                      r"|tools/(?:testing/(?:rmp|guest)|parity|unsafe|debian)|\bguest/tests"
                      r"|\blint\.py|(?<![/\w])Documentation/[\w-]+\.rst|M=here|KDIR")


def bare(text):
    """Without what breaking comments anew may change."""
    return re.sub(r"[\s/!]", "", text)


class Series(unittest.TestCase):
    """One series for all tests: it takes a second."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.kernel = Path(cls.scratch.name, "kernel")
        for path, text in KERNEL.items():
            (cls.kernel / path).parent.mkdir(parents=True, exist_ok=True)
            (cls.kernel / path).write_text(text, encoding="utf-8")
        cls.made = patches.write(TOP, cls.kernel, Path(cls.scratch.name, "out"), IDENTITY)
        tree.apply(cls.made, cls.kernel, IDENTITY)

    def git(self, *words):
        return command.text("git", "-C", self.kernel, *words)

    def after(self, number):
        """Names of the files after a patch."""
        return set(self.git("ls-tree", "-r", "--name-only",
                            f"HEAD~{stages.COUNT - number}").split("\n"))

    def test_git_am_takes_it(self):
        self.assertEqual(len(self.made), stages.COUNT)
        subjects = self.git("log", "--reverse", "--format=%s").split("\n")[1:]
        self.assertEqual(len(subjects), stages.COUNT)
        self.assertFalse(self.git("status", "--porcelain", "-uno"))

    def test_each_patch_is_signed_and_fits(self):
        for number in range(stages.COUNT):
            body = self.git("log", "-1", "--format=%B", f"HEAD~{number}")
            self.assertTrue(body.endswith("Signed-off-by: Some One <some@one.example>"))
            self.assertLessEqual(max(map(len, body.split("\n"))), 75, body)

    def test_every_source_once(self):
        there = self.after(stages.COUNT)
        expected = {stages.place(path)[1] for path in patches.sources(TOP)}
        self.assertEqual(len(expected), len(patches.sources(TOP)))
        own = {f"{stages.HOME}/Kconfig", f"{stages.HOME}/.kunitconfig",
               f"{stages.DOCUMENTS}/index.rst"}
        self.assertEqual(there - expected, own | set(KERNEL))
        self.assertEqual(expected - there, set())
        made = self.git("log", "--diff-filter=A", "--name-only", "--format=", "HEAD~7..")
        names = made.split()
        self.assertEqual(len(names), len(set(names)))

    def test_the_inventory_is_of_what_is_there(self):
        text = (self.kernel / stages.DOCUMENTS / "unsafe.rst").read_text(encoding="utf-8")
        rows = re.findall(r"^(\S+) +(\d+) +(\d+) +(\d+)$", text, re.M)
        *files, total = rows
        self.assertGreater(len(files), 50)
        self.assertEqual([row[0] for row in files if not
                          (self.kernel / stages.HOME / row[0]).exists()], [])
        self.assertEqual(total, ("total", *(str(sum(int(row[at]) for row in files))
                                            for at in (1, 2, 3))))
        self.assertNotIn("Linux 7.", text)
        ours = (TOP / "Documentation/unsafe.rst").read_text(encoding="utf-8").splitlines()
        self.assertLessEqual(set(text.splitlines()) - set(ours), {
            line for line in text.splitlines() if line.startswith("total ")
            or "somebody may evict" in line})

    def test_contents(self):
        for path in patches.sources(TOP):
            if path == "Kbuild":
                continue
            text = (TOP / path).read_text(encoding="utf-8")
            there = (self.kernel / stages.place(path)[1]).read_text(encoding="utf-8")
            there = there.replace(stages.DOCUMENTS + "/", "Documentation/")
            if path == "compat/mod.rs":
                self.assertNotIn("linux_7", there)
                text = stages.this_kernel(text)
            if path == "Documentation/unsafe.rst":
                text = stages.inventory(text)
            self.assertEqual(bare(there), bare(text), path)

    def test_nothing_from_outside(self):
        for path in self.after(stages.COUNT) - set(KERNEL):
            text = (self.kernel / path).read_text(encoding="utf-8")
            for number, line in enumerate(text.split("\n"), 1):
                self.assertIsNone(_OUTSIDE.search(line), f"{path}:{number}: {line}")
            for name in re.findall(r"\bDocumentation/[\w/-]+\.rst", text):
                if name.startswith(stages.DOCUMENTS):
                    self.assertIn(name, self.after(stages.COUNT), path)

    def test_documents_are_in_the_index(self):
        index = (self.kernel / stages.DOCUMENTS / "index.rst").read_text(encoding="utf-8")
        for name in stages.DOCUMENT_NAMES:
            if name.endswith(".rst"):
                self.assertIn(f"   {name[:-4]}\n", index)

    def test_a_patch_names_what_is_there(self):
        """Rules, options, modules and headers come with their files, or later."""
        for number in range(1, stages.COUNT + 1):
            there = self.after(number)

            def text(path, at=number):
                return self.git("show", f"HEAD~{stages.COUNT - at}:{stages.HOME}/{path}")

            for path in re.findall(r"[ =]((?:ext2|tests|livepatch)/[\w/]+)\.o\b",
                                   text("Makefile")):
                self.assertTrue({f"{stages.HOME}/{path}.rs", f"{stages.HOME}/{path}.c"}
                                & there, f"{number}: {path}")
            for name in re.findall(r"^mod (\w+);", text("rust_mpage.rs"), re.M):
                self.assertIn(f"{stages.HOME}/{name}/mod.rs", there)
            for name in re.findall(r"CONFIG_(RUST_(?:MPAGE|EXT2)\w*)", text("Makefile")):
                self.assertIn(f"config {name}\n", text("Kconfig") + "\n")
            self.assertEqual("<linux/rust_mpage.h>" in text("bindings/bindings_helper.h"),
                             "include/linux/rust_mpage.h" in there)

    def test_comments_fit(self):
        for path in patches.sources(TOP):
            if path.endswith(".rs"):
                text = (self.kernel / stages.place(path)[1]).read_text(encoding="utf-8")
                for line in text.split("\n"):
                    self.assertFalse(len(line) > reflow.WIDTH and line.lstrip()[:2] == "//",
                                     f"{path}: {line}")

    def test_hooks(self):
        read = {path: (self.kernel / path).read_text(encoding="utf-8") for path in KERNEL}
        self.assertIn('source "fs/rust_mpage/Kconfig"\n\nendif', read["fs/Kconfig"])
        self.assertIn("+= ext2/\nobj-$(CONFIG_RUST_MPAGE)\t+= rust_mpage/\nobj",
                      read["fs/Makefile"])
        self.assertRegex(read["MAINTAINERS"],
                         r"(?s)\n\nRUST\n.*\n\nRUST MULTI-PAGE.*\nM:\tSome One <some@one\."
                         r"example>\n.*F:\tfs/rust_mpage/\n.*\n\nRUST \[ALLOC\]")
        self.assertIn("romfs\n   rust_mpage/index\n   smb",
                      read["Documentation/filesystems/index.rst"])

    def test_another_kernel(self):
        other = Path(self.scratch.name, "other")
        for path, text in KERNEL.items():
            (other / path).parent.mkdir(parents=True, exist_ok=True)
            (other / path).write_text(text.replace("endif # BLOCK", ""), encoding="utf-8")
        with self.assertRaisesRegex(ui.Fail, "fs/Kconfig: nothing matches"):
            patches.write(TOP, other, Path(self.scratch.name, "none"), IDENTITY)

    def test_a_folder_of_no_patch(self):
        with self.assertRaisesRegex(ValueError, "new/: no patch of the series"):
            stages.place("new/file.rs")

    def test_which_kernel(self):
        """`make series` says in a line what it needs."""
        folder = Path(self.scratch.name, "old")
        folder.mkdir()
        (folder / "Makefile").write_text("VERSION = 7\nPATCHLEVEL = 2\nSUBLEVEL = 1\n"
                                         "EXTRAVERSION =\n", encoding="ascii")
        for words, told in (([], "make series KSRC="),
                            ([f"KSRC={folder}"], "is Linux 7.2.1; this needs 7.3")):
            done = subprocess.run(["make", "-s", "-C", TOP, "series", *words], check=False,
                                  env=command.environment(), stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                  encoding="utf-8")
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(done.stdout, "")
            ours = [line for line in done.stderr.split("\n") if line[:4] != "make" and line]
            self.assertEqual(len(ours), 1, done.stderr)
            self.assertIn(told, ours[0])


class Comments(unittest.TestCase):
    """reflow.rust"""

    def test_short_ones_stay(self):
        text = "/// One\n/// two.\nfn a() {} // and\n"
        self.assertEqual(reflow.rust(text), text)

    def test_long_ones(self):
        long = "word " * 20 + "end"
        self.assertEqual(reflow.rust(f"    /// {long}\n    /// more.\n    ///\n    /// Other"),
                         "    /// " + "word " * 17 + "word\n"
                         "    /// word word end more.\n    ///\n    /// Other")

    def test_lists(self):
        long = "word " * 20
        self.assertEqual(reflow.rust(f"//! - {long}end\n//!   more\n//! - b\n"),
                         "//! - " + ("word " * 19).strip() + "\n//!   word end more\n"
                         "//! - b\n")

    def test_code_and_tables(self):
        for text in ("```\n{}\n```", "# {}", "| {}", "    {}"):
            text = "\n".join("/// " + line for line in
                             text.format("long " * 25).rstrip().split("\n"))
            self.assertEqual(reflow.rust(text), text)


class Kunit(unittest.TestCase):
    """What kunit.py printed."""

    def test_judge(self):
        text = ("[20:00:00] ================= rust_ext2_tree (3 subtests) =================\n"
                "[20:00:09] Testing complete. Ran 3 tests: passed: 3\n")
        wanted = {"rust_ext2_tree"}
        self.assertTrue(kunit.judge(text, wanted)[1])
        self.assertIn("1 suites", kunit.judge(text, wanted)[0])
        for old, new in (("passed: 3", "passed: 2, failed: 1"),
                         ("passed: 3", "passed: 2, crashed: 1"),
                         ("rust_ext2", "other"), ("rust_ext2_tree", "rust_kernel_fmt")):
            self.assertFalse(kunit.judge(text.replace(old, new), wanted)[1])
        self.assertFalse(kunit.judge("ERROR:root:make failed", wanted)[1])

    def test_a_suite_that_was_not_run(self):
        text = ("[20:00:00] ================= rust_ext2_tree (3 subtests) =================\n"
                "[20:00:09] Testing complete. Ran 3 tests: passed: 3\n")
        told, well = kunit.judge(text, {"rust_ext2_tree", "rust_mpage_plan"})
        self.assertFalse(well)
        self.assertIn("not run: rust_mpage_plan", told)

    def test_suites_of_the_sources(self):
        """In Rust and in C; those that the kernel has itself are not among them."""
        found = kunit.suites_of(TOP)
        self.assertLessEqual({"rust_mpage_plan", "rust_ext2_run_set", "rust_mpage_contract"},
                             found)
        self.assertFalse([name for name in found
                          if not name.startswith(("rust_mpage", "rust_ext2"))])

    def test_what_is_typed(self):
        """Pages of 64 KiB and large folios are options; what a test adds comes behind."""
        settings = SimpleNamespace(jobs=2)
        here = object.__new__(kunit.Place)
        here._settings, here.folder = settings, Path("/kunit")
        here.chain = SimpleNamespace(make_args=lambda: ["LLVM=1"])
        words = " ".join(here.command("arm64_64k", options=["CONFIG_PCI=y"]))
        self.assertIn(" --arch arm64 --build_dir /kunit/build-arm64_64k ", words)
        self.assertIn("--kconfig_add CONFIG_ARM64_64K_PAGES=y --kconfig_add CONFIG_PCI=y", words)
        self.assertNotIn("--arch", here.command("um"))
        self.assertIn("CONFIG_TRANSPARENT_HUGEPAGE=y", here.command("arm64"))
        for arch in ("um", "x86_64", "s390"):
            self.assertNotIn("--kconfig_add", here.command(arch))

    def test_suites_of_modules(self):
        text = ("[   10.0] ok 1 rust_ext2_tree\r\n[   11.5]     ok 1 rust_not_a_suite\n"
                "[   12.0] not ok 2 rust_mpage_read\n[   13.0] ok 3 other\n")
        self.assertEqual(tests.suites(text), (["rust_ext2_tree"], ["rust_mpage_read"]))


if __name__ == "__main__":
    unittest.main()
