# SPDX-License-Identifier: GPL-2.0
"""rust_mpage host tool: what `make run`, `make test` and the others do."""
