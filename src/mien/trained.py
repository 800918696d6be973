"""A run folder read back: the network of its best checkpoint, and what the run says of itself."""

import pickle
from pathlib import Path
from typing import Any

import mien
from mien.card import Card
from mien.errors import RunError
from mien.files import read_json
from mien.preprocess import Preprocess

# What torch raises for files that are none of its own depends on their first bytes.
_UNREADABLE = (
    RuntimeError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    EOFError,
    pickle.UnpicklingError,
)


class Facts:
    """What a run folder says of itself."""

    def __init__(self, run: Path) -> None:
        from mien.recipes import load_recipe

        self.run = run
        self.recipe = load_recipe(run / "recipe.yaml")
        self.data = read_json(run / "data.json")
        self.labels: tuple[str, ...] = tuple(self.data["labels"])
        self.preprocess: Preprocess = self.recipe.input.preprocess(self.data["side_px"])

    def card(self, model: Any, digest: str) -> Card:
        """The card of `model`, its network, whose weights' file has that SHA-256."""
        from mien.models import entry

        architecture = entry(self.recipe.model.name)
        return Card(
            name=self.recipe.name,
            model=self.recipe.model.name,
            paper=architecture.paper,
            licence=architecture.licence,
            labels=self.labels,
            preprocess=self.preprocess,
            digest=digest,
            parameters=sum(p.numel() for p in model.parameters()),
            macs=count_macs(model, self.preprocess),
            training={
                "recipe": self.recipe.name,
                "start": self.recipe.model.weights,
                "seed": self.recipe.seed,
                "epochs": self.recipe.training.all_epochs,
                "data": self.data["name"],
                "train": self.data["train"],
                **({"fold": list(fold)} if (fold := self.recipe.data.fold) else {}),
                "validation": self.data["validation"],
                "votes": self.recipe.training.loss.votes,
                "teachers": (teachers := self.data.get("teachers", [])),
                "distil": self.recipe.training.distil.weight if teachers else 0,
            },
            created_by=f"mien {mien.__version__}",
        )


def load_run(run: Path) -> tuple[Any, Facts]:
    """The network of a run's best checkpoint, in evaluation mode, and the run's facts."""
    import torch

    from mien.models import build

    checkpoint = run / "checkpoints" / "best.ckpt"
    if not (run / "recipe.yaml").is_file():
        raise RunError(f"{run} is no run folder: recipe.yaml is missing; make one with mien train")
    if not checkpoint.is_file():
        raise RunError(f"{run} has no checkpoint yet; continue it with mien train --resume")
    facts = Facts(run)
    model = build(
        facts.recipe.model.name,
        classes=len(facts.labels),
        channels=facts.preprocess.channels,
        **facts.recipe.model.options,
    )
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(f"{checkpoint} is damaged ({reason}); train again") from error
    weights = {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"{checkpoint} holds other weights than {facts.recipe.model.name} has in this version "
            f"of mien ({reason}); use the version that trained it, or train again"
        ) from error
    return model.eval(), facts


def count_macs(model: Any, preprocess: Preprocess) -> int:
    """Multiply-accumulates of one forward pass, as torch's own counter sees it."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    face = torch.zeros(1, preprocess.channels, preprocess.size_px, preprocess.size_px)
    with FlopCounterMode(display=False) as counter, torch.inference_mode(False), torch.no_grad():
        model(face)
    return int(counter.get_total_flops() // 2)
