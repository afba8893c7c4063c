# SPDX-License-Identifier: Apache-2.0
"""What the file says is what the workers do."""

import hashlib
from typing import Any


def test_active_generation_is_the_file(configuration_text: str, status: dict[str, Any]) -> None:
    seen = status["generation"]
    wanted = hashlib.sha256(configuration_text.encode()).hexdigest()
    assert seen["digest"] == wanted, (
        f"generation {seen['active']} was made from another text than the file on disk "
        f"({seen['digest']}, the file has {wanted}); run appliance apply"
    )


def test_workers_use_the_active_generation(status: dict[str, Any]) -> None:
    published = {worker["name"]: worker["published"] for worker in status["workers"]}
    for worker in status["workers"]:
        assert worker["generation"] == published[worker["name"]] > 0, (
            f"worker {worker['name']} uses generation {worker['generation']}, {worker['published']} was published"
        )


def test_ports_are_open(configuration: dict[str, Any], status: dict[str, Any]) -> None:
    wanted = {port["name"]: port["device"] for port in configuration["ports"]}
    for port in configuration["ports"]:  # the host's side of a netmap port is a port of its own
        if port.get("host_stack") and port["device"].startswith("netmap:"):
            wanted[port["name"] + "^"] = port["device"] + "^"
    seen = {port["name"]: port["device"] for port in status["ports"]}
    assert seen == wanted, f"open ports are {seen}, configured are {wanted}"


def test_ports_have_rings(status: dict[str, Any]) -> None:
    for port in status["ports"]:
        numbers = {key: port[key] for key in ("rx_rings", "tx_rings", "rx_slots", "tx_slots", "buffer_bytes")}
        assert all(value > 0 for value in numbers.values()), f"port {port['name']}: {numbers}"


def test_xdp_ports_are_what_was_asked(configuration: dict[str, Any], status: dict[str, Any]) -> None:
    names = {
        ("native", "copy"): "xdp_copy",
        ("native", "zerocopy"): "xdp_zerocopy",
        ("generic", "copy"): "xdp_generic",
    }
    adapters = {port["name"]: port["adapter"] for port in status["ports"]}
    for port in configuration["ports"]:
        if port["device"].startswith("xdp:"):
            options = port.get("xdp") or {}
            wanted = names[options.get("mode", "native"), options.get("copy", "copy")]
            assert adapters[port["name"]] == wanted, (
                f"port {port['name']} works as {adapters[port['name']]}, {wanted} was asked for"
            )


def test_routes_are_active(configuration: dict[str, Any], status: dict[str, Any]) -> None:
    wanted = sorted(route["name"] for route in configuration.get("routes", []))
    assert sorted(route["name"] for route in status["routes"]) == wanted
