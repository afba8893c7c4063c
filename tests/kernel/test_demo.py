# SPDX-License-Identifier: Apache-2.0
"""`make demo` as a person runs it: verdict, exit status, and nothing left behind."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "demo" / "demo.py"
NAMESPACES = Path("/run/netns")


def start_demo(*options: str, terminal: bool = False) -> tuple["subprocess.Popen[bytes]", int]:
    """The demo and a descriptor to read what it shows."""
    reading, writing = pty.openpty() if terminal else os.pipe()
    command = [sys.executable, "-P", str(DEMO), *options]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing)
    os.close(writing)
    return process, reading


def read_all(descriptor: int) -> str:
    """Until the other end is closed (a pseudo terminal says so by EIO)."""
    text = b""
    try:
        while piece := os.read(descriptor, 65536):
            text += piece
    except OSError:
        pass
    os.close(descriptor)
    return text.decode()


def list_namespaces(process: "subprocess.Popen[bytes]") -> list[str]:
    """Namespaces of one run of the demo."""
    prefix = f"sbypass-demo-{process.pid}-"
    return (
        [path.name for path in NAMESPACES.iterdir() if path.name.startswith(prefix)]
        if NAMESPACES.exists()
        else []
    )


@pytest.mark.parametrize("terminal", [False, True])
def test_generated_video_crosses_and_all_is_accounted_for(terminal: bool) -> None:
    process, reading = start_demo(
        "--format", "1080p50", "--seconds", "0.5", "--speed", "0.5", terminal=terminal
    )
    text = read_all(reading)
    assert process.wait() == 0, text
    assert "generated media only" in text
    assert "received 108,000 = forwarded 108,000" in text
    assert "received 108000 = forwarded 108000 + merged 0 + to host 0 + dropped 0" in text
    assert ("\x1b[" in text) is terminal
    assert list_namespaces(process) == []


def find_worker(process: "subprocess.Popen[bytes]") -> int:
    """The worker process of the demo's appliance."""
    (namespace,) = (name for name in list_namespaces(process) if name.endswith("appliance"))
    done = subprocess.run(["ip", "netns", "pids", namespace], check=True, capture_output=True, text=True)
    for pid in done.stdout.split():
        if "appliance.worker" in Path(f"/proc/{pid}/cmdline").read_text():
            return int(pid)
    raise AssertionError(f"no worker in {namespace}")


def wait_for_text(reading: int, words: bytes) -> None:
    """Read until the demo has printed `words`."""
    end_s, text = time.monotonic() + 60, b""
    while words not in text:
        assert time.monotonic() < end_s, text
        text += os.read(reading, 65536)


def test_loss_is_a_fault() -> None:
    process, reading = start_demo("--format", "1080p50", "--seconds", "4")
    wait_for_text(reading, b"sent ")
    worker = find_worker(process)
    os.kill(worker, signal.SIGSTOP)  # for longer than its ring holds
    time.sleep(0.5)
    os.kill(worker, signal.SIGCONT)
    text = read_all(reading)
    lost = re.search(r"the appliance received (\d+) of 864000 frames; for (\d+) its ring was full", text)
    assert lost is not None, text
    received, no_room = map(int, lost.groups())
    assert received + no_room == 864000
    assert f"'missing': {no_room}" in text
    assert "FAULT" in text
    assert process.wait() == 1
    assert list_namespaces(process) == []


def test_without_captures_it_says_so(tmp_path: Path) -> None:
    process, reading = start_demo("--captures", str(tmp_path), "--seconds", "0.04")
    text = read_all(reading)
    assert process.wait() == 0, text
    assert f"no captures in {tmp_path}: generated media only" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_leaves_nothing(number: signal.Signals) -> None:
    process, reading = start_demo("--format", "1080p50", "--seconds", "60", "--speed", "0.1")
    wait_for_text(reading, b"sent ")
    assert len(list_namespaces(process)) == 3
    process.send_signal(number)
    text = read_all(reading)
    assert process.wait() == 130, text
    assert "interrupted" in text
    assert list_namespaces(process) == []
