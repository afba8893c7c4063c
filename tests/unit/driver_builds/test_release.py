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
        ("5.10.0-46-cloud-amd64", (5, 10, 0), "5.10", "cloud-amd64", None),
        ("6.1.0-0.deb11.52-cloud-amd64", (6, 1, 0), "6.1", "cloud-amd64", None),
        ("6.1.0-0.deb11.52-rt-amd64", (6, 1, 0), "6.1", "amd64", "rt"),
        ("5.10.0-0.bpo.15-amd64", (5, 10, 0), "5.10", "amd64", None),
        ("6.12.117+deb12-rt-amd64", (6, 12, 117), "6.12", "amd64", "rt"),
        ("6.12.115+deb13.1-cloud-amd64", (6, 12, 115), "6.12", "cloud-amd64", None),
        ("7.3.4+deb13-rt-amd64", (7, 3, 4), "7.3", "amd64", "rt"),
        ("6.5.0-0.deb12.4-amd64", (6, 5, 0), "6.5", "amd64", None),
        ("5.15.0-119-generic", (5, 15, 0), "5.15", "generic", None),
        ("6.8.0-49-generic", (6, 8, 0), "6.8", "generic", None),
        ("6.8.0-49-lowlatency", (6, 8, 0), "6.8", "lowlatency", None),
        ("5.14.0-427.13.1.el9_4.x86_64", (5, 14, 0), "5.14", "x86_64", None),
        ("5.14.0-70.el9.x86_64", (5, 14, 0), "5.14", "x86_64", None),
        ("5.14.0-503.11.1.el9_5.x86_64+rt", (5, 14, 0), "5.14", "x86_64", "rt"),
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
        "5.14.0-427.el9_4.x86_64+rt;reboot",
        "5.14.0-427.13.1.el9_4.x86_64/..",
        "6.12.117+DEB13-amd64",
        "6.12.117+deb13-amd64 ",
        "6.12.117+deb13-rt-rt-amd64",
        "6.12.117\u2212amd64",
        "6.1.0-" + "9" * 100 + "-amd64",
    ],
)
def test_hostile_releases_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a kernel release of Debian") as caught:
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
