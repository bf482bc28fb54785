# SPDX-License-Identifier: GPL-2.0
"""The room for `make bench`: the plan, the run, the tables and pictures. May use
build and guest, and what is beside the rooms."""
