# SPDX-License-Identifier: Apache-2.0
"""The sections of the configuration about what becomes of frames. Part of the one declaration in `schema`."""

from pydantic import Field

from appliance.config.fields import Name
from appliance.config.match import Match
from appliance.config.media import Observe, Protect
from appliance.config.outputs import MAX_OUTPUTS, Outputs
from appliance.config.section import Section

MAX_MIRROR = 65535


class Route(Section):
    """Frames that match go to every output, to the host stack, or nowhere; exactly one of the three.

    A protected route has two matches, of its paths, instead of one, and sends one flow to its outputs.
    """

    name: Name = Field(description="a name for the route")
    match: Match | None = Field(
        default=None, description="which frames it takes; absent: those of ports whose `default:` names it"
    )
    protect: Protect | None = Field(
        default=None,
        description="the two paths of one flow, merged into one (ST 2022-7); instead of `match`, with `outputs`",
    )
    observe: Observe | None = Field(
        default=None,
        description="what is counted of its RTP: `rtp`, or a mapping; absent: frames and bytes only",
    )
    outputs: Outputs | None = Field(
        default=None,
        description="1 to 8 outputs: the name of a port, or a mapping with `port:` and what is rewritten",
    )
    drop: bool = Field(default=False, description="true: the frames are dropped and counted as `by_route`")
    to_host: bool = Field(
        default=False,
        description="true: the frames go to the host stack, by the port `netmap:INTERFACE^` of their interface",
    )
    mirror: int | None = Field(
        default=None,
        ge=1,
        le=MAX_MIRROR,
        description="one frame in so many is also kept, as it came, for `appliance capture`; 1: every frame",
    )

    @property
    def matches(self) -> tuple[tuple[str, Match], ...]:
        """What it takes, with the path it comes by: "A", "B", or "" where it is not protected."""
        if self.protect is not None:
            return (("A", self.protect.a), ("B", self.protect.b))
        return () if self.match is None else (("", self.match),)

    def __str__(self) -> str:
        """`red-in vlan 100 239.1.2.1:6000 → red-out, blue-out; observe rtp`."""
        where = "default only" if self.match is None else str(self.match)
        if self.protect is not None:
            where = str(self.protect)
        seen = "" if self.observe is None else f"; observe {self.observe}"
        mirror = "" if self.mirror is None else f"; mirror 1 in {self.mirror}"
        return f"{where} → {self.render_fate()}{seen}{mirror}"

    def render_fate(self) -> str:
        """What becomes of the frames."""
        if self.outputs:
            return ", ".join(str(output) for output in self.outputs)
        return "drop" if self.drop else "host"


class CrossConnect(Section):
    """Whole ports: what arrives at one and no route takes leaves through the others, whichever way."""

    name: Name = Field(description="a name for the cross-connect")
    ports: list[Name] = Field(
        min_length=2, max_length=MAX_OUTPUTS + 1, description="the names of two ports, or of up to nine"
    )
    learn: bool | None = Field(
        default=None,
        description="true: a frame leaves only through the port its destination address was seen at, where one was "
        "seen in the last 300 s; false: through all others. Must be said of three ports and more",
    )

    def __str__(self) -> str:
        return f"cross-connect {' ↔ '.join(self.ports)}{', learning' if self.learn else ''}"

    def render_name(self, port: str) -> str:
        """What the counters of frames from `port` are called in status."""
        others = [name for name in self.ports if name != port]
        return f"{self.name} {port} to {others[0] if len(others) == 1 else 'others'}"
