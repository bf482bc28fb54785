# SPDX-License-Identifier: GPL-2.0
"""The promises about what is known of names and read ahead for them, and about the order in which
names, inodes and attributes are written, that nothing else here breaks. The others are in
promises.py.
"""

from .promise import Broken

_DIR = "ext2/dir/"
_INODE = "ext2/inode/"
_ORDER = "ext2/order/"

_FOUND = (
    Broken(
        "index.one_page",
        "one page is read to find a name of a directory that is known",
        ((_DIR + "find.rs",
          "            Looked::Found(place) => return Ok(Some(place)),\n",
          "            Looked::Found(place) if place.inode == 0 => return Ok(Some(place)),\n"
          "            Looked::Found(_) => return walk(dir, name, 0..dir.pages()),\n"),),
        ("index.nothing_is_read",)),
    Broken(
        "index.one_page.made",
        "and one to make it",
        ((_DIR + "addition.rs",
          "            let position = u64::from(block) << format.block_size.bits();\n",
          "            for index in 0..dir.pages() {\n"
          "                let _ = dir.page(index)?;\n            }\n"
          "            let position = u64::from(block) << format.block_size.bits();\n"),),
        ("index.nothing_is_read",)),
    Broken(
        "index.given_up",
        "of a directory whose memory was taken nothing is known, and it is walked over",
        (("ext2/index/rooms.rs",
          "        if nodes.is_none() {\n            self.len = 0;\n        }\n"
          "        self.nodes = nodes;\n",
          "        self.nodes = nodes;\n"),),
        ("index_memory.given_up",)),
    Broken(
        "walked.as_far",
        "as many pages are read ahead as lie behind who walks over a directory, no more",
        ((_DIR + "pages.rs",
          "        0..MOST if index.is_power_of_two() => index,\n",
          "        0..MOST if index.is_power_of_two() => MOST,\n"),),
        ("rust_ext2_dir_pages.each_page_is_read_once",)),
)

_LISTED = (
    Broken(
        "listed.far_ahead",
        "who asks for each inode that he has listed has them read far ahead",
        ((_INODE + "known_names.rs", "listing: Listing<1024>,", "listing: Listing<1>,"),),
        ("listed_inodes.scattered",)),
    Broken(
        "listed.table_only",
        "what is in an entry is no reason to read anything but a block of an inode table",
        ((_DIR + "ahead.rs",
          "            Some([table_block(sb, inode).unwrap_or(0), 0, 0, 0, 0])\n",
          "            Some([table_block(sb, inode).unwrap_or(0), inode, 0, 0, 0])\n"),),
        ("listed_inodes.hostile_numbers",)),
    Broken(
        "listed.not_waited_for",
        "nobody waits for pages of the directory that are not in memory any more",
        ((_DIR + "ahead.rs",
          "        let Some(page) = dir.page_in_memory(index) else {\n"
          "            return Ok((names, at(from)?));\n        };\n",
          "        let page = dir.page(index)?;\n"),),
        ("listed_inodes.pages_not_in_memory",)),
    Broken(
        "listed.in_order",
        "blocks of the inode table are read in the order of the disk",
        ((_DIR + "ahead.rs", "\n        numbers.sort_unstable();\n", ""),),
        ("rust_ext2_dir_ahead.blocks_are_in_order",
         "rust_ext2_dir_ahead.there_are_not_more_than_there_is_room_for")),
    Broken(
        "listed.only_listed",
        "a name that was not listed is no reason to read anything",
        ((_INODE + "listing.rs",
          "        if position >= u64::from(end) {\n",
          "        if position > u64::from(end) {\n"),),
        ("rust_ext2_listing.only_what_was_listed_counts",)),
)

_WRITTEN = (
    Broken(
        "order.removals.flushed",
        "a link is taken from an image when the device's cache cannot lose the name's removal",
        ((_ORDER + "removals.rs",
          "self.write_directory(sb, number).is_err());\n        sb.device().flush()?;\n",
          "self.write_directory(sb, number).is_err());\n"),),
        ("moved.directory_goes_where_it_went",)),
    Broken(
        "order.removals.symlink",
        "without its last name a symbolic link with its target in a block is one to another target",
        (("ext2/disk/inode_waiting.rs",
          "SYMLINK if has_blocks =>",
          "SYMLINK if has_blocks && self.size == 0 =>"),),
        ("rust_ext2_inode_waiting.what_is_left_of_a_removed_inode",)),
    Broken(
        "order.rename.one_page",
        "a page does not wait for itself: names that move within it are brought to the medium",
        ((_ORDER + "moves.rs",
          "        old != new && self.len() < MOST",
          "        self.len() < MOST"),),
        ("rust_ext2_moves.nothing_waits_for_what_waits",)),
    Broken(
        "order.rename.unwritten",
        "where the page of a new name cannot be written the old name stays on the disk",
        ((_ORDER + "moves.rs",
          "            .retain(|one| one.serial > serial || one.has_failed);\n",
          "            .retain(|one| one.serial > serial);\n"),),
        ("moved_files.error_keeps_the_old_name", "moved_files.error_to_the_end")),
    Broken(
        "order.attributes.sync",
        "the count of who shares attributes is lowered at each sync",
        (("ext2/mount/super_state.rs",
          "        Wait::Yes => order.removals.resolve(sb).and(order.owners.resolve(sb)),\n",
          "        Wait::Yes => order.removals.resolve(sb),\n"),),
        ("attribute_errors.removed", "attribute_errors.changed", "attribute_errors.deleted")),
    Broken(
        "order.attributes.once",
        "and once for an inode that leaves a block, gets it again, and leaves it",
        ((_ORDER + "owners.rs",
          "        self.come_back(block, inode);\n        self.last_serial += 1;\n",
          "        self.last_serial += 1;\n"),),
        ("rust_ext2_owners.who_comes_back_has_not_left",)),
    Broken(
        "order.put_off.once",
        "the flusher puts an inode off once: what nobody syncs gets to the disk, too",
        ((_INODE + "write.rs",
          "    if disk.fresh == 0 || disk.is_put_off || branches",
          "    if disk.fresh == 0 || branches"),),
        ("flushes.of_the_flusher",)),
    Broken(
        "order.put_off.fsync",
        "fsync(2) puts nothing off",
        ((_INODE + "write.rs",
          "    if pass == Pass::Many && !sb.is_read_only()",
          "    if (pass == Pass::Many || inode.size() > 0) && !sb.is_read_only()"),),
        ("suspended.batch_under_way",)),
    Broken(
        "order.put_off.meanwhile",
        "what is put off while a sync stores the others is not taken for stored",
        ((_ORDER + "put_off.rs",
          "            *stored = noted;\n",
          "            *stored = self.count.load(Acquire);\n"),),
        ("rust_ext2_put_off.who_comes_meanwhile_waits",)),
)

_FAILING = (
    Broken(
        "failing.number",
        "a number whose name could not be removed from the disk is reported when unmounting",
        ((_ORDER + "records.rs",
          "            _ => self.links != 0,\n", "            _ => self.links == u32::MAX,\n"),),
        ("unmounting.name_that_is_gone",)),
    Broken(
        "failing.row",
        "of a row with a block whose guard could not be written the others are free again",
        (("ext2/map/places.rs",
          "        while let Some((first, count)) = "
          "cuts.next_pending(rest.first, rest.count) {\n"
          "            let (front, behind) = rest.around(Run { first, count });\n",
          "        while cuts.next_pending(rest.first, rest.count).is_some() {\n"
          "            let Run { first, count } = rest;\n"
          "            let (front, behind) = rest.around(rest);\n"),),
        ("bad_places.freed_by_another",)),
    Broken(
        "failing.place.device",
        "where no place can be written it is the device, and all are free again",
        (("ext2/map/places.rs",
          "                Err(_) => balloc::free_blocks(self.inode, block, 1),\n",
          "                Err(_) => balloc::abandon_unwritable(self.inode, block),\n"),),
        ("bad_places.nothing_can_be_written",)),
)

NAMES = (*_FOUND, *_LISTED, *_WRITTEN, *_FAILING)
