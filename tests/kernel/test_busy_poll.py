# SPDX-License-Identifier: Apache-2.0
"""`busy_poll` of xdp: ports on veth: used where the kernel polls for a socket, refused where it would not."""

import os

from media_tools import MediaSource
from studio import RED_GROUP, Studio, check_all_arrived

VIDEO = MediaSource(format="1080p50", seconds=0.2, group=RED_GROUP)
# Since 6.13 a driver has to say which NAPI instance a queue has; veth does not.
VETH_CAN_BE_POLLED = tuple(int(part) for part in os.uname().release.split(".")[:2]) < (6, 13)


def read_settings(studio: Studio) -> list[str]:
    """napi_defer_hard_irqs and gro_flush_timeout (ns) of the ingress interface."""
    files = [f"/sys/class/net/in/{name}" for name in ("napi_defer_hard_irqs", "gro_flush_timeout")]
    return studio.net.run(studio.middle, ["cat", *files]).split()


def test_busy_poll_is_used_or_refused(studio: Studio) -> None:
    studio.wait = "busy"
    studio.xdp = {"busy_poll": {"flush_timeout_us": 300}}
    before = read_settings(studio)
    if VETH_CAN_BE_POLLED:
        studio.start()
        assert read_settings(studio) == ["2", "300000"]
        ports = studio.appliance.status().document["ports"]
        assert [(port["sync"], port["busy_poll_us"]) for port in ports] == [("busy_poll", 20)] * 3
        sent, reports = studio.transmit(VIDEO, {"red": [RED_GROUP]})
        check_all_arrived(sent, reports, ["red"])
        studio.appliance.stop()
    else:
        studio.appliance.config.write_text(studio.config())
        done = studio.appliance.run("run", "--config", str(studio.appliance.config))
        assert done.returncode == 1
        assert "leave `busy_poll` out" in done.stderr
    assert read_settings(studio) == before
    assert studio.net.process_ids(studio.middle) == []
    assert "xdp" not in studio.net.run(studio.middle, ["ip", "-d", "link"])


def test_without_it_status_says_calls(forwarding: Studio) -> None:
    assert {port["sync"] for port in forwarding.appliance.status().document["ports"]} == {"calls"}
