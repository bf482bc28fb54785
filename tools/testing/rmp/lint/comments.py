# SPDX-License-Identifier: GPL-2.0
"""Comments of Rust are as wide as the series has them (series/reflow.py), so that a patch has
what the tree has.

    PYTHONPATH=tools/testing python3 -m rmp reflow    breaks them anew, in place, all
"""

from .. import ui
from ..series import reflow


def complaints(texts):
    """The files of {path: text} that have comments which are too wide."""
    return [f"{path}: comments of more than {reflow.WIDTH} bytes: python3 -m rmp reflow"
            for path, text in sorted(texts.items())
            if reflow.rust(text) != text]


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
