# SPDX-License-Identifier: GPL-2.0
"""The room for `make run` and `make shell`: the disk of real files, the guest, the
tables. May use build, debian and guest, and what is beside the rooms."""
