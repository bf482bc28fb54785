# SPDX-License-Identifier: GPL-2.0
"""rust_mpage host tool: what `make run`, `make test` and the others do.

A room for each thing, which says in its first lines what it is for and what it may
use: build, guest, images; run, tests, bench, lint. Beside them is what all use:
settings, the cache, commands, what the user sees.
"""
