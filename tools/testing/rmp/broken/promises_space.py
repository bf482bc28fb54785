# SPDX-License-Identifier: GPL-2.0
"""The promises about blocks that are promised: how many there are, and who has them. The others are
in promises.py.
"""

from .promise import Broken

_SPACE = "ext2/groups/space.rs"
_DELAY = "ext2/map/delay.rs"

SPACE = (
    Broken(
        "quota.pages.promised",
        "a write ends with the last page of which an owner may have all",
        ((_DELAY,
          "    let whole = whole.min(claimed.count());\n",
          "    let whole = whole.min(wanted.needed);\n"),),
        ("quota.limits",)),
    Broken(
        "quota.pages.at_once",
        "so where blocks get their places at once",
        (("ext2/map/places.rs",
          "rest.saturating_sub(1));", "rest.min(0));"),),
        ("quota.limits",)),
    Broken(
        "space.claim",
        "what one has been promised no other gets",
        ((_SPACE,
          ".cmpxchg(available, after, Relaxed)",
          ".cmpxchg(available, after.max(available), Relaxed)"),),
        ("full.filled_by_16_writers",)),
    Broken(
        "space.claim.one_step",
        "nobody claims between another's look at what is available and his claim",
        ((_SPACE,
          "            let count = amount(available, wanted, reserve)?;\n",
          "            let count = amount(available, wanted, reserve)?;\n"
          "            kernel::time::delay::fsleep(kernel::time::Delta::from_millis(2));\n"),
         (_SPACE,
          ".cmpxchg(available, after, Relaxed)",
          ".cmpxchg(self.available.load(Relaxed), after, Relaxed)")),
        ("full.filled_by_16_writers",)),
    Broken(
        "space.comes_back_once",
        "what has not been spent of a promise comes back, once",
        ((_SPACE,
          "            self.space.available.add(i64::from(self.count), Relaxed);\n",
          "            self.space.available.add(2 * i64::from(self.count), Relaxed);\n"),),
        ("delayed.given_up", "delayed.nameless_files_cost_nothing")),
    Broken(
        "delayed.short_copy",
        "what is kept of a promise is what has been filled",
        ((_DELAY,
          "        let end = begun.at.saturating_add(blocks);\n",
          "        let whole = begun.claimed.count() - begun.arrays.count();\n"
          "        let end = begun.at.saturating_add(whole.max(blocks));\n"),),
        ("delayed_limits.short_copy_beside_promised_blocks",)),
    Broken(
        "delayed.image",
        "the image never counts what has no place",
        (("ext2/inode/write.rs",
          "        sectors: sectors(inode),\n",
          "        sectors: sectors(inode)\n"
          "            + (u64::from(data.delay.blocks()) << (inode.block_bits() - 9)),\n"),),
        ("delayed_space.the_image_counts_what_has_its_place",)),
    Broken(
        "delayed.reserved",
        "what is promised gets its places, whoever has it written",
        (("ext2/alloc/balloc.rs",
          "    let run = place(inode.super_block(), info, goal, wanted, promised)?;\n\n"
          "    inode.charge_promised",
          "    drop(claim(inode.super_block(), wanted)?);\n"
          "    let run = place(inode.super_block(), info, goal, wanted, promised)?;\n\n"
          "    inode.charge_promised"),),
        ("delayed_space.flusher_spends_reserved",)),
    Broken(
        "delayed.nearly_full",
        "blocks get their places at once when few are left",
        ((_DELAY, "const NEARLY_FULL: u64 = 64;", "const NEARLY_FULL: u64 = 0;"),),
        ("delayed_space.nearly_full",)),
    Broken(
        "delayed.synchronous",
        "and in files that are written synchronously",
        ((_DELAY, "        && !inode.is_sync()\n", ""),),
        ("delayed_space.synchronous",)),
    Broken(
        "delayed.many_gaps",
        "and in a file with hundreds of gaps between promised blocks",
        (("ext2/tree/delayed.rs",
          "const MOST_RUNS: usize = 512;", "const MOST_RUNS: usize = 5120;"),),
        ("delayed_space.many_gaps",)),
)
