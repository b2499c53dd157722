#!/usr/bin/env python3
"""Proves that arrows.py and sizes.py find what they are there to find."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import arrows  # noqa: E402
import sizes  # noqa: E402

ROOMS = """lib/base:
proto: lib/base
lib/net: lib/base
lib/store: lib/base proto
folder lib/store/format:
folder lib/store/query: lib/store/format
server: lib/base lib/net lib/store
"""


class Tree:
    """A small source tree in a temporary directory."""

    def __init__(self, files):
        self.folder = tempfile.TemporaryDirectory(prefix="midwatch-test-")
        for path, text in files.items():
            full = os.path.join(self.folder.name, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as out:
                out.write(text)

    def findings(self, rooms=ROOMS):
        with self.folder:
            return arrows.check_tree(self.folder.name, *arrows.read_rooms(rooms))


class ArrowsTest(unittest.TestCase):
    def test_allowed_includes_pass(self):
        tree = Tree({"server/main.c": '#include <stdio.h>\n#include "lib/net/net.h"\n'
                                      '#include "server/api/api_int.h"\n',
                     "lib/store/format/block.c": '#include "proto/trace.pb-c.h"\n'
                                                 '#include "lib/store/store_int.h"\n'})
        self.assertEqual(tree.findings(), [])

    def test_arrow_that_is_not_in_the_table(self):
        tree = Tree({"lib/net/http1.c": '#include "lib/base/slice.h"\n'
                                        '#include "lib/store/store.h"\n'})
        self.assertEqual(tree.findings(), ["lib/net/http1.c:2: lib/net may not include lib/store "
                                           "(Makefile: may_include_lib/net)"])

    def test_private_header_of_an_allowed_room(self):
        tree = Tree({"server/main.c": '#include "lib/net/net_int.h"\n'})
        self.assertEqual(tree.findings(),
                         ['server/main.c:1: "lib/net/net_int.h" is private to lib/net'])

    def test_include_that_does_not_start_at_the_root(self):
        tree = Tree({"lib/net/http1.c": '#include "http1.h"\n'})
        self.assertEqual(len(tree.findings()), 1)

    def test_unit_test_is_held_to_its_room(self):
        tree = Tree({"tests/unit/lib-net/test_x.c": '#include "lib/net/net_int.h"\n'
                                                    '#include "lib/store/store.h"\n'})
        self.assertEqual(tree.findings(), ["tests/unit/lib-net/test_x.c:2: lib/net may not include "
                                           "lib/store (Makefile: may_include_lib/net)"])

    def test_bench_sees_doors_only(self):
        tree = Tree({"tests/bench/x.c": '#include "lib/net/net.h"\n#include "lib/net/h2_int.h"\n'})
        self.assertEqual(tree.findings(),
                         ['tests/bench/x.c:2: "lib/net/h2_int.h" is private to lib/net'])

    def test_folders_of_a_room_have_an_order(self):
        tree = Tree({"lib/store/query/page.c": '#include "lib/store/format/block.h"\n',
                     "lib/store/store.c": '#include "lib/store/query/page.h"\n',
                     "lib/store/format/block.c": '#include "lib/store/query/page.h"\n'})
        self.assertEqual(tree.findings(), ["lib/store/format/block.c:1: lib/store/format may not "
                                           "include lib/store/query "
                                           "(Makefile: may_see_lib/store/format)"])

    def test_circle(self):
        findings = Tree({}).findings("a: b\nb: c\nc: a\n")
        self.assertEqual(findings, ["Makefile:1: the arrows run in a circle: a -> b -> c -> a"])

    def test_room_that_does_not_exist(self):
        self.assertEqual(Tree({}).findings("a: nowhere\n"),
                         ["Makefile:1: may_include_a names nowhere, which is no room"])

    def test_sql_outside_its_rooms(self):
        sql = 'static const char q[] = "SELECT id, body FROM alarms WHERE id = ?";\n'
        tree = Tree({"server/api.c": sql, "lib/store/merge/catalogue.c": sql})
        self.assertEqual(tree.findings(),
                         ["server/api.c:1: SQL outside lib/store and lib/state"])

    def test_sqlite_header_outside_its_rooms(self):
        include = "#include <sqlite3.h>\n"
        tree = Tree({"server/api.c": include, "server/allocators.c": include})
        self.assertEqual(tree.findings(),
                         ["server/api.c:1: SQL outside lib/store and lib/state"])

    def test_english_is_not_sql(self):
        tree = Tree({"server/api.c": '/* select from the list */\nputs("update the plan");\n'
                                     'puts("delete it from here");\n'})
        self.assertEqual(tree.findings(), [])


class SizesTest(unittest.TestCase):
    def findings(self, text):
        return sizes.check_text("a.c", text)

    def test_small_file_passes(self):
        self.assertEqual(self.findings("static int f(void)\n{\n    return 1;\n}\n"), [])

    def test_long_function(self):
        body = "    x();\n" * 80
        found = self.findings("static int f(void)\n{\n" + body + "}\n")
        self.assertEqual(found, ["a.c:1: function f has 83 lines, more than 80"])

    def test_function_at_the_limit(self):
        body = "    x();\n" * 77
        self.assertEqual(self.findings("static int f(void)\n{\n" + body + "}\n"), [])

    def test_exempt_table(self):
        body = "    x();\n" * 90
        text = "/* sizes: table */\nstatic int f(void)\n{\n" + body + "}\n"
        self.assertEqual(self.findings(text), [])
        body = "    x();\n" * 120
        text = "/* sizes: table */\nstatic int f(void)\n{\n" + body + "}\n"
        self.assertEqual(len(self.findings(text)), 1)

    def test_long_line_and_long_file(self):
        self.assertEqual(self.findings("/* " + "x" * 98 + " */\n"),
                         ["a.c:1: line of 104 columns, more than 100"])
        self.assertEqual(self.findings("\n" * 801), ["a.c:1: 801 lines, more than 800"])

    def test_data_table_is_no_function(self):
        self.assertEqual(self.findings("static const int t[] = {\n" + "    1,\n" * 200 + "};\n"), [])


if __name__ == "__main__":
    unittest.main()
