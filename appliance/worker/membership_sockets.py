# SPDX-License-Identifier: Apache-2.0
"""Sockets that hold multicast memberships; the kernel's own IGMPv3 and MLDv2 do the rest.

Nothing is ever received on them: they have no port. The protocol-independent interface of RFC 3678, section 5, names
the interface by index, for both families.
"""

import contextlib
import errno
import os
import resource
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv4Address

from appliance.config.memberships import Address
from appliance.worker.membership_plan import Seat

# <linux/in.h>; Python's socket module does not name them.
_JOIN_GROUP, _LEAVE_GROUP = 42, 45
_JOIN_SOURCE_GROUP, _LEAVE_SOURCE_GROUP = 46, 47

# struct group_req and group_source_req of <linux/in.h>: sockaddr_storage is aligned as a long.
_GROUP_REQUEST = "@I0L128s"
_SOURCE_REQUEST = "@I0L128s128s"

# igmp_max_memberships groups and igmp_max_msf sources a socket (ip-sysctl.rst), and optmem_max bytes.
_SOCKET_IS_FULL = frozenset({errno.ENOBUFS, errno.ENOMEM})

# Left to the rest of the process: ports that are opened again, files that are written.
_OTHER_DESCRIPTORS = 256

_GONE = frozenset({errno.ENODEV, errno.EADDRNOTAVAIL, errno.EINVAL})


class SocketPool:
    """The sockets of one interface, one family, and either any source or named ones.

    One socket cannot hold a group both ways (RFC 3678, section 4.1.3), and dropping an interface that is gone is
    closing its sockets.
    """

    def __init__(self, version: int, may_open: Callable[[], bool]) -> None:
        self._version = version
        self._may_open = may_open
        self._sockets: dict[Seat, socket.socket] = {}
        self._counts: dict[socket.socket, int] = {}
        self._with_room: dict[socket.socket, None] = {}

    @property
    def seats(self) -> set[Seat]:
        """What is held."""
        return set(self._sockets)

    @property
    def socket_count(self) -> int:
        return len(self._counts)

    def join(self, seat: Seat) -> None:
        """Join by a socket that has room, else by a new one. Raises OSError where the kernel refuses that too."""
        for candidate in list(self._with_room):
            if self._try_join(candidate, seat):
                return
        if not self._may_open():
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        fresh = socket.socket(_family(self._version), socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            _request(fresh, _JOIN_GROUP if seat.source is None else _JOIN_SOURCE_GROUP, seat)
        except OSError:
            fresh.close()
            raise
        self._counts[fresh] = 0
        self._keep(fresh, seat)

    def _try_join(self, candidate: socket.socket, seat: Seat) -> bool:
        try:
            _request(candidate, _JOIN_GROUP if seat.source is None else _JOIN_SOURCE_GROUP, seat)
        except OSError as error:
            if error.errno not in _SOCKET_IS_FULL:
                raise
            del self._with_room[candidate]
            return False
        self._keep(candidate, seat)
        return True

    def _keep(self, holder: socket.socket, seat: Seat) -> None:
        self._sockets[seat] = holder
        self._counts[holder] += 1
        self._with_room[holder] = None

    def leave(self, seat: Seat) -> None:
        """Leave; a socket that holds nothing more is closed. Raises OSError where the kernel refuses."""
        holder = self._sockets.pop(seat)
        self._counts[holder] -= 1
        if not self._counts[holder]:
            del self._counts[holder]
            self._with_room.pop(holder, None)
            holder.close()  # leaves by itself
            return
        self._with_room[holder] = None
        try:
            _request(holder, _LEAVE_GROUP if seat.source is None else _LEAVE_SOURCE_GROUP, seat)
        except OSError as error:
            if error.errno not in _GONE:  # with its interface: left already
                raise

    def close(self) -> None:
        """Leave everything."""
        for holder in self._counts:
            with contextlib.suppress(OSError):
                holder.close()
        self._sockets.clear()
        self._counts.clear()
        self._with_room.clear()


class MembershipSockets:
    """All of a worker's seats, by pool. `most` sockets at most; absent: all the process may open, but for some."""

    def __init__(self, most: int | None = None) -> None:
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = allowed - _OTHER_DESCRIPTORS if most is None else most
        self._pools: dict[tuple[int, int, bool], SocketPool] = {}

    @property
    def seats(self) -> set[Seat]:
        """What is held."""
        return {seat for pool in self._pools.values() for seat in pool.seats}

    @property
    def socket_count(self) -> int:
        return sum(pool.socket_count for pool in self._pools.values())

    def join(self, seat: Seat) -> None:
        """Raises OSError."""
        pool = self._pools.setdefault(_key(seat), SocketPool(seat.group.version, self._may_open))
        pool.join(seat)

    def _may_open(self) -> bool:
        return self.socket_count < self._most

    def leave(self, seat: Seat) -> None:
        """Raises OSError; the seat is not held any more then either."""
        self._pools[_key(seat)].leave(seat)

    def forget(self, ifindex: int, version: int) -> None:
        """Close every socket of an interface and family whose reports reach nobody."""
        for with_source in (False, True):
            pool = self._pools.pop((ifindex, version, with_source), None)
            if pool is not None:
                pool.close()

    def close(self) -> None:
        """Leave everything."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()


def _key(seat: Seat) -> tuple[int, int, bool]:
    return (seat.ifindex, seat.group.version, seat.source is not None)


def _family(version: int) -> socket.AddressFamily:
    return socket.AF_INET if version == 4 else socket.AF_INET6


def _request(holder: socket.socket, option: int, seat: Seat) -> None:
    level = socket.IPPROTO_IP if seat.group.version == 4 else socket.IPPROTO_IPV6
    group = _pack_address(seat.group)
    if seat.source is None:
        value = struct.pack(_GROUP_REQUEST, seat.ifindex, group)
    else:
        value = struct.pack(_SOURCE_REQUEST, seat.ifindex, group, _pack_address(seat.source))
    holder.setsockopt(level, option, value)


def _pack_address(address: Address) -> bytes:
    """sockaddr_in or sockaddr_in6; packing fills up to a sockaddr_storage."""
    if isinstance(address, IPv4Address):
        return struct.pack("@H2s4s", socket.AF_INET, bytes(2), address.packed)
    return struct.pack("@H2sI16sI", socket.AF_INET6, bytes(2), 0, address.packed, 0)
