# SPDX-License-Identifier: GPL-2.0
"""The room for `make test`: the guests of a run, the tests that need one of their
own, the results. May use arm64, build, debian, guest, images, series, without and xfstests, and
what is beside the rooms."""
