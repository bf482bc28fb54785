# SPDX-License-Identifier: GPL-2.0
"""A kernel's tree with the series in it, applied by git am.

Its files are links of those of the source, which nobody writes to: git and the build
replace files and never change them.
"""


from .. import cache, command, ui
from . import patches


def apply(made, tree, identity):
    """Apply patches in `tree`, of which git knows the files that these touch."""
    repository = patches.Repository(tree, identity)
    repository.git("add", "-f", "--", *patches.BASE)
    repository.git("commit", "-q", "-m", "base")
    repository.git("am", "-q", *made)


def make(settings, source, folder):
    """folder/tree, a copy of `source` with the series of our sources. Needs the cache's
    lock."""
    identity = patches.identity_of(settings.top)
    tree = folder / "tree"
    cache.remove(tree)
    folder.mkdir(parents=True, exist_ok=True)
    same = source.stat().st_dev == folder.stat().st_dev
    command.step("copy of the kernel's source",
                 ["cp", "-al" if same else "-a", f"{source}/.", tree], folder / "copy.log")
    if (tree / ".git").exists():
        cache.remove(tree / ".git") if (tree / ".git").is_dir() else (tree / ".git").unlink()
    with ui.Progress("series, applied by git am"):
        made = patches.write(settings.top, source, folder / "series", identity)
        apply(made, tree, identity)
    return tree
