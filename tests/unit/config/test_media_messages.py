# SPDX-License-Identifier: Apache-2.0
"""Protected and observed routes: what is accepted and what it means, and every refusal word for word."""

from fractions import Fraction

import pytest

from appliance.config.entries import resolve_tables
from appliance.config.formats import parse_video_format
from appliance.config.load import parse_config
from appliance.config.memberships import list_memberships
from appliance.config.merges import MergePlan, plan_merge
from appliance.config.plan import plan_changes
from appliance.config.schema import Config
from appliance.errors import ConfigError

BASE = """\
version: 1
workers: [{name: one}, {name: two}]
ports:
  - {name: a, device: "memory:a", worker: one}
  - {name: b, device: "netmap:ens2", worker: one}
  - {name: d, device: "xdp:ens1", worker: one}
  - {name: other, device: "memory:o", worker: two}
routes:
  - name: r
    protect:
      a: {port: a, group: 239.1.2.1, udp_port: 5004}
      b: {port: b, group: 239.1.2.2, udp_port: 5004}
      class: B
      format: 1080p50
    observe: rtp
    outputs: [{port: d, group: 239.9.9.9}]
"""
A, B = "a: {port: a, group: 239.1.2.1, udp_port: 5004}", "b: {port: b, group: 239.1.2.2, udp_port: 5004}"
OUTPUT = "[{port: d, group: 239.9.9.9}]"

# What is replaced in BASE by what, and every line of the refusal.
REFUSED: dict[str, tuple[str, str, list[str]]] = {
    "a match beside": (
        "    observe: rtp",
        "    match: {port: a}\n    observe: rtp",
        [
            "c.yaml:15: routes[0].match: given beside `protect`, whose paths are the match; keep one of the two"
        ],
    ),
    "drop": (
        f"outputs: {OUTPUT}",
        "drop: true",
        ["c.yaml:16: routes[0].drop: two paths are merged for outputs; give `outputs:` instead"],
    ),
    "no outputs": (
        f"    outputs: {OUTPUT}\n",
        "",
        [
            "c.yaml:9: routes[0]: says not what becomes of its frames; give `outputs:`, `drop: true` or "
            "`to_host: true`"
        ],
    ),
    "one path": (
        f"      {B}\n",
        "",
        ["c.yaml:10: routes[0].protect.b: missing; give which frames come by path B"],
    ),
    "a path without a port": (
        B,
        "b: {group: 239.1.2.2, udp_port: 5004}",
        ["c.yaml:12: routes[0].protect.b: missing port; name the port this path arrives at"],
    ),
    "a path that is no flow": (
        A,
        "a: {port: a, group: 239.1.0.0/16}",
        [
            "c.yaml:11: routes[0].protect.a.group: 239.1.0.0/16 holds many flows; a path is one, name its address",
            "c.yaml:11: routes[0].protect.a: missing udp_port; a path is one flow, name its UDP port",
        ],
    ),
    "paths without an address": (
        A,
        "a: {port: a, udp_port: 5004}",
        [
            "c.yaml:11: routes[0].protect.a: missing group; a path is one flow, name its `group:` or `destination:`"
        ],
    ),
    "not RTP": (
        A,
        "a: {port: a, group: 239.1.2.1, udp_port: 5004, payload_type: not_rtp}",
        ["c.yaml:11: routes[0].protect.a.payload_type: paths are merged by their RTP numbers; remove it"],
    ),
    "two RTP headers": (
        f"{A}\n      {B}",
        f"{A[:-1]}, ssrc: 7}}\n      {B[:-1]}, ssrc: 8}}",
        [
            "c.yaml:12: routes[0].protect.b.ssrc: 8, of path A 7: both copies carry the same RTP header; these are "
            "two flows"
        ],
    ),
    "paths of two workers": (
        B,
        "b: {port: other, group: 239.1.2.2, udp_port: 5004}",
        [
            "c.yaml:12: routes[0].protect.b.port: other belongs to worker two, path A arrives at a of worker one; "
            "put both ports into one worker"
        ],
    ),
    "the same match twice": (
        B,
        "b: {port: a, group: 239.1.2.1, udp_port: 5004}",
        [
            "c.yaml:12: routes[0].protect.b: a 239.1.2.1:5004 is matched by route r path A (line 11) already; join "
            "their outputs in one route"
        ],
    ),
    "back where it came from": (
        OUTPUT,
        "[{port: b, group: 239.9.9.9}]",
        [
            "c.yaml:16: routes[0].outputs[0]: b is where the frames arrive; sending them back makes a loop, remove it"
        ],
    ),
    "two groups leave": (
        OUTPUT,
        "[d]",
        [
            "c.yaml:16: routes[0].outputs[0]: the paths come to 239.1.2.1 and 239.1.2.2, so two flows would leave "
            "here; give this output a new `group:`"
        ],
    ),
    "two UDP ports and two sources leave": (
        f"{A}\n      {B}",
        "a: {port: a, group: 239.1.2.1, source: 192.0.2.1, udp_port: 5004}\n"
        "      b: {port: b, group: 239.1.2.1, source: 192.0.2.2, udp_port: 5006}",
        [
            "c.yaml:16: routes[0].outputs[0]: the paths come to UDP ports 5004 and 5006, so two flows would leave "
            "here; give this output a new `udp_port:`",
            "c.yaml:16: routes[0].outputs[0]: the paths come from 192.0.2.1 and 192.0.2.2, so two flows would leave "
            "here; give this output a new `source:`",
        ],
    ),
    "two VLANs leave": (
        f"{A}\n      {B}",
        f"{A[:-1]}, vlan: 10}}\n      {B[:-1]}, vlan: 20}}",
        [
            "c.yaml:16: routes[0].outputs[0]: the paths come in VLANs 10 and 20, so two flows would leave here; give "
            "this output a new `vlan: {set: ID}` or `vlan: pop`"
        ],
    ),
    "one path is tagged": (
        A,
        "a: {port: a, group: 239.1.2.1, udp_port: 5004, vlan: 10}",
        [
            "c.yaml:16: routes[0].outputs[0]: path A comes in VLAN 10, path B with tag `untagged`; have the network "
            "tag both or none"
        ],
    ),
    "a rewrite one path does not allow": (
        f"{A[-1]}\n      {B}",
        f", vlan: 10}}\n      {B}".replace("group: 239.1.2.2", "group: ff3e::1"),
        [
            "c.yaml:16: routes[0].outputs[0].group: 239.9.9.9 is IPv4, the match takes IPv6 (ff3e::1); use an IPv6 "
            "address",
            "c.yaml:16: routes[0].outputs[0]: path A comes in VLAN 10, path B with tag `untagged`; have the network "
            "tag both or none",
        ],
    ),
    "no window": (
        "      class: B\n",
        "",
        [
            "c.yaml:10: routes[0].protect: says not how far the paths may be apart; give `class: A`, B, C or D, or "
            "`window_us:`"
        ],
    ),
    "two windows": (
        "class: B",
        "class: B\n      window_us: 5",
        ["c.yaml:14: routes[0].protect.window_us: given beside `class`; keep one of the two"],
    ),
    "no such class": (
        "class: B",
        "class: E",
        ["c.yaml:13: routes[0].protect.class: 'E' is not known; use A, B, C or D"],
    ),
    "no rate": (
        "      format: 1080p50\n",
        "",
        [
            "c.yaml:10: routes[0].protect: says not how many frames come; give `format:` (as in 1080p50), "
            "`frames_per_s:`, or `observe.pacing`"
        ],
    ),
    "class C without bits": (
        "class: B\n      format: 1080p50",
        "class: C\n      frames_per_s: 8000",
        [
            "c.yaml:13: routes[0].protect.class: the window of class C is 450 ms below 270 Mb/s and 150 ms from "
            "there on; add `bits_per_s:`"
        ],
    ),
    "bits nobody needs": (
        "format: 1080p50",
        "frames_per_s: 8000\n      bits_per_s: 5",
        [
            "c.yaml:15: routes[0].protect.bits_per_s: counts with `frames_per_s` and class C only, whose window "
            "depends on it; remove it"
        ],
    ),
    "more frames than slots": (
        "format: 1080p50",
        "frames_per_s: 20000000",
        [
            "c.yaml:10: routes[0].protect: a window of 50 ms holds 1,000,000 frames, at most about 838,000 are kept; "
            "take a smaller window"
        ],
    ),
    "no such format": (
        "format: 1080p50",
        "format: 1080i25",
        [
            "c.yaml:14: routes[0].protect.format: '1080i25' is no known format; interlaced ones are named by their "
            "fields a second: 1080i50, 1080i59.94 or 1080i60"
        ],
    ),
    "a protected default": (
        'device: "memory:a",',
        'device: "memory:a", default: r,',
        [
            "c.yaml:4: ports[0].default: route r is protected, it takes its two paths and nothing else; name another"
        ],
    ),
    "observe what": (
        "observe: rtp",
        "observe: everything",
        [
            "c.yaml:15: routes[0].observe: 'everything' does not say what to count; write `rtp`, or a mapping like "
            "`{arrivals: true}`"
        ],
    ),
    "observe many flows": (
        "routes:\n",
        "routes:\n  - {name: s, match: {port: d, group: 239.2.0.0/16}, observe: rtp, outputs: [a]}\n"
        "  - {name: t, match: {port: d, udp_port: 9}, observe: rtp, outputs: [a]}\n"
        "  - {name: u, match: {port: d, ssrc: 9}, observe: rtp, outputs: [a]}\n",
        [
            "c.yaml:9: routes[0].observe: 239.2.0.0/16 holds many flows, their numbers say nothing; name one group, "
            "destination or SSRC in the match",
            "c.yaml:10: routes[1].observe: any destination holds many flows, their numbers say nothing; name one "
            "group, destination or SSRC in the match",
        ],
    ),
    "observe what is left": (
        'worker: one}\n  - {name: other, device: "memory:o", worker: two}\nroutes:\n',
        'worker: one, default: s}\n  - {name: other, device: "memory:o", worker: two}\nroutes:\n'
        "  - {name: s, observe: rtp, outputs: [a]}\n",
        [
            "c.yaml:9: routes[0].observe: frames that are left over are of many flows, their numbers say nothing; give "
            "it a match, or remove it"
        ],
    ),
    "rtp cannot be left out": (
        "observe: rtp",
        "observe: {rtp: false, arrivals: true}",
        ["c.yaml:15: routes[0].observe.rtp: false is not known; use true"],
    ),
    "pacing of what": (
        "observe: rtp",
        "observe: {pacing: {sender: N}}",
        [
            "c.yaml:15: routes[0].observe.pacing: name a video format like `format: 1080p50`, or give rate, "
            "active_lines, total_lines and packets"
        ],
    ),
    "half of the numbers": (
        "observe: rtp",
        "observe: {pacing: {sender: N, rate: 50, packets: 4320}}",
        [
            "c.yaml:15: routes[0].observe.pacing: missing active_lines, total_lines; name a video format like "
            "`format: 1080p50`, or give rate, active_lines, total_lines and packets"
        ],
    ),
    "a name and numbers": (
        "observe: rtp",
        "observe: {pacing: {sender: N, format: 1080p50, rate: 50}}",
        [
            "c.yaml:15: routes[0].observe.pacing.rate: given beside `format`, which says it; keep one of the two"
        ],
    ),
    "no rate of pictures": (
        "observe: rtp",
        "observe: {pacing: {sender: N, rate: 59.9, active_lines: 1080, total_lines: 1125, packets: 4320}}",
        [
            "c.yaml:15: routes[0].observe.pacing.rate: 59.9 is not a rate; give pictures a second: 50, 59.94 or "
            "60000/1001"
        ],
    ),
    "more lines than there are": (
        "observe: rtp",
        "observe: {pacing: {sender: N, rate: 50, active_lines: 1126, total_lines: 1125, packets: 4320}}",
        [
            "c.yaml:15: routes[0].observe.pacing.active_lines: 1126 of 1125 lines; give no more than `total_lines`",
        ],
    ),
    "faster than anything": (
        "observe: rtp",
        "observe: {pacing: {sender: N, rate: 120, active_lines: 1, total_lines: 1000, packets: 4320}}",
        [
            "c.yaml:15: routes[0].observe.pacing: 518,400,000 packets a second are to be read; at most 200,000,000 "
            "are timed"
        ],
    ),
    "a type that contradicts its schedule": (
        "observe: rtp",
        "observe: {pacing: {sender: N, format: 1080p50, schedule: linear}}",
        [
            "c.yaml:15: routes[0].observe.pacing.schedule: a narrow sender with a linear schedule is `sender: NL`"
        ],
    ),
    "an offset of nothing": (
        "observe: rtp",
        "observe: {pacing: {sender: N, format: 1080p50, troffset_us: 20000}}",
        [
            "c.yaml:15: routes[0].observe.pacing.troffset_us: counts from the SMPTE epoch; add `anchor: epoch`, or "
            "remove it",
            "c.yaml:15: routes[0].observe.pacing.troffset_us: 20000 µs are no less than a picture of 20000 µs",
        ],
    ),
}


@pytest.mark.parametrize(("old", "new", "wanted"), REFUSED.values(), ids=REFUSED)
def test_message(old: str, new: str, wanted: list[str]) -> None:
    assert BASE.count(old) == 1
    with pytest.raises(ConfigError) as refusal:
        parse_config(BASE.replace(old, new), "c.yaml")
    assert list(refusal.value.problems) == wanted


def build(old: str = "", new: str = "") -> Config:
    return parse_config(BASE.replace(old, new) if old else BASE, "c.yaml").config


def test_a_protected_route_is_two_entries_with_counters_of_their_own() -> None:
    config = build()
    tables = resolve_tables(config)
    assert [(entry.name, entry.port, entry.path) for entry in tables.entries["one"]] == [
        ("r path A", "a", "A"),
        ("r path B", "b", "B"),
    ]
    assert tables.list_fates("one") == {"r path A": "d", "r path B": "d"}
    groups = {str(member.group) for member in list_memberships(config, tables.entries["one"])}
    assert groups == {"239.1.2.2"}  # a memory: port has no network


@pytest.mark.parametrize(
    ("protect", "observe", "wanted"),
    [
        ("class: B\n      format: 1080p50", "rtp", MergePlan(50_000_000, 16384, 0)),
        ("class: A\n      frames_per_s: 8000", "rtp", MergePlan(10_000_000, 512, 0)),
        ("class: D\n      frames_per_s: 8000", "rtp", MergePlan(150_000, 512, 0)),
        ("class: C\n      format: 2160p59.94", "rtp", MergePlan(150_000_000, 262144, 0)),
        (
            "class: C\n      frames_per_s: 8000\n      bits_per_s: 5000000",
            "rtp",
            MergePlan(450_000_000, 8192, 0),
        ),
        (
            "class: C\n      frames_per_s: 8000\n      bits_per_s: 270000000",
            "rtp",
            MergePlan(150_000_000, 2048, 0),
        ),
        (
            "window_us: 20000\n      silence_ms: 300",
            "{pacing: {format: 1080p50, sender: W}}",
            MergePlan(20_000_000, 8192, 300_000_000),
        ),
    ],
)
def test_windows_and_slots(protect: str, observe: str, wanted: MergePlan) -> None:
    text = BASE.replace("class: B\n      format: 1080p50", protect).replace(
        "observe: rtp", f"observe: {observe}"
    )
    assert plan_merge(parse_config(text, "c.yaml").config.routes[0]) == wanted


def test_too_many_windows_for_one_worker() -> None:
    route = BASE[BASE.index("  - name: r\n") :]
    route = route.replace("class: B", "class: C").replace("format: 1080p50", "format: 2160p59.94")
    routes = "".join(
        route.replace("name: r", f"name: r{number}").replace("5004", str(5004 + number))
        for number in range(260)
    )
    text = BASE[: BASE.index("  - name: r\n")] + routes
    with pytest.raises(ConfigError) as refusal:
        parse_config(text, "c.yaml")
    assert list(refusal.value.problems) == [
        "c.yaml:2: workers[0]: the windows of worker one's protected routes need 545 MB, at most 536 MB; take smaller "
        "windows or add a worker"
    ]


def test_too_many_formats_for_one_worker() -> None:
    routes = "".join(
        f"  - name: p{number}\n    match: {{port: a, group: 239.3.3.3, udp_port: {number}}}\n"
        f"    observe: {{pacing: {{format: 1080p50, sender: N, packets: {4000 + number}}}}}\n    outputs: [d]\n"
        for number in range(1, 66)
    )
    with pytest.raises(ConfigError) as refusal:
        parse_config(BASE + routes, "c.yaml")
    assert list(refusal.value.problems) == [
        "c.yaml:2: workers[0]: worker one observes the pacing of 65 different formats, at most 64; add a worker"
    ]


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (
            "class: B",
            "class: A",
            "change route r: A a 239.1.2.1:5004, B b 239.1.2.2:5004 (class B, format 1080p50) → d (group 239.9.9.9); "
            "observe rtp becomes A a 239.1.2.1:5004, B b 239.1.2.2:5004 (class A, format 1080p50) → d (group "
            "239.9.9.9); observe rtp",
        ),
        (
            "observe: rtp",
            "observe: {arrivals: true, pacing: {sender: W, rate: 59.94, packets: 4000, active_lines: 1080, "
            "total_lines: 1125}}",
            "change route r: A a 239.1.2.1:5004, B b 239.1.2.2:5004 (class B, format 1080p50) → d (group 239.9.9.9); "
            "observe rtp becomes A a 239.1.2.1:5004, B b 239.1.2.2:5004 (class B, format 1080p50) → d (group "
            "239.9.9.9); observe rtp, arrivals, pacing 60000/1001 of 4000 packets W lines 1080/1125",
        ),
        ("version: 1", "version: 1\ndiscover: true", "change discovery flows without a route: listed"),
    ],
)
def test_plan(old: str, new: str, wanted: str) -> None:
    assert [str(action) for action in plan_changes(build(), build(old, new))] == [wanted]
    assert not any(action.disruptive for action in plan_changes(build(), build(old, new)))


def test_formats() -> None:
    video = parse_video_format("1080i59.94")
    assert (video.rate, video.packets, video.active_lines, video.total_lines) == (
        Fraction(60000, 1001),
        2160,
        1080,
        1125,
    )
    for wrong in ("1080", "1080p", "1080p51", "480p50", "720i50", "2160i50", "1080p050", "01080p50"):
        with pytest.raises(ValueError, match="is no known format"):
            parse_video_format(wrong)
