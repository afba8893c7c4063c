# SPDX-License-Identifier: Apache-2.0
"""The guest's NICs: which model stands for which port type, and the addresses they are known by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MANAGEMENT_MAC = "52:54:00:4c:41:01"
MEDIA_MACS = ("52:54:00:4c:41:11", "52:54:00:4c:41:12")


class Ports(StrEnum):
    """The port type under test."""

    NETMAP = "netmap"
    XDP = "xdp"


@dataclass(frozen=True)
class MediaNic:
    """One media NIC. `port` is its name in the appliance's configuration, and that of its cable."""

    port: str
    mac: str
    device: str
    """QEMU's device with its properties, without netdev, mac and addr."""
    driver: str


# virtio_net takes a native XDP program only with receive offloads off (virtnet_xdp_set); transmit offloads
# are off too, so that frames leave as they came.
_VIRTIO = (
    "virtio-net-pci,csum=off,gso=off,guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off"
)

MEDIA_NICS = {
    Ports.NETMAP: (
        MediaNic("red", MEDIA_MACS[0], "e1000", "e1000"),
        MediaNic("blue", MEDIA_MACS[1], "e1000e", "e1000e"),
    ),
    Ports.XDP: (
        MediaNic("red", MEDIA_MACS[0], _VIRTIO, "virtio_net"),
        MediaNic("blue", MEDIA_MACS[1], _VIRTIO, "virtio_net"),
    ),
}
