# SPDX-License-Identifier: Apache-2.0
"""Targets: from facts of hosts to distinct kernels and drivers, and the table of PCI devices."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from driver_builds.catalogue import load_drivers, load_refused_drivers
from driver_builds.cli.main import app
from driver_builds.distributions import KernelPackages, known
from driver_builds.errors import ConfigError, ExitCode, StageError, UsageError
from driver_builds.facts import HostFacts, Nic, load_facts, parse_facts, read_host_facts
from driver_builds.hardware import load_pci_table, parse_pci_aliases, render_pci_table
from driver_builds.release import parse_release
from driver_builds.targets import plan_kernel, plan_targets

KERNELS = known.load_known_kernels()
NORMAL, CLOUD = "6.1.0-56-amd64", "6.1.0-56-cloud-amd64"
E1000E, IGB, VIRTIO, REALTEK = "8086:10d3", "8086:1521", "1af4:1000", "10ec:8168"


def _resolve(text: str) -> KernelPackages:
    parse_release(text)
    if text not in KERNELS:
        raise StageError("resolve", text, "no distribution known here has it")
    return KERNELS[text]


def _host(name: str, kernels: list[str], *ids: str) -> HostFacts:
    nics = [Nic(address=f"0000:00:0{number}.0", id=one) for number, one in enumerate(ids)]
    return HostFacts(host=name, kernels=kernels, nics=nics)


def test_each_kernel_once_with_all_its_hosts_need() -> None:
    hosts = [
        _host("a", [NORMAL], E1000E),
        _host("b", [NORMAL, "5.10.0-46-amd64"], IGB, E1000E),
        _host("c", [CLOUD], VIRTIO),
    ]
    targets, problems = plan_targets(hosts, load_pci_table(), _resolve)
    assert problems == []
    assert [(target.release, target.distribution, target.hosts) for target in targets] == [
        ("5.10.0-46-amd64", "debian 11", ("b",)),
        (NORMAL, "debian 12", ("a", "b")),
        (CLOUD, "debian 12", ("c",)),
    ]
    names = [[driver.name for driver in target.drivers] for target in targets]
    assert names == [["e1000e", "igb"], ["e1000e", "igb"], ["virtio_net"]]
    assert {driver.method for target in targets for driver in target.drivers} == {"in-tree"}


def test_what_nothing_can_be_built_for_is_named() -> None:
    hosts = [
        _host("a", [NORMAL, "9.9.9-1-amd64", "my kernel"], REALTEK, "ffff:ffff", E1000E),
        _host("b", [CLOUD], E1000E),
    ]
    targets, problems = plan_targets(hosts, load_pci_table(), _resolve)
    said = {(problem.host, problem.subject): problem.reason for problem in problems}
    why = load_refused_drivers()["r8169"].why
    assert said["a", f"NIC 0000:00:00.0 {REALTEK}"] == f"its driver r8169 is not built here: {why}"
    assert said["a", "NIC 0000:00:01.0 ffff:ffff"] == "no driver known here has it"
    assert "no distribution known here" in said["a", "9.9.9-1-amd64"]
    assert "not a kernel release" in said["a", "my kernel"]
    assert said["b", "e1000e"] == f"{CLOUD} does not contain this driver as a module"
    assert [target.release for target in targets] == [NORMAL, CLOUD]


def test_a_kernel_alone_has_all_it_contains() -> None:
    assert [driver.name for driver in plan_kernel(KERNELS[NORMAL]).drivers] == list(load_drivers())
    names = {driver.name for driver in plan_kernel(KERNELS[CLOUD]).drivers}
    assert {"virtio_net", "veth"} <= names
    assert "igb" not in names


ANSIBLE = {
    "ansible_facts": {
        "ansible_hostname": "studio1",
        "ansible_kernel": NORMAL,
        "ansible_interfaces": ["lo", "ens1f0", "br-media", "wlan0"],
        "ansible_ens1f0": {"device": "ens1f0", "module": "e1000e", "pciid": "0000:01:00.0"},
        "ansible_br_media": {"device": "br-media", "type": "bridge"},
    },
    "changed": False,
}
OURS = {
    "host": "studio2",
    "kernels": [NORMAL],
    "nics": [{"address": "0000:00:01.0", "id": IGB, "driver": "igb"}],
}


@pytest.mark.parametrize(
    ("document", "hosts"),
    [
        (ANSIBLE, ["studio1"]),
        ({"web": ANSIBLE, "other": ANSIBLE["ansible_facts"]}, ["studio1", "studio1"]),
        ({"x": {"ansible_kernel": NORMAL}}, ["x"]),
        (OURS, ["studio2"]),
        ([OURS, ANSIBLE], ["studio2", "studio1"]),
        ({"targets": [], "problems": [], "facts": [OURS, OURS]}, ["studio2", "studio2"]),
    ],
)
def test_facts_of_every_kind(document: Any, hosts: list[str]) -> None:
    found = parse_facts(document, "name")
    assert [facts.host for facts in found] == hosts
    assert {kernel for facts in found for kernel in facts.kernels} == {NORMAL}


def test_ansible_says_the_driver_of_an_interface() -> None:
    (facts,) = parse_facts(ANSIBLE, "name")
    assert facts.nics == [Nic(address="0000:01:00.0", driver="e1000e")]
    targets, problems = plan_targets([facts], load_pci_table(), _resolve)
    assert [driver.name for driver in targets[0].drivers] == ["e1000e"]
    assert problems == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["ansible_facts", "ansible_kernel", "ansible_interfaces", "kernels", "facts", "host", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
@example({"ansible_interfaces": None, "ansible_kernel": "0"})
def test_hostile_facts_are_refused_as_values(document: Any) -> None:
    try:
        found = parse_facts(document, "name")
    except ValueError:
        return
    assert all(isinstance(facts, HostFacts) for facts in found)


def test_files_and_folders_of_facts(tmp_path: Path) -> None:
    (tmp_path / "b").write_text(json.dumps(OURS))
    (tmp_path / "a").write_text(json.dumps({"ansible_kernel": NORMAL}))
    assert [facts.host for facts in load_facts(tmp_path)] == ["a", "studio2"]
    (tmp_path / "c").write_text("{")
    with pytest.raises(ConfigError, match=r"/c: not facts of a host: .*ansible -m setup"):
        load_facts(tmp_path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host in a folder: two kernels, of which one boots next, two NICs and a disk controller."""
    for kernel in (NORMAL, "6.1.0-55-amd64"):
        folder = tmp_path / "lib/modules" / kernel
        folder.mkdir(parents=True)
        (folder / "modules.builtin").touch()
    (tmp_path / "lib/modules/6.1.0-1-amd64").mkdir()  # only leavings of a kernel that was removed
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6.1.0-57-amd64").touch()
    devices = tmp_path / "sys/bus/pci/devices"
    drivers = tmp_path / "sys/bus/pci/drivers/e1000e"
    drivers.mkdir(parents=True)
    for address, kind, vendor, device in (
        ("0000:00:01.0", "0x020000", "0x8086", "0x10d3"),
        ("0000:00:02.0", "0x010601", "0x8086", "0x2922"),
        ("0000:00:03.0", "0x020000", "0x1AF4", "0x1000"),
    ):
        folder = devices / address
        folder.mkdir(parents=True)
        for name, value in (("class", kind), ("vendor", vendor), ("device", device)):
            (folder / name).write_text(value + "\n")
    (devices / "0000:00:01.0/driver").symlink_to(drivers)
    return tmp_path


def test_a_hosts_own_facts(root: Path) -> None:
    facts = read_host_facts(root)
    assert facts.kernels == ["6.1.0-55-amd64", NORMAL, "6.1.0-57-amd64"]
    assert facts.nics == [
        Nic(address="0000:00:01.0", id=E1000E, driver="e1000e"),
        Nic(address="0000:00:03.0", id=VIRTIO, driver=None),
    ]
    assert read_host_facts().kernels, "this very host has a kernel"


def test_the_command_and_its_own_facts_again(root: Path, tmp_path: Path) -> None:
    for link in (root / "boot").iterdir():
        link.unlink()
    cache = ["--cache", str(tmp_path / "cache")]
    first = CliRunner().invoke(app, ["targets", "--host", "--root", str(root), "--json", *cache])
    assert first.exit_code == 0, first.output
    saved = tmp_path / "collected.json"
    saved.write_text(first.stdout)
    again = CliRunner().invoke(app, ["targets", "--facts", str(saved), "--json", *cache])
    assert json.loads(again.stdout)["targets"] == json.loads(first.stdout)["targets"]
    text = CliRunner().invoke(app, ["targets", "--facts", str(saved), *cache]).stdout
    drivers = load_drivers()
    assert text.splitlines()[-3:] == [
        f"{NORMAL} (debian 12): e1000e virtio_net; for {root}",
        f"    in-tree: e1000e: {drivers['e1000e'].why}",
        f"    in-tree: virtio_net: {drivers['virtio_net'].why}",
    ]


def test_without_a_host() -> None:
    done = CliRunner().invoke(app, ["targets"])
    assert done.exit_code == UsageError.exit_code
    assert "add --facts PATH, --host or --kernel RELEASE" in done.stderr


def test_problems_end_in_failure(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    file.write_text(json.dumps({**OURS, "kernels": ["9.9.9-1-amd64"]}))
    done = CliRunner().invoke(app, ["targets", "--facts", str(file), "--cache", str(tmp_path / "cache")])
    assert done.exit_code == ExitCode.FAILED
    assert "studio2: 9.9.9-1-amd64: resolve 9.9.9-1-amd64: no distribution known here" in done.stdout


def test_the_table_is_of_a_kernel_that_is_known() -> None:
    table = load_pci_table()
    images = {f"{one.name} {one.version}": one.sha256 for kernel in KERNELS.values() for one in kernel.images}
    assert images[table.origin] == table.origin_sha256
    assert set(load_drivers()) <= set(table.drivers)
    built = [(name, one) for name, ids in table.drivers.items() for one in ids if name in load_drivers()]
    assert len({one for _, one in built}) == len(built), "no device has two drivers"
    for name, identifier in (
        ("e1000", "8086:100e"),  # what QEMU calls e1000
        ("e1000e", E1000E),
        ("igb", IGB),
        ("ixgbe", "8086:10fb"),
        ("i40e", "8086:1572"),
        ("ice", "8086:1592"),
        ("vmxnet3", "15ad:07b0"),
        ("virtio_net", "1af4:1041"),
        ("mlx5_core", "15b3:1017"),
    ):
        assert table.find_driver(identifier) == name
    assert table.find_driver("") is None


def test_the_file_is_as_it_would_be_written() -> None:
    file = known.get_data_folder().parent / "pci.toml"
    assert render_pci_table(load_pci_table()) == file.read_text("utf-8")


def test_aliases() -> None:
    lines = [
        "pci:v00008086d000010D3sv*sd*bc*sc*i*",
        "pci:v000015ADd000007B0sv*sd*bc*sc*i*",
        "pci:v00008086d*sv*sd*bc02sc00i*",
        "virtio:d00000001v*",
        "rtnl-link-veth",
    ]
    assert parse_pci_aliases(lines) == ["15ad:07b0", E1000E]
