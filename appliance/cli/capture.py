# SPDX-License-Identifier: Apache-2.0
"""`appliance capture`: the frames themselves, of routes that mirror a sample of them."""

import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from appliance.cli.options import RuntimeDirOption, StateDirOption
from appliance.config.entries import resolve_tables
from appliance.config.schema import Config
from appliance.config.worker_spec import WorkerFiles, list_worker_files
from appliance.daemon.folders import Folders, find_folders
from appliance.daemon.store import Store, Stored
from appliance.errors import StoreError, UsageError, WorkerError
from appliance.fastpath import NativeError, StateSegment
from appliance.telemetry.captures import CaptureReader, PcapWriter

_PERIOD_S = 0.01

RoutesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ROUTE]...", help="Routes with `mirror:`; absent: all of them.")
]
OutputOption = Annotated[
    str,
    typer.Option("--output", "-o", metavar="FILE", help="Capture file (pcap); - for standard output."),
]
SecondsOption = Annotated[
    float,
    typer.Option(
        "--seconds",
        metavar="S",
        min=0,
        help="Go on for so long after what is there already.",
        show_default=True,
    ),
]


def capture(
    output: OutputOption,
    routes: RoutesArgument = None,
    seconds: SecondsOption = 0.0,
    runtime_dir: RuntimeDirOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Write frames of routes that mirror a sample of them, as they came in.

    Begins with the last 512 frames a worker has kept; Ctrl-C ends it early with a whole file. Frames of one
    burst share a time; of frames above 2032 bytes the beginning is kept.
    """
    folders = find_folders(runtime_dir, state_dir)
    stored = Store(folders.state).load()
    if stored is None:
        raise StoreError(f"{folders.state}: nothing was ever applied; there is nothing to capture")
    wanted = choose_routes(stored.loaded.config, routes or ())
    with ExitStack() as stack:
        readers = [stack.enter_context(reader) for reader in open_readers(folders, stored, wanted)]
        file = stack.enter_context(_open_output(output))
        written = _copy(readers, PcapWriter(file), seconds)
    _report(written, sum(reader.written_over for reader in readers))


def choose_routes(config: Config, names: Sequence[str]) -> set[str]:
    """What the counters of the named routes are called, or of all that mirror. UsageError where there is none."""
    mirrored = [route.name for route in config.routes if route.mirror is not None]
    known = ", ".join(mirrored) or "none"
    for name in names:
        if name not in mirrored:
            raise UsageError(
                f"{name}: no active route of this name has `mirror:`; those that have: {known}. "
                "Add it to the configuration and apply that"
            )
    if not mirrored:
        raise UsageError("no active route has `mirror:`; add `mirror: 1000` to a route and apply that")
    wanted = set(names or mirrored)
    entries = chain.from_iterable(resolve_tables(config).entries.values())
    return {entry.name for entry in entries if entry.route is not None and entry.route.name in wanted}


def open_readers(
    folders: Folders, stored: Stored, wanted: Collection[str]
) -> Iterator[AbstractContextManager[CaptureReader]]:
    """A reader for each worker that carries out one of the routes."""
    for files in list_worker_files(folders.runtime):
        counters = stored.record.worker_counters.get(files.name, {})
        routes = {counter.index: name for name, counter in counters.items() if name in wanted}
        if routes:
            yield _open_reader(files, routes)


@contextmanager
def _open_reader(files: WorkerFiles, routes: dict[int, str]) -> Iterator[CaptureReader]:
    try:
        state = StateSegment.open(files.state)
    except NativeError as error:
        raise WorkerError(files.name, f"worker {files.name}: {error.message}") from error
    with state:
        yield CaptureReader(state, routes)


@contextmanager
def _open_output(output: str) -> Iterator[BinaryIO]:
    if output == "-":
        if sys.stdout.isatty():
            raise UsageError("a capture is no text; redirect standard output or give --output FILE")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with Path(output).open("wb") as file:
            yield file
    except OSError as error:
        raise UsageError(f"{output}: {error.strerror}") from error


def _copy(readers: Sequence[CaptureReader], writer: PcapWriter, seconds: float) -> Counter[str]:
    """Frames by route, until the time is over or somebody interrupts."""
    written: Counter[str] = Counter()
    end_s = time.monotonic() + seconds
    try:
        while True:
            last = time.monotonic() >= end_s
            for reader in readers:
                for route, frame in reader.read_new():
                    writer.write(frame)
                    written[route] += 1
            if last:
                return written
            time.sleep(_PERIOD_S)
    except KeyboardInterrupt:
        return written


def _report(written: Counter[str], written_over: int) -> None:
    frames = ", ".join(f"{count} of {route}" for route, count in sorted(written.items())) or "no frame"
    lost = f"; {written_over} were written over before they were read, mirror fewer" if written_over else ""
    sys.stderr.write(f"appliance: {frames}{lost}\n")
