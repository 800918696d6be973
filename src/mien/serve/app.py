"""The routes: `create` makes the application of a service."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request, Response, UploadFile, WebSocket
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute

import mien
from mien.page.parts import MODULES, made
from mien.recognizer import Recognizer
from mien.serve.docs import add_docs, add_file
from mien.serve.engine import Engine
from mien.serve.guard import Guard, needs_key
from mien.serve.jobs import Jobs, worker_command
from mien.serve.metrics import CONTENT_TYPE, Metrics, Observer
from mien.serve.problems import Problem, Refused, add_error_handlers, responses
from mien.serve.schemas import (
    Answer,
    Health,
    JobOut,
    ModelOut,
    PictureIn,
    VersionOut,
    job_out,
    picture_out,
)
from mien.serve.settings import Settings
from mien.serve.sharing import client_of
from mien.serve.streams import Streams
from mien.serve.uploads import request_body, uploads

NOTICE = (
    "Expressions, not feelings: what a face shows, not what a person feels. Do not judge people by "
    "it. In the European Union, inferring emotions at work or in education is prohibited (AI Act, "
    "Art. 5(1)(f)); where it is lawful, the people exposed must be told (Art. 50(3)). No "
    "picture is stored or logged; videos and what was read from them are deleted after the stated "
    "time."
)
_KEY = "key"
_KINDS = {".js": "text/javascript", ".ttf": "font/ttf", ".jpg": "image/jpeg"}
_GUARDED = (400, 401, 403, 421, 429)
_ACCEPTING = responses(*_GUARDED, 408, 413, 415, 422, 503)


def create(settings: Settings | None = None) -> FastAPI:
    """The application, with its model loaded. Raises the errors of `Recognizer`."""
    service = _Service(settings or Settings())
    app = FastAPI(
        title="mien",
        version=mien.__version__,
        description=NOTICE,
        docs_url=None,  # this page would fetch scripts from elsewhere; `add_docs` has one
        redoc_url=None,
        lifespan=service.lifespan,
    )
    add_error_handlers(app)
    _about(app, service)
    _pictures(app, service)
    _videos(app, service)
    _page(app, service.recognizer.labels)
    add_docs(app)
    _add_heads(app)
    app.state.model = service.recognizer.card.name
    app.state.detector = service.recognizer.detector.name
    app.openapi = lambda: _openapi(app, service.settings)  # type: ignore[method-assign]
    known = frozenset(str(getattr(route, "path", "")) for route in app.routes)
    app.add_middleware(Guard, settings=service.settings)
    app.add_middleware(Observer, metrics=service.metrics, known=known)
    return app


class _Service:
    """Objects that the routes share."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.recognizer = Recognizer(
            settings.model,
            detector=settings.detector,
            device=settings.device,
            threads=settings.threads,
        )
        self.engine = Engine(self.recognizer, settings)
        self.engine.batches = self.metrics.batch.observe
        self.streams = Streams(self.engine, settings, self.metrics)
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
        """The service is alive."""
        return Health()

    @app.get("/readyz", tags=["service"], responses=responses(503))
    async def readyz() -> Health:
        """The service is ready for requests."""
        if not service.ready:
            raise Refused(503, "the service is starting or stopping", {"Retry-After": "1"})
        return Health()

    @app.get("/version", tags=["service"])
    async def version() -> VersionOut:
        """Version, model, digest and detector of the service."""
        return VersionOut(
            mien=mien.__version__,
            model=card.name,
            digest=card.digest,
            detector=service.recognizer.detector.name,
        )

    @app.get("/metrics", tags=["service"], response_class=Response, responses=responses(*_GUARDED))
    async def metrics() -> Response:
        """Metrics in the text format of Prometheus."""
        return Response(service.metrics.page(), media_type=CONTENT_TYPE)

    @app.get("/v1/models", tags=["models"], responses=responses(*_GUARDED))
    async def models() -> list[ModelOut]:
        """The models of this service with their measured accuracy."""
        return [ModelOut.model_validate(card)]


def _pictures(app: FastAPI, service: _Service) -> None:
    @app.post(
        "/v1/recognize", tags=["pictures"], openapi_extra=request_body(), responses=_ACCEPTING
    )
    async def recognize(request: Request) -> Answer:
        """The expressions of every face in one or many pictures."""
        given = await uploads(request, service.settings)
        asked = service.engine.submit(*given, client=client_of(request.scope))
        results = await asyncio.gather(*map(asyncio.wrap_future, asked))
        pictures = [picture_out(result) for result in results]
        if all(picture.error for picture in pictures):
            raise Refused(422, "; ".join(str(p.error) for p in pictures[:3]))
        for picture in pictures:
            for reading in picture.readings:
                service.metrics.faces.labels(reading.label).inc()
        return Answer(model=service.recognizer.card.name, pictures=pictures)

    @app.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        await service.streams.serve(socket)


def _videos(app: FastAPI, service: _Service) -> None:
    of_a_job: Any = {"tags": ["videos"], "responses": responses(*_GUARDED, 404, 422)}

    @app.post("/v1/videos", status_code=202, tags=["videos"], responses=_ACCEPTING)
    async def send(
        request: Request, video: UploadFile, blur: Annotated[bool, Form()] = False
    ) -> JobOut:
        """Accept a video; its id is the name in /v1/videos/{name}, which tells its progress."""
        suffix, client = Path(video.filename or "").suffix.lower(), client_of(request.scope)
        add = partial(service.jobs.add, video.file, suffix, blur=blur, client=client)
        job = await run_in_threadpool(add)
        return job_out(service.jobs, job)

    @app.get("/v1/videos/{name}", **of_a_job)
    async def progress(name: str) -> JobOut:
        """Progress of a video, and the files that can be fetched."""
        return job_out(service.jobs, service.jobs.get(name))

    @app.get("/v1/videos/{name}/{file}", response_class=FileResponse, **of_a_job)
    async def fetch(name: str, file: str) -> FileResponse:
        """A table (.csv, .jsonl), what made it (-metadata.json), the segments, the summary or the
        overlay (.mp4) of a finished job."""
        return FileResponse(service.jobs.file(name, file), filename=file)

    @app.delete("/v1/videos/{name}", status_code=204, **of_a_job)
    async def remove(name: str) -> Response:
        """Stop a job and delete its files."""
        await run_in_threadpool(service.jobs.remove, name)
        return Response(status_code=204)


def _page(app: FastAPI, labels: Sequence[str]) -> None:
    """Its files one by one: a folder mounted at / would answer for every path there is not."""
    add_file(app, "/", MODULES / "index.html")
    for file in MODULES.iterdir():
        add_file(app, f"/{file.name}", file)
    for name, content in made(labels).items():
        _add_made(app, name, content)


def _add_made(app: FastAPI, name: str, content: bytes) -> None:
    @app.get(f"/{name}", include_in_schema=False)
    async def send() -> Response:
        return Response(content, media_type=_KINDS[Path(name).suffix])


def _add_heads(app: FastAPI) -> None:
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


def _openapi(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """The description, with the key, examples and the schemas that no route returns."""
    if app.openapi_schema is None:
        told = app.openapi_schema = FastAPI.openapi(app)
        parts = told.setdefault("components", {})
        schemas = parts.setdefault("schemas", {})
        for schema in (Problem, PictureIn):
            schemas[schema.__name__] = schema.model_json_schema()
        examples = resources.files("mien.serve").joinpath("examples.json").read_text("utf-8")
        for name, example in json.loads(examples).items():
            schemas[name]["examples"] = [example]
        parts["securitySchemes"] = {_KEY: {"type": "http", "scheme": "bearer"}}
        asked: list[dict[str, Any]] = [{_KEY: []}]
        for path, operations in told["paths"].items():
            for operation in operations.values():
                operation["summary"] = operation.pop("description")  # FastAPI's is the name
                if needs_key(path):
                    operation["security"] = asked if settings.api_key else [{}, *asked]
    return app.openapi_schema
