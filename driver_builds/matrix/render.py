# SPDX-License-Identifier: Apache-2.0
"""The matrix as text for a terminal, Markdown for the documentation, JSON, and one self-contained HTML page."""

import json
from dataclasses import asdict
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from driver_builds.catalogue import Driver, group_methods, load_drivers, load_refused_drivers
from driver_builds.matrix.cells import MEANINGS, WORDS, Cell, Matrix, State


def render_json(matrix: Matrix) -> str:
    """The whole matrix; `states` says what each state means."""
    rows = [
        {
            "release": row.release,
            "distribution": row.distribution,
            "version": row.version,
            "behind": list(row.behind),
            "cells": {cell.driver: _describe(cell) for cell in row.cells},
        }
        for row in matrix.rows
    ]
    states = {str(state): {"words": WORDS[state], "meaning": MEANINGS[state]} for state in State}
    counts = {str(state): matrix.count(state) for state in State}
    document = {
        "schema": 1,
        "netmap_commit": matrix.netmap_commit,
        "states": states,
        "counts": counts,
        "drivers": list(matrix.drivers),
        "methods": {
            driver.name: {"method": driver.method, "why": driver.why} for driver in _find_drivers(matrix)
        },
        "kernels": rows,
    }
    return json.dumps(document, indent=2) + "\n"


def _find_drivers(matrix: Matrix) -> list[Driver]:
    known = load_drivers() | load_refused_drivers()
    return [known[name] for name in matrix.drivers if name in known]


def _describe(cell: Cell) -> dict[str, object]:
    return {key: value for key, value in asdict(cell).items() if key != "driver"}


def render_text(matrix: Matrix) -> str:
    """For a terminal: one line a kernel and driver, grouped by kernel."""
    lines = []
    for row in matrix.rows:
        behind = f": netmap.ko without {', '.join(row.behind)}" if row.behind else ""
        lines.append(f"{row.release} ({_name_kernel(row.distribution, row.version)}){behind}")
        for cell in row.cells:
            vendor = f"  vendor {cell.vendor}" if cell.vendor else ""
            reason = f"{vendor}  {cell.reason}" if cell.reason else vendor
            lines.append(f"  {cell.driver:<11} {cell.words:<18}{reason}".rstrip())
    for method, why, names in group_methods(_find_drivers(matrix)):
        lines.append(f"{method}: {' '.join(names)}: {why}")
    lines.append(render_counts(matrix))
    return "\n".join(lines)


def render_counts(matrix: Matrix) -> str:
    """One line: how many cells are what."""
    counted = [(state, matrix.count(state)) for state in State]
    return ", ".join(f"{count} {WORDS[state]}" for state, count in counted if count) or "no kernels"


def render_page(template: str, matrix: Matrix) -> str:
    """`templates/TEMPLATE.j2`: matrix.html or matrix.md."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        autoescape=template.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["slug"] = lambda state: str(state).replace(" ", "-")
    return environment.get_template(f"{template}.j2").render(
        matrix=matrix,
        words=WORDS,
        meanings=MEANINGS,
        counts={state: matrix.count(state) for state in State},
        counted=render_counts(matrix),
        kernel=_name_kernel,
    )


def _name_kernel(distribution: str, version: str) -> str:
    return ", ".join(filter(None, (distribution, version))) or "never resolved here"
