# SPDX-License-Identifier: Apache-2.0
"""From NETMAP_SOURCE to a checked tree of netmap's files in the cache.

NETMAP_SOURCE is a URL (https or file; git or a tarball), a bare git directory, a work tree or a tarball. A
git source gives the pinned commit, whatever is checked out there; the others give the files they hold.
"""

import re
import shutil
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from driver_builds import archive, process, store
from driver_builds.catalogue import NetmapPin
from driver_builds.errors import DriverBuildError, RefusedAsUnsafe, UsageError
from driver_builds.tree_hash import hash_tree

_TARBALL = re.compile(r"\.(tar|tgz|tar\.(gz|xz|bz2))$")


class SourceKind(StrEnum):
    """What NETMAP_SOURCE points at."""

    GIT_URL = "git URL"
    TARBALL_URL = "tarball URL"
    GIT_DIRECTORY = "git directory"
    TARBALL = "tarball"
    DIRECTORY = "directory"


_URLS = frozenset({SourceKind.GIT_URL, SourceKind.TARBALL_URL})


@dataclass(frozen=True, slots=True)
class NetmapTree:
    """netmap's files, unpacked at `path` in the cache; `commit` is None when the source did not say it."""

    path: Path
    sha256: str
    commit: str | None
    url: str | None
    origin: str
    pinned: bool

    def read_patch_names(self) -> tuple[str, ...]:
        """The file names of the driver patches this tree carries, sorted."""
        return tuple(sorted(entry.name for entry in self.patches.iterdir()))

    @property
    def patches(self) -> Path:
        return self.path / "LINUX" / "final-patches"


def parse_netmap_source(text: str | None, pin: NetmapPin) -> tuple[SourceKind, str]:
    """Kind and location of a NETMAP_SOURCE; looks at the file system, changes nothing."""
    if not text:
        raise DriverBuildError(
            "netmap source: NETMAP_SOURCE is not set; set it (or give --netmap-source) to a clone or tarball "
            f"of {pin.url} at commit {pin.commit[:12]}, or to that URL"
        )
    if "://" in text:
        return _parse_url(text)
    path = Path(text)
    if path.is_file():
        return SourceKind.TARBALL, text
    if (path / ".git").exists() or ((path / "HEAD").is_file() and (path / "objects").is_dir()):
        return SourceKind.GIT_DIRECTORY, text
    if (path / "LINUX" / "configure").is_file():
        return SourceKind.DIRECTORY, text
    seen = "holds neither a git repository nor netmap's files" if path.is_dir() else "does not exist"
    raise DriverBuildError(
        f"netmap source {text}: {seen}; NETMAP_SOURCE takes a URL, a git directory, a work tree or a tarball"
    )


def _parse_url(text: str) -> tuple[SourceKind, str]:
    url = urlsplit(text)
    if url.scheme not in {"https", "file"}:
        raise UsageError(f"netmap source {url.scheme}://…: only https:// and file:// are fetched")
    if "@" in url.netloc:
        raise UsageError("netmap source: the URL carries a user name; give it to git by a credential helper")
    return (SourceKind.TARBALL_URL if _TARBALL.search(url.path) else SourceKind.GIT_URL), text


def load_netmap_tree(text: str | None, cache: Path, pin: NetmapPin, *, accept: bool = False) -> NetmapTree:
    """The tree NETMAP_SOURCE gives, unpacked once into `cache`/trees.

    Raises RefusedAsUnsafe when it is not the pinned one and `accept` is false: the tree's scripts are run.
    """
    kind, location = parse_netmap_source(text, pin)
    trees = cache / "trees"
    tree = NetmapTree(trees / pin.tree_sha256, pin.tree_sha256, pin.commit, pin.url, location, True)
    if accept or kind not in _URLS or not tree.path.is_dir():
        tree = _read_tree(kind, location, trees, pin, accept)
    if hash_tree(tree.path) != tree.sha256:
        raise RefusedAsUnsafe(
            f"{tree.path}: its files were changed since; delete that folder and build again"
        )
    if not (tree.path / "LINUX" / "configure").is_file():
        raise DriverBuildError(
            f"netmap source {location}: has no LINUX/configure; this is not netmap's source"
        )
    return tree


def _read_tree(kind: SourceKind, location: str, trees: Path, pin: NetmapPin, accept: bool) -> NetmapTree:
    trees.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=trees) as scratch:
        commit, unpacked = _unpack(kind, location, Path(scratch), None if accept else pin.commit)
        digest = hash_tree(unpacked)
        if digest == pin.tree_sha256:
            tree = NetmapTree(trees / digest, digest, pin.commit, pin.url, location, True)
        elif accept:
            url = location if kind in _URLS else None
            tree = NetmapTree(trees / digest, digest, commit, url, location, False)
        else:
            raise RefusedAsUnsafe(
                f"netmap source {location}: tree {digest[:16]} is not the pinned {pin.tree_sha256[:16]} "
                f"(commit {pin.commit[:12]}); give that commit, or --accept-netmap-tree to build this one"
            )
        with store.locked(tree.path):
            if not tree.path.is_dir():
                unpacked.rename(tree.path)
    return tree


def _find_top(unpacked: Path) -> Path:
    """`unpacked` itself, or the one folder in it when the tarball was written with a prefix."""
    entries = list(unpacked.iterdir())
    if (unpacked / "LINUX").is_dir() or len(entries) != 1 or not entries[0].is_dir():
        return unpacked
    return entries[0]


def _unpack(kind: SourceKind, location: str, scratch: Path, commit: str | None) -> tuple[str | None, Path]:
    """Commit (when known) and folder with the files; `commit` None asks a git source for its HEAD."""
    target = scratch / "tree"
    if kind is SourceKind.GIT_DIRECTORY:
        path = Path(location)
        git = path / ".git" if (path / ".git").exists() else path
        return _unpack_git(
            ["-C", str(path)] if git != path else ["--git-dir", str(path)], location, target, commit
        )
    if kind is SourceKind.GIT_URL:
        bare = ["--git-dir", str(scratch / "git")]
        _fetch_git(bare, location, commit)
        return _unpack_git(bare, location, target, "FETCH_HEAD")
    if kind is SourceKind.DIRECTORY:
        shutil.copytree(location, target, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        return None, target
    tarball = Path(location)
    if kind is SourceKind.TARBALL_URL:
        tarball = scratch / "download"
        _fetch_file(location, tarball)
    archive.unpack_tarball(tarball, target)
    return None, _find_top(target)


def _unpack_git(git: list[str], location: str, target: Path, commit: str | None) -> tuple[str, Path]:
    asked = commit or "HEAD"
    environment = process.fetch_environment()
    parsed = process.run(
        ["git", *git, "rev-parse", "--verify", "--quiet", f"{asked}^{{commit}}"], environment=environment
    )
    found = parsed.output.strip()
    if parsed.status != 0 or not re.fullmatch("[0-9a-f]{40,64}", found):
        detail = f" (git: {found})" if found else ""
        raise RefusedAsUnsafe(
            f"netmap source {location}: has no commit {asked[:12]}{detail}; "
            "fetch it there, or give --accept-netmap-tree to build its HEAD"
        )
    try:
        archive.unpack_git(git, found, target)
    except DriverBuildError as error:
        raise type(error)(f"netmap source {location}: {error}") from error
    return found, target


def _fetch_git(git: list[str], url: str, commit: str | None) -> None:
    environment = process.fetch_environment()
    for arguments in (
        ["init", "--quiet", "--bare"],
        ["fetch", "--quiet", "--depth=1", url, commit or "HEAD"],
    ):
        done = process.run(["git", *git, *arguments], environment=environment)
        if done.status != 0:
            raise DriverBuildError(f"netmap source {url}: git {arguments[0]} failed: {done.output.strip()}")


def _fetch_file(url: str, target: Path) -> None:
    try:
        archive.download(url, target)
    except DriverBuildError as error:
        raise DriverBuildError(
            f"netmap source {url}: cannot be fetched: {error}; set NETMAP_SOURCE to "
            "a URL this build host reaches, or to a git directory or tarball on it"
        ) from error
