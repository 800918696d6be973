import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from mien.errors import InputError
from mien.sources.remote import fetch
from tests.sources.web import ANSWERS, PICTURE, Handler, serving, to

PUBLIC, ALSO_PUBLIC, PRIVATE = "93.184.216.34", "2606:2800:220:1::1", "127.0.0.1"
SHORT_S = 0.3
V6 = ("[::1]", "[::ffff:127.0.0.1]", "[::]")
NOT_PUBLIC = {
    "private": ["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fc00::1", "fec0::1"],
    "link-local": ["169.254.169.254", "fe80::1"],
    "multicast": ["224.0.0.1", "ff0e::1"],
    "reserved": ["0.0.0.0", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"],
    "reserved IPv6": ["::", "2001:db8::1", "::127.0.0.1", "64:ff9b:1::1", "2001:0:7f00:1::"],
    "IPv4 within": ["::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a00:1", "2002:a00:1::"],
}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as port:
        yield port


@pytest.fixture(scope="module")
def dead_port() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        yield unheard.getsockname()[1]


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_OFFLINE", "0")


class Internet:
    """Names and what each look-up of one answers, in turn; where connections were asked to go."""

    def __init__(self) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self.reached: list[str] = []


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    """The two public addresses lead to this machine; names are those that a test sets."""
    net, look_up, connect = Internet(), socket.getaddrinfo, socket.socket.connect

    def getaddrinfo(host: str, port: int, **options: int) -> list[object]:
        net.asked.append(host)
        answers = net.names.get(host, [[host]])
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [found for address in addresses for found in look_up(address, port, **options)]

    def connect_here(self: socket.socket, address: tuple[str, int]) -> None:
        net.reached.append(address[0])
        if ":" in address[0]:
            raise OSError(101, "Network is unreachable")
        connect(self, ("127.0.0.1" if address[0] == PUBLIC else address[0], address[1]))

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", connect_here)
    return net


def refusal(url: str, **options: object) -> str:
    """The one line that refuses `url`."""
    with pytest.raises(InputError) as caught:
        fetch(url, **options)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 250
    return message


@pytest.mark.parametrize("path", ["picture", "no-length", "chunked", "to-picture-301", "hop-5"])
def test_the_body_comes_back_whole(port, path):
    assert fetch(f"http://127.0.0.1:{port}/{path}", private=True) == PICTURE


@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
def test_redirects_are_followed(port, number):
    url = f"http://127.0.0.1:{port}/to-picture-{number}"
    assert fetch(url, private=True, max_bytes=len(PICTURE)) == PICTURE


@pytest.mark.parametrize(
    "path", ["/café au lait?q=ü#part", "/caf%C3%A9%20au%20lait?q=%C3%BC", "/to-cafe"]
)
def test_addresses_may_be_written_as_people_write_them(port, path):
    assert fetch(f"HTTP://127.0.0.1:{port}{path}", private=True) == b"quoted"


def test_an_answer_without_content_is_empty(port):
    assert fetch(f"http://127.0.0.1:{port}/empty", private=True) == b""


def test_the_request_asks_for_the_plain_file(port, internet):
    internet.names["bücher.test".encode("idna").decode()] = [[PRIVATE]]
    request = fetch(f"http://bücher.test:{port}/to-echo", private=True).decode()
    assert request.startswith("GET /echo?a=1 HTTP/1.1\n")
    assert f"Host: xn--bcher-kva.test:{port}\n" in request
    for header in ("Accept-Encoding: identity", "Connection: close", "User-Agent: mien"):
        assert request.count(f"{header}\n") == 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("file:///etc/passwd", "'file' is not fetched"),
        ("ftp://127.0.0.1/picture", "'ftp' is not fetched"),
        ("data:image/png;base64," + "A" * 1000, "'data' is not fetched"),
        (f"{'a' * 20}b://127.0.0.1/", f"'{'a' * 20}' is not fetched"),
        ("picture.png", "give an http or https address"),
        ("//127.0.0.1/picture", "give an http or https address"),
        ("http://user:secret@127.0.0.1/", "take them out"),
        ("http://user@127.0.0.1/", "take them out"),
        ("http://good.test\\@127.0.0.1/", "take them out"),
        ("http://", "no name of a host"),
        (f"http://{'a.' * 999}b c/{'d' * 999}", "no name of a host"),
        ("http://a b/", "no name of a host"),
        ("http://a\0b/", "no name of a host"),
        ("http://[::1", "cannot be read"),
        ("http://127.0.0.1:99999/", "cannot be read"),
        ("http://user:se/cret@127.0.0.1/", "cannot be read"),
        (f"http://{'a' * 64}.test/", "cannot be read"),
    ],
)
def test_unusable_addresses_are_refused(url, says):
    message = refusal(url, private=True)
    assert says in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("not-found?key=secret", "answered with status 404"),
        ("broken", "answered with status 500"),
        ("not-modified", "answered with status 304"),
        ("gzip", "sent 'gzip'"),
        ("cut", "cut short by 5 bytes"),
        ("cut-chunk", "cannot be fetched"),
        ("no-http-at-length", "cannot be fetched"),
        ("no-http", "cannot be fetched"),
        ("loop", "one redirect too many"),
        ("hop-6", "one redirect too many"),
        ("nowhere", "one redirect too many"),
        ("to-file", "'file' is not fetched"),
        ("to-ftp", "'ftp' is not fetched"),
        ("to-password", "take them out"),
        ("to-nonsense", "cannot be read"),
    ],
)
def test_unusable_answers_are_refused(port, path, says, monkeypatch):
    monkeypatch.setitem(ANSWERS, "/not-found?key=secret", ANSWERS["/not-found"])
    message = refusal(f"http://127.0.0.1:{port}/{path}", private=True)
    assert says in message
    assert "secret" not in message


@pytest.mark.parametrize("path", ["picture", "no-length", "chunked", "chunk-minus-one"])
def test_large_bodies_are_refused(port, path):
    url = f"http://127.0.0.1:{port}/{path}"
    assert "larger than 8,999 bytes" in refusal(url, private=True, max_bytes=len(PICTURE) - 1)


def test_fifty_megabytes_are_the_most_by_default(port):
    url = f"http://127.0.0.1:{port}/says-large"
    assert "larger than 50,000,000 bytes" in refusal(url, private=True)


@pytest.mark.parametrize("path", ["silent", "drip", "drip-headers", "drip-continue"])
def test_slow_servers_are_cut_off(port, path):
    begun = time.monotonic()
    message = refusal(f"http://127.0.0.1:{port}/{path}", private=True, timeout_s=SHORT_S)
    assert "took longer than 0.3 s" in message
    assert time.monotonic() - begun < 4  # they go on for longer, and a busy machine is slow


def test_the_time_limit_is_one_for_all_redirects(port, monkeypatch):
    def slowly(handler: Handler) -> None:
        time.sleep(SHORT_S / 2)
        to("/hop-slowly")(handler)

    monkeypatch.setitem(ANSWERS, "/hop-slowly", slowly)
    url = f"http://127.0.0.1:{port}/hop-slowly"
    assert "took longer" in refusal(url, private=True, timeout_s=SHORT_S)


def test_a_slow_name_server_is_cut_off(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(10) and [])
    assert "took longer" in refusal("http://faces.test/", timeout_s=SHORT_S)
    released.set()


def test_a_dead_port_is_explained(dead_port):
    message = refusal(f"http://127.0.0.1:{dead_port}/", private=True)
    assert "refused" in message and "check the address" in message


@pytest.mark.parametrize(
    ("address", "port"),
    [
        *(("http://faces.test/", 80), ("https://faces.test/", 443)),
        *(("http://faces.test:8080/", 8080), ("https://faces.test:80/", 80)),
    ],
)
def test_each_scheme_has_its_port(monkeypatch, address: str, port: int):
    asked = []

    def nobody(host: str, number: int, **_: object) -> list[object]:
        asked.append((host, number))
        return []

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    assert "has no address" in refusal(address)
    assert asked == [("faces.test", port)]


def test_an_unknown_name_is_explained(monkeypatch):
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "Name or service not known" in refusal("http://faces.test/")


def test_offline_is_said(port, monkeypatch, internet):
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    assert "MIEN_OFFLINE" in refusal(f"http://127.0.0.1:{port}/picture", private=True)
    assert internet.asked == []


def test_proxies_of_the_environment_are_not_used(port, dead_port, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{dead_port}")
    assert fetch(f"http://127.0.0.1:{port}/picture", private=True) == PICTURE


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "１２７.1",
        *V6,
    ],
)
def test_this_machine_is_refused_under_every_name(port, host):
    assert "private network" in refusal(f"http://{host}:{port}/picture")


@pytest.mark.parametrize(
    "address",
    [address for group in NOT_PUBLIC.values() for address in group],
)
def test_every_address_that_is_not_public_is_refused(internet, monkeypatch, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    answer = [(family, socket.SOCK_STREAM, 6, "", (address, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    assert "private network" in refusal("http://faces.test/")
    assert internet.reached == []


@pytest.mark.parametrize("address", [ALSO_PUBLIC, "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_of_ipv6_are_tried(internet, address):
    internet.names["faces.test"] = [[address]]
    assert "unreachable" in refusal("http://faces.test/")
    assert [ip_address(reached) for reached in internet.reached] == [ip_address(address)]


def test_a_public_name_is_fetched_from_the_address_that_was_checked(internet, port):
    internet.names["faces.test"] = [[PUBLIC]]
    assert fetch(f"http://faces.test:{port}/picture") == PICTURE
    assert internet.reached == [PUBLIC]


def test_the_next_address_is_tried(internet, port):
    internet.names["faces.test"] = [[ALSO_PUBLIC, PUBLIC]]
    assert fetch(f"http://faces.test:{port}/picture") == PICTURE
    assert internet.reached == [ALSO_PUBLIC, PUBLIC]


def test_a_name_with_one_private_address_is_refused(internet, port):
    internet.names["faces.test"] = [[PUBLIC, PRIVATE]]
    assert "private network" in refusal(f"http://faces.test:{port}/picture")
    assert internet.reached == []


def test_a_name_is_resolved_once(internet, port):
    """DNS rebinding: the second answer would be private."""
    internet.names["faces.test"] = [[PUBLIC], [PRIVATE]]
    assert fetch(f"http://faces.test:{port}/picture") == PICTURE
    assert (internet.asked, internet.reached) == (["faces.test"], [PUBLIC])


@pytest.mark.parametrize("host", [PRIVATE, "inside.test", "[::ffff:127.0.0.1]", "2130706433"])
def test_a_redirect_to_a_private_address_is_refused(internet, port, host):
    internet.names |= {"faces.test": [[PUBLIC]], "inside.test": [["10.0.0.7"]]}
    location = f"http://{host}:{port}/picture"
    assert "private network" in refusal(f"http://faces.test:{port}/to?{location}")
    assert internet.reached == [PUBLIC]


def test_a_name_that_turns_private_is_refused_when_redirected_to(internet, port):
    internet.names["faces.test"] = [[PUBLIC], [PRIVATE]]
    assert "private network" in refusal(f"http://faces.test:{port}/loop")
    assert internet.reached == [PUBLIC]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of faces.test and its key."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl command to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    chain, key = folder / "chain.pem", folder / "key.pem"
    command = "openssl req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
    names = ["-subj", "/CN=faces.test", "-addext", "subjectAltName=DNS:faces.test"]
    usage = ["-addext", "keyUsage=digitalSignature,keyCertSign"]
    files = ["-keyout", str(key), "-out", str(chain)]
    subprocess.run([*command.split(), *names, *usage, *files], check=True, capture_output=True)
    return chain, key


@pytest.fixture(scope="module")
def tls_port(certificate: tuple[Path, Path]) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with serving(context) as port:
        yield port


def test_tls_is_verified_against_the_name(internet, tls_port, certificate, monkeypatch):
    internet.names |= {"faces.test": [[PUBLIC]], "other.test": [[PUBLIC]]}
    assert "CERTIFICATE_VERIFY_FAILED" in refusal(f"https://faces.test:{tls_port}/picture")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    assert fetch(f"https://faces.test:{tls_port}/picture") == PICTURE
    assert "CERTIFICATE_VERIFY_FAILED" in refusal(f"https://other.test:{tls_port}/picture")


@pytest.mark.parametrize("path", ["silent", "drip"])
def test_slow_servers_are_cut_off_with_tls(internet, tls_port, certificate, path, monkeypatch):
    internet.names["faces.test"] = [[PUBLIC]]
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    url = f"https://faces.test:{tls_port}/{path}"
    assert "took longer" in refusal(url, timeout_s=2 * SHORT_S)
