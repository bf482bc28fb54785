# SPDX-License-Identifier: GPL-2.0
"""What users set and see is described: mount options, counters; and what design.rst says is
in a file is there."""

import re
import unittest

from rmp.settings import TOP


def _read(path):
    return (TOP / path).read_text(encoding="utf-8")


class Described(unittest.TestCase):
    def test_every_mount_option_is_in_the_manual_page(self):
        options = re.findall(r'Parameter::(flag|flag_no|gid|uid|number|one_of)\(c"(\w+)"',
                             _read("ext2/mount/options.rs"))
        names = {name for _, name in options} | {f"no{name}" for kind, name in options
                                                 if kind == "flag_no"}
        self.assertGreater(len(names), 20)
        page = _read("Documentation/man/rust_ext2.5").replace("\\-", "-")
        tags = "\n".join(lines for lines in re.findall(r"^\.T[PQ]\n(.*)$", page, re.M))
        self.assertEqual(sorted(name for name in names
                                if not re.search(rf"\b{name}\b", tags)), [])

    def test_every_counter_is_on_its_page(self):
        read, write = _read("Documentation/counters.rst").split("\nWriting\n")
        for path, text in (("mpage/read/counters.rs", read),
                           ("mpage/write/counters.rs", write)):
            counted = re.findall(r'read_only_file\(c"(\w+)"', _read(path))
            self.assertGreater(len(counted), 9)
            self.assertEqual(sorted(counted), sorted(re.findall(r"^``(\w+)``  ", text, re.M)))

    def test_what_the_design_names_is_where_it_says(self):
        text = _read("Documentation/design.rst")
        places = re.findall(
            r"``(?:\w+::)*(\w+)``(?: of ``\w+``)?(?:,\s+|\s+\()``([\w/\s]+\.rs)``", text)
        self.assertGreater(len(places), 25)
        files = {path.relative_to(TOP).as_posix(): path for path in TOP.rglob("*.rs")}

        def is_there(name, place):
            place = re.sub(r"\s", "", place)
            return any(re.search(rf"(?:\b(?:fn|struct|enum|trait)\s+|::){name}\b",
                                 path.read_text(encoding="utf-8"))
                       for file, path in files.items()
                       if file == place or file.endswith("/" + place))
        self.assertEqual([(name, place) for name, place in places
                          if not is_there(name, place)], [])


if __name__ == "__main__":
    unittest.main()
