import re
import subprocess
import sys

import pytest
import yaml

from mien.errors import RecipeError
from mien.models import entry
from mien.preprocess import Preprocess
from mien.recipes import Augment, Recipe, load_recipe, recipe_names
from mien.recipes.loading import RETIRED
from mien.recipes.schema import Finish, Input, Progressive

REPORT = ("report/attention", "report/mobilenetv2", "report/resnet50")


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_loads_and_survives_saving(name, tmp_path):
    recipe = load_recipe(name)
    assert recipe.name == name.replace("/", "-")
    assert recipe.about
    recipe.save(tmp_path / "recipe.yaml")
    assert load_recipe(tmp_path / "recipe.yaml") == recipe


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_names_a_model_and_options_that_exist(name):
    recipe = load_recipe(name)
    assert set(recipe.model.options) <= set(entry(recipe.model.name).options)
    assert recipe.input.preprocess().channels in (1, 3)


def test_the_three_corrected_recipes_ship():
    assert {"attention", "mobilenetv2", "resnet50"} <= set(recipe_names())


def test_a_recipe_without_a_name_says_what_is_missing(tmp_path):
    (tmp_path / "mine.yaml").write_text("model: {name: mien-s}\n")
    with pytest.raises(RecipeError, match=r"mine\.yaml: name is missing$"):
        load_recipe(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.epoch=3"], r"unknown key 'training\.epoch'; did you mean 'epochs'\?"),
        (["trainig.epochs=3"], r"unknown key 'trainig'; did you mean 'training'\?"),
        (["lr=0.1"], r"unknown key 'lr'; did you mean training\.optimizer\.lr or training\.finish"),
        (["training.lr=0.1"], r"'training\.lr'; did you mean training\.optimizer\.lr or training"),
        (["rotation_deg=3"], r"did you mean augment\.rotation_deg\?"),
        (["augment.flipp=true"], r"unknown key 'augment\.flipp'; did you mean 'flip'\?"),
        (["augment.xyzzy=1"], r"unknown key 'augment\.xyzzy'; known: rotation_deg"),
        (["input.color=true", "input.mean=[0.5]"], r"color needs mean and std of three .* set"),
        (["data.labels=9"], r"data\.labels.*: .*8"),
        (["data.also=[{path: a, share: 0.5}, {path: b}]"], "expected a share of every data set"),
        (["data.also=[{path: a, share: 0.5}, {path: b, share: 0.5}]"], "less than 1 together"),
        (["training.epochs=none"], r"training\.epochs: .*\(got 'none'\)"),
        (["training.epochs=0"], r"training\.epochs: .*greater than or equal to 1"),
        (["training.optimizer.lr=-1"], r"training\.optimizer\.lr"),
        (["training.optimizer.name=sdg"], r"training\.optimizer\.name: .*'sgd'"),
        (["augment.zoom=[1.2, 0.8]"], "zoom must be"),
        (["augment.rotation_deg=3", "augment.rotation_deg.x=3"], "is a value, not a section"),
        (["training.epochs"], "expected --set key=value"),
        (["=3"], "expected --set key=value"),
        (["training.epochs=[1"], "is not a valid YAML value"),
        (["training=3"], r"training: expected keys and values, such as \{key: value\} \(got 3\)"),
        (["data.also=[faces]"], r"data\.also\.0: expected keys and values"),
        (["data.relabel=a.csv", "data.weights=b.csv"], r"data: relabel and .* choose one of them"),
        (["data.also=faces"], r"data\.also: expected a list, .*\(got 'faces'\)"),
        (["training.compile=yes please"], r"training\.compile: .*'off', 'auto' or 'on'"),
        (["model.name="], r"model\.name"),
    ],
)
def test_overrides_that_do_not_hold_are_told_in_one_line(overrides, message):
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe("attention", overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("training.epochs=3", lambda r: r.training.epochs == 3),
        ("training.optimizer.lr=5e-4", lambda r: r.training.optimizer.lr == 5e-4),
        ("augment.flip=false", lambda r: r.augment.flip is False),
        ("augment.zoom=[0.8, 1.2]", lambda r: r.augment.zoom == (0.8, 1.2)),
        ("model.options.hidden=7", lambda r: r.model.options["hidden"] == 7),
        ("model.weights=/a/b=c.pt", lambda r: r.model.weights == "/a/b=c.pt"),
        ("data.limit=100", lambda r: r.data.limit == 100),
        ("training.compile=on", lambda r: r.training.compile == "on"),  # a boolean to YAML
        ("training.compile=off", lambda r: r.training.compile == "off"),
    ],
)
def test_overrides_change_one_value(override, read):
    assert read(load_recipe("attention", [override]))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("atention", r"did you mean attention\?"),
        ("resnet5O", r"did you mean resnet50\?"),
        ("xyzzy", "there are: attention"),
    ],
)
def test_a_mistyped_recipe_gets_a_suggestion(name, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a recipe"),
        (b"- a\n- b\n", "is not a recipe"),
        (b"a: [1\n", "is not valid YAML"),
        (b"\x89PNG\xff\xfe", "is not valid YAML"),
        (b"name: a\n", "model is missing"),
        (b"name: a\nmodel:\ntraining:\n", "model"),
    ],
)
def test_a_file_that_is_no_recipe_is_told_in_one_line(tmp_path, content, message):
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(tmp_path / "mine.yaml")
    assert "\n" not in str(caught.value)


def test_a_recipe_cannot_be_changed(tiny_recipe: Recipe):
    with pytest.raises(ValueError, match="frozen"):
        tiny_recipe.seed = 4


@pytest.mark.parametrize(
    ("given", "sizes"),
    [
        ({}, [48] * 6),
        ({"from_px": 32}, [32, 32, 40, 40, 48, 48]),
        ({"from_px": 32, "until": 0.5}, [32, 32, 40, 48, 48, 48]),
        ({"from_px": 20, "until": 1}, [20, 20, 28, 36, 36, 44]),
        ({"from_px": 32, "until": 0}, [48] * 6),
    ],
)
def test_progressive_sizes(given, sizes):
    chosen = Progressive(**given)
    assert [chosen.size_px(epoch, 6, 48) for epoch in range(6)] == sizes


def test_pictures_that_do_not_grow_are_refused():
    with pytest.raises(RecipeError, match=r"below input.size_px \(48\), got 48"):
        load_recipe("mien-s", ["training.progressive.from_px=48"])


FRACTION = ([0, 0.5, 1], [-0.01, 1.01])
RANGE = ([[1, 1], [0.01, 3]], [[0, 1], [-1, 1], [1.2, 1.1], [1], [1, 2, 3], 1])
LIMITS = {
    "seed": ([0, 7], [-1, 0.5]),
    "data.limit": ([1, None], [0]),
    "input.size_px": ([8, 1024], [7, 1025]),
    "input.denoise": (["none", "auto"], ["on"]),
    "augment.rotation_deg": ([0, 180], [-1, 181]),
    "augment.shift": FRACTION,
    "augment.shear_deg": ([0, 60], [-1, 61]),
    "augment.zoom": RANGE,
    "augment.zoom_axes": (["both", "each"], ["x"]),
    "augment.brightness": RANGE,
    "augment.contrast": RANGE,
    "augment.erase": FRACTION,
    "augment.fill": (["nearest", "zeros", "reflect"], ["black"]),
    "augment.cover": FRACTION,
    "augment.photo": FRACTION,
    "augment.until": FRACTION,
    "training.epochs": ([1], [0, 1.5]),
    "training.batch": ([1], [0]),
    "training.sampling": (["natural", "balanced"], ["even"]),
    "training.optimizer.name": (["sgd", "adam", "adamw", "muon"], ["lion"]),
    "training.optimizer.lr": ([1e-9, 10], [0, -1]),
    "training.optimizer.weight_decay": ([0, 5], [-0.1]),
    "training.optimizer.momentum": ([0, 0.999], [-0.1, 1]),
    "training.schedule.name": (["constant", "exponential", "plateau", "cosine"], ["linear"]),
    "training.schedule.hold_epochs": ([0], [-1]),
    "training.schedule.rate": ([0.01, 3], [0]),
    "training.schedule.factor": ([0.01, 0.99], [0, 1]),
    "training.schedule.patience": ([1], [0]),
    "training.schedule.warmup_epochs": ([0, 0.5], [-0.1]),
    "training.loss.class_weights": (["none", "balanced"], ["all"]),
    "training.loss.focal": ([0, 5], [-0.1]),
    "training.loss.label_smoothing": FRACTION,
    "training.loss.votes": FRACTION,
    "training.mix.mixup": ([0, 2], [-0.1]),
    "training.distil.weight": FRACTION,
    "training.adversarial.name": (["none", "fgsm", "pgd", "trades"], ["free"]),
    "training.adversarial.epsilon": ([0.5, 32], [0, 33]),
    "training.adversarial.steps": ([1, 50], [0, 51]),
    "training.adversarial.share": ([0.01, 1], [0, 1.01]),
    "training.adversarial.weight": ([0.1, 6], [0]),
    "training.averaging.name": (["none", "ema"], ["mean"]),
    "training.averaging.decay": ([0.01, 0.9999], [0, 1]),
    "training.progressive.from_px": ([None, 8, 47], [7, 48, 49]),
    "training.progressive.until": FRACTION,
    "training.early_stopping": ([None, 1], [0]),
    "training.precision": (["auto", "fp32", "bf16"], ["fp16"]),
    "training.accumulate": ([1], [0]),
    "training.finish": (
        [None, {"epochs": 1, "lr": 1e-9, "warmup_epochs": 0}],
        [
            {"epochs": 0, "lr": 1},
            {"epochs": 1, "lr": 0},
            {"epochs": 1, "lr": 1, "warmup_epochs": -0.1},
            {"lr": 1},
        ],
    ),
}


def told(key: str, value: object) -> str:
    return f"{key}={yaml.safe_dump(value, default_flow_style=True).removesuffix('...').strip()}"


@pytest.mark.parametrize("key", LIMITS)
def test_each_key_has_its_limits(key, tiny_recipe, tmp_path):
    tiny_recipe.save(tmp_path / "tiny.yaml")
    accepted, refused = LIMITS[key]
    for value in accepted:
        read: object = load_recipe(tmp_path / "tiny.yaml", [told(key, value)])
        for part in key.split("."):
            read = getattr(read, part)
        expected = tuple(value) if isinstance(value, list) else value
        assert read == (Finish(**value) if isinstance(value, dict) else expected)
    for value in refused:
        with pytest.raises(RecipeError, match=re.escape(key.rpartition(".")[2])) as caught:
            load_recipe(tmp_path / "tiny.yaml", [told(key, value)])
        assert "tiny.yaml: " in str(caught.value)


DEFAULTS = """
about: ''
seed: 0
data: {train: train, validation: auto, limit: null, exclude: null, relabel: null, votes: null}
model: {weights: none, options: {}}
input: {size_px: 48, mean: [0.508], std: [0.255], denoise: none}
augment: {rotation_deg: 0, shift: 0, shear_deg: 0, zoom: [1, 1], zoom_axes: both, flip: false,
  brightness: [1, 1], contrast: [1, 1], erase: 0, fill: nearest, cover: 0, photo: 0, until: 1}
training:
  batch: 64
  sampling: natural
  optimizer: {name: sgd, weight_decay: 0, momentum: 0.9}
  schedule: {name: constant, hold_epochs: 10, rate: 0.1, factor: 0.5, patience: 3,
    warmup_epochs: 1}
  loss: {class_weights: none, focal: 0, label_smoothing: 0, votes: 0}
  mix: {mixup: 0}
  distil: {teachers: [], weight: 0.5}
  adversarial: {name: none, epsilon: 1, steps: 3, share: 0.5, weight: 6}
  averaging: {name: none, decay: 0.998}
  progressive: {from_px: null, until: 0.67}
  early_stopping: null
  precision: auto
  compile: 'off'
  checkpoint_activations: false
  accumulate: 1
  finish: null
export: {half: false, quantize: none}
"""


def test_what_a_recipe_leaves_out_is_as_documented_and_written_down(tmp_path):
    """A run saves every default spelled out, so that a later version does not change it."""
    least = "name: a\nmodel: {name: mien-s}\ntraining: {epochs: 1, optimizer: {lr: 1}}\n"
    (tmp_path / "least.yaml").write_text(least)
    load_recipe(tmp_path / "least.yaml").save(tmp_path / "all.yaml")
    written = yaml.safe_load((tmp_path / "all.yaml").read_text())
    assert holds(written, yaml.safe_load(DEFAULTS))
    assert list(written)[:4] == ["name", "about", "seed", "data"]
    assert Finish(epochs=1, lr=1).warmup_epochs == 0.25


def holds(found: dict, expected: dict) -> bool:
    """Whether every key is there with its value."""
    return all(
        holds(found[key], value) if isinstance(value, dict) else found[key] == value
        for key, value in expected.items()
    )


def test_the_two_stages_of_a_finish(tiny_recipe, tmp_path):
    tiny_recipe.save(tmp_path / "tiny.yaml")
    recipe = load_recipe(
        tmp_path / "tiny.yaml",
        [
            "augment={flip: true, shift: 0.1, until: 0.9}",
            "training.epochs=7",
            "training.progressive={from_px: 32, until: 0.5}",
            "training.schedule={name: cosine, warmup_epochs: 2}",
            "training.optimizer={name: adamw, lr: 0.5, weight_decay: 0.1}",
            "training.finish={epochs: 3, lr: 0.01, warmup_epochs: 0.5}",
        ],
    )
    assert recipe.training.all_epochs == 10
    first, second = recipe.stages()
    assert first.model_dump() == {
        **recipe.model_dump(),
        "training": {**recipe.training.model_dump(), "finish": None},
    }
    assert second.training.finish is None
    assert (second.training.epochs, second.training.optimizer.lr) == (3, 0.01)
    assert (second.training.schedule.name, second.training.schedule.warmup_epochs) == (
        "cosine",
        0.5,
    )
    assert (second.training.optimizer.name, second.training.optimizer.weight_decay) == (
        "adamw",
        0.1,
    )
    assert second.training.progressive.from_px is None
    assert (second.augment.until, second.augment.flip, second.augment.shift) == (0, True, 0.1)
    assert second.stages() == (second,)
    for stage in (first, second):
        assert (stage.name, stage.seed, stage.model) == (recipe.name, recipe.seed, recipe.model)


@pytest.mark.parametrize(
    ("until", "epochs", "with_all"), [(1, 4, 4), (0.5, 4, 2), (0, 4, 0), (0.9, 10, 9), (0.6, 3, 2)]
)
def test_augmentation_lasts_for_its_part_of_the_epochs(until, epochs, with_all):
    chosen = Augment(until=until)
    lasting = [chosen.lasts(epoch, epochs) for epoch in range(epochs)]
    assert lasting == [True] * with_all + [False] * (epochs - with_all)


def test_the_last_epochs_have_half_of_every_range_and_nothing_erased():
    with_all = Augment(
        rotation_deg=20,
        shift=0.1,
        shear_deg=8,
        zoom=(0.8, 1.4),
        zoom_axes="each",
        flip=True,
        brightness=(0.5, 1.5),
        contrast=(0.6, 1),
        erase=0.5,
        fill="zeros",
        cover=0.4,
        photo=0.3,
        until=0.9,
    )
    assert with_all.gentle().model_dump() == {
        "rotation_deg": 10,
        "shift": 0.05,
        "shear_deg": 4,
        "zoom": pytest.approx((0.9, 1.2)),
        "zoom_axes": "each",
        "flip": True,
        "brightness": (0.75, 1.25),
        "contrast": (0.8, 1),
        "erase": 0,
        "fill": "zeros",
        "cover": 0.2,
        "photo": 0.15,
        "until": 0.9,
    }
    assert Augment().gentle() == Augment()


def test_the_input_is_the_card_s_preprocessing():
    chosen = Input(size_px=64, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    assert chosen.preprocess(40) == Preprocess(64, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), 40)
    assert chosen.preprocess().source_px == 48


@pytest.mark.parametrize(
    ("overrides", "read", "expected"),
    [
        (["training.finish.epochs=2", "training.finish.lr=0.1"], "training.finish.epochs", 2),
        (["seed=1", "seed=2"], "seed", 2),
        (["about=a=b"], "about", "a=b"),
        (["data.limit="], "data.limit", None),
        (["model={name: resnet50}", "model.options.cbam=true"], "model.options", {"cbam": True}),
    ],
)
def test_overrides_apply_one_after_the_other_and_make_sections(overrides, read, expected):
    found: object = load_recipe("attention", overrides)
    for part in read.split("."):
        found = getattr(found, part)
    assert found == expected


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "training.schedule.warmup=1",
            r"unknown key 'training\.schedule\.warmup'; did you mean 'w",
        ),
        ("model.options=3", r"model\.options: .*\(got 3\)"),
        ("input.mean=[x]", r"input\.mean\.0: .*\(got 'x'\)"),
        ("training.optimizer.lr.x=1", "lr is a value, not a section"),
        ("name.first=a", "name is a value, not a section"),
        ("noequals", "expected --set key=value, got 'noequals'"),
    ],
)
def test_a_wrong_override_is_told_with_its_place(override, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("attention", [override])


def test_a_mistyped_key_is_told_before_the_one_it_leaves_missing(tmp_path):
    text = "name: a\nmodel: {name: mien-s}\ntraining: {epoch: 1, optimizer: {lr: 1}}\n"
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"unknown key 'training\.epoch'; did you mean 'epochs'"):
        load_recipe(tmp_path / "mine.yaml")


def test_a_file_comes_before_a_recipe_of_its_name(tmp_path, monkeypatch, tiny_recipe):
    monkeypatch.chdir(tmp_path)
    tiny_recipe.save(tmp_path / "attention")
    assert load_recipe("attention").name == "tiny"


def test_names_of_recipes_are_sorted_and_told_by_folder():
    names = recipe_names()
    assert list(names) == sorted(names)
    assert set(REPORT) < set(names)
    assert "mien-s" in names


def test_pictures_may_begin_small_only_where_they_grow(tiny_recipe):
    assert Progressive().size_px(0, 10, 48) == 48
    assert Progressive(from_px=8).size_px(0, 10, 1024) == 8


@pytest.mark.parametrize("key", RETIRED)
def test_recipes_of_release_0_1_load_unless_they_use_what_is_gone(key, tiny_recipe, tmp_path):
    tiny_recipe.save(tmp_path / "old.yaml")
    unused = RETIRED[key]
    assert load_recipe(tmp_path / "old.yaml", [told(key, unused)]) == tiny_recipe
    used = told(key, 0.3)
    assert load_recipe(tmp_path / "old.yaml", [used], past=True) == tiny_recipe
    if unused is not None:
        with pytest.raises(RecipeError, match=f"{re.escape(key)} is gone since mien 0.2"):
            load_recipe(tmp_path / "old.yaml", [used])


def test_a_recipe_extends_another_key_by_key(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "child.yaml").write_text(
        "extends: ../base.yaml\nname: child\ntraining: {optimizer: {lr: 0.5}, epochs: 3}\n"
        "augment: {zoom: [0.8, 1.1]}\n"
    )
    (tmp_path / "base.yaml").write_text("extends: attention\nname: base\nseed: 7\n")
    child, parent = load_recipe(tmp_path / "mine" / "child.yaml"), load_recipe("attention")
    expected = parent.model_dump() | {"name": "child", "seed": 7}
    expected["training"] |= {"epochs": 3}
    expected["training"]["optimizer"] |= {"lr": 0.5}
    expected["augment"] |= {"zoom": (0.8, 1.1)}
    assert child.model_dump() == expected


def test_options_of_another_model_are_not_inherited(tmp_path):
    (tmp_path / "child.yaml").write_text("extends: attention\nmodel: {name: resnet50}\n")
    assert load_recipe(tmp_path / "child.yaml").model.options == {}


def test_a_recipe_cannot_extend_itself(tmp_path):
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(RecipeError, match="extends itself"):
        load_recipe(tmp_path / "a.yaml")


def test_a_recipe_that_extends_nothing_known_is_told(tmp_path):
    (tmp_path / "a.yaml").write_text("extends: atention\n")
    with pytest.raises(RecipeError, match=r"no recipe 'atention'.*did you mean attention\?"):
        load_recipe(tmp_path / "a.yaml")


@pytest.mark.parametrize("name", ["mobilenetv2", "facenet", "mien-s"])
def test_the_input_is_the_model_s_own_unless_the_recipe_says_otherwise(name, tmp_path):
    least = f"name: a\nmodel: {{name: {name}}}\ntraining: {{epochs: 1, optimizer: {{lr: 1}}}}\n"
    (tmp_path / "least.yaml").write_text(least)
    own, found = entry(name), load_recipe(tmp_path / "least.yaml").input
    assert (found.size_px, found.mean, found.std) == (own.size_px, own.mean, own.std)
    changed = load_recipe(tmp_path / "least.yaml", ["input.size_px=40"]).input
    assert (changed.size_px, changed.mean) == (40, own.mean)


def test_everything_wrong_without_torch_is_said_without_torch():
    program = (
        "import sys\nfrom mien.recipes import load_recipe\nfrom mien.train.check import check\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
