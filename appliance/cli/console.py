# SPDX-License-Identifier: Apache-2.0
"""What a person sees: blocks of text and tables. The only user of Rich."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text


class Tone(StrEnum):
    """How a line is meant; on a terminal it has a colour."""

    PLAIN = ""
    GOOD = "bold green"
    BAD = "bold red"
    FAINT = "dim"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text; longer ones are wrapped."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. The first `text_columns` columns are text, the others numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: int = 1


Block = Line | Grid


def print_json(document: BaseModel) -> None:
    """A document as JSON on stdout, never coloured or wrapped."""
    sys.stdout.write(document.model_dump_json(indent=2) + "\n")


def print_line(text: str) -> None:
    """A line on stdout as it stands."""
    sys.stdout.write(text + "\n")


def print_error(text: str) -> None:
    """A message on stderr as it stands: lines of `file:line: …` stay whole for whoever greps."""
    sys.stderr.write(f"appliance: {text}\n" if "\n" not in text else f"{text}\n")


def print_blocks(blocks: Sequence[Block]) -> None:
    """Blocks on stdout, at most as wide as the terminal (80 columns where there is none)."""
    Console(highlight=False, soft_wrap=False).print(_render(blocks))


def watch_blocks(build: Callable[[], Sequence[Block]], period_s: float) -> None:
    """Show blocks anew every `period_s` until interrupted; on no terminal one page after the other."""
    console = Console(highlight=False)
    if not console.is_terminal:
        while True:
            print_blocks([*build(), Line("")])
            sys.stdout.flush()
            time.sleep(period_s)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(_render(build()), refresh=True)
            time.sleep(period_s)


def _render(blocks: Sequence[Block]) -> RenderableType:
    return Group(*(_render_block(block) for block in blocks))


def _render_block(block: Block) -> RenderableType:
    if isinstance(block, Line):
        return Text(block.text, style=block.tone.value)
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for index, name in enumerate(block.header):
        is_text = index < block.text_columns
        table.add_column(name, justify="left" if is_text else "right", no_wrap=not is_text, overflow="fold")
    for row in block.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
