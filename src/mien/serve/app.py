"""The routes: `create` makes the application of a service."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request, Response, UploadFile, WebSocket
from fastapi.concurrency import run_in_threadpool
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute

import mien
from mien.errors import MienError
from mien.recognizer import Recognizer
from mien.serve.engine import Engine, Full
from mien.serve.figures import CONTENT_TYPE, Counted, Counts
from mien.serve.guard import Guard
from mien.serve.jobs import Job, Jobs, worker_command
from mien.serve.problems import Problem, Refused, responses, tell_problems
from mien.serve.schemas import (
    Answer,
    Asked,
    Health,
    JobOut,
    ModelOut,
    PictureOut,
    VersionOut,
    picture_out,
)
from mien.serve.settings import Settings
from mien.serve.streams import Streams
from mien.serve.uploads import request_body, uploads

NOTICE = (
    "Expressions, not feelings: what a face shows, not what a person feels. Do not judge people by "
    "it. In the European Union, inferring emotions at work or in education is prohibited (AI Act, "
    "Art. 5(1)(f)); elsewhere, the people exposed must be told (Art. 50(3)). No picture is stored "
    "or logged; videos and what was read from them are deleted after the stated time."
)
_GUARDED = (401, 403, 421, 429)


def create(settings: Settings | None = None) -> FastAPI:
    """The application; its model is loaded at once. Raises the errors of `Recognizer`."""
    service = _Service(settings or Settings())
    app = FastAPI(
        title="mien",
        version=mien.__version__,
        description=NOTICE,
        docs_url=None,  # these pages would fetch scripts from elsewhere
        redoc_url=None,
        lifespan=service.lifespan,
    )
    tell_problems(app)
    _about(app, service)
    _pictures(app, service)
    _videos(app, service)
    _page(app)
    _heads(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    app.add_middleware(Guard, settings=service.settings)
    app.add_middleware(Counted, counts=service.counts)
    return app


class _Service:
    """What the routes share."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.counts = Counts()
        self.recognizer = Recognizer(
            settings.model, detector=settings.detector, threads=settings.threads
        )
        self.engine = Engine(self.recognizer, settings)
        self.engine.batches = self.counts.batch.observe
        self.streams = Streams(self.engine, settings, self.counts)
        self.ready = False
        self._jobs: Jobs | None = None

    @property
    def jobs(self) -> Jobs:
        """Those of the running service."""
        assert self._jobs is not None
        return self._jobs

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Between start and stop; what was accepted is finished."""
        command = worker_command(self.settings, self.recognizer.detector.name)
        self._jobs = Jobs(self.settings, command)
        self.ready = True
        yield
        self.ready = False
        await run_in_threadpool(self.engine.close)
        await run_in_threadpool(self.jobs.close)


def _about(app: FastAPI, service: _Service) -> None:
    card = service.recognizer.card

    @app.get("/healthz", tags=["service"])
    async def healthz() -> Health:
        """Alive."""
        return Health()

    @app.get("/readyz", tags=["service"], responses=responses(503))
    async def readyz() -> Health:
        """Ready for work."""
        if not service.ready:
            raise Refused(503, "the service is starting or stopping", {"Retry-After": "1"})
        return Health()

    @app.get("/version", tags=["service"])
    async def version() -> VersionOut:
        """What answers here, to the digest of its network."""
        return VersionOut(
            mien=mien.__version__,
            model=card.name,
            digest=card.digest,
            detector=service.recognizer.detector.name,
        )

    @app.get("/metrics", tags=["service"], response_class=Response)
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(service.counts.page(), media_type=CONTENT_TYPE)

    @app.get("/v1/models", tags=["models"], responses=responses(*_GUARDED))
    async def models() -> list[ModelOut]:
        """The networks of this service, and how well they were measured to be."""
        told = dataclasses.asdict(card) | {
            "measured": [dataclasses.asdict(m) for m in card.measured]
        }
        return [ModelOut.model_validate(told | {"labels": list(card.labels)})]


def _pictures(app: FastAPI, service: _Service) -> None:
    @app.post(
        "/v1/recognize",
        tags=["pictures"],
        openapi_extra=request_body(),
        responses=responses(*_GUARDED, 400, 408, 413, 415, 422, 503),
    )
    async def recognize(request: Request) -> Answer:
        """The expressions of every face in one or many pictures."""
        given = await uploads(request, service.settings)
        waiting = service.engine.submit(*(one.load for one in given))
        seen = await asyncio.gather(
            *(asyncio.wrap_future(future) for future in waiting), return_exceptions=True
        )
        pictures = []
        for one, answer in zip(given, seen, strict=True):
            if isinstance(answer, MienError) and not isinstance(answer, Full):
                pictures.append(PictureOut(name=one.name, readings=[], error=str(answer)))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                pictures.append(picture_out(one.name, answer))
        if all(picture.error for picture in pictures):
            raise Refused(422, "; ".join(str(p.error) for p in pictures[:3]))
        for picture in pictures:
            for reading in picture.readings:
                service.counts.faces.labels(reading.label).inc()
        return Answer(model=service.recognizer.card.name, pictures=pictures)

    @app.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        await service.streams.serve(socket)


def _videos(app: FastAPI, service: _Service) -> None:
    def told(job: Job) -> JobOut:
        return JobOut(
            **{name: getattr(job, name) for name in ("id", "state", "frames", "total", "error")},
            files=service.jobs.files(job),
            expires_in_s=service.jobs.expires_in_s(job),
        )

    @app.post(
        "/v1/videos",
        status_code=202,
        tags=["videos"],
        responses=responses(*_GUARDED, 400, 408, 413, 415, 422, 503),
    )
    async def send(video: UploadFile, blur: Annotated[bool, Form()] = False) -> JobOut:
        """Accept a video; ask /v1/videos/{id} for how far it has been read."""
        job = await run_in_threadpool(
            service.jobs.add,
            video.file,
            Path(video.filename or "").suffix.lower(),
            blur=blur,
        )
        return told(job)

    @app.get("/v1/videos/{name}", tags=["videos"], responses=responses(*_GUARDED, 404, 422))
    async def progress(name: str) -> JobOut:
        """How far a video has been read, and what can be fetched."""
        return told(service.jobs.get(name))

    @app.get(
        "/v1/videos/{name}/{file}",
        tags=["videos"],
        response_class=FileResponse,
        responses=responses(*_GUARDED, 404, 422),
    )
    async def fetch(name: str, file: str) -> FileResponse:
        """A table (.csv, .jsonl), the segments or the overlay (.mp4) of a finished job."""
        return FileResponse(service.jobs.file(name, file), filename=file)

    @app.delete(
        "/v1/videos/{name}",
        status_code=204,
        tags=["videos"],
        responses=responses(*_GUARDED, 404, 422),
    )
    async def remove(name: str) -> Response:
        """Stop a job and delete its files."""
        await run_in_threadpool(service.jobs.remove, name)
        return Response(status_code=204)


def _page(app: FastAPI) -> None:
    """Its files one by one: a folder mounted at / would answer for every path there is not."""
    folder = Path(str(resources.files("mien.serve") / "page"))

    def serve(path: str, file: Path) -> None:
        @app.get(path, include_in_schema=False)
        async def send() -> FileResponse:
            return FileResponse(file)

    serve("/", folder / "index.html")
    for file in folder.iterdir():
        serve(f"/{file.name}", file)


def _heads(app: FastAPI) -> None:
    """HEAD wherever there is GET, as RFC 9110 asks; the server leaves the body out."""
    for route in list(app.routes):
        if isinstance(route, APIRoute) and route.methods == {"GET"}:
            app.add_api_route(
                route.path,
                route.endpoint,
                methods=["HEAD"],
                response_class=route.response_class,
                include_in_schema=False,
            )


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The description, with the schemas that no route returns."""
    if app.openapi_schema is None:
        told = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schemas = told.setdefault("components", {}).setdefault("schemas", {})
        for schema in (Problem, Asked):
            schemas[schema.__name__] = schema.model_json_schema()
        app.openapi_schema = told
    return app.openapi_schema
