# SPDX-License-Identifier: GPL-2.0
"""Comments of Rust as wide as the kernel wants them: a paragraph with a line that is too
long is broken anew. rustfmt leaves comments alone. Pure.
"""

import re
import textwrap

WIDTH = 100  # bytes, as scripts/checkpatch.pl counts
_COMMENT = re.compile(r"( *//[/!]?)(?: (.*))?$")
_ITEM = re.compile(r"(?:[-*]|\d+\.) ")
_FIXED = re.compile(r"\s{2,}|[#|>]|\[[^\]]*\]:")


def rust(text):
    """The text, with comments of WIDTH columns at most wherever that can be."""
    done, paragraph, fenced = [], [], False
    for line in text.split("\n"):
        found = _COMMENT.match(line)
        mark, words = found.groups() if found else (None, None)
        fence = bool(words and words.lstrip().startswith("```"))
        fenced = bool(found) and fenced != fence
        plain = bool(words) and not fence and not fenced
        if paragraph and not (plain and _continues(paragraph, mark, words)):
            done += _broken(paragraph)
            paragraph = []
        if plain and (paragraph or not _FIXED.match(words)):
            paragraph.append((mark, words))
        else:
            done.append(line)
    return "\n".join(done + _broken(paragraph))


def _continues(paragraph, mark, words):
    """Whether a line belongs to the paragraph before it."""
    if mark != paragraph[0][0] or _ITEM.match(words):
        return False
    if _ITEM.match(paragraph[0][1]):
        return re.match(r" +\S", words) is not None
    return not _FIXED.match(words)


def _broken(paragraph):
    lines = [f"{mark} {words}" for mark, words in paragraph]
    if all(len(line.encode()) <= WIDTH for line in lines):
        return lines
    more = len("".join(lines).encode()) - len("".join(lines))
    mark, first = paragraph[0]
    item = _ITEM.match(first)
    deeper = " " * len(item[0]) if item else ""
    new = textwrap.wrap(
        " ".join(words.strip() for _, words in paragraph), WIDTH - more,
        initial_indent=f"{mark} ", subsequent_indent=f"{mark} {deeper}",
        break_long_words=False, break_on_hyphens=False)
    begins = [line[len(mark) + 1 + len(deeper):] for line in new[1:]]
    # what would mean something else at the beginning of a line stays where it was
    if any(_ITEM.match(words) or _FIXED.match(words) for words in begins):
        return lines
    return new
