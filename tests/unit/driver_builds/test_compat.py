# SPDX-License-Identifier: Apache-2.0
"""Changes of kernel interfaces: which kernels are looked at, what the look finds, and that what is put in compiles."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from driver_builds.compat import (
    Compat,
    find_header,
    is_needed,
    load_compat,
    parse_compat,
    parse_names,
    render_compat,
    select_compat,
)
from driver_builds.manifest import load_manifest
from driver_builds.plan import BuildInputs, build_key

from .miniature import Miniature
from .test_pipeline import _apply


def _entry(name: str = "strncpy", since: tuple[int, int, int] = (6, 0, 0), lacks: str = "strncpy") -> Compat:
    fields = {
        "name": name,
        "since": since,
        "header": "include/linux/string.h",
        "lacks": lacks,
        "why": "a test",
    }
    return parse_compat(fields, f"#define COMPAT_{name.upper()} 1\n")


def test_those_of_this_package() -> None:
    entries = load_compat()
    assert [entry.name for entry in entries if entry.name == "strncpy"] == ["strncpy"]
    assert len({entry.name for entry in entries}) == len(entries)


def test_only_kernels_from_its_version_on() -> None:
    assert select_compat([_entry()], (5, 255, 255)) == ()
    assert select_compat([_entry()], (6, 0, 0)) == (_entry(),)


@pytest.mark.parametrize(
    ("header", "needed"),
    [
        ("extern char *strncpy(char *);", False),
        ("/* replaces strncpy() */\nchar *strscpy(char *); // strncpy\n", True),
        ("char *__strncpy(char *);", True),
        ("", True),
    ],
)
def test_what_the_look_finds(header: str, needed: bool) -> None:
    assert is_needed(_entry(), header) is needed


def test_a_word_that_came() -> None:
    came = _entry().model_copy(update={"lacks": None, "has": "sockaddr_unsized"})
    assert is_needed(came, "int kernel_bind(struct sockaddr_unsized *);")
    assert not is_needed(came, "int kernel_bind(struct sockaddr *); /* not sockaddr_unsized */")


def test_the_header_is_found_below_any_folder(tmp_path: Path) -> None:
    file = tmp_path / "common/include/linux/string.h"
    file.parent.mkdir(parents=True)
    file.touch()
    assert find_header(_entry(), [tmp_path / "build", tmp_path / "common"]) == file
    assert find_header(_entry(), [tmp_path / "build"]) is None


def test_names_come_back_from_what_is_written() -> None:
    assert parse_names("#define X\n" + render_compat([_entry("a"), _entry("b-2")])) == ("a", "b-2")
    assert parse_names("#define X\n") == ()


def test_what_is_above_does_not_matter(tmp_path: Path) -> None:
    """FORTIFY_SOURCE compiles file and line into netmap.ko; above stands what netmap's probes found of any drivers."""
    entry = parse_compat(_entry().model_dump(exclude={"text", "sha256"}), "where __FILE__ __LINE__\n")
    seen = []
    for lines in (1, 30):
        header = tmp_path / "netmap_linux_config.h"
        header.write_text("#define FOUND\n" * lines + render_compat([entry]))
        done = subprocess.run(["gcc", "-E", "-P", str(header)], capture_output=True, text=True, check=True)
        seen.append(done.stdout.strip())
    assert seen == ['where "compat/strncpy.h" 1'] * 2


def test_the_texts_compile_and_do_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "linux").mkdir()
    (tmp_path / "linux/string.h").write_text("#include <stddef.h>\nsize_t strnlen(const char *, size_t);\n")
    header = tmp_path / "linux/string.h"
    header.write_text(
        header.read_text() + "void *memcpy(void *, const void *, size_t);void *memset(void *, int, size_t);"
    )
    (strncpy,) = [entry for entry in load_compat() if entry.name == "strncpy"]
    program = f"""{strncpy.text}
int main(void)
{{
    char to[6] = "xxxxx";
    if (strncpy(to, "ab", 4) != to || to[0] != 'a' || to[1] != 'b' || to[2] || to[3] || to[4] != 'x')
        return 1;
    strncpy(to, "abcdefgh", 5);
    return !(to[4] == 'e' && to[5] == 0);
}}
"""
    (tmp_path / "t.c").write_text(program)
    flags = [f"-I{tmp_path}", "-Wall", "-Werror", "-o", str(tmp_path / "t")]
    subprocess.run(["gcc", *flags, str(tmp_path / "t.c")], check=True)
    assert subprocess.run([str(tmp_path / "t")], check=False).returncode == 0


def test_the_key_of_a_kernel_that_is_not_looked_at_stays(inputs: BuildInputs) -> None:
    later, now = _entry(since=(6, 2, 0)), _entry(since=(6, 1, 0))
    assert build_key(replace(inputs, compat=(later,)), "netmap") == build_key(inputs, "netmap")
    assert build_key(replace(inputs, compat=(now,)), "e1000") != build_key(inputs, "e1000")


@pytest.mark.parametrize("has_it", [True, False])
def test_in_the_pipeline(miniature: Miniature, has_it: bool) -> None:
    header = miniature.kernel.build / "include/linux/string.h"
    header.parent.mkdir(parents=True)
    header.write_text("char *strncpy(char *);\n" if has_it else "\n")
    miniature.inputs = replace(miniature.inputs, compat=(_entry(),))
    context, _ = _apply(miniature)
    names = {module.name: module.corrections for module in load_manifest(context.artifacts).modules}
    wanted = [] if has_it else ["compat-strncpy"]
    assert names == {"netmap": wanted, "e1000": wanted, "e1000e": wanted}
    written = (context.get_folder("netmap") / "netmap_linux_config.h").read_text()
    assert ("#define COMPAT_STRNCPY 1" in written) is not has_it
