# SPDX-License-Identifier: Apache-2.0
"""Rules find their one place in C by structure, in every way C is written, and refuse when there is none or more."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from driver_builds.adapt.c_source import StructureError, find_function, find_statements, hide
from driver_builds.adapt.catalogue import Hook, Rule, load_rules, parse_rule
from driver_builds.adapt.insert import insert_hooks
from driver_builds.catalogue import load_drivers

DRIVER = """\
#include "driver.h"

struct port;
/* struct port { int no; }; */
struct port {
	int number;
	struct { int inner; } part;
};

static int open_port(struct port *port);

#define OPEN(p) do { \\
	open_port(p); } while (0)

static int open_port(struct port *port)
{
	struct port *peer = port, *other;
	unsigned int count = 0;
	DECLARE_BITMAP(bits, 8);
	static const char *text = "if (count) { return 0;";
	int error;

	/* if (count < 4) */
	if (count < 4)
		for (; count < 4; count++)
			if (fill(peer))
				goto out;
	else
		drain(peer);

	stop(peer); // stop(peer);
	if (stop(peer))
		return -1;
	do {
		count--;
	} while (count);
	list_for_each_entry(other, peer, list) {
		stop(other);
	}
	switch (count) {
	case 0:
		break;
	default:
		return 1;
	}
	return 0;

out:
	error = -2;
	return error;
}

static int init_port(struct port *port)
	__must_hold(lock)
{
	return open_port(port);
}
"""


def _rule(**hook: Any) -> Rule:
    fields = {"name": "the hook", "file": "d.c", "insert": "hook(port);", **hook}
    return Rule(name="a-rule", driver="e1000", why="", hooks=(Hook(**fields),), sha256="0" * 64)


def _insert(text: str = DRIVER, **hook: Any) -> list[str]:
    """The lines that are new, and around them one line before and after."""
    texts, hooks = insert_hooks(_rule(**hook), {"d.c": text})
    lines = texts["d.c"].splitlines()
    before = set(text.splitlines())
    new = [number for number, line in enumerate(lines) if line not in before or "driver-builds" in line]
    assert hooks[0].line == new[0] + 1
    return [line.strip() for line in lines[new[0] - 1 : new[-1] + 2]]


def test_offsets_stay_what_they_were() -> None:
    code = hide(DRIVER)
    assert len(code) == len(DRIVER)
    assert code.count("\n") == DRIVER.count("\n")
    assert "return 0;" not in code[: code.index("int error;")]


def test_statements() -> None:
    code = hide(DRIVER)
    body = find_function(code, "open_port")
    words = [DRIVER[span.start : span.end].split("(")[0].split()[0] for span in find_statements(code, body)]
    expected = "struct unsigned DECLARE_BITMAP static int if stop if do list_for_each_entry switch return"
    assert words == [*expected.split(), "error", "return"]


def test_after_a_structure() -> None:
    assert _insert(struct="port", where="after") == [
        "",
        "/* driver-builds: the hook */",
        "hook(port);",
        "",
    ]


def test_before_the_first_statement() -> None:
    assert _insert(function="open_port", where="start") == [
        "",
        "/* driver-builds: the hook */",
        "hook(port);",
        "/* if (count < 4) */",
    ]


def test_before_a_statement() -> None:
    hook = {"function": "open_port", "where": "before", "statement": "if(stop(peer))"}
    assert _insert(**hook) == [
        "stop(peer); // stop(peer);",
        "/* driver-builds: the hook */",
        "hook(port);",
        "if (stop(peer))",
    ]


def test_outside_of_preprocessor_blocks() -> None:
    text = DRIVER.replace(
        "\tint error;\n", "#ifdef A\n\tint error;\n#endif\n\n#if PAGE_SIZE < 8192\n\tfit(peer);\n#endif\n"
    )
    assert _insert(text, function="open_port", where="start")[-1] == "#if PAGE_SIZE < 8192"
    with pytest.raises(StructureError, match="between #if and #endif of open_port"):
        insert_hooks(_rule(function="open_port", where="after", statement="fit("), {"d.c": text})


def test_at_file_level() -> None:
    text = '#include <a.h>\n#ifdef B\n#include <b.h>\n#endif\n\nMODULE_LICENSE("GPL");\n' + DRIVER
    assert _insert(text, where="after", statement="MODULE_LICENSE(", insert="#include <c.h>") == [
        'MODULE_LICENSE("GPL");',
        "/* driver-builds: the hook */",
        "#include <c.h>",
        '#include "driver.h"',
    ]
    assert _insert(where="includes", insert="#include <c.h>")[1:3] == [
        "/* driver-builds: the hook */",
        "#include <c.h>",
    ]
    with pytest.raises(StructureError, match="the file includes nothing"):
        insert_hooks(_rule(where="includes"), {"d.c": "int a;\n"})


def test_after_a_call_that_is_a_statement() -> None:
    assert _insert(function="open_port", where="after", statement="stop(") == [
        "stop(peer); // stop(peer);",
        "/* driver-builds: the hook */",
        "hook(port);",
        "if (stop(peer))",
    ]


def test_a_condition_gets_another() -> None:
    hook = {"function": "open_port", "where": "condition", "condition": "count<4", "insert": "!busy(port)"}
    assert _insert(**hook)[1] == "if ((count<4) && !busy(port))"


def test_where_a_function_succeeds() -> None:
    assert _insert(function="open_port", where="success")[:3] == [
        "}",
        "/* driver-builds: the hook */",
        "hook(port);",
    ]
    texts, hooks = insert_hooks(_rule(function="init_port", where="success"), {"d.c": DRIVER})
    assert hooks[0].line == 62
    assert texts["d.c"].endswith("""\
{
	{
		int netmap_result = open_port(port);

		if (netmap_result)
			return netmap_result;
	}
	/* driver-builds: the hook */
	hook(port);
	return 0;
}
""")


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        ({"struct": "ports", "where": "after"}, "0 places like this, wanted one: definition of struct ports"),
        ({"function": "close_port", "where": "start"}, "0 places .* definition of function close_port"),
        (
            {"function": "open_port", "where": "after", "statement": "fill("},
            r"0 places .* statement fill\( in open_port",
        ),
        ({"function": "open_port", "where": "condition", "condition": "count"}, r"0 places .* if \(count\)"),
        ({"file": "e.c", "function": "open_port", "where": "start"}, "the driver has no such file"),
    ],
)
def test_no_place(hook: dict[str, Any], why: str) -> None:
    with pytest.raises(StructureError, match=f"hook 'the hook' has no place: .*{why}|{why}"):
        insert_hooks(_rule(**hook), {"d.c": DRIVER})


def test_two_places() -> None:
    twice = DRIVER.replace("stop(peer); //", "stop(peer);\n\tstop(peer); //")
    with pytest.raises(StructureError, match="2 places like this, wanted one: a statement stop"):
        insert_hooks(_rule(function="open_port", where="after", statement="stop("), {"d.c": twice})
    with pytest.raises(StructureError, match="2 places like this, wanted one: definition of function"):
        insert_hooks(
            _rule(function="init_port", where="start"),
            {"d.c": DRIVER + DRIVER[DRIVER.index("static int init") :]},
        )


def test_source_that_is_cut_off() -> None:
    with pytest.raises(StructureError, match=r"a \{ in line 43 is never closed|is never closed"):
        insert_hooks(_rule(function="open_port", where="start"), {"d.c": DRIVER[: DRIVER.index("out:")]})


def test_what_comes_out_compiles(tmp_path: Path) -> None:
    source = """\
int f(int), g(int), hook(int);
int f(int x)
{
	int y = x;

	if (y < 3)
		return g(y);
	g(x);
	return g(y + 1);
}
"""
    hooks = (
        Hook(name="one", file="d.c", function="f", where="start", insert="hook(1);"),
        Hook(name="two", file="d.c", function="f", where="after", statement="g(", insert="hook(2);"),
        Hook(name="three", file="d.c", function="f", where="condition", condition="y < 3", insert="hook(3)"),
        Hook(name="four", file="d.c", function="f", where="success", insert="hook(4);"),
    )
    rule = Rule(name="all", driver="e1000", why="", hooks=hooks, sha256="0" * 64)
    texts, inserted = insert_hooks(rule, {"d.c": source})
    assert [hook.line for hook in inserted] == [6, 11, 8, 19]
    (tmp_path / "d.c").write_text(texts["d.c"])
    flags = ["-Wall", "-Werror", "-Wdeclaration-after-statement", "-fsyntax-only"]
    subprocess.run(["gcc", *flags, str(tmp_path / "d.c")], check=True)


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        ('struct = "a"\nfunction = "b"\nwhere = "after"', "give struct or function"),
        ('where = "start"', "`start` is a place in a function"),
        ('struct = "a"\nwhere = "start"', "only the place"),
        ('function = "a"\nwhere = "after"', "`statement` belongs"),
        ('function = "a"\nwhere = "condition"', "`condition` belongs"),
        ('function = "a"\nwhere = "end"', "where"),
    ],
)
def test_rules_that_make_no_sense(hook: str, why: str) -> None:
    head = 'name = "r"\ndriver = "veth"\nwhy = "w"\n[[hook]]\nname = "h"\nfile = "veth.c"\ninsert = "x"\n'
    with pytest.raises(ValidationError, match=why):
        parse_rule(head + hook)


def test_the_rules_of_this_package() -> None:
    rules = load_rules()
    assert {"veth", "virtio_net"} <= set(rules)
    for driver, rule in rules.items():
        assert driver in load_drivers()
        assert len({hook.name for hook in rule.hooks}) == len(rule.hooks), "a hook's name is its mark"
        assert (rule.header is None) == (rule.header_text == "")


def test_the_hash_covers_rule_and_header() -> None:
    head = 'name = "r"\ndriver = "veth"\nwhy = "w"\n[[hook]]\nname = "h"\nfile = "veth.c"\ninsert = "x"\n'
    text = f'{head}function = "a"\nwhere = "start"\n'
    hashes = {
        parse_rule(text, "").sha256,
        parse_rule(text, "int a;").sha256,
        parse_rule(f"{text}#\n", "").sha256,
    }
    assert len(hashes) == 3
