# SPDX-License-Identifier: GPL-2.0
"""The room for guests: booting one, giving it a job, reading its log. May use
build, and what is beside the rooms."""
