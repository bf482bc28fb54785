# SPDX-License-Identifier: GPL-2.0
"""Build the project's modules for a kernel, out of tree, into the cache.

Keyed by the kernel and by the sources, so that nothing is written into the
checkout and two checkouts do not disturb each other.
"""

import os
import shlex
import shutil

from .. import cache, command, ui

_SUFFIXES = (".rs", ".c", ".h")
_NAMES = ("Kbuild", "Makefile", "bindgen_parameters")
_NOT_HERE = ("tools", "Documentation", "doc")


def sources(top):
    """Paths, relative to top, of everything that the modules are made from."""
    found = []
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".")
            and not (folder == str(top) and name in _NOT_HERE) and name != "refused"
        )
        for name in files:
            # what an in-tree `make modules` made is no source
            if "_generated" in name or name.endswith(".mod.c") or name[0] == ".":
                continue
            if name.endswith(_SUFFIXES) or name in _NAMES:
                path = os.path.relpath(os.path.join(folder, name), top)
                if path != "Makefile":
                    found.append(path)
    return sorted(found)


def source_key(top):
    return cache.digest_files(top, sources(top))


def mirror(top, target):
    """A copy of the sources: an in-tree build's objects stay out of it."""
    for path in sources(top):
        copy = target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(top / path, copy)


def ensure(settings, kernel, chain, clippy=False, strict=False):
    """Directory with the modules and modules.order; if strict, a warning is an error.
    Needs the cache's lock."""
    kind = "clippy" if clippy else "modules"
    key = cache.digest(kernel.key, source_key(settings.top), chain.versions())
    log = settings.cache.logs / f"{kind}-{kernel.build.name}.log"

    def build(entry):
        source, objects = entry / "source", entry / "objects"
        mirror(settings.top, source)
        objects.mkdir()
        argv = kernel.make(chain, f"M={source}", f"MO={objects}",
                           f"-j{settings.jobs}", "modules")
        if clippy:
            argv.append("CLIPPY=1")
        what = "clippy" if clippy else "modules"
        command.step(what, argv, log, env=chain.environment())
        if clippy or strict:
            _no_warnings(log)

    return settings.cache.make(kind, key, build) / "objects"


def _no_warnings(log):
    text = log.read_text(encoding="utf-8", errors="replace")
    # the objtool of an older kernel does not know what functions of a newer Rust never return
    found = [line for line in text.splitlines() if ": warning: objtool:" not in line
             and (line.startswith(("warning:", "error:")) or ": warning:" in line)]
    if found:
        at = text.index(found[0])
        shown = "\n".join("    " + line for line in text[at:].splitlines()[:40])
        raise ui.Fail(f"the compiler has {len(found)} warnings; the first:\n{shown}\n"
                      f"the whole log: {log}")


def saved_words(saved, program):
    """(environment, argv) from the text of a .cmd file of Kbuild, to run a program in
    place of the compiler, which writes nothing yet."""
    line = saved.splitlines()[0].partition(":=")[2].replace("$$", "$")
    words = shlex.split(line.partition(" ;")[0])
    env = {}
    while "=" in words[0] and not words[0].startswith("-"):
        name, _, value = words.pop(0).partition("=")
        env[name] = value
    words.pop(0)  # rustc
    argv = [program]
    while words:
        word = words.pop(0)
        if word in ("--out-dir", "-o"):
            words.pop(0)
        elif not word.startswith(("--emit=", "--remap-path")):
            argv.append(word)
    return env, argv


def names(objects):
    """Names of the modules of a build, in the order of loading; without those that
    a test loads when it needs them."""
    order = (objects / "modules.order").read_text(encoding="ascii").split()
    found = [os.path.basename(path).rsplit(".", 1)[0] for path in order]
    found = [name for name in found
             if name not in ("rust_mpage_livepatch", "rust_mpage_mounted")]
    known = ("rust_mpage", "rust_ext2", "rust_mpage_test")
    return [name for name in known if name in found] + \
        [name for name in found if name not in known]


def external(settings, chain):
    """`make modules KDIR=`: the ordinary external-module build, in place."""
    os.execvpe("make", [*make_for(settings, chain, settings.top), "modules"],
               chain.environment())


def make_for(settings, chain, folder):
    """make for the modules in a folder, in place, for the user's kernel."""
    kdir = settings.kdir
    argv = ["make", "-C", str(kdir), f"M={folder}"]
    if chain.llvm and _is_clang(kdir):
        argv.append(f"LLVM={chain.llvm}")
    if settings.arch:
        argv.append(f"ARCH={settings.arch}")
    argv += [word for word in chain.make_args() if not word.startswith("LLVM=")]
    return [*argv, f"-j{settings.jobs}"]


def _is_clang(kdir):
    try:
        return "CONFIG_CC_IS_CLANG=y" in (kdir / ".config").read_text(encoding="utf-8")
    except OSError as error:
        raise ui.Fail(f"{kdir} is no kernel build: {error.strerror} "
                      "(.config); give KDIR=") from error
