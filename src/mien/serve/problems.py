"""Errors as problem details (RFC 9457), never a traceback."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from mien.errors import MienError
from mien.serve.engine import Full
from mien.serve.jobs import NoJob

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger("mien.serve")


class Problem(BaseModel):
    """What went wrong, and what to do (RFC 9457)."""

    type: str = Field("about:blank", description="A URI that names the kind of problem.")
    title: str = Field(description="The HTTP status in words.")
    status: int
    detail: str = Field(description="What was expected, what came, what to do now.")


class Refused(Exception):
    """A request that is answered with a problem."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The response that tells it."""
    told = Problem(
        type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail
    )
    return JSONResponse(told.model_dump(), status, headers, MEDIA_TYPE)


def too_busy(detail: str) -> JSONResponse:
    """503, with the second to wait."""
    return problem(503, detail, {"Retry-After": "1"})


def tell_problems(app: FastAPI) -> None:
    """Make every error of `app` a problem."""

    @app.exception_handler(Refused)
    async def refused(_request: Request, error: Refused) -> JSONResponse:
        return problem(error.status, error.detail, error.headers)

    @app.exception_handler(Full)
    async def full(_request: Request, error: Full) -> JSONResponse:
        return too_busy(str(error))

    @app.exception_handler(NoJob)
    async def no_job(_request: Request, error: NoJob) -> JSONResponse:
        return problem(404, str(error))

    @app.exception_handler(MienError)
    async def ours(_request: Request, error: MienError) -> JSONResponse:
        return problem(422, str(error))

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return problem(422, "; ".join(_told(e) for e in error.errors()[:3]))

    @app.exception_handler(Exception)
    async def unforeseen(_request: Request, error: Exception) -> JSONResponse:
        _log.exception("unforeseen", exc_info=error)
        return problem(500, "the service failed at this request; its log says more")


def _told(error: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"])
    return f"{place}: {error['msg']}"


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: the problems a path answers with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }
