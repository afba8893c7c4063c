# SPDX-License-Identifier: Apache-2.0
"""What `make bench-lab` makes of a guest's serial log."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def lab_figures(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    return importlib.import_module("lab_figures")


def render_round(who: str, megaframes_per_s: list[float], ticks: str = "TICKS 2000000 10 20 30 100") -> str:
    """As the guest prints it: pkt-gen's samples of 100 ms, empty ones around them, two not whole at either end."""
    rates = [0.0, 0.1, 0.1, *megaframes_per_s, 0.1, 0.1, 0.0]
    samples = "".join(
        f"RX 05.0 main_thread [2781] {rate:.3f} Mpps ({rate * 100:.3f} Kpkts 1.0 Gbps in 100000 usec) 511.50"
        " avg_batch 1 min_space\r\n"
        for rate in rates
    )
    return f"STEP insmod\r\nMEASURE {who} pipes,_as_they_are 60\r\n{ticks}\r\n{samples}"


def test_samples_of_all_rounds_count_but_those_not_whole(lab_figures: ModuleType) -> None:
    serial = render_round("routes,_rewrite", [1.5, 2.0]) + render_round("routes,_rewrite", [2.5])
    (figure,) = lab_figures.parse_figures(serial)
    assert (figure.who, figure.where, figure.frame_bytes) == ("routes, rewrite", "pipes, as they are", 60)
    assert figure.frames_per_s == pytest.approx((1.5e6, 2e6, 2.5e6))
    assert figure.details == pytest.approx({"cpu": 0.5, "user": 0.1})


def test_slow_phases_do_not_move_the_fastest_tenth(lab_figures: ModuleType) -> None:
    steady = [2.0 + number / 100 for number in range(20)]
    slow_half = [rate * (0.6 if number < 10 else 1) for number, rate in enumerate(steady)]
    serial = render_round("bridge", steady) + render_round("cross-connect", slow_half)
    bridge, ours = lab_figures.parse_figures(serial)
    assert lab_figures.compute_fastest(bridge) == lab_figures.compute_fastest(ours) == pytest.approx(2.18e6)
    row = lab_figures.render_table([bridge, ours], "bridge").splitlines()[-1]
    assert (
        row == "| pipes, as they are | 60 | cross-connect | 2,180,000 | 1.00 | 1,677,000 | 0.80 | 50% | 10% |"
    )


def test_a_forwarder_without_frames_has_no_samples(lab_figures: ModuleType) -> None:
    (figure,) = lab_figures.parse_figures("MEASURE bridge pipes 60\r\nTICKS 2000000 1 1 1 1\r\n")
    assert figure.frames_per_s == ()
    assert lab_figures.compute_fastest(figure) == 0
