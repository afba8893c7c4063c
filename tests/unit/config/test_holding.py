# SPDX-License-Identifier: Apache-2.0
"""`release: in-order`: how many buffers, which ports, and when a change of it restarts a worker."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.cli.check import check
from appliance.config.holding import count_buffers, find_hold_bytes, sum_hold_frames
from appliance.config.load import parse_config
from appliance.config.merges import plan_merge
from appliance.config.plan import build_specs, find_restarts, plan_changes
from appliance.config.schema import Config, DeviceKind
from appliance.config.worker_spec import PortSpec
from appliance.daemon.held import check_held_regions
from appliance.errors import ConfigError, WorkerError
from appliance.fastpath import NativeError, PortInfo, names
from appliance.worker.refusals import render_hold_refusal

TEXT = """\
version: 1
ports:
  - {name: a, device: "memory:a"}
  - {name: b, device: "memory:b"}
  - {name: out, device: "memory:c"}
routes:
  - name: r
    protect:
      a: {port: a, group: 239.1.2.1, udp_port: 5004}
      b: {port: b, group: 239.1.2.2, udp_port: 5004}
      class: B
      format: 2160p59.94
      release: in-order
    outputs: [{port: out, group: 239.9.9.9}]
"""
FRAMES = 64_736
BYTES = 136_780_800  # of 64,736 + 1,024 buffers of 2,048 bytes, and 32 to know what is in each


def build(text: str = TEXT) -> Config:
    return parse_config(text, "c.yaml").config


def test_a_window_of_class_b_at_2160p() -> None:
    config = build()
    plan = plan_merge(config.routes[0])
    assert (plan.hold_frames, plan.slots) == (FRAMES, 65_536)
    assert sum_hold_frames(config, "main") == FRAMES
    assert find_hold_bytes(count_buffers(FRAMES)) == BYTES
    assert [port.hold_frames for port in build_specs(config)["main"].ports] == [FRAMES, 0, 0]


def test_nothing_is_held_by_default() -> None:
    config = build(TEXT.replace("      release: in-order\n", ""))
    assert config.routes[0].protect is not None
    assert config.routes[0].protect.release == "first-copy"
    assert plan_merge(config.routes[0]).hold_frames == sum_hold_frames(config, "main") == 0
    assert (count_buffers(0), find_hold_bytes(0)) == (0, 0)


def test_check_says_how_much(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(TEXT)
    check(file)
    said = " ".join(capsys.readouterr().out.split())
    assert (
        f"worker main: routes that release in order hold up to {FRAMES:,} frames, in 65,760 buffers" in said
    )
    assert f"{BYTES:,} bytes" in said


def test_plans_say_how_much() -> None:
    first = [str(action) for action in plan_changes(None, build())]
    assert first[0] == (
        "start worker main: ports memory:a, memory:b, memory:c; holds 64,736 frames, 136.8 MB of buffers"
    )
    assert first[1].endswith("(class B, format 2160p59.94, release in-order) → out (group 239.9.9.9)")


def test_more_restarts_and_less_does_not() -> None:
    small = build(TEXT.replace("class: B", "class: A"))
    actions = plan_changes(small, build())
    assert [str(action) for action in find_restarts(actions)] == [
        "restart worker main: xdp and memory ports hold 12,947 → 64,736 frames, 136.8 MB of buffers"
    ]
    assert find_restarts(plan_changes(build(), small)) == []
    assert find_restarts(plan_changes(build(), build(TEXT.replace("      release: in-order\n", "")))) == []


@pytest.mark.parametrize("port", ["b", "out"])
def test_ports_without_common_memory(port: str) -> None:
    line = next(line for line in TEXT.splitlines() if f"name: {port}," in line)
    device = line.split('"')[1]
    text = TEXT.replace(device, "netmap:ens9")
    with pytest.raises(ConfigError) as refusal:
        build(text)
    assert str(refusal.value) == (
        "c.yaml:13: routes[0].protect.release: in-order holds frames in their buffers, a (memory:a) and "
        f"{port} (netmap:ens9) have no common memory; use ports of one kind, or `release: first-copy`"
    )
    build(text.replace("in-order", "first-copy"))


def test_more_than_a_region_has() -> None:
    route = TEXT[TEXT.index("  - name: r\n") :]
    routes = "".join(
        route.replace("name: r", f"name: r{number}").replace("239.1.2.", f"239.1.{number}.")
        for number in range(100)
    ).replace("class: B", "window_us: 100000")
    with pytest.raises(ConfigError) as refusal:
        build(TEXT[: TEXT.index("  - name: r\n")] + routes)
    assert (
        str(refusal.value)
        .splitlines()[-1]
        .endswith(
            "worker main would hold frames of its routes that release in order in 12,948,124 buffers of 2,048 bytes "
            "(26,932 MB), at most 8,388,608 (17,448 MB); take smaller windows or add a worker"
        )
    )


def build_info(name: str, region: int) -> PortInfo:
    return PortInfo(name, f"netmap:{name}", "netmap", "native", region, 1, 1, 512, 512, 2048)


def test_netmap_ports_of_different_regions() -> None:
    route = build().routes[0]
    entry = SimpleNamespace(route=route, port="a", outputs=route.outputs)
    infos = {name: build_info(name, region) for name, region in (("a", 1), ("b", 1), ("out", 3))}
    with pytest.raises(WorkerError, match=r"route r: in-order .* a \(memory region 1\) and out \(region 3\)"):
        check_held_regions("main", [entry], infos)  # type: ignore[list-item]
    check_held_regions("main", [entry], infos | {"out": build_info("out", 1)})  # type: ignore[list-item]


def test_fewer_extra_buffers_than_asked_for() -> None:
    spec = PortSpec.model_validate_json(json.dumps({"name": "a", "device": "netmap:ens4"}))
    assert spec.device.kind is DeviceKind.NETMAP
    said = render_hold_refusal(spec, NativeError(names.E_REGION, "worker"))
    assert "the kernel has fewer extra buffers than that" in said
    assert "raise netmap's buf_num (/sys/module/netmap/parameters/buf_num)" in said
