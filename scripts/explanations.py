"""Are the maps worth a look? Deletion curves of a model's maps against random ones.

    python scripts/explanations.py DATA [--model RUN|BUNDLE] [--images 300]

Of PublicTest images, the pixels are blurred away, 5 % at a time, in the order of a map, and the
probability of the answer is averaged over the way: the lower, the more the map's pixels matter
(Petsiuk et al. 2018). Controls, each the mean of three orders: single pixels at random, and random
areas as coarse as a Grad-CAM map; besides, the map of the image before, which knows faces but not
this one.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data import open_dataset
from mien.errors import InputError
from mien.evaluate.intervals import mean_interval
from mien.explain import METHODS, Explainer, area, deletion

REPEATS, AREAS_PX = 3, 6

Map = NDArray[np.floating]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="mien-s")
    parser.add_argument("--images", type=int, default=300)
    given = parser.parse_args()
    public = open_dataset(given.data).split("public")
    rows = np.random.default_rng(1).choice(len(public), given.images, replace=False)
    for method in METHODS:
        try:
            explainer = Explainer(given.model, method, detector="none")
        except InputError:
            continue  # a method that this model does not have
        report(explainer, np.asarray(public.images[np.sort(rows)]))


def report(explainer: Explainer, images: NDArray[np.uint8]) -> None:
    """Print the areas under the curves, and how often the map's is the smaller."""
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {}
    before: Map = explainer.explain_crop(images[-1]).map
    for image in images:
        explanation = explainer.explain_crop(image)
        orders = {
            "map": [explanation.map],
            "random pixels": [rng.random(explanation.map.shape) for _ in range(REPEATS)],
            "random areas": [areas(rng, explanation.map.shape) for _ in range(REPEATS)],
            "another face's map": [before],
        }
        for name, maps in orders.items():
            found.setdefault(name, []).append(hurt(explainer, image, explanation.label, maps))
        before = explanation.map
    values = {name: np.array(areas) for name, areas in found.items()}
    print(f"{explainer.classifier.card.name}, {explainer.method}, n={len(images)}")
    for name, control in values.items():
        line = f"  {name:<18}  {mean_interval(control).plain(3)}"
        if name != "map":
            more = mean_interval(control - values["map"])
            wins = mean_interval((values["map"] < control).astype(float))
            line += f"  map lower by {more.plain(3)}, on {wins.percent(0)} % of the images"
        print(line)


def areas(rng: np.random.Generator, shape: tuple[int, ...]) -> Map:
    """Random heat, as coarse as the last feature map."""
    return np.asarray(cv2.resize(rng.random((AREAS_PX, AREAS_PX)), shape[::-1]))


def hurt(explainer: Explainer, image: NDArray[np.uint8], label: str, maps: list[Map]) -> float:
    """The area under the deletion curve, a mean over `maps`."""
    number = explainer.labels.index(label)
    seen = explainer.classifier.card.preprocess.resize([image])[0]
    curves = [deletion(explainer.classifier, seen, number, order) for order in maps]
    return float(np.mean([area(curve) for curve in curves]))


if __name__ == "__main__":
    main()
