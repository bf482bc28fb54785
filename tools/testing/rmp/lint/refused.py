# SPDX-License-Identifier: GPL-2.0
"""Code that must not compile: what the API's types refuse.

tests/refused/*.rs are filesystem code against the built library's metadata. As they
stand they compile. Each item with `#[cfg(refused = "name")]` is a misuse of the API,
and the comment in front of it says what the compiler has to say of it when it is
there, and nothing else; "-" is for what has no number. The examples of the
documentation are compiled, too.

    // refused: E0308 mismatched types
    #[cfg(refused = "folio_of_another_filesystem")]
"""

import json
import re
import subprocess
import tempfile
from pathlib import Path

from .. import command
from ..build import modules

FOLDER = "tests/refused/"
# without a misuse: what others are to begin with
EXAMPLES = ("Documentation/reading.rs", "Documentation/writing.rs")
# what the library's other users are compiled with
_LIKE = "ext2/rust_ext2"
_CFG = re.compile(r'^\s*#\[cfg\(refused = "(\w+)"\)\]', re.M)
_CASE = re.compile(r'^\s*// refused: (E\d{4}|-) (.+)\n\s*#\[cfg\(refused = "(\w+)"\)\]', re.M)


def cases(text):
    """([(name, code, part of the message)], complaints) of a file."""
    found = [(name, code, message) for code, message, name in _CASE.findall(text)]
    names = [name for name, _, _ in found]
    wrong = [f"{name}: nothing says what it is refused with"
             for name in _CFG.findall(text) if name not in names]
    if not found:
        wrong.append("no case")
    return found, wrong


def errors(output):
    """[(code, message)] of what the compiler has said, as JSON, one a line."""
    found = []
    for line in output.splitlines():
        if not line.startswith("{"):
            continue
        said = json.loads(line)
        if said.get("level") != "error" or said["message"].startswith("aborting"):
            continue
        # what it points to says more than the message in some of them
        labels = [span["label"] or "" for span in said["spans"]]
        labels += [child["message"] for child in said["children"]]
        code = (said["code"] or {}).get("code", "-")
        found.append((code, "; ".join([said["message"], *labels])))
    return found


def judge(name, code, message, found):
    """What is wrong with the refusal of a case, or []."""
    if not found:
        return [f"{name}: compiles"]
    return [f"{name}: {got} {said}, not {code} {message}" for got, said in found
            if got != code or message not in said]


def complaints(settings, objects, chain, paths):
    """What compiles and must not, or is refused for another reason."""
    folder, _, base = _LIKE.rpartition("/")
    saved = (objects / folder / f".{base}.o.cmd").read_text(encoding="utf-8")
    env, argv = modules.saved_words(saved, chain.rustc)
    argv = [word for word in argv if not word.endswith(f"/{_LIKE}.rs")]
    found = []

    def compile_(path, output, *words):
        done = subprocess.run(
            [*argv, *words, "--error-format=json", "--crate-name", "refused",
             "--check-cfg", "cfg(refused, values(any()))",
             f"--emit=metadata={output}/refused.rmeta", settings.top / path],
            cwd=objects, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, check=False, encoding="utf-8",
            env=command.environment(RUSTC_BOOTSTRAP=1, **env))
        said = errors(done.stderr)
        if done.returncode and not said:
            said = [("-", (done.stderr.strip() or "the compiler failed")[:300])]
        return said

    with tempfile.TemporaryDirectory() as output:
        for path in paths:
            if not path.endswith(".rs"):
                continue
            if path in EXAMPLES:
                listed, wrong = [], []
            elif path.startswith(FOLDER):
                text = Path(settings.top / path).read_text(encoding="utf-8")
                listed, wrong = cases(text)
            else:
                continue
            wrong += [f"without any misuse: {code} {said}"
                      for code, said in compile_(path, output)]
            for name, code, message in listed:
                said = compile_(path, output, "--cfg", f'refused="{name}"')
                wrong += judge(name, code, message, said)
            found += [f"{path}: {line}" for line in wrong]
    return found
