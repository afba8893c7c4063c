# SPDX-License-Identifier: Apache-2.0
"""`check`: which kernel boots next, what the host needs of it, and what it lacks; on host roots made here."""

import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from driver_builds.check.modules import find_problems
from driver_builds.check.needs import read_needs
from driver_builds.check.next_boot import find_default, find_entry, parse_grub, read_next_kernel
from driver_builds.cli.main import app
from driver_builds.errors import DriverBuildError

from .conftest import build_module
from .small_artifacts import build_artifacts

OLD, NEW = "6.1.0-55-amd64", "6.1.0-56-amd64"

# A menu of the shape grub-mkconfig writes.
GRUB = f"""\
if [ "${{next_entry}}" ] ; then
   set default="${{next_entry}}"
   set next_entry=
else
   set default="@DEFAULT@"
fi
function load_video {{
  insmod all_video
}}
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-1' {{
	if [ x$grub_platform = xxen ]; then insmod xzio; fi
	linux	/boot/vmlinuz-{NEW} root=UUID=1 ro quiet
	initrd	/boot/initrd.img-{NEW}
}}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-1' {{
	menuentry 'Debian, with Linux {NEW}' $menuentry_id_option 'gnulinux-{NEW}' {{
		linux	/boot/vmlinuz-{NEW} root=UUID=1
	}}
	menuentry 'Debian, with Linux {OLD}' $menuentry_id_option 'gnulinux-{OLD}' {{
		linux	/boot/vmlinuz-{OLD} root=UUID=1
	}}
}}
menuentry "Memory test" --id memtest {{
	knetbsd /boot/memtest
}}
"""


class Host:
    """A root folder with as much of a host as `check` reads."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def add_kernel(self, release: str) -> None:
        self.write(f"boot/vmlinuz-{release}", "")
        self.write(f"lib/modules/{release}/modules.dep", "kernel/net/e1000.ko:\n")
        self.write(
            f"lib/modules/{release}/modules.alias", "alias pci:v00008086d0000100Esv*sd*bc*sc*i* e1000\n"
        )

    def set_grub(self, default: str = "0", **environment: str) -> None:
        self.write("boot/grub/grub.cfg", GRUB.replace("@DEFAULT@", default))
        lines = "".join(f"{name}={value}\n" for name, value in environment.items())
        self.write("boot/grub/grubenv", f"# GRUB Environment Block\n{lines}####")

    def install(self, release: str) -> Path:
        """What the package does: files, then depmod's index."""
        folder = self.root / "lib/modules" / release / "updates/netmap"
        build_artifacts(self.root / "made" / release)
        folder.parent.mkdir(parents=True)
        shutil.move(self.root / "made" / release, folder)
        self.index(release, "updates/netmap")
        return folder

    def index(self, release: str, folder: str) -> None:
        text = f"{folder}/netmap.ko:\n{folder}/e1000.ko: {folder}/netmap.ko\n"
        self.write(f"lib/modules/{release}/modules.dep", text)

    def check(self, *arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["check", "--root", str(self.root), *arguments])
        return done.exit_code, done.stdout


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    for release in (OLD, NEW):
        made.add_kernel(release)
    made.write("sys/bus/pci/devices/0000:00:03.0/modalias", "pci:v00008086d0000100Esv1sd1bc02sc00i00\n")
    made.write("sys/bus/pci/devices/0000:00:04.0/modalias", "pci:v0000dead0000beefsv1sd1bc02sc00i00\n")
    return made


# ---- the next kernel


def test_without_a_boot_loader_the_newest_kernel_boots(host: Host) -> None:
    host.write("boot/vmlinuz-6.1.0-9-amd64", "")
    assert read_next_kernel(host.root).release == NEW


def test_the_link_says_it(host: Host) -> None:
    (host.root / "vmlinuz").symlink_to(f"boot/vmlinuz-{OLD}")
    found = read_next_kernel(host.root)
    assert (found.release, found.decided_by) == (OLD, f"/vmlinuz leads to boot/vmlinuz-{OLD}")


@pytest.mark.parametrize(
    ("default", "environment", "release"),
    [
        ("0", {}, NEW),
        ("1>1", {}, OLD),
        (f"gnulinux-advanced-1>gnulinux-{OLD}", {}, OLD),
        (f"Advanced options for Debian GNU/Linux>Debian, with Linux {OLD}", {}, OLD),
        ("${saved_entry}", {"saved_entry": "1>1"}, OLD),
        ("${saved_entry}", {}, NEW),
        ("0", {"next_entry": "1>1"}, OLD),
    ],
)
def test_grub_says_it(host: Host, default: str, environment: dict[str, str], release: str) -> None:
    host.set_grub(default, **environment)
    assert read_next_kernel(host.root).release == release


@pytest.mark.parametrize("default", ["9", "1", "2", "memtest", "nonsense", "1>nonsense"])
def test_a_default_that_is_no_linux_entry(host: Host, default: str) -> None:
    host.set_grub(default)
    with pytest.raises(DriverBuildError, match="run update-grub, or give --kernel"):
        read_next_kernel(host.root)


def test_an_entry_of_a_link_is_what_it_leads_to(host: Host) -> None:
    host.set_grub()
    text = GRUB.replace("@DEFAULT@", "0").replace(f"vmlinuz-{NEW} root=UUID=1 ro", "vmlinuz ro")
    host.write("boot/grub/grub.cfg", text)
    (host.root / "boot/vmlinuz").symlink_to(f"vmlinuz-{OLD}")
    assert read_next_kernel(host.root).release == OLD


def test_a_menu_without_entries() -> None:
    assert parse_grub("") == []
    assert find_entry([], "0") is None
    assert find_default("", {}) == ("0", "its first entry")


def test_no_kernel_at_all(tmp_path: Path) -> None:
    with pytest.raises(DriverBuildError, match="give --kernel RELEASE"):
        read_next_kernel(tmp_path)


# ---- what the host needs


def test_needs_come_from_what_is_loaded_at_boot(host: Host) -> None:
    host.write("etc/modules-load.d/netmap-drivers.conf", "# by the role\nnetmap\n\nigb\n")
    assert read_needs(host.root, NEW, ["e1000", "igb"]).drivers == ("igb",)


def test_needs_come_from_the_ports_of_the_appliance(host: Host) -> None:
    ports = (
        "ports:\n- {name: a, device: 'netmap:ens4-2'}\n- {name: b, device: 'xdp:ens5'}\n"
        "- {name: c, device: 'netmap:ens6', emulated: allow}\n- {name: d, device: 'vale0:1'}\n"
    )
    host.write("etc/appliance/config.yaml", ports)
    for interface, driver in (("ens4", "igc"), ("ens5", "ice"), ("ens6", "veth")):
        module = host.root / "sys/module" / driver
        module.mkdir(parents=True)
        folder = host.root / "sys/class/net" / interface / "device/driver"
        folder.mkdir(parents=True)
        (folder / "module").symlink_to(module)
    assert read_needs(host.root, NEW, ["igc", "ice"]).drivers == ("igc",)


def test_needs_come_from_the_nics_where_nothing_says_it(host: Host) -> None:
    needs = read_needs(host.root, NEW, ["e1000", "igb"])
    assert needs.drivers == ("e1000",)
    assert read_needs(host.root, NEW, ["igb"]).drivers == ()
    assert read_needs(host.root, "6.9.9-1-amd64", ["e1000"]).drivers == ()


@pytest.mark.parametrize("text", ["ports: 7", "- 1", "ports: [1, {device: 2}]", "a: [", ""])
def test_a_damaged_configuration_needs_nothing(host: Host, text: str) -> None:
    host.write("etc/appliance/config.yaml", text)
    assert read_needs(host.root, NEW, ["e1000"]).drivers == ()


# ---- what it lacks


def test_a_host_without_modules_fails_and_passes_after_the_install(host: Host) -> None:
    status, said = host.check()
    assert status == 1
    assert f"netmap: kernel {NEW} has no module at all: build for it and install netmap-modules-{NEW}" in said
    assert f"e1000: kernel {NEW} has only the stock driver kernel/net/e1000.ko" in said
    host.install(NEW)
    status, said = host.check()
    assert status == 0, said
    assert (
        said.splitlines()[0]
        == f"ok: next boot {NEW} (the newest kernel in /boot; no boot loader says another)"
    )


def test_modules_of_the_running_kernel_do_not_help_the_next_one(host: Host) -> None:
    host.install(OLD)
    assert host.check()[0] == 1
    host.set_grub("1>1")
    assert host.check()[0] == 0


def test_document(host: Host) -> None:
    host.install(NEW)
    document = json.loads(host.check("--json", "--driver", "e1000")[1])
    assert document["ok"] is True
    assert document["kernel"]["release"] == NEW
    assert document["drivers"] == {"drivers": ["e1000"], "decided_by": "--driver"}
    assert (document["signatures_wanted"], document["problems"]) == (None, [])


def find_messages(host: Host) -> list[str]:
    return [problem.message for problem in find_problems(host.root, NEW, ["e1000"])]


def test_an_index_that_is_not_up_to_date(host: Host) -> None:
    host.install(NEW)
    host.write(f"lib/modules/{NEW}/modules.dep", "kernel/e1000.ko:\nupdates/netmap/netmap.ko:\n")
    assert find_messages(host) == [
        f"modprobe would take kernel/e1000.ko, updates/netmap/e1000.ko is there too: run depmod {NEW}"
    ]
    (host.root / f"lib/modules/{NEW}/modules.dep").unlink()
    assert all("run depmod" in message for message in find_messages(host))


def test_a_file_that_was_changed(host: Host) -> None:
    folder = host.install(NEW)
    (folder / "e1000.ko").write_bytes((folder / "e1000.ko").read_bytes() + b"\0")
    assert find_messages(host) == [
        f"e1000.ko is not the file the manifest lists; install netmap-modules-{NEW} again"
    ]
    (folder / "e1000.ko").write_bytes(b"")
    assert "not an ELF file" in find_messages(host)[0]
    (folder / "manifest.json").unlink()
    assert "manifest.json is missing beside netmap.ko" in find_messages(host)[0]


def test_modules_of_another_kernel_and_unpatched_ones(host: Host) -> None:
    folder = host.install(NEW)
    fields = [("name", "e1000"), ("vermagic", f"{OLD} SMP "), ("depends", "netmap")]
    (folder / "e1000.ko").write_bytes(build_module(fields))
    assert f"e1000.ko is for kernel {OLD}" in find_messages(host)[0]
    fields = [("name", "e1000"), ("vermagic", f"{NEW} SMP "), ("depends", "")]
    (folder / "e1000.ko").write_bytes(build_module(fields))
    assert "it is unpatched" in find_messages(host)[0]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\6\0\0\0\1"),
        (f"boot/config-{NEW}", b"CONFIG_MODULES=y\nCONFIG_MODULE_SIG_FORCE=y\n"),
        ("proc/cmdline", b"ro lockdown=integrity quiet\n"),
    ],
)
def test_unsigned_modules_where_signatures_are_enforced(host: Host, path: str, content: bytes) -> None:
    host.install(NEW)
    file = host.write(path, "")
    assert find_messages(host) == []
    file.write_bytes(content)
    assert len(find_messages(host)) == 2
    assert "carries no signature" in find_messages(host)[0]


def test_dkms_puts_them_elsewhere_without_a_manifest(host: Host) -> None:
    folder = host.install(NEW)
    folder.rename(folder.parent / "dkms")
    (folder.parent / "dkms/manifest.json").unlink()
    host.index(NEW, "updates/dkms")
    assert find_messages(host) == []


def test_a_kernel_that_is_not_installed(host: Host) -> None:
    shutil.rmtree(host.root / "lib/modules" / NEW)
    assert find_messages(host) == [f"/lib/modules/{NEW} is missing: install linux-image-{NEW}"]


def test_check_changes_nothing(host: Host) -> None:
    host.install(NEW)
    before = {path: os.lstat(path).st_mtime_ns for path in host.root.rglob("*")}
    host.check()
    assert {path: os.lstat(path).st_mtime_ns for path in host.root.rglob("*")} == before
