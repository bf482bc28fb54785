# SPDX-License-Identifier: GPL-2.0
"""Comments of Rust are as wide as the series has them (series/reflow.py), so that a patch has
what the tree has; and no word is there twice in a row, of which the kernel's checkpatch
complains in patches only.

    PYTHONPATH=tools/testing python3 -m rmp reflow    breaks them anew, in place, all
"""

import re

from .. import ui
from ..series import reflow

_TWICE = re.compile(r"(?<!\S)(?!long\b)([a-z]{2,}) \1(?=[ .,;?!]|$)", re.I)


def _repeated(path, text):
    """Words that are there twice in a row in a comment."""
    for number, line in enumerate(text.splitlines(), 1):
        found = _TWICE.search(line.partition("//")[2])
        if found:
            yield f"{path}:{number}: the word '{found[1]}' is there twice"


def complaints(texts):
    """Of {path: text}, the files that have comments which are too wide, and words that are
    there twice."""
    return [f"{path}: comments of more than {reflow.WIDTH} bytes: python3 -m rmp reflow"
            for path, text in sorted(texts.items())
            if reflow.rust(text) != text] + \
        [line for path, text in sorted(texts.items()) for line in _repeated(path, text)]


def main(settings):
    """`python3 -m rmp reflow`."""
    for path in sorted(settings.top.rglob("*.rs")):
        if "_generated" in path.name:
            continue
        text = path.read_text(encoding="utf-8")
        new = reflow.rust(text)
        if new != text:
            path.write_text(new, encoding="utf-8")
            ui.say(f"  {path.relative_to(settings.top)}")
    return 0
