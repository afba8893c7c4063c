# SPDX-License-Identifier: Apache-2.0
"""Packages and signatures of the real modules: equal bytes twice, the kernel's own sign-file, netmap's own tools."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from driver_builds.manifest import load_manifest
from driver_builds.packages.modules import load_build_id
from driver_builds.signature import is_signed_by, load_certificate, split_module
from driver_builds.verify import find_artifact_problems

from .conftest import Builder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def hash_packages(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.deb"))}


def test_two_builds_in_different_folders_give_identical_packages(
    builder: Builder, artifacts: Path, release: str, tmp_path: Path
) -> None:
    """Compiled twice, cleanly: the second time with a cache of its own in another folder."""
    other_cache = tmp_path / "cache"
    shutil.copytree(builder.cache / "packages", other_cache / "packages")
    asked = ("--kernel", release, "--driver", "e1000", "--driver", "e1000e")
    again = builder.run("build", *asked, "--artifacts", str(tmp_path / "artifacts"), cache=other_cache)
    assert again.returncode == 0, again.stderr
    for folder, name in ((artifacts.parent, "first"), (tmp_path / "artifacts", "second")):
        done = builder.run("package", "--artifacts", str(folder), "--output", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
    first = hash_packages(tmp_path / "first")
    assert len(first) == 1
    assert first == hash_packages(tmp_path / "second")


def test_tools_headers_and_dkms_are_the_same_twice(builder: Builder, tmp_path: Path) -> None:
    kinds = ("--kind", "tools", "--kind", "headers", "--kind", "dkms", "--driver", "e1000")
    for name in ("first", "second"):
        done = builder.run("package", *kinds, "--output", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
    assert hash_packages(tmp_path / "first") == hash_packages(tmp_path / "second")
    (tools,) = (tmp_path / "first").glob("netmap-tools_*.deb")
    subprocess.run(["dpkg-deb", "-x", tools, tmp_path / "root"], check=True)
    for program in ("pkt-gen", "netmap-bridge", "vale-ctl"):
        command = [tmp_path / "root/usr/bin" / program, "-h"]
        shown = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "sage" in shown.stdout + shown.stderr


def test_the_kernels_own_sign_file_signs(
    builder: Builder, artifacts: Path, release: str, tmp_path: Path
) -> None:
    folder = tmp_path / "artifacts" / release
    shutil.copytree(artifacts, folder)
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    request = ["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Lab MOK/"]
    subprocess.run(
        [*request, "-days", "2", "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    key.chmod(0o600)
    asked = ("sign", str(folder), "--key", str(key), "--certificate", str(certificate))
    assert builder.run(*asked).stdout.startswith("changed: ")
    signed = {path.name: path.read_bytes() for path in folder.glob("*.ko")}
    for module in load_manifest(folder).modules:
        assert is_signed_by(split_module(signed[module.file]), load_certificate(certificate))
        shown = subprocess.run(
            ["/usr/sbin/modinfo", "-F", "signer", folder / module.file],
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown.stdout.strip() == "Lab MOK"
    assert builder.run(*asked).stdout.startswith("unchanged: ")
    build = ("build", "--kernel", release, "--driver", "e1000", "--driver", "e1000e")
    done = builder.run(*build, "--artifacts", str(folder.parent), "--json")
    assert json.loads(done.stdout)["changed"] is False, "a build after sign must leave the signatures alone"
    assert {path.name: path.read_bytes() for path in folder.glob("*.ko")} == signed


def test_debug_information_is_found_by_build_id(builder: Builder, release: str, tmp_path: Path) -> None:
    asked = ("build", "--kernel", release, "--driver", "e1000", "--debug-symbols")
    done = builder.run(*asked, "--artifacts", str(tmp_path / "artifacts"))
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "artifacts" / release
    assert find_artifact_problems(folder) == []
    packaged = builder.run("package", "--artifacts", str(folder.parent), "--output", str(tmp_path / "out"))
    assert packaged.returncode == 0, packaged.stderr
    (deb,) = (tmp_path / "out").glob("*-dbg_*.deb")
    subprocess.run(["dpkg-deb", "-x", deb, tmp_path / "root"], check=True)
    build_id = load_build_id(folder / "e1000.ko")
    debug = tmp_path / "root/usr/lib/debug/.build-id" / build_id[:2] / f"{build_id[2:]}.debug"
    shown = subprocess.run(
        ["readelf", "--debug-dump=info", debug], capture_output=True, text=True, check=True
    ).stdout
    assert "e1000_open" in shown
    assert str(builder.cache) not in shown
    assert os.fspath(tmp_path) not in shown
