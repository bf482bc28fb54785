# SPDX-License-Identifier: GPL-2.0
"""The room for `make xfstests`: a user's own tree of xfstests on rust_ext2 and on
C ext2. May use build, guest and what is beside the rooms."""
