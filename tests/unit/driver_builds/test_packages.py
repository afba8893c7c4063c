# SPDX-License-Identifier: Apache-2.0
"""Packages of modules: the same bytes from the same modules, and what a real dpkg makes of them."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from driver_builds.catalogue import load_netmap_pin
from driver_builds.cli.main import app
from driver_builds.errors import ArtifactError, UsageError
from driver_builds.manifest import load_manifest
from driver_builds.packages import modules, sbom
from driver_builds.packages.deb import Deb, Entry, load_control, render_control, render_deb
from driver_builds.packages.write import write_package

from .small_artifacts import build_artifacts

RELEASE = "6.1.0-56-amd64"
NAME = f"netmap-modules-{RELEASE}"
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    return build_artifacts(tmp_path / "artifacts" / RELEASE)


def build_deb(folder: Path, drivers: Sequence[str] = ()) -> Deb:
    return modules.build_package(modules.choose_modules(folder, drivers), load_netmap_pin())


def check_golden(name: str, text: str) -> None:
    """Compares with the golden file; UPDATE_GOLDEN=1 writes it, to be read before it is committed."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_control_is_as_agreed(artifacts: Path) -> None:
    check_golden("modules.control.txt", render_control(build_deb(artifacts)))


@pytest.mark.parametrize("script", ["postinst", "postrm"])
def test_scripts_are_as_agreed(artifacts: Path, script: str) -> None:
    text = build_deb(artifacts).scripts[script]
    check_golden(f"modules.{script}.txt", text)
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0
    if shutil.which("shellcheck"):
        seen = subprocess.run(
            ["shellcheck", "--shell=sh", "-"], input=text, text=True, capture_output=True, check=False
        )
        assert seen.returncode == 0, seen.stdout


def test_bill_of_materials_is_as_agreed(artifacts: Path) -> None:
    entries = {Path(entry.path).name: entry.content.decode() for entry in build_deb(artifacts).entries[-2:]}
    check_golden("modules.sbom.json", entries[sbom.FILE_NAME])


def test_bill_names_every_input_and_every_module(artifacts: Path) -> None:
    manifest = load_manifest(artifacts)
    document = json.loads(sbom.render_sbom(manifest, NAME, "1", {}))
    hashes = {
        component["name"]: component["hashes"][0]["content"]
        for component in document["components"]
        if "hashes" in component
    }
    wanted = {entry.name: entry.sha256 for entry in manifest.inputs}
    assert hashes == wanted | {module.file: module.sha256 for module in manifest.modules}
    references = {component["bom-ref"] for component in document["components"]}
    assert len(references) == len(document["components"])
    used = {name for entry in document["dependencies"] for name in entry["dependsOn"]}
    assert used == references


def test_bill_is_valid_cyclonedx(artifacts: Path) -> None:
    try:
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
    except ImportError:
        pytest.skip(
            "NOT TESTED: the bill against CycloneDX's own schema; pip install 'cyclonedx-python-lib[json-validation]'"
        )
    text = sbom.render_sbom(load_manifest(artifacts), NAME, "1", {"netmap": "Dual BSD/GPL"})
    problem = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    assert problem is None, problem


def test_equal_modules_give_equal_bytes_in_any_folder(artifacts: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / RELEASE
    shutil.copytree(artifacts, other)
    for path in other.iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o600)
    first, second = (render_deb(build_deb(folder), 1770748197) for folder in (artifacts, other))
    assert first == second


def test_other_modules_give_another_version(artifacts: Path, tmp_path: Path) -> None:
    other = build_artifacts(tmp_path / "other" / RELEASE, imports={"x": 2})
    assert build_deb(artifacts).version != build_deb(other).version
    assert build_deb(artifacts, ["e1000"]).version == build_deb(artifacts).version


def test_stage_is_the_one_furthest_from_upstream(artifacts: Path) -> None:
    manifest = load_manifest(artifacts)
    assert modules.get_stage(manifest) == "upstream"
    assert ".upstream." in modules.build_version(manifest, load_netmap_pin(), 1)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (
            "0~git20260210.89607e1+k6.1.192-2+r1.upstream.ff",
            "0~git20260210.89607e1+k6.1.192-2+r2.upstream.00",
        ),
        (
            "0~git20260210.89607e1+k6.1.192-2+r1.upstream.ff",
            "0~git20260301.00000e1+k6.1.192-2+r1.upstream.00",
        ),
        (
            "0~git20260210.89607e1+k6.1.192-1+r9.upstream.ff",
            "0~git20260210.89607e1+k6.1.192-2+r1.upstream.00",
        ),
    ],
)
def test_versions_are_ordered_as_dpkg_orders_them(older: str, newer: str) -> None:
    assert subprocess.run(["dpkg", "--compare-versions", older, "lt", newer], check=False).returncode == 0


def test_damaged_artifacts_are_not_packaged(artifacts: Path) -> None:
    (artifacts / "e1000.ko").write_bytes(b"x")
    with pytest.raises(ArtifactError, match=r"e1000\.ko: SHA-256 is"):
        modules.choose_modules(artifacts, [])


def test_a_driver_that_is_not_there_is_refused(artifacts: Path) -> None:
    with pytest.raises(UsageError, match=r"has no driver ice: it holds netmap, e1000"):
        modules.choose_modules(artifacts, ["ice"])


def test_writing_again_changes_nothing_and_an_older_version_goes(artifacts: Path, tmp_path: Path) -> None:
    deb = build_deb(artifacts)
    first = write_package(deb, tmp_path / "out", 1)
    again = write_package(deb, tmp_path / "out", 1)
    assert (first.changed, again.changed, first.sha256) == (True, False, again.sha256)
    newer = Deb(deb.name, deb.version + "1", deb.architecture, deb.fields, deb.entries)
    assert write_package(newer, tmp_path / "out", 1).changed
    assert [path.name for path in (tmp_path / "out").glob("*.deb")] == [newer.file_name]


def test_command_line(artifacts: Path, tmp_path: Path) -> None:
    arguments = ["package", "--artifacts", str(artifacts.parent), "--output", str(tmp_path / "out")]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    assert first.stdout.startswith(f"changed: {tmp_path}/out/{NAME}_0~git")
    document = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert (document["changed"], len(document["packages"])) == (False, 1)
    nothing = CliRunner().invoke(app, ["package", "--artifacts", str(tmp_path / "none")])
    assert nothing.exit_code == 2


def test_control_can_be_read_back(artifacts: Path, tmp_path: Path) -> None:
    deb = build_deb(artifacts)
    path = tmp_path / deb.file_name
    path.write_bytes(render_deb(deb, 5))
    assert load_control(path) == render_control(deb)
    path.write_bytes(render_deb(deb, 5)[:1000])
    with pytest.raises(ArtifactError, match="not a whole Debian package"):
        load_control(path)


# ---- with dpkg and depmod


@dataclass(frozen=True, slots=True)
class HostRoot:
    """A root folder that dpkg installs into; its kernel has the stock e1000, its initramfs what a test says."""

    root: Path
    programs: Path

    def dpkg(self, *arguments: str) -> str:
        done = subprocess.run(
            ["dpkg", f"--root={self.root}", "--force-script-chrootless", "--force-depends", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={
                **os.environ,
                "PATH": f"{self.programs}:{os.environ['PATH']}:/usr/sbin:/sbin",
                "LC_ALL": "C",
            },
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def put_initramfs(self, *files: str) -> None:
        image = self.root / "boot" / f"initrd.img-{RELEASE}"
        image.parent.mkdir(exist_ok=True)
        image.write_text("\n".join(files))

    @property
    def updated(self) -> list[str]:
        log = self.programs / "updated"
        return log.read_text().splitlines() if log.exists() else []

    def find_module(self, name: str) -> str:
        text = (self.root / "lib/modules" / RELEASE / "modules.dep").read_text()
        return next(line.split(":")[0] for line in text.splitlines() if f"/{name}.ko:" in line)


@pytest.fixture
def host(tmp_path: Path) -> HostRoot:
    if os.geteuid() != 0 or not shutil.which("dpkg"):
        pytest.skip("NOT TESTED: installing packages by dpkg into a folder; run as root on Debian")
    root, programs = tmp_path / "root", tmp_path / "programs"
    (root / "var/lib/dpkg/updates").mkdir(parents=True)
    (root / "var/lib/dpkg/info").mkdir()
    (root / "var/lib/dpkg/status").touch()
    stock = root / "lib/modules" / RELEASE / "kernel/e1000.ko"
    stock.parent.mkdir(parents=True)
    shutil.copy(build_artifacts(tmp_path / "stock" / RELEASE) / "e1000.ko", stock)
    for name in ("order", "builtin"):
        (root / "lib/modules" / RELEASE / f"modules.{name}").touch()
    programs.mkdir()
    # initramfs-tools' commands, as far as the scripts use them; the lab's guest has the real ones.
    for name, text in (
        ("lsinitramfs", 'cat "$1"'),
        ("update-initramfs", f'echo "$*" >> {programs}/updated'),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    return HostRoot(root, programs)


def write_deb(folder: Path, output: Path) -> Path:
    return write_package(build_deb(folder), output, 1770748197).file


def test_installing_prefers_ours_and_removing_gives_the_stock_one_back(
    host: HostRoot, artifacts: Path, tmp_path: Path
) -> None:
    before = {path.relative_to(host.root) for path in host.root.rglob("*") if "var" not in path.parts}
    host.dpkg("--install", str(write_deb(artifacts, tmp_path)))
    assert host.find_module("e1000") == "updates/netmap/e1000.ko"
    assert (host.root / "lib/modules" / RELEASE / "kernel/e1000.ko").is_file()
    assert host.dpkg("--verify", NAME) == ""
    assert host.updated == []
    host.dpkg("--remove", NAME)
    assert host.find_module("e1000") == "kernel/e1000.ko"
    after = {path.relative_to(host.root) for path in host.root.rglob("*") if "var" not in path.parts}
    # depmod's own index files stay, as they do for every kernel.
    assert {path for path in after - before if not path.name.startswith("modules.")} == set()


def test_an_initramfs_that_carries_a_driver_is_made_again(
    host: HostRoot, artifacts: Path, tmp_path: Path
) -> None:
    host.put_initramfs("usr/lib/modules/x/kernel/e1000.ko")
    host.dpkg("--install", str(write_deb(artifacts, tmp_path)))
    assert host.updated == [f"-u -k {RELEASE}"]
    host.dpkg("--remove", NAME)
    assert host.updated == [f"-u -k {RELEASE}"] * 2


def test_an_initramfs_without_one_is_left_alone(host: HostRoot, artifacts: Path, tmp_path: Path) -> None:
    host.put_initramfs("usr/lib/modules/x/kernel/e1000e.ko", "usr/lib/modules/x/kernel/xe1000.kox")
    host.dpkg("--install", str(write_deb(artifacts, tmp_path)))
    assert host.updated == []


def test_removal_after_the_kernel_leaves_nothing(host: HostRoot, artifacts: Path, tmp_path: Path) -> None:
    host.dpkg("--install", str(write_deb(artifacts, tmp_path)))
    folder = host.root / "lib/modules" / RELEASE
    shutil.rmtree(folder / "kernel")
    for path in folder.glob("modules.*"):
        path.unlink()
    host.dpkg("--remove", NAME)
    assert not folder.exists()


def test_files_of_etc_are_configuration(tmp_path: Path) -> None:
    deb = Deb("x", "1", "all", {"Maintainer": "x", "Description": "x"}, [Entry("etc/x.conf", b"1")])
    path = tmp_path / "x.deb"
    path.write_bytes(render_deb(deb, 1))
    shown = subprocess.run(["dpkg-deb", "-I", path, "conffiles"], capture_output=True, text=True, check=True)
    assert shown.stdout == "/etc/x.conf\n"
