# SPDX-License-Identifier: Apache-2.0
"""The documents of the control API, which are also what `--json` prints."""

from pydantic import BaseModel, ConfigDict, Field

from appliance.config.plan import Action
from appliance.telemetry import DiscoveredRecord, PortRecord, ProtectedRecord, RouteRecord, WorkerRecord


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlanRequest(_Document):
    """`POST /v1/plan`. `file` is only what messages call the text."""

    file: str
    text: str


class ApplyRequest(PlanRequest):
    """`POST /v1/apply`."""

    allow_restart: bool = False


class PlannedAction(_Document):
    """An action and whether it needs `allow_restart`."""

    kind: str
    subject: str
    reason: str
    disruptive: bool

    @classmethod
    def build(cls, action: Action) -> "PlannedAction":
        return cls(
            kind=action.kind, subject=action.subject, reason=action.reason, disruptive=action.disruptive
        )

    def __str__(self) -> str:
        return f"{self.kind.replace('-', ' ')} {self.subject}: {self.reason}"


class PlanResult(_Document):
    """What `apply` would do, in this order."""

    actions: tuple[PlannedAction, ...]


class ApplyResult(_Document):
    """What `apply` did. `changed` is false where nothing had to be done."""

    changed: bool
    generation: int
    actions: tuple[PlannedAction, ...] = ()


class DaemonStatus(_Document):
    """`problem` says why no daemon answers."""

    running: bool
    pid: int | None
    problem: str | None = None


class GenerationStatus(_Document):
    """What is active. All are None where nothing was ever applied."""

    active: int | None = None
    digest: str | None = Field(default=None, description="SHA-256 of the configuration's text")
    configured: str | None = Field(default=None, description="the file it came from")


class StatusDocument(_Document):
    """`GET /v1/status`, `appliance status --json`."""

    daemon: DaemonStatus
    generation: GenerationStatus
    workers: tuple[WorkerRecord, ...]
    ports: tuple[PortRecord, ...]
    routes: tuple[RouteRecord, ...]
    protected: tuple[ProtectedRecord, ...] = ()
    discovered: tuple[DiscoveredRecord, ...] = ()
    problems: tuple[str, ...]


class ErrorDetail(_Document):
    """`code` is the exit code of the command line."""

    code: int
    message: str


class ErrorDocument(_Document):
    """The body of every answer that is not 2xx."""

    error: ErrorDetail
