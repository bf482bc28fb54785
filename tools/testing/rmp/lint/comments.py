# SPDX-License-Identifier: GPL-2.0
"""Comments of Rust are as wide as the series has them (series/reflow.py), so that a patch has
what the tree has.

    PYTHONPATH=tools/testing python3 -m rmp reflow    breaks them anew, in place, all
"""

from .. import ui
from ..series import reflow

# Files that others were working on when this came: a pass over them is all that they need.
NOT_YET = frozenset((
    "abstractions/fs/buffers/mod.rs",
    "abstractions/fs/buffers/words.rs",
    "abstractions/fs/inode/cached.rs",
    "abstractions/fs/inode/exclusive.rs",
    "abstractions/fs/inode/fs_inode.rs",
    "abstractions/fs/inode/inode_state.rs",
    "abstractions/fs/inode/inode_view.rs",
    "abstractions/fs/inode/mod.rs",
    "abstractions/fs/inode/plain.rs",
    "abstractions/fs/inode/slot.rs",
    "abstractions/fs/io/direct.rs",
    "abstractions/fs/io/direct_map.rs",
    "abstractions/fs/io/write_iter.rs",
    "abstractions/fs/mod.rs",
    "abstractions/fs/mount/quota.rs",
    "abstractions/fs/mount/registration.rs",
    "abstractions/fs/mount/super_block.rs",
    "abstractions/fs/mount/write.rs",
    "abstractions/fs/mounted/file_system.rs",
    "abstractions/fs/mounted/message.rs",
    "abstractions/fs/mounted/super_flags.rs",
    "abstractions/fs/names/namespace.rs",
    "abstractions/fs/operations/address_space.rs",
    "abstractions/fs/quota/charges.rs",
    "abstractions/fs/quota/files.rs",
    "abstractions/fs/writable.rs",
    "abstractions/mm/block_bits.rs",
    "abstractions/mm/buffers.rs",
    "abstractions/mm/folio.rs",
    "abstractions/mm/folio_state.rs",
    "abstractions/mm/grabbed_blocks.rs",
    "abstractions/mm/grabbed_folio.rs",
    "abstractions/mm/large_folio.rs",
    "abstractions/mm/spare_objects.rs",
    "abstractions/mm/write_folio.rs",
    "abstractions/mm/writeback.rs",
    "compat/linux.rs",
    "compat/linux_7_2/kernel.rs",
    "compat/mod.rs",
    "ext2/groups/space.rs",
    "ext2/index/contents.rs",
    "ext2/index/directory.rs",
    "ext2/index/rooms.rs",
    "ext2/index/table.rs",
    "ext2/inode/tree.rs",
    "ext2/map/allocate.rs",
    "ext2/map/arrays_ahead.rs",
    "ext2/map/delay.rs",
    "ext2/map/known.rs",
    "ext2/map/mod.rs",
    "ext2/map/read_arrays.rs",
    "ext2/map/search.rs",
    "ext2/mount/data.rs",
    "ext2/mount/live_options.rs",
    "ext2/mount/super_block.rs",
    "ext2/order/mod.rs",
    "ext2/order/model_tests.rs",
    "ext2/tree/branch.rs",
    "ext2/tree/delayed.rs",
    "ext2/tree/run_set.rs",
    "mpage/store/backer.rs",
    "mpage/store/folio_writes.rs",
    "mpage/store/mod.rs",
    "mpage/write/dirty_blocks.rs",
    "tests/rust_mpage_kunit.rs",
    "tests/support/operations.rs",
))


def complaints(texts, not_yet=NOT_YET):
    """The files of {path: text} that have comments which are too wide."""
    return [f"{path}: comments of more than {reflow.WIDTH} bytes: python3 -m rmp reflow"
            for path, text in sorted(texts.items())
            if path not in not_yet and reflow.rust(text) != text]


def main(settings):
    """`python3 -m rmp reflow`."""
    for path in sorted(settings.top.rglob("*.rs")):
        if "_generated" in path.name:
            continue
        text = path.read_text(encoding="utf-8")
        new = reflow.rust(text)
        if new != text:
            path.write_text(new, encoding="utf-8")
            ui.say(f"  {path.relative_to(settings.top)}")
    return 0
