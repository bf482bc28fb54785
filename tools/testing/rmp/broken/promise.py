# SPDX-License-Identifier: GPL-2.0
"""What a promise is, and how it is broken."""

from typing import NamedTuple

from ..tests.testrun import SUITES


class Broken(NamedTuple):
    """A promise and how it is broken."""

    name: str     # what TESTS= is matched with
    promise: str
    edits: tuple  # of (source, text, what that is replaced by)
    red: tuple    # tests, each of which has to fail: of the guest, or of one KUnit suite

    def suite(self):
        """The KUnit suite that is to notice, or "" if a test of the guest is."""
        name = self.red[0].split(".")[0]
        return name if name.startswith(SUITES) else ""
