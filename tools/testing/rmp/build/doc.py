# SPDX-License-Identifier: GPL-2.0
"""`make doc`: rustdoc of the crates, into doc/.

The kernel's build has no rule for the documentation of an external module, so
the compiler's own command line, which Kbuild keeps beside each object, is run
with rustdoc in place of rustc.
"""

import shutil

from .. import command, ui
from . import modules
from .built import Built

CRATES = ("crate/rust_mpage", "ext2/rust_ext2")


def rustdoc_words(saved, rustdoc, output):
    """(environment, argv) from the text of a .cmd file of Kbuild."""
    env, argv = modules.saved_words(saved, rustdoc)
    return env, [*argv, "--output", str(output)]


def main(settings):
    target = settings.top / "doc"
    with settings.cache.locked():
        built = Built(settings, "lean")
        objects = modules.ensure(settings, built.kernel, built.chain)
        shutil.rmtree(target, ignore_errors=True)
        for crate in CRATES:
            folder, _, base = f"./{crate}".rpartition("/")
            saved = objects / folder / f".{base}.o.cmd"
            if not saved.exists():
                raise ui.Fail(f"{saved} is missing: remove {objects.parent} "
                              "and try again")
            env, argv = rustdoc_words(saved.read_text(encoding="utf-8"),
                                      built.chain.beside_rustc("rustdoc"), target)
            log = settings.cache.logs / f"doc-{base}.log"
            generated = objects / "bindings" / "bindings_generated.rs"
            command.step(
                f"documentation of {base}", argv, log, cwd=objects,
                env=command.environment(RUSTC_BOOTSTRAP=1,
                                        RUST_MPAGE_BINDINGS=generated, **env))
            text = log.read_text(encoding="utf-8", errors="replace")
            if "warning:" in text:
                ui.say(f"  rustdoc has warnings: {log}")
    ui.say(f"  {target}/rust_mpage/index.html")
    return 0
