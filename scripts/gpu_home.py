"""Make run folders of what `scripts/gpu_sprint.py` wrote, for `mien export` and `mien evaluate`.

    python scripts/gpu_home.py OUT runs --data fer2013.zip

One folder for each network whose weights came home. Validation is noted for the epochs at which it
was measured; the weights are those of the last epoch.
"""

import argparse
import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import torch

from mien.data import Split, open_dataset
from mien.recipes import Recipe

COLUMNS = ("epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds")
ABOUT = (
    "Trained by scripts/gpu_sprint.py on one H100, not by mien train: the augmentation is that "
    "script's, of which the ranges here are the nearest."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sprint", type=Path, help="the folder that the card's machine filled")
    parser.add_argument("runs", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()

    parts = sorted(given.sprint.glob("weights.part*"))
    weights = torch.load(io.BytesIO(b"".join(p.read_bytes() for p in parts)), weights_only=True)
    facts = json.loads((given.sprint / "facts.json").read_text())
    asked = given.sprint / "answers.npz"
    answers = hashlib.sha256(asked.read_bytes()).hexdigest() if asked.is_file() else ""
    data = open_dataset(given.data)
    described = {
        "name": data.name,
        "labels": list(data.labels),
        "side_px": 48,
        "train": split(data.split("train")),
        "validation": split(data.split("public")),
    }
    teachers = [name for name, said in facts.items() if not said["taught"]]
    for name, state in weights.items():
        out = given.runs / name
        (out / "checkpoints").mkdir(parents=True)
        taught = [{"name": ", ".join(teachers), "digest": answers}]
        student = facts[name]["taught"]
        recipe(facts[name], taught if student else []).save(out / "recipe.yaml")
        (out / "data.json").write_text(
            json.dumps({**described, "teachers": taught if student else []}, indent=2)
        )
        history(facts[name]["history"], out / "history.csv")
        values = {f"model.{k}": v.float() if v.is_floating_point() else v for k, v in state.items()}
        torch.save({"state_dict": values}, out / "checkpoints" / "best.ckpt")
        (out / "done.json").write_text(json.dumps({"epochs": len(facts[name]["history"])}))
        print(out)


def split(found: Split) -> dict[str, Any]:
    """What a run folder says of a split."""
    return {"split": found.name, "images": len(found), "digest": found.digest}


def recipe(facts: dict[str, Any], taught: list[dict[str, str]]) -> Recipe:
    """The nearest that the recipe language can say."""
    job, ranges = facts["job"], facts["job"]["changes"]
    return Recipe.model_validate(
        {
            "name": job["name"].rpartition("-")[0],
            "about": ABOUT,
            "seed": job["seed"],
            "model": {"name": job["model"], "options": job["options"]},
            "input": {"size_px": job["side"], "mean": [job["mean"]], "std": [job["std"]]},
            "augment": {
                "rotation_deg": ranges["rotation_deg"],
                "shift": ranges["shift"],
                "zoom": ranges["zoom"],
                "flip": ranges["flip"],
                "brightness": ranges["light"],
                "contrast": ranges["light"],
                "erase": ranges["erase"],
                "photo": ranges["photo"],
            },
            "training": {
                "epochs": len(facts["history"]),
                "batch": job["batch"],
                "optimizer": {
                    "name": "muon",
                    "lr": job["lr"],
                    "weight_decay": job["decay"],
                    "momentum": 0.95,
                },
                "schedule": {"name": "cosine", "warmup_epochs": 1},
                "loss": {"votes": 0.4},
                "averaging": {"name": "ema"},
                "distil": {"teachers": [t["name"] for t in taught], "weight": 0.8},
            },
        }
    )


def history(rows: list[dict[str, float]], path: Path) -> None:
    """A row an epoch, empty where nothing was measured."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="nan", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            public = {"val_accuracy": f"{row['public'] / 100:.6g}"} if "public" in row else {}
            writer.writerow(
                {
                    "epoch": int(row["epoch"]),
                    "lr": f"{row['lr']:.6g}",
                    "train_loss": f"{row['loss']:.6g}",
                    "train_accuracy": f"{row['right']:.6g}",
                    **public,
                }
            )


if __name__ == "__main__":
    main()
