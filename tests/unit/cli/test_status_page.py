# SPDX-License-Identifier: Apache-2.0
"""`appliance status` as a person sees it, 80 columns wide."""

from collections.abc import Callable

import pytest

from appliance.cli.console import Grid, print_blocks
from appliance.cli.status import find_exit_code
from appliance.cli.status_page import build_page
from appliance.daemon.api import DaemonStatus, GenerationStatus, StatusDocument
from appliance.fastpath import MergePathCounters, Observed, PacingCounters
from appliance.fastpath.names import DROP_LABELS
from appliance.telemetry import (
    Account,
    DiscoveredRecord,
    MembershipRecord,
    PortRecord,
    ProtectedRecord,
    RouteRecord,
    WorkerRecord,
)

CheckGolden = Callable[[str, str], None]

NO_DROPS = dict.fromkeys(DROP_LABELS, 0)


def build_port(name: str, device: str, adapter: str, **counters: int) -> PortRecord:
    fields = dict.fromkeys(PortRecord.model_fields, 0) | {
        "name": name,
        "worker": "main",
        "device": device,
        "kind": device.split(":")[0],
        "adapter": adapter,
        "dropped_frames": NO_DROPS,
        "sync": "calls",
        "state": "up",
        "open_error": None,
        "swaps_with": (),
    }
    return PortRecord.model_validate(fields | counters)


MEMBERSHIPS = tuple(
    MembershipRecord(interface="ens1f0", group=f"239.1.2.{host}", source=None, state=state)
    for host, state in enumerate(("joined", "joined", "waiting"))
)


def build_document(
    received: int = 4_320_012,
    problems: tuple[str, ...] = (),
    memberships: tuple[MembershipRecord, ...] = (),
) -> StatusDocument:
    dropped = NO_DROPS | {"no_route": 12}
    forwarded = received - 12
    ingress = build_port(
        "red-in", "netmap:ens1f0", "native", received_frames=received, received_bytes=received * 1262
    ).model_copy(update={"forwarded_frames": forwarded, "dropped_frames": dropped})
    return StatusDocument(
        daemon=DaemonStatus(running=True, pid=811),
        generation=GenerationStatus(active=7, digest="0" * 64, configured="/etc/appliance/config.yaml"),
        workers=(
            WorkerRecord(
                name="main",
                pid=812,
                alive=True,
                running=True,
                generation=7,
                published=7,
                heartbeat_age_s=0.01,
                restarts=0,
                balanced=True,
                account=Account(received_frames=received, forwarded_frames=forwarded, dropped_frames=dropped),
                memberships=memberships,
            ),
        ),
        ports=(
            ingress,
            build_port(
                "red-out",
                "netmap:ens1f1",
                "native",
                offered_frames=forwarded,
                transmitted_frames=forwarded - 5,
                transmitted_bytes=(forwarded - 5) * 1262,
                tx_full_frames=5,
            ),
            build_port("monitor-of-the-long-name", "xdp:enp0s31f6", "xdp_zerocopy"),
        ),
        routes=(
            RouteRecord(name="camera-1", to="red-out, monitor", frames=forwarded, bytes=forwarded * 1262),
            RouteRecord(name="noise", to="drop", frames=7, bytes=448),
            RouteRecord(name="office lan-a to lan-b", to="lan-b", frames=0, bytes=0),
        ),
        problems=problems,
    )


def build_path(**counters: int) -> MergePathCounters:
    return MergePathCounters(**(dict.fromkeys(MergePathCounters.__slots__, 0) | counters))


def build_protected(name: str, **fields: object) -> ProtectedRecord:
    counted = dict.fromkeys(set(ProtectedRecord.model_fields) - {"a", "b"}, 0)
    paths = {"a": build_path(), "b": build_path(), "silent_paths": (), "leads_a": (), "leads_b": ()}
    none = {"differential_min_ns": None, "differential_max_ns": None}
    return ProtectedRecord.model_validate(counted | paths | none | {"name": name, "worker": "main"} | fields)


def build_observed(name: str, rtp: dict[str, int], pacing: dict[str, int] | None = None) -> RouteRecord:
    counted = dict.fromkeys(Observed.__slots__, 0) | {"arrivals": (0,) * 24} | rtp
    paced = (
        None if pacing is None else PacingCounters(**(dict.fromkeys(PacingCounters.__slots__, 0) | pacing))
    )
    return RouteRecord(name=name, to="studio", frames=9, bytes=900, rtp=Observed(**counted), pacing=paced)  # type: ignore[arg-type]


def build_discovered(number: int) -> DiscoveredRecord:
    return DiscoveredRecord(
        worker="main", port="red-in", vlan=None if number else 100, inner_vlan=None, source="192.0.2.7",
        udp_source=5004, destination=f"239.9.9.{number}", udp_port=5004, dscp=34, payload_type=97 if number else None,
        ssrc=1, frames=1000 * number, bytes=7, rtp_frames=3, first_ns=1, last_ns=2,
    )  # fmt: skip


PROTECTED = build_document(
    problems=(
        "path B of flow camera-1 has sent nothing since 2026-11-22 03:12:44 UTC; the flow lives by path "
        "A alone: look at the sender, the network and the memberships of path B",
    ),
).model_copy(
    update={
        "protected": (
            build_protected("audio-1"),
            build_protected(
                "camera-2",
                a=build_path(received_frames=9_000, forwarded_frames=1_000, lost_frames=3),
                b=build_path(received_frames=9_002, forwarded_frames=8_001, lost_frames=1),
                lost_frames=1,
                differential_frames=2,
                differential_sum_ns=-2_000_000,
                differential_min_ns=-1_500_000,
                differential_max_ns=-500_000,
            ),
            build_protected(
                "camera-1",
                silent_paths=("B",),
                a=build_path(received_frames=863_309, forwarded_frames=863_300, lost_frames=9),
                b=build_path(
                    received_frames=504_102, forwarded_frames=12, lost_frames=359_207, late_frames=4
                ),
                differential_frames=4,
                differential_sum_ns=4_816_000,
                differential_min_ns=911_000,
                differential_max_ns=4_870_000,
            ),
        ),
        "routes": (
            build_observed("camera-1 path A", {"lost_frames": 9, "reordered_frames": 1}),
            build_observed("camera-1 path B", {}),
            build_observed(
                "camera-3",
                {"restarts": 1, "ssrc_changes": 1, "duplicated_frames": 2},
                {"cinst_over_frames": 7, "cinst_max_frames": 12, "vrx_over_frames": 3, "vrx_max_frames": 44},
            ),
        ),
        "discovered": tuple(build_discovered(number) for number in range(7)),
    }
)
DEAD = build_document(
    problems=("no daemon answers at /run/appliance/control.sock (connection refused); start one: …",)
)
PAGES: dict[str, tuple[StatusDocument, StatusDocument | None, int]] = {
    "all-well": (build_document(), None, 0),
    "problems": (
        build_document(
            memberships=MEMBERSHIPS,
            problems=(
                "configuration not applied: /etc/appliance/config.yaml: not applied, because frames would be "
                "lost while workers restart; to accept that: `appliance apply --allow-restart`\n"
                "  restart worker main: cpu 1 → 2",
                "worker main: no heartbeat for 3.0 s, one every 0.2 s was wanted; look whether its CPU is taken",
            ),
        ),
        None,
        1,
    ),
    "no-daemon": (
        DEAD.model_copy(update={"daemon": DaemonStatus(running=False, pid=None, problem=DEAD.problems[0])}),
        None,
        4,
    ),
    "protected": (PROTECTED, None, 1),
    "watch": (build_document(4_752_012), build_document(), 0),
    "nothing": (
        StatusDocument(
            daemon=DaemonStatus(running=False, pid=None, problem="no daemon answers"),
            generation=GenerationStatus(),
            workers=(),
            ports=(),
            routes=(),
            problems=("no daemon answers",),
        ),
        None,
        4,
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_page(
    name: str, check_golden: CheckGolden, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    document, before, exit_code = PAGES[name]
    print_blocks(build_page(document, before, 2.0))
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert find_exit_code(document) == exit_code
    check_golden(name, shown)


def test_a_port_that_polls_its_queues_itself_is_shown() -> None:
    document = build_document()
    polled = document.ports[0].model_copy(
        update={"device": "xdp:ens5", "adapter": "xdp_zerocopy", "sync": "busy_poll"}
    )
    grids = [
        block
        for block in build_page(document.model_copy(update={"ports": (polled,)}))
        if isinstance(block, Grid)
    ]
    assert "xdp:ens5 zero-copy busy poll" in [cell for grid in grids for row in grid.rows for cell in row]
