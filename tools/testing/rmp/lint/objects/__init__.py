# SPDX-License-Identifier: GPL-2.0
"""What the lint looks for in the objects that were built, where no source shows it."""
