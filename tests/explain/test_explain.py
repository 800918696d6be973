"""Photo in, maps out: in Python and by the command."""

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.special import softmax

from mien.cli import main
from mien.demo import PORTRAIT
from mien.errors import InputError, MissingExtra, NoFace, RunError
from mien.explain import METHODS, Explainer, draw
from mien.explain.occlusion import occlusion
from mien.extras import remedy
from mien.faces import DETECTORS
from mien.labels import FER2013
from tests.fakes import brightness_bundle

Make = Callable[[str], Path]


@pytest.fixture(scope="module")
def bright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return brightness_bundle(tmp_path_factory.mktemp("bright"), size_px=24).folder


@pytest.fixture
def mien(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mien", "explain", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return run


def test_the_portrait_is_explained_by_default_weights(mien, tmp_path: Path):
    code, out, _ = mien("mien-s", PORTRAIT, "--out", tmp_path / "p.png", "--detector", "yunet")
    assert (code, out.splitlines()[0][:7]) == (0, "1 happy")
    assert "(occlusion)" in out
    assert cv2.imread(str(tmp_path / "p.png")).shape == (358, 664, 3)


def test_each_face_has_a_row_of_its_own_label(bright: Path):
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 40:] = 255
    explainer = Explainer(bright, detector=lambda _: [(0, 0, 40, 40), (40, 0, 40, 40)])
    found = explainer.explain(picture)
    assert [f.label for f in found] == ["angry", "surprise"]
    assert all(f.map.shape == (24, 24) for f in found)
    assert draw(found).shape[0] == 2 * draw(found[:1]).shape[0]
    asked = explainer.explain(picture, label="happy")
    assert [f.label for f in asked] == ["happy", "happy"]
    probabilities = softmax(20 * np.linspace(0, 1, 7) * 0 - 10 * np.linspace(0, 1, 7) ** 2)
    assert asked[0].score == pytest.approx(probabilities[3], abs=1e-5)
    assert found[0].score == pytest.approx(probabilities[0], abs=1e-5)
    assert [f.method for f in asked] == ["occlusion"] * 2
    for black, white in (found, asked):
        assert (black.crop == 0).all()
        assert (white.crop == 255).all()
        assert white.map.max() > 0 or white.label == "happy"
    assert explainer.labels == FER2013


def test_a_map_is_that_of_the_label_that_was_asked_for(bright: Path):
    explainer = Explainer(bright, detector="none")
    crop = np.full((48, 48), 128, np.uint8)
    image = explainer.classifier.card.preprocess.resize([crop])[0]
    for label in ("happy", "angry"):
        found = explainer.explain_crop(crop, label=label)
        expected = occlusion(explainer.classifier, image, FER2013.index(label))
        assert (found.map == expected).all()
        (whole,) = explainer.explain(crop, label=label)
        assert (whole.map == expected).all()
    assert (
        explainer.explain_crop(crop).map == explainer.explain_crop(crop, label="happy").map
    ).all()


@pytest.mark.parametrize("shape", [(48, 48), (10, 200), (300, 200, 3)])
def test_any_crop_is_drawn(bright: Path, shape: tuple[int, ...]):
    crop = np.full(shape, 128, np.uint8)
    assert draw([Explainer(bright).explain_crop(crop)]).dtype == np.uint8


def test_methods_and_their_models(bright: Path):
    assert Explainer(bright).method == "occlusion"
    with pytest.raises(InputError, match="no method 'lime'; there are: occlusion, gradcam"):
        Explainer(bright, "lime")
    for method in METHODS[1:]:
        with pytest.raises(InputError, match=f"{method} looks inside .* only a run folder has"):
            Explainer(bright, method)


def test_a_detector_and_a_label_are_given_by_name(bright: Path):
    assert Explainer(model=bright, method="occlusion", detector="none").method == "occlusion"
    with pytest.raises(TypeError):
        Explainer(bright, "occlusion", "none")  # type: ignore[misc]
    with pytest.raises(TypeError):
        Explainer(bright).explain(np.zeros((40, 40, 3), np.uint8), "happy")  # type: ignore[misc]


def test_what_cannot_be_explained(bright: Path):
    explainer = Explainer(bright, detector=lambda _: [])
    picture = np.zeros((40, 40, 3), np.uint8)
    with pytest.raises(NoFace, match="no face found"):
        explainer.explain(picture)
    with pytest.raises(InputError, match="no label 'bored'; this network knows: angry,"):
        explainer.explain(picture, label="bored")


def test_a_run_is_explained_by_all_methods(exported: Path, face: np.ndarray, mien, tmp_path: Path):
    pytest.importorskip("captum")
    cv2.imwrite(str(tmp_path / "face.png"), face)
    assert Explainer(exported, detector="none").method == "gradcam"
    maps = [Explainer(exported, method).explain_crop(face).map for method in METHODS]
    assert not np.allclose(maps[0], maps[1])
    assert not np.allclose(maps[1], maps[2])
    arguments = (exported, tmp_path / "face.png", "--detector", "none", "--out", tmp_path / "p.png")
    code, out, _ = mien(*arguments, "--method", "attention", "--label", "fear")
    assert (code, out.split()[1]) == (0, "fear")


def test_a_run_without_a_bundle_says_how_to_make_one(make_run: Make):
    with pytest.raises(RunError, match="make it with: mien export"):
        Explainer(make_run("attention"))


def test_without_captum_the_extra_is_named(exported: Path, monkeypatch: pytest.MonkeyPatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "captum" else find(name)
    )
    with pytest.raises(MissingExtra, match=re.escape(remedy("explain"))):
        Explainer(exported)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--label", "bored"), "no label 'bored'"),
        (("--method", "gradcam"), "only a run folder has"),
        (("--method", "lime"), "no method 'lime'"),
        (("--detector", "eyes"), f"there are: {', '.join(DETECTORS)}"),
        (("--out", "picture.xyz"), "use .png"),
    ],
)
def test_each_mistake_is_one_line(mien, bright: Path, tmp_path: Path, change, message: str):
    cv2.imwrite(str(tmp_path / "face.png"), np.full((48, 48), 99, np.uint8))
    common = (bright, tmp_path / "face.png", "--detector", "none", "--out", tmp_path / "p.png")
    code, _, err = mien(*common, *change)
    assert (code, err.count("\n")) == (2, 1)
    assert message in err
    assert not (tmp_path / "p.png").exists()
