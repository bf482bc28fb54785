# SPDX-License-Identifier: GPL-2.0
"""The promises about links of directories from what is in them. The others are in promises.py."""

from .promise import Broken

_DIR = "ext2/dir/"
_ORDER = "ext2/order/"

LINKS = (
    Broken(
        "order.removals.parent.gone",
        "and for as long as the disk has the `..`, not only the name",
        ((_DIR + "names.rs",
          "        kept_in_parent.until_gone(&victim);\n",
          "        kept_in_parent.until_written(dir);\n"),),
        ("moved.parent_goes_last",)),
    Broken(
        "order.removals.parent.number",
        "and nobody gets the number of what has the `..`",
        ((_ORDER + "kept_links.rs",
          "        if let Some(change) = change {\n", "        if let Some(change) = None {\n"),),
        ("removals.number_of_what_has_gone",)),
)
