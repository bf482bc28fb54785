# SPDX-License-Identifier: GPL-2.0
"""The Rust of the README is a part of an example that is compiled. Pure."""

import re

_BLOCK = re.compile(r"^```rust\n(.*?)^```$", re.M | re.S)


def complaints(text, examples):
    """The first lines of the blocks of Rust that are in none of {path: text}."""
    return [f"README.md: in no example that is compiled: {block.splitlines()[0]}"
            for block in _BLOCK.findall(text)
            if not any(block.strip() in code for code in examples.values())]
