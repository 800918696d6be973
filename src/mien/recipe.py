"""A run, written down: the typed form of a YAML recipe. An unknown key is an error."""

import difflib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mien.errors import RecipeError
from mien.files import write_text
from mien.preprocess import Preprocess

Range = tuple[float, float]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """Base of every section: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Part):
    """Which split trains and which one selects."""

    train: str = "train"
    validation: str = "auto"
    """`auto`: `public`, else `val`, else a stratified tenth of the training images."""
    limit: int | None = Field(None, ge=1)
    """Use only that many training and validation images (a quick proof that a recipe runs)."""
    exclude: str | None = None
    """Table of pictures to leave out: the exclude.csv of `mien data audit`."""
    duplicates: Literal["keep", "drop", "merge"] = "keep"
    """Of training images with the same pixels, keep one: `drop` gives up those whose labels
    differ, `merge` gives the one that is kept the mean of their labels as its target."""
    fold: tuple[int, int] | None = None
    """[k, n]: train without the k-th, from 0, of n parts of the training images. As a teacher the
    network then answers for that part alone: cross-fitting."""
    votes: str | None = None
    """FER+'s votes on the training images, for `training.loss.votes`."""

    @model_validator(mode="after")
    def _one_of_them(self) -> "Data":
        if self.fold and not 0 <= self.fold[0] < self.fold[1] > 1:
            raise ValueError("fold must be [k, n] with 0 <= k < n and n above 1")
        return self


class Model(Part):
    """An architecture of the registry, its weights to start from, and its own options."""

    name: str
    weights: str = "none"
    options: dict[str, Any] = {}


class Input(Part):
    """The network's input; becomes the card's `Preprocess`."""

    size_px: int = Field(48, ge=8, le=1024)
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)

    def preprocess(self, source_px: int = 48) -> Preprocess:
        """The preprocessing this input asks for; `source_px` is the side of the data's images."""
        return Preprocess(self.size_px, self.mean, self.std, source_px)


class Augment(Part):
    """Random changes of a training image; each drawn per image, uniformly in its range."""

    rotation_deg: float = Field(0, ge=0, le=180)
    shift: Fraction = 0
    """Largest shift along each axis, as a fraction of the side."""
    shear_deg: float = Field(0, ge=0, le=60)
    zoom: Range = (1, 1)
    """Scale of the face: below 1 smaller, above 1 cropped."""
    zoom_axes: Literal["both", "each"] = "both"
    """`each` draws one zoom for x and another for y, as Keras does."""
    flip: bool = False
    """Mirror left and right, half of the time."""
    brightness: Range = (1, 1)
    """Factor on the intensities."""
    contrast: Range = (1, 1)
    erase: Fraction = 0
    """Probability that a random rectangle (2-25 % of the area) is blanked (Zhong et al. 2020)."""
    fill: Literal["nearest", "zeros", "reflect"] = "nearest"
    photo: Fraction = 0
    """Probability of each flaw of real photos: uneven light, gamma, defocus, shake, few pixels,
    noise, JPEG (`mien.train.photo`)."""
    until: Fraction = 1
    """Fraction of the epochs with all of this; after it images are mirrored at the most, so that
    the network ends on pictures like those it will see (Ge et al. 2021, arXiv:2107.08430)."""

    def lasts(self, epoch: int, epochs: int) -> bool:
        """Whether `epoch`, counted from 0, still has it."""
        return epoch < round(self.until * epochs)

    @model_validator(mode="after")
    def _ordered(self) -> "Augment":
        for name in ("zoom", "brightness", "contrast"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} must be [low, high] with 0 < low <= high")
        return self


class Optimizer(Part):
    """SGD is Nesterov's where `momentum` is above 0; Adam and AdamW use it as their first beta.

    Muon (Jordan et al. 2024) makes each step of a weight matrix orthogonal, and leaves depthwise
    convolutions, that of a grey picture, biases and BatchNorm to AdamW; its steps are scaled to
    AdamW's (Liu et al. 2025, arXiv:2502.16982), so rates and decays of the same size suit both.
    """

    name: Literal["sgd", "adam", "adamw", "muon"] = "sgd"
    lr: float = Field(gt=0)
    weight_decay: float = Field(0, ge=0)
    """Never applied to biases and BatchNorm."""
    momentum: float = Field(0.9, ge=0, lt=1)
    sam: float = Field(0, ge=0)
    """Sharpness-aware minimisation (Foret et al. 2021): radius rho, such as 0.05; 0 is off."""


class Schedule(Part):
    """How the learning rate moves."""

    name: Literal["constant", "exponential", "plateau", "cosine"] = "constant"
    hold_epochs: int = Field(10, ge=0)
    """exponential: constant that long, then x exp(-`rate`) each epoch."""
    rate: float = Field(0.1, gt=0)
    factor: float = Field(0.5, gt=0, lt=1)
    """plateau: factor when validation loss has not fallen for `patience` epochs."""
    patience: int = Field(3, ge=1)
    warmup_epochs: float = Field(1, ge=0)
    """cosine: linear rise from 0 that long, then half a cosine to 0."""


class Loss(Part):
    """Cross-entropy, or the focal loss."""

    class_weights: Literal["none", "balanced"] = "none"
    """balanced: N / (classes x count), scikit-learn's definition."""
    focal: float = Field(0, ge=0)
    """Focal loss (Lin et al. 2017): gamma, such as 2; 0 is cross-entropy."""
    label_smoothing: Fraction = 0
    votes: Fraction = 0
    """Share of the target that is what FER+'s votes (`data.votes`) say of the label."""


class Mix(Part):
    """Pairs of images in one: alpha of the beta distribution of their shares; 0 is off.

    Drawn per batch; where both are on, each batch is mixed by one of them, chosen at random.
    """

    mixup: float = Field(0, ge=0)
    """Weighted sum of two images (Zhang et al. 2018), such as 0.2."""
    cutmix: float = Field(0, ge=0)
    """Rectangle of one image in the other (Yun et al. 2019), such as 1."""

    @property
    def on(self) -> bool:
        """Whether images are mixed at all."""
        return bool(self.mixup or self.cutmix)


class Distil(Part):
    """What trained networks say of each training image, as part of its target
    (Hinton et al. 2015)."""

    teachers: tuple[str, ...] = ()
    """Bundles, by folder or name, or run folders; with several, the mean of their probabilities
    counts."""
    weight: Fraction = 0.5
    """Share of the target that is the teachers'."""
    temperature: float = Field(1, gt=0)
    """Their probabilities become p^(1 / temperature), normalised: above 1 flatter."""


class Averaging(Part):
    """Averaged weights: what is validated, kept and exported."""

    name: Literal["none", "ema", "swa"] = "none"
    """ema: exponential moving average over steps; swa: plain mean over the ends of epochs, at a
    learning rate that stays where it was at the start (Izmailov et al. 2018)."""
    decay: float = Field(0.998, gt=0, lt=1)
    """ema: weight of the average so far, reached gradually."""
    start: Fraction = 0.75
    """swa: begins after that fraction of the epochs."""

    def first(self, epochs: int) -> int:
        """The epoch, from 0, whose end is the first that swa averages; `epochs` without swa."""
        return min(round(self.start * epochs), epochs - 1) if self.name == "swa" else epochs


class Progressive(Part):
    """Small pictures first, which cost less (progressive resizing, Howard 2018; Tan & Le 2021)."""

    from_px: int | None = Field(None, ge=8)
    """Side of the first pictures; None is off."""
    until: Fraction = 0.67
    """Pictures have their full size after that fraction of the epochs; before it, they grow by 8
    pixels at a time, in equal parts of it."""

    def size_px(self, epoch: int, epochs: int, full_px: int) -> int:
        """Side of the pictures of `epoch`, counted from 0."""
        sizes = range(self.from_px or full_px, full_px, 8)
        until = round(self.until * epochs)
        return sizes[epoch * len(sizes) // until] if sizes and epoch < until else full_px


class Finish(Part):
    """Epochs after the last, on images that are mirrored at the most and have their full size: from
    the weights of the best epoch, by a fresh optimizer (a warm restart, Loshchilov & Hutter 2017,
    on what the network will see). The best epoch of all is kept."""

    epochs: int = Field(ge=1)
    lr: float = Field(gt=0)
    """Highest learning rate; its schedule is that of the training, over these epochs alone."""
    warmup_epochs: float = Field(0.25, ge=0)


class Training(Part):
    """The fit itself."""

    epochs: int = Field(ge=1)
    batch: int = Field(64, ge=1)
    sampling: Literal["natural", "balanced"] = "natural"
    """natural: each image once an epoch; balanced: each class equally often, as many images an
    epoch, those of rare classes repeatedly (oversampling)."""
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    loss: Loss = Loss()
    mix: Mix = Mix()
    distil: Distil = Distil()
    averaging: Averaging = Averaging()
    progressive: Progressive = Progressive()
    early_stopping: int | None = Field(None, ge=1)
    """Stop when validation loss has not fallen for that many epochs."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 where the device computes it natively, fp32 elsewhere."""
    checkpoint_activations: bool = False
    """Memory before speed: activations are computed again in the backward pass, freed memory is
    given back. The result is the same."""
    accumulate: int = Field(1, ge=1)
    finish: Finish | None = None

    @property
    def all_epochs(self) -> int:
        """Those of `finish`, too."""
        return self.epochs + (self.finish.epochs if self.finish else 0)

    @model_validator(mode="after")
    def _one_batch_a_step(self) -> "Training":
        if self.optimizer.sam and self.accumulate > 1:
            raise ValueError(
                "optimizer.sam climbs by the gradient of one batch and cannot accumulate; add "
                "--set training.accumulate=1 or --set training.optimizer.sam=0"
            )
        return self


class Recipe(Part):
    """Everything that decides a run, but for the data's place."""

    name: str
    about: str = ""
    seed: int = Field(0, ge=0)
    data: Data = Data()
    model: Model
    input: Input = Input()
    augment: Augment = Augment()
    training: Training

    @model_validator(mode="after")
    def _grows(self) -> "Recipe":
        first = self.training.progressive.from_px
        if first is not None and first >= self.input.size_px:
            raise ValueError(
                f"training.progressive.from_px must be below input.size_px ({self.input.size_px}), "
                f"got {first}"
            )
        return self

    def stages(self) -> tuple["Recipe", ...]:
        """The trainings it stands for, one after the other: itself, or one without
        `training.finish` and one for it."""
        if (finish := self.training.finish) is None:
            return (self,)
        first = {**self.training.model_dump(), "finish": None}
        second = {
            **first,
            "epochs": finish.epochs,
            "optimizer": {**first["optimizer"], "lr": finish.lr},
            "schedule": {**first["schedule"], "warmup_epochs": finish.warmup_epochs},
            "progressive": {},
        }
        bare = {**self.augment.model_dump(), "until": 0}
        whole = self.model_dump()
        return (
            Recipe.model_validate({**whole, "training": first}),
            Recipe.model_validate({**whole, "augment": bare, "training": second}),
        )

    def save(self, path: Path) -> None:
        """Write the resolved recipe, every default spelled out."""
        write_text(path, yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False))


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes in the package: `attention`, `report/attention`, ..."""
    root = Path(str(resources.files("mien") / "recipes"))
    return tuple(
        sorted(p.relative_to(root).with_suffix("").as_posix() for p in root.rglob("*.yaml"))
    )


def load_recipe(name: str | Path, overrides: list[str] | None = None) -> Recipe:
    """A recipe by name or path, with `key.key=value` overrides; RecipeError if it does not hold."""
    content = _find(str(name)).read_bytes()
    try:
        raw = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise RecipeError(f"{name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise RecipeError(f"{name} is not a recipe: expected keys such as model and training")
    for override in overrides or []:
        _apply(raw, override)
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise RecipeError(f"recipe {name}: {_first(error)}") from error


def _find(name: str) -> Path:
    if Path(name).is_file():
        return Path(name)
    if name in recipe_names():
        return Path(str(resources.files("mien") / "recipes")) / f"{name}.yaml"
    near = difflib.get_close_matches(name, recipe_names(), 1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(recipe_names())}"
    raise RecipeError(f"no recipe {name!r}, neither a file nor a name; {hint}")


def _apply(raw: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"expected --set key=value, got {override!r}")
    *path, last = key.split(".")
    section = raw
    for part in path:
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            raise RecipeError(f"--set {override}: {part} is a value, not a section")
    try:
        section[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {override}: {value!r} is not a valid YAML value") from error


def _first(error: ValidationError) -> str:
    # A mistyped key is also a missing one: the first says what to do.
    problems = sorted(error.errors(), key=lambda p: p["type"] != "extra_forbidden")
    problem = problems[0]
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {where!r}{_near(where)}"
    if problem["type"] == "value_error":  # ours, and says itself what it got
        return f"{where}: {problem['ctx']['error']}"
    return f"{where}: {problem['msg']} (got {problem['input']!r})" if where else problem["msg"]


def _near(where: str) -> str:
    parts = where.split(".")
    section: type[BaseModel] = Recipe
    for part in parts[:-1]:
        annotation = section.model_fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ""
        section = annotation
    near = difflib.get_close_matches(parts[-1], section.model_fields, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(section.model_fields)}"
