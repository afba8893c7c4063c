# SPDX-License-Identifier: Apache-2.0
"""Everything a worker holds open: region, ports, state segment, C worker; opened whole or not at all."""

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from appliance.config.schema import DeviceKind
from appliance.config.worker_spec import PortSpec, WorkerFiles, WorkerSpec
from appliance.errors import WorkerError
from appliance.fastpath import LoopWorker, NativeError, Port, Region, StateSegment, plan_buffers
from appliance.worker.refusals import render_refusal

# Holds the largest frame of ST 2110-10 (1,500-byte IP datagrams) with two tags; a page holds two buffers.
BUFFER_BYTES = 2048


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
        try:
            self.state = stack.enter_context(StateSegment.create(self._files.state))
            self.worker = stack.enter_context(LoopWorker(self.state, self._spec.wait))
            for port, opened in zip(self._spec.ports, ports, strict=True):
                self.worker.add_port(opened, port.name)
        except NativeError as error:
            raise WorkerError(self._spec.name, f"worker {self._spec.name}: {error}") from error

    def _open_region(self, stack: ExitStack) -> Region | None:
        buffers = sum(self._plan_buffers(port) for port in self._spec.ports)
        if not buffers:
            return None  # netmap ports bring their own
        try:
            return stack.enter_context(Region(buffers, BUFFER_BYTES))
        except NativeError as error:
            advice = "use smaller ring_slots or fewer queues"
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
            )
        except NativeError as error:
            raise WorkerError(self._spec.name, render_refusal(port, error)) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
