# SPDX-License-Identifier: Apache-2.0
"""Kernel release strings: what Debian writes is taken apart, everything else is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driver_builds.errors import ExitCode, UsageError
from driver_builds.release import parse_release, release_order


@pytest.mark.parametrize(
    ("text", "version", "series", "flavour", "featureset"),
    [
        ("6.1.0-56-amd64", (6, 1, 0), "6.1", "amd64", None),
        ("6.1.0-56-cloud-amd64", (6, 1, 0), "6.1", "cloud-amd64", None),
        ("6.1.0-56-rt-amd64", (6, 1, 0), "6.1", "amd64", "rt"),
        ("6.12.117+deb12-amd64", (6, 12, 117), "6.12", "amd64", None),
        ("6.12.9+bpo-amd64", (6, 12, 9), "6.12", "amd64", None),
        ("6.1.0-0.deb11.25-amd64", (6, 1, 0), "6.1", "amd64", None),
        ("5.10.0-33-arm64", (5, 10, 0), "5.10", "arm64", None),
    ],
)
def test_debian_releases(
    text: str, version: tuple[int, int, int], series: str, flavour: str, featureset: str | None
) -> None:
    release = parse_release(text)
    assert release.text == text
    assert (release.version, release.series) == (version, series)
    assert (release.flavour, release.featureset) == (flavour, featureset)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "6.1",
        "6.1.0",
        "amd64",
        "6.1.0-56",
        "6.1.0-56-amd64\n",
        " 6.1.0-56-amd64",
        "6.1.0-56-amd64/../../etc",
        "../6.1.0-56-amd64",
        "6.1.0-56-amd64;reboot",
        "$(reboot)-6.1.0-56-amd64",
        "-oDpkg::Pre-Invoke=x-amd64",
        "\u0666.1.0-56-amd64",
        "6.1.0-56-amd64\x00",
        "6.1.0--amd64",
        "6.1.0-" + "9" * 100 + "-amd64",
    ],
)
def test_hostile_releases_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a Debian kernel release") as caught:
        parse_release(text)
    assert caught.value.exit_code is ExitCode.USAGE
    assert len(str(caught.value)) < 400


@settings(deadline=None)
@given(st.text(max_size=80))
def test_whatever_passes_is_a_safe_file_name(text: str) -> None:
    try:
        release = parse_release(text)
    except UsageError:
        return
    assert release.text == text
    assert text.isascii()
    assert "/" not in text
    assert not text.startswith(("-", "."))


def test_order_is_by_numbers() -> None:
    texts = ["6.12.117+deb12-amd64", "6.1.0-56-amd64", "6.1.0-9-amd64"]
    ordered = sorted(map(parse_release, texts), key=release_order)
    assert [release.text for release in ordered] == [
        "6.1.0-9-amd64",
        "6.1.0-56-amd64",
        "6.12.117+deb12-amd64",
    ]
