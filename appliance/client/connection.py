# SPDX-License-Identifier: Apache-2.0
"""Requests to the daemon over its unix socket; every answer is a document, every refusal an exception."""

from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from appliance.daemon.api import (
    ApplyRequest,
    ApplyResult,
    ErrorDocument,
    PlanRequest,
    PlanResult,
    StatusDocument,
)
from appliance.errors import ApplianceError, DaemonUnreachable, TimedOut, build_error

# `status` and `plan` never wait for a worker; `apply` may stop and start several.
QUICK_LIMIT_S = 10.0
APPLY_LIMIT_S = 300.0

_Document = TypeVar("_Document", bound=BaseModel)


class ControlClient:
    """A connection to the daemon.

    Every call raises DaemonUnreachable where nothing answers, TimedOut where the answer does not come, and
    what the daemon refuses with as the exception it was there (ConfigError, RefusedAsUnsafe, …).
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://appliance", timeout=QUICK_LIMIT_S
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def read_status(self) -> StatusDocument:
        """`GET /v1/status`."""
        return self._request("GET", "/v1/status", StatusDocument)

    def plan(self, file: str, text: str) -> PlanResult:
        """`POST /v1/plan`: what applying `text` would do. `file` is what messages call it."""
        return self._request("POST", "/v1/plan", PlanResult, PlanRequest(file=file, text=text))

    def apply(self, file: str, text: str, allow_restart: bool = False) -> ApplyResult:
        """`POST /v1/apply`."""
        body = ApplyRequest(file=file, text=text, allow_restart=allow_restart)
        return self._request("POST", "/v1/apply", ApplyResult, body, APPLY_LIMIT_S)

    def read_metrics(self) -> str:
        """`GET /metrics`, Prometheus text."""
        return self._send("GET", "/metrics", None, QUICK_LIMIT_S).text

    def _request(
        self,
        method: str,
        path: str,
        document: type[_Document],
        body: BaseModel | None = None,
        limit_s: float = QUICK_LIMIT_S,
    ) -> _Document:
        answer = self._send(method, path, body, limit_s)
        try:
            return document.model_validate_json(answer.content)
        except ValidationError as error:
            raise ApplianceError(
                f"{self._socket}: {method} {path} answered what this version does not know: "
                f"{error.errors()[0]['msg']}; use the command line of the daemon's version"
            ) from error

    def _send(self, method: str, path: str, body: BaseModel | None, limit_s: float) -> httpx.Response:
        content = body.model_dump_json() if body is not None else None
        headers = {"content-type": "application/json"} if content is not None else {}
        try:
            answer = self._http.request(method, path, content=content, headers=headers, timeout=limit_s)
        except httpx.ConnectError as error:
            raise DaemonUnreachable(
                f"no daemon answers at {self._socket} ({_explain(self._socket, error)}); "
                "start one: `systemctl start appliance`, or `appliance run`"
            ) from error
        except httpx.TimeoutException as error:
            raise TimedOut(
                f"{self._socket}: no answer to {method} {path} within {limit_s:.0f} s; look at the daemon's log"
            ) from error
        except httpx.HTTPError as error:
            raise DaemonUnreachable(
                f"{self._socket}: the daemon went away during {method} {path} ({error}); look at its log"
            ) from error
        if answer.is_success:
            return answer
        raise self._build_refusal(answer)

    def _build_refusal(self, answer: httpx.Response) -> ApplianceError:
        try:
            refusal = ErrorDocument.model_validate_json(answer.content).error
        except ValidationError:
            text = f"{self._socket}: HTTP {answer.status_code}: {answer.text[:200]}; look at the daemon's log"
            return ApplianceError(text)
        return build_error(refusal.code, refusal.message)


def _explain(socket: Path, error: Exception) -> str:
    if not socket.exists():
        return "the socket does not exist"
    cause = error.__cause__ or error.__context__ or error
    text = str(cause)
    if "Permission" in text:
        return "permission denied; run as root"
    return "connection refused" if "refused" in text else text
