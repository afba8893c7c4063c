# SPDX-License-Identifier: Apache-2.0
"""`driver-builds clean`: what the cache holds, and giving it back."""

from collections.abc import Sequence
from typing import Annotated

import typer

from driver_builds import disk
from driver_builds.cli import console, options
from driver_builds.cli.sizes import parse_size, render_size

_DAY_S = 24 * 3600

KeepBytes = Annotated[
    str | None,
    typer.Option(
        "--keep-bytes", metavar="SIZE", help="Remove what was used longest ago until SIZE (10G) is left."
    ),
]
OlderThan = Annotated[
    float | None,
    typer.Option("--older-than", metavar="DAYS", min=0, help="Remove what was not used for DAYS."),
]
All = Annotated[bool, typer.Option("--all", help="Remove everything, test results too.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")]


def clean(
    cache: options.Cache,
    keep_bytes: KeepBytes = None,
    older_than: OlderThan = None,
    everything: All = False,
    dry_run: DryRun = False,
    json: options.Json = False,
) -> None:
    """Show what the cache holds; remove some of it when an option says what.

    Waits until no build works in the cache. Everything but test results and the packages of dropped kernels
    comes back by itself when it is needed; those go only with --all.
    """
    with console.errors_reported(json):
        keep = None if keep_bytes is None else parse_size(keep_bytes)
        older_s = None if older_than is None else older_than * _DAY_S
        asked = everything or keep is not None or older_s is not None
        with disk.cleaned(cache.absolute(), console.print_waiting):
            entries = disk.read_entries(cache.absolute())
            going = disk.plan_clean(entries, keep_bytes=keep, older_than_s=older_s, everything=everything)
            going = going if asked else []
            removed = going if dry_run else disk.apply_clean(going)
        if json:
            console.print_json(_describe(entries, removed, dry_run))
        else:
            _print(entries, removed, dry_run)


def _sum(entries: Sequence[disk.Entry], category: str | None = None) -> int:
    return sum(entry.size_bytes for entry in entries if category in {None, entry.category})


def _describe(
    entries: Sequence[disk.Entry], removed: Sequence[disk.Entry], dry_run: bool
) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "before_bytes": {category: _sum(entries, category) for category in disk.CATEGORIES},
        "total_bytes": _sum(entries),
        "removed_bytes": _sum(removed),
        "removed": [{"path": str(entry.path), "bytes": entry.size_bytes} for entry in removed],
    }


def _print(entries: Sequence[disk.Entry], removed: Sequence[disk.Entry], dry_run: bool) -> None:
    for category in disk.CATEGORIES:
        count = sum(entry.category == category for entry in entries)
        console.print_result(f"{category:<10} {count:>5} {render_size(_sum(entries, category)):>10}")
    console.print_result(f"{'total':<10} {len(entries):>5} {render_size(_sum(entries)):>10}")
    for entry in removed:
        verb = "would remove" if dry_run else "removed"
        console.print_result(f"{verb} {entry.path} ({render_size(entry.size_bytes)})")
    if removed:
        console.print_result(f"{'would free' if dry_run else 'freed'} {render_size(_sum(removed))}")
