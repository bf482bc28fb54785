# SPDX-License-Identifier: GPL-2.0
"""What is built: configurations, symbols, command lines, versions."""

import os
import pathlib
import re
import tempfile
import unittest
from types import SimpleNamespace
from unittest import mock

from rmp import settings
from rmp.build import doc, dropin, htmldocs, kernel, modules, testtools


class Config(unittest.TestCase):
    def test_unset_is_n(self):
        options = kernel.parse_config("CONFIG_A=y\n# CONFIG_B is not set\n# text\n")
        self.assertEqual(options, {"CONFIG_A": "y", "CONFIG_B": "n"})

    def test_what_did_not_hold(self):
        wanted = {"CONFIG_A": "y", "CONFIG_B": "n", "CONFIG_C": "m"}
        wrong = kernel.check_config(wanted, "CONFIG_A=y\nCONFIG_C=y\n")
        self.assertEqual(wrong, ["CONFIG_C=m, is y"])

    def test_what_modules_need(self):
        config = "".join(f"{name}={'m' if 'CACHE' in name else 'y'}\n"
                         for name in kernel.NEEDED)
        self.assertEqual(kernel.lacking(config), [])
        config = config.replace("CONFIG_FS_IOMAP=y", "# CONFIG_FS_IOMAP is not set")
        self.assertEqual(kernel.lacking(config), ["CONFIG_FS_IOMAP"])
        self.assertEqual(kernel.lacking(""), list(kernel.NEEDED))


class External(unittest.TestCase):
    def test_for_another_processor(self):
        chain = SimpleNamespace(llvm="-22", make_args=lambda: ["LLVM=-22", "RUSTC=rustc"])
        with tempfile.TemporaryDirectory() as kdir:
            pathlib.Path(kdir, ".config").write_text("CONFIG_CC_IS_CLANG=y\n", encoding="ascii")
            own = SimpleNamespace(kdir=pathlib.Path(kdir), arch="arm64", jobs=2)
            argv = modules.make_for(own, chain, "/here")
            own.arch = ""
            native = modules.make_for(own, chain, "/here")
        self.assertEqual(argv, ["make", "-C", kdir, "M=/here", "LLVM=-22", "ARCH=arm64",
                                "RUSTC=rustc", "-j2"])
        self.assertEqual([word for word in argv if word not in native], ["ARCH=arm64"])


class Doc(unittest.TestCase):
    def test_command_line(self):
        saved = ("savedcmd_a.o := X=1 rustc --edition=2021 --emit=metadata=a "
                 "-Zcrate-attr='feature(a,b)' --out-dir ./ a.rs ;objcopy a\n")
        env, argv = doc.rustdoc_words(saved, "rustdoc", "out")
        self.assertEqual(env, {"X": "1"})
        self.assertEqual(argv, ["rustdoc", "--edition=2021",
                                "-Zcrate-attr=feature(a,b)", "a.rs",
                                "--output", "out"])


class Site(unittest.TestCase):
    def test_every_document_is_on_it(self):
        folder = settings.TOP / "Documentation"
        listed = re.findall(r"^   ([a-z][\w-]*)$",
                            (folder / "index.rst").read_text(encoding="utf-8"), re.M)
        self.assertEqual(sorted(listed), sorted(path.stem for path in folder.glob("*.rst")
                                                if path.stem != "index"))

    def test_manual_pages_and_the_api_are_added(self):
        with tempfile.TemporaryDirectory() as work, \
                mock.patch.object(htmldocs.command, "text", lambda *_: "NAME\n\n  x - y"):
            folder = pathlib.Path(work) / "Documentation"
            htmldocs.stage(settings.TOP, folder)
            page = (folder / "man" / "rust_ext2.5.rst").read_text(encoding="utf-8")
            index = (folder / "index.rst").read_text(encoding="utf-8")
        self.assertEqual(page, "============\nrust_ext2(5)\n============\n\n"
                         ".. code-block:: none\n\n   NAME\n\n     x - y\n")
        self.assertIn("\n   man/rust_ext2.5\n", index)
        self.assertIn("<../rust_mpage/index.html>", index)

    def test_what_is_wrong_is_ours(self):
        log = "WARNING: dot(1) not found\n/t/a.rst:3: WARNING: Title\n/t/a.rst:4: fine\n"
        self.assertEqual(htmldocs.complaints(log, pathlib.Path("/t")),
                         ["a.rst:3: WARNING: Title"])


class Symbols(unittest.TestCase):
    def of(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "Module.symvers"
            path.write_text(text, encoding="ascii")
            return dropin._symbols(path)

    def test_only_the_c_interface(self):
        names = [line.split("\t")[1] for line in self.of(
            "0x1\t_RNvNt5mpage\t/a/rust_mpage\tEXPORT_SYMBOL_GPL\t\n"
            "0x2\trust_mpage_readahead\t/a/rust_mpage\tEXPORT_SYMBOL_GPL\t\n"
            "0x3\trust_mpage_helper_folio_get\t/a/rust_mpage\tEXPORT_SYMBOL_GPL\t\n"
            "0x4\t__rust_mpage_writepages\t/a/rust_mpage\tEXPORT_SYMBOL_GPL\t\n"
        ).splitlines()]
        self.assertEqual(names, ["__rust_mpage_writepages", "rust_mpage_readahead"])

    def test_the_place_of_the_build_is_left_out(self):
        line = "0x2\trust_mpage_readahead\t{}/rust_mpage\tEXPORT_SYMBOL_GPL\t\n"
        self.assertEqual(self.of(line.format("/a")), self.of(line.format("/b")))

    def test_versions_are_kept(self):
        self.assertTrue(self.of(
            "0xabc\trust_mpage_readahead\tx\tEXPORT_SYMBOL_GPL\t\n"
        ).startswith("0xabc\t"))


class Tools(unittest.TestCase):
    def wanted(self, *tests):
        with mock.patch.dict(os.environ, {"TESTS": " ".join(tests)}):
            return testtools.wanted(settings.Settings())

    def test_only_for_tests_that_run_them(self):
        self.assertTrue(self.wanted())
        self.assertTrue(self.wanted("fsx"))
        self.assertFalse(self.wanted("twin", "^mount"))

    def test_versions_are_exact(self):
        for version in testtools.PROGRAMS.values():
            self.assertTrue(re.fullmatch(r"\d+\.\d+\.\d+", version))


if __name__ == "__main__":
    unittest.main()
