"""A run, written down: the typed form of a YAML recipe. An unknown key is an error."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mien.data.cache import Asked
from mien.files import write_text
from mien.models import entry
from mien.preprocess import Preprocess
from mien.recipes.encoder import native, with_encoder

Range = tuple[float, float]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """Base of every section: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Also(Part):
    """Another data set to train on: its training images join those of the first."""

    path: str
    """Folder, zip or table."""
    share: Fraction | None = Field(None, gt=0, lt=1)
    """Fraction of each epoch's images that are drawn from it, the first data set giving the rest.
    Default: every image comes once."""


class Data(Part):
    """What trains, and which split selects."""

    format: str | None = None
    """Layout of the data set (`--format`); by default it is recognised."""
    labels: Literal[7, 8, "common"] | None = None
    """The seven expressions, with contempt (8), or those that all data sets have; by default the
    data's own, without contempt where the others are the seven (`--labels`)."""
    fold: int | None = Field(None, ge=1)
    """Of clips: which of the data set's own folds (DFEW, MAFW); by default the first."""
    also: tuple[Also, ...] = ()
    """More data sets to train on; validation images are the first one's, where it has any."""

    train: str = "train"
    """Split that trains."""
    validation: str = "auto"
    """`auto`: `public`, else `val`, else a stratified tenth of the training images."""
    limit: int | None = Field(None, ge=1)
    """Use only that many training and validation images (a quick proof that a recipe runs)."""
    exclude: str | None = None
    """Table of pictures to leave out: the exclude.csv of `mien data audit`."""
    relabel: str | None = None
    """Table of pictures with other labels: the relabel.csv of `mien data audit`."""
    weights: str | None = None
    """Table of how much labels count, 0 and more: the weights.csv of `mien data audit`. Those of
    other pictures count 1; what teachers answer counts the same of all."""
    votes: str | None = None
    """Table of FER+ votes on the training images, for `training.loss.votes` (`--votes`)."""

    @model_validator(mode="after")
    def _shares(self) -> "Data":
        shares = [also.share for also in self.also if also.share is not None]
        if shares and (len(shares) < len(self.also) or sum(shares) >= 1):
            raise ValueError(
                f"also: expected a share of every data set, less than 1 together, got {shares} "
                f"for {len(self.also)}; the first data set has the rest"
            )
        return self

    @model_validator(mode="after")
    def _one_way(self) -> "Data":
        if self.relabel and self.weights:
            raise ValueError("relabel and weights doubt the same labels; choose one of them")
        return self


class Model(Part):
    """An architecture of the registry, its weights to start from, and its own options."""

    name: str
    """A name of the registry."""
    weights: str = "none"
    """Where they start: `none` (random), `imagenet`, `faces`, or a file."""
    options: dict[str, Any] = {}
    """The model's own: the site's page on networks lists them."""

    @model_validator(mode="after")
    def _known(self) -> "Model":
        checked = entry(self.name).check(self.options)
        if entry(self.name).reads_clips:
            encoder = entry(checked.encoder)
            encoder.check(checked.encoder_options)
            if encoder.reads_clips:
                raise ValueError(f"the encoder {encoder.name} reads clips; expected one of images")
        return self

    @property
    def frames(self) -> int | None:
        """Frames that the network sees of a clip; None for a network of images."""
        chosen = entry(self.name)
        return chosen.check(self.options).frames if chosen.reads_clips else None


class Input(Part):
    """The network's input; becomes the card's `Preprocess`. Default: the model's own, from its
    entry in the registry."""

    size_px: int = Field(48, ge=8, le=1024)
    """Side of the pictures."""
    mean: tuple[float, ...] = (0.5,)
    """By channel, of pixels in 0-1; one value: the network sees grey."""
    std: tuple[float, ...] = (0.5,)
    """Standard deviation by channel, by which pixels are divided."""
    color: bool = False
    """Read the data in colour, for a network of three means; else it sees grey three times."""
    denoise: Literal["none", "auto"] = "none"
    """auto: noise is taken away from pictures that have some, in training and in recognition."""

    @model_validator(mode="after")
    def _three(self) -> "Input":
        if self.color and len(self.mean) != 3:
            raise ValueError(
                f"color needs mean and std of three channels, got the mean {list(self.mean)}; "
                "set input.mean and input.std as efficientnet-lite0-color does"
            )
        return self

    def preprocess(self, source_px: int = 48) -> Preprocess:
        """The preprocessing this input asks for; `source_px` is the side of the data's images."""
        return Preprocess(self.size_px, self.mean, self.std, source_px, self.color, self.denoise)


class Augment(Part):
    """Random changes of a training image; each drawn per image, uniformly in its range."""

    rotation_deg: float = Field(0, ge=0, le=180)
    """Largest rotation, either way."""
    shift: Fraction = 0
    """Largest shift along each axis, as a fraction of the side."""
    shear_deg: float = Field(0, ge=0, le=60)
    """Largest shear, either way."""
    zoom: Range = (1, 1)
    """Scale of the face: below 1 smaller, above 1 cropped."""
    zoom_axes: Literal["both", "each"] = "both"
    """`each` draws one zoom for x and another for y, as Keras does."""
    flip: bool = False
    """Mirror left and right, half of the time."""
    brightness: Range = (1, 1)
    """Factor on the intensities."""
    contrast: Range = (1, 1)
    """Factor on the distance of the intensities from their mean."""
    erase: Fraction = 0
    """Probability that a random rectangle (2-25 % of the area) is blanked (Zhong et al. 2020)."""
    fill: Literal["nearest", "zeros", "reflect"] = "nearest"
    """What stands beyond the picture's edge: its border, black, or its mirror image."""
    cover: Fraction = 0
    """Probability that something covers the face: a bar over eyes or mouth, half of it, sunglasses,
    a mask, a hand, text (`mien.covers`)."""
    photo: Fraction = 0
    """Probability of each flaw of real photos: uneven light, gamma, defocus, shake, few pixels,
    noise, JPEG (`mien.train.photo`)."""
    until: Fraction = 1
    """Fraction of the epochs with all of this; after it every range is half as wide and nothing is
    erased, so that the network ends on faces as detectors frame them (Ge et al. 2021,
    arXiv:2107.08430, leave all out)."""

    def lasts(self, epoch: int, epochs: int) -> bool:
        """Whether `epoch`, counted from 0, still has it."""
        return epoch < round(self.until * epochs)

    def gentle(self) -> "Augment":
        """Half of every range, and nothing erased: the last epochs."""
        ranges = {
            name: tuple(1 + (end - 1) / 2 for end in getattr(self, name))
            for name in ("zoom", "brightness", "contrast")
        }
        halved = ("rotation_deg", "shift", "shear_deg", "photo", "cover")
        lengths = {name: getattr(self, name) / 2 for name in halved}
        return self.model_copy(update={**ranges, **lengths, "erase": 0.0})

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
    """Muon is AdamW for biases, BatchNorm and depthwise convolutions."""
    lr: float = Field(gt=0)
    """Highest learning rate."""
    weight_decay: float = Field(0, ge=0)
    """Never applied to biases and BatchNorm."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Nesterov's for sgd; the first beta for adam and adamw."""


class Schedule(Part):
    """How the learning rate moves."""

    name: Literal["constant", "exponential", "plateau", "cosine"] = "constant"
    """constant, or one of the three below."""
    hold_epochs: int = Field(10, ge=0)
    """exponential: constant that long, then x exp(-`rate`) each epoch."""
    rate: float = Field(0.1, gt=0)
    """exponential: see `hold_epochs`."""
    factor: float = Field(0.5, gt=0, lt=1)
    """plateau: factor when validation loss has not fallen for `patience` epochs."""
    patience: int = Field(3, ge=1)
    """plateau: see `factor`."""
    warmup_epochs: float = Field(1, ge=0)
    """cosine: linear rise from 0 that long, then half a cosine to 0."""


class Loss(Part):
    """Cross-entropy, or the focal loss."""

    class_weights: Literal["none", "balanced"] = "none"
    """balanced: N / (classes x count), scikit-learn's definition."""
    focal: float = Field(0, ge=0)
    """Focal loss (Lin et al. 2017): gamma, such as 2; 0 is cross-entropy."""
    label_smoothing: Fraction = 0
    """Share of the target that is spread evenly over all classes."""
    votes: Fraction = 0
    """Share of the target that comes from FER+ votes, where `data.votes` gives them."""


class Mix(Part):
    """Training on mixtures of two images."""

    mixup: float = Field(0, ge=0)
    """Weighted sum of two images, such as 0.2: alpha of the beta distribution of the weight, which
    is drawn once a batch (Zhang et al. 2018); 0 is off."""


class Distil(Part):
    """Distillation: probabilities of trained models as part of each image's target (Hinton et al.
    2015). The student learns the mean of all teachers."""

    teachers: tuple[str, ...] = ()
    """Run folders, bundles, or names: of a recipe whose run lies in `runs/`, or of a bundle in the
    package."""
    weight: Fraction = 0.5
    """Share of the target that comes from the teachers."""


class Adversarial(Part):
    """Training on images that are changed on purpose: by at most `epsilon` a pixel, so that the
    network errs (`mien.train.adversarial`)."""

    name: Literal["none", "fgsm", "pgd", "trades"] = "none"
    """fgsm: one step from a random start (Wong et al. 2020); pgd: `steps` (Madry et al. 2018);
    trades: such images are to be answered as without the change (Zhang et al. 2019)."""
    epsilon: float = Field(1, gt=0, le=32)
    """Largest change of a pixel, in 255ths of the intensity range."""
    steps: int = Field(3, ge=1, le=50)
    """Of pgd and trades."""
    share: float = Field(0.5, gt=0, le=1)
    """Of the images of each batch that are attacked; the others stay as they are."""
    weight: float = Field(6, gt=0)
    """trades: weight of the difference between both answers."""


class Averaging(Part):
    """Averaged weights, which are then validated, kept and exported."""

    name: Literal["none", "ema"] = "none"
    """ema: exponential moving average over steps."""
    decay: float = Field(0.998, gt=0, lt=1)
    """Weight of the average so far; reached gradually."""


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
    """Epochs after the last, on gently changed images (`augment.until`) of full size: from the
    weights of the best epoch, by a fresh optimizer (a warm restart, Loshchilov & Hutter 2017,
    on what the network will see). The best epoch of all is kept."""

    epochs: int = Field(ge=1)
    """How many."""
    lr: float = Field(gt=0)
    """Highest learning rate; its schedule is that of the training, over these epochs alone."""
    warmup_epochs: float = Field(0.25, ge=0)
    """Linear rise of the rate."""


class Training(Part):
    """The fit itself."""

    epochs: int = Field(ge=1)
    """How many, without those of `finish`."""
    batch: int = Field(64, ge=1)
    """Images in a step."""
    sampling: Literal["natural", "balanced"] = "natural"
    """natural: each image once an epoch; balanced: each class equally often, as many images an
    epoch, those of rare classes repeatedly (oversampling)."""
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    loss: Loss = Loss()
    mix: Mix = Mix()
    distil: Distil = Distil()
    adversarial: Adversarial = Adversarial()
    averaging: Averaging = Averaging()
    progressive: Progressive = Progressive()
    early_stopping: int | None = Field(None, ge=1)
    """Stop when validation loss has not fallen for that many epochs."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 on cards that have it and on CPUs with AMX; fp32 elsewhere."""
    compile: Literal["off", "auto", "on"] = "off"
    """torch.compile for the network: a minute first, then faster steps on a graphics card. auto:
    only where there is one. On a processor steps are not faster (1.08 times the time)."""
    checkpoint_activations: bool = False
    """Memory before speed: activations are computed again in the backward pass, freed memory is
    given back. The result is the same."""
    clip: float | None = Field(None, gt=0)
    """Largest norm of all gradients together, to which a larger one is scaled; null: any."""
    accumulate: int = Field(1, ge=1)
    """Batches whose gradients make one step."""
    finish: Finish | None = None
    """A second stage, see below; null: none."""

    @field_validator("compile", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        """YAML reads `on` and `off` as true and false."""
        return ("off", "on")[value] if isinstance(value, bool) else value

    @property
    def all_epochs(self) -> int:
        """Those of `finish`, too."""
        return self.epochs + (self.finish.epochs if self.finish else 0)


class Export(Part):
    """The bundles that a training leaves in its run folder."""

    half: bool = False
    """Weights in 16 bits, in `RUN/bundle`: half the size."""
    quantize: Literal["none", "int8", "weights"] = "none"
    """int8: a second bundle with weights and activations in 8 bits, `RUN/bundle-int8`; weights:
    with the weights alone in 8 bits, `RUN/bundle-w8`."""


class Recipe(Part):
    """Everything that decides a run, but for the data's place."""

    name: str
    """The run's name, and that of its bundle."""
    about: str = ""
    """What it is for."""
    seed: int = Field(0, ge=0)
    """Of weights, order, augmentation and dropout."""
    data: Data = Data()
    model: Model
    input: Input = Input()
    augment: Augment = Augment()
    training: Training
    export: Export = Export()

    @model_validator(mode="before")
    @classmethod
    def _native_input(cls, raw: Any) -> Any:
        """Fill `input` from the entry of the model, or of its encoder, in the registry."""
        if not isinstance(raw, dict):
            return raw
        if isinstance(raw.get("model"), Model):
            raw = {**raw, "model": raw["model"].model_dump()}
        raw = with_encoder(raw)
        if (own := native(raw)) is not None and isinstance(given := raw.get("input", {}), dict):
            known = {"size_px": own.size_px, "mean": own.mean, "std": own.std}
            return {**raw, "input": known | given}
        return raw

    @model_validator(mode="after")
    def _fits_clips(self) -> "Recipe":
        training = self.training
        of_images = {
            "training.mix.mixup": training.mix.mixup,
            "training.distil.teachers": training.distil.teachers,
            "training.loss.votes": training.loss.votes,
            "export.quantize: int8": self.export.quantize == "int8",
            "training.adversarial": training.adversarial.name != "none",
            "input.color": self.input.color,
        }
        if self.model.frames and (key := next((k for k, v in of_images.items() if v), None)):
            raise ValueError(
                f"{key} is for images, and {self.model.name} reads clips; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _grows(self) -> "Recipe":
        first = self.training.progressive.from_px
        if first is not None and first >= self.input.size_px:
            raise ValueError(
                f"training.progressive.from_px must be below input.size_px ({self.input.size_px}), "
                f"got {first}"
            )
        return self

    @property
    def asked(self) -> Asked:
        """How its data are read."""
        clips, fold = self.model.frames is not None, self.data.fold or 1
        return Asked(self.data.format, self.input.color, self.input.size_px, clips, fold)

    @property
    def placed(self) -> "Recipe":
        """The same with absolute paths of all that `data` names: they hold in every folder."""
        data = self.data
        also = tuple(one.model_copy(update={"path": _placed(one.path)}) for one in data.also)
        tables = ("exclude", "relabel", "weights", "votes")
        files = {key: _placed(getattr(data, key)) for key in tables}
        return self.model_copy(update={"data": data.model_copy(update={**files, "also": also})})

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

    def to_yaml(self) -> str:
        """The resolved recipe, every default spelled out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    def save(self, path: Path) -> None:
        """Write the resolved recipe."""
        write_text(path, self.to_yaml())


def _placed(path: str | None) -> str | None:
    return path and str(Path(path).resolve())
