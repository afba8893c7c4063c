# SPDX-License-Identifier: Apache-2.0
"""The counters of media as a page: fields, units and meaning as native/include/fastpath.h declares them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HEADER = Path(__file__).parents[1] / "native" / "include" / "fastpath.h"


@dataclass(frozen=True)
class Counter:
    """One field of a struct. `standard` is the section its comment names, else the struct's."""

    name: str
    unit: str
    meaning: str
    standard: str


# Struct -> where `status --json` shows it, and the standard its counters are of.
STRUCTS = {
    "fp_observed": ("routes[].rtp", "RFC 3550, 6.4.1"),
    "fp_pacing_counters": ("routes[].pacing", "ST 2110-21, 6.6 and 7.1"),
    "fp_merge_path_counters": ("protected[].a, protected[].b", "ST 2022-7, 6"),
    "fp_merge_counters": ("protected[]", "ST 2022-7, 6"),
    "fp_discovered": ("discovered[]", ""),
}
_UNITS = {"frames": "frames", "ns": "ns", "bytes": "bytes"}
_FIELD = re.compile(r"^    (?:struct )?\w+ (\w+)(?:\[\w+\])?;\s*/\*(.*?)\*/", re.S | re.M)
_ABOVE = re.compile(r"^    /\*([^*]*)\*/\n    uint64_t (\w+)\[\w+\];", re.M)
_WRITER = re.compile(r"[;.]?\s*(?:written by the )?worker$")
_STANDARD = re.compile(r"\(?((?:RFC \d+|ST \d+-\d+)[^;)]*)\)?")


def read_counters(struct: str) -> tuple[Counter, ...]:
    """The documented fields of a struct, in its order."""
    found = re.search(rf"^struct {struct} {{\n(.*?)^}};", HEADER.read_text(), re.S | re.M)
    if found is None:
        raise SystemExit(f"{HEADER}: struct {struct} was not found; was it renamed?")
    comments = {name: text for text, name in _ABOVE.findall(found[1])}
    return tuple(_build(struct, name, text) for name, text in [*_FIELD.findall(found[1]), *comments.items()])


def _build(struct: str, name: str, comment: str) -> Counter:
    text = _WRITER.sub("", " ".join(comment.split()))
    standard = _STANDARD.search(text)
    last = name.rsplit("_", 1)[-1]
    unit = "frames" if name in ("arrivals", "leads_a", "leads_b") else _UNITS.get(last, "")
    return Counter(name, unit, text, standard[1].strip() if standard else STRUCTS[struct][1])


def render_media_counters() -> str:
    """One table a struct."""
    lines = [
        "# Counters of media",
        "",
        "<!-- Written by docs/generate.py (`make docs`): change the code instead. -->",
    ]
    lines += [
        "",
        "Where no unit is given a counter counts events, or is a value of a header. Times are CLOCK_MONOTONIC.",
    ]
    for struct, (place, _) in STRUCTS.items():
        lines += ["", f"## `{place}` (struct {struct})", "", "| counter | unit | meaning | standard |"]
        lines += ["| --- | --- | --- | --- |", *_render_rows(struct)]
    return "\n".join([*lines, ""])


def _render_rows(struct: str) -> Iterator[str]:
    for counter in read_counters(struct):
        yield f"| `{counter.name}` | {counter.unit} | {counter.meaning} | {counter.standard} |"
