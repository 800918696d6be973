"""The folder that `mien page` writes, and where its runtime comes from."""

import dataclasses
import hashlib
import io
import json
import os
import re
import sys
import tarfile
from pathlib import Path

import pytest

from mien import bundle as bundles
from mien.bundle import Bundle, open_bundle
from mien.card import State
from mien.cli import main
from mien.faces import yunet
from mien.faces.following import Follower
from mien.page import runtime, write
from mien.page.parts import BROWSER
from mien.page.runtime import TARBALL
from tests.fakes import brightness_bundle

CONTENTS = {"ort.wasm.min.mjs": b"export {};", "ort-wasm-simd-threaded.mjs": b"// its threads"}
CONTENTS["ort-wasm-simd-threaded.wasm"] = b"\0asm"


def tarball(contents: dict[str, bytes]) -> bytes:
    """An npm package with these files in its `dist`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture(autouse=True)
def small_runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A package of three small files takes the place of the real one's 14 MB; it lies in MIEN_HOME
    alone, so a test without it has none."""
    pinned = {
        name: (file, hashlib.sha256(CONTENTS[file]).hexdigest())
        for name, (file, _) in runtime.FILES.items()
    }
    monkeypatch.setattr(runtime, "FILES", pinned)
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / TARBALL).write_bytes(tarball(CONTENTS))
    return tmp_path / "home" / TARBALL


@pytest.fixture
def mien(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """`mien page ...`: exit code, what it said."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["mien", "page", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, "".join(capsys.readouterr())

    return run


def test_the_folder_is_whole_and_asks_nobody_else(mien, tmp_path: Path):
    code, told = mien("out")
    assert (code, "page: out, " in told) == (0, True)
    out = tmp_path / "out"
    names = {path.name for path in out.iterdir()}
    texts = {n: (out / n).read_text("utf-8") for n in names if n.endswith((".js", ".html", ".css"))}
    keeper = texts.pop(write.KEEPER)
    asked = {
        name for text in texts.values() for name in re.findall(r'"(?:\./)?([\w-]+\.\w+)"', text)
    }
    assert asked - {"mien.csv", "mien.zip"} == names - {"index.html"}, "none lacks, none is idle"
    kept = json.loads(re.search(r"FILES = (\[.*?\]);", keeper)[1])
    assert {*kept} == names - {write.KEEPER}
    assert not any("://" in text for text in (*texts.values(), keeper))
    assert (out / "model.onnx").read_bytes() == open_bundle("mien-s").model_file.read_bytes()
    assert json.loads((out / "about.json").read_text())["card"]["temperature"] == 0.9965
    assert "Shiqi Yu" in (out / "NOTICE.txt").read_text()  # whose the detector is


def test_it_is_the_service_s_page_without_what_only_a_service_has(mien, tmp_path: Path):
    mien("out")
    html = (tmp_path / "out" / "index.html").read_text()
    assert "<!--" not in html
    assert not re.search(r"\bfilms?\b|docs|ask-key|video|POLICY|SIZE", html)
    assert "none leaves your device" in html
    assert "script-src 'self' 'wasm-unsafe-eval'" in html


def test_visitors_get_another_version_when_a_file_differs(mien, tmp_path: Path):
    keepers = []
    for model in ("mien-s", "mien-s", "mien-s-wide-int8"):
        assert mien("out", "--model", model)[0] == 0
        keepers.append((tmp_path / "out" / write.KEEPER).read_text())
    assert keepers[0] == keepers[1] != keepers[2]


@pytest.mark.parametrize("place", ["given.tgz", "folder", "folder/package"])
def test_a_runtime_is_taken_from_where_it_is_given(mien, small_runtime, tmp_path, place: str):
    with tarfile.open(small_runtime) as opened:
        opened.extractall(tmp_path / "folder", filter="data")
    small_runtime.rename(tmp_path / "given.tgz")
    assert mien("out", "--runtime", place)[0] == 0
    assert (tmp_path / "out" / "ort-wasm.wasm").read_bytes() == b"\0asm"


def test_what_npm_fetches_is_kept(mien, small_runtime, monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    npm, package = tmp_path / "bin" / "npm", small_runtime.rename(tmp_path / "package")
    npm.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\ncp {package} {TARBALL}\n')
    npm.chmod(0o755)
    monkeypatch.setenv("MIEN_OFFLINE", "0")
    monkeypatch.setenv("PATH", f"{npm.parent}:{os.environ['PATH']}")
    assert mien("out")[0] == mien("out")[0] == 0
    asked = f"pack --silent onnxruntime-web@{runtime.VERSION}\n"
    assert (tmp_path / "asked").read_text() == asked, "once"


@pytest.mark.parametrize(("npm", "words"), [("exit 1", "npm did not fetch"), (None, "nor npm")])
def test_without_npm_s_answer_it_is_said_what_to_do(
    mien, small_runtime, monkeypatch, tmp_path, npm, words
):
    small_runtime.unlink()
    (tmp_path / "bin").mkdir()
    if npm is not None:
        (tmp_path / "bin" / "npm").write_text(f"#!/bin/sh\n{npm}\n")
        (tmp_path / "bin" / "npm").chmod(0o755)
    monkeypatch.setenv("MIEN_OFFLINE", "0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    code, told = mien("out")
    assert code == 2 and words in told and f"--runtime {TARBALL}" in told


OTHER = tarball(CONTENTS | {"ort.wasm.min.mjs": b"export { other };"})


@pytest.mark.parametrize(
    ("lying", "arguments", "words"),
    [
        (
            None,
            [],
            f"{TARBALL} is not here and not fetched, as MIEN_OFFLINE is set; unset it, or run",
        ),
        (None, ["--runtime", "nowhere"], "--runtime nowhere does not exist"),
        (OTHER, [], "ort.wasm.min.mjs has another sha256; get it again: npm pack onnxruntime-web@"),
        (b"nonsense", [], "is not the package onnxruntime-web"),
        (tarball({}), [], "ort.wasm.min.mjs cannot be read"),
        (OTHER, ["--runtime", "."], "ort.wasm.min.mjs cannot be read"),
    ],
    ids=["offline", "nowhere", "other", "nonsense", "empty", "folder"],  # a tarball tells the time
)
def test_a_missing_or_other_runtime_is_one_line(mien, small_runtime, lying, arguments, words):
    small_runtime.unlink()
    if lying is not None:
        small_runtime.write_bytes(lying)
    code, told = mien("out", *arguments)
    assert code == 2
    assert words in told
    assert len(told.splitlines()) == 1
    assert not Path("out").exists()


def test_a_folder_of_others_is_left_alone(mien, tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    code, told = mien("out")
    assert (code, "out is there and is no page of mien" in told) == (2, True)
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"


def of(bundle: Bundle, **changed: object) -> Path:
    dataclasses.replace(bundle.card, **changed).save(bundle.folder / bundles.CARD_FILE)
    return bundle.folder


def test_a_network_that_browsers_do_not_run_is_refused(mien, tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "bundle")
    noisy = dataclasses.replace(bundle.card.preprocess, denoise="auto")
    for changed, words in (
        ({"preprocess": noisy}, "takes noise away"),
        ({"state": State({"h": (4,)}, 8, 25.0)}, "reads clips"),
    ):
        code, told = mien("out", "--model", of(bundle, **changed))
        assert (code, words in told) == (2, True)
    assert mien("bundle", "--model", "bundle")[0] == 2, "the page would replace its own network"


def test_the_detector_s_numbers_are_python_s():
    """Each of `const NAME = value` in the port, and of `const [A, B] = [1, 2]`."""
    told = {}
    for module in ("yunet.js", "following.js"):
        for names, values in re.findall(
            r"^const (\[.*?\]|\w+) = ([\d.]+|\[[\d., ]+\]);", (BROWSER / module).read_text(), re.M
        ):
            if names.startswith("["):
                told |= dict(zip(re.findall(r"\w+", names), json.loads(values), strict=True))
            else:
                told[names] = json.loads(values)
    python = {
        name.lstrip("_"): list(value) if isinstance(value, tuple) else value
        for module in (yunet, sys.modules[Follower.__module__], sys.modules["mien.faces.tracking"])
        for name, value in vars(module).items()
        if name.isupper()
    }
    unlike = {n: (v, python.get(n)) for n, v in told.items() if python.get(n) != v}
    assert len(told) > 35
    assert unlike == {}
