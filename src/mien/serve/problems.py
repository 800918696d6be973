"""Errors as problem details (RFC 9457), never a traceback."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from mien.errors import JobNotFound, MienError, Overloaded, OverShare
from mien.serve.jobs import ROOM_WAIT_S

MEDIA_TYPE = "application/problem+json"
_MOST = 1000  # characters; a detail may quote what was sent
_log = logging.getLogger("mien.serve")


class Problem(BaseModel):
    """What went wrong, and what to do (RFC 9457)."""

    type: str = Field("about:blank", description="A URI that names the kind of problem.")
    title: str = Field(description="The HTTP status in words.")
    status: int
    detail: str = Field(description="What was expected, what came, what to do now.")


class Refused(HTTPException):
    """A request that is answered with a problem."""


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response with it as its body."""
    title = HTTPStatus(status).phrase
    body = Problem(type="about:blank", title=title, status=status, detail=detail[:_MOST])
    return JSONResponse(body.model_dump(), status, headers, MEDIA_TYPE)


def refused(error: Overloaded) -> Refused:
    """429 where one client has too much, 503 where all have; with the time to wait."""
    status = 429 if isinstance(error, OverShare) else 503
    return Refused(status, str(error), {"Retry-After": str(error.wait_s)})


def add_error_handlers(app: FastAPI) -> None:
    """Answer every expected error of `app` with a problem; the guard answers the others."""

    @app.exception_handler(MienError)
    async def ours(request: Request, error: MienError) -> JSONResponse:
        if isinstance(error, Overloaded):
            return await http(request, refused(error))
        return problem(404 if isinstance(error, JobNotFound) else 422, str(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error.__cause__, OSError):  # a full disk; FastAPI blames the form
            _log.error("a body cannot be stored: %s", error.__cause__.strerror)
            words = "the service has no room for this; try again later"
            error = refused(Overloaded(words, ROOM_WAIT_S))
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            allow = {"Allow": ", ".join(sorted(_methods(request)))}
            return problem(405, f"expected {allow['Allow']}, got {request.method}", allow)
        return problem(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return problem(422, "; ".join(_describe(e) for e in error.errors()[:3]))


def _methods(request: Request) -> set[str]:
    """Those of all routes of a path; Starlette tells those of the first one."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0].value]
    return {method for route in routes for method in getattr(route, "methods", None) or ()}


def _describe(error: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"])
    return f"{place}: {error['msg']}"


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: the problems a path answers with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }
