# SPDX-License-Identifier: Apache-2.0
"""How the demo shows itself: a live table on a terminal, lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from demo_plan import OUTPUTS
from demo_run import PhaseState
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

LINE_INTERVAL_S = 1.0


def render_table(states: list[PhaseState]) -> Table:
    """All phases so far, one row each; numbers are frames."""
    table = Table(title="frames, from the sender through the appliance to the receivers", title_style="bold")
    table.add_column("source", no_wrap=True)
    columns = ("kpps", "sent", "received", "forwarded", "dropped", *(f"out on {name}" for name in OUTPUTS))
    for column in columns:
        table.add_column(column, justify="right")
    table.add_column("")
    for state in states:
        table.add_row(
            state.phase.name,
            f"{state.kpps:.1f}",
            f"{state.sent:,}",
            f"{state.received:,}",
            f"{state.forwarded:,}",
            f"{sum(state.dropped.values()):,}",
            *(_render_output(state, output) for output in OUTPUTS),
            _render_mark(state),
        )
    return table


def _render_output(state: PhaseState, output: str) -> str:
    report = state.outputs.get(output, {})
    intact, stray = report.get("intact_frames", 0), report.get("stray_frames", 0)
    text = f"{intact:,}" if state.phase.expected[output] else "none"
    return f"{text} + {stray:,} stray" if stray else text


def _render_mark(state: PhaseState) -> Text:
    if not state.finished:
        return Text("...", style="dim")
    return Text("FAULT", style="bold red") if state.problems else Text("ok", style="green")


class DemoDisplay:
    """Shows the states of all phases; use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._states: list[PhaseState] = []
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._printed_s = 0.0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def look(self, state: PhaseState) -> None:
        """Show `state` as it is now."""
        if not self._states or self._states[-1] is not state:
            self._states.append(state)
        if self._live is not None:
            self._live.update(render_table(self._states), refresh=True)
        elif state.finished or time.monotonic() - self._printed_s > LINE_INTERVAL_S:
            self._printed_s = time.monotonic()
            self._print_line(state)

    def _print_line(self, state: PhaseState) -> None:
        outputs = "  ".join(f"{output} {_render_output(state, output)}" for output in OUTPUTS)
        self._console.print(
            f"{state.phase.name}: sent {state.sent:,} of {state.frames:,}  received {state.received:,}  "
            f"forwarded {state.forwarded:,}  {outputs}  {_render_mark(state)}",
            soft_wrap=True,
            highlight=False,
        )
