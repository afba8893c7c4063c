# SPDX-License-Identifier: Apache-2.0
"""Everything a worker holds open: region, ports, state segment, C worker; opened whole or not at all."""

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from appliance.config.device import parse_device
from appliance.config.holding import BUFFER_BYTES, count_buffers, render_hold
from appliance.config.host_stack import name_host_port, needs_host_port
from appliance.config.schema import DeviceKind
from appliance.config.worker_spec import PortSpec, WorkerFiles, WorkerSpec
from appliance.errors import WorkerError
from appliance.fastpath import LoopWorker, NativeError, Port, Region, StateSegment, plan_buffers
from appliance.worker.refusals import render_hold_refusal, render_refusal


class OpenedWorker:
    """The open parts of one worker. Leaving the block closes them: worker, state, ports, region."""

    state: StateSegment
    worker: LoopWorker

    def __init__(self, spec: WorkerSpec, files: WorkerFiles) -> None:
        self._spec = spec
        self._files = files
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._open(stack)
            self._stack = stack.pop_all()
        return self

    def _open(self, stack: ExitStack) -> None:
        region = self._open_region(stack)
        ports = [stack.enter_context(self._open_port(port, region)) for port in self._spec.ports]
        # Behind all others: theirs are the indices of the spec.
        hosts = {
            index: stack.enter_context(self._open_port(_build_host_port(port), None))
            for index, port in enumerate(self._spec.ports)
            if needs_host_port(port.device, port.host_stack)
        }
        try:
            self.state = stack.enter_context(StateSegment.create(self._files.state))
            self.worker = stack.enter_context(LoopWorker(self.state, self._spec.wait))
            for port, opened in zip(self._spec.ports, ports, strict=True):
                self.worker.add_port(opened, port.name)
            for index, host in hosts.items():
                own = self.worker.add_port(host, name_host_port(self._spec.ports[index].name))
                self.worker.pair_host(index, own, self._spec.ports[index].host_stack)
        except NativeError as error:
            raise WorkerError(self._spec.name, f"worker {self._spec.name}: {error}") from error
        self._hold(ports, region)

    def _hold(self, ports: Sequence[Port], region: Region | None) -> None:
        """Buffers for frames that merges hold, of each memory region that has such merges."""
        regions = [port.describe().region for port in ports]
        for wanted in dict.fromkeys(regions):
            members = [index for index, seen in enumerate(regions) if seen == wanted]
            frames = sum(self._spec.ports[index].hold_frames for index in members)
            if not frames:
                continue
            first = self._spec.ports[members[0]]
            own = None if first.device.kind is DeviceKind.NETMAP else region
            try:
                self.worker.hold(members[0], own, count_buffers(frames))
            except NativeError as error:
                names = ", ".join(self._spec.ports[index].name for index in members)
                seen = (
                    f"the routes that release in order hold {render_hold(frames)}, in the memory of {names}"
                )
                text = f"worker {self._spec.name}: {seen}: {render_hold_refusal(first, error)}"
                raise WorkerError(self._spec.name, text) from error

    def _open_region(self, stack: ExitStack) -> Region | None:
        buffers = sum(self._plan_buffers(port) for port in self._spec.ports)
        if not buffers:
            return None  # netmap ports bring their own
        own = [port for port in self._spec.ports if port.device.kind is not DeviceKind.NETMAP]
        held = sum(port.hold_frames for port in own)
        try:
            return stack.enter_context(Region(buffers + count_buffers(held), BUFFER_BYTES))
        except NativeError as error:
            advice = "use smaller ring_slots or fewer queues"
            if held:
                advice += f", or smaller windows: the routes that release in order hold {render_hold(held)}"
            raise WorkerError(self._spec.name, f"worker {self._spec.name}: {error}; {advice}") from error

    def _plan_buffers(self, port: PortSpec) -> int:
        try:
            return plan_buffers(port.device.text, port.ring_slots or 0)
        except NativeError as error:
            raise WorkerError(self._spec.name, render_refusal(port, error)) from error

    def _open_port(self, port: PortSpec, region: Region | None) -> Port:
        try:
            return Port.open(
                port.device.text,
                None if port.device.kind is DeviceKind.NETMAP else region,
                allow_emulated=port.emulated == "allow",
                xdp_zerocopy=port.xdp is not None and port.xdp.copy_mode == "zerocopy",
                xdp_generic=port.xdp is not None and port.xdp.mode == "generic",
                ring_slots=port.ring_slots or 0,
                host_classes=port.host_stack if port.device.kind is DeviceKind.XDP else (),
                busy_poll=_read_busy_poll(port),
                kloop=port.sync == "kloop",
            )
        except NativeError as error:
            raise WorkerError(self._spec.name, render_refusal(port, error)) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _read_busy_poll(port: PortSpec) -> tuple[int, int] | None:
    if port.xdp is None or port.xdp.busy_poll is None:
        return None
    return port.xdp.busy_poll.poll_us, port.xdp.busy_poll.budget_frames


def _build_host_port(port: PortSpec) -> PortSpec:
    device = parse_device(name_host_port(port.device.text))
    return PortSpec.model_construct(
        name=name_host_port(port.name), device=device, emulated=port.emulated, host_stack=()
    )
