# SPDX-License-Identifier: GPL-2.0
"""The promises about the order of writes that are parts of a rule, or are about what cannot be
written or read. The others are in promises.py.
"""

from .promise import Broken

_ORDER = "ext2/order/"
_DIR = "ext2/dir/"

RULES = (
    Broken(
        "order.rename.links",
        "an inode has a link for each of its two names while it is renamed",
        ((_DIR + "rename.rs",
          "    // The disk may have both.\n    kept.source.keep(1);\n", "    let _ = &kept;\n"),),
        ("order.names_1k",)),
    Broken(
        "order.rename.returns",
        "the old name of a directory that has moved is off the medium when rename(2) returns",
        ((_DIR + "rename.rs",
          "    match moves.then(|| write::bring_to_medium(old_of(&mut request.directories))) {",
          "    match moves.then(|| Ok::<(), Error>(())) {"),),
        ("moved.directory_goes_where_it_went",)),
    Broken(
        "order.rename.into_new",
        "a new directory is on the medium when it gets its first file from elsewhere",
        (("ext2/inode/name_order.rs",
          "    if into.data().new_names().is_some() {\n",
          "    if into.data().new_names().is_some() && into.number() == 0 {\n"),),
        ("synced_directories.left_for_a_new_one",)),
    Broken(
        "order.removals.empty",
        "without its last name an inode is an empty file on the disk until that has not the name",
        (("ext2/inode/write.rs",
          "    let is_buried = inode.nlink() == 0 && disk.kept_links != 0;\n",
          "    let is_buried = inode.nlink() == 0 && disk.kept_links == u32::MAX;\n"),),
        ("removals.empty_meanwhile",)),
    Broken(
        "order.removals.sync",
        "links are taken at each sync",
        (("ext2/mount/super_state.rs",
          "        Wait::Yes => order.removals.resolve(sb).and(order.owners.resolve(sb)),\n",
          "        Wait::Yes => order.owners.resolve(sb),\n"),),
        ("removals.later",)),
    Broken(
        "order.removals.no_other",
        "a number that waits is given if there is no other, after what it waits for",
        (("ext2/alloc/ialloc.rs",
          "        Err(ENOSPC) if !removals.is_empty() => {\n",
          "        Err(ENOSPC) if removals.is_empty() => {\n"),),
        ("moved.parent_goes_last",)),
    Broken(
        "failing.guard",
        "what was cut off stays in use if that cannot be written, however often it is asked for",
        ((_ORDER + "cuts.rs",
          "        pending.stuck.absorb(&mut pending.under_way)?;\n        Err(EIO)\n",
          "        pending.under_way.clear();\n        Err(EIO)\n"),),
        ("metadata_lost.guard_not_written",)),
    Broken(
        "failing.place",
        "where a block of pointers cannot be written it gets another place",
        (("ext2/map/places.rs", "        self.count < TRIES\n", "        self.count > TRIES\n"),),
        ("bad_places.array",)),
    Broken(
        "export.commit",
        "what a server has told its client is on the medium",
        (("ext2/export.rs",
          "        if inode.is_directory() {\n            inode.write_all_pages()?;\n        }\n"
          "        inode.sync(Wait::Yes)?;\n        inode::sync_names(inode)?;\n",
          "        inode.sync(Wait::Yes)?;\n"),),
        ("export.server_has_names_on_the_medium",)),
    Broken(
        "fsync.directory",
        "fsync(2) of a directory that is new brings its name to the medium",
        (("ext2/file.rs",
          "    fn sync_names(inode: &Ext2Inode) -> Result {\n"
          "        File::sync_names(inode)\n",
          "    fn sync_names(_: &Ext2Inode) -> Result {\n"
          "        Ok(())\n"),),
        ("synced_directories.name_of_a_new_one",)),
    Broken(
        "order.branches.size.memory",
        "a directory does not grow behind an array that could neither be noted nor written",
        (("ext2/map/fresh.rs",
          "            inode.data().note_fresh(SIZE_ROOT, batch, settled);\n            Ok(())\n"
          "        }\n        Err(_) => write_unnoted(inode, buffer),\n",
          "            inode.data().note_fresh(SIZE_ROOT, batch, settled);\n            Ok(())\n"
          "        }\n        Err(_) => write_unnoted(inode, buffer).or(Ok(())),\n"),),
        ("growing.array_without_memory",)),
    Broken(
        "order.rename.failed.back",
        "the new name of what was not renamed goes only after the old one is there again",
        ((_DIR + "rename_changes.rs",
          "|| write::bring_to_medium(old).is_ok() {\n",
          "|| write::bring_to_medium(old) != Err(EINVAL) {\n"),),
        ("directory_errors.old_name_cannot_come_back",)),
    Broken(
        "attributes.mode",
        "an image that is stored before its new attributes are there keeps the mode that it has",
        (("ext2/disk/inode_waiting.rs",
          "            if rights_changed || self.mode != raw.mode.get() {\n",
          "            if raw.mode.get() != 1 {\n"),),
        ("acl.mode_of_who_has_no_list",)),
    Broken(
        "attributes.mode.narrow",
        "without its new list it says nothing of others than the owner",
        (("ext2/disk/inode_waiting.rs",
          "            if rights_changed || self.mode != raw.mode.get() {\n",
          "            if raw.mode.get() == 1 {\n"),),
        ("rust_ext2_inode_waiting.the_mode_goes_with_the_attributes_that_are_kept",)),
    Broken(
        "attributes.mode.back",
        "a list that cannot be set takes nothing from the mode on the disk",
        (("abstractions/fs/xattr/acl.rs",
          "            let before = I::noted_mode(inode.inode());\n",
          "            let before = inode.mode();\n"),),
        ("attributes.list_that_cannot_be_set",)),
    Broken(
        "attributes.unreadable",
        "attributes that cannot be read are EIO to who asks, and no reason to stop",
        (("ext2/xattr/read.rs",
          "            report::unreadable(\n", "            report::corrupt(\n"),),
        ("attribute_errors.asked_for_what_cannot_be_read",)),
    Broken(
        "attributes.mode.rights",
        "also if the mode is what it was, but the owners or the list are others",
        (("abstractions/fs/writable.rs",
          "            if valid & RIGHTS != 0 {\n", "            if valid == 0 {\n"),
         ("abstractions/fs/xattr/acl.rs",
          "            I::rights_changed(inode.inode());\n", "")),
        ("acl.mode_of_who_gets_a_list",)),
    Broken(
        "attributes.list.comes",
        "a list comes before the mode that it is the mask of, and goes in one image with it",
        (("ext2/xattr/set.rs",
          "&bytes, !is_list)?,\n", "&bytes, true || is_list)?,\n"),),
        ("acl.list_comes_with_the_mode", "acl.list_goes_with_the_mode")),
    Broken(
        "attributes.buried",
        "the image of an inode that is deleted has not the mask of a list that it had",
        (("ext2/inode/write.rs",
          "        if disk.rights_changed {\n", "        if disk.rights_changed && !is_buried {\n"),),
        ("acl.device_that_is_deleted",)),
    Broken(
        "attributes.list.full",
        "and where there is no room for that, after it",
        (("ext2/xattr/set.rs",
          "            inode.sync(Wait::Yes)?;\n            inode.device", "            inode.device"),),
        ("acl.list_goes_on_a_full_disk",)),
)
