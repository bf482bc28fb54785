# SPDX-License-Identifier: GPL-2.0
"""Images that guest tests ask for by name: ctx.image("contiguous-4k").

A recipe is a function in a file of recipes/, run on the host:

    from ..images import image

    @image
    def contiguous_4k(b):
        b.file("big", b.data("big", 3 << 20))
        b.mke2fs("-b", "4096", size="16M")
        b.debugfs("set_inode_field big mtime 0")

Its name, with "-" for "_", is the image's. `b` offers:

    b.root                  directory that mke2fs copies into the image
    b.path                  the image itself
    b.file(name, data)      a file under b.root (bytes; folders are made)
    b.sparse(name, size, {offset: bytes})   a file with holes under b.root
    b.data(seed, length)    bytes that depend on the seed only
    b.mke2fs(*options, size="64M")  make b.path from b.root, with fixed times
    b.debugfs(*commands)    run debugfs -w commands on b.path
    b.poke(offset, data)    overwrite bytes of b.path
    b.peek(offset, length)  bytes of b.path
    b.truncate(length)      cut or extend b.path
    b.run(*argv)            any other command, e.g. e2fsck
    b.fsck_repair()         e2fsck -fy: puts counts and bitmaps right
    b.fsck_clean()          e2fsck -fn, which must find nothing

More than one image from one recipe: @image(names=["a", "b"]) calls the function
for each as recipe(b, name). A recipe may leave other files beside the image, such
as a description of what is in it. The images live in the cache, keyed by the
source of this room and by mke2fs's version.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

_EPOCH = "1700000000"

RECIPES = {}


def image(function=None, names=None):
    """Decorator: register a recipe; see the head of this file."""

    def register(recipe):
        if names is None:
            RECIPES[recipe.__name__.replace("_", "-")] = (recipe, False)
        for name in names or []:
            RECIPES[name] = (recipe, True)
        return recipe

    return register(function) if function else register


class ImageError(Exception):
    """A recipe's command failed."""


class Builder:
    """What a recipe works with; see the head of this file."""

    def __init__(self, folder, name):
        self.folder = Path(folder)
        self.root = self.folder / (name + ".root")
        self.path = self.folder / name
        self.root.mkdir()

    def file(self, name, data=b""):
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return target

    def sparse(self, name, size, parts):
        target = self.file(name)
        with open(target, "r+b") as file:
            file.truncate(size)
            for offset, data in parts.items():
                file.seek(offset)
                file.write(data)
        return target

    @staticmethod
    def data(seed, length):
        return hashlib.shake_256(str(seed).encode()).digest(length)

    def mke2fs(self, *options, size="64M"):
        times = (int(_EPOCH), int(_EPOCH))
        for folder, folders, files in os.walk(self.root):
            for name in [".", *folders, *files]:
                os.utime(os.path.join(folder, name), times, follow_symlinks=False)
        self.path.unlink(missing_ok=True)
        self.run(
            "mke2fs", "-q", "-F", "-t", "ext2", "-d", self.root,
            "-U", "6d706167-652e-4c69-6e75-782e32303236",
            "-E", "hash_seed=6d706167-652e-4c69-6e75-782e32303236",
            *options, self.path, size,
        )

    def debugfs(self, *commands):
        done = self.run("debugfs", "-w", "-f", "-", self.path,
                        text="".join(line + "\n" for line in commands))
        return done

    def poke(self, offset, data):
        with open(self.path, "r+b") as file:
            file.seek(offset)
            file.write(data)

    def peek(self, offset, length):
        with open(self.path, "rb") as file:
            file.seek(offset)
            return file.read(length)

    def truncate(self, length):
        os.truncate(self.path, length)

    def fsck_repair(self):
        self.run("e2fsck", "-fy", self.path, good=(0, 1))
        self.run("e2fsck", "-fy", self.path)

    def fsck_clean(self):
        self.run("e2fsck", "-fn", self.path)

    def run(self, *argv, text=None, good=(0,)):
        """Run a command in the recipe's folder; its output."""
        environment = dict(os.environ, LC_ALL="C", E2FSPROGS_FAKE_TIME=_EPOCH)
        environment["PATH"] += ":/usr/sbin:/sbin"
        argv = [str(word) for word in argv]
        done = subprocess.run(
            argv, input=text, cwd=self.folder, env=environment, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            encoding="utf-8", errors="replace",
        )
        if done.returncode not in good:
            raise ImageError(
                f"{' '.join(argv)}: exit status {done.returncode}\n{done.stdout}"
            )
        return done.stdout


def key_inputs():
    """What the images depend on, for the cache's key: this room, and mke2fs."""
    files = [path for path in sorted(Path(__file__).parent.rglob("*.py"))
             if not path.name.startswith("test_")]
    version = subprocess.run(
        ["mke2fs", "-V"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False, env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin"),
    )
    return [*(path.read_bytes() for path in files), version.stdout]


def build_all(folder, progress=lambda done, total, name: None):
    """Run every recipe into `folder`."""
    for count, (name, (recipe, named)) in enumerate(sorted(RECIPES.items())):
        progress(count, len(RECIPES), name)
        builder = Builder(folder, name)
        try:
            recipe(*[builder, name][:1 + named])
        except (OSError, ValueError, LookupError) as error:
            raise ImageError(f"recipe {name}: {error!r}") from error
        shutil.rmtree(builder.root)
        if not builder.path.exists():
            raise ImageError(f"recipe {name} made no image")
