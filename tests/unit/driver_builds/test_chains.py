# SPDX-License-Identifier: Apache-2.0
"""Chains of steps beside each other: their order, one number of programs for all, and what an error stops."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from driver_builds import process
from driver_builds.errors import DriverBuildError
from driver_builds.pipeline.chains import Report, apply_chains, split_chains
from driver_builds.pipeline.context import BuildContext
from driver_builds.pipeline.jobserver import Jobserver
from driver_builds.plan import Stage, Step

from .miniature import Miniature


def _steps(*texts: str) -> list[Step]:
    pairs = (text.split() for text in texts)
    return [Step(Stage(stage), subject, "") for stage, subject in pairs]


PLAN = _steps(
    "probe netmap",
    "build netmap",
    "inspect netmap",
    "baseline igb",
    "patch igb",
    "build igb",
    "inspect igb",
    "reuse ice",
)


def _names(steps: Sequence[Step]) -> list[str]:
    return [f"{step.stage} {step.subject}" for step in steps]


def test_drivers_wait_for_netmap_only_where_they_need_it() -> None:
    first, second = split_chains(PLAN)
    assert {name: _names(chain) for name, chain in first.items()} == {
        "netmap": ["probe netmap", "build netmap", "inspect netmap"],
        "igb": ["baseline igb", "patch igb"],
        "ice": ["reuse ice"],
    }
    assert {name: _names(chain) for name, chain in second.items()} == {"igb": ["build igb", "inspect igb"]}


def test_chains_run_beside_each_other_and_keep_their_order(miniature: Miniature) -> None:
    done: list[str] = []
    both = threading.Barrier(2, timeout=20)

    def apply(steps: Sequence[Step], build: BuildContext, report: Report) -> None:
        for step in steps:
            # Each of the two waits for the other: run one after the other they would never get past.
            if step.stage in {Stage.PROBE, Stage.BASELINE}:
                both.wait()
            done.append(f"{step.stage} {step.subject}")

    _, build = miniature.prepare()
    build.jobs = 2
    apply_chains(PLAN, build, lambda *_: None, apply)
    assert build.jobserver is None
    assert sorted(done) == sorted(_names(PLAN))
    assert done.index("inspect netmap") < done.index("build igb") < done.index("inspect igb")
    assert done.index("baseline igb") < done.index("patch igb")


def test_a_driver_does_not_wait_for_the_others(miniature: Miniature) -> None:
    built = threading.Event()

    def apply(steps: Sequence[Step], build: BuildContext, report: Report) -> None:
        if steps[0] == Step(Stage.BASELINE, "i40e", ""):
            assert built.wait(20), "igb was not built while i40e was compiled unpatched"
        if steps[0] == Step(Stage.BUILD, "igb", ""):
            built.set()

    _, build = miniature.prepare()
    build.jobs = 2
    apply_chains([*PLAN, *_steps("baseline i40e", "build i40e")], build, lambda *_: None, apply)
    assert built.is_set()


def test_an_error_stops_programs_of_the_other_chains(miniature: Miniature) -> None:
    started = threading.Event()
    statuses: list[int] = []

    def apply(steps: Sequence[Step], build: BuildContext, report: Report) -> None:
        if steps[0].subject == "netmap":
            assert started.wait(20)
            raise DriverBuildError("netmap: broken on purpose")
        started.set()
        statuses.append(process.run(["sleep", "600"]).status)

    _, build = miniature.prepare()
    build.jobs = 2
    with pytest.raises(DriverBuildError, match="broken on purpose"):
        apply_chains(_steps("probe netmap", "baseline igb", "build igb"), build, lambda *_: None, apply)
    assert statuses == [-9], "killed, and no step after it"


def test_makes_share_the_tokens(tmp_path: Path) -> None:
    """Two makes of four programs each with three tokens: never more than three programs at once."""
    (tmp_path / "Makefile").write_text(
        "all: a b c d\na b c d:\n\t@echo + >> $(LOG); sleep 0.2; echo - >> $(LOG)\n"
    )
    log = tmp_path / "log"
    server = Jobserver(3)

    def make() -> None:
        with server.token():
            done = process.run(
                ["make", f"LOG={log}"],
                cwd=tmp_path,
                environment=process.build_environment(MAKEFLAGS=server.makeflags),
                inherit=server.descriptors,
            )
            assert (done.status, done.output) == (0, "")

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.close()
    running, most = 0, 0
    for sign in log.read_text().split():
        running += 1 if sign == "+" else -1
        most = max(most, running)
    assert running == 0
    assert most == 3
