# SPDX-License-Identifier: GPL-2.0
"""The promises about requests that go past the page cache, or may not wait for it or stay in
it, and about what is asked of a mounted filesystem. The others are in promises.py.
"""

from .promise import Broken

_IO = "abstractions/fs/io/"
_WRITABLE = "abstractions/fs/writable.rs"

DIRECT = (
    Broken(
        "direct.rings",
        "no thread waits for what a ring reads through the page cache",
        ((_WRITABLE,
          "bindings::RUST_MPAGE_FOP_BUFFER_RASYNC | bindings::RUST_MPAGE_FOP_DONTCACHE",
          "bindings::RUST_MPAGE_FOP_DONTCACHE"),),
        ("direct_rings.cached_reads",)),
    Broken(
        "direct.partly",
        "who writes directly is told how much is done if there is no room for the rest",
        ((_IO + "direct.rs",
          "            Err(error) if direct == 0 => error.to_errno() as isize,\n"
          "            // The error is met again by who writes the rest.\n"
          "            Err(_) => direct as isize,\n",
          "            Err(error) => error.to_errno() as isize,\n"),),
        ("direct_partly.full_disk",)),
    Broken(
        "direct.partly.written",
        "and if the rest cannot be written",
        ((_IO + "direct.rs",
          "            0 => error.to_errno() as isize,\n            _ => direct as isize,\n",
          "            _ => error.to_errno() as isize,\n"),),
        ("direct_partly.bad_block",)),
    Broken(
        "direct.partly.counted",
        "and what was written through the page cache counts, too",
        ((_IO + "direct.rs",
          "request.sync_written(direct + cached)", "request.sync_written(direct.max(cached))"),),
        ("direct_partly.last_blocks",)),
    Broken(
        "direct.atime",
        "a direct read is an access",
        ((_IO + "direct.rs", "        request.note_access();\n",
          "        if request.left() == usize::MAX {\n"
          "            request.note_access();\n        }\n"),),
        ("times.direct_reads",)),
    Broken(
        "direct.capabilities",
        "a direct write takes a file's capabilities away",
        ((_IO + "request.rs", "        to_result(unsafe { bindings::kiocb_modified(self.iocb) })",
          "        to_result(match self.is_direct() {\n            true => 0,\n"
          "            false => unsafe { bindings::kiocb_modified(self.iocb) },\n        })"),),
        ("xattr.capabilities",)),
    Broken(
        "direct.alignment",
        "statx(2) says what memory has to be aligned to",
        ((_WRITABLE, "(*stat).dio_mem_align = bindings", "(*stat).dio_mem_align = 0 & bindings"),),
        ("direct.alignment",)),
    Broken(
        "direct.at_once",
        "who may not wait does not, where nobody knows yet where a block is",
        ((_IO + "direct_map.rs", "let at_once = flags & bindings::IOMAP_NOWAIT != 0;",
          "let at_once = flags & bindings::IOMAP_NOWAIT != 0 && length == 0;"),),
        ("seek.reads_that_do_not_wait",)),
    Broken(
        "direct.rest_at_once",
        "nor is what cannot be written directly written through the page cache for him",
        ((_IO + "direct.rs", "} else if !request.may_not_wait() {",
          "} else if request.left() > 0 {"),),
        ("seek.not_waiting_beside_ext4",)),
    Broken(
        "dontcache.written",
        "what is written so as not to stay in memory does not",
        ((_IO + "request.rs", "self.flags() & bindings::RUST_MPAGE_IOCB_DONTCACHE != 0",
          "self.flags() & bindings::RUST_MPAGE_IOCB_DONTCACHE == c_int::MIN"),),
        ("dontcache.not_kept_in_memory",)),
    Broken(
        "dontcache.asked",
        "it may be asked for",
        ((_WRITABLE,
          "bindings::RUST_MPAGE_FOP_BUFFER_RASYNC | bindings::RUST_MPAGE_FOP_DONTCACHE",
          "bindings::RUST_MPAGE_FOP_BUFFER_RASYNC"),),
        ("dontcache.beside_ext4",)),
    Broken(
        "quota.inodes",
        "who has as many inodes as he may gets no other, on an image that is broken, too",
        (("abstractions/fs/quota/charges.rs",
          "        to_result(unsafe { bindings::rust_mpage_helper_dquot_alloc_inode"
          "(inode.as_ptr()) })?;\n",
          "        let _ = unsafe { bindings::rust_mpage_helper_dquot_alloc_inode"
          "(inode.as_ptr()) };\n"),),
        ("hostile_variants.quota_directories",)),
    Broken(
        "mount.debug",
        "with debug the log has the layout when a filesystem is remounted for writing",
        (("ext2/mount/super_block.rs",
          "change == AccessChange::ToReadWrite && options.has(Flag::Debug)",
          "change == AccessChange::ToReadOnly && options.has(Flag::Debug)"),),
        ("mount.debug",)),
    Broken(
        "direct.refused.unchanged",
        "who may not wait is told so while nothing of the file has changed",
        ((_IO + "direct.rs",
          "        if request.may_not_wait() && (is_behind || flags != 0) {\n",
          "        if request.may_not_wait() && flags != 0 {\n"),),
        ("direct_refused.who_may_not_wait",)),
    Broken(
        "direct.refused.error",
        "an error of before is none of who appends",
        ((_IO + "direct.rs", "            request.forget_error();\n", ""),),
        ("direct_refused.an_error_of_before",)),
    Broken(
        "space.not_the_inodes",
        "what an inode does not lead to any more does not count, also if it cannot be freed",
        (("ext2/alloc/balloc.rs",
          "    inode.sub_bytes(u64::from(count) << sb.block_bits());\n    inode.mark_dirty();\n}\n\n"
          "/// Frees a metadata",
          "    inode.sub_bytes(u64::from(freed) << sb.block_bits());\n    inode.mark_dirty();\n}\n\n"
          "/// Frees a metadata"),),
        ("bad_blocks.target_is_no_block",)),
)
