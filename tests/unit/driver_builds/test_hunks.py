# SPDX-License-Identifier: Apache-2.0
"""Hunks of a diff, and where a rejected one belongs today."""

import difflib

from driver_builds.hunks import describe_rejected, find_function_before, find_place, parse_hunks

OLD = [f"\tstatement_number({number});" for number in range(60)]


def _diff(changes: dict[int, str]) -> str:
    new = [changes.get(number, line) for number, line in enumerate(OLD)]
    lines = difflib.unified_diff(
        [f"{x}\n" for x in OLD], [f"{x}\n" for x in new], "a/d/f.c\t2026", "b/d/f.c\t2026"
    )
    return "diff --git a/d/f.c b/d/f.c\n" + "".join(lines)


def test_hunks() -> None:
    first, second = parse_hunks(_diff({5: "\tone();", 40: "--- not a file;"}))
    assert (first.file, first.number, first.line) == ("d/f.c", 1, 3)
    assert first.old == tuple(OLD[2:9])
    assert (second.file, second.number, second.line, second.old) == ("d/f.c", 2, 38, tuple(OLD[37:44]))


def test_a_removed_line_that_looks_like_a_head() -> None:
    one = "--- a/d/f.c\n+++ b/d/f.c\n@@ -7 +7,2 @@\n--- old\n+++ new\n+@@ -1 +1 @@\n"
    patch = f"{one}--- a/e.c\n+++ b/e.c\n@@ -1 +1 @@\n-x\n+y\n"
    first, second = parse_hunks(patch)
    assert (first.line, first.old) == (7, ("-- old",))
    assert (second.file, second.number, second.old) == ("e.c", 1, ("x",))


def test_a_patch_cut_off() -> None:
    (hunk,) = parse_hunks("+++ b/e.c\n@@ -1,5 +1,5 @@\n a\n-b\n")
    assert hunk.old == ("a", "b")
    assert parse_hunks("") == []


def test_a_place_that_moved_and_grew() -> None:
    hunk, _ = parse_hunks(_diff({5: "\tone();", 40: "\tx();"}))
    today = ["/* new */"] * 30 + OLD
    today.insert(30 + 4, "\tcame_in_between();")
    place = find_place(hunk, "\n".join(today))
    assert place is not None
    assert (place.line, place.matching, place.wanted, place.missing) == (33, 7, 7, None)
    text = describe_rejected(hunk, "\n".join(today))
    assert text.endswith("belongs near line 33 here, 7 of 7 lines found, with others between them")


def test_a_place_where_a_line_is_gone() -> None:
    hunk, _ = parse_hunks(_diff({5: "\tone();", 40: "\tx();"}))
    today = "\n".join(line for line in OLD if "(6)" not in line)
    text = describe_rejected(hunk, today)
    assert text == (
        "d/f.c: hunk 1 (line 3 there) belongs near line 3 here, 6 of 7 lines found; missing: statement_number(6);"
    )


def test_no_place() -> None:
    hunk, _ = parse_hunks(_diff({5: "\tone();", 40: "\tx();"}))
    assert describe_rejected(hunk, "int main;\n").endswith("none of its lines is in this source")
    assert describe_rejected(hunk, None).endswith("the driver has no such file")
    (short,) = parse_hunks("+++ b/e.c\n@@ -1,2 +1,1 @@\n }\n-\n")
    assert find_place(short, "}\n") is None


def test_the_function_a_hunk_is_in() -> None:
    one = "+++ b/e.c\n@@ -9,2 +9,3 @@ static int open_port(struct port *port,\n a\n+x\n b\n"
    patch = f"{one}@@ -20 +21 @@ struct port {{\n-a\n+b\n"
    assert [hunk.function for hunk in parse_hunks(patch)] == ["open_port", None]
    source = "int open_port(int a)\n{\n\tcall();\nout:\n\treturn 0;\n}\n\nstruct port {\n\tint a;\n};\n"
    assert find_function_before(source, 6) == "open_port"
    assert find_function_before(source, 9) is None
    assert find_function_before(source, 1) is None
