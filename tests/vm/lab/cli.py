# SPDX-License-Identifier: Apache-2.0
"""Commands of the lab: run, soak (`make lab`, `make soak`); up, ssh, down for people; selftest for the lab itself."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from lab import guest as guests
from lab import image, qemu, ssh
from lab.errors import LabError
from lab.media import captures_folder, load_media
from lab.nics import Ports
from lab.process import Deadline
from lab.report import Report, say
from lab.run import Options, render_site, run_lab
from lab.ssh import HOST
from lab.wheelhouse import provide_wheelhouse

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
ROOT = Path(__file__).resolve().parents[3]

PortsOption = Annotated[
    Ports | None, typer.Option(help="Port type under test; default: netmap where NETMAP_SOURCE is set.")
]
FolderOption = Annotated[Path | None, typer.Option(help="Folder of the guest; default: `up` in the cache.")]


@app.command()
def run(
    ports: PortsOption = None,
    keep: Annotated[bool, typer.Option(help="Keep the run folder with every log.")] = False,
    report: Annotated[Path | None, typer.Option(help="Also write the report as JSON here.")] = None,
    rebuild_image: Annotated[bool, typer.Option(help="Build the guest's image anew.")] = False,
    slowdown: Annotated[float, typer.Option(min=0.01, help="Replay that many times slower.")] = 1.0,
    time_limit: Annotated[float, typer.Option(min=1, help="Seconds for the whole run.")] = 2400.0,
) -> None:
    """Deploy a guest with the playbook, send media through it, compare, verify, deploy again, report."""
    options = Options(ROOT, _choose_ports(ports), keep, rebuild_image, slowdown, time_limit)
    _finish(run_lab(options), report)


@app.command()
def soak(
    seconds: Annotated[float, typer.Option(min=10, help="How long media flows.")] = 600.0,
    ports: PortsOption = None,
    keep: Annotated[bool, typer.Option(help="Keep the run folder with every log.")] = False,
    slowdown: Annotated[float, typer.Option(min=0.01, help="Replay that many times slower.")] = 1.0,
) -> None:
    """Deploy a guest, send media for a long time, compare every frame, watch the memory, close the account."""
    time_limit_s = seconds + 2400.0
    options = Options(ROOT, _choose_ports(ports), keep, slowdown=slowdown, time_limit_s=time_limit_s)
    _finish(run_lab(options, soak_s=seconds), None)


@app.command()
def selftest(ports: PortsOption = None, slowdown: Annotated[float, typer.Option(min=0.01)] = 1.0) -> None:
    """Have the guest's kernel forward the media: proves the lab without the product."""
    options = Options(ROOT, ports or Ports.NETMAP, slowdown=slowdown)
    _finish(run_lab(options, itself=True), None)


@app.command()
def up(
    ports: PortsOption = None,
    folder: FolderOption = None,
    bare: Annotated[bool, typer.Option(help="Build no wheels: only the guest and the inventory.")] = False,
) -> None:
    """Boot a guest that stays, and write the inventory for it."""
    place = folder or _default_folder()
    if guests.remove_outliving(place):
        say(f"lab: ended the guest that ran in {place}")
    place.mkdir(parents=True, exist_ok=True)
    (place / guests.MARKER).touch()
    deadline, chosen = Deadline(2400), ports or Ports.NETMAP
    found, _ = image.provide_image(image.cache_folder(), place / "image.log", deadline)
    wheelhouse = place / "wheelhouse"
    if not bare:
        provide_wheelhouse(ROOT, image.cache_folder(), wheelhouse, place / "wheels.log", deadline)
    guest = guests.boot(found, place, qemu.probe_accelerator(found), chosen, deadline, outlive=True)
    interfaces = ssh.read_interfaces(guest.access)
    inventory = place / "inventory.yml"
    inventory.write_text(
        render_site(Options(ROOT, chosen), guest, wheelhouse, interfaces, load_media(captures_folder(ROOT)))
    )
    print(f"ssh -F {guest.access.config} {HOST}\nansible-playbook -i {inventory} playbooks/site.yml")


@app.command()
def down(folder: FolderOption = None) -> None:
    """End the guest that `up` started and remove its folder."""
    place = folder or _default_folder()
    say(f"lab: {'ended the guest' if guests.remove_outliving(place) else 'no guest ran'} in {place}")


@app.command(name="ssh")
def shell(folder: FolderOption = None) -> None:
    """A shell in the guest that `up` started."""
    config = (folder or _default_folder()) / "ssh_config"
    if not config.is_file():
        raise LabError(f"no guest in {config.parent}; start one with `tests/vm/lab_cli.py up`")
    os.execvp("ssh", ["ssh", "-F", str(config), HOST])


def _default_folder() -> Path:
    return image.cache_folder() / "up"


def _choose_ports(ports: Ports | None) -> Ports:
    """netmap needs its source; without it the port type must be named, never guessed (law 2)."""
    if os.environ.get("NETMAP_SOURCE"):
        return ports or Ports.NETMAP
    if ports is not Ports.XDP:
        raise LabError(
            "set NETMAP_SOURCE=<URL, git directory or tarball of netmap>, or PORTS=xdp to test without netmap"
        )
    return ports


def _finish(report: Report, path: Path | None) -> None:
    """Print the report and leave with its verdict."""
    print(report.render_text())
    if path:
        report.write_json(path)
    raise typer.Exit(0 if report.passed else 1)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    print("lab: interrupted; ending what was started", file=sys.stderr)
    raise SystemExit(130)


def main() -> None:
    """Entry: errors as one sentence; Ctrl-C, SIGTERM and a closed terminal end the run and all it started."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        app()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        sys.exit(1)
