"""How a face must be framed: where detectors see FER-2013's faces, and what margin and tilt cost.

    python scripts/framing.py DATA [--images 600]

Faces are enlarged four times on a repeated border, as they would lie in a photo. First the
detector's box and eyes are compared with the frame that the data set's makers chose, on training
images; then PublicTest faces, tilted, are found, framed with several margins and classified.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.bundle import Classifier, open_bundle
from mien.data import Split, open_dataset
from mien.faces import crop, open_detector

SIDE_PX, BORDER_PX = 192, 96
MARGINS = (0.8, 0.9, 0.98, 1.1, 1.25, 1.5)
TILTS_DEG = (0, 10, 20, 30, 45)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=600)
    given = parser.parse_args()
    data = open_dataset(given.data)
    where(data.split("train"), given.images)
    cost(data.split("public"), given.images)


def sample(split: Split, count: int) -> NDArray[np.intp]:
    rows = np.random.default_rng(0).choice(len(split), min(count, len(split)), replace=False)
    return np.sort(rows)


def photo(face: NDArray[np.uint8], tilt_deg: float = 0) -> NDArray[np.uint8]:
    """The face in the middle of a picture, tilted clockwise."""
    large = cv2.resize(face, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    large = cv2.copyMakeBorder(large, *[BORDER_PX] * 4, cv2.BORDER_REPLICATE)
    middle = large.shape[0] / 2
    turn = cv2.getRotationMatrix2D((middle, middle), -tilt_deg, 1)
    turned = cv2.warpAffine(large, turn, large.shape, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(turned, cv2.COLOR_GRAY2RGB), np.uint8)


def where(train: Split, count: int) -> None:
    """Print where box and eyes lie in the frame."""
    detector = open_detector()
    rows = sample(train, count)
    found = [f for row in rows if (f := detector.detect(photo(train.images[row])))]
    boxes = [f[0].box for f in found]
    table = np.array([(b.x, b.y, b.width, b.height) for b in boxes], float)
    table[:, :2] -= BORDER_PX
    table /= SIDE_PX
    side = table[:, 2:].max(1)
    low, margin, high = np.quantile(1 / side, [0.25, 0.5, 0.75])
    right, down = np.median((0.5 - (table[:, :2] + table[:, 2:] / 2)) / side[:, None], axis=0)
    print(f"found {len(table)} of {len(rows)} training faces")
    print(f"  frame / longer side of the box: {margin:.3f} [quartiles {low:.3f}, {high:.3f}]")
    print(f"  frame's centre from the box's, in longer sides: x {right:+.3f}, y {down:+.3f}")
    rolls = np.abs([f[0].roll_deg for f in found])
    share = np.mean(rolls > 10)
    print(f"  tilt of the eyes: median {np.median(rolls):.1f} degrees, {share:.0%} above 10")
    eyes = (np.array([f[0].landmarks[:2] for f in found]) - BORDER_PX) / SIDE_PX
    (rx, ry), (lx, ly) = np.median(eyes, axis=0)
    print(f"  eyes in the frame (0-1): ({rx:.2f}, {ry:.2f}) and ({lx:.2f}, {ly:.2f})")


def cost(public: Split, count: int) -> None:
    """Print the accuracy by margin and by tilt, with and without alignment."""
    detector, classifier = open_detector(), Classifier(open_bundle())
    rows = sample(public, count)
    labels = public.labels[rows]

    def accuracy(tilt_deg: float, align: bool) -> tuple[float, int]:
        right = missed = 0
        for row, label in zip(rows, labels, strict=True):
            picture = photo(public.images[row], tilt_deg)
            faces = detector.detect(picture)
            if not faces:
                missed += 1
                continue
            cut = crop(picture, faces[0], detector, align=align)
            right += int(classifier.probabilities([cut]).argmax() == label)
        return right / len(rows), missed

    ready = classifier.probabilities(public.images[rows]).argmax(1)
    half = 1.96 * (0.25 / len(rows)) ** 0.5
    print(f"accuracy on {len(rows)} PublicTest faces, +-{half:.3f} (95 %); missed faces are wrong")
    print(f"  the crops themselves: {np.mean(ready == labels):.3f}")
    for margin in MARGINS:
        detector.margin = margin
        value, missed = accuracy(0, False)
        print(f"  margin {margin:4.2f}: {value:.3f} ({missed} missed)")
    detector.margin = type(detector).margin
    for tilt in TILTS_DEG:
        (level, missed), (turned, _) = accuracy(tilt, False), accuracy(tilt, True)
        print(f"  tilt {tilt:2d}: {level:.3f} as it is, {turned:.3f} aligned ({missed} missed)")


if __name__ == "__main__":
    main()
