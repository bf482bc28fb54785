# SPDX-License-Identifier: GPL-2.0
"""The room for the images that guest tests ask for by name: what a recipe works
with, the formats, and the recipes. May use nothing of the others."""
