# SPDX-License-Identifier: GPL-2.0
"""What `make bench` measures: filesystems, cells, boots.

A cell is one run of the workload program (tools/testing/bench/workload.c) and
the names of the numbers that it prints. Sizes are chosen so that a file of 1 KiB
blocks reaches its triple indirect block and a run of everything takes minutes.
"""

MIB = 128          # of the file that most cells use
SPARSE_MIB = 64
SCATTERED_MIB = 16
DIRECT_MIB = 32    # that is appended past the cache
SMALL_FILES = 2000
ENTRIES = 5000     # of the directory that is listed
NAMES = 5000       # of the one in which they come, change and go
MANY_FILES = 100_000  # in one directory, of those that do not walk over it
WRITER_MIB = 64    # that each of two processes appends
WRITER_NAMES = {"append_two": "to two files", "append_one": "to one file"}
TURNS_MIB = 64     # of each of four files that are appended to in turns
CHANGES = 16       # of each kind
CHANGE_NAMES = {
    "rewrite": "4 KiB written anew, in memory",
    "store": "a byte stored through a mapping, not in memory",
    "append": "4 KiB appended",
}
GROWTH_MIB = (16, 64, 256, 1024)
TWICE_MIB = 1792   # of the file that is twice as large as the memory for it
TWICE_DEVICE_MIB = 1920
TWICE_MEMORY_MIB = TWICE_DEVICE_MIB + TWICE_MIB // 2  # the disk is in it
GROWTH_FILES = (1, 10, 100, 1000, 10000)
GROWTH_NAMES = (1000, 10_000, 100_000)  # of empty files in one directory
MOST_WALKED = 10_000  # of those that walk over it

C_EXT2, ON_RUST, RUST_EXT2 = "C ext2", "C ext2 on rust_mpage", "rust_ext2"
EXT4, XFS = "C ext4", "C xfs"
FILESYSTEMS = (C_EXT2, EXT4, XFS, RUST_EXT2, ON_RUST)

# name, heading, what a unit is
COLUMNS = (
    ("write_1m", "write 1M", "page"),
    ("fsync", "fsync", "page"),
    ("write_4k", "write 4k", "page"),
    ("overwrite_1m", "overwrite 1M", "page"),
    ("overwrite_4k", "overwrite 4k", "page"),
    ("cold_1m", "cold read 1M", "page"),
    ("cold_4k", "cold read 4k", "page"),
    ("warm", "warm read", "page"),
    ("mmap", "cold mmap", "page"),
    ("random_4k", "random 4k", "page"),
    ("sparse", "sparse read", "page"),
    ("fragmented", "fragmented", "page"),
    ("dio_read_1m", "dio read 1M", "page"),
    ("dio_read_4k", "dio read 4k", "page"),
    ("dio_write_1m", "dio write 1M", "page"),
    ("dio_write_4k", "dio write 4k", "page"),
    ("dio_append_1m", "dio append 1M", "page"),
    ("dio_append_4k", "dio append 4k", "page"),
    ("nowait", "nowait read", "page"),
    ("dontcache_read", "uncached read", "page"),
    ("dontcache_write", "uncached write", "page"),
    ("small_write", "small create", "file"),
    ("empty", "create empty", "file"),
    ("absent", "no such name", "name"),
    ("rename", "rename", "name"),
    ("unlink", "unlink", "file"),
    ("small_read", "small read", "file"),
    ("list", "readdir, stat", "entry"),
)
READS = ("cold_1m", "cold_4k", "warm", "mmap", "random_4k", "sparse", "fragmented",
         "dio_read_1m", "dio_read_4k", "nowait", "dontcache_read", "small_read", "list")
HEADINGS = {name: heading for name, heading, _ in COLUMNS}
UNITS = {name: unit for name, _, unit in COLUMNS}


def _cell(words, *needs, **names):
    """A run and its numbers; `needs` are columns of cells that have to run before."""
    return {"run": list(words), "names": names, "needs": list(needs)}


# what C ext2 refuses is asked of the others only
_ASKED_OF = {"but": [C_EXT2, ON_RUST]}
READ_CELLS = [
    _cell(["read", "big", 1 << 20, 0], read="cold_1m"),
    _cell(["read", "big", 4096, 0], read="cold_4k"),
    _cell(["read", "big", 1 << 20, 1], read="warm"),
    _cell(["mmap", "big"], mmap="mmap"),
    _cell(["random", "big"], random="random_4k"),
    _cell(["read", "sparse", 1 << 20, 0], read="sparse"),
    _cell(["read", "scattered", 1 << 20, 0], read="fragmented"),
    _cell(["read-direct", "big", 1 << 20], read="dio_read_1m"),
    _cell(["read-direct", "big", 4096], read="dio_read_4k"),
    _cell(["read-nowait", "big", 1 << 20], read="nowait") | _ASKED_OF,
    _cell(["read-dontcache", "big", 1 << 20], read="dontcache_read") | _ASKED_OF,
    _cell(["read-small", "small", SMALL_FILES], read="small_read"),
    _cell(["list", "entries"], list="list"),
]
WRITE_CELLS = [
    _cell(["write", "new", MIB, 1 << 20], write="write_1m", fsync="fsync"),
    _cell(["overwrite", "new", MIB, 1 << 20], "write_1m", overwrite="overwrite_1m"),
    _cell(["overwrite", "new", MIB, 4096], "write_1m", overwrite="overwrite_4k"),
    _cell(["write", "new4k", MIB, 4096], write="write_4k"),
    _cell(["write-direct", "new", MIB, 1 << 20], "write_1m", write="dio_write_1m"),
    _cell(["write-direct", "new", MIB, 4096], "write_1m", write="dio_write_4k"),
    _cell(["write-direct", "direct", DIRECT_MIB, 1 << 20], write="dio_append_1m"),
    _cell(["write-direct", "direct4k", DIRECT_MIB, 4096], write="dio_append_4k"),
    _cell(["write-dontcache", "dropped", DIRECT_MIB, 1 << 20],
          write="dontcache_write") | _ASKED_OF,
    _cell(["make-small", "small", SMALL_FILES], create="small_write"),
    _cell(["make-empty", "names", NAMES], create="empty"),
    _cell(["absent", "names", NAMES], "empty", absent="absent"),
    _cell(["rename", "names", NAMES], "empty", rename="rename"),
    _cell(["unlink", "names", NAMES], "rename", unlink="unlink"),
]
MAKE = [
    ["write", "big", MIB, 1 << 20],
    ["make-sparse", "sparse", SPARSE_MIB],
    ["make-small", "small", SMALL_FILES],
    ["make-empty", "entries", ENTRIES],
]

_NO_DISCARD = "nodiscard"
_MKFS = {
    "ext2": ["mkfs.ext2", "-q", "-F", "-b", "BLOCK", "-E", _NO_DISCARD],
    "ext4": ["mkfs.ext4", "-q", "-F", "-b", "BLOCK", "-O", "^has_journal",
             "-E", _NO_DISCARD + ",lazy_itable_init=0"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-K", "-b", "size=BLOCK"],
}
_BY_ALLOTMENT = ["make-scattered-by-allotment", "scattered", SCATTERED_MIB]
_IN_TURN = ["make-scattered-in-turn", "scattered", SCATTERED_MIB]


def _member(name, fstype, modules, trees=()):
    return {"name": name, "fstype": fstype, "modules": list(modules),
            "trees": list(trees)}


def groups(ours, on_rust):
    """The groups of filesystems; `ours` and `on_rust` are the guest's paths of
    the trees with our modules and with C ext2 on them."""
    library = ["rust_mpage"]
    return [
        {"members": [
            _member(C_EXT2, "ext2", ["ext2"]),
            _member(RUST_EXT2, "rust_ext2", library + ["rust_ext2"], [ours]),
            _member(ON_RUST, "ext2", library + ["ext2"], [on_rust, ours])],
         "mkfs": _MKFS["ext2"], "options": "noreservation", "make": [_IN_TURN]},
        {"members": [_member(EXT4, "ext4", ["ext4"])],
         "mkfs": _MKFS["ext4"], "make": [_BY_ALLOTMENT]},
        {"members": [_member(XFS, "xfs", ["xfs"])],
         "mkfs": _MKFS["xfs"], "make": [_BY_ALLOTMENT]},
    ]


def table(device, block_size):
    """The job of a boot that fills one table."""
    return {"device": device, "block_size": block_size, "device_mib": 640,
            "read": READ_CELLS, "write": WRITE_CELLS, "make": MAKE, "only": []}


def changes(block_size):
    """The job of the boot that asks what small changes cost the device: KiB. brd does
    not count."""
    cells = [_cell([what, f"change-{what}", CHANGES],
                   **{"in": f"{what}_read", "out": f"{what}_written"})
             for what in CHANGE_NAMES]
    return {"device": "null_blk", "block_size": block_size, "device_mib": 256,
            "read": [], "write": cells, "make": [], "only": []}


def writers():
    """The job of the boot in which two processes write on two processors."""
    cells = [_cell(["append-by-two", f"append{files}-", WRITER_MIB, files], append=name)
             for files, name in ((2, "append_two"), (1, "append_one"))]
    return {"device": "brd", "block_size": 4096, "device_mib": 640,
            "read": [], "write": cells, "make": [], "only": []}


def turns(block_size):
    """The job of a boot in which four files grow in turns: pieces that each is in."""
    cell = _cell(["grow-in-turns", "turn", TURNS_MIB, 4], pieces="in_turns")
    return {"device": "brd", "block_size": block_size, "device_mib": 640,
            "read": [], "write": [cell], "make": [], "only": []}


def growth():
    """The job of the boot that asks what larger files and more of them cost."""
    reads, writes, make = [], [], []
    for mib in GROWTH_MIB:
        name = f"grow{mib}"
        reads.append(_cell(["read", name, 1 << 20, 0], read=f"cold_1m@{mib}"))
        writes.append(_cell(["write", "new", mib, 1 << 20], write=f"write_1m@{mib}",
                            fsync=f"fsync@{mib}"))
        make.append(["write", name, mib, 1 << 20])
    for count in GROWTH_FILES:
        name = f"files{count}"
        reads.append(_cell(["read-small", name, count], read=f"small_read@{count}"))
        writes.append(_cell(["make-small", name, count],
                            create=f"small_write@{count}"))
        make.append(["make-small", name, count])
    return {"device": "brd", "block_size": 4096, "device_mib": 1900,
            "read": reads, "write": writes, "make": make, "only": []}


def twice():
    """The job of the boot with a file twice as large as what the guest has of memory
    beside the disk, which never leaves it."""
    write = ["write", f"grow{TWICE_MIB}", TWICE_MIB, 1 << 20]
    return {"device": "brd", "block_size": 4096, "device_mib": TWICE_DEVICE_MIB,
            "read": [_cell(["read", write[1], 1 << 20, 0], read=f"cold_1m@{TWICE_MIB}")],
            "write": [_cell(write, write=f"write_1m@{TWICE_MIB}",
                            fsync=f"fsync@{TWICE_MIB}")],
            "make": [write], "only": []}


def many():
    """The job of the boot that makes many files in one directory. C ext2 would take an
    hour."""
    cell = _cell(["make-small", "many", MANY_FILES],
                 create=f"small_write@{MANY_FILES}")
    return {"device": "brd", "block_size": 4096, "device_mib": 1900, "read": [],
            "write": [dict(cell, but=[C_EXT2, ON_RUST])], "make": [], "only": []}


def names(block_size):
    """The job of the boot that asks what names cost in larger directories."""
    cells = []
    for count in GROWTH_NAMES:
        name = f"names{count}"
        but = [C_EXT2, ON_RUST] if count > MOST_WALKED else []
        cells += [dict(cell, but=but) for cell in (
            _cell(["make-empty", name, count], create=f"empty@{count}"),
            _cell(["absent", name, count], f"empty@{count}", absent=f"absent@{count}"),
            _cell(["rename", name, count], f"empty@{count}", rename=f"rename@{count}"),
            _cell(["unlink", name, count], f"rename@{count}", unlink=f"unlink@{count}"))]
    return {"device": "brd", "block_size": block_size, "device_mib": 1900,
            "read": [], "write": cells, "make": [], "only": []}


def small(block_size):
    """The job of the boot that asks what small files cost in larger directories, as growth() and
    many() do with blocks of 4 KiB."""
    cells = [dict(_cell(["make-small", f"files{count}", count], create=f"small_write@{count}"),
                  but=[C_EXT2, ON_RUST] if count > MOST_WALKED else [])
             for count in GROWTH_NAMES]
    return {"device": "brd", "block_size": block_size, "device_mib": 1900,
            "read": [], "write": cells, "make": [], "only": []}


def only(job, pairs):
    """The job, for these (filesystem, column) pairs and what they need."""
    return dict(job, only=[list(pair) for pair in pairs])
