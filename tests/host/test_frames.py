# SPDX-License-Identifier: Apache-2.0
"""Every frame is accounted for, and as many as were sent have crossed."""

from typing import Any


def test_no_problem_is_reported(status: dict[str, Any]) -> None:
    assert not status["problems"], "appliance status reports:\n" + "\n".join(status["problems"])


def test_received_frames_are_accounted_for(status: dict[str, Any]) -> None:
    for port in status["ports"]:
        dropped = sum(port["dropped_frames"].values())
        accounted = (
            port["forwarded_frames"]
            + port["merged_frames"]
            + port["to_host_frames"]
            + port["held_frames"]
            + dropped
        )
        assert port["received_frames"] == accounted, (
            f"port {port['name']}: {port['received_frames']} frames received, {accounted} accounted for"
        )


def test_offered_copies_are_accounted_for(status: dict[str, Any]) -> None:
    for port in status["ports"]:
        accounted = port["transmitted_frames"] + port["tx_full_frames"] + port["tx_too_long_frames"]
        assert port["offered_frames"] == accounted, (
            f"port {port['name']}: {port['offered_frames']} copies offered, {accounted} accounted for"
        )


def test_workers_are_balanced(status: dict[str, Any]) -> None:
    assert {worker["name"]: worker["balanced"] for worker in status["workers"]} == {
        worker["name"]: True for worker in status["workers"]
    }


def test_no_sync_failed(status: dict[str, Any]) -> None:
    assert {port["name"]: port["sync_errors"] for port in status["ports"]} == {
        port["name"]: 0 for port in status["ports"]
    }


def test_no_frame_that_a_route_took_was_lost(status: dict[str, Any]) -> None:
    for port in status["ports"]:
        lost = {
            key: port["dropped_frames"].get(key, 0)
            for key in ("tx_full", "too_long", "bad_slot", "multi_slot")
        }
        assert not any(lost.values()), f"port {port['name']} lost frames: {lost}"
        assert port["tx_full_frames"] == 0, (
            f"port {port['name']}: {port['tx_full_frames']} copies found its ring full"
        )


def test_expected_frames_were_forwarded(status: dict[str, Any], expected_frames: int) -> None:
    received = sum(worker["account"]["received_frames"] for worker in status["workers"])
    forwarded = sum(worker["account"]["forwarded_frames"] for worker in status["workers"])
    assert forwarded >= expected_frames, (
        f"{forwarded} frames were forwarded ({received} received), at least {expected_frames} were expected"
    )
