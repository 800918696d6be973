"""Camera frames over a WebSocket: the newest is read; frames that come too fast are dropped."""

import asyncio
import time

from fastapi import WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketState

from mien.errors import MienError, Overloaded
from mien.faces.tracking import Tracker
from mien.recognizer import track
from mien.serve.engine import Camera, Engine
from mien.serve.metrics import Metrics
from mien.serve.schemas import PictureOut, picture_out
from mien.serve.settings import Settings
from mien.serve.sharing import Room, Share, client_of
from mien.serve.uploads import Upload, measured

PROTOCOL = "mien"
"""Chosen where a browser offers it, beside its key."""

_GONE, _TOO_BIG, _TRY_LATER = 1001, 1009, 1013


class Streams:
    """The open cameras of a service."""

    def __init__(self, engine: Engine, settings: Settings, metrics: Metrics) -> None:
        self._engine, self._settings, self._metrics = engine, settings, metrics
        limits = settings.limits
        full = "too many cameras; try again later"
        self._open = Room(Share("cameras", limits.cameras, limits.client_share, full))

    async def serve(self, socket: WebSocket) -> None:
        """Answer the frames of one camera until it ends; one too many is sent away."""
        await socket.accept(PROTOCOL if PROTOCOL in socket.scope["subprotocols"] else None)
        client = client_of(socket.scope)
        try:
            self._open.take(client)
        except Overloaded as error:
            await socket.close(_TRY_LATER, str(error))
            return
        self._metrics.streams.set(self._open.taken)
        try:
            await _Stream(socket, self._engine, self._settings, self._metrics).run()
        except* WebSocketDisconnect:
            pass
        finally:
            self._open.leave(client)
            self._metrics.streams.set(self._open.taken)


class _Stream:
    """One camera: its newest frame, the number of dropped frames, its tracked faces."""

    def __init__(
        self, socket: WebSocket, engine: Engine, settings: Settings, metrics: Metrics
    ) -> None:
        self._socket, self._engine, self._settings = socket, engine, settings
        self._metrics = metrics
        self._client = client_of(socket.scope)
        self._tracker = Tracker()
        self._camera = Camera(engine.recognizer)
        self._newest: bytes | None = None
        self._come = asyncio.Event()
        self._reading = False
        self._frame = self._dropped = 0
        self._started = time.monotonic()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:  # the end of either is the end of both
            answering = group.create_task(self._answer())
            await self._take()
            answering.cancel()

    async def _take(self) -> None:
        while True:
            try:
                message = await asyncio.wait_for(
                    self._socket.receive(), self._settings.limits.silence_s
                )
            except TimeoutError:
                if self._reading:
                    continue
                await self._socket.close(_GONE, "no frame came for too long")
                return
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes")
            if data is None:
                await self._say({"error": "expected frames as binary messages, one picture each"})
                continue
            if len(data) > self._settings.limits.request_bytes:
                await self._socket.close(_TOO_BIG, "the frame is too large")
                return
            self._dropped += self._newest is not None
            self._metrics.dropped.inc(self._newest is not None)
            self._newest = data
            self._come.set()

    async def _answer(self) -> None:
        while True:
            await self._come.wait()
            self._come.clear()
            data, self._newest = self._newest, None
            if data is None:
                continue
            self._reading = True
            await self._say(await self._read(data))
            self._reading = False

    async def _read(self, data: bytes) -> dict[str, object]:
        number, self._frame = self._frame, self._frame + 1
        time_s = time.monotonic() - self._started
        answer: dict[str, object] = {"frame": number, "time_s": round(time_s, 3)}
        frame = Upload("frame", data, self._settings.limits, number, time_s)
        try:
            await measured([frame])
            (asked,) = self._engine.submit(frame, client=self._client, camera=self._camera)
            result = await asyncio.wrap_future(asked)
            picture = picture_out(track(result, self._tracker))
        except MienError as error:
            picture = PictureOut(name="frame", readings=[], error=str(error))
        if picture.error is not None:
            answer["error"] = picture.error
        told = picture.model_dump(include={"readings", "unread"})
        return answer | told | {"dropped": self._dropped}

    async def _say(self, answer: dict[str, object]) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            await self._socket.send_json(answer)
