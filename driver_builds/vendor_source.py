# SPDX-License-Identifier: Apache-2.0
"""From `--vendor-source NAME=…` to a checked tree of that release's files in the cache.

A source is a tarball, a folder, a git directory (asked for the release's tag) or a URL of a tarball. What it must be
is the release's pin; without one nothing is taken unless the operator says so, for its scripts are run.
"""

import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from driver_builds import archive, store
from driver_builds.errors import DriverBuildError, RefusedAsUnsafe, UsageError
from driver_builds.tree_hash import hash_file, hash_tree
from driver_builds.vendors import VendorRelease, VendorTree

OPTION = "--vendor-source"
VARIABLE = "DRIVER_BUILDS_VENDOR_SOURCES"


def load_vendor_tree(
    text: str | None, release: VendorRelease, cache: Path, *, accept: bool = False
) -> VendorTree:
    """The release's files, unpacked once into `cache`/trees.

    Raises RefusedAsUnsafe when they are not the pinned ones, or nothing is pinned, and `accept` is false.
    """
    if not text:
        raise DriverBuildError(
            f"driver {release.driver}: no source of {release.describe()}; give {OPTION} {release.driver}=FILE (or a "
            f"folder, a git directory, a URL), or set {VARIABLE}"
        )
    if release.sha256 is None and release.tree_sha256 is None and not accept:
        raise RefusedAsUnsafe(
            f"driver {release.driver}: {release.describe()}: nothing says what its bytes must be; add sha256 or "
            "tree_sha256 to the release, or --accept-vendor-tree to run its scripts all the same"
        )
    trees = cache / "trees"
    trees.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=trees) as scratch:
        archive_sha256, unpacked = _unpack(text, release, Path(scratch), accept)
        tree_sha256 = hash_tree(unpacked)
        pinned = _check_pins(text, release, archive_sha256, tree_sha256, accept)
        path = trees / f"{release.driver}-{tree_sha256}"
        with store.locked(path):
            if not path.is_dir():
                unpacked.rename(path)
    if hash_tree(path) != tree_sha256:
        raise RefusedAsUnsafe(f"{path}: its files were changed since; delete that folder and build again")
    if not (path / release.folder).is_dir():
        raise DriverBuildError(f"{_name(release, text)}: has no folder {release.folder}")
    return VendorTree(path, release, tree_sha256, archive_sha256, pinned)


def _name(release: VendorRelease, text: str) -> str:
    return f"source of {release.driver} {release.version} {text}"


def _check_pins(
    text: str, release: VendorRelease, archive_sha256: str | None, tree_sha256: str, accept: bool
) -> bool:
    """Whether every pin that can be compared is met, at least one; raises RefusedAsUnsafe else."""
    pairs = [(release.sha256, archive_sha256), (release.tree_sha256, tree_sha256)]
    compared = [(wanted, seen) for wanted, seen in pairs if wanted and seen]
    if compared and all(wanted == seen for wanted, seen in compared):
        return True
    if accept:
        return False
    if not compared:
        raise RefusedAsUnsafe(
            f"{_name(release, text)}: only the archive's SHA-256 is pinned, and this is none; give the archive "
            f"of {release.url}, or --accept-vendor-tree"
        )
    wanted, seen = next(pair for pair in compared if pair[0] != pair[1])
    raise RefusedAsUnsafe(
        f"{_name(release, text)}: is {seen}, not the pinned {wanted}; give the release of {release.url}, or "
        "--accept-vendor-tree to build this one"
    )


def _unpack(text: str, release: VendorRelease, scratch: Path, accept: bool) -> tuple[str | None, Path]:
    """SHA-256 of the archive when it is one, and the folder with its files."""
    target, path = scratch / "tree", Path(text)
    if "://" in text:
        path = scratch / "download"
        _fetch_file(text, release, path)
    if path.is_file():
        seen = hash_file(path)
        # Before it is unpacked: what is not the archive need not be looked into.
        if release.sha256 is not None:
            _check_pins(text, release.model_copy(update={"tree_sha256": None}), seen, "", accept)
        archive.unpack_tarball(path, target)
        return seen, _find_top(target, release)
    if (path / ".git").exists() or ((path / "HEAD").is_file() and (path / "objects").is_dir()):
        _unpack_git(path, release, target)
        return None, target
    if path.is_dir():
        shutil.copytree(path, target, symlinks=True)
        return None, target
    raise DriverBuildError(f"{_name(release, text)}: does not exist")


def _find_top(unpacked: Path, release: VendorRelease) -> Path:
    """`unpacked` itself, or the one folder in it when the tarball was written with a prefix."""
    entries = list(unpacked.iterdir())
    if len(entries) != 1 or not entries[0].is_dir():
        return unpacked
    # One folder may also be all the release has; then its own folder is there without going down.
    return unpacked if release.folder and (unpacked / release.folder).is_dir() else entries[0]


def _unpack_git(path: Path, release: VendorRelease, target: Path) -> None:
    if release.tag is None:
        raise UsageError(
            f"{_name(release, str(path))}: a git directory needs the release's tag; add tag = … to it"
        )
    place = ["-C", str(path)] if (path / ".git").exists() else ["--git-dir", str(path)]
    try:
        archive.unpack_git(place, release.tag, target)
    except DriverBuildError as error:
        raise type(error)(f"{_name(release, str(path))}: tag {release.tag}: {error}") from error


def _fetch_file(url: str, release: VendorRelease, target: Path) -> None:
    scheme = urlsplit(url).scheme
    if scheme not in {"https", "file"} or "@" in urlsplit(url).netloc:
        raise UsageError(f"{_name(release, f'{scheme}://…')}: only https:// and file:// without a user name")
    try:
        archive.download(url, target)
    except DriverBuildError as error:
        raise DriverBuildError(
            f"{_name(release, url)}: cannot be fetched: {error}; fetch it elsewhere and "
            f"give {OPTION} {release.driver}=FILE; wanted is {release.describe()}"
        ) from error
