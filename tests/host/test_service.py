# SPDX-License-Identifier: Apache-2.0
"""The service is installed, up, enabled, and built so that frames outlive the daemon."""

from typing import Any

from testinfra.host import Host

_KEYS = (
    "ActiveState",
    "UnitFileState",
    "KillMode",
    "Restart",
    "RuntimeDirectoryPreserve",
    "LimitMEMLOCK",
    "MainPID",
)


def read_unit(host: Host) -> dict[str, str]:
    """Properties of appliance.service as systemd sees them."""
    output = host.check_output(
        "systemctl show appliance.service " + " ".join(f"--property={key}" for key in _KEYS)
    )
    return dict(line.split("=", 1) for line in output.splitlines())


def test_service_is_up_and_enabled(host: Host) -> None:
    unit = read_unit(host)
    assert unit["ActiveState"] == "active", (
        f"appliance.service is {unit['ActiveState']}:\n"
        + host.run("journalctl --unit appliance.service --lines 20 --no-pager --output cat").stdout
    )
    assert unit["UnitFileState"] == "enabled", f"appliance.service is {unit['UnitFileState']} at boot"


def test_workers_outlive_the_daemon(host: Host) -> None:
    unit = read_unit(host)
    wanted = {
        "KillMode": "process",
        "Restart": "on-failure",
        "RuntimeDirectoryPreserve": "yes",
        "LimitMEMLOCK": "infinity",
    }
    assert {key: unit[key] for key in wanted} == wanted


def test_status_is_the_services_daemon(host: Host, status: dict[str, Any]) -> None:
    daemon = status["daemon"]
    assert daemon["running"], f"no daemon answers: {daemon['problem']}"
    main = int(read_unit(host)["MainPID"])
    assert daemon["pid"] == main, f"process {daemon['pid']} answers, the service's is {main}"


def test_command_is_the_release_in_use(host: Host) -> None:
    link = host.file("/usr/local/bin/appliance")
    assert link.is_symlink, "/usr/local/bin/appliance is no link; run playbooks/appliance.yml"
    assert link.linked_to.startswith("/opt/appliance/"), f"/usr/local/bin/appliance leads to {link.linked_to}"


def test_control_socket_is_for_root_only(host: Host) -> None:
    socket = host.file("/run/appliance/control.sock")
    assert socket.is_socket
    assert (socket.user, oct(socket.mode)) == ("root", "0o660")


def test_second_daemon_is_refused(host: Host) -> None:
    result = host.run("appliance run")
    assert result.rc == 5, f"a second daemon ended with {result.rc}, wanted 5 (refused): {result.stderr}"


def test_workers_are_processes_of_their_own(host: Host, status: dict[str, Any]) -> None:
    assert status["workers"], "the appliance shows no worker"
    for worker in status["workers"]:
        assert worker["alive"], f"worker {worker['name']} (process {worker['pid']}) is gone"
        assert worker["running"], f"worker {worker['name']} does not run its loop"
        assert worker["pid"] != status["daemon"]["pid"]
