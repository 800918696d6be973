"""The configuration of nginx in `examples/`, run by nginx in front of a service."""

import contextlib
import re
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from mien.demo import PORTRAIT

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = pytest.mark.skipif(
    NGINX is None or shutil.which("openssl") is None, reason="no nginx or openssl on this machine"
)
FILE = Path(__file__).parents[2] / "examples" / "nginx.conf"
NAME = "mien.example.org"
PHOTO = PORTRAIT.read_bytes()
AROUND = """
daemon off; worker_processes 1; pid {0}/pid; error_log {0}/error.log;
events {{}}
http {{
    client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/f;
    uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;
    include {0}/site.conf;
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def services(start):
    return [start("--allow-host", NAME, "--rate", "40") for _ in range(2)]


@pytest.fixture(scope="module")
def port(services, tmp_path_factory):
    """Of nginx, which waits for heads and bodies for 1 s instead of 10."""
    place, tls, plain = tmp_path_factory.mktemp("nginx"), free_port(), free_port()
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={NAME}"]
    files = ["-keyout", place / "privkey.pem", "-out", place / "fullchain.pem"]
    subprocess.run([*request, *files], check=True, capture_output=True)
    site = FILE.read_text().replace("/etc/ssl/mien", str(place)).replace(" 10s;", " 1s;")
    site = site.replace("listen 443", f"listen 127.0.0.1:{tls}")
    site = site.replace("listen 80;", f"listen 127.0.0.1:{plain};").replace(
        "server 127.0.0.1:8000 fail_timeout=5s;",
        " ".join(f"server 127.0.0.1:{one.port} fail_timeout=5s;" for one in services),
    )
    (place / "site.conf").write_text(site)
    (place / "nginx.conf").write_text(AROUND.format(place))
    nginx = subprocess.Popen([NGINX, "-p", place, "-c", place / "nginx.conf"])
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", tls)).close()
            break
        except ConnectionError:
            time.sleep(0.05)
    yield tls
    nginx.terminate()
    nginx.wait(10)


@contextlib.contextmanager
def client(port, address="127.0.0.1"):
    headers = {"Host": f"{NAME}:{port}", "Origin": f"https://{NAME}:{port}"}
    transport = httpx.HTTPTransport(local_address=address, verify=False)
    base = f"https://127.0.0.1:{port}"
    with httpx.Client(base_url=base, headers=headers, transport=transport, timeout=20) as found:
        yield found


@pytest.fixture
def http(port):
    with client(port) as found:
        yield found


def test_pictures_and_the_page_come_through_and_the_metrics_do_not(http):
    answer = http.post("/v1/recognize", files={"pictures": PHOTO})
    assert answer.json()["pictures"][0]["readings"][0]["label"] == "happy"
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert http.get("/").status_code == http.get("/docs").status_code == 200
    assert http.get("/metrics").status_code == 404


def test_a_camera_comes_through(port):
    trusting = ssl._create_unverified_context()
    address = f"wss://{NAME}:{port}/v1/stream"
    with (
        socket.create_connection(("127.0.0.1", port)) as found,
        connect(address, sock=found, ssl=trusting) as camera,
    ):
        camera.send(PHOTO)
        assert '"happy"' in camera.recv(timeout=20)


@contextlib.contextmanager
def dialled(port):
    trusting = ssl._create_unverified_context()
    with (
        socket.create_connection(("127.0.0.1", port), 10) as found,
        trusting.wrap_socket(found, server_hostname=NAME) as wrapped,
    ):
        yield wrapped


@pytest.mark.parametrize(("path", "most"), [("/v1/recognize", 21), ("/v1/videos", 201)])
def test_what_is_too_large_does_not_reach_the_service(port, path, most):
    head = f"POST {path} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {most * 2**20 + 1}\r\n\r\n"
    with dialled(port) as found:
        found.sendall(head.encode())
        assert found.recv(100).startswith(b"HTTP/1.1 413")


HEAD = f"POST /v1/videos HTTP/1.1\r\nHost: {NAME}\r\n".encode()


@pytest.mark.parametrize("begun", [b"", HEAD, HEAD + b"Content-Length: 9\r\n\r\nab"])
def test_slow_clients_are_sent_away(port, begun):
    began = time.monotonic()
    with dialled(port) as found:
        found.sendall(begun)
        while found.recv(1000):
            pass
    assert time.monotonic() - began < 5


def test_a_client_cannot_be_another_one(http):
    """However many addresses it claims to have, it has one rate."""
    statuses = set()
    for number in range(60):
        headers = {"X-Forwarded-For": f"192.0.2.{number}"}
        statuses.add(http.get("/v1/models", headers=headers).status_code)
    assert statuses == {200, 429}


def asked(service):
    """How often the models of a service were asked for."""
    own = httpx.HTTPTransport(local_address="127.0.0.9")  # its rate is used up above
    with httpx.Client(transport=own) as prometheus:
        told = prometheus.get(f"{service.address}/metrics").raise_for_status().text
    found = re.search(r'mien_requests_total{path="/v1/models",status="200"} (\d+)', told)
    return int(found[1]) if found else 0


def test_a_client_stays_with_one_of_several_services_until_it_is_gone(port, services):
    def ask(number):
        with client(port, f"127.{number}.{37 * number % 250}.{91 * number % 250 + 1}") as one:
            return {one.get("/v1/models").status_code for _ in range(5)}

    shares = set()
    for number in range(10, 26):
        before = [asked(service) for service in services]
        assert ask(number) == {200}
        shares.add(tuple(asked(one) - old for one, old in zip(services, before, strict=True)))
    assert shares == {(0, 5), (5, 0)}
    services[0].stop()
    assert [ask(number) for number in range(30, 40)] == [{200}] * 10


def test_only_what_the_example_says_was_changed():
    """The test's changes must find their places in the file."""
    told = FILE.read_text()
    assert len(re.findall(r" 10s;", told)) == 3
    upstream = "server 127.0.0.1:8000 fail_timeout=5s;"
    for place in ("listen 443", "listen 80;", upstream, "/etc/ssl/mien"):
        assert place in told
