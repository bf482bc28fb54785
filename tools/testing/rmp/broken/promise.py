# SPDX-License-Identifier: GPL-2.0
"""What a promise is, and how it is broken."""

from typing import NamedTuple


class Broken(NamedTuple):
    """A promise and how it is broken."""

    name: str     # what TESTS= is matched with
    promise: str
    edits: tuple  # of (source, text, what that is replaced by)
    red: tuple    # tests, each of which has to fail
