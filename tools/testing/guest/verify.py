# SPDX-License-Identifier: GPL-2.0
"""Read a whole filesystem and compare it with a manifest: the guest's half of
`make run`.

    verify.py JOB.json

Loads the modules, mounts the disk read-only, reads every file from the first
byte to the last and writes result.json: counts, mismatches (the first of them
by name), and how the library's counters changed. Two processes read, one for
each processor. Without a manifest every file is read and errors count. Then
rewrite.py writes, if the job says so.

Leaves out: what the numbers mean for the exit status; the host decides that.
"""

import hashlib
import json
import os
import stat
import sys
import time
import traceback

import context
import rewrite
import sysapi

CHUNK = 1 << 20
ZEROS = bytes(CHUNK)
SHOWN = 50
WORKERS = 2


class Reader:
    """One worker's share: reads files, collects what is wrong."""

    def __init__(self, root):
        self.root = root
        self.bytes = 0
        self.files = 0
        self.wrong = []
        self._buffer = bytearray(CHUNK)

    def chunks(self, path):
        """The file in pieces, (offset, bytes-like)."""
        fd = os.open(path, os.O_RDONLY)
        try:
            offset = 0
            while count := os.readv(fd, [self._buffer]):
                full = count == CHUNK
                yield offset, self._buffer if full else self._buffer[:count]
                offset += count
        finally:
            os.close(fd)

    def check(self, name, entry):
        path = os.path.join(self.root, name)
        try:
            if entry is None or "sha256" in entry:
                self._whole(name, path, entry)
            else:
                self._parts(name, path, entry)
        except OSError as error:
            self.wrong.append(f"{name}: {error.strerror}")
        self.files += 1

    def _whole(self, name, path, entry):
        total, length = hashlib.sha256(), 0
        for _, piece in self.chunks(path):
            if entry:
                total.update(piece)
            length += len(piece)
        self.bytes += length
        if entry and total.hexdigest() != entry["sha256"]:
            self.wrong.append(f"{name}: SHA-256 differs ({length} bytes read)")

    def _parts(self, name, path, entry):
        """A sparse file: the parts by their hash, the rest against zeros."""
        cuts = entry["parts"]
        hashes = [hashlib.sha256() for _ in cuts]
        length = 0
        for offset, piece in self.chunks(path):
            length = offset + len(piece)
            self._holes(name, offset, piece, cuts)
            for (begin, size, _), total in zip(cuts, hashes):
                low, high = max(begin, offset), min(begin + size, length)
                if low < high:
                    total.update(piece[low - offset:high - offset])
        self.bytes += length
        if length != entry["size"]:
            self.wrong.append(f"{name}: {length} bytes, not {entry['size']}")
        for (begin, size, want), total in zip(cuts, hashes):
            if total.hexdigest() != want:
                self.wrong.append(f"{name}: SHA-256 differs at {begin}+{size}")

    def _holes(self, name, offset, piece, cuts):
        at, end = offset, offset + len(piece)
        for begin, size, _ in [*cuts, [end, 0, ""]]:
            if begin > at:
                stop = min(begin, end)
                # comparing memoryviews is slow: one object for each byte
                whole = stop - at == CHUNK
                part = piece if whole else piece[at - offset:stop - offset]
                if part != (ZEROS if whole else ZEROS[:len(part)]):
                    self.wrong.append(f"{name}: no zeros in the hole at {at}")
            at = min(max(at, begin + size), end)


def walk(root):
    """{name: lstat} of everything under root, and what cannot be listed."""
    found, wrong = {".": os.lstat(root)}, []
    pending = ["."]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError as error:
            wrong.append(f"{folder}: {error.strerror}")
            continue
        for base in names:
            name = base if folder == "." else f"{folder}/{base}"
            try:
                found[name] = os.lstat(os.path.join(root, name))
            except OSError as error:
                wrong.append(f"{name}: {error.strerror}")
                continue
            if stat.S_ISDIR(found[name].st_mode):
                pending.append(name)
    return found, wrong


def compare(root, found, manifest):
    """Names, modes, owners, sizes, times, link counts, symlink targets."""
    wrong = [f"{name}: missing" for name in manifest if name not in found]
    for name, info in found.items():
        entry = manifest.get(name)
        if entry is None:
            if name != "lost+found":
                wrong.append(f"{name}: not in the manifest")
            continue
        have = {"mode": info.st_mode, "uid": info.st_uid, "gid": info.st_gid,
                "mtime": int(info.st_mtime), "size": info.st_size,
                "nlink": info.st_nlink}
        wrong += [f"{name}: {key} is {have[key]}, not {entry[key]}"
                  for key in have if key in entry and have[key] != entry[key]]
        if "target" in entry:
            target = os.readlink(os.path.join(root, name))
            if target != entry["target"]:
                wrong.append(f"{name}: symbolic link to {target!r}")
    return wrong


def share_out(found):
    """Regular files, by inode once, in WORKERS lists of about equal bytes."""
    seen, files = set(), []
    for name, info in found.items():
        if stat.S_ISREG(info.st_mode) and info.st_ino not in seen:
            seen.add(info.st_ino)
            files.append((info.st_size + 100000, name))
    shares = [[] for _ in range(WORKERS)]
    loads = [0] * WORKERS
    for size, name in sorted(files, reverse=True):
        least = loads.index(min(loads))
        loads[least] += size
        shares[least].append(name)
    return shares


def read_share(root, names, manifest, path):
    """A worker: read a share and leave the result in a file."""
    reader = Reader(root)
    for name in names:
        reader.check(name, manifest.get(name) if manifest else None)
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"files": reader.files, "bytes": reader.bytes,
                   "wrong": reader.wrong}, out)


def read_all(root, shares, manifest, scratch):
    """Run the workers; their results added up."""
    pids = {}
    for number, names in enumerate(shares):
        path = os.path.join(scratch, f"share{number}")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                read_share(root, names, manifest, path)
                code = 0
            except BaseException:  # pylint: disable=broad-exception-caught
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        pids[pid] = path
    total = {"files": 0, "bytes": 0, "wrong": []}
    for pid, path in pids.items():
        _, status = os.waitpid(pid, 0)
        if status:
            total["wrong"].append(f"a reader died (status {status})")
            continue
        with open(path, encoding="utf-8") as file:
            part = json.load(file)
        for key, value in part.items():
            total[key] += value
    return total


def disk_reads(device):
    """(requests, sectors) read from a disk so far, as the block layer counts."""
    name = os.path.basename(device)
    with open(f"/sys/block/{name}/stat", encoding="ascii") as file:
        fields = file.read().split()
    return int(fields[0]), int(fields[2])


def work(job):
    """Everything; the result as a table for JSON."""
    scratch = job["scratch"]
    root = os.path.join(scratch, "mnt")
    os.makedirs(root)
    for entry in job["modules"]:
        context.load_module(job["trees"], entry)
    if job["fstype"] not in ("rust_ext2",):
        context.load_module(job["trees"], job["fstype"])
    manifest = None
    if job.get("manifest"):
        with open(job["manifest"], encoding="utf-8") as file:
            manifest = json.load(file)
    begin = time.monotonic()
    try:
        sysapi.mount(job["device"], root, job["fstype"], sysapi.MS_RDONLY)
    except OSError as error:
        return {"error": f"mount: {error.strerror}"}
    before, disk = context.counters(), disk_reads(job["device"])
    found, wrong = walk(root)
    if manifest is not None:
        wrong += compare(root, found, manifest)
    listed = time.monotonic()
    total = read_all(root, share_out(found), manifest, scratch)
    end = time.monotonic()
    after, disk_after = context.counters(), disk_reads(job["device"])
    wrong += total["wrong"]
    sysapi.umount(root)
    written = None
    if job["write"]:
        written = rewrite.run(job, found, share_out)
    for name in reversed(job["modules"]):
        sysapi.rmmod(name)
    return {
        "names": len(found), "files": total["files"], "bytes": total["bytes"],
        "mismatches": len(wrong), "wrong": wrong[:SHOWN],
        "counters": {key: after[key] - before.get(key, 0) for key in after},
        "disk": [disk_after[0] - disk[0], (disk_after[1] - disk[1]) * 512],
        "seconds": {"list": round(listed - begin, 1), "read": round(end - listed, 1),
                    "write": round(time.monotonic() - end, 1)},
        "write": written,
    }


def main(path):
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    try:
        result = work(job)
    except (OSError, ValueError, LookupError, RuntimeError) as error:
        traceback.print_exc()
        result = {"error": str(error)}
    target = os.path.join(job["out"], "result.json")
    with open(target, "w", encoding="utf-8") as out:
        json.dump(result, out, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
