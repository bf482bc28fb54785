# SPDX-License-Identifier: GPL-2.0
"""The recipes of the images that guest tests ask for: importing this registers them
(see images.py).
"""

from . import (alloc, blank, dropin, features, hostile, layout, mount, namespace,
               odd, tree)

__all__ = ["alloc", "blank", "dropin", "features", "hostile", "layout", "mount",
           "namespace", "odd", "tree"]
