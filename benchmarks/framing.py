"""Where a detector's box lies in FER-2013's 48 px frame: what `margin` must be.

    python benchmarks/framing.py DATA [--images 600]

Training faces are enlarged four times on a repeated border; the detector's box is compared with
the frame that the data set's makers chose.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from mien.data import open_dataset
from mien.faces import open_detector

SIDE_PX, BORDER_PX = 192, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=600)
    given = parser.parse_args()

    train = open_dataset(given.data).split("train")
    rows = np.sort(np.random.default_rng(0).choice(len(train), given.images, replace=False))
    for name in ("yunet", "haar"):
        detector = open_detector(name)
        boxes = []
        for row in rows:
            face = cv2.resize(train.images[row], (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
            face = cv2.copyMakeBorder(face, *[BORDER_PX] * 4, cv2.BORDER_REPLICATE)
            found = detector.detect(cv2.cvtColor(face, cv2.COLOR_GRAY2RGB))
            if found:
                box = found[0].box
                boxes.append((box.x - BORDER_PX, box.y - BORDER_PX, box.width, box.height))
        table = np.array(boxes) / SIDE_PX
        side = table[:, 2:].max(1)
        low, margin, high = np.quantile(1 / side, [0.25, 0.5, 0.75])
        right, down = np.median((0.5 - (table[:, :2] + table[:, 2:] / 2)) / side[:, None], axis=0)
        print(f"{name}: found {len(table)} of {len(rows)}")
        print(f"  frame / longer side of the box: {margin:.3f} [quartiles {low:.3f}, {high:.3f}]")
        print(f"  frame's centre from the box's, in longer sides: x {right:+.3f}, y {down:+.3f}")


if __name__ == "__main__":
    main()
