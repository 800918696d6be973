"""Bundles to and from a hub: the real client, against a small server that speaks what it asks."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mien.bundle import open_bundle
from mien.errors import BundleError, InputError
from mien.hub import pull, push
from tests.fakes import brightness_bundle

pytest.importorskip("huggingface_hub")
REPOSITORY = "someone/bright"


class Hub(ThreadingHTTPServer):
    """Repositories in memory: revision → file → content."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.revisions: dict[str, dict[str, bytes]] = {}
        self.created: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tokens.add(self.headers["Authorization"])
        if self.path == "/api/repos/create":
            self.server.created.append(json.loads(content))
            self.tell({"url": f"{self.server.address}/{REPOSITORY}"})
        elif self.path == "/api/validate-yaml":
            self.tell({"errors": [], "warnings": []})
        elif self.path == f"/api/models/{REPOSITORY}/preupload/main":
            files = [file["path"] for file in json.loads(content)["files"]]
            mode = {"uploadMode": "regular", "shouldIgnore": False}
            self.tell({"files": [{"path": path, **mode} for path in files]})
        elif self.path == f"/api/models/{REPOSITORY}/commit/main":
            lines = [json.loads(line) for line in content.splitlines()]
            files = {
                line["value"]["path"]: base64.b64decode(line["value"]["content"])
                for line in lines
                if line["key"] == "file"
            }
            revision = hashlib.sha1(content).hexdigest()
            self.server.revisions |= {revision: files, "main": files}
            address = f"{self.server.address}/{REPOSITORY}/commit/{revision}"
            self.tell({"commitOid": revision, "commitUrl": address, "success": True})
        else:
            self.send_error(404)

    def do_GET(self) -> None:
        head = f"/api/models/{REPOSITORY}/revision/"
        if self.path.startswith(head):
            files = self.server.revisions.get(self.path.removeprefix(head))
            if files is None:
                self.missing("RevisionNotFound")
                return
            siblings = [{"rfilename": name} for name in files]
            self.tell({"id": REPOSITORY, "sha": "c" * 40, "siblings": siblings})
        elif self.path.startswith(f"/api/models/{REPOSITORY}/tree/"):
            files = self.server.revisions["main"]
            facts = {"type": "file", "oid": "0"}
            self.tell([{**facts, "path": name, "size": len(b)} for name, b in files.items()])
        elif self.path.startswith(f"/{REPOSITORY}/resolve/"):
            _, name = self.path.removeprefix(f"/{REPOSITORY}/resolve/").split("/")
            content = self.server.revisions["main"][name]
            self.tell(content)
        else:
            self.missing("RepoNotFound")

    do_HEAD = do_GET

    def missing(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def tell(self, answer: Any) -> None:
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "c" * 40)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def mien(hub: Hub, home: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """Exit code and what was said. In a process of its own: the client reads its address once."""
    env = os.environ | {"HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_secret", "MIEN_HOME": str(home)}
    env |= {"HF_HOME": str(home / "hf"), "MIEN_OFFLINE": "0", "HF_HUB_OFFLINE": "0"} | variables
    command = [sys.executable, "-m", "mien", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, env=env, timeout=100)
    return answer.returncode, answer.stdout + answer.stderr


@pytest.fixture(scope="module")
def pushed(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that was pushed."""
    folder = tmp_path_factory.mktemp("push")
    bundle = brightness_bundle(folder / "bundle", size_px=48)
    code, said = mien(hub, folder / "home", "push", str(bundle.folder), REPOSITORY, "--private")
    assert code == 0, said
    assert f"pushed: {hub.address}/{REPOSITORY}/commit/" in said
    return Path(bundle.folder)


def test_a_bundle_is_pushed_as_one_commit(hub: Hub, pushed: Path):
    assert hub.revisions["main"] == {p.name: p.read_bytes() for p in pushed.iterdir()}
    asked = {"name": "bright", "organization": "someone", "visibility": "private"}
    assert [made.items() >= asked.items() for made in hub.created] == [True]
    assert hub.tokens == {"Bearer hf_secret"}


@pytest.mark.parametrize("revision", ["", "@main"])
def test_a_bundle_is_pulled_and_opened_by_its_name(
    hub: Hub, pushed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str
):
    name = REPOSITORY + revision
    code, said = mien(hub, tmp_path, "pull", name)
    assert code == 0, said
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    found = open_bundle(name)
    assert found.card == open_bundle(pushed).card
    assert {p.name for p in found.folder.iterdir()} == {p.name for p in pushed.iterdir()}
    assert said.splitlines()[0] == f"bundle: {found.folder}", "and no progress of the client's"


def test_a_bundle_that_does_not_match_its_card_is_not_kept(hub: Hub, pushed: Path, tmp_path: Path):
    whole = hub.revisions["main"]
    hub.revisions["main"] = whole | {"model.onnx": whole["model.onnx"] + b"changed"}
    code, said = mien(hub, tmp_path, "pull", REPOSITORY)
    hub.revisions["main"] = whole
    assert code == 2
    assert (
        f"nothing is kept of {REPOSITORY}: {REPOSITORY}/model.onnx does not match its card" in said
    )
    assert not [*(tmp_path / "bundles").rglob("*.onnx")]


@pytest.mark.parametrize(
    ("name", "variables", "message"),
    [
        ("someone/else", {}, "the hub did not give someone/else (404"),
        (f"{REPOSITORY}@old", {}, "the hub did not give someone/bright@old (404"),
        (REPOSITORY, {"HF_ENDPOINT": "http://127.0.0.1:9"}, "check the name and the connection"),
        (REPOSITORY, {"MIEN_OFFLINE": "1"}, f"{REPOSITORY} is not asked for, as MIEN_OFFLINE is"),
    ],
)
def test_what_the_hub_does_not_give_is_told_in_one_line(
    hub: Hub, pushed: Path, tmp_path: Path, name, variables, message
):
    code, said = mien(hub, tmp_path, "pull", name, **variables)
    assert code == 2
    assert message in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pull("bright"), "expected USER/NAME or USER/NAME@REVISION, got 'bright'"),
        (lambda: pull("a/../b"), "expected USER/NAME"),
        (lambda: push("mien-s", "a/b@main"), "without a revision"),
        (lambda: push("nothing", "a/b"), "no bundle 'nothing'"),
        (lambda: push("mien-s", "a/b"), "a/b is not asked for, as MIEN_OFFLINE is set"),
    ],
)
def test_nothing_is_asked_for_in_vain(tmp_path: Path, monkeypatch, call, message):
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    with pytest.raises((InputError, BundleError), match=message):
        call()


def test_a_mistyped_folder_is_not_taken_for_a_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(BundleError, match=r"no bundle 'runs/fooo': no such folder$"):
        open_bundle("runs/fooo")


def test_a_name_that_was_not_pulled_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    with pytest.raises(BundleError, match=r"no bundle 'a/b': no such folder; .*: mien pull a/b"):
        open_bundle("a/b")
