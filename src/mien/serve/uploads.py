"""The pictures of a request; limits are checked before anything is decoded."""

import asyncio
import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from mien.errors import MienError, PictureError
from mien.serve.limits import Limits
from mien.serve.problems import Refused
from mien.serve.schemas import PictureIn, PicturesForm, PicturesIn
from mien.serve.settings import Settings
from mien.sources import Frame, Item
from mien.sources.pictures import decoded, from_base64, opened, size_of

FIELD = "pictures"
_DOT = (  # a PNG of one pixel, for the description to be tried out
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
_MOST_TOKENS = 10_000  # of a JSON body: beyond it, telling what is wrong with it takes minutes
_FETCHERS = ThreadPoolExecutor(16, "mien-fetch")  # others must not wait for slow addresses


@dataclass(slots=True)
class Upload:
    """A picture that has come in; its limits are checked before it is decoded."""

    name: str
    data: bytes | str
    """A file, or its base64 text."""
    limits: Limits
    frame: int | None = None
    time_s: float | None = None
    """Of a frame of a stream: its number, and the seconds since the stream began."""
    index: int | None = None
    area_px: int = 0
    """Its pixels, once it is measured; 0 for what is known not to be decoded."""
    _size: tuple[int, int] | None = None
    """Width and height by its head, if that has told."""
    _image: Any = None

    def is_measured(self) -> bool:
        """Whether its head tells its size at once, as that of most pictures does."""
        self._size = size_of(self.data) if isinstance(self.data, bytes) else None
        if self._size is not None and self._too_large(*self._size) is None:
            self.area_px = self._size[0] * self._size[1]
        return self._size is not None

    def measure(self) -> None:
        """Open it; what is wrong with it, `load` tells."""
        with contextlib.suppress(MienError):
            self._image = self._opened()
            self.area_px = self._image.width * self._image.height

    def load(self) -> Frame:
        """The picture; InputError or PictureError."""
        image, self._image = self._image or self._opened(), None
        pixels = decoded(image, self.name)  # a film is refused: it is for /v1/videos
        return Frame(self.name, pixels, self.frame, self.time_s, index=self.index)

    def _opened(self) -> Any:
        """An image of which no pixel is decoded."""
        if isinstance(self.data, str):
            self.data = from_base64(self.data)
        image = opened(self.data, self.name)
        if self._size not in (None, image.size):  # it would take more than was counted
            raise PictureError(f"{self.name} is damaged: its head tells of another size")
        if most := self._too_large(image.width, image.height):
            raise PictureError(
                f"{self.name} has {image.width}x{image.height} pixels; expected at most {most}"
            )
        return image

    def _too_large(self, width: int, height: int) -> str | None:
        """What is expected at most, of a picture that has more."""
        if width * height > self.limits.pixels:
            return f"{self.limits.pixels:,}"
        if max(width, height) > self.limits.side_px:
            return f"{self.limits.side_px:,} on a side"
        return None


async def uploads(request: Request, settings: Settings) -> Sequence[Item]:
    """The pictures of a multipart or JSON request, measured; Refused if it holds none, or too
    many."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        items = await _from_form(request, settings)
    elif kind == "application/json":
        items = await _from_json(await request.body(), settings)
    else:
        raise Refused(415, f"expected multipart/form-data or application/json, got {kind[:80]!r}")
    most, area_px = settings.limits.request_pixels, await measured(items)
    if area_px > most:
        raise Refused(
            413,
            f"expected pictures of at most {most:,} pixels together, got {area_px:,}; "
            "send fewer in a request, or smaller ones",
        )
    return items


async def measured(items: Sequence[Item]) -> int:
    """Their pixels together.

    Those whose size is not told at once are opened on a thread. Not all: at many small pictures a
    second, to change threads once more for each takes 7 % of the time.
    """
    pictures = [item for item in items if isinstance(item, Upload)]
    if others := [picture for picture in pictures if not picture.is_measured()]:
        await run_in_threadpool(_measure, others)
    return sum(picture.area_px for picture in pictures)


def _measure(pictures: Sequence[Upload]) -> None:
    for picture in pictures:
        picture.measure()


class _InMemory(MultiPartParser):
    """Keeps uploads in memory; Starlette would write large ones to disk."""

    spool_max_size = 2**40


async def _from_form(request: Request, settings: Settings) -> list[Item]:
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


async def _from_part(part: UploadFile | str, settings: Settings) -> Item:
    if not isinstance(part, UploadFile):
        raise Refused(422, f"expected {FIELD} to be files, got text; give a file's name")
    name = (part.filename or "picture")[:200].encode(errors="replace").decode()  # a form can say
    return Upload(name, await part.read(), settings.limits)  # what is no text


async def _from_json(body: bytes, settings: Settings) -> list[Item]:
    if sum(body.count(mark) for mark in (b",", b"{", b"[")) > _MOST_TOKENS:
        raise Refused(413, f"expected at most {settings.limits.files} pictures")
    try:
        asked = await run_in_threadpool(PicturesIn.model_validate_json, body)
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


async def _asked(name: str, one: PictureIn, most_bytes: int, settings: Settings) -> Item:
    if one.url is None:
        return Upload(name, one.base64 or "", settings.limits)
    from mien.sources.remote import fetch

    loop, get = asyncio.get_running_loop(), partial(fetch, one.url, max_bytes=most_bytes)
    try:
        return Upload(name, await loop.run_in_executor(_FETCHERS, get), settings.limits)
    except MienError as error:
        return Frame(name, None, error=str(error))


def request_body() -> dict[str, Any]:
    """For OpenAPI: the two forms of a request with pictures."""
    place = "#/components/schemas/{model}"
    forms = {
        "multipart/form-data": {"schema": PicturesForm.model_json_schema()},
        "application/json": {
            "schema": PicturesIn.model_json_schema(ref_template=place),
            "example": {"pictures": [{"name": "a dot", "base64": _DOT}]},
        },
    }
    return {"requestBody": {"required": True, "content": forms}}
