# SPDX-License-Identifier: GPL-2.0
"""The room for building: programs, compilers, the kernel, the modules, the C
filesystems on rust_mpage. May use what is beside the rooms."""
