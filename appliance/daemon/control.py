# SPDX-License-Identifier: Apache-2.0
"""The control API: HTTP and JSON over the unix socket. Whoever may open the socket may do everything."""

from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from appliance.daemon.api import (
    ApplyRequest,
    ApplyResult,
    ErrorDetail,
    ErrorDocument,
    PlanRequest,
    PlanResult,
    StatusDocument,
)
from appliance.daemon.coordinator import Coordinator
from appliance.errors import ApplianceError, ExitCode
from appliance.telemetry import Observation, render_metrics

# The body carries the exit code; these only keep generic HTTP tools honest.
_HTTP_STATUS: dict[int, int] = {
    ExitCode.FAILED: 400,
    ExitCode.USAGE: 400,
    ExitCode.CONFIG_REFUSED: 422,
    ExitCode.UNSAFE: 409,
    ExitCode.TIMED_OUT: 408,
}
_PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def build_app(coordinator: Coordinator, read_previous: Callable[[], Observation | None]) -> FastAPI:
    """The application. `read_previous` gives a look some seconds old, so that problems are recent ones."""
    app = FastAPI(title="appliance control API", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(ApplianceError, _answer_refusal)
    app.add_exception_handler(RequestValidationError, _answer_bad_request)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_defect)

    # Plain functions: FastAPI runs them in threads, so a long `apply` does not hold up `status`.
    @app.get("/v1/status")
    def read_status() -> StatusDocument:
        return coordinator.build_status(read_previous())

    @app.post("/v1/plan")
    def plan(request: PlanRequest) -> PlanResult:
        return coordinator.plan(request.text, request.file)

    @app.post("/v1/apply")
    def apply(request: ApplyRequest) -> ApplyResult:
        return coordinator.apply(request.text, request.file, request.allow_restart)

    @app.get("/metrics")
    def read_metrics() -> PlainTextResponse:
        return PlainTextResponse(render_metrics(coordinator.observe()), media_type=_PROMETHEUS_TYPE)

    return app


def _answer_refusal(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApplianceError)
    return _build_answer(error.exit_code, error.message, _HTTP_STATUS.get(error.exit_code, 400))


def _answer_bad_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _build_answer(ExitCode.USAGE, f"request: {where}: {first['msg']}", 422)


def _answer_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    text = f"{request.method} {request.url.path}: {error.detail}"
    return _build_answer(ExitCode.USAGE, text, error.status_code)


def _answer_defect(request: Request, error: Exception) -> JSONResponse:
    # uvicorn logs the traceback after this answer.
    text = (
        f"{request.method} {request.url.path}: {type(error).__name__}: {error}; this is a defect, see the log"
    )
    return _build_answer(ExitCode.FAILED, text, 500)


def _build_answer(code: int, message: str, status: int) -> JSONResponse:
    document = ErrorDocument(error=ErrorDetail(code=code, message=message))
    return JSONResponse(document.model_dump(), status_code=status)
