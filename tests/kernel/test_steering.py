# SPDX-License-Identifier: Apache-2.0
"""`steer: ntuple` where the NIC has no flow rules: refused before anything is touched, nothing left behind."""

from studio import Studio


def test_a_nic_without_flow_rules_is_refused(studio: Studio) -> None:
    text = studio.config().replace("device: xdp:in\n", "device: xdp:in-0\n  steer: ntuple\n")
    assert "steer: ntuple" in text
    studio.appliance.config.write_text(text)
    done = studio.appliance.run("run", "--config", str(studio.appliance.config))
    assert done.returncode == 1
    assert "interface in: the driver has no flow rules (ntuple)" in done.stderr
    assert "remove `steer`" in done.stderr
    assert studio.net.process_ids(studio.middle) == []
    assert "xdp" not in studio.net.run(studio.middle, ["ip", "-d", "link"])
