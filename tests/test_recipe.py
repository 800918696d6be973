import pytest

from mien.errors import RecipeError
from mien.recipe import Progressive, Recipe, load_recipe, recipe_names

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
    models = pytest.importorskip("mien.models")
    recipe = load_recipe(name)
    assert set(recipe.model.options) <= set(models.entry(recipe.model.name).options)
    assert recipe.input.preprocess().channels in (1, 3)


def test_the_three_corrected_recipes_ship():
    assert {"attention", "mobilenetv2", "resnet50"} <= set(recipe_names())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.epoch=3"], r"unknown key 'training\.epoch'; did you mean 'epochs'\?"),
        (["trainig.epochs=3"], r"unknown key 'trainig'; did you mean 'training'\?"),
        (["augment.flipp=true"], r"unknown key 'augment\.flipp'; did you mean 'flip'\?"),
        (["augment.xyzzy=1"], r"unknown key 'augment\.xyzzy'; known: rotation_deg"),
        (["training.epochs=none"], r"training\.epochs: .*\(got 'none'\)"),
        (["training.epochs=0"], r"training\.epochs: .*greater than or equal to 1"),
        (["training.optimizer.lr=-1"], r"training\.optimizer\.lr"),
        (["training.optimizer.name=sdg"], r"training\.optimizer\.name: .*'sgd'"),
        (["augment.zoom=[1.2, 0.8]"], "zoom must be"),
        (["augment.rotation_deg=3", "augment.rotation_deg.x=3"], "is a value, not a section"),
        (["training.epochs"], "expected --set key=value"),
        (["=3"], "expected --set key=value"),
        (["training.epochs=[1"], "is not a valid YAML value"),
        (["training=3"], "training"),
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
        (b"name: a\n", "(?i)model: field required"),
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
    ("name", "optimizer", "epochs"),
    [
        ("report/resnet50", ("adam", 1e-3), 20),
        ("report/attention", ("adam", 1e-5), 30),
        ("report/mobilenetv2", ("adam", 1e-5), 30),
    ],
)
def test_report_recipes_state_the_report_s_settings(name, optimizer, epochs):
    recipe = load_recipe(name)
    training, augment = recipe.training, recipe.augment
    assert (training.optimizer.name, training.optimizer.lr) == optimizer
    assert (training.epochs, training.batch) == (epochs, 32)
    assert (recipe.input.size_px, set(recipe.input.mean), set(recipe.input.std)) == (224, {0}, {1})
    assert (augment.rotation_deg, augment.shift, augment.zoom) == (30, 0.2, (0.8, 1.2))
    assert (augment.flip, augment.fill, training.loss.class_weights) == (
        True,
        "nearest",
        "balanced",
    )


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
