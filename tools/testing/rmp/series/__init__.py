# SPDX-License-Identifier: GPL-2.0
"""The modules as part of the kernel's tree: a series of patches, and what is run of it
there. May use build and guest, and what is beside the rooms."""
