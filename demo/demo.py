# SPDX-License-Identifier: Apache-2.0
"""`make demo`: real and generated ST 2110 media crosses an appliance between network namespaces.

Three namespaces: a sender, the appliance (daemon and worker as on a host, `xdp:` ports on veth), a receiver
with two inputs. Every frame that left has to arrive once, in order, byte for byte, on the right output and on
no other.
Exit status 0 when it did, 1 on any loss, 130 when interrupted.
"""

import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated, NoReturn

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "media")]

import typer  # noqa: E402
from appliance_process import ApplianceProcessError  # noqa: E402
from demo_plan import Phase, plan_phases  # noqa: E402
from demo_run import PhaseRun, PhaseState, open_lab  # noqa: E402
from demo_table import DemoDisplay, render_table  # noqa: E402
from lab_net import LabNetError, reason_not_available  # noqa: E402
from media_tools import MediaToolError  # noqa: E402
from rich.console import Console  # noqa: E402

CAPTURES = HERE.parent.parent / "shared" / "captures"
DEFAULT_FORMAT = "1080p50"
INTERRUPTED = 130
REPORT_WIDTH = 120
SLIP_WORTH_A_WORD_S = 0.1


def raise_interrupt(number: int, _frame: object) -> NoReturn:
    """A signal ends the demo as Ctrl-C does: through the blocks that clean up."""
    raise KeyboardInterrupt(signal.strsignal(number))


def choose_captures(folder: Path, video_format: str | None, console: Console) -> Path | None:
    """The folder to replay, or None with a word why not."""
    if video_format is not None:
        console.print(f"--format {video_format}: generated media only")
        return None
    if not any(folder.glob("*.pcap")):
        console.print(f"no captures in {folder}: generated media only")
        return None
    return folder


def run_phases(phases: list[Phase], speed: float, console: Console) -> list[PhaseState]:
    """Every phase through one appliance; its final account is printed."""
    with tempfile.TemporaryDirectory(prefix="sbypass-demo-") as folder:
        with open_lab(phases, Path(folder)) as lab, DemoDisplay(console) as display:
            states = [PhaseRun(lab, phase, speed).run(display.look) for phase in phases]
        console.print("final account, printed by the appliance on SIGTERM:", style="bold")
        console.print(
            lab.appliance.account.read_text().strip(), soft_wrap=True, highlight=False, markup=False
        )
    return states


def print_verdict(states: list[PhaseState], console: Console) -> bool:
    """The last words; whether every frame is accounted for."""
    if not console.is_terminal:
        console.print(render_table(states))
    for state in states:
        if state.slipped_s > SLIP_WORTH_A_WORD_S:
            text = f"{state.phase.name}: the sender fell {state.slipped_s:.1f} s behind real time; the machine is busy"
            console.print(text, style="yellow", soft_wrap=True)
        for problem in state.problems:
            console.print(f"{state.phase.name}: {problem}", style="red", soft_wrap=True)
    received, forwarded = (
        sum(getattr(state, name) for state in states) for name in ("received", "forwarded")
    )
    passed = not any(state.problems for state in states)
    sign = "=" if received == forwarded else "≠"
    outcome = "no frame lost, duplicated, reordered, changed or astray" if passed else "FAULTS, see above"
    console.print(
        f"received {received:,} {sign} forwarded {forwarded:,}: {outcome}",
        style="bold",
        highlight=False,
        soft_wrap=True,
    )
    return passed


def main(
    video_format: Annotated[
        str | None, typer.Option("--format", help="Generated media only, in this format.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.02, max=600, help="Length of the generated video.")] = 5.0,
    speed: Annotated[
        float, typer.Option(min=0, help="1 is real time, 0 as fast as the sender can (will lose frames).")
    ] = 1.0,
    captures: Annotated[Path, typer.Option(help="Folder of pcap files to replay.")] = CAPTURES,
) -> None:
    """Forward ST 2110 media through an appliance between network namespaces and check every frame."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=REPORT_WIDTH)
    reason = reason_not_available()
    if reason is not None:
        console.print(f"demo: {reason}", style="red")
        raise typer.Exit(1)
    for number in (signal.SIGTERM, signal.SIGHUP):  # SIGHUP: the terminal was closed
        signal.signal(number, raise_interrupt)
    try:
        folder = choose_captures(captures, video_format, console)
        phases = plan_phases(folder, video_format or DEFAULT_FORMAT, seconds)
        passed = print_verdict(run_phases(phases, speed, console), console)
    except KeyboardInterrupt:
        console.print("interrupted; namespaces and processes are gone", style="yellow")
        raise typer.Exit(INTERRUPTED) from None
    except (ApplianceProcessError, LabNetError, MediaToolError) as error:
        console.print(f"demo: {error}", style="red", soft_wrap=True, markup=False)
        raise typer.Exit(1) from None
    raise typer.Exit(0 if passed else 1)


if __name__ == "__main__":
    typer.run(main)
