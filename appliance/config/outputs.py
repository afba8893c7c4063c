# SPDX-License-Identifier: Apache-2.0
"""The sections of the configuration about outputs and what they rewrite. Part of the one declaration in `schema`."""

from ipaddress import IPv4Address
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from appliance.config.fields import (
    MAX_DSCP,
    MAX_PAYLOAD_TYPE,
    MAX_VLAN,
    Address,
    DestinationMacField,
    Name,
    NewDestinationField,
    NewGroupField,
    NewSourceField,
    SourceMacField,
    SsrcField,
    render_mac,
)
from appliance.config.match import Match
from appliance.config.section import Section

# Of native/include/fastpath.h; tests/contract/test_config_contract.py compares them.
MAX_OUTPUTS = 8


class VlanChange(Section):
    """What happens to the outer tag; exactly one of the three. `vlan: pop` is short for `{pop: true}`."""

    push: int | None = Field(default=None, ge=0, le=MAX_VLAN, description="VLAN id of a new outer tag")
    pop: Literal[True] | None = Field(default=None, description="true: the outer tag goes")
    set: int | None = Field(default=None, ge=0, le=MAX_VLAN, description="new VLAN id of the outer tag")

    @model_validator(mode="before")
    @classmethod
    def _read_word(cls, value: Any) -> Any:
        if value == "pop":
            return {"pop": True}
        if not isinstance(value, dict | VlanChange):
            raise ValueError(
                f"{value!r} does not say what to do; write `pop`, `{{push: 100}}` or `{{set: 100}}`"
            )
        return value

    @model_validator(mode="after")
    def _check_one(self) -> "VlanChange":
        if len([value for value in (self.push, self.pop, self.set) if value is not None]) != 1:
            raise ValueError("a tag changes once; give exactly one of push, pop and set")
        return self

    def __str__(self) -> str:
        if self.pop:
            return "pop"
        return f"push {self.push}" if self.push is not None else f"set {self.set}"


class Output(Section):
    """A port a copy goes to, and what is written into this copy. The name of a port alone sends it as it came."""

    port: Name = Field(description="the name of the port it sends to")
    destination_mac: DestinationMacField | None = Field(
        default=None,
        description="new destination MAC address, `from-group` or `keep`; "
        "absent: that of the new `group`, else as it came",
    )
    source_mac: SourceMacField | None = Field(default=None, description="new source MAC address")
    vlan: VlanChange | None = Field(default=None, description="`{push: ID}`, `{set: ID}` or `pop`")
    group: NewGroupField | None = Field(default=None, description="new destination address, multicast")
    destination: NewDestinationField | None = Field(
        default=None, description="new destination address, unicast; needs destination_mac"
    )
    source: NewSourceField | None = Field(default=None, description="new source address")
    udp_port: int | None = Field(default=None, ge=1, le=65535, description="new UDP destination port")
    udp_source: int | None = Field(default=None, ge=0, le=65535, description="new UDP source port")
    dscp: int | None = Field(default=None, ge=0, le=MAX_DSCP, description="new DSCP, 0 to 63")
    ttl: Literal["decrement"] | None = Field(
        default=None,
        description="`decrement`: TTL or hop limit less one; frames with less than 2 are dropped",
    )
    ssrc: SsrcField | None = Field(default=None, description="new RTP SSRC")
    payload_type: int | None = Field(
        default=None, ge=0, le=MAX_PAYLOAD_TYPE, description="new RTP payload type, 0 to 127"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"port": value}
        if not isinstance(value, dict | Output):
            raise ValueError(f"{value!r} is no output; write the name of a port, or a mapping with `port:`")
        return value

    @property
    def to(self) -> Address | None:
        """The new destination, multicast or unicast."""
        return self.group if self.group is not None else self.destination

    def find_destination_mac(self, match: Match | None) -> bytes | None:
        """What is written as destination MAC; None: as it came. `match` tells the group where this does not."""
        if isinstance(self.destination_mac, bytes):
            return self.destination_mac
        if self.group is not None and self.destination_mac != "keep":
            return compute_group_mac(self.group)
        if self.destination_mac == "from-group" and match is not None and match.group is not None:
            return compute_group_mac(match.group.network_address)
        return None

    @property
    def changes(self) -> bool:
        """Whether anything is written into the copy."""
        return any(
            getattr(self, name) not in (None, "keep") for name in type(self).model_fields if name != "port"
        )

    def __str__(self) -> str:
        """`red-out` or `red-out (vlan push 100, group 239.2.2.2)`."""
        changes = ", ".join(
            f"{name} {render_mac(value) if isinstance(value, bytes) else value}"
            for name in type(self).model_fields
            if name != "port" and (value := getattr(self, name)) is not None
        )
        return f"{self.port} ({changes})" if changes else self.port


def compute_group_mac(group: Address) -> bytes:
    """The MAC address of a multicast group: RFC 1112, 6.4 (23 bits) and RFC 2464, 7 (32 bits)."""
    if isinstance(group, IPv4Address):
        return (0x01005E000000 | int(group) & 0x7FFFFF).to_bytes(6, "big")
    return b"\x33\x33" + group.packed[-4:]


Outputs = Annotated[list[Output], Field(min_length=1, max_length=MAX_OUTPUTS)]
