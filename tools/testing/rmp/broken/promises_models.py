# SPDX-License-Identifier: GPL-2.0
"""What the models of order and of names in memory promise, in KUnit suites. The promises about the
filesystem are in promises.py.
"""

from .promise import Broken

_ORDER = "ext2/order/"
_INDEX = "ext2/index/"

MODELS = (
    Broken(
        "models.moves",
        "no page waits for one that waits",
        ((_ORDER + "moves.rs",
          "!list.any(|one| one.new == old || one.old == new)",
          "!list.any(|one| one.new == old && one.old == new)"),),
        ("rust_ext2_moves.nothing_waits_for_what_waits", "rust_ext2_moves.no_name_is_lost")),
    Broken(
        "models.moves.settled",
        "names that have moved since are not settled",
        ((_ORDER + "moves.rs", "one.serial > serial || one.has_failed", "one.has_failed"),),
        ("rust_ext2_moves.what_came_since_is_not_settled",)),
    Broken(
        "models.records.next",
        "links that came since are not given up",
        ((_ORDER + "records.rs",
          "record.serial <= serial && !record.is_stuck",
          "serial != 0 && !record.is_stuck"),),
        ("rust_ext2_records.one_more_of_the_same_is_added_to_it",)),
    Broken(
        "models.records.once",
        "links are given up once",
        ((_ORDER + "records.rs",
          "core::mem::take(&mut record.links)", "record.links"),),
        ("rust_ext2_records.links_are_given_up_in_place",)),
    Broken(
        "models.batch",
        "an image that could not be written is waited for by who has its name written",
        ((_ORDER + "batch.rs",
          "        waiting.failed = entries;\n",
          "        entries.clear();\n        waiting.failed = entries;\n"),
         (_ORDER + "batch.rs",
          "        self.failures.store(entries.len() as u64, Relaxed);\n",
          "        self.failures.store(0, Relaxed);\n")),
        ("rust_ext2_order.names_lead_to_what_was_named_so_where_requests_fail",)),
    Broken(
        "models.batch.tried_again",
        "what could not be dealt with is tried again, and holds nothing back",
        ((_ORDER + "batch.rs",
          "        waiting.failed = entries;\n",
          "        entries.clear();\n        waiting.failed = entries;\n"),),
        ("rust_ext2_batch.what_fails_is_tried_again_and_holds_nothing_back",)),
    Broken(
        "models.branches",
        "an image does not lead to a block that is not on the medium",
        (("ext2/inode/disk_only.rs",
          "bits.fold(has_size, |bits, (root, _)| bits | 1 << root) & self.fresh",
          "bits.fold(has_size, |bits, (root, _)| bits | 1 << root) & self.fresh & 0"),),
        ("rust_ext2_block_order.pointers_lead_to_what_is_their_own",
         "rust_ext2_block_order.pointers_lead_to_what_is_their_own_where_requests_fail")),
    Broken(
        "models.cuts",
        "a block that was freed is not used before all that leads to it is cut on the medium",
        ((_ORDER + "pending_cuts.rs",
          "let from = self.runs.partition_point(|run| run.end < new.first.into());",
          "let from = self.runs.partition_point(|run| run.end <= new.first.into());"),),
        ("rust_ext2_pending_cuts.runs_are_joined",)),
    Broken(
        "models.index.removed",
        "a name that has gone is not known any more",
        ((_INDEX + "contents.rs",
          "        self.table.remove(name.hash, name.position)\n",
          "        let _ = (name.hash, name.position);\n        true\n"),),
        ("rust_ext2_dir_index.changes_are_known_1k", "rust_ext2_dir_index.changes_are_known_4k",
         "rust_ext2_dir_index.changes_are_known_of_names_that_collide")),
    Broken(
        "models.index.room",
        "the room that a name leaves is known",
        ((_INDEX + "contents.rs",
          "        self.rooms.raise(block as usize, room);\n",
          "        let _ = room;\n"),),
        ("rust_ext2_dir_index.changes_are_known_1k", "rust_ext2_dir_index.changes_are_known_4k")),
    Broken(
        "models.index.memory",
        "all is forgotten when there is no memory to note a name",
        ((_INDEX + "contents.rs",
          "        if !is_true {\n", "        if !is_true && block == u32::MAX {\n"),),
        ("rust_ext2_dir_index.more_names_than_memory",)),
    Broken(
        "models.index.learned",
        "a block of which a name could not be learned is not one of those that are known",
        ((_INDEX + "contents.rs",
          "        if learned != count {\n", "        if learned > count {\n"),),
        ("rust_ext2_dir_index.too_many_of_one_hash",)),
    Broken(
        "models.late_features",
        "a feature that somebody has cleared is on the disk again before it is relied on",
        (("ext2/mount/late_features.rs",
          "        self.on_disk.store(others, Release);\n        write()?;\n",
          "        write()?;\n"),),
        ("rust_ext2_late_features.what_was_cleared_is_written_before_it_is_believed",)),
)
