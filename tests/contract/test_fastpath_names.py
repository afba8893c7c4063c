# SPDX-License-Identifier: Apache-2.0
"""Names of the fast path: unique, documented in fastpath.h, and the same in every place that has to repeat them."""

import ast
import dataclasses
import re
import runpy
from pathlib import Path

import pytest

from appliance.fastpath import (
    DROP_REASONS,
    Discovered,
    MergeCounters,
    MergePathCounters,
    Observed,
    PacingCounters,
    PortCounters,
    PortInfo,
    RouteCounters,
    WorkerSnapshot,
    names,
)
from appliance.fastpath import _native as native
from appliance.telemetry import prometheus_media as media
from appliance.telemetry.prometheus import PORT_COUNTERS, PORT_GAUGES
from appliance.telemetry.records import DiscoveredRecord, PortRecord, ProtectedRecord, RouteRecord

ROOT = Path(__file__).parents[2]
HEADER = (ROOT / "native" / "include" / "fastpath.h").read_text()
STUB = ROOT / "appliance" / "fastpath" / "_native.pyi"
MEDIA = runpy.run_path(str(ROOT / "docs" / "media_counters.py"))
ENTRY = re.compile(r"X\((FP_\w+),\s*(-?\w+|\"\w+\"),\s*\"([^\"]+)\"\)")


def list_fields(struct: str) -> list[str]:
    return [name for name, _ in native.ffi.typeof(f"struct {struct}").fields]


def list_names(record: type) -> list[str]:
    return [field.name for field in dataclasses.fields(record)]


def test_drop_reasons_are_unique_and_documented() -> None:
    labels = [reason.label for reason in DROP_REASONS]
    assert len(set(labels)) == len(labels) == native.lib.FP_DROP_COUNT
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", label) for label in labels)
    assert len({reason.meaning for reason in DROP_REASONS}) == len(labels)
    documented = [
        (label.strip('"'), text) for name, label, text in ENTRY.findall(HEADER) if "FP_DROP" in name
    ]
    assert [(reason.label, reason.meaning) for reason in DROP_REASONS] == documented


def test_error_codes_are_unique_negative_and_documented() -> None:
    documented = {
        int(code): (name, text) for name, code, text in ENTRY.findall(HEADER) if name.startswith("FP_E_")
    }
    assert {code: (name, names.error_text(code)) for code, name in names.ERRORS.items()} == documented
    assert all(code < 0 for code in documented)
    texts = [text for _, text in documented.values()]
    assert len(set(texts)) == len(texts)
    assert names.error_text(-999) == "unknown error"


def test_every_error_code_has_a_python_name() -> None:
    for code, name in names.ERRORS.items():
        assert getattr(names, name.removeprefix("FP_")) == code


def test_limits_are_the_headers() -> None:
    pairs = {
        name: int(value, 0) for name, value in re.findall(r"^#define (FP_\w+) (0x\w+|\d+)\b", HEADER, re.M)
    }
    assert {"FP_NAME_BYTES", "FP_MAX_PORTS", "FP_MAX_OUTPUTS", "FP_MAX_ROUTES"} <= pairs.keys()
    assert {name: getattr(native.lib, name) for name in pairs} == pairs


@pytest.mark.parametrize(
    ("struct", "record"),
    [
        ("fp_port_counters", PortCounters),
        ("fp_route_counters", RouteCounters),
        ("fp_worker_snapshot", WorkerSnapshot),
        ("fp_port_info", PortInfo),
        ("fp_observed", Observed),
        ("fp_pacing_counters", PacingCounters),
        ("fp_merge_path_counters", MergePathCounters),
        ("fp_merge_counters", MergeCounters),
        ("fp_discovered", Discovered),
    ],
)
def test_records_have_the_fields_of_their_struct(struct: str, record: type) -> None:
    assert sorted(list_names(record)) == sorted(list_fields(struct))


def test_status_shows_every_counter_and_every_detail_of_a_port() -> None:
    shown = set(PortRecord.model_fields)
    assert set(list_fields("fp_port_counters")) <= shown
    described = set(list_fields("fp_port_info")) - {"spec"} | {"device"}  # the word of the configuration
    health = set(list_fields("fp_port_health")) - {"error", "error_errno"} | {"open_error"}  # one sentence
    assert shown == described | health | set(list_fields("fp_port_counters")) | {"worker", "swaps_with"}


def test_status_shows_every_counter_of_media() -> None:
    assert {"rtp", "pacing"} <= set(RouteRecord.model_fields)
    merge = set(list_fields("fp_merge_counters")) - {"paths"} | {"a", "b", "name", "worker"}
    merge |= {"silent_paths", "since_ns"}
    assert set(ProtectedRecord.model_fields) == merge
    counted = set(list_fields("fp_discovered")) - {"key"}
    assert set(DiscoveredRecord.model_fields) == counted | set(list_fields("fp_key")) | {"worker"}


@pytest.mark.parametrize("struct", sorted(MEDIA["STRUCTS"]))
def test_every_counter_of_media_is_documented(struct: str) -> None:
    counters = MEDIA["read_counters"](struct)
    assert sorted(counter.name for counter in counters) == sorted(list_fields(struct))
    assert [counter.name for counter in counters if not counter.meaning] == []
    units = {"frames": "frames", "ns": "ns", "bytes": "bytes"}
    for counter in counters:
        assert counter.unit == units.get(counter.name.rsplit("_", 1)[-1], counter.unit)
        assert counter.standard or struct == "fp_discovered"


def test_prometheus_has_every_counter() -> None:
    health = set(list_fields("fp_port_health")) - {"state", "since_ns", "error", "error_errno"}
    gauges = {"held_frames", "hold_buffers", "hold_bytes"}
    assert (
        set(PORT_COUNTERS)
        == set(list_fields("fp_port_counters")) - {"dropped_frames", "held_frames"} | health
    )
    assert set(PORT_GAUGES) == gauges


def test_prometheus_has_every_counter_of_media() -> None:
    """But for values of headers, and the histograms, which have names of their own."""
    exported = {
        "fp_observed": (media.RTP_COUNTERS, media.RTP_GAUGES, media.RTP_MOMENTS),
        "fp_pacing_counters": (media.PACING_COUNTERS, media.PACING_GAUGES),
        "fp_merge_path_counters": (media.PATH_COUNTERS, {"last_ns": ""}),
        "fp_merge_counters": (media.PROTECTED_COUNTERS, media.PROTECTED_GAUGES),
    }
    others = {"ssrc", "sequence", "timestamp", "arrivals", "paths", "leads_a", "leads_b"}
    for struct, metrics in exported.items():
        names = [name for group in metrics for name in group]
        assert sorted(names) == sorted(set(list_fields(struct)) - others)


def test_the_stub_names_what_the_extension_has() -> None:
    (library,) = [
        node
        for node in ast.parse(STUB.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "_Lib"
    ]
    constants = {ast.unparse(node.target) for node in library.body if isinstance(node, ast.AnnAssign)}
    functions = {node.name: node for node in library.body if isinstance(node, ast.FunctionDef)}
    missing = [name for name in constants | functions.keys() if not hasattr(native.lib, name)]
    assert missing == []
    declared = {name for name in dir(native.lib) if name.startswith("fp_")}
    assert declared == functions.keys()
    for name, node in functions.items():
        arguments = native.ffi.typeof(getattr(native.lib, name)).args
        assert (name, len(node.args.args) - 1) == (name, len(arguments))
