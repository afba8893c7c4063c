# SPDX-License-Identifier: Apache-2.0
"""Command lines, source lists and inventory as the lab renders them; no QEMU is started here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from lab import image, qemu
from lab.errors import LabError
from lab.inventory import Site, parse_recap, plan_configuration, plan_inventory, render_inventory
from lab.media import Flow
from lab.nics import MEDIA_MACS, MEDIA_NICS, Ports
from lab.sources import parse_index_targets, parse_transport_settings
from lab.ssh import Access, render_config

FLOWS = [Flow("224.2.1.1", 20000), Flow("239.1.2.1", 6000)]
INTERFACES = {MEDIA_MACS[0]: "enp0s4", MEDIA_MACS[1]: "enp0s5"}


def machine(ports: Ports, accelerator: str = qemu.TCG) -> qemu.Machine:
    return qemu.Machine(image.Image(Path("/i")), Path("/r"), accelerator, 2222, MEDIA_NICS[ports])


def values(command: list[str], option: str) -> list[str]:
    return [command[at + 1] for at, word in enumerate(command) if word == option]


def test_the_guest_reaches_nothing_and_ssh_listens_on_loopback_only() -> None:
    users = [
        value
        for value in values(qemu.render_command(machine(Ports.XDP)), "-netdev")
        if value.startswith("user")
    ]
    assert users == ["user,id=management,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22"]


@pytest.mark.parametrize(
    ("ports", "models"), [(Ports.NETMAP, ["e1000", "e1000e"]), (Ports.XDP, ["virtio-net-pci"] * 2)]
)
def test_each_media_nic_has_its_own_cable_and_slot(ports: Ports, models: list[str]) -> None:
    command = qemu.render_command(machine(ports))
    devices = [value for value in values(command, "-device") if any(mac in value for mac in MEDIA_MACS)]
    assert [device.split(",")[0] for device in devices] == models
    slots = [
        word for value in values(command, "-device") for word in value.split(",") if word.startswith("addr=")
    ]
    assert len(set(slots)) == len(slots)
    cables = [value for value in values(command, "-netdev") if value.startswith("stream")]
    assert [cable.rsplit("=", 1)[1] for cable in cables] == ["/r/red.sock", "/r/blue.sock"]


def test_virtio_takes_a_native_xdp_program() -> None:
    device = MEDIA_NICS[Ports.XDP][0].device
    assert {"guest_csum=off", "guest_tso4=off", "guest_tso6=off", "guest_ufo=off"} <= set(device.split(","))


def test_only_the_named_accelerator_is_asked_for() -> None:
    assert values(qemu.render_command(machine(Ports.XDP, qemu.TCG)), "-accel") == ["tcg,thread=multi"]
    assert values(qemu.render_command(machine(Ports.XDP, qemu.KVM)), "-accel") == ["kvm"]


def test_ssh_checks_the_host_key_and_asks_nobody() -> None:
    config = render_config(Access(Path("/r"), 2222))
    assert "StrictHostKeyChecking yes" in config
    assert "BatchMode yes" in config
    assert "Port 2222" in config


def stanza(**changed: str) -> str:
    fields = {
        "Created-By": "Packages",
        "Origin": "Debian",
        "Codename": "bookworm",
        "Release": "bookworm",
        "Component": "main",
        "Repo-URI": "http://mirror.example/debian/",
    }
    fields |= {name.replace("_", "-"): value for name, value in changed.items()}
    return "\n".join(f"{name}: {value}" for name, value in fields.items())


def test_only_debian_bookworm_packages_reach_the_guest() -> None:
    text = "\n\n".join(
        [
            stanza(),
            stanza(),  # the same suite for another architecture
            stanza(Created_By="Sources"),
            stanza(Origin="Some Vendor"),
            stanza(Codename="trixie", Release="trixie"),
            stanza(Codename="bookworm-backports", Release="bookworm-backports"),
            stanza(
                Codename="bookworm-security",
                Release="bookworm-security",
                Signed_By="/usr/share/keyrings/debian.gpg",
            ),
        ]
    )
    assert parse_index_targets(text) == [
        "deb http://mirror.example/debian/ bookworm main",
        "deb [signed-by=/usr/share/keyrings/debian.gpg] http://mirror.example/debian/ bookworm-security main",
    ]


def test_only_the_way_to_the_mirrors_is_taken_from_apts_configuration() -> None:
    wanted = ['Acquire::http::Proxy "http://p:1";', 'Acquire::Check-Date "false";']
    text = "\n".join(['APT::Architecture "amd64";', *wanted, 'DPkg::Hook "x";'])
    assert parse_transport_settings(text) == wanted


def test_no_vendor_hosts_are_written_into_the_recipe() -> None:
    folder = Path(image.__file__).parent / "guest"
    assert not [path for path in folder.iterdir() if "://" in path.read_text()]


def test_the_images_key_is_stable_and_follows_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = image.recipe_key()
    assert image.recipe_key() == before
    monkeypatch.setattr(image, "MEDIA_MACS", ("52:54:00:00:00:01",))
    assert image.recipe_key() != before


def test_the_cache_keeps_the_newest_images_only(tmp_path: Path) -> None:
    for age_s, name in enumerate(["image-c", "image-b", "image-a", "wheels-a"]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1_000_000 - age_s, 1_000_000 - age_s))
    image.remove_old(tmp_path, "image-*", keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image-b", "image-c", "wheels-a"]


@pytest.mark.parametrize("ports", list(Ports))
def test_every_flow_is_routed_in_both_directions(ports: Ports) -> None:
    configuration = plan_configuration(ports, INTERFACES, FLOWS)
    assert [port["device"] for port in configuration["ports"]] == [f"{ports}:enp0s4", f"{ports}:enp0s5"]
    ways = {
        (route["match"]["port"], route["match"]["group"], *route["outputs"])
        for route in configuration["routes"]
    }
    assert ways == {(a, flow.group, b) for a, b in (("red", "blue"), ("blue", "red")) for flow in FLOWS}
    assert len({route["name"] for route in configuration["routes"]}) == len(configuration["routes"])


@pytest.mark.parametrize("ports", list(Ports))
def test_the_product_accepts_the_configuration(ports: Ports, tmp_path: Path) -> None:
    load = pytest.importorskip(
        "appliance.config.load", reason="the package is not installed; run `make setup`"
    )
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(plan_configuration(ports, INTERFACES, FLOWS)))
    load.load_config(path)


def test_a_guest_without_the_nic_is_refused() -> None:
    with pytest.raises(LabError, match="no interface with 52:54"):
        plan_configuration(Ports.XDP, {}, FLOWS)


@pytest.mark.parametrize("ports", list(Ports))
def test_the_inventory_survives_yaml_and_enables_netmap_only_when_asked(ports: Ports) -> None:
    site = Site(Path("/w"), Path("/p"), Path("/a"), Path("/b"))
    configuration = plan_configuration(ports, INTERFACES, FLOWS)
    inventory = plan_inventory(Access(Path("/r"), 2222), site, ports, configuration)
    host = yaml.safe_load(render_inventory(inventory))["all"]["children"]["appliances"]["hosts"]["guest"]
    assert host["netmap_drivers_enabled"] is (ports is Ports.NETMAP)
    assert host["netmap_drivers_names"] == ["e1000", "e1000e"]
    assert host["appliance_config"] == configuration


def test_the_inventory_uses_only_variables_the_roles_declare() -> None:
    roles = Path(__file__).resolve().parents[2] / "roles"
    declared: set[str] = set()
    for specs in roles.glob("*/meta/argument_specs.yml"):
        declared |= set(yaml.safe_load(specs.read_text())["argument_specs"]["main"]["options"])
    site = Site(Path("/w"), Path("/p"), Path("/a"), Path("/b"))
    inventory = plan_inventory(Access(Path("/r"), 2222), site, Ports.NETMAP, {})
    host = inventory["all"]["children"]["appliances"]["hosts"]["guest"]
    assert {name for name in host if not name.startswith("ansible_")} <= declared


RECAP = """PLAY RECAP *********************************************************************
guest                      : ok=31   changed=2    unreachable=0    failed=0    skipped=4    rescued=0    ignored=0
"""


def test_ansibles_recap_is_read() -> None:
    counts = parse_recap(RECAP)
    assert (counts["ok"], counts["changed"], counts["failed"]) == (31, 2, 0)


@pytest.mark.parametrize("text", ["", "PLAY RECAP ****\n", RECAP.replace("guest", "other")])
def test_a_play_that_matched_no_host_is_not_an_unchanged_one(text: str) -> None:
    with pytest.raises(LabError, match="no recap for the host guest"):
        parse_recap(text)
