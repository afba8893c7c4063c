# SPDX-License-Identifier: Apache-2.0
"""The daemon as a process: start, apply, refuse, roll back, reload."""

import hashlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Appliance

pytestmark = pytest.mark.slow


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_apply_and_its_answers(running: "Appliance", texts: dict[str, str]) -> None:
    code, before = running.status()
    assert (code, before["problems"]) == (0, [])
    assert before["generation"] == {
        "active": 1,
        "digest": hashlib.sha256(texts["base"].encode()).hexdigest(),
        "configured": str(running.config),
    }
    assert [port["name"] for port in before["ports"]] == ["red-in", "red-out", "blue-out"]

    assert running.apply(texts["base"]).stdout == "unchanged: generation 1\n"
    running.config.write_text(texts["routes"])
    change = (
        "change route camera-1: red-in 239.1.2.1:6000 → red-out becomes "
        "red-in 239.1.2.2:6000 → red-out, blue-out\n"
    )
    assert running.call("plan", str(running.config)).stdout == change
    assert running.call("apply", str(running.config)).stdout == change + "changed: generation 2\n"
    assert running.call("plan", str(running.config)).stdout == "nothing to do\n"

    after = running.status()[1]
    assert after["workers"][0]["pid"] == before["workers"][0]["pid"]
    assert (after["workers"][0]["generation"], after["workers"][0]["published"]) == (2, 2)
    assert sorted(read_files(running.state)) == ["active.yaml", "generation.json", "last-good.yaml"]

    commented = running.apply(texts["routes"] + "# the same\n")
    assert commented.stdout.splitlines()[-1] == "changed: generation 3"
    assert (
        running.status()[1]["generation"]["digest"] == hashlib.sha256(running.config.read_bytes()).hexdigest()
    )


def test_a_refusal_changes_nothing(running: "Appliance", texts: dict[str, str]) -> None:
    files, status = read_files(running.state), running.status()[1]
    refused = {
        texts["base"].replace("239.1.2.1", "192.0.2.9"): (3, "192.0.2.9 is not a multicast address"),
        texts["base"].replace("[red-out]", "[green]"): (3, "no port green"),
        texts["base"] + "surprise: 1\n": (3, "surprise: unknown field"),
        texts["ports"]: (5, "restart worker main: port blue-out device memory:c → memory:d"),
        texts["base"].replace("memory:c", "xdp:nope0"): (5, "memory:c → xdp:nope0"),
    }
    for text, (code, words) in refused.items():
        done = running.apply(text)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert words in done.stderr
    unknown = running.apply(texts["base"].replace("memory:c", "xdp:nope0"), "--allow-restart")
    assert unknown.returncode == 1
    assert "port blue-out: nope0: no such interface on this host; interfaces here:" in unknown.stderr

    assert read_files(running.state) == files
    after = running.status()[1]
    assert after["generation"] == status["generation"]
    assert [w["pid"] for w in after["workers"]] == [w["pid"] for w in status["workers"]]
    assert after["problems"] == []


def test_a_worker_that_does_not_start_is_rolled_back(running: "Appliance", texts: dict[str, str]) -> None:
    files = read_files(running.state)
    done = running.apply("workers: [{name: main, cpu: 4000}]\n" + texts["base"], "--allow-restart")
    assert done.returncode == 1
    assert "4000" in done.stderr
    code, document = running.status()
    assert (code, document["problems"]) == (0, [])
    assert document["workers"][0]["generation"] == document["generation"]["active"] == 1
    assert read_files(running.state) == files


def test_only_the_worker_concerned_restarts(appliance: "Appliance", texts: dict[str, str]) -> None:
    two = texts["base"].replace("ports:\n", "workers: [{name: main}, {name: other}]\nports:\n")
    two = two.replace('"}', '", worker: main}')
    two = two.replace("routes:\n", '  - {name: x, device: "memory:x", worker: other}\nroutes:\n')
    appliance.config.write_text(two)
    before = {worker["name"]: worker["pid"] for worker in appliance.start()["workers"]}
    done = appliance.apply(two.replace("memory:x", "memory:y"), "--allow-restart")
    assert done.stdout.startswith("restart worker other: port x device memory:x → memory:y"), done.stderr
    after = {worker["name"]: worker["pid"] for worker in appliance.status()[1]["workers"]}
    assert after["main"] == before["main"]
    assert after["other"] != before["other"]
    gone = appliance.apply(texts["base"], "--allow-restart")
    assert "stop worker other" in gone.stdout, gone.stderr
    assert not (appliance.runtime / "workers" / "other").exists()


def test_a_second_daemon_is_refused(running: "Appliance") -> None:
    assert running.daemon is not None
    second = running.call("run", "--config", str(running.config))
    assert second.returncode == 5
    assert second.stderr == (
        f"appliance: {running.runtime}: a daemon is running already (process {running.daemon.pid} holds "
        "daemon.lock); use `appliance apply` to change its configuration, or stop it first\n"
    )
    assert running.status()[0] == 0


def test_sighup_applies_the_file(running: "Appliance", texts: dict[str, str]) -> None:
    assert running.daemon is not None
    running.config.write_text(texts["routes"])
    running.daemon.send_signal(signal.SIGHUP)
    running.wait_until(lambda: "changed: generation 2" in running.output(), "reloaded")
    running.config.write_text(texts["routes"] + "surprise: 1\n")
    running.daemon.send_signal(signal.SIGHUP)
    running.wait_until(lambda: "configuration not applied" in running.output(), "refused")
    code, document = running.status()
    assert (code, document["generation"]["active"]) == (1, 2)
    assert "surprise: unknown field" in document["problems"][0]
    # The next success takes the problem away.
    assert running.apply(texts["routes"]).stdout == "unchanged: generation 2\n"
    assert running.status()[0] == 0


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("memory:b", "xdp:nope0", 1, "port red-out: nope0: no such interface on this host"),
        ("239.1.2.1", "192.0.2.9", 3, "192.0.2.9 is not a multicast address; use 224.0.0.0/4"),
        ("ports:", "workers: [{name: main, cpu: 4000}]\nports:", 1, "4000"),
    ],
)
def test_a_first_start_that_is_refused_leaves_nothing(
    appliance: "Appliance", texts: dict[str, str], old: str, new: str, code: int, words: str
) -> None:
    appliance.config.write_text(texts["base"].replace(old, new))
    done = appliance.call("run", "--config", str(appliance.config))
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    left = [path.name for path in appliance.runtime.rglob("*") if not path.is_dir()]
    assert left == ["daemon.lock"]
    assert not appliance.state.exists() or list(appliance.state.iterdir()) == []


def test_the_last_good_configuration_steps_in(running: "Appliance", texts: dict[str, str]) -> None:
    running.end(signal.SIGTERM)
    running.config.write_text(texts["base"].replace("memory:c", "xdp:nope0"))
    document = running.start()
    (problem,) = document["problems"]
    assert problem.startswith("configuration not applied: port blue-out: nope0: no such interface")
    assert document["generation"]["active"] == document["workers"][0]["generation"] == 1
