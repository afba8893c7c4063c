# SPDX-License-Identifier: Apache-2.0
"""Settings of an interface that is a port: up, promiscuous, and without the offloads that change frames.

What a NIC does to frames for the host stack is wrong for a forwarder: merged segments (GRO, LRO) are
longer than a buffer (netmap #195, #459), a stripped VLAN tag is gone (netmap #259). Multicast that no
socket joined passes the NIC's filter only in promiscuous mode.

`plan_knobs` is pure. A feature the driver does not let go of stays; where frames suffer, that is reported.
"""

import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict
from pyroute2 import IPRoute
from pyroute2.ethtool.ioctl import EthtoolError, IoctlEthtool, NotSupportedError
from pyroute2.netlink.exceptions import NetlinkError

from appliance.errors import HostError

# Names of the kernel's net/ethtool/common.c (`ethtool -k` shows older, shorter ones for some).
# What becomes of received frames where the feature stays on.
HARMFUL_FEATURES: Mapping[str, str] = {
    "rx-vlan-hw-parse": "VLAN tags of received frames are lost",
    "rx-vlan-stag-hw-parse": "outer VLAN tags (802.1ad) of received frames are lost",
    "rx-lro": "received frames may be merged",
    "rx-gro-hw": "received frames may be merged",
}
UNWANTED_FEATURES: tuple[str, ...] = (
    *HARMFUL_FEATURES,
    "rx-gro",
    "rx-gro-list",
    "rx-udp-gro-forwarding",
    "tx-generic-segmentation",
    "tx-tcp-segmentation",
    "tx-tcp6-segmentation",
    "tx-udp-segmentation",
    "tx-vlan-hw-insert",
)

# What a NIC would still have to do to the host stack's own frames; netmap's host rings drop frames that wait for it.
HOST_RING_FEATURES: tuple[str, ...] = (
    "tx-checksum-ipv4",
    "tx-checksum-ip-generic",
    "tx-checksum-ipv6",
)

_NTUPLE = "rx-ntuple-filter"

_IFF_UP = 0x1  # <linux/if.h>
_IFF_PROMISC = 0x100
_FLAGS: Mapping[str, int] = {"up": _IFF_UP, "promiscuous": _IFF_PROMISC}


@dataclass(frozen=True, slots=True)
class KnobFacts:
    """Settings of one interface as they are. `features` holds only those the driver lets one change;
    `fixed` names those that are on and stay so."""

    interface: str
    flags: Mapping[str, bool]
    features: Mapping[str, bool]
    fixed: tuple[str, ...] = ()


class KnobChange(BaseModel):
    """One setting to change; `name` is a flag ("up", "promiscuous") or an ethtool feature."""

    model_config = ConfigDict(frozen=True, strict=True)

    interface: str
    name: str
    wanted: bool

    def __str__(self) -> str:
        return f"interface {self.interface}: {self.name} {'on' if self.wanted else 'off'}"


def read_knobs(
    interface: str, host_rings: bool = False, features: tuple[str, ...] = UNWANTED_FEATURES
) -> KnobFacts:
    """The settings of an interface, `host_rings`: whose host stack sends by way of netmap.

    Raises HostError where it does not exist.
    """
    wanted = features + (HOST_RING_FEATURES if host_rings else ())
    try:
        with IPRoute() as route:
            flags = _read_flags(route, interface)
        ethtool = IoctlEthtool(interface)
        try:
            found, fixed = _read_features(ethtool, wanted)
        finally:
            ethtool.close()
    except (OSError, NetlinkError, EthtoolError) as error:
        raise HostError(
            f"interface {interface}: its settings cannot be read: {error}; is it there?"
        ) from error
    return KnobFacts(interface, {name: bool(flags & bit) for name, bit in _FLAGS.items()}, found, fixed)


def _read_flags(route: IPRoute, interface: str) -> int:
    # An interface that vanishes is answered with an error, or with nothing where it goes meanwhile.
    links = list(route.link("get", ifname=interface))
    if not links:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    return int(links[0]["flags"])


def _find_index(route: IPRoute, interface: str) -> int:
    indices = list(route.link_lookup(ifname=interface))
    if not indices:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    return int(indices[0])


def _read_features(ethtool: IoctlEthtool, wanted: tuple[str, ...]) -> tuple[dict[str, bool], tuple[str, ...]]:
    features = ethtool.get_features()
    known = [name for name in wanted if name in features]
    free = {name for name in known if features.is_available(name) and not features.is_never_changed(name)}
    fixed = tuple(name for name in known if name not in free and features.is_active(name))
    return {name: features.is_active(name) for name in known if name in free}, fixed


def find_stuck(facts: Iterable[KnobFacts]) -> list[str]:
    """A sentence for each feature that harms frames and cannot be turned off."""
    return [
        _render_stuck(interface.interface, name)
        for interface in facts
        for name in interface.fixed
        if name in HARMFUL_FEATURES
    ]


def _render_stuck(interface: str, feature: str) -> str:
    return f"interface {interface}: the driver keeps {feature} on: {HARMFUL_FEATURES[feature]}"


def plan_knobs(facts: Iterable[KnobFacts]) -> list[KnobChange]:
    """What to change so that these interfaces can be ports; empty where they already are as needed."""
    changes: list[KnobChange] = []
    for interface in facts:
        changes += [
            KnobChange(interface=interface.interface, name=name, wanted=False)
            for name, active in interface.features.items()
            if active
        ]
        # Offloads first: with some drivers a change of features takes the link down and up again.
        changes += [
            KnobChange(interface=interface.interface, name=name, wanted=True)
            for name, active in interface.flags.items()
            if not active
        ]
    return changes


def plan_ntuple(interfaces: Iterable[str]) -> list[KnobChange]:
    """Flow rules on, where the driver has a switch for them and it is off. Raises HostError."""
    return [
        KnobChange(interface=interface, name=_NTUPLE, wanted=True)
        for interface in dict.fromkeys(interfaces)
        if read_knobs(interface, features=(_NTUPLE,)).features.get(_NTUPLE) is False
    ]


def plan_restore(applied: Iterable[KnobChange]) -> list[KnobChange]:
    """What undoes changes, last first."""
    return [change.model_copy(update={"wanted": not change.wanted}) for change in reversed(list(applied))]


def apply_knobs(changes: Iterable[KnobChange]) -> list[str]:
    """Carry changes out. Returns a sentence for each feature that harms frames and stayed on.

    Raises HostError where an interface is gone or a flag cannot be set.
    """
    by_interface: dict[str, list[KnobChange]] = {}
    for change in changes:
        by_interface.setdefault(change.interface, []).append(change)
    return [problem for name, mine in by_interface.items() for problem in _apply_to(name, mine)]


def _apply_to(interface: str, changes: list[KnobChange]) -> list[str]:
    flags = {change.name: change.wanted for change in changes if change.name in _FLAGS}
    features = {change.name: change.wanted for change in changes if change.name not in _FLAGS}
    try:
        problems = _apply_features(interface, features) if features else []
        if flags:
            _apply_flags(interface, flags)
    except (OSError, NetlinkError, EthtoolError) as error:
        wanted = ", ".join(str(change) for change in changes)
        gone = getattr(error, "errno", getattr(error, "code", None)) == errno.ENODEV
        advice = "the interface has gone" if gone else "run the daemon as root"
        raise HostError(f"{wanted}: {error}; {advice}") from error
    return problems


def _apply_features(interface: str, wanted: Mapping[str, bool]) -> list[str]:
    ethtool = IoctlEthtool(interface)
    try:
        features = ethtool.get_features()
        for name, value in wanted.items():
            features.set_value(name, value)
        try:
            ethtool.set_features(features)
        except NotSupportedError as error:
            # Without text: the kernel answered ETHTOOL_F_WISH (linux/ethtool.h), the driver kept some of them; which
            # ones is read back below.
            if error.args:
                raise
        after = ethtool.get_features()
    finally:
        ethtool.close()
    return [
        _render_stuck(interface, name)
        for name, value in wanted.items()
        if name in HARMFUL_FEATURES and not value and after.is_active(name)
    ]


def _apply_flags(interface: str, wanted: Mapping[str, bool]) -> None:
    mask = sum(_FLAGS[name] for name in wanted)
    flags = sum(_FLAGS[name] for name, value in wanted.items() if value)
    with IPRoute() as route:
        index = _find_index(route, interface)
        # `change` keeps every other flag as it is (struct ifinfomsg, rtnetlink(7)).
        route.link("set", index=index, flags=flags, change=mask)
