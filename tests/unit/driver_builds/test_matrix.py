# SPDX-License-Identifier: Apache-2.0
"""The matrix: no silent cell, what a run records, and the pages it becomes."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from driver_builds.catalogue import load_corrections, load_drivers, load_refused_drivers
from driver_builds.cli.main import app
from driver_builds.distributions import KernelPackages
from driver_builds.errors import StageError
from driver_builds.lab import results, scenario
from driver_builds.manifest import Manifest, Refused, VendorSource, load_manifest
from driver_builds.matrix import cells, choose, records, render
from driver_builds.matrix.cells import WORDS, Cell, Matrix, Row, State, build_row
from driver_builds.pipeline import baseline
from driver_builds.plan import BuildInputs
from driver_builds.release import parse_release

from .small_artifacts import build_artifacts
from .test_packages import check_golden

RELEASE = "6.1.0-56-amd64"


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """netmap and e1000 built, ice refused, igc absent."""
    made = load_manifest(build_artifacts(tmp_path / "artifacts" / RELEASE))
    refused = [
        Refused(name="ice", stage="patch", reason="hunk 3 does not fit", lines=["a", "b"], log=None),
        Refused(
            name="igc",
            stage="baseline",
            reason="the kernel does not build it as a module (CONFIG_IGC is not m)",
            lines=[],
            log=None,
        ),
    ]
    return made.model_copy(update={"refused": refused})


def write_result(cache: Path, manifest: Manifest, name: str, verdict: scenario.Verdict) -> None:
    hashes = {module.name: module.sha256 for module in manifest.modules}
    result = results.build_result(RELEASE, name, (hashes[name], hashes["netmap"]), verdict, "QEMU 7.2.22 tcg")
    results.write_result(cache, result)


def read_states(cache: Path, *drivers: str) -> list[State]:
    return [cell.state for cell in build_row(records.load_record(RELEASE, cache), drivers).cells]


def test_no_cell_is_silent(tmp_path: Path, manifest: Manifest) -> None:
    drivers = ("e1000", "ice", "igc", "veth")
    assert read_states(tmp_path, *drivers) == [State.NOT_RUN] * 4
    records.write_manifest(tmp_path, manifest)
    assert read_states(tmp_path, *drivers) == [State.BUILT, State.REFUSED, State.ABSENT, State.NOT_RUN]
    write_result(tmp_path, manifest, "e1000", scenario.Verdict("moved", "480 frames", frames=480))
    assert read_states(tmp_path, *drivers)[0] is State.MOVED
    write_result(tmp_path, manifest, "e1000", scenario.Verdict("failed", "the guest stopped"))
    assert read_states(tmp_path, *drivers)[0] is State.FAILED
    assert set(WORDS) == set(State)


@pytest.mark.parametrize("name", ["r8169", "stmmac", "mlx5_core"])
def test_what_data_refuses_is_refused_without_a_run(tmp_path: Path, manifest: Manifest, name: str) -> None:
    why = load_refused_drivers()[name].why
    for _ in range(2):
        (cell,) = build_row(records.load_record(RELEASE, tmp_path), [name]).cells
        assert (cell.state, cell.reason) == (State.REFUSED, f"patch: {why}")
        records.write_manifest(tmp_path, manifest)
    without = records.load_record(RELEASE, tmp_path, absent=frozenset({name}))
    (cell,) = build_row(without, [name]).cells
    assert cell.state is State.ABSENT


@pytest.mark.parametrize("name", ["e1000", "mlx5_core"])
def test_what_was_built_from_a_vendors_release_says_so(tmp_path: Path, manifest: Manifest, name: str) -> None:
    source = VendorSource(
        vendor="maker",
        version="9.8.7",
        url="https://example.invalid/a.tar.gz",
        tree_sha256="a" * 64,
        archive_sha256=None,
        pinned=True,
    )
    modules = [
        one.model_copy(update={"name": name, "vendor": source}) if one.name == "e1000" else one
        for one in manifest.modules
    ]
    records.write_manifest(tmp_path, manifest.model_copy(update={"modules": modules}))
    row = build_row(records.load_record(RELEASE, tmp_path), ["netmap", name])
    assert [(cell.state, cell.vendor) for cell in row.cells] == [
        (State.BUILT, None),
        (State.BUILT, "maker 9.8.7"),
    ]
    text = render.render_text(Matrix("0" * 40, ("netmap", name), (row,)))
    assert f"  {name:<11} {WORDS[State.BUILT]:<18}  vendor maker 9.8.7" in text


def test_the_default_matrix_has_what_data_refuses(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["matrix", "--cache", str(tmp_path), "--json"])
    document = json.loads(done.stdout)
    states = {one["release"]: one["cells"] for one in document["kernels"]}
    assert states["6.1.0-56-amd64"]["r8169"]["state"] == "refused"
    assert states["6.1.0-56-cloud-amd64"]["r8169"]["state"] == "absent", "cloud kernels are built without it"
    assert document["methods"]["mlx5_core"]["method"] == "vendor"
    assert document["methods"]["e1000"] == {"method": "in-tree", "why": load_drivers()["e1000"].why}


def test_a_netmap_from_before_a_correction_says_so(tmp_path: Path, manifest: Manifest) -> None:
    own = [correction.name for correction in load_corrections() if correction.driver == "netmap"]
    first, *rest = manifest.modules
    for corrections, behind in ((own, []), (own[:-1], own[-1:]), ([*own, "compat-strncpy"], [])):
        netmap = first.model_copy(update={"corrections": corrections})
        records.write_manifest(tmp_path, manifest.model_copy(update={"modules": [netmap, *rest]}))
        row = build_row(records.load_record(RELEASE, tmp_path), ["netmap", "e1000"])
        assert list(row.behind) == behind
        table = Matrix("0" * 40, ("netmap", "e1000"), (row,))
        pages = [render.render_page(f"matrix.{form}", table) for form in ("md", "html")]
        for page in (*pages, render.render_text(table)):
            assert (own[-1] in page) == bool(behind)
        assert json.loads(render.render_json(table))["kernels"][0]["behind"] == behind


def test_a_kernel_that_could_not_be_built_for(tmp_path: Path, manifest: Manifest) -> None:
    records.write_manifest(tmp_path, manifest)
    records.write_failure(tmp_path, RELEASE, StageError("resolve", RELEASE, "no headers"), built=False)
    row = build_row(records.load_record(RELEASE, tmp_path), ["e1000", "ice"])
    assert [(cell.state, cell.reason) for cell in row.cells] == [(State.REFUSED, "resolve: no headers")] * 2
    records.write_failure(tmp_path, RELEASE, StageError("probe", "netmap", "no answer"), built=False)
    row = build_row(records.load_record(RELEASE, tmp_path), ["netmap", "e1000"])
    assert [(cell.state, cell.reason) for cell in row.cells] == [(State.FAILED, "probe: no answer")] * 2
    assert records.find_releases(tmp_path) == [RELEASE]


def test_a_failure_does_not_carry_this_host_into_the_documentation(tmp_path: Path) -> None:
    reason = f"fetch https://mirror.example.invalid/debian/pool/a.deb elsewhere, put it at {tmp_path}/packages/a.deb"
    records.write_failure(tmp_path, RELEASE, StageError("fetch", "a", reason), built=False)
    failure = records.load_record(RELEASE, tmp_path).failure
    assert failure is not None
    assert failure.reason == "fetch MIRROR/debian/pool/a.deb elsewhere, put it at CACHE/packages/a.deb"


def test_a_kernel_that_could_not_be_tested(tmp_path: Path, manifest: Manifest) -> None:
    records.write_manifest(tmp_path, manifest)
    write_result(tmp_path, manifest, "netmap", scenario.Verdict("moved", ""))
    records.write_failure(tmp_path, RELEASE, StageError("fetch", RELEASE, "no image"), built=True)
    assert read_states(tmp_path, "e1000") == [State.BUILT], "nothing speaks against what was built"
    records.write_failure(tmp_path, RELEASE, StageError("test", RELEASE, "no start"), built=True)
    assert read_states(tmp_path, "e1000", "ice") == [State.FAILED, State.REFUSED]
    records.write_manifest(tmp_path, manifest)
    assert read_states(tmp_path, "e1000") == [State.BUILT], "a new build is a new start"


def test_a_run_for_one_driver_keeps_what_is_known_of_the_others(tmp_path: Path, manifest: Manifest) -> None:
    records.write_manifest(tmp_path, manifest)
    one = manifest.model_copy(update={"modules": manifest.modules[:1], "refused": manifest.refused[:1]})
    records.write_manifest(tmp_path, one)
    assert read_states(tmp_path, "e1000", "ice", "igc") == [State.BUILT, State.REFUSED, State.ABSENT]
    kernel = one.kernel.model_copy(update={"version": "6.1.193-1"})
    records.write_manifest(tmp_path, one.model_copy(update={"kernel": kernel}))
    assert read_states(tmp_path, "e1000", "igc") == [State.NOT_RUN] * 2, "another kernel package: all anew"


def test_absent_is_what_the_baseline_stage_says() -> None:
    """Its words, in its own source: a driver that is absent must not be shown as refused."""
    said = "".join(Path(baseline.__file__).read_text("utf-8").split()).replace('""', "").replace('"f"', "")
    for words in cells.ABSENT:
        assert "".join(words.split()) in said


def test_the_newest_of_every_suite_and_flavour(inputs: BuildInputs) -> None:
    def kernel(release: str, suite: str) -> KernelPackages:
        headers = replace(inputs.packages.headers, suite=suite)
        return replace(inputs.packages, release=parse_release(release), headers=headers)

    chosen = choose.choose_newest(
        [
            kernel("6.1.0-55-amd64", "bookworm"),
            kernel("6.1.0-56-amd64", "bookworm-security"),
            kernel("6.1.0-56-cloud-amd64", "bookworm-security"),
            kernel("6.1.0-56-rt-amd64", "bookworm-security"),
            kernel("6.12.116+deb12-amd64", "bookworm-backports"),
            kernel("6.13.1+deb12-amd64", "bookworm-backports"),
        ]
    )
    assert [one.release.text for one in chosen] == [
        "6.1.0-56-amd64",
        "6.1.0-56-cloud-amd64",
        "6.1.0-56-rt-amd64",
        "6.13.1+deb12-amd64",
    ]


@pytest.fixture
def table() -> Matrix:
    """Every state, and text that would be markup."""
    one = (
        Cell(
            "e1000",
            State.MOVED,
            "6400 frames, both ways, byte by byte; native adapter",
            "upstream",
            6400,
            "refused",
        ),
        Cell("ice", State.LOADED, "QEMU has no hardware for ice", "adapted"),
        Cell("veth", State.REFUSED, "patch: hunk 3 <b>does</b> not fit"),
    )
    other = (
        Cell("e1000", State.ABSENT, "the kernel does not build it as a module (CONFIG_E1000 is not m)"),
        Cell("ice", State.FAILED, "unload: rmmod hangs though the port is closed", "upstream"),
        Cell("veth", State.BUILT, "", "adapted"),
    )
    third = tuple(Cell(name, State.NOT_RUN) for name in ("e1000", "ice", "veth"))
    rows = (
        Row("6.1.0-56-amd64", "debian 12", "6.1.192-2", one),
        Row("6.1.0-56-cloud-amd64", "debian 12", "6.1.192-2", other),
        Row("9.9.9-amd64", "", "", third),
    )
    return Matrix("89607e1406c1fa5ac2106bd2ff33417f090c0d60", ("e1000", "ice", "veth"), rows)


@pytest.mark.parametrize("page", ["matrix.html", "matrix.md"])
def test_the_pages(page: str, table: Matrix) -> None:
    check_golden(page, render.render_page(page, table))


def test_the_html_page_needs_nothing_else(table: Matrix) -> None:
    class Checker(HTMLParser):
        open: list[str]

        def __init__(self) -> None:
            super().__init__()
            self.open = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert not {"src", "href"} & {name for name, _ in attrs}
            if tag not in {"meta", "link"}:
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    page = render.render_page("matrix.html", table)
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert "<b>does</b>" not in page
    assert "prefers-color-scheme: dark" in page
    assert "url(" not in page


def test_json_and_text_say_the_same(table: Matrix) -> None:
    document = json.loads(render.render_json(table))
    assert document["counts"] == {
        "moved": 1,
        "loaded": 1,
        "built": 1,
        "absent": 1,
        "refused": 1,
        "failed": 1,
        "not run": 3,
    }
    text = render.render_text(table)
    for row in table.rows:
        for cell in row.cells:
            assert document["kernels"][table.rows.index(row)]["cells"][cell.driver]["state"] == cell.state
            assert f"  {cell.driver:<11} {cell.words}" in text


def test_the_command(tmp_path: Path, manifest: Manifest) -> None:
    run = CliRunner().invoke
    cache = tmp_path / "cache"
    records.write_manifest(cache, manifest)
    words = ["matrix", "--cache", str(cache), "--kernel", RELEASE]
    shown = run(app, [*words, "--html", str(tmp_path / "m.html"), "--output", str(tmp_path / "docs")])
    assert shown.exit_code == 0, shown.output
    assert "  igc         absent" in shown.stdout
    assert (tmp_path / "m.html").read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "docs/driver-matrix.json").read_text())["drivers"] == [
        "netmap",
        *load_drivers(),
        *load_refused_drivers(),
    ]
    assert (tmp_path / "docs/driver-matrix.md").read_text().startswith("# Driver matrix")
    write_result(cache, manifest, "e1000", scenario.Verdict("failed", "the guest stopped"))
    assert run(app, words).exit_code == 1, "a failed cell is a failure"
    every = run(app, ["matrix", "--cache", str(tmp_path / "empty"), "--json"])
    assert every.exit_code == 0
    kernels = json.loads(every.stdout)["kernels"]
    assert len(kernels) >= 9, "Debian 11, 12, 13: amd64, cloud and rt"
    assert all(
        len(kernel["cells"]) == 1 + len(load_drivers()) + len(load_refused_drivers()) for kernel in kernels
    )
