# SPDX-License-Identifier: Apache-2.0
"""How long the kernel leaves a polled interface's interrupts off: `napi_defer_hard_irqs`, `gro_flush_timeout`.

A socket that polls its queue itself (`xdp: {busy_poll: …}`) does so undisturbed only where both are set; without them
the kernel takes the queue back after each poll (Documentation/networking/napi.rst). They are files in /sys, which may
be mounted for another network namespace than ours: that is told, not guessed.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from appliance.errors import HostError

_CLASS = Path("/sys/class/net")
DEFER = "napi_defer_hard_irqs"  # polls without a frame that put the interrupt off
TIMEOUT = "gro_flush_timeout"  # ns until the kernel polls, where nobody else has


@dataclass(frozen=True, slots=True)
class Deferral:
    """The two settings of one interface; the time in ns."""

    interface: str
    defer_hard_irqs: int
    flush_timeout_ns: int


class DeferralChange(BaseModel):
    """One setting to change, with what it was."""

    model_config = ConfigDict(frozen=True, strict=True)

    interface: str
    name: str
    wanted: int
    before: int

    def __str__(self) -> str:
        return f"interface {self.interface}: {self.name} {self.wanted}"


def read_deferral(interface: str) -> Deferral:
    """The settings as they are. HostError where the kernel has none, or /sys shows another namespace."""
    _check_namespace(interface)
    try:
        values = [int((_CLASS / interface / name).read_text()) for name in (DEFER, TIMEOUT)]
    except (OSError, ValueError) as error:
        raise HostError(
            f"interface {interface}: {DEFER} and {TIMEOUT} cannot be read: {error}; busy_poll needs Linux 5.11"
        ) from error
    return Deferral(interface, *values)


def _check_namespace(interface: str) -> None:
    try:
        wanted = socket.if_nametoindex(interface)
        seen = int((_CLASS / interface / "ifindex").read_text())
    except (OSError, ValueError) as error:
        raise HostError(
            f"interface {interface}: {_CLASS} does not show it: {error}; busy_poll needs /sys of this network "
            "namespace (`ip netns exec` mounts it)"
        ) from error
    if seen != wanted:
        raise HostError(
            f"interface {interface}: {_CLASS} shows one of another network namespace; busy_poll needs /sys of this "
            "one (`ip netns exec` mounts it)"
        )


def plan_deferral(seen: Deferral, wanted: Deferral) -> list[DeferralChange]:
    """What to change so that `seen` is as `wanted`; empty where it is."""
    values = (
        (DEFER, seen.defer_hard_irqs, wanted.defer_hard_irqs),
        (TIMEOUT, seen.flush_timeout_ns, wanted.flush_timeout_ns),
    )
    return [
        DeferralChange(interface=seen.interface, name=name, wanted=after, before=before)
        for name, before, after in values
        if before != after
    ]


def plan_deferral_restore(change: DeferralChange) -> DeferralChange:
    """What undoes a change."""
    return change.model_copy(update={"wanted": change.before, "before": change.wanted})


def apply_deferral(changes: Iterable[DeferralChange]) -> None:
    """Carry changes out. HostError where the interface is gone or the kernel refuses."""
    for change in changes:
        _check_namespace(change.interface)
        try:
            (_CLASS / change.interface / change.name).write_text(f"{change.wanted}\n")
        except OSError as error:
            raise HostError(f"{change}: {error.strerror}; run the daemon as root") from error
