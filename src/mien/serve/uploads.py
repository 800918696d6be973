"""A request's body → pictures to be loaded, every limit kept before anything is decoded."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NoReturn

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from mien.errors import MienError, PictureError
from mien.serve.problems import Refused
from mien.serve.schemas import Asked, AskedAll
from mien.serve.settings import Settings
from mien.sources import Frame
from mien.sources.pictures import decode, from_base64, size_of

FIELD = "pictures"
_MOST_TOKENS = 10_000  # of a JSON body: beyond it, telling what is wrong with it takes minutes
_FETCHERS = ThreadPoolExecutor(16, "mien-fetch")  # others must not wait for slow addresses


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture that has come in; `load` decodes it, and raises MienError if it is none."""

    name: str
    load: Callable[[], Frame]


async def uploads(request: Request, settings: Settings) -> list[Upload]:
    """The pictures of a multipart or JSON request; Refused if it holds none, or too many."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _from_form(request, settings)
    if kind == "application/json":
        return await _from_json(await request.body(), settings)
    raise Refused(415, f"expected multipart/form-data or application/json, got {kind[:80]!r}")


class _InMemory(MultiPartParser):
    """Nothing of a picture is stored; Starlette would put the large ones into files."""

    spool_max_size = 2**40


async def _from_form(request: Request, settings: Settings) -> list[Upload]:
    most = settings.limits.files
    parser = _InMemory(request.headers, request.stream(), max_files=most + 1, max_fields=8)
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeError) as error:
        raise Refused(400, f"the form cannot be read: {error}") from None
    try:
        parts = form.getlist(FIELD)
        _check_number(len(parts), most)
        return [await _from_part(part, settings) for part in parts]
    finally:
        await form.close()


async def _from_part(part: UploadFile | str, settings: Settings) -> Upload:
    if not isinstance(part, UploadFile):
        raise Refused(422, f"expected {FIELD} to be files, got text; give a file's name")
    return _upload(part.filename or "picture", await part.read(), settings)


async def _from_json(body: bytes, settings: Settings) -> list[Upload]:
    if sum(body.count(mark) for mark in (b",", b"{", b"[")) > _MOST_TOKENS:
        raise Refused(413, f"expected at most {settings.limits.files} pictures")
    try:
        asked = await run_in_threadpool(AskedAll.model_validate_json, body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise Refused(422, f"{place}: {first['msg']}") from None
    _check_number(len(asked.pictures), settings.limits.files)
    for number, one in enumerate(asked.pictures):
        if (one.base64 is None) == (one.url is None):
            raise Refused(422, f"pictures.{number}: expected either base64 or url")
        if one.url is not None and not settings.urls:
            raise Refused(422, f"pictures.{number}: this service fetches no addresses; send base64")
    share = settings.limits.request_bytes // len(asked.pictures)
    named = [(one.name or f"picture {number}", one) for number, one in enumerate(asked.pictures)]
    return await asyncio.gather(*(_asked(name, one, share, settings) for name, one in named))


def _check_number(pictures: int, most: int) -> None:
    if pictures == 0:
        raise Refused(422, f"expected at least one picture, in a part named {FIELD}")
    if pictures > most:
        raise Refused(413, f"expected at most {most} pictures, got {pictures}")


async def _asked(name: str, one: Asked, most_bytes: int, settings: Settings) -> Upload:
    if one.url is None:
        text = one.base64 or ""
        return Upload(name, lambda: _frame(name, from_base64(text), settings))
    from mien.sources.remote import fetch

    loop, get = asyncio.get_running_loop(), partial(fetch, one.url, max_bytes=most_bytes)
    try:
        data = await loop.run_in_executor(_FETCHERS, get)
    except MienError as error:
        return Upload(name, _raising(error))
    return _upload(name, data, settings)


def _raising(error: MienError) -> Callable[[], Frame]:
    def load() -> NoReturn:
        raise error

    return load


def _upload(name: str, data: bytes, settings: Settings) -> Upload:
    name = name[:200].encode(errors="replace").decode()  # a form can say what is no text
    return Upload(name, lambda: _frame(name, data, settings))


def load_frame(
    name: str, data: bytes, settings: Settings, *, index: int, time_s: float
) -> Callable[[], Frame]:
    """What loads a frame of a stream."""
    return lambda: replace(_frame(name, data, settings), index=index, time_s=time_s)


def _frame(name: str, data: bytes, settings: Settings) -> Frame:
    size = size_of(data)
    if size is None:
        raise PictureError(f"{name} is not a PNG, JPEG, WebP or BMP picture")
    limits, told = settings.limits, f"{name} has {size[0]}x{size[1]} pixels; expected at most"
    if size[0] * size[1] > limits.pixels:
        raise PictureError(f"{told} {limits.pixels:,}")
    if max(size) > limits.side_px:
        raise PictureError(f"{told} {limits.side_px:,} on a side")
    return Frame(name, decode(data, name=name))


def request_body() -> dict[str, Any]:
    """For OpenAPI: the two forms of a request with pictures."""
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": [FIELD],
                        "properties": {
                            FIELD: {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "string", "format": "binary"},
                            }
                        },
                    }
                },
                "application/json": {
                    "schema": AskedAll.model_json_schema(
                        ref_template="#/components/schemas/{model}"
                    ),
                    "example": {"pictures": [{"name": "me", "base64": "iVBORw0KGgo..."}]},
                },
            },
        }
    }
