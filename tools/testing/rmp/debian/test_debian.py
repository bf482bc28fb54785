# SPDX-License-Identifier: GPL-2.0
"""The scripts of the packages, and what the packages are made of."""

import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from rmp import ui
from rmp.build import kernel, packages
from rmp.debian import deb, machine, root
from rmp.settings import KERNEL_SERIES, OLDER, TOP

SCRIPTS = TOP / "tools" / "debian"


def run(script, *words, **more):
    """(exit status, what it says) of a script of the packages."""
    done = subprocess.run([SCRIPTS / script, *words], stdin=subprocess.DEVNULL, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          encoding="utf-8", env=dict(os.environ, **more))
    return done.returncode, done.stdout


class Mount(unittest.TestCase):
    """mount.ext2, with a mount(8) that says how it was called."""

    def mounted(self, modprobe, *words, mount='echo "$@"', where=os.environ["PATH"], user=0):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("mount", mount), ("modprobe", modprobe),
                               ("grep", "exit 1"), ("id", f"echo {user}"), ("uname", "echo 7.3")):
                path = Path(folder, name)
                path.write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
                path.chmod(0o755)
            return run("mount.ext2", *words, PATH=f"{folder}:{where}")

    def test_rust_ext2_takes_it(self):
        self.assertEqual(self.mounted("true", "/dev/x y", "/mnt", "-n", "-o", "ro,sb=3"),
                         (0, "-i -t rust_ext2 -n -o ro,sb=3 -- /dev/x y /mnt\n"))

    def test_without_it_the_kernel_does(self):
        status, told = self.mounted(
            "echo 'modprobe: FATAL: Module rust_ext2 not found in directory /lib/modules/7.3' >&2; "
            "exit 1", "/dev/x", "/mnt", "-o", "ro")
        self.assertEqual((status, told.splitlines()[1:]),
                         (0, ["-i -t ext2 -o ro -- /dev/x /mnt"]))
        self.assertIn("no rust_ext2 for 7.3", told)

    def test_one_that_cannot_be_loaded_is_there(self):
        """As by Secure Boot: what modprobe says of it is said."""
        key = "modprobe: ERROR: could not insert 'rust_ext2': Key was rejected by service"
        status, told = self.mounted(f'echo "{key}" >&2; exit 1', "/dev/x", "/mnt")
        self.assertEqual((status, told.splitlines()), (0, [
            f"mount.ext2: rust_ext2 cannot be loaded: {key}: the kernel's ext2 tries /dev/x",
            "-i -t ext2 -- /dev/x /mnt"]))

    REFUSED = ('case "$*" in *rust_ext2*) echo "mount: /mnt: fsconfig() failed: Unknown parameter '
               '\'discard\'." >&2; echo more >&2; exit 32;; esac; echo "$@"; exit {}')

    def test_what_rust_ext2_refuses_the_kernel_takes(self):
        """As an option of ext4's; a boot goes on as without the package."""
        self.assertEqual(
            self.mounted("true", "/dev/x", "/mnt", "-o", "discard", mount=self.REFUSED.format(0)),
            (0, "mount.ext2: not by rust_ext2: /mnt: fsconfig() failed: Unknown parameter "
                "'discard'.: the kernel's ext2 tries /dev/x\n"
                "-i -t ext2 -o discard -- /dev/x /mnt\n"))

    def test_what_both_refuse_is_refused_by_the_last(self):
        status, told = self.mounted("true", "/dev/x", "/mnt", mount=self.REFUSED.format(13))
        self.assertEqual((status, told.count("not by rust_ext2")), (13, 1))

    def test_what_may_have_been_mounted_is_not_mounted_again(self):
        for status in (1, 2, 16, 64):
            self.assertEqual(
                self.mounted("true", "/dev/x", "/mnt",
                             mount=f'echo "told of $4" >&2; exit {status}'),
                (status, "told of --\n"))

    def test_what_is_said_of_a_mount_is_passed_on(self):
        self.assertEqual(
            self.mounted("true", "/dev/x", "/mnt", "-v",
                         mount='echo "a  warning" >&2; echo mounted'),
            (0, "mounted\na  warning\n"))

    def test_the_path_of_who_becomes_root_has_no_sbin(self):
        """modprobe is told where it is, and what that runs."""
        told = 'echo "$PATH" | exec /bin/sed s,^,PATH=, >&2; exit 1'
        self.assertRegex(self.mounted(told, "/dev/x", "/mnt", where="/usr/bin")[1],
                         "PATH=.*:/usr/bin:.*:/sbin")

    def test_who_is_not_root_is_told_what_to_do(self):
        status, told = self.mounted("true", "/dev/x", "/mnt", user=1000)
        self.assertEqual((status, told.count("\n")), (1, 1))
        self.assertIn("use mount -i /mnt\n", told)

    def test_too_few_words(self):
        status, told = self.mounted("true", "/dev/x")
        self.assertEqual((status, told.split(":")[0]), (1, "usage"))


# as invoke_command and run_build_script of dkms 3.2
_DKMS = """
( eval "cd $PWD && $SCRIPT 7.3" ) >> make.log 2>&1
res=$?
echo "(bad exit status: $res)"
exit $res
"""


class Prebuild(unittest.TestCase):
    """dkms-prebuild, with a kernel-rust that ends as it is told to."""

    def built(self, status, said):
        """(exit status, what dkms and its children say, make.log)"""
        with tempfile.TemporaryDirectory() as folder:
            tool = Path(folder, "kernel-rust")
            tool.write_text(f"#!/bin/sh\necho made: $1\n{said}\nexit {status}\n", encoding="ascii")
            tool.chmod(0o755)
            logger = Path(folder, "logger")
            logger.write_text('#!/bin/sh\necho "logged: $*"\n', encoding="ascii")
            logger.chmod(0o755)
            done = subprocess.run(
                ["bash", "-c", _DKMS], cwd=folder, check=False, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                env=dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}",
                         SCRIPT=str(SCRIPTS / "dkms-prebuild")))
            return done.returncode, done.stdout, Path(folder, "make.log").read_text("utf-8")

    def test_a_kernel_that_is_left_out(self):
        """Its status is the one by which dkms leaves it out, and the reason is told."""
        status, told, log = self.built(
            77, "echo 'kernel-rust: building' >&2; echo 'kernel-rust: no rustc 2' >&2")
        self.assertEqual(status, 77)
        self.assertIn("\nrust-mpage: no modules for 7.3: no rustc 2; when that is done: "
                      "dkms autoinstall -k 7.3\n", told)
        self.assertNotIn("building", told)
        self.assertIn("kernel-rust: building", log)

    def test_a_fault_is_one(self):
        status, told, _ = self.built(1, "echo 'kernel-rust: could not be built' >&2")
        self.assertEqual(status, 1)
        self.assertIn("rust-mpage: kernel-rust has failed for 7.3: could not be built", told)

    def test_the_journal_has_it(self):
        """What dkms writes to may be a file, over which it writes itself."""
        log = self.built(77, "echo 'kernel-rust: no rustc 2' >&2")[2]
        self.assertIn("logged: -t rust-mpage -- no modules for 7.3: no rustc 2;", log)

    def test_a_kernel_that_can(self):
        status, told, log = self.built(0, "echo 'kernel-rust: building' >&2")
        self.assertEqual((status, told), (0, "(bad exit status: 0)\n"))
        self.assertIn("building", log)
        self.assertNotIn("made", log)

    def test_dkms_runs_it(self):
        conf = (TOP / "debian/rust-mpage-dkms.dkms").read_text(encoding="utf-8")
        done = subprocess.run(["bash", "-c", conf + 'echo "$PRE_BUILD"'], check=True, text=True,
                              capture_output=True, env={"kernelver": "7.3"})
        self.assertEqual(done.stdout, "dkms-prebuild 7.3\n")


class Build(unittest.TestCase):
    """dkms-build, with a make that says how it was called."""

    def made(self, *words, **more):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("make", 'echo "$@"'), ("kernel-rust", "echo /kdir")):
                path = Path(folder, name)
                path.write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
                path.chmod(0o755)
            status, told = run("dkms-build", *words, PATH=f"{folder}:{os.environ['PATH']}", **more)
        self.assertEqual(status, 0, told)
        return told.split()

    def test_what_dkms_adds_is_for_make(self):
        """LLVM=1 for a kernel that was built by clang."""
        conf = (TOP / "debian/rust-mpage-dkms.dkms").read_text(encoding="utf-8")
        done = subprocess.run(["bash", "-c", conf + 'echo "${MAKE[0]} LLVM=1"'], check=True,
                              env={"kernelver": "7.3", "parallel_jobs": "4"},
                              capture_output=True, encoding="utf-8")
        words = done.stdout.split()
        self.assertEqual(words[0], "./dkms-build")
        made = self.made(*words[1:])
        self.assertEqual(made[:2], ["-C", "/kdir"])
        self.assertLessEqual({"-j4", "LLVM=1", "modules"}, set(made))
        self.assertFalse([word for word in made if word.startswith("RUSTC=")])

    def test_the_compiler_that_is_named(self):
        self.assertIn("RUSTC=/my/rustc", self.made("7.3", "-j2", RUSTC="/my/rustc"))


class Packages(unittest.TestCase):
    def test_they_have_all_that_the_rules_take(self):
        found = deb.sources(TOP)
        rules = (TOP / "debian" / "rules").read_text(encoding="utf-8")
        wanted = re.search(r"^SOURCES := (.*)$", rules, re.M)[1].split()
        wanted += re.findall(r"\s(tools/[\w./-]+\w)", rules)
        for page in (TOP / "debian").glob("*.manpages"):
            wanted += page.read_text(encoding="utf-8").split()
        for name in wanted:
            self.assertTrue(any(path == name or path.startswith(f"{name}/")
                                for path in found), name)
        self.assertFalse([path for path in found if path.endswith((".o", ".ko", ".deb"))])

    def test_they_are_for_the_kernel_that_is_tested(self):
        conf = (TOP / "debian/rust-mpage-dkms.dkms").read_text(encoding="utf-8")
        kernels = re.search(r'^BUILD_EXCLUSIVE_KERNEL="(.*)"$', conf, re.M)[1]
        self.assertTrue(re.match(kernels, f"{KERNEL_SERIES}.4+deb13-amd64"))
        options = re.search(r'^BUILD_EXCLUSIVE_CONFIG="(.*)"$', conf, re.M)[1]
        self.assertEqual(options.split(), list(kernel.NEEDED))
        for other in (*OLDER, "7.30", "7.4", "17.3"):
            self.assertFalse(re.match(kernels, f"{other}.1+deb13-amd64"), other)
        control = "".join((TOP / "debian" / name).read_text(encoding="utf-8")
                          for name in ("control", "rust-mpage-dkms.triggers"))
        self.assertEqual(set(re.findall(r"linux-source-(\d+\.\d+)", control)), {KERNEL_SERIES})

    def test_every_package_describes_itself(self):
        text = (TOP / "debian/control").read_text(encoding="utf-8") + \
            (TOP / "debian/modules.control.in").read_text(encoding="utf-8")
        names = re.findall(r"^Package: (\S+)", text, re.M)
        self.assertEqual(len(names), 4)
        self.assertEqual(len(re.findall(r"^Description: \S", text, re.M)), 4)


class Described(unittest.TestCase):
    """What somebody has to know before Debian's own ext2 is replaced."""

    def test_attributes_in_inodes(self):
        for path in ("debian/control", "Documentation/man/mount.ext2.8",
                     "Documentation/man/rust_ext2.5", "README.md"):
            text = " ".join((TOP / path).read_text(encoding="utf-8").split())
            for words in ("access control lists and file capabilities", "kernel's ext4"):
                self.assertIn(words, text, path)


class WhatIsMissing(unittest.TestCase):
    """Each is one line, before anything is made."""

    def told(self, settings):
        with self.assertRaises(ui.Fail) as failure:
            root.ensure(settings)
        self.assertNotIn("\n", str(failure.exception))
        return str(failure.exception)

    def test_root(self):
        with mock.patch.object(root.os, "geteuid", lambda: 1000):
            self.assertIn("as root", self.told(None))

    def test_debootstrap(self):
        with mock.patch.object(root.os, "geteuid", lambda: 0), \
                mock.patch.object(packages.command, "which", lambda _: None), \
                mock.patch.object(packages, "can_install", lambda: False):
            self.assertIn("debootstrap is missing", self.told(None))

    def test_what_boots_it(self):
        with mock.patch.object(packages.command, "which", lambda name: name == "mke2fs"), \
                mock.patch.object(packages, "can_install", lambda: False), \
                self.assertRaises(ui.Fail) as failure:
            machine.need(None)
        self.assertEqual(str(failure.exception),
                         "qemu-system-x86_64 is missing: install it (Debian: qemu-system-x86)")

    def test_the_suite(self):
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(root.ksource, "mirror", lambda *_: "http://mirror/debian"), \
                mock.patch.object(root, "check", lambda _: None), \
                mock.patch.object(root.ksource.command, "text", lambda *_, **__: None):
            store = SimpleNamespace(path=Path(folder), find=lambda *_: None)
            self.assertEqual(
                self.told(SimpleNamespace(cache=store)),
                "the mirror of this machine's apt has no trixie and trixie-backports for amd64: "
                "http://mirror/debian")


class Counters(unittest.TestCase):
    def test_each_is_described(self):
        text = (TOP / "Documentation/counters.rst").read_text(encoding="utf-8")
        tables = re.findall(r"^(=+ +=+\n(?:``.*\n| .*\n)+=)", text, re.M)
        for kind, table in zip(("read", "write"), tables, strict=True):
            code = (TOP / f"mpage/{kind}/counters.rs").read_text(encoding="utf-8")
            self.assertEqual(re.findall(r"^``(\w+)``", table, re.M),
                             re.findall(r'read_only_file\(c"(\w+)"', code))


    def test_the_page_of_the_tool_has_them(self):
        text = (TOP / "Documentation/counters.rst").read_text(encoding="utf-8")
        page = (TOP / "Documentation/man/rust-mpage-stat.8").read_text(encoding="utf-8")
        told = page[page.index(".SH COUNTERS"):page.index(".SH SEE ALSO")]
        self.assertEqual(set(re.findall(r"^\.B (\w+)$", told, re.M)),
                         set(re.findall(r"^``(\w+)``  ", text, re.M)))


class ManualPage(unittest.TestCase):
    def test_it_has_every_mount_option(self):
        code = (TOP / "ext2/mount/options.rs").read_text(encoding="utf-8")
        names = set()
        for kind, name in re.findall(r'Parameter::(\w+)\(c"(\w+)"', code):
            names |= {name, f"no{name}"} if kind == "flag_no" else {name}
        names |= set(re.findall(r'\(c"([\w-]+)", ERRORS_', code))
        page = (TOP / "Documentation/man/rust_ext2.5").read_text(encoding="utf-8")
        told = page[page.index(".SH OPTIONS"):page.index(".SH FILES")]
        heads = re.findall(r"^\.T[PQ]\n(.*)$", told, re.M)
        found = set(re.findall(r"[a-z][a-z0-9_-]+", " ".join(heads).replace("\\", "")))
        self.assertGreater(len(names), 30)
        self.assertEqual(found, names)


if __name__ == "__main__":
    unittest.main()
