# SPDX-License-Identifier: Apache-2.0
"""Device texts and what overlaps."""

import pytest

from appliance.config.device import DeviceKind, DeviceShape, parse_device


@pytest.mark.parametrize(
    ("text", "kind", "shape", "interface", "queue"),
    [
        ("netmap:ens1f0", DeviceKind.NETMAP, DeviceShape.WHOLE, "ens1f0", None),
        ("netmap:ens1f0-2", DeviceKind.NETMAP, DeviceShape.QUEUE, "ens1f0", 2),
        ("netmap:ens1f0^", DeviceKind.NETMAP, DeviceShape.HOST, "ens1f0", None),
        ("netmap:pipe{1", DeviceKind.NETMAP, DeviceShape.PIPE, None, None),
        ("netmap:pipe}1", DeviceKind.NETMAP, DeviceShape.PIPE, None, None),
        ("vale0:1", DeviceKind.NETMAP, DeviceShape.VALE, None, None),
        ("xdp:ens4.100", DeviceKind.XDP, DeviceShape.WHOLE, "ens4.100", None),
        ("xdp:app-in", DeviceKind.XDP, DeviceShape.WHOLE, "app-in", None),
        ("xdp:app-in-3", DeviceKind.XDP, DeviceShape.QUEUE, "app-in", 3),
        ("memory:a", DeviceKind.MEMORY, DeviceShape.MEMORY, None, None),
    ],
)
def test_forms(
    text: str, kind: DeviceKind, shape: DeviceShape, interface: str | None, queue: int | None
) -> None:
    device = parse_device(text)
    assert (device.kind, device.shape, device.interface, device.queue) == (kind, shape, interface, queue)
    assert str(device) == text


@pytest.mark.parametrize(
    "text",
    ["", "netmap:", "xdp:", "memory:", "xdp:a b", "xdp:../x", "netmap:a/1", "vale:", "xdp:ens4-", "x" * 64],
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"; |longer"):
        parse_device(text)


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ("netmap:ens4", "netmap:ens4", True),
        ("netmap:ens4", "netmap:ens4-1", True),
        ("netmap:ens4-0", "netmap:ens4-1", False),
        ("netmap:ens4", "netmap:ens4^", False),
        ("netmap:ens4^", "netmap:ens4^", True),
        ("netmap:ens4-0", "xdp:ens4-1", True),
        ("xdp:ens4", "xdp:ens5", False),
        ("netmap:p{1", "netmap:p}1", False),
        ("vale0:1", "vale0:1", True),
        ("memory:a", "memory:b", False),
    ],
)
def test_overlaps(first: str, second: str, overlap: bool) -> None:
    assert parse_device(first).overlaps(parse_device(second)) is overlap
    assert parse_device(second).overlaps(parse_device(first)) is overlap
