# SPDX-License-Identifier: Apache-2.0
"""`netmap-tools` and `netmap-headers`: netmap's own programs, and what other programs are compiled with.

The programs are linked statically: one package for every Debian release, whatever its C library.
"""

import gzip
import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from driver_builds import process
from driver_builds.catalogue import NetmapPin
from driver_builds.compiler import read_compiler
from driver_builds.errors import StageError
from driver_builds.netmap_source import NetmapTree
from driver_builds.packages import sbom
from driver_builds.packages.deb import Deb, Entry
from driver_builds.packages.modules import MAINTAINER, describe_netmap

COMPILER = "gcc"
# No debug information, and file names relative to the tree: the same bytes wherever it was unpacked.
_FLAGS = ("-O2", "-g0", "-pipe", "-w", "-DNO_PCAP", "-Isys", "-Iapps/include", "-Ilibnetmap")
_LIBRARY = ("nmctx.c", "nmctx-pthreads.c", "nmport.c", "nmreq.c")


@dataclass(frozen=True, slots=True)
class Program:
    """One program: its source in the tree, its name on a host, its manual page."""

    source: str
    name: str
    manual: str


# iproute2 has a `bridge` of its own.
PROGRAMS = (
    Program("apps/pkt-gen/pkt-gen.c", "pkt-gen", "apps/pkt-gen/pkt-gen.8"),
    Program("apps/bridge/bridge.c", "netmap-bridge", "apps/bridge/bridge.8"),
    Program("apps/vale-ctl/vale-ctl.c", "vale-ctl", "apps/vale-ctl/vale-ctl.4"),
)
HEADERS = ("netmap.h", "netmap_legacy.h", "netmap_user.h", "netmap_virt.h")


def build_tools(tree: NetmapTree, pin: NetmapPin, revision: int = 1) -> Deb:
    """The package of netmap's programs; raises StageError where one does not compile."""
    name = "netmap-tools"
    entries = []
    with tempfile.TemporaryDirectory(prefix="netmap-tools-") as scratch:
        for program in PROGRAMS:
            file = Path(scratch) / program.name
            sources = [program.source, *(f"libnetmap/{source}" for source in _LIBRARY)]
            options = ["-static", "-Wl,--build-id=none", "-o", str(file)]
            _compile(tree, program.name, [*_FLAGS, *options, *sources, "-lpthread", "-lm", "-lrt"])
            _run(tree, program.name, ["strip", str(file)])
            entries.append(Entry(f"usr/bin/{program.name}", file.read_bytes(), 0o755))
    entries += [_build_manual(tree, program) for program in PROGRAMS]
    description = [
        "netmap's own programs: pkt-gen, bridge and vale-ctl",
        " pkt-gen sends, receives and measures frames; netmap-bridge joins two ports; vale-ctl attaches",
        " interfaces to VALE switches. Linked statically.",
    ]
    return _build(name, tree, pin, revision, entries, description)


def build_headers(tree: NetmapTree, pin: NetmapPin, revision: int = 1) -> Deb:
    """The package of headers and libnetmap.a; raises StageError where it does not compile."""
    entries = [Entry(f"usr/include/net/{header}", _read(tree, f"sys/net/{header}")) for header in HEADERS]
    entries.append(Entry("usr/include/libnetmap.h", _read(tree, "libnetmap/libnetmap.h")))
    with tempfile.TemporaryDirectory(prefix="libnetmap-") as scratch:
        objects = []
        for source in _LIBRARY:
            objects.append(f"{scratch}/{Path(source).stem}.o")
            _compile(tree, source, [*_FLAGS, "-fPIC", "-c", "-o", objects[-1], f"libnetmap/{source}"])
        # D: no times, owners or modes of this host.
        _run(tree, "libnetmap.a", ["ar", "rcsD", f"{scratch}/libnetmap.a", *objects])
        library = (Path(scratch) / "libnetmap.a").read_bytes()
    entries.append(Entry("usr/lib/x86_64-linux-gnu/libnetmap.a", library))
    description = ["netmap's headers and libnetmap, to compile programs with"]
    return _build("netmap-headers", tree, pin, revision, entries, description)


def _build(
    name: str,
    tree: NetmapTree,
    pin: NetmapPin,
    revision: int,
    entries: list[Entry],
    description: Sequence[str],
) -> Deb:
    contents = "".join(f"{entry.path} {hashlib.sha256(entry.content).hexdigest()}\n" for entry in entries)
    digest = hashlib.sha256(contents.encode()).hexdigest()[:8]
    version = f"0~{describe_netmap(tree.commit, tree.sha256, pin)}+r{revision}.{digest}"
    files = {entry.path: hashlib.sha256(entry.content).hexdigest() for entry in entries}
    bill = sbom.render_tree_sbom(tree, name, version, files, read_compiler(COMPILER))
    entries = [
        *entries,
        Entry(f"usr/share/doc/{name}/copyright", _read(tree, "LICENSE")),
        Entry(f"usr/share/doc/{name}/{sbom.FILE_NAME}", bill.encode()),
    ]
    fields = {
        "Maintainer": MAINTAINER,
        "Section": "net",
        "Priority": "optional",
        "Description": "\n".join(description),
    }
    return Deb(name, version, "amd64", fields, entries)


def _build_manual(tree: NetmapTree, program: Program) -> Entry:
    section = program.manual[-1]
    text = gzip.compress(_read(tree, program.manual), mtime=0)
    return Entry(f"usr/share/man/man{section}/{program.name}.{section}.gz", text)


def _read(tree: NetmapTree, path: str) -> bytes:
    try:
        return (tree.path / path).read_bytes()
    except OSError as error:
        raise StageError("package", path, f"netmap's tree has no such file: {error}") from error


def _compile(tree: NetmapTree, subject: str, arguments: Sequence[str]) -> None:
    _run(tree, subject, [COMPILER, *arguments])


def _run(tree: NetmapTree, subject: str, command: Sequence[str]) -> None:
    done = process.run(command, cwd=tree.path)
    if done.status != 0:
        lines = done.output.splitlines()[-10:]
        raise StageError("package", subject, f"{command[0]} ended with {done.status}", lines)
