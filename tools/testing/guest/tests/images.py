# SPDX-License-Identifier: GPL-2.0
"""The recipes of the images that the tests here ask for, which are run on the
host: importing a file of recipes registers them (see rmp/images.py).
"""

# pylint: disable=unused-import
from rmp import (recipes_alloc, recipes_blank, recipes_dropin, recipes_features,
                 recipes_hostile, recipes_layout, recipes_mount, recipes_namespace,
                 recipes_odd, recipes_tree)
