# SPDX-License-Identifier: Apache-2.0
"""Routes that are refused, word for word: fields that contradict, rewrites that a match does not allow, full tables."""

import pytest

from appliance.config.load import parse_config
from appliance.errors import ConfigError

BASE = """\
version: 1
ports:
  - {name: a, device: "memory:a"}
  - {name: b, device: "memory:b"}
  - {name: d, device: "xdp:ens1"}
  - {name: n, device: "netmap:ens2"}
  - {name: h, device: "netmap:ens3^"}
routes:
  - name: r
    MATCH
    FATE
"""

# What stands for MATCH and FATE in BASE, and every line of the refusal.
REFUSED: dict[str, tuple[str, str, list[str]]] = {
    "vlan set of untagged frames": (
        "match: {port: a, group: 239.1.2.1}",
        "outputs: [{port: b, vlan: {set: 300}}]",
        [
            "c.yaml:11: routes[0].outputs[0].vlan: set 300: the match takes untagged frames; name one VLAN "
            "in `match.vlan`, or use `{push: 300}`",
        ],
    ),
    "vlan pop where any tag may come": (
        "match: {port: a, vlan: any, group: 239.1.2.1}",
        "outputs: [{port: b, vlan: pop}]",
        [
            "c.yaml:11: routes[0].outputs[0].vlan: pop: the match takes frames with and without a tag; name "
            "one VLAN in `match.vlan`",
        ],
    ),
    "two changes of a tag": (
        "match: {port: a, vlan: 5}",
        "outputs: [{port: b, vlan: {set: 300, push: 2}}]",
        [
            "c.yaml:11: routes[0].outputs[0].vlan: a tag changes once; give exactly one of push, pop and set",
        ],
    ),
    "no change of a tag": (
        "match: {port: a, vlan: 5}",
        "outputs: [{port: b, vlan: 300}]",
        [
            "c.yaml:11: routes[0].outputs[0].vlan: 300 does not say what to do; write `pop`, `{push: 100}` "
            "or `{set: 100}`",
        ],
    ),
    "pop: false": (
        "match: {port: a, vlan: 5}",
        "outputs: [{port: b, vlan: {pop: false}}]",
        [
            "c.yaml:11: routes[0].outputs[0].vlan.pop: false is not known; use true",
        ],
    ),
    "new group without a family": (
        "match: {port: a, udp_port: 5}",
        "outputs: [{port: b, group: 239.2.2.2}]",
        [
            "c.yaml:11: routes[0].outputs[0].group: 239.2.2.2: the match does not say that frames are IPv4; "
            "give it a `group:`, `destination:` or `source:`",
        ],
    ),
    "new group of the other family": (
        'match: {port: a, source: "2001:db8::1"}',
        "outputs: [{port: b, group: 239.2.2.2}]",
        [
            "c.yaml:11: routes[0].outputs[0].group: 239.2.2.2 is IPv4, the match takes IPv6 (2001:db8::1); "
            "use an IPv6 address",
        ],
    ),
    "new group that is none": (
        "match: {port: a, group: 239.1.2.1}",
        "outputs: [{port: b, group: 192.0.2.9}]",
        [
            "c.yaml:11: routes[0].outputs[0].group: 192.0.2.9 is not a multicast address; use 224.0.0.0/4",
        ],
    ),
    "new destination that is a group": (
        "match: {port: a, group: 239.1.2.1}",
        "outputs: [{port: b, destination: 239.2.2.2}]",
        [
            "c.yaml:11: routes[0].outputs[0].destination: 239.2.2.2 is a multicast address; write `group: "
            "239.2.2.2`",
        ],
    ),
    "new destination without a MAC address": (
        "match: {port: a, group: 239.1.2.1}",
        "outputs: [{port: b, destination: 192.0.2.9}]",
        [
            "c.yaml:11: routes[0].outputs[0].destination: 192.0.2.9 does not say which MAC address; add "
            "`destination_mac:` with that of the receiver or of the next router, or `destination_mac: keep`",
        ],
    ),
    "new source that is a group": (
        "match: {port: a, group: 239.1.2.1}",
        "outputs: [{port: b, source: 239.2.2.2}]",
        [
            "c.yaml:11: routes[0].outputs[0].source: 239.2.2.2 is a multicast address; no frame comes from "
            "there, remove it",
        ],
    ),
    "new source that is a prefix": (
        "match: {port: a, group: 239.1.2.1}",
        "outputs: [{port: b, source: 192.0.2.0/24}]",
        [
            "c.yaml:11: routes[0].outputs[0].source: '192.0.2.0/24' is not an IPv4 or IPv6 address; use the "
            "form 239.1.2.1 or ff3e::1",
        ],
    ),
    "both new destinations": (
        "match: {port: a, group: 239.1.2.1}",
        "outputs: [{port: b, group: 239.2.2.2, destination: 192.0.2.9, destination_mac: keep}]",
        [
            "c.yaml:11: routes[0].outputs[0].destination: given beside `group`; keep one of the two",
        ],
    ),
    "MAC address from no group": (
        "match: {port: a, destination: 192.0.2.1}",
        "outputs: [{port: b, destination_mac: from-group}]",
        [
            "c.yaml:11: routes[0].outputs[0].destination_mac: from-group: there is no group; give one here "
            "or in the match",
        ],
    ),
    "MAC address from many groups": (
        "match: {port: a, group: 239.1.0.0/16}",
        "outputs: [{port: b, destination_mac: from-group}]",
        [
            "c.yaml:11: routes[0].outputs[0].destination_mac: from-group: 239.1.0.0/16 holds many groups "
            "with a MAC address each; leave it out to keep theirs",
        ],
    ),
    "MAC address from a unicast address": (
        "match: {port: a, group: 239.1.2.1}",
        "outputs: [{port: b, destination: 192.0.2.9, destination_mac: from-group}]",
        [
            "c.yaml:11: routes[0].outputs[0].destination_mac: from-group: 192.0.2.9 is no group; give a MAC "
            "address",
        ],
    ),
    "no MAC address": (
        "match: {port: a}",
        "outputs: [{port: b, destination_mac: 02:00}]",
        [
            "c.yaml:11: routes[0].outputs[0].destination_mac: '02:00' is not a MAC address; use the form "
            "01:00:5e:01:02:03, from-group or keep",
        ],
    ),
    "a group's MAC address as source": (
        "match: {port: a}",
        "outputs: [{port: b, source_mac: 01:00:5e:00:00:01}]",
        [
            "c.yaml:11: routes[0].outputs[0].source_mac: 01:00:5e:00:00:01 is a group's MAC address; a "
            "source is one interface",
        ],
    ),
    "RTP fields of frames that are not RTP": (
        "match: {port: a, payload_type: not_rtp}",
        "outputs: [{port: b, ssrc: 5}]",
        [
            "c.yaml:11: routes[0].outputs[0].ssrc: the match takes frames that are not RTP only; remove it",
        ],
    ),
    "DSCP too large": (
        "match: {port: a, dscp: 64}",
        "outputs: [{port: b, dscp: 64}]",
        [
            "c.yaml:10: routes[0].match.dscp: 64 is too large; at most 63",
            "c.yaml:11: routes[0].outputs[0].dscp: 64 is too large; at most 63",
        ],
    ),
    "TTL": (
        "match: {port: a}",
        "outputs: [{port: b, ttl: 64}]",
        [
            "c.yaml:11: routes[0].outputs[0].ttl: 64 is not known; use decrement",
        ],
    ),
    "SSRC too large": (
        "match: {port: a, ssrc: 0x123456789}",
        "outputs: [b]",
        [
            "c.yaml:10: routes[0].match.ssrc: 0x123456789 is too large; at most 4294967295",
        ],
    ),
    "unknown field of an output": (
        "match: {port: a}",
        "outputs: [{port: b, destination_mak: keep}]",
        [
            "c.yaml:11: routes[0].outputs[0].destination_mak: unknown field; did you mean `destination_mac`?",
        ],
    ),
    "an output that is neither name nor mapping": (
        "match: {port: a}",
        "outputs: [5]",
        [
            "c.yaml:11: routes[0].outputs[0]: 5 is no output; write the name of a port, or a mapping with "
            "`port:`",
        ],
    ),
    "a prefix with host bits": (
        "match: {port: a, group: 239.1.2.1/16}",
        "outputs: [b]",
        [
            "c.yaml:10: routes[0].match.group: 239.1.2.1/16 has bits set behind its prefix; write "
            "239.1.0.0/16 or 239.1.2.1",
        ],
    ),
    "a prefix that is too long": (
        "match: {port: a, source: 192.0.2.1/33}",
        "outputs: [b]",
        [
            "c.yaml:10: routes[0].match.source: '192.0.2.1/33' is not a prefix; use 192.0.2.1/0 to "
            "192.0.2.1/32, in decimal digits",
        ],
    ),
    "a prefix of both families": (
        'match: {port: a, source: "::/0"}',
        "outputs: [b]",
        [
            "c.yaml:10: routes[0].match.source: ::/0 holds IPv4 addresses too (::ffff:0:0/96); use ff00::/8 "
            "or 2000::/3",
        ],
    ),
    "a group prefix with unicast addresses": (
        "match: {port: a, group: 128.0.0.0/1}",
        "outputs: [b]",
        [
            "c.yaml:10: routes[0].match.group: 128.0.0.0/1 is not a multicast address; use 224.0.0.0/4",
        ],
    ),
    "source and destination of two families": (
        'match: {port: a, group: 239.1.2.1, source: "2001:db8::1"}',
        "outputs: [b]",
        [
            "c.yaml:10: routes[0].match.source: 2001:db8::1 is IPv6, the destination 239.1.2.1 IPv4; no "
            "frame has both, use one family",
        ],
    ),
    "a source that is a group": (
        "match: {port: a, source: 239.1.2.1}",
        "outputs: [b]",
        [
            "c.yaml:10: routes[0].match.source: 239.1.2.1 is a multicast address; no frame comes from "
            "there, remove it",
        ],
    ),
    "inner tag of untagged frames": (
        "match: {port: a, vlan: untagged, inner_vlan: 5}",
        "outputs: [b]",
        [
            "c.yaml:10: routes[0].match.inner_vlan: untagged frames have no inner tag; remove it",
        ],
    ),
    "SSRC without RTP": (
        "match: {port: a, payload_type: not_rtp, ssrc: 5}",
        "outputs: [b]",
        [
            "c.yaml:10: routes[0].match.ssrc: frames that are not RTP have none; remove it, or "
            "`payload_type: not_rtp`",
        ],
    ),
    "a word that is no tag": (
        "match: {port: a, vlan: none}",
        "outputs: [b]",
        [
            "c.yaml:10: routes[0].match.vlan: 'none' is not known; use 0 to 4094, untagged or any",
        ],
    ),
    "an empty match": (
        "match: {priority: 5}",
        "outputs: [b]",
        [
            "c.yaml:10: routes[0].match: matches every untagged frame of every port; name at least one field",
        ],
    ),
    "a port twice in a match": (
        "match: {port: [a, a]}",
        "outputs: [b]",
        [
            "c.yaml:10: routes[0].match.port[1]: a is given twice; once is enough",
        ],
    ),
    "no port in a match": (
        "match: {port: []}",
        "outputs: [b]",
        [
            "c.yaml:10: routes[0].match.port: the list is empty; at least 1 is needed",
        ],
    ),
    "nothing becomes of the frames": (
        "match: {port: a}",
        "",
        [
            "c.yaml:9: routes[0]: says not what becomes of its frames; give `outputs:`, `drop: true` or "
            "`to_host: true`",
        ],
    ),
    "two things become of the frames": (
        "match: {port: a}",
        "outputs: [b]\n    drop: true",
        [
            "c.yaml:12: routes[0].drop: given beside `outputs`; keep one of the two",
        ],
    ),
    "drop in words": (
        "match: {port: a}",
        "drop: yes",
        [
            "c.yaml:11: routes[0].drop: 'yes' is neither true nor false; write one of the two",
        ],
    ),
    "no match and no default": (
        "",
        "drop: true",
        [
            "c.yaml:9: routes[0]: no match, and no port has `default: r`; give it a `match:`",
        ],
    ),
    "host rings of an xdp port": (
        "match: {port: d}",
        "to_host: true",
        [
            "c.yaml:11: routes[0].to_host: d (xdp:ens1) has no host rings; only netmap ports of an "
            "interface have them, route its frames to such a port by `outputs:`",
        ],
    ),
    "host rings that are no port": (
        "match: {port: n}",
        "to_host: true",
        [
            "c.yaml:11: routes[0].to_host: no port is the host's side of n (netmap:ens2); add one with "
            "`device: netmap:ens2^` to worker main",
        ],
    ),
    "from the host to the host": (
        "match: {port: h}",
        "to_host: true",
        [
            "c.yaml:11: routes[0].to_host: frames of h (netmap:ens3^) come from the host; send them to a "
            "port",
        ],
    ),
}


def render(match: str, fate: str) -> str:
    text = BASE.replace("MATCH", match or "# no match")
    return text.replace("    FATE\n", f"    {fate}\n" if fate else "")


def read_problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refusal:
        parse_config(text, "c.yaml")
    return list(refusal.value.problems)


@pytest.mark.parametrize(("match", "fate", "wanted"), REFUSED.values(), ids=REFUSED)
def test_message(match: str, fate: str, wanted: list[str]) -> None:
    assert read_problems(render(match, fate)) == wanted
