# SPDX-License-Identifier: Apache-2.0
"""Law 5 as arithmetic: the balance equations, sums, and the account a person reads at the end."""

from collections import Counter
from collections.abc import Iterable, Sequence

from appliance.fastpath import PortCounters
from appliance.telemetry.records import Account, PortRecord

Counted = Account | PortRecord | PortCounters
Egress = PortRecord | PortCounters

_INGRESS = ("received_frames", "forwarded_frames", "merged_frames", "to_host_frames", "held_frames")


def count_dropped(counted: Counted) -> int:
    """Frames dropped for any reason."""
    return sum(counted.dropped_frames.values())


def count_unaccounted(counted: Counted) -> int:
    """received - forwarded - merged - to_host - held - dropped; 0 where the ingress account is balanced."""
    gone = counted.forwarded_frames + counted.merged_frames + counted.to_host_frames + count_dropped(counted)
    return counted.received_frames - gone - counted.held_frames


def count_unaccounted_copies(egress: Egress) -> int:
    """offered - transmitted - tx_full - tx_too_long; 0 where the egress account is balanced."""
    known = egress.transmitted_frames + egress.tx_full_frames + egress.tx_too_long_frames
    return egress.offered_frames - known


def is_balanced(counters: Egress) -> bool:
    """Whether every frame received, and every copy offered, of one port is accounted for."""
    return count_unaccounted(counters) == 0 and count_unaccounted_copies(counters) == 0


def sum_accounts(ports: Iterable[Counted]) -> Account:
    """The account of several ports together; every drop reason that any of them knows is listed."""
    dropped: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    for port in ports:
        for field in _INGRESS:
            sums[field] += getattr(port, field)
        for reason, frames in port.dropped_frames.items():
            dropped[reason] += frames
    return Account(dropped_frames=dict(dropped), **sums)


def render_account(ports: Sequence[PortRecord]) -> str:
    """The final account of frames as text: one line for the sum, one for each port, drops by reason."""
    account = sum_accounts(ports)
    dropped = count_dropped(account)
    lines = [
        f"received {account.received_frames} = forwarded {account.forwarded_frames}"
        f" + merged {account.merged_frames} + to host {account.to_host_frames} + dropped {dropped}"
    ]
    if account.held_frames:
        lines[0] += f" + held {account.held_frames}"
    if missing := count_unaccounted(account):
        lines[0] += f"; UNBALANCED: {missing} frames are not accounted for"
    lines += [f"  dropped {reason}: {frames}" for reason, frames in account.dropped_frames.items() if frames]
    lines += [_render_port(port) for port in ports]
    return "\n".join(lines)


def _render_port(port: PortRecord) -> str:
    line = (
        f"  port {port.name} ({port.device}, {port.adapter}): received {port.received_frames}, "
        f"transmitted {port.transmitted_frames} of {port.offered_frames} offered"
    )
    if port.passed_to_host_frames:
        line += f", left to the host {port.passed_to_host_frames}"
    if port.missed_frames:
        line += f", missed before the RX ring {port.missed_frames}"
    if port.tx_full_frames:
        line += f", TX ring full {port.tx_full_frames}"
    if port.tx_too_long_frames:
        line += f", too long {port.tx_too_long_frames}"
    if port.sync_errors:
        line += f", sync errors {port.sync_errors}"
    return line
