# SPDX-License-Identifier: GPL-2.0
"""`make broken`: each promise is broken on purpose, and a test has to notice."""
