"""Turn the roll of FER-2013's faces away, to train on faces that stand upright.

    python scripts/alignment.py DATA aligned.zip

Each face of train and public is enlarged four times on a repeated border, YuNet's eyes tell its
roll, and the 48 px face is turned by it about its middle. A face that is not found, or whose eyes
stand steeper than 45 degrees, stays as it is. Names are kept, so votes and tables still fit.
"""

import argparse
import zipfile
from pathlib import Path

import cv2
import numpy as np
from framing import photo
from numpy.typing import NDArray

from mien.data import open_dataset
from mien.faces import Detector, open_detector

STEEP_DEG = 45
Grey = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    data, detector = open_dataset(given.data), open_detector()
    with zipfile.ZipFile(given.out, "w") as archive:
        for name in ("train", "public"):
            split = data.split(name)
            rolls = [roll(face, detector) for face in split.images]
            told = np.array([value for value in rolls if value is not None])
            print(
                f"{name}: turned {len(told):,} of {len(split):,} faces; roll, degrees: median "
                f"{np.median(abs(told)):.1f}, {np.mean(abs(told) > 10):.0%} above 10",
                flush=True,
            )
            for path, face, value in zip(split.names, split.images, rolls, strict=True):
                found = face if value is None else upright(face, value)
                archive.writestr(str(path), cv2.imencode(".png", found)[1].tobytes())


def roll(face: Grey, detector: Detector) -> float | None:
    """Degrees of the largest face's eyes, clockwise; None without."""
    found = detector.detect(photo(face))
    value = found[0].roll_deg if found else None
    return None if value is None or abs(value) > STEEP_DEG else float(value)


def upright(face: Grey, roll_deg: float) -> Grey:
    """The face, turned back by its roll; its border's pixels go on."""
    middle = (len(face) - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), roll_deg, 1)
    return np.asarray(
        cv2.warpAffine(face, turn, face.shape[::-1], borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


if __name__ == "__main__":
    main()
