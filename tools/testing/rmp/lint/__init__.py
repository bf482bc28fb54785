# SPDX-License-Identifier: GPL-2.0
"""The room for `make lint`: the rules that no compiler and no other tool knows. May
use build, and what is beside the rooms."""
