# SPDX-License-Identifier: Apache-2.0
"""The section of the configuration about which frames a route takes. Part of the one declaration in `schema`."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from appliance.config.fields import (
    MAX_DSCP,
    DestinationField,
    GroupField,
    Name,
    Network,
    PayloadTypeField,
    SourceField,
    SsrcField,
    TagField,
    parse_ports,
    render_network,
)
from appliance.config.section import Section


class Match(Section):
    """Which frames a route takes; every field given must be equal."""

    port: Annotated[list[Name], BeforeValidator(parse_ports)] | None = Field(
        default=None,
        min_length=1,
        description="the port the frames arrive at, or a list of ports; "
        "absent: every port of the worker but the route's own outputs",
    )
    vlan: TagField | None = Field(
        default=None, description="outer VLAN id, `untagged` or `any`; absent: untagged frames only"
    )
    inner_vlan: TagField | None = Field(
        default=None,
        description="inner VLAN id, `untagged` (no inner tag) or `any`; "
        "absent: no inner tag, or any where `vlan` is `any`",
    )
    group: GroupField | None = Field(
        default=None, description="destination address or prefix, multicast; absent: any destination"
    )
    destination: DestinationField | None = Field(
        default=None, description="destination address or prefix, unicast; absent: any destination"
    )
    source: SourceField | None = Field(
        default=None, description="source address or prefix; absent: any source"
    )
    udp_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="the UDP destination port, 1 to 65535; absent: any, also frames that are not UDP",
    )
    udp_source: int | None = Field(
        default=None, ge=0, le=65535, description="the UDP source port; absent: any"
    )
    dscp: int | None = Field(
        default=None, ge=0, le=MAX_DSCP, description="DSCP of the IP header, 0 to 63; absent: any"
    )
    payload_type: PayloadTypeField | None = Field(
        default=None, description="RTP payload type, 0 to 127, or `not_rtp`; absent: any"
    )
    ssrc: SsrcField | None = Field(
        default=None, description="RTP SSRC, decimal or 0x…; absent: any, also frames without RTP"
    )
    priority: int = Field(
        default=0,
        ge=0,
        le=0xFFFF_FFFF,
        description="of several routes that fit, the highest wins; between equals the one that compares more bits",
    )

    @property
    def to(self) -> Network | None:
        """The destination, multicast or unicast."""
        return self.group if self.group is not None else self.destination

    @property
    def tags(self) -> tuple[int | str, int | str]:
        """What outer and inner tag have to be: a VLAN id, "untagged" or "any"."""
        outer = "untagged" if self.vlan is None else self.vlan
        if self.inner_vlan is not None:
            return outer, self.inner_vlan
        return outer, "any" if outer == "any" else "untagged"

    def __str__(self) -> str:
        """`red-in vlan 100.200 239.1.2.1:6000 from 192.0.2.1 dscp 46 priority 5`."""
        words = ["|".join(self.port) if self.port is not None else "every port"]
        if (self.vlan, self.inner_vlan) != (None, None):
            tags = [str(tag) for tag in (self.vlan, self.inner_vlan) if tag is not None]
            words.append(f"vlan {'.'.join(tags)}")
        to, source = _render_end(self.to, self.udp_port), _render_end(self.source, self.udp_source)
        words += [to] if to else []
        words += [f"from {source}"] if source else []
        for name, value in (("dscp", self.dscp), ("payload type", self.payload_type), ("ssrc", self.ssrc)):
            if value is not None:
                words.append(f"{name} {f'{value:#010x}' if name == 'ssrc' else value}")
        return " ".join([*words, f"priority {self.priority}"] if self.priority else words)


def _render_end(network: Network | None, udp_port: int | None) -> str:
    if network is None:
        return "" if udp_port is None else f"*:{udp_port}"
    shown = f"[{render_network(network)}]" if network.version == 6 else render_network(network)
    return shown if udp_port is None else f"{shown}:{udp_port}"
