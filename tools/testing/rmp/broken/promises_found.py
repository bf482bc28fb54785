# SPDX-License-Identifier: GPL-2.0
"""The promises about how names, room for them, and the inodes of what was listed are found. The
others are in promises.py.
"""

from .promise import Broken

_DIR = "ext2/dir/"

FOUND = (
    Broken(
        "index.limit",
        "what is remembered of all directories has a limit",
        (("abstractions/mm/spare.rs",
          "        if bytes > limit {\n", "        if bytes > limit && limit == 0 {\n"),
         ("abstractions/mm/spare.rs",
          "give_up_unused(used - limit) < used - limit", "give_up_unused(used - limit) > used")),
        ("index.limit",)),
    Broken(
        "index.shrinker",
        "what is known of names is given up when the machine wants memory",
        (("abstractions/mm/spare_objects.rs",
          "    match asked.ask(2, wanted", "    match asked.ask(0, wanted"),),
        ("index_memory.given_up",)),
    Broken(
        "index.charged",
        "what is remembered of names is charged to the cgroup of who looks for one",
        (("bindings/helpers_fs.c",
          "GFP_NOFS | __GFP_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN",
          "GFP_NOFS | __GFP_NORETRY | __GFP_NOWARN"),),
        ("memory.names_are_charged",)),
    Broken(
        "index.cgroup",
        "a cgroup that wants memory gets back what is known of names in it",
        (("bindings/spare.c", "size, align, SLAB_ACCOUNT, NULL", "size, align, 0, NULL"),),
        ("index_memory.gives_way_in_a_cgroup",)),
    Broken(
        "index.in_turn",
        "who goes beyond the limit gets the memory of those who were not asked for longest",
        (("bindings/spare.c", "list_first_entry(&all,", "list_last_entry(&all,"),),
        ("index_memory.idle_ones_give",)),
    Broken(
        "index.walked_over",
        "names that there is no memory for are found by a walk",
        ((_DIR + "find.rs",
          "            return walk(dir, name, page.saturating_add(1)..dir.pages());",
          "            return Ok(None);"),),
        ("index.limit",)),
    Broken(
        "index.not_noted",
        "all is forgotten when there is no memory to note a change",
        (("ext2/index/contents.rs",
          "        if !is_true {\n", "        if !is_true && block == u32::MAX {\n"),),
        ("index.limit",)),
    Broken(
        "index.collisions",
        "where many names have one hash the directory is walked over",
        ((_DIR + "find.rs",
          "    let Some(candidates) = candidates.in_order() else {\n"
          "        return walk(dir, name, 0..dir.pages());\n",
          "    let Some(candidates) = candidates.in_order() else {\n"
          "        return Ok(None);\n"),
         ("ext2/index/directory.rs",
          "        self.key.hash(name) as u32\n",
          "        self.key.hash(name) as u32 & 0xf\n")),
        ("index.hostile_names",)),
    Broken(
        "index.key",
        "nobody can choose names that have one hash: it has a key that nobody knows",
        (("abstractions/hash.rs",
          "Self([0; 2].map(|_: u64| unsafe { bindings::get_random_u64() }))", "Self([0; 2])"),),
        ("index.chosen_names",)),
    Broken(
        "index.change",
        "what is known of names is noted with each change",
        ((_DIR + "in_step.rs",
          "            index.note(change, block);\n",
          "            if block != 1 {\n                index.note(change, block);\n"
          "            }\n"),),
        ("index.forgotten", "index.many_names")),
    Broken(
        "index.taken_back",
        "what is known of names is noted when a change is taken back, too",
        ((_DIR + "write.rs",
          "        .and_then(|()| apply(dir, self.page, &self.inverse));",
          "        .and_then(|()| {\n"
          "            dir.change(range_of(self.page, &self.inverse), |bytes| {\n"
          "                let _ = self.inverse.apply(bytes);\n            })\n        });"),),
        ("names_failing.known_names_1k",)),
    Broken(
        "index.looked_at",
        "an entry is only believed to be the one when it has been looked at",
        ((_DIR + "find.rs",
          "        Some(entry) if entry.name == name => Looked::Found(Place {",
          "        Some(entry) if !name.is_empty() => Looked::Found(Place {"),
         ("ext2/index/directory.rs",
          "        self.key.hash(name) as u32\n",
          "        self.key.hash(name) as u32 & 0xfff\n")),
        ("index.hostile_names",)),
    Broken(
        "index.not_so",
        "what is known and is not so costs a walk, and no answer is wrong",
        ((_DIR + "find.rs",
          "            Looked::NotSo => {\n                index.forget();\n"
          "                return walk(dir, name, 0..dir.pages());\n            }\n",
          "            Looked::NotSo => (),\n"),),
        ("index_changed.under_the_filesystem",)),
    Broken(
        "index.not_so.alike",
        "nor where another name is that has another hash",
        ((_DIR + "find.rs",
          "        Some(entry) if is_alike(entry.name) => Looked::Alike,\n",
          "        Some(entry) if is_alike(entry.name) || entry.in_use() => Looked::Alike,\n"),),
        ("index_changed.under_the_filesystem",)),
    Broken(
        "index.not_so.none",
        "nor where there is none",
        ((_DIR + "find.rs",
          "        Some(entry) if entry.offset != offset || !entry.in_use() => Looked::NotSo,\n",
          "        Some(entry) if entry.offset != offset || !entry.in_use() => Looked::Alike,\n"),),
        ("index_changed.under_the_filesystem",)),
    Broken(
        "index.limit.none",
        "with a limit of 0 nothing is remembered",
        (("abstractions/mm/spare.rs",
          "        if bytes > limit {\n", "        if bytes > limit && limit != 0 {\n"),
         ("abstractions/mm/spare.rs",
          "        if used > limit && spare", "        if limit != 0 && used > limit && spare"),
         ("abstractions/mm/spare.rs",
          "    BUDGET.limit.load(Relaxed) != 0\n", "    true\n")),
        ("index.limit",)),
    Broken(
        "index.first_room",
        "a new name goes to the first place that has room, as in C",
        (("ext2/index/contents.rs",
          "        self.rooms.raise(block as usize, room);\n", ""),),
        ("namespace.gaps",)),
    Broken(
        "index.room.shorter",
        "what is known of the room for long names is not so of short ones",
        (("ext2/inode/room.rs",
          "known.bytes.load(Relaxed) <= bytes &&", "known.bytes.load(Relaxed) != NOTHING &&"),),
        ("namespace.gaps",)),
    Broken(
        "index.nothing_read",
        "no page is read to say that there is no name",
        ((_DIR + "find.rs",
          "    if u64::from(covered) << bits >= dir.size() {",
          "    if u64::from(covered) << bits > dir.size() + 1 {"),
         (_DIR + "find.rs",
          "    let first = (u64::from(covered) << bits) >> PAGE_SHIFT;\n    if",
          "    let first = 0;\n    if")),
        ("index.nothing_is_read",)),
    Broken(
        "index.flag",
        "the index of ext3 and ext4 is not believed on the disk after a change",
        ((_DIR + "write.rs",
          "    data.set_flags(data.flags() & !inode_flags::INDEX);\n    note_changed(dir);\n",
          "    if !dir.is_dirsync() {\n"
          "        data.set_flags(data.flags() & !inode_flags::INDEX);\n    }\n"
          "    note_changed(dir);\n"),),
        ("indexed.index_goes_with_a_change",)),
    Broken(
        "walked",
        "who walks over a directory has its pages read ahead",
        ((_DIR + "pages.rs", "    if count > 1 {\n", "    if count > MOST {\n"),),
        ("index.nothing_is_read",)),
    Broken(
        "listed",
        "who lists a directory and asks for each inode has the inode table read ahead",
        ((_DIR + "ahead.rs",
          "            dir.super_block().readahead_block(block.into());\n",
          "            let _ = block;\n"),),
        ("listed_inodes.scattered",)),
    Broken(
        "listed.removed",
        "who removes what was listed has the arrays of pointers read ahead",
        (("ext2/dir/names.rs",
          "        ahead::note_removed(dir.as_locked(), place);\n\n        inode.set_ctime_of",
          "        let _ = place;\n\n        inode.set_ctime_of"),),
        ("listed_inodes.arrays_of_removed",)),
    Broken(
        "listed.directories",
        "who lists the directories of one that he has listed has the next ones read ahead",
        ((_DIR + "descent.rs",
          "    parent.try_with_directory(|parent| read_next(parent, position));\n",
          "    let _ = position;\n"),),
        ("descents.walked", "descents.listed", "descents.removed")),
    Broken(
        "listed.cleared",
        "who removes one of the directories that he lists has nothing read to remove the others",
        (("ext2/inode/known_names.rs",
          "    removed != 0 && removed >= listed.div_ceil(2)\n",
          "    removed != 0 && listed != 0\n"),),
        ("descents.one_is_removed",)),
    Broken(
        "listed.around",
        "a block of an inode table is read with those around it",
        (("ext2/groups/layout.rs",
          "const TABLE_BLOCKS_AT_ONCE: u32 = 32;", "const TABLE_BLOCKS_AT_ONCE: u32 = 2;"),),
        ("listed_inodes.not_in_vain",)),
    Broken(
        "delayed.room_for_more",
        "a file that is written while it grows has room behind it for as much again",
        (("ext2/map/delay.rs",
          "            false => run.end.min(most),\n", "            false => 0,\n"),),
        ("delayed_limits.files_that_go_on_growing",)),
    Broken(
        "delayed.begins_where_it_has_room",
        "a file begins where all that has been promised of it has room in a row",
        (("ext2/map/arrays_ahead.rs",
          "        let goal = search::roomy(sb, goal, coming);\n", ""),),
        ("delayed_limits.files_side_by_side_are_in_one_piece",)),
    Broken(
        "listed.not_in_vain",
        "who asks for a few inodes has few read ahead",
        (("ext2/inode/listing.rs",
          "const EACH: u32 = 4;", "const EACH: u32 = 400;"),),
        ("listed_inodes.not_in_vain",)),
    Broken(
        "listed.cookies",
        "a reader of a directory goes on where he was told that he is",
        ((_DIR + "read.rs",
          "        let from = (position - start) as u32;\n",
          "        let from = (position - start) as u32 & !31;\n"),),
        ("index.many_names",)),
    Broken(
        "fsync.names.again",
        "a name that is there again, since its removal has failed, is brought to the disk",
        ((_DIR + "names.rs",
          "            inode.data().note_new_name(dir.number() as u32);\n            return",
          "            return"),
         (_DIR + "rename.rs",
          "            note_again(&mut request);\n", "            let _ = note_again;\n")),
        ("directory_errors.fsync_of_what_was_not_unlinked",
         "directory_errors.fsync_of_what_was_not_renamed")),
    Broken(
        "super.features",
        "a feature of the superblock is on the disk before anything relies on it",
        (("ext2/mount/late_features.rs",
          "self.on_disk.load(Acquire) & feature.bit() != 0 && is_set()",
          "(self.on_disk.load(Acquire) | feature.bit()) != 0 && is_set()"),),
        ("attribute_errors.first_of_a_filesystem",)),
    Broken(
        "order.rename.failed.old_name",
        "of a rename that fails the old name is on the medium before the new one goes",
        ((_DIR + "rename_changes.rs",
          "    if inode::is_page_kept_back(old, old_page) || write::bring_to_medium(old).is_ok() {\n",
          "    if inode::is_page_kept_back(old, old_page) || new_page != u64::MAX {\n"),),
        ("directory_errors.both_names_of_what_was_not_renamed",)),
    Broken(
        "order.rename.failed.parent",
        "of a directory that could not move the medium has the `..` of its name",
        ((_DIR + "rename.rs",
          "    if result.is_err() {\n        // The medium may",
          "    if false {\n        // The medium may"),),
        ("directory_errors.parent_of_what_was_not_moved",)),
    Broken(
        "fsync.names.other",
        "what has the number of a directory that is gone is not written for a name there",
        (("ext2/order/removals.rs",
          "Cached::Here(other) if !other.is_directory() =>",
          "Cached::Here(other) if other.number() == 0 =>"),),
        ("removals.number_of_a_directory",)),
    Broken(
        "super.features.large_files",
        "the disk has no file of 2 GiB before its superblock says that there are such",
        (("ext2/inode/write.rs",
          "        image.stay_small(&raw, disk.is_on_disk);\n", ""),),
        ("state.large_file_of_a_name",)),
    Broken(
        "super.features.flushed",
        "and it is on the medium then, not only in a cache that may lose it",
        (("ext2/mount/super_state.rs",
          "            sync_super(sb, Wait::Yes)?;\n            sb.device().flush()\n",
          "            sync_super(sb, Wait::Yes)\n"),),
        ("state.large_file_at_every_write",)),
    Broken(
        "acl.sync",
        "on a synchronous mount the mode that a list sets is waited for",
        (("abstractions/fs/xattr/acl.rs",
          "            if kind == AclKind::Access && inode.is_sync() {\n",
          "            if kind == AclKind::Access && !is_first && inode.is_sync() {\n"),),
        ("acl.mode_is_waited_for",)),
    Broken(
        "quota.attributes.unreadable",
        "a block of attributes that cannot be read is counted for nobody when its inode is gone",
        (("ext2/xattr/share.rs",
          "        attribute_block::discharge(inode);\n        report::corrupt(\n",
          "        report::corrupt(\n"),),
        ("attribute_errors.cannot_be_read",)),
)
