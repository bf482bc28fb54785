# SPDX-License-Identifier: GPL-2.0
"""The patches: the kernel's files that they touch and ours, committed stage by stage to a
repository of their own, and formatted by git.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from .. import command, ui
from ..build import modules
from . import stages

# the kernel's files that get a line
BASE = ("fs/Kconfig", "fs/Makefile", "MAINTAINERS", "Documentation/filesystems/index.rst")


def sources(top):
    """Paths of all that is in the series."""
    documents = [f"Documentation/{name}" for name in stages.DOCUMENT_NAMES]
    return [path for path in [*modules.sources(top), *documents] if stages.place(path)]


def files(top, base, identity, stage):
    """{path in the kernel: text} of all that is ours or touched, after a patch."""
    def own(name):
        return (top / "tools/series" / name).read_text(encoding="utf-8")

    found = {}
    for path in sources(top):
        at, target = stages.place(path)
        if at <= stage:
            if target in found:
                raise ui.Fail(f"{path}: something else is {target} already")
            text = (top / path).read_text(encoding="utf-8")
            found[target] = stages.render(path, text, stage)
    found[f"{stages.HOME}/Kconfig"] = stages.kconfig(own("Kconfig"), stage)
    found["fs/Kconfig"] = stages.hook_kconfig(base["fs/Kconfig"])
    found["fs/Makefile"] = stages.hook_makefile(base["fs/Makefile"])
    found["MAINTAINERS"] = stages.hook_maintainers(
        base["MAINTAINERS"], own("MAINTAINERS").format(identity=identity), stage)
    if stage >= stages.number("tests"):
        found[f"{stages.HOME}/.kunitconfig"] = own("kunitconfig")
    index = "Documentation/filesystems/index.rst"
    found[index] = base[index]
    if stage >= stages.number("documentation"):
        found[index] = stages.hook_index(base[index])
        found[f"{stages.DOCUMENTS}/index.rst"] = own("index.rst")
    return found


def identity_of(top):
    """(name, address) of who sends the series: git's user, or who committed last."""
    for words in (("var", "GIT_COMMITTER_IDENT"), ("log", "-1", "--format=%an <%ae> ")):
        name, _, rest = command.text("git", "-C", top, *words).partition(" <")
        if name and ">" in rest:
            return name, rest.partition(">")[0]
    raise ui.Fail("git does not know who sends the series: git config user.name, user.email")


class Repository:
    """A git repository that nobody's configuration changes."""

    def __init__(self, folder, identity):
        name, address = identity
        self._folder = folder
        self._env = command.environment(
            GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1", HOME=folder,
            GIT_AUTHOR_NAME=name, GIT_AUTHOR_EMAIL=address,
            GIT_COMMITTER_NAME=name, GIT_COMMITTER_EMAIL=address)
        for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
            self._env.pop(variable, None)
        self.git("init", "-q", "-b", "main")

    def git(self, *words, text=None):
        done = subprocess.run(
            ["git", "-C", self._folder, *words], input=text, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
            env=self._env, **({} if text is not None else {"stdin": subprocess.DEVNULL}))
        if done.returncode:
            raise ui.Fail(f"git {words[0]}: {done.stdout.strip()[:2000]}")
        return done.stdout

    def commit(self, contents, message, sign=True):
        """Make these the contents of these files, and commit that."""
        for path, text in contents.items():
            target = self._folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            # a file may be a link of one that is another's
            target.unlink(missing_ok=True)
            target.write_text(text, encoding="utf-8")
        self.git("add", "-f", "--", *contents)
        self.git("commit", "-q", "--no-verify", *(["-s"] if sign else []), "-F", "-",
                 text=message)


def write(top, kernel, out, identity):
    """The patches of the sources in `top` for the tree `kernel`, into `out`: their paths."""
    base = {}
    for path in BASE:
        try:
            base[path] = (kernel / path).read_text(encoding="utf-8")
        except OSError as error:
            raise ui.Fail(f"{kernel} is no kernel source tree: {error.strerror} "
                          f"({path})") from error
    name, address = identity
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository(Path(folder), identity)
        repository.commit(base, "base", sign=False)
        for number, stage in enumerate(stages.STAGES, 1):
            message = top / "tools/series" / f"{number}-{stage}.txt"
            try:
                contents = files(top, base, f"{name} <{address}>", number)
            except ValueError as error:
                raise ui.Fail(str(error)) from error
            repository.commit(contents, message.read_text(encoding="utf-8"))
        made = Path(folder, "out")
        repository.git("format-patch", "-q", "--full-index", "-o", made, f"-{stages.COUNT}")
        out.mkdir(parents=True, exist_ok=True)
        for old in [*out.glob("*.patch"), out / "cover-letter.txt"]:
            old.unlink(missing_ok=True)
        paths = [Path(shutil.copy(patch, out)) for patch in sorted(made.iterdir())]
        cover = (top / "tools/series/cover-letter.txt").read_text(encoding="utf-8")
        (out / "cover-letter.txt").write_text(
            cover.format(count=stages.COUNT) +
            repository.git("diff", "--stat", f"HEAD~{stages.COUNT}"), encoding="utf-8")
    return paths
