# SPDX-License-Identifier: Apache-2.0
"""ssh to the guest: a key for each run, the image's host key pinned, every wait with a limit."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.process import Deadline, tail

_CONNECT_S = 20
HOST = "guest"


@dataclass(frozen=True)
class Access:
    """How to reach the guest. `config` is an ssh configuration file with one host, named HOST."""

    folder: Path
    port: int

    @property
    def key(self) -> Path:
        """The private key of this run."""
        return self.folder / "ssh_key"

    @property
    def known_hosts(self) -> Path:
        """The guest's host key and no other."""
        return self.folder / "known_hosts"

    @property
    def config(self) -> Path:
        """For people and for tools: `ssh -F CONFIG guest`."""
        return self.folder / "ssh_config"

    def run(self, command: str, limit_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a shell command in the guest; the caller judges its exit status."""
        try:
            return subprocess.run(
                ["ssh", "-F", str(self.config), HOST, command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"in the guest: `{command}` did not end within {limit_s:.0f} s") from error

    def read(self, command: str, limit_s: float = 60.0) -> str:
        """Standard output of a shell command in the guest; LabError where it fails."""
        result = self.run(command, limit_s)
        if result.returncode:
            raise LabError(
                f"in the guest: `{command}` failed with status {result.returncode}: {result.stderr.strip()}"
            )
        return result.stdout


def prepare(folder: Path, port: int, host_key: Path) -> Access:
    """Make the run's key pair, the pinned host key and the configuration in `folder`."""
    access = Access(folder, port)
    make_key = [
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-C",
        "studio-bypass lab",
        "-f",
        str(access.key),
    ]
    subprocess.run(make_key, check=True, stdin=subprocess.DEVNULL)
    kind, key, *_ = host_key.read_text().split()
    access.known_hosts.write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    access.config.write_text(render_config(access))
    return access


def render_config(access: Access) -> str:
    """ssh_config(5) for the guest."""
    options = {
        "HostName": "127.0.0.1",
        "Port": access.port,
        "User": "root",
        "IdentityFile": access.key,
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": access.known_hosts,
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": _CONNECT_S,
        "ServerAliveInterval": 15,
        "LogLevel": "ERROR",
    }
    return f"Host {HOST}\n" + "".join(f"  {name} {value}\n" for name, value in options.items())


def wait_until_up(
    access: Access, limit_s: float, deadline: Deadline, serial_log: Path, check: Callable[[], None]
) -> None:
    """Return when a command runs in the guest; LabError with the serial log's last words at the limit.

    `check` is asked between tries and raises where waiting is pointless.
    """
    end = time.monotonic() + deadline.left_s(limit_s)
    seen = ""
    # QEMU takes the connection before the guest does: early tries hang, so they are short, later ones longer.
    for patience_s in itertools.chain((4, 4, 4, 6, 8, 12), itertools.repeat(_CONNECT_S)):
        check()
        if time.monotonic() > end:
            break
        try:
            result = access.run("true", limit_s=patience_s)
            if result.returncode == 0:
                return
            seen = result.stderr.strip()
        except LabError as error:
            seen = str(error)
        time.sleep(0.5)
    log = tail(serial_log)
    raise LabError(
        f"the guest did not answer ssh within {limit_s:.0f} s (last: {seen})\nits serial log ends:\n{log}"
    )


def read_interfaces(access: Access) -> dict[str, str]:
    """Interface name by MAC address, as the guest names them."""
    script = 'for i in /sys/class/net/*; do echo "$(cat "$i/address") ${i##*/}"; done'
    lines = access.read(script).splitlines()
    return {mac: name for mac, name in (line.split() for line in lines if line.strip()) if name != "lo"}
