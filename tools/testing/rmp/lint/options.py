# SPDX-License-Identifier: GPL-2.0
"""Whether the bindings have what the code uses also where the kernel is configured
otherwise: a function may be a macro or inline without an option, and bindgen sees neither.

The bindings are made once more, the kernel's and ours, with these options off; only the
names count. Code that is there only with an option has a #[cfg] of it.

Leaves out: fields of structures; and options without which nothing is left (BLOCK).
"""

import re
import shlex
import subprocess
import tempfile

# Each takes away something that is used, or was.
OFF = ("CGROUP_WRITEBACK", "FILE_LOCKING", "FS_POSIX_ACL",
       "MIGRATION", "MULTIUSER", "PRINTK", "QUOTA", "TRANSPARENT_HUGEPAGE")
# what it guards: a line, or a block with the indentation of the attribute
_CFG = re.compile(r"( *)#\[cfg\(CONFIG_(\w+)\)\]\n(?:.*\{\n(?:.*\n)*?\1\}.*\n|.*\n)")
_NAME = re.compile(r"\bbindings::([a-z][a-z0-9_]*)\b")
_PUBLIC = re.compile(r"\bpub (?:unsafe )?(?:fn|const|static mut|static|struct|union|type|mod) (\w+)"
                     r"|\bpub use self::\w+ as (\w+)")


def used(text):
    """The functions and types that code uses of the bindings, with these options off."""
    text = _CFG.sub(lambda match: "" if match[2] in OFF else match[0], text)
    return set(_NAME.findall(text))


def _command(saved):
    """(argv, folder) of a bindgen whose .cmd file this is, to standard output, with a
    place for one more file to include."""
    line = saved.read_text(encoding="utf-8").splitlines()[0]
    words = shlex.split(line.partition(" := ")[2].replace("$(pound)", "#"), comments=False)
    if ";" in words:
        words = words[:words.index(";")]
    at = words.index("-o")
    del words[at:at + 2]
    words = [word for word in words if not word.startswith("-Wp,")]
    at = next(i for i, word in enumerate(words) if word.endswith("/kconfig.h")) + 1
    return words[:at], words[at:]


def _names(saved, folder, options, header, env):
    """What bindgen makes, or an error as text."""
    head, tail = _command(saved)
    at = head.index("--")
    argv = [*head[:at], *options, *head[at:], "-include", header, *tail, "-w"]
    done = subprocess.run(argv, cwd=folder, stdin=subprocess.DEVNULL, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          encoding="utf-8", errors="replace")
    if done.returncode:
        return set(), f"bindgen: {done.stderr[:300]}"
    return {first or second for first, second in _PUBLIC.findall(done.stdout)}, ""


def complaints(settings, kernel, objects, chain, paths):
    """The names that are missing."""
    names = {}
    for path in paths:
        if path.endswith(".rs") and path.startswith(("abstractions/", "abi/")):
            text = (settings.top / path).read_text(encoding="utf-8")
            names.update(dict.fromkeys(used(text), path))
    env = chain.environment()
    with tempfile.NamedTemporaryFile("w", suffix=".h") as header:
        for option in OFF:
            header.write(f"#undef CONFIG_{option}\n#undef CONFIG_{option}_MODULE\n")
        header.flush()
        base = "bindings/.bindings_generated.rs.cmd"
        theirs, wrong = _names(
            kernel.build / "rust" / base, kernel.build,
            ["--no-recursive-allowlist", "--allowlist-item",
             f"(RUST_CONST_HELPER_)?({'|'.join(sorted(names))})"], header.name, env)
        ours, more = _names(objects / base, objects, [], header.name, env)
    if wrong or more:
        return [wrong or more]
    return [f"{names[name]}: the bindings lack {name} without an option of "
            f"{', '.join(OFF)}" for name in sorted(set(names) - theirs - ours)]
