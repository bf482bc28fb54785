# SPDX-License-Identifier: GPL-2.0
"""`make htmldocs`: Documentation/ and the manual pages as one site, made by Sphinx as the
kernel configures it, with the rustdoc of the crates beside it; into doc/.
"""

import re
import shutil
import tempfile
from pathlib import Path

from .. import command, ui
from . import doc, ksource, packages

SITE = "html"  # in doc/, beside the folders that rustdoc makes
_MORE = """
.. toctree::
   :maxdepth: 1
   :caption: Manual pages

{pages}

The API of the crates: `rust_mpage <../rust_mpage/index.html>`__,
`rust_ext2 <../rust_ext2/index.html>`__.
"""
_PAGE = """{line}
{name}
{line}

.. code-block:: none

{text}
"""


def _manual(path):
    """A manual page as a document, (name of the file, text)."""
    name = "{}({})".format(*path.name.rsplit(".", 1))
    text = command.text("groff", "-man", "-Tascii", "-P-c", "-P-b", "-P-u", "-P-o",
                        "-rLL=78n", path)
    if not text:
        raise ui.Fail(f"groff makes nothing of {path}")
    indented = "\n".join(f"   {line}".rstrip() for line in text.splitlines())
    return path.name + ".rst", _PAGE.format(line="=" * len(name), name=name, text=indented)


def stage(top, folder):
    """The documents of the site, in a folder."""
    shutil.copytree(top / "Documentation", folder, ignore=shutil.ignore_patterns("man"))
    (folder / "man").mkdir()
    pages = [_manual(path) for path in sorted((top / "Documentation/man").iterdir())]
    for name, text in pages:
        (folder / "man" / name).write_text(text, encoding="utf-8")
    names = "\n".join(f"   man/{name.removesuffix('.rst')}" for name, _ in pages)
    with open(folder / "index.rst", "a", encoding="utf-8") as index:
        index.write(_MORE.format(pages=names))


def complaints(log, folder):
    """What Sphinx says is wrong with the documents."""
    return [line.replace(f"{folder}/", "") for line in log.splitlines()
            if line.startswith(str(folder)) and re.search(r"WARNING|ERROR", line)]


def main(settings):
    packages.install_for_htmldocs(settings)
    doc.main(settings)
    with settings.cache.locked():
        source = ksource.tree(settings)
    site = settings.top / "doc" / SITE
    log = settings.cache.logs / "htmldocs.log"
    with tempfile.TemporaryDirectory(prefix="rmp-") as work:
        folder = Path(work, "Documentation")
        stage(settings.top, folder)
        Path(work, "MAINTAINERS").touch()  # an extension of the kernel's reads one
        command.step("site", [
            "sphinx-build", "-q", "-b", "html", "-c", source / "Documentation",
            "-d", Path(work, "doctrees"), "-D", "project=rust_mpage", "-D", "version=",
            "-D", "release=", "-D", "html_logo=", "-D", "html_favicon=", folder, site,
        ], log, env=command.environment(srctree=source, PYTHONDONTWRITEBYTECODE=1))
        wrong = complaints(log.read_text(encoding="utf-8", errors="replace"), folder)
    for line in wrong:
        ui.say(f"  wrong: {line}")
    ui.say(f"  {site}/index.html")
    return 1 if wrong else 0
