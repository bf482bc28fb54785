# SPDX-License-Identifier: GPL-2.0
"""Where functions are `#[inline(always)]`: what is lost where the compiler decides.

Everywhere else `#[inline]` costs nothing: 71 functions have it that were always inlined,
and no cell of `make bench` has changed by more than two runs of it do. Who adds a place
here has measured it.
"""

_ATTRIBUTE = "#[inline(always)]"
_MOST = "'readdir, stat' 2 to 4 % more, names 1 to 2 %, 'overwrite 4k' 0.8 %"
_READS = "'random 4k' 0.7 % more, 'small read' 0.5 to 0.7 %"

# the beginning of a path, and what its functions cost otherwise, measured with all others
# that have the same here
MEASURED = {
    "ext2/disk/": _MOST,
    "ext2/index/table.rs": _MOST,
    "ext2/map/": _MOST,
    "ext2/tree/path.rs": _MOST,
    "abstractions/fs/buffers/": _MOST,
    "abstractions/fs/inode/plain.rs": _MOST,
    "abstractions/mm/block_bits.rs": _MOST,
    "abstractions/mm/folio_state.rs": _MOST,
    "abstractions/block/bio.rs": _READS,
    "abstractions/block/read_bio.rs": _READS,
    "abstractions/mm/readahead.rs": _READS,
    "mpage/read/": _READS,
    "abstractions/fs/mounted/message.rs": "objtool has to see that a function does not return",
}


def check(path, text):
    """[what is wrong] of a file."""
    if _ATTRIBUTE not in text or path.startswith(tuple(MEASURED)):
        return []
    return [f"{path}: {_ATTRIBUTE}, and no measurement in tools/testing/rmp/lint/inlined.py"]


def complaints(texts):
    """The same of {path: text}, and places of which nothing is inlined any more."""
    found = [line for path, text in texts.items() if path.endswith(".rs")
             for line in check(path, text)]
    found += [f"tools/testing/rmp/lint/inlined.py: nothing in {place} is {_ATTRIBUTE}"
              for place in MEASURED
              if not any(path.startswith(place) and _ATTRIBUTE in text
                         for path, text in texts.items())]
    return found
