# SPDX-License-Identifier: Apache-2.0
"""The lab from beginning to end: image, guest, playbook, media, testinfra, playbook again, report."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import deploy, guest_logs, image, inventory, qemu, ssh
from lab.deploy import Deployment
from lab.describe import describe_counts, describe_media, describe_pace, describe_scope
from lab.errors import LabError
from lab.exchange import exchange_all
from lab.guest import Guest, booted, join_nics, run_folder
from lab.host_services import check_host_services
from lab.host_stack import check_host_stack
from lab.media import Media, captures_folder, load_media
from lab.nics import MEDIA_MACS, MEDIA_NICS, Ports
from lab.process import Deadline
from lab.protection import check_protection
from lab.report import Report
from lab.soak import soak
from lab.wheelhouse import provide_wheelhouse


@dataclass(frozen=True)
class Options:
    """What the command line asked for. `root` is the checkout."""

    root: Path
    ports: Ports
    keep: bool = False
    rebuild_image: bool = False
    slowdown: float = 1.0
    """How many times slower than captured the media goes in."""
    time_limit_s: float = 2400.0


@dataclass
class Lab:
    """One run: its options, its report, its folder and its time limit."""

    options: Options
    folder: Path
    deadline: Deadline
    report: Report
    media: list[Media] = field(default_factory=list)
    accelerator: str = qemu.TCG

    @contextmanager
    def guest(self, needs_headers: bool = False) -> Iterator[Guest]:
        """Prepare image and media and boot; where the run fails, save the guest's logs before it ends."""
        self.media = load_media(captures_folder(self.options.root))
        self.report.facts |= describe_media(self.media)
        with self.report.phase("image"):
            found, cached = image.provide_image(
                image.cache_folder(),
                self.folder / "image.log",
                self.deadline,
                rebuild=self.options.rebuild_image,
                needs_headers=needs_headers,
            )
            self.report.facts["guest"] = image.describe(found, cached)
        self.accelerator = qemu.probe_accelerator(found)
        self.report.facts["accelerator"] = self.accelerator
        self.report.facts["pace"] = describe_pace(self.options.slowdown)
        with booted(
            found, self.folder, self.accelerator, self.options.ports, self.deadline, self.report
        ) as guest:
            try:
                yield guest
            except Exception:
                guest_logs.save(guest.access, self.folder)
                raise
            if not self.report.passed:
                guest_logs.save(guest.access, self.folder)

    def test_itself(self) -> None:
        """The lab's check of itself: the guest's kernel instead of the appliance."""
        with self.guest() as guest:
            join_nics(guest.access, ssh.read_interfaces(guest.access), MEDIA_MACS)
            with self.report.phase("media through the kernel"):
                exchange_all(self.media, guest.cables, self.options.slowdown, self.report)

    def provide_wheels(self) -> Path:
        """The folder of the appliance's wheels."""
        wheelhouse = self.folder / "wheelhouse"
        with self.report.phase("wheels"):
            provide_wheelhouse(
                self.options.root, image.cache_folder(), wheelhouse, self.folder / "wheels.log", self.deadline
            )
        return wheelhouse

    def test_long(self, seconds: float) -> None:
        """Deploy once, then media for `seconds`."""
        wheelhouse = self.provide_wheels()
        with self.guest(needs_headers=self.options.ports is Ports.NETMAP) as guest:
            deployment = self.write_inventory(guest, wheelhouse)
            with self.report.phase("playbook"):
                deployment.deploy(self.folder / "playbook-1.log")
            self.check_ports(guest)
            with self.report.phase("soak"):
                sent = soak(guest, self.media, seconds, self.options.slowdown, self.report)
            status = self.check_account(guest, sent)
            closed = all(worker["balanced"] for worker in status["workers"])
            self.report.check(
                "the account closes", closed, "received = forwarded + merged + to_host + dropped"
            )
            problems = status["problems"]
            self.report.check("no problem in status", not problems, "; ".join(problems) or "none")

    def test_product(self) -> None:
        """The run that counts."""
        wheelhouse = self.provide_wheels()
        with self.guest(needs_headers=self.options.ports is Ports.NETMAP) as guest:
            deployment = self.write_inventory(guest, wheelhouse)
            if self.options.ports is Ports.NETMAP:
                with self.report.phase("commands alone"):
                    deployment.install_release(self.folder / "release.log")
                self.check_next_boot(guest, "before the install", wanted=False)
            with self.report.phase("playbook, first run"):
                counts = deployment.deploy(self.folder / "playbook-1.log")
                self.report.check("first playbook run", True, describe_counts(counts))
            self.check_ports(guest)
            if self.options.ports is Ports.NETMAP:
                self.check_next_boot(guest, "after the install", wanted=True)
            with self.report.phase("media"):
                sent = exchange_all(self.media, guest.cables, self.options.slowdown, self.report)
            before = self.check_account(guest, sent)
            with self.report.phase("testinfra"):
                passed, summary = deployment.verify(self.folder / "verify.log", sent)
                self.report.check("testinfra", passed, summary)
            with self.report.phase("playbook, second run"):
                counts = deployment.deploy(self.folder / "playbook-2.log")
            unchanged = counts["changed"] == 0
            self.report.check("second playbook run changes nothing", unchanged, describe_counts(counts))
            with self.report.phase("host stack"):
                macs = {nic.port: nic.mac for nic in MEDIA_NICS[self.options.ports]}
                check_host_stack(guest, macs, self.report)
            with self.report.phase("ssh and PTP beside media"):
                slowdown, folder = self.options.slowdown, self.folder
                check_host_services(guest, macs, self.media, slowdown, folder, self.report)
            with self.report.phase("protection"):
                check_protection(guest, self.media, self.report)
            self.check_workers(guest, before)
            if self.options.ports is Ports.NETMAP:
                with self.report.phase("rollback"):
                    deployment.play("rollback", self.folder / "rollback.log")
                self.check_rolled_back(guest)

    def write_inventory(self, guest: Guest, wheelhouse: Path) -> Deployment:
        """Inventory for this guest in the run folder."""
        path = self.folder / "inventory.yml"
        interfaces = ssh.read_interfaces(guest.access)
        path.write_text(render_site(self.options, guest, wheelhouse, interfaces, self.media))
        return Deployment(self.options.root, self.folder, path, self.deadline)

    def check_ports(self, guest: Guest) -> None:
        """Record how each port really works; with netmap it must be the driver's own adapter."""
        for port in deploy.read_status(guest.access)["ports"]:
            adapter = str(port["adapter"])
            wanted = "native" if self.options.ports is Ports.NETMAP else "xdp_copy"
            self.report.check(
                f"port {port['name']}", adapter == wanted, f"{port['device']} is {adapter}, wanted {wanted}"
            )

    def check_account(self, guest: Guest, sent: int) -> dict[str, Any]:
        """The appliance's own figures against what was sent; returns its status."""
        status = deploy.read_status(guest.access)
        account = deploy.sum_account(status)
        wanted = {"received": sent, "forwarded": sent, "dropped": 0}
        seen = ", ".join(f"{count} {name}" for name, count in account.items())
        self.report.check("the appliance's account", account == wanted, f"{seen}; {sent} were sent")
        return status

    def check_next_boot(self, guest: Guest, when: str, wanted: bool) -> None:
        """`driver-builds check` in the guest says whether its next boot has its drivers."""
        seen, said = deploy.read_next_boot(guest.access)
        self.report.check(
            f"driver-builds check {when} {'passes' if wanted else 'fails'}", seen is wanted, said
        )

    def check_rolled_back(self, guest: Guest) -> None:
        """The stock drivers are back, for now and for the next boot, and the package is gone."""
        drivers = [nic.driver for nic in MEDIA_NICS[Ports.NETMAP]]
        left = deploy.read_stock(guest.access, drivers)
        self.report.check(
            "rollback gives the stock drivers back", not left, ", ".join(left) or "nothing left"
        )
        self.check_next_boot(guest, "after the rollback", wanted=False)

    def check_workers(self, guest: Guest, before: dict[str, Any]) -> None:
        """Nothing restarted between the status `before` and now."""
        was, now = deploy.worker_pids(before), deploy.worker_pids(deploy.read_status(guest.access))
        self.report.check("no worker restarted", bool(was) and was == now, f"pids {was} before, {now} after")


def run_lab(options: Options, itself: bool = False, soak_s: float | None = None) -> Report:
    """One whole run, or a long one of `soak_s`.

    Never raises LabError: the report says what ended it. Logs of a failed run are kept.
    """
    report = Report()
    report.facts |= describe_scope(options.ports, itself)
    with run_folder(options.keep) as folder:
        lab = Lab(options, folder, Deadline(options.time_limit_s), report)
        try:
            if itself:
                lab.test_itself()
            elif soak_s is not None:
                lab.test_long(soak_s)
            else:
                lab.test_product()
        except LabError as error:
            report.problem = str(error)
        except SystemExit:
            report.problem = "interrupted"
            raise
        finally:
            guest_logs.publish(folder, options.root / "lab-report", report)
        if options.keep:
            report.facts["run folder"] = str(folder)
    return report


def render_site(
    options: Options, guest: Guest, wheelhouse: Path, interfaces: dict[str, str], media: list[Media]
) -> str:
    """The inventory's text: the lab's flows, the guest's interfaces, this checkout's tools."""
    flows = sorted({flow for one in media for flow in one.flows})
    configuration = inventory.plan_configuration(options.ports, interfaces, flows)
    site = inventory.Site(
        wheelhouse=wheelhouse,
        packages=guest.machine.image.packages,
        artifacts=options.root / "artifacts",
        driver_builds=Path(sys.executable).parent / "driver-builds",
    )
    return inventory.render_inventory(
        inventory.plan_inventory(guest.access, site, options.ports, configuration)
    )
