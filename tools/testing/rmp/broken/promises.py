# SPDX-License-Identifier: GPL-2.0
"""Promises of Documentation/ext2.rst about order and names, what breaks each of them, and the tests
that have to turn red then.

What breaks one is text of a source that is replaced by another. It has to be there once:
who changes the source changes it here, too, which a unit test sees to.
"""

from .promise import Broken
from .promises_direct import DIRECT
from .promises_found import FOUND
from .promises_links import LINKS
from .promises_models import MODELS
from .promises_names import NAMES
from .promises_rules import RULES
from .promises_space import SPACE

_ORDER = "ext2/order/"
_DIR = "ext2/dir/"

ALL = (
    Broken(
        "order.cuts",
        "a block that was freed is used again only when what cut it off is on the medium",
        ((_ORDER + "cuts.rs",
          "if self.any.load(Relaxed) == 0 || !self.pending.lock().has(first, count) {",
          "if self.any.load(Relaxed) < 2 || !self.pending.lock().has(first, count) {"),),
        ("crash.only_the_last_write_1k",)),
    Broken(
        "order.branches",
        "an indirect block is on the medium before the image that leads to it is stored",
        (("ext2/inode/disk_only.rs",
          "bits.fold(has_size, |bits, (root, _)| bits | 1 << root) & self.fresh",
          "bits.fold(has_size, |bits, (root, _)| bits | 1 << root) & self.fresh & 0"),),
        ("suspended.batch_under_way",)),
    Broken(
        "order.branches.at_once",
        "an indirect block whose pointer is in one that is there is written at once",
        (("ext2/map/fresh.rs",
          "        sb.mark_dirty(buffer);\n        write_now(inode, buffer)?;\n    }\n"
          "    match made.iter().any(Option::is_some) {",
          "        sb.mark_dirty(buffer);\n    }\n"
          "    match made.iter().any(Option::is_none) && level > MAX_INDIRECT {"),),
        ("crash.only_the_last_write_1k",)),
    Broken(
        "order.branches.leaves",
        "the indirect blocks that a promised run needs are there before what leads to them",
        (("ext2/map/leaves.rs", "        sb.device().flush()\n", "        Ok(())\n"),),
        ("flushes.of_an_append",)),
    Broken(
        "order.branches.together",
        "they are flushed together",
        (("ext2/map/leaves.rs", "        if count < 2 {", "        if count < u32::MAX {"),),
        ("flushes.of_an_append",)),
    Broken(
        "order.branches.cut",
        "an array that was written with a pointer to what was not, which is cut, is written again",
        (("ext2/map/truncate.rs",
          "fresh::note_cut(self.inode, array, root)",
          "fresh::note_cut(self.inode, &PointerArray::Inode, root)"),),
        ("moved.cut_from_a_new_array",)),
    Broken(
        "order.branches.first_block",
        "the first block of a directory is on the medium before its inode leads to it",
        (("ext2/inode/first_block.rs",
          ".add(sb, number, Some(&buffer))", ".add(sb, number, None)"),),
        ("order.names_1k",)),
    Broken(
        "order.branches.target",
        "the target of a symbolic link is on the medium before its inode leads to it",
        ((_DIR + "names.rs",
          "            first_block::note(&inode, target)?;\n",
          "            let _ = first_block::note;\n"),),
        ("order.names_1k",)),
    Broken(
        "order.branches.further_blocks",
        "a further block of a directory is there without names before it is part of it",
        (("ext2/map/fresh.rs",
          "if !inode.is_directory() || inode.size() == 0 {",
          "if !inode.is_directory() || inode.size() != 1 {"),),
        ("name_cuts.growing_directory",)),
    Broken(
        "order.branches.forgotten",
        "the first block of a directory that goes is not written any more",
        (("ext2/inode/first_block.rs",
          "        buffer.forget();\n", "        drop(buffer);\n"),),
        ("first_block.that_could_not_be_written",)),
    Broken(
        "order.unnamed",
        "a file that gets a name has none of the pointers that it had without one",
        (("ext2/inode/write.rs",
          "false => image.keep(&RawInode::new_zeroed(), kept, true, block_size)",
          "false => image.keep(&raw, kept, true, block_size)"),),
        ("in_use.name_of_a_file_that_had_none",)),
    Broken(
        "state.in_use",
        "that the filesystem is in use is on the medium before anything changes",
        (("ext2/mount/super_state.rs",
          "    write_in_use(sb, Wait::Yes)?;\n    sb.device().flush()\n",
          "    write_in_use(sb, Wait::Yes)\n"),),
        ("in_use.before_anything_changes",)),
    Broken(
        "state.in_use.mounted",
        "a mount is read-only if it cannot say that it is in use",
        (("ext2/mount/super_state.rs",
          "            report_unwritten(sb, error);\n            make_read_only(sb);\n",
          "            report_unwritten(sb, error);\n"),),
        ("in_use.mounted_where_it_cannot_be_said",)),
    Broken(
        "state.in_use.remounted",
        "a remount for writing that fails leaves a clean filesystem clean",
        (("ext2/mount/super_state.rs",
          "        data.state.set_not_in_use();\n        sb.mark_dirty(&data.state.buffer);\n",
          ""),),
        ("in_use.remounted_after_it_failed",)),
    Broken(
        "state.frozen",
        "an error while the filesystem is frozen makes it read-only when it is thawed",
        (("ext2/mount/super_state.rs",
          "    if !sb.set_read_only() {\n        state.read_only_later.store(1, Relaxed);\n",
          "    if !sb.set_read_only() {\n        state.read_only_later.store(0, Relaxed);\n"),),
        ("in_use.read_only_when_it_is_thawed",)),
    Broken(
        "failing.directory",
        "a directory that cannot be written is an error for errors=, at the time",
        ((_ORDER + "removals.rs",
          "        if has_failed && is_news {",
          "        if has_failed && is_news && number == 0 {"),),
        ("directory_errors.read_only", "directory_errors.read_only_later",
         "directory_errors.said_once", "in_use.a_directory_that_is_not_on_the_disk")),
    Broken(
        "failing.directory.once",
        "a directory that cannot be written is said once, until it has been written",
        ((_ORDER + "removals.rs",
          "        if has_failed && is_news {", "        if has_failed && number != 0 {"),),
        ("directory_errors.said_once",)),
    Broken(
        "order.names",
        "a name is on the medium only after the inode that it leads to",
        ((_ORDER + "names.rs",
          "    for name in names.iter_mut() {\n        let block = match &last {",
          "    names.clear();\n"
          "    for name in names.iter_mut() {\n        let block = match &last {"),),
        ("order.names_1k", "order.names_4k")),
    Broken(
        "order.names.links",
        "the image that is stored before a name has at least as many links as names",
        ((_DIR + "names.rs",
          "        inode.inc_nlink();\n        inode.mark_dirty();\n"
          "        match write::add(dir, name, target) {\n            Ok(change) => {\n",
          "        match write::add(dir, name, target) {\n            Ok(change) => {\n"
          "                let _ = dir.write_and_wait();\n"
          "                inode.inc_nlink();\n                inode.mark_dirty();\n"),),
        ("order.names_1k",)),
    Broken(
        "order.removals",
        "a link is taken from an image only when the directory without the name is on the "
        "medium",
        ((_ORDER + "kept_links.rs",
          "        if F::is_on_disk(self.inode) {", "        if false {"),),
        ("order.names_1k", "order.names_4k")),
    Broken(
        "order.removals.number",
        "the number of an inode whose name the disk may have is not given to another",
        (("ext2/alloc/ialloc.rs",
          "            !data.order.removals.has(ino) && !data.order.moved.is_awaited(ino)",
          "            !data.order.moved.is_awaited(ino)"),),
        ("order.names_1k",)),
    Broken(
        "order.removals.parent",
        "a directory on the disk has its parent's link for its `..`, also when it goes",
        ((_ORDER + "kept_links.rs",
          "        if !F::is_on_disk(victim) {", "        if victim.number() != 0 {"),),
        ("parents.removed", "parents.replaced", "parents.moved_over")),
    Broken(
        "order.removals.once",
        "links are given up once",
        ((_ORDER + "records.rs",
          "core::mem::take(&mut record.links)", "record.links"),),
        ("removals.once",)),
    Broken(
        "order.removals.swept",
        "links that could not be given up with the others are given up later",
        ((_ORDER + "records.rs",
          "            _ => record.links != 0,\n        });",
          "            _ => false,\n        });"),),
        ("removals.later",)),
    Broken(
        "order.removals.many",
        "links that wait are taken when a thousand do",
        ((_ORDER + "records.rs",
          "        self.links >= MANY\n", "        self.links >= 8 * MANY\n"),),
        ("removals.many",)),
    Broken(
        "order.removals.long",
        "links that wait are taken with the next change after half a minute",
        ((_ORDER + "records.rs",
          "self.since.elapsed() >= LONG)", "self.since.elapsed() >= LONG && self.links > MANY)"),),
        ("removals.long",)),
    Broken(
        "order.rename",
        "a page that has lost a name is written after the page that has got it",
        (("ext2/inode/name_order.rs",
          "        let settled = settle_moved_in(dir, &all);",
          "        let settled = match dir.nlink() {\n"
          "            u32::MAX => settle_moved_in(dir, &all),\n"
          "            _ => Ok(()),\n"
          "        };"),
         ("ext2/inode/name_order.rs",
          "            is_left |= waits;\n            let may = match waits {",
          "            is_left |= false & waits;\n            let may = match false {")),
        ("moved_files.one_by_one",)),
    Broken(
        "order.rename.meanwhile",
        "a page from which a name goes after it has been settled waits, too",
        (("ext2/inode/name_order.rs",
          "            is_left |= waits;\n            let may = match waits {",
          "            is_left |= false & waits;\n            let may = match false {"),),
        ("moved_files.while_they_are_synced",)),
    Broken(
        "order.rename.hurry",
        "who has a directory written ends, however many names others move meanwhile",
        ((_ORDER + "moved.rs",
          "        self.urgent.fetch_add(1, Release);", "        self.urgent.fetch_add(0, Release);"),
         (_ORDER + "moved.rs",
          "self.0.urgent.fetch_sub(1, Relaxed);", "self.0.urgent.fetch_sub(0, Relaxed);")),
        ("rounds.fsync_ends", "rounds.sync_ends")),
    Broken(
        "order.rename.settled",
        "the page of the new name is on the medium before the other waits no more",
        ((_ORDER + "moved.rs",
          "            directory.start_page(page.index);",
          "            let _ = directory;"),
         (_ORDER + "moved.rs",
          "            directory.write_page(page.index)?;\n", "")),
        ("moved_files.one_by_one",)),
    Broken(
        "order.branches.size",
        "a directory has no hole on the disk: its size waits for the pointers",
        (("ext2/map/fresh.rs",
          "    if !inode.is_directory() {\n        return Ok(());\n    }\n    let sb",
          "    if inode.is_directory() {\n        return Ok(());\n    }\n    let sb"),),
        ("name_cuts.growing_directory",)),
    Broken(
        "order.branches.size.arrays",
        "the size of a directory waits for the array that leads to a new array, too",
        (("ext2/map/allocate.rs",
          "            self.note_given(&missing.array, self.given(tree, data, missing.level))\n",
          "            Ok(self.given(tree, data, missing.level))\n"),),
        ("growing.behind_two_arrays",)),
    Broken(
        "order.branches.size.new",
        "a new directory that has a name on the disk has its first block",
        (("ext2/disk/inode_waiting.rs",
          "kept.trailing_zeros().min(DIRECT_POINTERS);",
          "kept.trailing_zeros().min(DIRECT_POINTERS - 12);"),),
        ("growing.new_one",)),
    Broken(
        "order.branches.size.gone",
        "a directory that goes does not wait for what it had grown by",
        (("ext2/inode/disk_only.rs",
          "u32::from(size != 0) << SIZE_ROOT", "u32::from(size != 1) << SIZE_ROOT"),),
        ("growing.goes_without_its_array",)),
    Broken(
        "order.rename.size",
        "the inode of the directory that a name has moved to leads to its page on the medium",
        ((_ORDER + "moved.rs",
          "            F::store_up_to(&directory, end.min(directory.size()))\n",
          "            let _ = (end, F::store_up_to);\n            Ok(())\n"),),
        ("growing.beside_one_that_moves",)),
    Broken(
        "order.rename.number",
        "the number of a directory that a page waits for is not given to another",
        (("ext2/alloc/ialloc.rs",
          "            !data.order.removals.has(ino) && !data.order.moved.is_awaited(ino)",
          "            !data.order.removals.has(ino)"),),
        ("moved_errors.number_that_is_waited_for",)),
    Broken(
        "order.rename.leaving",
        "a directory that files have left goes after they are on the medium elsewhere",
        ((_DIR + "names.rs",
          "        inode::settle_moved(&victim)?;\n", ""),),
        ("moved_files.one_by_one",)),
    Broken(
        "order.rename.at_once",
        "a new name for which the old one cannot wait is brought to the medium before",
        ((_DIR + "rename.rs",
          "        write::bring_to_medium(new_of(&mut request.directories))?;\n    }\n"
          "    let parent = change_parent",
          "    }\n    let parent = change_parent"),),
        ("moved_files.one_by_one",)),
    Broken(
        "order.rename.one_block",
        "both names in one block are changed and written at once",
        ((_DIR + "rename.rs",
          "        if plan.is_in_block_of(dir, old) {",
          "        if plan.is_in_block_of(dir, old) && old.inode == 0 {"),
         (_DIR + "rename.rs",
          "    if parent.is_some() || deletes(request) || "
          "!waits_for_new_name(request, old_page, new_page)? {\n",
          "    let waits = !deletes(request) && waits_for_new_name(request, old_page, new_page)?;\n"
          "    if matches!(request.directories, RenameDirectories::Different { .. })\n"
          "        && !waits\n    {\n")),
        ("name_cuts.one_block_at_once",)),
    Broken(
        "order.rename.parent",
        "the `..` of a directory that moves is changed on the medium while both names are "
        "there",
        ((_DIR + "rename.rs",
          "changed.and_then(|change| match write::bring_to_medium(dir) {",
          "changed.and_then(|change| match dir.sync(rust_mpage::fs::Wait::No) {"),),
        ("moved.directory_knows_its_parent",)),
    Broken(
        "order.rename.old_name",
        "the old name of a directory that moves is on the medium when its `..` changes, though "
        "the disk has its image",
        ((_DIR + "rename.rs",
          "    if parent.is_some() && source.data().new_names().is_some() {",
          "    if parent.is_some() && !source.data().is_on_disk() {"),),
        ("moved.directory_knows_its_parent",)),
    Broken(
        "order.rename.replaced",
        "what replaces a file on the disk is on the medium before that is deleted",
        ((_DIR + "rename.rs",
          "        true => write::bring_to_medium(new_of(&mut request.directories)),",
          "        true => Ok(()),"),),
        ("order.replacing_keeps_contents",)),
    Broken(
        "order.attributes",
        "the count of who shares attributes is lowered when no image on the medium has them",
        ((_ORDER + "owners.rs",
          "                Ok(Some(block)) => {\n",
          "                Ok(Some(block)) => {\n"
          "                    if self.lock().take(leaving.serial) {\n"
          "                        result = F::lose_owner(sb, leaving.block).and(result);\n"
          "                    }\n"),),
        ("attribute_errors.removed", "attribute_errors.changed")),
    Broken(
        "order.attributes.joined",
        "the count of who shares attributes is raised on the medium before an image has them",
        (("ext2/xattr/share.rs",
          "branches.add(sb, number, Some(buffer))?", "branches.add(sb, number, None)?"),),
        ("attribute_cuts.cuts",)),
    Broken(
        "order.attributes.alone",
        "attributes that an image on the medium has still are not changed in place",
        (("ext2/xattr/share.rs",
          "        Some(1) if leaving == 0 => Holding::Alone,",
          "        Some(1) if leaving <= owners => Holding::Alone,"),),
        ("attribute_cuts.cuts",)),
    Broken(
        "order.flush",
        "on the medium means that the cache of the device has been flushed",
        ((_ORDER + "write.rs",
          "    sb.device().flush()?;\n    items.retain", "    items.retain"),),
        ("order.names_1k",)),
    Broken(
        "order.put_off",
        "who waits is put off, so that one flush is for all",
        (("ext2/inode/write.rs",
          "pass == Pass::Many && !sb.is_read_only() && puts_off(inode, branches)",
          "pass == Pass::Many && sb.is_read_only() && puts_off(inode, branches)"),),
        ("flushes.of_a_sync",)),
    Broken(
        "order.put_off.sync",
        "a sync does not end before what was put off is stored",
        ((_ORDER + "branches.rs",
          "            let _ = self.settle_all(sb);\n            write_inodes();\n",
          "            let _ = (self.settle_all(sb), &write_inodes);\n"),),
        ("name_cuts.sync_stores_all",)),
    Broken(
        "syncfs.flush",
        "syncfs(2) does not end before what it has written is on the medium",
        (("ext2/mount/super_state.rs",
          "    sb.device().flush().and(written)\n", "    written\n"),),
        ("name_cuts.sync_stores_all",)),
    Broken(
        "fsync.names",
        "fsync(2) of a file writes the directories in which its name, and theirs, are new",
        (("ext2/file.rs",
          "        inode::sync_names(inode)\n",
          "        inode.data().new_names().map_or(Ok(()), |_| Ok(()))\n"),),
        ("order.fsync_of_a_new_file_keeps_its_name", "order.fsync_finds_the_name")),
    Broken(
        "fsync.names.read",
        "fsync(2) of a file that has left memory before its name was on the disk brings it there",
        (("ext2/inode/read.rs",
          "    let changed = !data.order.removals.is_empty();\n",
          "    let changed = data.order.removals.is_empty() && ino == 0;\n"),),
        ("directory_errors.fsync_of_what_left_memory",)),
    Broken(
        "dirsync",
        "with dirsync each change is waited for",
        ((_DIR + "write.rs",
          "    if !dir.is_dirsync() {", "    if !dir.is_dirsync() || dir.size() != 0 {"),),
        ("order.dirsync_is_kept",)),
    Broken(
        "dirsync.not",
        "without it nobody waits before somebody syncs",
        ((_DIR + "write.rs",
          "    if !dir.is_dirsync() {", "    if dir.size() == 0 {"),),
        ("first_block.nobody_waits", "flushes.of_moves")),
    Broken(
        "dirsync.sync",
        "with sync, as an option or of the directory, each change is waited for, too",
        (("abstractions/fs/inode/inode_view.rs",
          "        self.has_flags(bindings::S_SYNC | bindings::S_DIRSYNC)\n",
          "        self.has_flags(bindings::S_DIRSYNC)\n"),
         ("abstractions/fs/mounted/super_flags.rs",
          "RUST_MPAGE_SB_SYNCHRONOUS | bindings::RUST_MPAGE_SB_DIRSYNC",
          "RUST_MPAGE_SB_DIRSYNC")),
        ("order.dirsync_is_kept", "name_cuts.dirsync_of_one_directory")),
    Broken(
        "dirsync.taken_back",
        "with dirsync a change whose write-out fails is taken back",
        ((_DIR + "write.rs",
          "        Err(error) => {\n            change.take_back(dir);\n"
          "            Err(error)\n        }\n    }\n}\n\nfn range_of",
          "        Err(error) => {\n            change.keep();\n"
          "            Err(error)\n        }\n    }\n}\n\nfn range_of"),),
        ("names_failing.writes_fail_1k",)),
    Broken(
        "names.without_memory",
        "a link that there is no memory for a name of is not counted",
        ((_DIR + "names.rs",
          "                inode.drop_nlink();\n", ""),
         (_DIR + "names.rs", ".inspect_err(|_| links::uncount(dir))", "")),
        ("names_without_memory.known", "names_without_memory.forgotten")),
    Broken(
        "failing.page_stays",
        "a page that could not be written is written again, and stays in memory until then",
        ((_ORDER + "removals.rs",
          "                    directory.write_all_pages()?;\n",
          "                    directory.write_and_wait()?;\n"),),
        ("names_failing.page_stays_until_it_is_written",)),
    *FOUND,
    *DIRECT,
    *LINKS,
    *SPACE,
    *MODELS,
    *NAMES,
    *RULES,
    Broken(
        "delayed.size_ahead_of_blocks",
        "where the size of a file is ahead of its blocks after a crash there are zeros",
        (("ext2/map/delay.rs",
          "        && inode::is_regular(inode)\n        && !inode.is_sync()",
          "        && !inode::is_regular(inode)\n        && !inode.is_sync()"),),
        ("delayed_cuts.size_ahead_of_blocks",)),
    Broken(
        "delayed.quota",
        "what is promised is reserved for who has it: he hears that it is too much when he writes",
        (("ext2/alloc/balloc.rs",
          "        true => reserve_for_owners(inode, claimed, least),",
          "        true => Some(claimed),"),),
        ("quota_delayed.refused_when_it_is_written", "quota_delayed.refused_at_a_fault",
         "quota_delayed.new_owners")),
    Broken(
        "delayed.quota_comes_back",
        "what was reserved and is not promised any more is given back",
        (("ext2/map/delay.rs",
          "    delay.set_blocks(count);\n    reserve_no_more_than(inode, count);\n",
          "    delay.set_blocks(count);\n"),),
        ("quota_delayed.given_back",)),
    Broken(
        "delayed.quota_turned_off",
        "what is promised when quota is turned off is counted in the quota files",
        (("abstractions/fs/mount/quota.rs",
          "            let _ = unsafe { sync_filesystem(SuperBlock::<T>::from_raw(sb)) };",
          "            let _ = sync_filesystem::<T>;"),),
        ("quota_delayed.turned_off_and_on",)),
    Broken(
        "delayed.quota_told",
        "who reads the quota files, and has them written first, finds what is promised in them",
        (("abstractions/fs/mount/quota.rs",
          "quota_sync: Some(Self::quota_sync_callback),",
          "quota_sync: Some(bindings::dquot_quota_sync),"),),
        ("quota.tools",)),
    Broken(
        "delayed.replaced_by_truncation",
        "the inode of a file that was written anew is where its neighbours are when it is closed",
        (("ext2/inode/replaced.rs",
          "if let Some(_change) = inode.start_change() {",
          "if let Some(_change) = inode.start_change().filter(|_| inode.size() == 0) {"),),
        ("delayed_cuts.cut_behind_truncation",)),
    Broken(
        "delayed.swapped_to",
        "who asks where blocks are has them given out, and written, first",
        (("ext2/file.rs",
          "        inode::write_delayed(inode)?;\n        let mapping = Mapper.lookup(",
          "        let mapping = Mapper.lookup("),),
        ("swap.swap", "delayed.asked_where_it_is")),
)
