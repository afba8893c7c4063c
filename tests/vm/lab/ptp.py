# SPDX-License-Identifier: Apache-2.0
"""ptp4l (linuxptp) with software timestamps: its configuration, its life in guest and lab, its state by pmc and log."""

from __future__ import annotations

import base64
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.guest import Guest
from lab.process import start_detached, stop_group
from lab.station import Station, run_here

DOMAIN = 44
TRANSPORTS = ("UDPv4", "L2")
STATE_PATIENCE_S = 90.0
# What ptp4l says when the kernel told it no transmit timestamp, or it gave the port up.
_FAULT = re.compile(r"FAULT|timed out|failed|bad message|timeout on|tx timestamp", re.IGNORECASE)
_CHANGE = re.compile(r"port 1: (\S+) to (\S+) on (\S+)")

# Times wide enough for an emulated guest's moods; 1 s for a transmit timestamp, which comes before sendmsg(2) returns.
_COMMON = {
    "delay_mechanism": "E2E",
    "time_stamping": "software",
    "domainNumber": DOMAIN,
    "tx_timestamp_timeout": 1000,
    "logAnnounceInterval": 0,
    "logSyncInterval": -1,
    "announceReceiptTimeout": 10,
    "sanity_freq_limit": 0,
    "use_syslog": 0,
    "verbose": 1,
}
# No clock is steered: the lab's is only read, and the guest's may be changed by 1 ns a second, no more. A port gets
# no further than UNCALIBRATED where its clock may not be steered at all (ptp4l(8), free_running).
_LAB = {"free_running": 1}
_GUEST = {
    "max_frequency": 1,
    "first_step_threshold": 0,
    "step_threshold": 0,
    "pi_proportional_const": 0.3,
    "pi_integral_const": 0.1,
}


def render_config(transport: str, master: bool, in_guest: bool, socket: str) -> str:
    """ptp4l's file: the master by priority1 (IEEE 1588-2008, 7.6.2.2)."""
    settings = {
        **_COMMON,
        **(_GUEST if in_guest else _LAB),
        "network_transport": transport,
        "priority1": 100 if master else 200,
        "uds_address": socket,
    }
    return "[global]\n" + "".join(f"{name} {value}\n" for name, value in settings.items())


def parse_answers(text: str) -> dict[str, str]:
    """What pmc printed, name -> value; of a name in several answers the last."""
    pairs = (line.split() for line in text.splitlines() if line.startswith("\t\t"))
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def parse_states(log: str) -> list[str]:
    """The states of the port, from the first change on."""
    return [change[1] for change in _CHANGE.findall(log)]


def find_faults(log: str) -> list[str]:
    """Lines that say that something went wrong."""
    return [line for line in log.splitlines() if _FAULT.search(line)]


@dataclass
class Clock:
    """One running ptp4l; `read` runs a shell command where it runs and returns its output."""

    name: str
    read: Callable[[str], str]
    place: str
    """Its files' name without suffix."""
    stop: Callable[[], object]

    def ask(self) -> dict[str, str]:
        """Port state, offset, path delay and counts of messages; empty where it does not answer."""
        asked = "'GET PORT_DATA_SET' 'GET CURRENT_DATA_SET' 'GET PORT_STATS_NP'"
        return parse_answers(
            self.read(f"pmc -u -b 0 -d {DOMAIN} -s {self.place}.uds -i {self.place}.pmc {asked}")
        )

    def read_log(self) -> str:
        """All it said so far."""
        return self.read(f"cat {self.place}.log")

    def wait(self, state: str, answers: int = 0) -> dict[str, str]:
        """Until the port is in `state` and got that many delay responses, a fault is seen, or patience ends."""
        end_s = time.monotonic() + STATE_PATIENCE_S
        while True:
            seen = self.ask()
            if seen.get("portState") == state and int(seen.get("rx_Delay_Resp", 0)) >= answers:
                return seen
            if time.monotonic() > end_s or find_faults(self.read_log()):
                return seen
            time.sleep(0.5)


def start_in_guest(guest: Guest, interface: str, transport: str, master: bool) -> Clock:
    """ptp4l as a unit of its own in the guest."""
    unit = f"lab-ptp-{interface}"
    place = f"/run/{unit}"
    text = render_config(transport, master, True, f"{place}.uds")
    coded = base64.b64encode(text.encode()).decode()
    output = f"--property=StandardOutput=file:{place}.log --property=StandardError=file:{place}.log"
    guest.access.read(
        f"rm -f {place}.log; echo {coded} | base64 -d >{place}.conf && "
        f"systemd-run --quiet --collect --unit={unit} {output} ptp4l -f {place}.conf -i {interface}"
    )
    return Clock(
        f"guest {interface}", guest.access.read, place, lambda: guest.access.read(f"systemctl stop {unit}")
    )


def start_at_station(station: Station, folder: Path, transport: str, master: bool) -> Clock:
    """ptp4l in the station's namespace, without the right to touch this machine's clock."""
    place = folder / f"ptp-{station.device}-{transport}"
    config = place.with_suffix(".conf")
    config.write_text(render_config(transport, master, False, f"{place}.uds"))
    leash = ["setpriv", "--pdeathsig", "KILL", "--bounding-set=-sys_time", "--"]
    program = station.enter("ptp4l", "-f", config, "-i", station.device)
    with place.with_suffix(".log").open("wb") as log:
        process: subprocess.Popen[bytes] = start_detached([*leash, *program], log)

    def read(command: str) -> str:
        if process.poll() is not None:
            raise LabError(f"ptp4l ended with status {process.returncode}; see {place}.log")
        return run_here(["sh", "-c", command])

    return Clock(f"lab {station.device}", read, str(place), lambda: stop_group(process))
