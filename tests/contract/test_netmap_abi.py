# SPDX-License-Identifier: Apache-2.0
"""native/src/netmap_abi.h against netmap's own headers: every struct's size, every field, every constant.

Set NETMAP_SOURCE to a tree, a git directory or a tarball of netmap; without it the comparison is skipped.
Two programs print the same expressions, one compiled with our header, one with netmap's.
"""

import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ABI_HEADER = Path(__file__).parents[2] / "native" / "src" / "netmap_abi.h"
NETMAP_SOURCE = os.environ.get("NETMAP_SOURCE", "")
HEADERS = "sys/net"

STRUCT = re.compile(r"^struct (\w+) \{(.*?)^\};", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"(\w+)(\[\w*\])?(?: __attribute__\(\(.*?\)\))?;")
ENUM = re.compile(r"^enum \{(.*?)\}", re.MULTILINE | re.DOTALL)
MACRO = re.compile(r"^#define (N\w+) (?!\")", re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def list_expressions(header: str) -> list[str]:
    """C expressions of every fact the header states."""
    text = COMMENT.sub("", header)
    expressions: list[str] = []
    for struct, body in STRUCT.findall(text):
        expressions.append(f"sizeof(struct {struct})")
        for field, array in FIELD.findall(body):
            expressions.append(f"offsetof(struct {struct}, {field})")
            if array == "[]":
                expressions.append(f"sizeof(((struct {struct} *)0)->{field}[0])")
            else:
                expressions.append(f"sizeof(((struct {struct} *)0)->{field})")
    for body in ENUM.findall(text):
        expressions += [entry.split("=")[0].strip() for entry in body.split(",") if entry.strip()]
    return expressions + MACRO.findall(text)


def evaluate(folder: Path, include_dir: Path, headers: list[str], expressions: list[str]) -> dict[str, int]:
    """What a C program with these headers says the expressions are."""
    source = "".join(f"#include <{header}>\n" for header in ["stddef.h", "stdint.h", "stdio.h", *headers])
    prints = "".join(f'printf("%llu\\n", (unsigned long long)({text}));\n' for text in expressions)
    return dict(
        zip(expressions, map(int, run_program(folder, include_dir, source, prints).split()), strict=True)
    )


def run_program(folder: Path, include_dir: Path, source: str, body: str) -> str:
    program = folder / "program.c"
    program.write_text(f"{source}int main(void) {{\n{body}return 0;\n}}\n")
    compiler = os.environ.get("CC", "cc")
    command = [compiler, "-std=gnu11", "-I", str(include_dir), str(program), "-o", str(folder / "program")]
    compiled = subprocess.run(command, capture_output=True, text=True, check=False)
    assert compiled.returncode == 0, compiled.stderr
    return subprocess.run([folder / "program"], capture_output=True, text=True, check=True).stdout


def unpack_headers(source: Path, folder: Path) -> Path:
    """The folder that holds net/netmap.h, of a tree, git directory or tarball."""
    if (source / HEADERS / "netmap.h").is_file():
        return (source / HEADERS).parent
    archive = folder / "headers.tar"
    if source.is_dir():
        command = ["git", "-C", str(source), "archive", "--output", str(archive), "HEAD", HEADERS]
        subprocess.run(command, check=True, capture_output=True)
        source = archive
    net = folder / "headers" / "net"
    net.mkdir(parents=True, exist_ok=True)
    with tarfile.open(source) as tar:
        for member in tar:
            path = Path(member.name)
            if member.isfile() and f"/{HEADERS}" in f"/{path.parent}" and path.suffix == ".h":
                content = tar.extractfile(member)
                assert content is not None
                (net / path.name).write_bytes(content.read())
    assert (net / "netmap.h").is_file(), f"NETMAP_SOURCE={NETMAP_SOURCE} holds no {HEADERS}/netmap.h"
    return net.parent


needs_source = pytest.mark.skipif(
    not NETMAP_SOURCE,
    reason="netmap_abi.h was NOT compared with netmap's headers: set NETMAP_SOURCE to a tree, git directory or tarball",
)
needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CC", "cc")) is None, reason="no C compiler: install gcc or set CC"
)


def test_expressions_cover_the_header() -> None:
    """The regular expressions above see what the header states; a reformatted header must not pass unseen."""
    expressions = list_expressions(ABI_HEADER.read_text())
    for wanted in (
        "sizeof(struct netmap_ring)",
        "offsetof(struct netmap_ring, slot)",
        "sizeof(((struct netmap_slot *)0)->ptr)",
        "sizeof(((struct nmreq_header *)0)->nr_name)",
        "NETMAP_API",
        "NS_BUF_CHANGED",
        "NETMAP_REQ_REGISTER",
        "NR_REG_ONE_NIC",
        "NIOCCTRL",
    ):
        assert wanted in expressions
    asserted = re.findall(r"FP_ABI_FIELD\((\w+), (\w+), ", ABI_HEADER.read_text())
    for struct, field in asserted:
        if struct != "type":
            assert f"offsetof(struct {struct}, {field})" in expressions


@needs_source
@needs_compiler
def test_every_size_offset_and_constant_is_netmaps(tmp_path: Path) -> None:
    include_dir = unpack_headers(Path(NETMAP_SOURCE), tmp_path)
    expressions = list_expressions(ABI_HEADER.read_text())
    ours = evaluate(tmp_path, ABI_HEADER.parent, ["netmap_abi.h"], expressions)
    before = ["sys/types.h", "sys/time.h", "sys/ioctl.h", "net/if.h"]
    theirs = evaluate(tmp_path, include_dir, [*before, "net/netmap.h"], expressions)
    assert ours == theirs
    assert len(ours) == len(expressions)


@needs_source
@needs_compiler
def test_the_device_is_netmaps(tmp_path: Path) -> None:
    include_dir = unpack_headers(Path(NETMAP_SOURCE), tmp_path)
    ours = run_program(
        tmp_path, ABI_HEADER.parent, "#include <stdio.h>\n#include <netmap_abi.h>\n", "puts(NETMAP_DEVICE);\n"
    )
    text = (include_dir / "net" / "netmap_user.h").read_text()
    assert f'#define NETMAP_DEVICE_NAME "{ours.strip()}"' in text
