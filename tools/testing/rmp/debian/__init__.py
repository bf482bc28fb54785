# SPDX-License-Identifier: GPL-2.0
"""The room for Debian itself: a root of trixie with the kernel from backports, packages
made in it (`make deb`), and guests that boot it with these installed. May use build
and guest, and what is beside the rooms."""
