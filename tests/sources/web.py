"""A web server of this machine that answers well, badly, slowly or not at all."""

import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mien.sources.remote import MAX_REDIRECTS

PICTURE = b"a picture" * 1000


def raw(*parts: bytes, every_s: float = 0.0) -> Callable[["Handler"], None]:
    """An answer of exactly these bytes, with a pause behind each part."""

    def answer(handler: "Handler") -> None:
        for part in parts:
            handler.wfile.write(part)
            time.sleep(every_s)

    return answer


def status(number: int, body: bytes = b"", **headers: str) -> Callable[["Handler"], None]:
    """A whole answer with Content-Length."""
    named = {"Content-Length": str(len(body))} | {k.replace("_", "-"): headers[k] for k in headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return raw(f"HTTP/1.1 {number} x\r\n{lines}\r\n".encode("latin-1") + body)


def chunked(*chunks: bytes) -> Callable[["Handler"], None]:
    return raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *chunks)


def to(location: str, number: int = 302) -> Callable[["Handler"], None]:
    return status(number, Location=location)


def echo(handler: "Handler") -> None:
    """The request line and headers that came."""
    status(200, f"{handler.requestline}\n{handler.headers}".encode())(handler)


ANSWERS: dict[str, Callable[["Handler"], None]] = {
    "/picture": status(200, PICTURE),
    "/no-length": raw(b"HTTP/1.1 200 OK\r\n\r\n", PICTURE),
    "/chunked": chunked(b"%x\r\n" % len(PICTURE), PICTURE, b"\r\n0\r\n\r\n"),
    "/chunk-minus-one": chunked(b"-1\r\n", PICTURE),
    "/says-large": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n"),
    "/empty": status(204),
    "/echo?a=1": echo,
    "/caf%C3%A9%20au%20lait?q=%C3%BC": status(200, b"quoted"),
    "/not-found": status(404, b"no"),
    "/broken": status(500),
    "/not-modified": status(304),
    "/gzip": status(200, PICTURE, Content_Encoding="gzip"),
    "/cut": status(200, b"half", Content_Length="9"),
    "/cut-chunk": chunked(b"9\r\nhalf"),
    "/no-http-at-length": raw(b"x" * 5000 + b"\r\n"),
    "/no-http": raw(b"SSH-2.0-OpenSSH\r\n"),
    "/silent": raw(b"", every_s=20),
    "/drip": raw(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x"] * 400, every_s=0.05),
    "/drip-headers": raw(b"HTTP/1.1 200 OK\r\n", *[b"A: b\r\n"] * 90, every_s=0.05),
    "/drip-continue": raw(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 400, every_s=0.05),
    "/loop": to("/loop"),
    "/nowhere": status(302),
    "/to-file": to("file:///etc/passwd"),
    "/to-ftp": to("ftp://127.0.0.1/picture"),
    "/to-password": to("http://user:secret@127.0.0.1/picture"),
    "/to-nonsense": to("http://[::1"),
    "/to-echo": to("echo?a=1"),
    "/to-cafe": to("/café au lait?q=ü".encode().decode("latin-1")),
    **{f"/to-picture-{number}": to("picture", number) for number in (301, 302, 303, 307, 308)},
    **{f"/hop-{left}": to(f"/hop-{left - 1}") for left in range(1, MAX_REDIRECTS + 2)},
    "/hop-0": status(200, PICTURE),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.close_connection = True
        path = self.path
        with contextlib.suppress(OSError):  # the client may go first
            if path.startswith("/to?"):
                to(path.removeprefix("/to?"))(self)
            else:
                ANSWERS[path](self)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server on 127.0.0.1, with TLS if there is a context for it."""
    server = Server(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.socket.close()
