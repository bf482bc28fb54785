# SPDX-License-Identifier: GPL-2.0
"""Functions of the library's public face that nobody calls: neither the library, nor rust_ext2,
nor an example of the documentation. The compiler cannot say it of what is `pub`.

By names, without types: a function that has its name in common with one that is called is not
found. Calls in tests do not count. Pure.
"""

import re

_PUBLIC = re.compile(r"^\s*pub (?:const )?(?:unsafe )?fn (\w+)", re.M)
_DEFINED = re.compile(r"\bfn (\w+)")
_WORD = re.compile(r"\w+")
_COMMENT = re.compile(r"//[^\n]*")
_TESTS = re.compile(r"^#\[(?:kernel::macros::)?kunit_tests\b", re.M)
_LIBRARY = ("abstractions/", "mpage/")
_CALLERS = (*_LIBRARY, "abi/", "ext2/", "Documentation/", "rust_mpage.rs")

# What a filesystem may want that is not ext2, and no example shows.
WANTED = frozenset()


def without_tests(text):
    """The code of a file without comments, and without the tests at its end."""
    tests = _TESTS.search(text)
    return _COMMENT.sub("", text[:tests.start()] if tests else text)


def complaints(sources):
    """Of {path: text}, what is public and not called, and what is wanted and not there."""
    code = {path: without_tests(text) for path, text in sources.items()
            if path.endswith(".rs") and path.startswith(_CALLERS)
            and not path.endswith(("_tests.rs", "_test.rs"))}
    called = set()
    for text in code.values():
        called.update(_WORD.findall(_DEFINED.sub("", text)))
    found, public = [], set()
    for path, text in sorted(code.items()):
        if not path.startswith(_LIBRARY):
            continue
        names = _PUBLIC.findall(text)
        public.update(names)
        found += [f"{path}: nobody calls {name}()" for name in names
                  if name not in called and name not in WANTED]
    found += [f"{name}() is wanted by nobody: it is called, or not there"
              for name in sorted(WANTED) if name in called or name not in public]
    return found
