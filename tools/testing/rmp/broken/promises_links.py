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
        ("parents.removed",)),
    Broken(
        "order.removals.parent.number",
        "and nobody gets the number of what has the `..`",
        ((_ORDER + "kept_links.rs",
          "        if let Some(change) = change {\n", "        if let Some(change) = None {\n"),),
        ("parents.removed",)),
    Broken(
        "order.removals.parent.replaced",
        "also if another is renamed over it",
        ((_DIR + "rename.rs",
          "            (Some(parent), _, Some(target)) => parent.until_gone(target.inode()),\n",
          "            (Some(parent), _, Some(_)) => {\n"
          "                parent.until_written(new_of(&mut request.directories))\n"
          "            }\n"),),
        ("parents.replaced",)),
    Broken(
        "order.removals.parent.moved_over",
        "also if another moves to there from another directory",
        ((_DIR + "rename.rs",
          "            parent.until_gone(target.inode());\n        }\n    }\n",
          "            let _ = target;\n"
          "            parent.until_written(new_of(&mut request.directories));\n        }\n    }\n"),),
        ("parents.moved_over",)),
    Broken(
        "order.removals.parent.in_vain",
        "also if it got no name, because that could not be written at once",
        ((_DIR + "names.rs",
          "            of_parent.until_gone(&inode);\n",
          "            of_parent.until_written(dir);\n"),),
        ("parents.made_in_vain",)),
)
