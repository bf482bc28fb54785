# SPDX-License-Identifier: GPL-2.0
"""What each patch of the series brings, and how a file is while only some have been
applied. Pure: text in, text out.

In the kernel the project is fs/rust_mpage/, its headers are where headers are, and its
documents in Documentation/filesystems/rust_mpage/.
"""

import re

from . import reflow

HOME = "fs/rust_mpage"
DOCUMENTS = "Documentation/filesystems/rust_mpage"
# A patch each, and the folders whose files come with it; its message is
# tools/series/NUMBER-NAME.txt.
STAGES = {
    "abstractions": ("bindings", "compat", "abstractions"),
    "mpage": ("mpage",),
    "abi": ("abi", "include"),
    "ext2": ("ext2",),
    "tests": ("tests",),
    "livepatch": ("livepatch",),
    "documentation": ("Documentation",),
}
COUNT = len(STAGES)
# of Documentation/: the others are about the project outside the kernel
DOCUMENT_NAMES = ("adding-a-wrapper.rst", "counters.rst", "design.rst", "ext2.rst",
                  "locking.rst", "reading.rs", "unsafe.rst", "writing.rs", "writing.rst")
OPTIONS = {"RUST_MPAGE": "abstractions", "RUST_EXT2": "ext2",
           "RUST_MPAGE_KUNIT_TEST": "tests", "RUST_MPAGE_LIVEPATCH": "livepatch"}
_OLDER = re.compile(r"compat/(?:Kbuild|linux_\d.*)")
_UNUSED = """
// What is not used yet is by the patches that follow.
#![allow(dead_code, unused_imports)]
"""


def number(name):
    """1, 2, ... of a patch."""
    return list(STAGES).index(name) + 1


def of_folder(folder):
    """The patch with the files of a folder at the top."""
    for at, folders in enumerate(STAGES.values(), 1):
        if folder in folders:
            return at
    raise ValueError(f"{folder}/: no patch of the series brings this folder")


def place(path):
    """(patch, path in the kernel) of a source file, or None."""
    folder, _, rest = path.partition("/")
    if path == "Kbuild":
        return 1, f"{HOME}/Makefile"
    if _OLDER.match(path):
        return None
    if not rest:
        return 1, f"{HOME}/{path}"
    if folder == "include":
        return of_folder(folder), path
    if folder == "Documentation":
        if rest not in DOCUMENT_NAMES:
            return None
        return of_folder(folder), f"{DOCUMENTS}/{rest}"
    return of_folder(folder), f"{HOME}/{path}"


def render(path, text, stage):
    """A source file as it is in the kernel after the patch number `stage`."""
    if path == "Kbuild":
        return makefile(text, stage)
    if path == "rust_mpage.rs":
        text = crate_root(text, stage)
    if path == "compat/mod.rs":
        text = this_kernel(text)
    if path == "Documentation/unsafe.rst":
        text = inventory(text)
    if path == "bindings/bindings_helper.h" and stage < of_folder("abi"):
        text = text.replace("#include <linux/rust_mpage.h>\n", "")
    text = re.sub(rf"\bDocumentation/({'|'.join(map(re.escape, DOCUMENT_NAMES))})",
                  rf"{DOCUMENTS}/\1", text)
    return reflow.rust(text) if path.endswith(".rs") else text


def this_kernel(text):
    """compat/mod.rs without the other kernels."""
    return re.sub(r"^#\[cfg_attr\(linux_\w+, path = .*\)\]\n", "", text, flags=re.M)


def inventory(text):
    """Documentation/unsafe.rst without the files that are not in the series, and the totals
    of what is."""
    table = re.search(r"(?<=inventory: start\n)\n.*(?=\.\. inventory: end)", text, re.S)
    lines, totals = [], [0, 0, 0]
    for line in table[0].splitlines(True):
        row = re.fullmatch(r"(\S+)((?: +\d+){3})\n", line)
        if row and row[1] == "total":
            for total, old in zip(totals, re.finditer(r"\d+", line)):
                line = f"{line[:old.start()]}{total:>{len(old[0])}}{line[old.end():]}"
        elif row and not place(row[1]):
            continue
        elif row:
            totals = [a + int(b) for a, b in zip(totals, row[2].split())]
        lines.append(line)
    text = text[:table.start()] + "".join(lines) + text[table.end():]
    return re.sub(r"\bLinux \d+\.\d+, ", "", text)


def makefile(text, stage):
    """Kbuild, without what is for outside the kernel; a paragraph comes with the last
    folder that it names."""
    text, cuts = re.subn(r"^# The rules of the modules.*?^ifdef KBUILD_EXTMOD\n.*?^endif\n",
                         "", text, flags=re.M | re.S)
    if cuts != 1:
        raise ValueError("Kbuild: one part up to ifdef KBUILD_EXTMOD and its endif is "
                         "expected")

    def of_part(part):
        named = re.findall(r"\b(ext2|tests|livepatch)/", part)
        return max((of_folder(folder) for folder in named), default=1)

    return "\n\n".join(part for part in text.split("\n\n") if of_part(part) <= stage)


def crate_root(text, stage):
    """rust_mpage.rs without the folders that are not there yet: the lines that name one
    go, and the attribute in front of such a line."""
    missing = [folder for folder in ("mpage", "abi") if of_folder(folder) > stage]
    for folder in missing:
        text = re.sub(rf"^(pub )?mod {folder};\n", "", text, flags=re.M)
        text = re.sub(rf"^pub use self::{folder}::\{{.*?\}};\n", "", text,
                      flags=re.M | re.S)
        text = re.sub(rf"^( *#\[.*\]\n)?.*\b{folder}::.*\n", "", text, flags=re.M)
    if missing:
        head, _, rest = text.partition("\n\nuse ")
        text = f"{head}\n{_UNUSED}\nuse {rest}"
    return text


def kconfig(text, stage):
    """Kconfig with the options of the patches up to this one."""
    head, *options = re.split(r"^(?=config )", text, flags=re.M)
    kept = [option for option in options
            if number(OPTIONS[option.split()[1]]) <= stage]
    return (head + "".join(kept)).rstrip("\n") + "\n"


def hook_kconfig(text):
    """fs/Kconfig with ours, where block devices are."""
    return _insert(text, r"^endif # BLOCK\n", f'source "{HOME}/Kconfig"\n\n', "fs/Kconfig")


def hook_makefile(text):
    """fs/Makefile with ours, behind the C drivers, so that these are asked first for a
    root filesystem without a type."""
    line = "obj-$(CONFIG_RUST_MPAGE)\t+= rust_mpage/\n"
    return _insert(text, r"^obj-\$\(CONFIG_BPF_LSM\)", line, "fs/Makefile")


def hook_index(text):
    """Documentation/filesystems/index.rst with ours, in its order."""
    return _insert(text, r"^   smb/index\n", "   rust_mpage/index\n",
                   "Documentation/filesystems/index.rst")


def hook_maintainers(text, entry, stage):
    """MAINTAINERS with our entry, of which paths come with their files."""
    later = {"Documentation/": "documentation", "include/": "abi"}
    lines = [line for line in entry.splitlines(True)
             if not any(line.startswith(f"F:\t{folder}") and number(name) > stage
                        for folder, name in later.items())]
    heading = lines[0].rstrip("\n")
    for found in re.finditer(r"(?<=\n\n)(?=[A-Z0-9].*\n[A-Z]:\t)", text):
        other = text[found.start():].split("\n", 1)[0]
        if other > heading:
            at = found.start()
            return text[:at] + "".join(lines) + "\n" + text[at:]
    raise ValueError("MAINTAINERS: no entry that comes behind ours")


def _insert(text, pattern, line, name):
    found = re.search(pattern, text, re.M)
    if not found:
        raise ValueError(f"{name}: nothing matches {pattern}")
    return text[:found.start()] + line + text[found.start():]
