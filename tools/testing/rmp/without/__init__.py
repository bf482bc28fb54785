# SPDX-License-Identifier: GPL-2.0
"""Modules for kernels without an option that the bindings depend on."""
