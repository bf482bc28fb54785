# SPDX-License-Identifier: GPL-2.0
"""The room for modules of kernels without an option that the bindings depend on. May use
build, and what is beside the rooms."""
