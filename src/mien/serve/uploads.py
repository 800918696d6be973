"""A request's body → pictures to be loaded, every limit kept before anything is decoded."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartParser
from starlette.requests import Request

from mien.errors import PictureError
from mien.serve.problems import Refused
from mien.serve.schemas import Asked, AskedAll
from mien.serve.settings import Settings
from mien.sources import Frame
from mien.sources.pictures import decode, from_base64, size_of

FIELD = "pictures"


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture that has come in; `load` decodes it, and raises MienError if it is none."""

    name: str
    load: Callable[[], Frame]


async def uploads(request: Request, settings: Settings) -> list[Upload]:
    """The pictures of a multipart or JSON request; Refused if it holds none, or too many."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        found = await _from_form(request, settings)
    elif kind == "application/json":
        found = _from_json(await request.body(), settings)
    else:
        raise Refused(415, f"expected multipart/form-data or application/json, got {kind[:80]!r}")
    if not found:
        raise Refused(422, f"expected at least one picture, in a part named {FIELD}")
    if len(found) > settings.limits.files:
        most = settings.limits.files
        raise Refused(413, f"expected at most {most} pictures, got {len(found)}")
    return found


async def _from_form(request: Request, settings: Settings) -> list[Upload]:
    # Beyond this, Starlette would write parts to a file; nothing of a picture is stored.
    MultiPartParser.spool_max_size = settings.limits.request_bytes + 1
    found = []
    async with request.form(max_files=settings.limits.files + 1, max_fields=8) as form:
        for part in form.getlist(FIELD):
            if not isinstance(part, UploadFile):
                raise Refused(422, f"expected {FIELD} to be files, got text")
            name = (part.filename or "picture")[:200]
            found.append(_upload(name, await part.read(), settings))
    return found


def _from_json(body: bytes, settings: Settings) -> list[Upload]:
    try:
        asked = AskedAll.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise Refused(422, f"{place}: {first['msg']}") from None
    return [_asked(one, number, settings) for number, one in enumerate(asked.pictures)]


def _asked(one: Asked, number: int, settings: Settings) -> Upload:
    name = one.name or f"picture {number}"
    if (one.base64 is None) == (one.url is None):
        raise Refused(422, f"pictures.{number}: expected either base64 or url")
    if one.base64 is not None:
        return _upload(name, from_base64(one.base64), settings)
    if not settings.urls:
        raise Refused(422, f"pictures.{number}: this service fetches no addresses; send base64")
    address = one.url or ""

    def load() -> Frame:
        from mien.sources.remote import fetch

        data = fetch(address, max_bytes=settings.limits.request_bytes)
        return _frame(name, data, settings)

    return Upload(name, load)


def _upload(name: str, data: bytes, settings: Settings) -> Upload:
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
    if size[0] * size[1] > settings.limits.pixels:
        most = settings.limits.pixels
        raise PictureError(f"{name} has {size[0]}x{size[1]} pixels; expected at most {most:,}")
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
