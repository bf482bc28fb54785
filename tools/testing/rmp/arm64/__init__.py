# SPDX-License-Identifier: GPL-2.0
"""The room for guests with an arm64 processor, for `make test ARCH=arm64`: their root, and what
boots it. May use build and guest, and what is beside the rooms."""
