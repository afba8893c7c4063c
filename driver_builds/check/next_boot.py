# SPDX-License-Identifier: Apache-2.0
"""The kernel a host boots next, decided as its boot loader decides it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from driver_builds.errors import DriverBuildError

_IMAGE = re.compile(r"(?:vmlinuz|vmlinux|kernel)-(.+)")
_QUOTED = r"""(?:'([^']*)'|"([^"]*)")"""


@dataclass(frozen=True, slots=True)
class NextKernel:
    """`release` as `uname -r` will say it, and in words how that is known."""

    release: str
    decided_by: str


@dataclass(slots=True)
class GrubEntry:
    """One entry or submenu of grub.cfg; `linux` is the kernel's path, None for a submenu."""

    title: str
    identifier: str | None
    linux: str | None = None
    entries: list["GrubEntry"] = field(default_factory=list)


def read_next_kernel(root: Path) -> NextKernel:
    """The next kernel of the host whose root folder is `root`; raises DriverBuildError when nothing says it."""
    config = root / "boot/grub/grub.cfg"
    if config.is_file():
        return _read_grub(root, config)
    for link in ("vmlinuz", "boot/vmlinuz"):
        path = root / link
        if path.is_symlink() and (release := parse_image_name(path.readlink().name)):
            return NextKernel(release, f"/{link} leads to {path.readlink()}")
    known = [
        release for path in (root / "boot").glob("vmlinuz-*") if (release := parse_image_name(path.name))
    ]
    if not known:
        raise DriverBuildError(
            f"{root}: neither grub.cfg nor a kernel in /boot says what boots next; give --kernel RELEASE"
        )
    return NextKernel(
        max(known, key=order_release), "the newest kernel in /boot; no boot loader says another"
    )


def _read_grub(root: Path, config: Path) -> NextKernel:
    text = config.read_text("utf-8", "replace")
    wanted, how = find_default(text, _read_environment(root / "boot/grub/grubenv"))
    entry = find_entry(parse_grub(text), wanted)
    if entry is None or entry.linux is None:
        raise DriverBuildError(
            f"{config}: its default entry {wanted!r} ({how}) is no Linux entry; "
            "run update-grub, or give --kernel RELEASE"
        )
    name = Path(entry.linux).name
    linked = root / "boot" / name
    if linked.is_symlink():
        name = linked.readlink().name
    release = parse_image_name(name)
    if release is None:
        raise DriverBuildError(
            f"{config}: {entry.linux} does not say which kernel it is; give --kernel RELEASE"
        )
    return NextKernel(release, f"grub boots {entry.title!r} ({how})")


def parse_image_name(name: str) -> str | None:
    """The release in "vmlinuz-6.1.0-56-amd64", or None."""
    match = _IMAGE.fullmatch(name)
    return match[1] if match else None


def order_release(release: str) -> tuple[tuple[int, ...], str]:
    """Sort key: oldest first, numbers as numbers."""
    return tuple(int(number) for number in re.findall(r"[0-9]+", release)), release


def _read_environment(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = path.read_text("utf-8", "replace").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def find_default(config: str, environment: dict[str, str]) -> tuple[str, str]:
    """The entry grub.cfg boots by default, and who says so; grub-reboot's choice comes first, as in grub.cfg."""
    if chosen := environment.get("next_entry"):
        return chosen, "chosen for one boot by grub-reboot"
    values = [a or b for a, b in re.findall(rf"(?m)^\s*set default={_QUOTED}", config)]
    values = [value for value in values if value != "${next_entry}"]
    if not values:
        return "0", "its first entry"
    if values[-1] == "${saved_entry}":
        return environment.get("saved_entry") or "0", "grub's saved entry"
    return values[-1], f"default {values[-1]!r} in grub.cfg"


def parse_grub(text: str) -> list[GrubEntry]:
    """The menu of a grub.cfg, submenus within their entry."""
    top = GrubEntry("", None)
    stack: list[GrubEntry | None] = [top]
    for line in map(str.strip, text.splitlines()):
        match = re.match(rf"(?:menuentry|submenu)\s+{_QUOTED}", line)
        inner = next((entry for entry in reversed(stack) if entry is not None), top)
        if match:
            known = re.search(rf"(?:\$menuentry_id_option|--id)[ =]{_QUOTED}", line)
            entry = GrubEntry(match[1] or match[2] or "", (known[1] or known[2]) if known else None)
            inner.entries.append(entry)
            stack.append(entry)
        elif line.endswith("{"):
            stack.append(None)
        elif line == "}" and len(stack) > 1:
            stack.pop()
        elif found := re.match(r"linux(?:16|efi)?\s+(\S+)", line):
            inner.linux = inner.linux or found[1]
    return top.entries


def find_entry(entries: Sequence[GrubEntry], wanted: str) -> GrubEntry | None:
    """The entry grub means by "0", "1>2", a title or an id."""
    entry: GrubEntry | None = None
    for part in wanted.split(">"):
        if part.isdecimal():
            entry = entries[int(part)] if int(part) < len(entries) else None
        else:
            entry = next((one for one in entries if part in (one.identifier, one.title)), None)
        if entry is None:
            return None
        entries = entry.entries
    return entry
