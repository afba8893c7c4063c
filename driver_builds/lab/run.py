# SPDX-License-Identifier: Apache-2.0
"""Tests what an artifacts directory holds in guests of its own kernel, and keeps what came of it."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from driver_builds import disk, process, store
from driver_builds.distributions import apt
from driver_builds.errors import ArtifactError, DriverBuildError, StageError
from driver_builds.lab import guest, hardware, image, results, scenario
from driver_builds.lab.initramfs import render_initramfs
from driver_builds.manifest import Manifest, load_manifest
from driver_builds.plan import NETMAP
from driver_builds.verify import find_artifact_problems

_SHELL = "busybox-static"

# Called after each guest: kernel release, names tested so far, all names, seconds the guest ran.
Report = Callable[[str, int, int, float], None]


@dataclass(frozen=True, slots=True)
class Tested:
    """What is known of one artifacts directory's modules; `fresh` counts those tested by this very run."""

    release: str
    results: tuple[results.Result, ...]
    fresh: int
    guests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Bench:
    """All that guests of one kernel are made from; `needed` are the modules each one loads first, by name."""

    kernel: image.KernelImage
    manifest: Manifest
    modules: Mapping[str, bytes]
    needed: Mapping[str, Sequence[str]]
    tools: Mapping[str, bytes]
    folder: Path
    logs: Path


def gather_evidence(
    folder: Path, cache: Path, *, again: bool, report: Report, waiting: Callable[[Path], None]
) -> Tested:
    """Tests the modules of one artifacts directory that have no result yet (`again`: all of them).

    Two tests of one kernel wait for each other: they keep one serial log, and the second may have nothing to do.
    """
    started = time.monotonic()
    if problems := find_artifact_problems(folder):
        raise ArtifactError(problems[0])
    manifest = load_manifest(folder)
    release = manifest.kernel.release
    guests = 0
    with disk.used(cache, waiting), store.locked(cache / "results" / release, waiting=waiting):
        known = {} if again else _load_results(manifest, cache)
        todo = [module.name for module in manifest.modules if module.name not in {NETMAP, *known}]
        if todo or NETMAP not in known:
            for verdicts, ran_by in _run_all(manifest, folder, cache, todo, report):
                guests += 1
                for name, verdict in verdicts.items():
                    if name == NETMAP and guests > 1:
                        continue  # what the first guest found of it stands
                    hashes = _get_hashes(manifest, name)
                    known[name] = results.build_result(release, name, hashes, verdict, ran_by)
                    results.write_result(cache, known[name])
    found = tuple(known[module.name] for module in manifest.modules)
    return Tested(release, found, len(todo), guests, time.monotonic() - started)


def _run_all(
    manifest: Manifest, folder: Path, cache: Path, todo: Sequence[str], report: Report
) -> Iterator[tuple[dict[str, scenario.Verdict], str]]:
    with tempfile.TemporaryDirectory(prefix="driver-builds-") as scratch:
        yield from _run_guests(_prepare(manifest, folder, cache, Path(scratch)), todo, report)


def _load_results(manifest: Manifest, cache: Path) -> dict[str, results.Result]:
    release = manifest.kernel.release
    loaded = {
        module.name: results.load_result(cache, release, module.name, *_get_hashes(manifest, module.name))
        for module in manifest.modules
    }
    return {name: result for name, result in loaded.items() if result is not None}


def _get_hashes(manifest: Manifest, name: str) -> tuple[str, str]:
    by_name = {module.name: module.sha256 for module in manifest.modules}
    return by_name[name], by_name[NETMAP]


def _prepare(manifest: Manifest, folder: Path, cache: Path, scratch: Path) -> _Bench:
    kernel = image.load_image(manifest.kernel.release, cache)
    built = {module.name: (folder / module.file).read_bytes() for module in manifest.modules}
    modules: dict[str, bytes] = {}
    needed: dict[str, list[str]] = {}
    for name in built:
        wanted: dict[str, bytes] = {}
        for bus in (*hardware.BUSES.get(name, ()), name):
            # A bus driver that is no module is part of the kernel.
            if bus == name or bus in kernel.modules:
                wanted |= image.order_modules(bus, built, kernel)
        needed[name] = [module for module in wanted if module != name]
        modules |= wanted
    exercise = _compile_exercise(cache / "trees" / manifest.netmap.sha256 / "sys", scratch)
    tools = {"bin/busybox": _read_shell(cache, scratch), "bin/exercise": exercise}
    logs = cache / "results" / manifest.kernel.release / "logs"
    return _Bench(kernel, manifest, modules, needed, tools, scratch, logs)


def _compile_exercise(headers: Path, scratch: Path) -> bytes:
    """exercise.c against netmap's own headers, static: the guest has no C library."""
    if not headers.is_dir():
        raise DriverBuildError(
            f"{headers}: not there; the test is compiled against netmap's headers: build this kernel's drivers "
            "with the same --cache first"
        )
    target = scratch / "exercise"
    source = Path(__file__).parent / "exercise.c"
    done = process.run(
        ["gcc", "-O1", "-Wall", "-Werror", "-static", f"-I{headers}", str(source), "-o", str(target)]
    )
    if done.status != 0:
        raise DriverBuildError(f"{source.name}: gcc cannot compile it: {done.output.strip()}")
    return target.read_bytes()


def _read_shell(cache: Path, scratch: Path) -> bytes:
    stanzas = apt.read_stanzas([_SHELL])[_SHELL]
    if not stanzas:
        raise DriverBuildError(f"apt on this host does not know {_SHELL}; run apt-get update")
    file = apt.fetch_package(apt.build_package(stanzas[0]), cache)
    done = process.run(["dpkg-deb", "-x", str(file), str(scratch / "shell")])
    if done.status != 0:
        raise DriverBuildError(f"{file.name}: dpkg-deb cannot unpack it: {done.output.strip()}")
    return next((scratch / "shell").glob("**/bin/busybox")).read_bytes()


def _run_guests(
    bench: _Bench, todo: Sequence[str], report: Report
) -> Iterator[tuple[dict[str, scenario.Verdict], str]]:
    """One guest for all; where it stops in a driver, that driver has failed and the next guest tests the rest."""
    left = list(todo)
    done = number = 0
    while True:
        started = time.monotonic()
        number += 1
        serial = bench.logs / f"serial-{number}.log"
        verdicts, ran_by = _run_guest(bench, left, serial)
        tested = [name for name in left if name in verdicts]
        if not verdicts:
            reason = "the guest did not get as far as testing netmap"
            release = bench.manifest.kernel.release
            raise StageError("test", release, reason, _read_tail(serial), serial)
        if not tested and left:
            # netmap.ko itself stops the guest: another one would, too.
            why = scenario.Verdict("failed", f"netmap: {verdicts[NETMAP].reason}", verdicts[NETMAP].lines)
            verdicts |= dict.fromkeys(left, why)
            tested = left
        done += len(tested)
        report(bench.manifest.kernel.release, done, len(todo), time.monotonic() - started)
        yield verdicts, ran_by
        left = [name for name in left if name not in verdicts]
        if not left:
            return


def _run_guest(bench: _Bench, names: Sequence[str], serial: Path) -> tuple[dict[str, scenario.Verdict], str]:
    devices = hardware.read_devices()
    cases = scenario.plan_cases(names, devices, bench.needed)
    files = dict(bench.tools)
    files["init"] = scenario.render_init(cases).encode()
    for name in {NETMAP, *names, *(needed for case in cases for needed in case.needed)}:
        files[f"modules/{name}.ko"] = bench.modules[name]
    initramfs = bench.folder / "initramfs"
    initramfs.write_bytes(render_initramfs(files))
    cables = [
        guest.Cable(devices[name], scenario.get_prefix(number))
        for number, name in enumerate(names)
        if name in devices
    ]
    bench.logs.mkdir(parents=True, exist_ok=True)
    ran = guest.boot(bench.kernel.kernel, initramfs, cables, serial)
    if ran.trouble:
        # Who or what ended QEMU may have nothing to do with the guest: once more decides.
        ran = guest.boot(bench.kernel.kernel, initramfs, cables, serial)
    parts = scenario.split_serial(ran.serial)
    verdicts = {
        case.name: scenario.judge(case, parts[case.name], hardware.explain_missing(case.name), ran.trouble)
        for case in (scenario.Case(NETMAP, None), *cases)
        if case.name in parts
    }
    return verdicts, f"QEMU {hardware.read_qemu_version()} {ran.accelerator}"


def _read_tail(serial: Path) -> list[str]:
    text = serial.read_text("utf-8", "replace") if serial.exists() else ""
    return [line.rstrip() for line in text.splitlines() if line.strip()][-scenario.LINES :]
