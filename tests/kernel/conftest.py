# SPDX-License-Identifier: Apache-2.0
"""A studio in network namespaces: camera -> appliance -> red and blue. Needs root and a kernel with veth and XDP.

tests/media has the parts; it is put on the path here because pytest runs with --import-mode=importlib.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "media"))

from lab_net import LabNet, reason_not_available
from studio import Studio


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    reason = reason_not_available() if here else None
    for item in here:
        item.add_marker(pytest.mark.kernel)
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """Namespaces and links; the appliance is there but not started."""
    with LabNet("kernel") as net:
        yield Studio.build(net, tmp_path)


@pytest.fixture
def forwarding(studio: Studio) -> Studio:
    """With an appliance that forwards 239.20.1.1 to red and 239.20.1.2 to blue."""
    studio.start()
    return studio
