# SPDX-License-Identifier: Apache-2.0
"""Options of a port that contradict its device or each other. Pure."""

from collections.abc import Iterator

from appliance.config.schema import BusyPoll, Config, DeviceKind, DeviceShape, Port
from appliance.config.yaml_source import Location, Problem


def check_port_options(config: Config) -> Iterator[Problem]:
    """Problems of every port's own options."""
    for index, port in enumerate(config.ports):
        yield from _check_kind(port, ("ports", index))
        if port.xdp is not None and port.xdp.mode == "generic" and port.xdp.copy_mode == "zerocopy":
            yield Problem(
                ("ports", index, "xdp", "copy"),
                "the generic hook always copies; use mode: native or copy: copy",
            )
        yield from _check_kloop(config, port, ("ports", index, "sync"))
        yield from _check_busy_poll(config, index, port)


def _check_kind(port: Port, here: Location) -> Iterator[Problem]:
    kind = port.device.kind
    if port.emulated is not None and kind is not DeviceKind.NETMAP:
        yield Problem((*here, "emulated"), f"{port.device} is no netmap port; remove it")
    if port.sync is not None and kind is not DeviceKind.NETMAP:
        yield Problem((*here, "sync"), f"{port.device} is no netmap port; remove it")
    if port.xdp is not None and kind is not DeviceKind.XDP:
        yield Problem((*here, "xdp"), f"{port.device} is no xdp port; remove it")
    if port.ring_slots is not None and kind is DeviceKind.NETMAP:
        yield Problem(
            (*here, "ring_slots"),
            f"{port.device} has the rings its driver gives it; remove it, or set them with `ethtool -G`",
        )


def _check_kloop(config: Config, port: Port, here: Location) -> Iterator[Problem]:
    if port.sync != "kloop" or port.device.kind is not DeviceKind.NETMAP:
        return
    if port.device.shape is DeviceShape.HOST:
        yield Problem(here, f"{port.device} is the host stack's side, which no loop syncs; remove it")
    for worker in config.workers:
        if worker.name == config.worker_of(port) and worker.wait != "busy":
            yield Problem(
                here,
                f"nothing wakes worker {worker.name}, which sleeps, for such a port; write `wait: busy` there or "
                "remove it",
            )


def _check_busy_poll(config: Config, index: int, port: Port) -> Iterator[Problem]:
    """Where it takes effect, and that the ports of one interface say the same: it has one setting for all queues."""
    here: Location = ("ports", index, "xdp", "busy_poll")
    wanted = _busy_poll_of(port)
    if wanted is None:
        return
    if port.xdp is not None and port.xdp.mode == "generic":
        yield Problem(here, "the generic hook has no queue to poll; use mode: native or remove it")
    for place, other in enumerate(config.ports):
        of_same = other.device.kind is DeviceKind.XDP and other.device.interface == port.device.interface
        said = _busy_poll_of(other)
        if of_same and said != wanted and (place < index or said is None):
            yield Problem(
                here,
                f"port {other.name} of {port.device.interface} says otherwise, an interface has one setting for all "
                "its queues; write the same busy_poll at both",
            )
            return


def _busy_poll_of(port: Port) -> BusyPoll | None:
    return port.xdp.busy_poll if port.xdp is not None else None
