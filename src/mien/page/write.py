"""Write the page that reads in the browser."""

import hashlib
import json
from importlib import resources
from importlib.metadata import distribution
from pathlib import Path

import mien
from mien.bundle import Bundle, open_bundle
from mien.errors import InputError
from mien.files import check_folder, replacing_folder
from mien.page.parts import BROWSER, BROWSER_POLICY, MODULES, SERVICE, for_browser, made
from mien.page.runtime import open_runtime
from mien.values import as_json

KEEPER = "sw.js"
"""The service worker, and how a folder is known to be such a page."""


def write_page(out: Path, model: str, runtime: Path | None = None) -> int:
    """Write the folder `out` and return its size in bytes.

    `model` is a bundle as in `Recognizer`, `runtime` a package as in `open_runtime`. Raises
    InputError for a folder that is something else, and for a bundle that browsers do not run;
    BundleError and WeightsError.
    """
    bundle = open_bundle(model)
    check_folder("OUT", out, [bundle.folder, runtime], replaced=True)
    _check(out, bundle)
    files = _networks(bundle) | open_runtime(runtime) | made(bundle.card.labels)
    for folder in (MODULES, BROWSER):  # of two modules of a name the browser's
        files |= {path.name: path.read_bytes() for path in folder.iterdir()}
    files = {name: content for name, content in files.items() if name not in SERVICE}
    size = sum(map(len, files.values()))
    files["index.html"] = for_browser(files["index.html"].decode(), size).encode()
    files[KEEPER] = _keeper(files)
    with replacing_folder(out) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
    return size


def _check(out: Path, bundle: Bundle) -> None:
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / KEEPER).is_file()):
        raise InputError(f"{out} is there and is no page of mien; choose another folder")
    for lacks, what in (
        (bundle.card.state is not None, "reads clips"),
        (bundle.card.preprocess.denoise != "none", "takes noise away"),
    ):
        if lacks:
            raise InputError(
                f"{bundle.card.name} {what}, which the page in the browser does not; choose "
                "another --model, or run mien serve"
            )


def _networks(bundle: Bundle) -> dict[str, bytes]:
    faces = resources.files("mien.faces")
    about = {"mien": mien.__version__, "card": as_json(bundle.card)}
    return {
        "about.json": json.dumps(about).encode(),
        "NOTICE.txt": (distribution("mien").read_text("licenses/NOTICE") or "").encode(),
        "model.onnx": bundle.model_file.read_bytes(),
        **{name: (faces / name).read_bytes() for name in ("yunet.onnx", "cover.onnx")},
    }


def _keeper(files: dict[str, bytes]) -> bytes:
    """The service worker, which changes when one of the other files does."""
    names = sorted(files)
    version = hashlib.sha256(b"".join(hashlib.sha256(files[name]).digest() for name in names))
    facts = {
        "FILES": [name for name in names if name != KEEPER],
        "VERSION": version.hexdigest()[:16],
        "POLICY": BROWSER_POLICY,
    }
    head = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in facts.items())
    return head.encode() + files[KEEPER]
