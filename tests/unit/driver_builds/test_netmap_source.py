# SPDX-License-Identifier: Apache-2.0
"""NETMAP_SOURCE in all its forms gives the same tree, or a line that says what to do."""

import io
import tarfile
from pathlib import Path

import pytest

from driver_builds.catalogue import load_netmap_pin
from driver_builds.errors import DriverBuildError, ExitCode, RefusedAsUnsafe, UsageError
from driver_builds.netmap_source import SourceKind, load_netmap_tree, parse_netmap_source
from driver_builds.tree_hash import hash_tree

from .conftest import NetmapLike, run_git


def _make_source(netmap: NetmapLike, form: str, tmp_path: Path) -> str:
    git, tarball = tmp_path / "bare.git", tmp_path / "netmap.tar.gz"
    match form:
        case "work tree":
            return str(netmap.folder)
        case "bare git directory":
            run_git(tmp_path, "clone", "-q", "--bare", str(netmap.folder), str(git))
            return str(git)
        case "git URL":
            run_git(tmp_path, "clone", "-q", "--bare", str(netmap.folder), str(git))
            return f"file://{git}"
        case "plain folder":
            run_git(netmap.folder, "worktree", "add", "-q", str(tmp_path / "plain"))
            (tmp_path / "plain" / ".git").unlink()
            return str(tmp_path / "plain")
        case "tarball":
            run_git(netmap.folder, "archive", "--format=tar.gz", f"--output={tarball}", "HEAD")
            return str(tarball)
        case "tarball with a top folder":
            run_git(netmap.folder, "archive", "--prefix=netmap-1/", f"--output={tarball}", "HEAD")
            return str(tarball)
        case "tarball URL":
            run_git(netmap.folder, "archive", "--prefix=netmap-1/", f"--output={tarball}", "HEAD")
            return f"file://{tarball}"
    raise AssertionError(form)


FORMS = [
    "work tree",
    "bare git directory",
    "git URL",
    "plain folder",
    "tarball",
    "tarball with a top folder",
    "tarball URL",
]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_pinned_tree(netmap: NetmapLike, tmp_path: Path, form: str) -> None:
    pin = netmap.build_pin(hash_tree(netmap.folder))
    cache = tmp_path / "cache"
    tree = load_netmap_tree(_make_source(netmap, form, tmp_path), cache, pin)
    assert (tree.sha256, tree.commit, tree.pinned, tree.url) == (pin.tree_sha256, pin.commit, True, pin.url)
    assert hash_tree(tree.path) == pin.tree_sha256
    assert tree.read_patch_names() == ("vanilla--e1000--31200--99999",)
    assert not list((cache / "trees").glob(".new-*")), "left-overs"


def test_git_gives_the_pinned_commit_whatever_is_checked_out(netmap: NetmapLike, tmp_path: Path) -> None:
    pin = netmap.build_pin(hash_tree(netmap.folder))
    (netmap.folder / "later").write_text("a later commit\n")
    netmap.commit_all("later")
    (netmap.folder / "LINUX" / "configure").write_text("an edit nobody committed\n")
    assert load_netmap_tree(str(netmap.folder), tmp_path / "cache", pin).sha256 == pin.tree_sha256


@pytest.mark.parametrize("form", FORMS)
def test_another_tree_is_refused_by_name(netmap: NetmapLike, tmp_path: Path, form: str) -> None:
    pin = netmap.build_pin("0" * 64)
    source = _make_source(netmap, form, tmp_path)
    with pytest.raises(RefusedAsUnsafe, match="is not the pinned 0000000000000000") as caught:
        load_netmap_tree(source, tmp_path / "cache", pin)
    assert source in str(caught.value)
    assert hash_tree(netmap.folder)[:16] in str(caught.value)
    assert "--accept-netmap-tree" in str(caught.value)
    assert caught.value.exit_code is ExitCode.UNSAFE
    assert not any((tmp_path / "cache" / "trees").iterdir()), "a refused tree must not stay"


def test_another_tree_is_taken_when_accepted(netmap: NetmapLike, tmp_path: Path) -> None:
    pin = netmap.build_pin("0" * 64, commit="1" * 40)
    tree = load_netmap_tree(str(netmap.folder), tmp_path / "cache", pin, accept=True)
    assert (tree.pinned, tree.commit, tree.url) == (False, netmap.commit, None)
    assert tree.sha256 == hash_tree(netmap.folder)


def test_git_without_the_pinned_commit(netmap: NetmapLike, tmp_path: Path) -> None:
    pin = netmap.build_pin(hash_tree(netmap.folder), commit="1" * 40)
    with pytest.raises(RefusedAsUnsafe, match="has no commit 111111111111"):
        load_netmap_tree(str(netmap.folder), tmp_path / "cache", pin)


def test_git_that_cannot_give_all_its_files_says_why(netmap: NetmapLike, tmp_path: Path) -> None:
    pin = netmap.build_pin(hash_tree(netmap.folder))
    blob = run_git(netmap.folder, "rev-parse", "HEAD:LINUX/configure")
    (netmap.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(
        DriverBuildError, match=rf"netmap source /.*: git failed with status [0-9]+: .*{blob}"
    ):
        load_netmap_tree(str(netmap.folder), tmp_path / "cache", pin)


def test_a_changed_tree_in_the_cache_is_refused(netmap: NetmapLike, tmp_path: Path) -> None:
    pin = netmap.build_pin(hash_tree(netmap.folder))
    tree = load_netmap_tree(str(netmap.folder), tmp_path / "cache", pin)
    (tree.path / "LINUX" / "configure").write_text("evil\n")
    with pytest.raises(RefusedAsUnsafe, match="its files were changed since") as caught:
        load_netmap_tree(str(netmap.folder), tmp_path / "cache", pin)
    assert str(tree.path) in str(caught.value)


def test_a_url_is_not_fetched_twice_but_still_checked(netmap: NetmapLike, tmp_path: Path) -> None:
    pin = netmap.build_pin(hash_tree(netmap.folder))
    source = _make_source(netmap, "tarball URL", tmp_path)
    tree = load_netmap_tree(source, tmp_path / "cache", pin)
    Path(source.removeprefix("file://")).unlink()
    assert load_netmap_tree(source, tmp_path / "cache", pin).sha256 == pin.tree_sha256
    (tree.path / "LINUX" / "configure").write_text("evil\n")
    with pytest.raises(RefusedAsUnsafe, match="its files were changed since"):
        load_netmap_tree(source, tmp_path / "cache", pin)


def test_unset_says_in_one_line_what_to_set() -> None:
    pin = load_netmap_pin()
    for unset in (None, ""):
        with pytest.raises(DriverBuildError) as caught:
            parse_netmap_source(unset, pin)
        assert "NETMAP_SOURCE is not set; set it" in str(caught.value)
        assert pin.url in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code is ExitCode.FAILED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://example.invalid/netmap.git", "only https:// and file://"),
        ("ext::sh -c id", "does not exist"),
        ("https://name:password@example.invalid/netmap", "carries a user name"),
        ("/nowhere/at/all", "does not exist"),
    ],
)
def test_what_is_not_taken(text: str, said: str) -> None:
    with pytest.raises((UsageError, DriverBuildError), match=said) as caught:
        parse_netmap_source(text, load_netmap_pin())
    assert "password" not in str(caught.value)


def test_a_folder_that_is_something_else(tmp_path: Path) -> None:
    with pytest.raises(DriverBuildError, match="holds neither a git repository nor netmap's files"):
        parse_netmap_source(str(tmp_path), load_netmap_pin())


def test_urls_are_told_apart() -> None:
    pin = load_netmap_pin()
    assert parse_netmap_source(pin.url, pin)[0] is SourceKind.GIT_URL
    assert parse_netmap_source(f"{pin.url}/archive/{pin.commit}.tar.gz", pin)[0] is SourceKind.TARBALL_URL


def test_a_url_nobody_serves(tmp_path: Path) -> None:
    with pytest.raises(DriverBuildError, match=r"cannot be fetched: .*No such file"):
        load_netmap_tree(f"file://{tmp_path}/none.tar.gz", tmp_path / "cache", load_netmap_pin())


@pytest.mark.parametrize("name", ["../outside", "/outside", "tree/../../outside"])
def test_a_tarball_that_would_leave_its_folder(tmp_path: Path, name: str) -> None:
    tarball = tmp_path / "evil.tar"
    with tarfile.open(tarball, "w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 4
        tar.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(DriverBuildError):
        load_netmap_tree(str(tarball), tmp_path / "cache", load_netmap_pin())
    assert not list(tmp_path.rglob("outside"))


def test_a_tarball_that_is_cut_off(netmap: NetmapLike, tmp_path: Path) -> None:
    source = Path(_make_source(netmap, "tarball", tmp_path))
    source.write_bytes(source.read_bytes()[:-200])
    with pytest.raises(DriverBuildError, match="not a whole tar archive"):
        load_netmap_tree(str(source), tmp_path / "cache", load_netmap_pin())


def test_a_git_url_nobody_serves(tmp_path: Path) -> None:
    with pytest.raises(DriverBuildError, match="git fetch failed"):
        load_netmap_tree(f"file://{tmp_path}/none.git", tmp_path / "cache", load_netmap_pin())
