# SPDX-License-Identifier: GPL-2.0
"""The room for `make broken`: each promise is broken on purpose, and a test has to notice.
May use build, guest and tests, and what is beside the rooms."""
