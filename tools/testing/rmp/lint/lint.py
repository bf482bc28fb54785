# SPDX-License-Identifier: GPL-2.0
"""`make lint`: clippy, rustfmt, checkpatch, and the rules of this project."""

import ast
import os
import re
import subprocess
import sys

from .. import command, ui
from ..build import modules
from ..build.built import Built
from . import (codes, comments, inlined, layers, options, readme, refused, rooms, rustrules,
               unused)
from .objects import siblings, stack, symbols

MAX_LINES = 500
# one cache line for all; abstractions/counts.rs has one for each processor
_SHARED = re.compile(r"^\s*(?:pub(?:\(\w+\))? )?static \w+:[^=]*\bAtomic", re.M)
# of the kernel; compat/ has all that differs, and Kbuild chooses there
_VERSION = re.compile(r"\bLINUX_VERSION_CODE\b|\bKERNEL_VERSION\(|\blinux_\d+_\d+\b")
_TEXT = (".rs", ".c", ".h", ".py", ".config")
_NAMES = ("Kbuild", "Makefile", "run", "bindgen_parameters", "rules", "kernel-rust",
          "dkms-build", "dkms-prebuild", "mount.ext2", "rust-mpage-stat")


def files(top):
    """All files of the project, relative to top, without what was built."""
    found = []
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders
                      if name not in (".git", "__pycache__", "doc")]
        for name in names:
            if "_generated" in name or name.endswith(".mod.c"):
                continue
            if name.startswith(".") and name.endswith((".o.d", ".cmd", ".c")):
                continue
            if name.endswith(_TEXT) or name in _NAMES:
                found.append(os.path.relpath(os.path.join(folder, name), top))
    return sorted(found)


def asks_for_a_version(path, text):
    """Whether a source of the modules asks for the kernel's version, and may not."""
    is_source = path.endswith((".rs", ".c", ".h")) or path.endswith("Kbuild")
    return is_source and not path.startswith("compat/") and bool(_VERSION.search(text))


def house_rules(top, paths):
    """Complaints about single files."""
    found = []
    for path in paths:
        text = (top / path).read_text(encoding="utf-8")
        head = "\n".join(text.splitlines()[:3])
        if "SPDX-License-Identifier:" not in head:
            found.append(f"{path}: no SPDX-License-Identifier in its first lines")
        lines = text.count("\n")
        if lines > MAX_LINES and path.endswith((".rs", ".c", ".h", ".py")):
            found.append(f"{path}: {lines} lines, more than {MAX_LINES}")
        if path.endswith(".rs") and _SHARED.search(text):
            found.append(f"{path}: an atomic that all processors share: use Count")
        if asks_for_a_version(path, text):
            found.append(f"{path}: asks for the kernel's version: that is for compat/")
        if path.endswith(".py"):
            try:
                ast.parse(text, path)
            except SyntaxError as error:
                found.append(f"{path}:{error.lineno}: {error.msg}")
        for number, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip():
                found.append(f"{path}:{number}: space at the end of the line")
    return found


def texts(top, paths):
    """{path: text} of the Rust files among them."""
    return {path: (top / path).read_text(encoding="utf-8") for path in paths
            if path.endswith(".rs")}


def rustfmt(settings, chain, paths):
    rust = [path for path in paths if path.endswith(".rs")]
    if not rust:
        return []
    done = subprocess.run(
        [chain.beside_rustc("rustfmt"), "--check", "--edition", "2021",
         "--config-path", settings.top / ".rustfmt.toml",
         "--config", "skip_children=true", *rust],
        cwd=settings.top, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=command.environment(), check=False,
        encoding="utf-8",
    )
    if done.returncode:
        return (done.stdout + done.stderr).splitlines()
    return []


def checkpatch(settings, source, paths):
    """checkpatch.pl on C and headers, each as a whole file."""
    code = [path for path in paths if path.endswith((".c", ".h"))]
    found = []
    for path in code:
        done = subprocess.run(
            ["perl", source / "scripts/checkpatch.pl", "--no-tree", "--terse",
             "--no-summary", f"--root={source}", "--file", path],
            cwd=settings.top, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=command.environment(), check=False,
            encoding="utf-8",
        )
        found += [line for line in done.stdout.splitlines()
                  if re.search(r": (ERROR|WARNING|CHECK): ", line)]
        if done.returncode and not found:
            found += done.stdout.splitlines() or [f"{path}: checkpatch failed"]
    return found


def documents(settings):
    """The checks that compare Documentation/ with the code."""
    found = []
    for script, words in (("unsafe-inventory.py", ["--check"]),
                          ("parity-check.py", [])):
        path = settings.top / "tools" / script
        if not path.exists():
            continue
        done = subprocess.run(
            [sys.executable, path, *words], cwd=settings.top,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False, encoding="utf-8",
        )
        if done.returncode:
            found += done.stdout.splitlines() or [f"{script} failed"]
    return found


def _show(what, complaints):
    ui.say(f"  {what}: " + (f"{len(complaints)} lines" if complaints else "clean"))
    for line in complaints[:60]:
        ui.say(f"    {line}")
    if len(complaints) > 60:
        ui.say(f"    ... and {len(complaints) - 60} more")
    return bool(complaints)


def main(settings):
    paths = files(settings.top)
    if settings.kdir_checked and not settings.kdir:
        settings.kdir = settings.kdir_checked
    with settings.cache.locked():
        built = Built(settings, "checked")
        bad = _show("files", house_rules(settings.top, paths))
        bad |= _show("rooms", rooms.complaints(settings.top))
        bad |= _show("rust beside C", rustrules.complaints(settings.top, paths))
        bad |= _show("layers", layers.complaints(settings.top, paths))
        bad |= _show("comments", comments.complaints(texts(settings.top, paths)))
        bad |= _show("inlined", inlined.complaints(texts(settings.top, paths)))
        bad |= _show("unused", unused.complaints(texts(settings.top, paths)))
        bad |= _show("readme", readme.complaints(
            (settings.top / "README.md").read_text(encoding="utf-8"),
            texts(settings.top, refused.EXAMPLES)))
        bad |= _show("documents", documents(settings))
        bad |= _show("codes", codes.complaints(settings.top, built.source,
                                               texts(settings.top, paths)))
        bad |= _show("rustfmt", rustfmt(settings, built.chain, paths))
        bad |= _show("checkpatch", checkpatch(settings, built.source, paths))
        try:
            objects = modules.ensure(settings, built.kernel, built.chain, clippy=True)
            bad |= _show("options", options.complaints(settings, built.kernel, objects,
                                                       built.chain, paths))
            bad |= _show("objects", siblings.complaints(objects, built.chain))
            bad |= _show("stack", stack.complaints(objects, built.chain))
            bad |= _show("symbols", symbols.complaints(objects, built.chain))
            bad |= _show("refused", refused.complaints(settings, objects, built.chain,
                                                       paths))
        except ui.Fail as failure:
            bad = True
            ui.say(f"  clippy: {failure}")
    ui.say("\nlint: " + ("FAILED" if bad else "clean"))
    return 1 if bad else 0
