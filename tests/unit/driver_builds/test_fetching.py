# SPDX-License-Identifier: Apache-2.0
"""Fetching for real, from an HTTP server of this test that can cut answers short and change bytes."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from driver_builds.cli.main import app
from driver_builds.distributions import KernelPackages, Package, apt, known, mirrors
from driver_builds.errors import DriverBuildError, ExitCode
from driver_builds.fetching import Fetched, Progress, fetch_all, plan_fetch
from driver_builds.release import parse_release

SIZE_BYTES = 2_000_000


class Mirror(ThreadingHTTPServer):
    """Serves `files` by path; `cut` closes the connection after so many bytes, `slow` after each 64 kB waits."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.cut: int | None = None
        self.slow = False
        self.ranges: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/debian"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Mirror

    def do_GET(self) -> None:
        whole = self.server.files.get(self.path)
        if whole is None:
            self.send_error(404)
            return
        asked = self.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if asked:
            self.server.ranges.append(asked)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        else:
            self.send_response(200)
        body = whole[start:]
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Sun, 01 Nov 2026 00:00:00 GMT")
        self.end_headers()
        for offset in range(0, len(body), 1 << 16):
            if self.server.cut is not None and offset >= self.server.cut:
                self.close_connection = True
                return
            self.wfile.write(body[offset : offset + (1 << 16)])
            if self.server.slow:
                time.sleep(0.2)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    server = Mirror()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv(mirrors.VARIABLE, server.url)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _serve(mirror: Mirror, name: str, size_bytes: int = SIZE_BYTES) -> Package:
    data = os.urandom(size_bytes)
    path = f"pool/main/l/linux/{name}_1_all.deb"
    mirror.files[f"/debian/{path}"] = data
    return Package(name, "1", "all", hashlib.sha256(data).hexdigest(), size_bytes, path, "bookworm")


def _fetch(packages: list[Package], cache: Path) -> list[Fetched]:
    return fetch_all(packages, cache, lambda _: None, lambda _: None)


def test_a_cut_download_goes_on_where_it_was(mirror: Mirror, tmp_path: Path) -> None:
    package = _serve(mirror, "linux-source-6.1")
    mirror.cut = 1 << 16  # of every connection; apt tries a few by itself
    with pytest.raises(DriverBuildError, match=r"linux-source-6\.1: could not be fetched"):
        apt.fetch_package(package, tmp_path)
    assert not apt.get_package_path(package, tmp_path).exists()
    begun = apt.get_partial_path(package, tmp_path).stat().st_size
    assert 0 < begun < SIZE_BYTES
    mirror.cut, mirror.ranges = None, []
    file = apt.fetch_package(package, tmp_path)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == package.sha256
    assert mirror.ranges, "the second run asked for the rest only"


def test_a_changed_byte_is_refused_and_forgotten(mirror: Mirror, tmp_path: Path) -> None:
    package = _serve(mirror, "linux-source-6.1")
    (path,) = mirror.files
    good = mirror.files[path]
    mirror.files[path] = good[:-1] + bytes([good[-1] ^ 1])
    with pytest.raises(DriverBuildError, match=r"linux-source-6\.1"):
        apt.fetch_package(package, tmp_path)
    assert not apt.get_package_path(package, tmp_path).exists()
    mirror.files[path] = good
    assert apt.fetch_package(package, tmp_path).read_bytes() == good


def test_one_that_fails_does_not_stop_the_others(mirror: Mirror, tmp_path: Path) -> None:
    packages = [_serve(mirror, f"linux-{number}", 100_000) for number in range(6)]
    lost = replace(packages[2], path="pool/main/l/linux/gone.deb")
    packages[2] = lost
    seen: list[Progress] = []
    results = fetch_all(packages, tmp_path, lambda _: None, seen.append)
    assert [one.package for one in results] == packages
    assert [one.error is None for one in results] == [True, True, False, True, True, True]
    assert seen[-1].total_bytes == 600_000
    assert seen[-1].done_bytes == 500_000
    again = _fetch(packages, tmp_path)
    assert [one.cached for one in again] == [True, True, False, True, True, True]


def test_time_left() -> None:
    assert Progress(0, 10, 3.0).left_s is None
    assert Progress(5, 20, 3.0).left_s == 9.0


def test_each_package_once_the_largest_first() -> None:
    kernels = known.load_known_kernels()
    normal, cloud = kernels["6.1.0-56-amd64"], kernels["6.1.0-56-cloud-amd64"]
    plain = plan_fetch([normal, cloud])
    assert len(plain) == len({package.file_name for package in plain}) == 5
    assert plain[0] == normal.source
    assert set(plan_fetch([normal], images=True)) == {*normal.all, *normal.images}


_FETCH = """
import sys
from driver_builds.cli.main import main
main()
"""


def test_a_killed_fetch_is_gone_on_with(mirror: Mirror, tmp_path: Path) -> None:
    kernel = _make_kernel(mirror)
    note = tmp_path / "cache/resolved" / f"{kernel.release.text}.json"
    known.save_kernel_packages(kernel, note)
    mirror.slow = True
    command = [sys.executable, "-c", _FETCH, "fetch", "--no-tools", "--kernel", kernel.release.text]
    command += ["--cache", str(tmp_path / "cache"), "--json"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    partial = apt.get_partial_path(kernel.source, tmp_path / "cache")
    limit = time.monotonic() + 60
    while not (partial.exists() and partial.stat().st_size > 1 << 17):
        assert running.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == ExitCode.INTERRUPTED
    assert not apt.get_package_path(kernel.source, tmp_path / "cache").exists()
    mirror.slow = False
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["ok"]
    assert {package["name"] for package in document["packages"]} == {one.name for one in kernel.all}


def _make_kernel(mirror: Mirror) -> KernelPackages:
    release = parse_release("6.1.0-999-amd64")
    headers, common, kbuild = (
        _serve(mirror, f"linux-{part}", 10_000) for part in ("headers", "common", "kbuild")
    )
    source = _serve(mirror, "linux-source-6.1", 5_000_000)
    record = "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"
    return KernelPackages(
        release, "debian 12", "gcc-12", headers, common, kbuild, source, compiler_record=record
    )


def test_what_cannot_be_fetched_is_named(mirror: Mirror, tmp_path: Path) -> None:
    kernel = _make_kernel(mirror)
    known.save_kernel_packages(kernel, tmp_path / "cache/resolved/6.1.0-999-amd64.json")
    assert kernel.kbuild is not None
    del mirror.files[f"/debian/{kernel.kbuild.path}"]
    done = CliRunner().invoke(
        app, ["fetch", "--no-tools", "--kernel", kernel.release.text, "--cache", str(tmp_path / "cache")]
    )
    assert done.exit_code == ExitCode.FAILED
    assert "3 of 4 packages there" in done.stdout
    assert (
        f"fetch {mirror.url}/{kernel.kbuild.path} elsewhere (SHA-256 {kernel.kbuild.sha256})" in done.stderr
    )
    assert f"put it at {apt.get_package_path(kernel.kbuild, tmp_path / 'cache')}" in done.stderr
