"""YuNet (Wu et al. 2023), OpenCV Zoo's face detector, run by ONNX Runtime: 232 KB, 15 ms on a core.

OpenCV's own `FaceDetectorYN` gives the same faces at half the speed, and is not safe to share
between threads (docs/decisions.md).
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.shrink import shrunk
from mien.faces.weights import YUNET, locate
from mien.types import Box, Face

_CANVAS_PX = 640  # the network's fixed input
_LEAST_SCALE = 0.5  # so that a face of 40 px is still searched at 20 px
_OVERLAP_PX = 120
_STRIDES = (8, 16, 32)
_SCORE = 0.65  # 0.7 misses one of 88 faces of 40 px in 12 megapixels, 0.6 finds one in no face
_SAME = 0.3
_LANDMARKS = 5


class YuNet:
    """Faces from about 20 px up, turned ones too; safe to share between threads.

    A picture is searched at 640 px. One that this would shrink to less than half is searched once
    more at half its size, in tiles, for the small faces.
    """

    name = "yunet"
    margin = 1.0  # scripts/framing.py: median over training faces

    def __init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # several pictures at once are worth more
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(locate(YUNET)), options, providers=["CPUExecutionProvider"]
        )
        kinds = ("cls", "obj", "bbox", "kps")
        self._outputs = [f"{kind}_{stride}" for stride in _STRIDES for kind in kinds]

    def detect(self, picture: NDArray[np.uint8]) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB picture, the largest first."""
        faces = self._search(*shrunk(picture, _CANVAS_PX))
        if max(picture.shape[:2]) * _LEAST_SCALE > _CANVAS_PX:
            half, scale = shrunk(picture, max(picture.shape[:2]) * _LEAST_SCALE)
            for x, y, tile in _tiles(half):
                found = self._search(tile, scale)
                faces += [_moved(face, round(x / scale), round(y / scale)) for face in found]
            faces = _without_repeats(faces)
        height, width = picture.shape[:2]
        faces = [face for face in faces if face.box.within(width, height)]  # not of the padding
        return sorted(faces, key=lambda f: (-f.box.width * f.box.height, f.box.x, f.box.y))

    def _search(self, part: NDArray[np.uint8], scale: float) -> list[Face]:
        """Faces of a part that fits the canvas, in pixels of the picture it was scaled from."""
        height, width = part.shape[:2]
        canvas = np.zeros((1, 3, _CANVAS_PX, _CANVAS_PX), np.float32)
        canvas[0, :, :height, :width] = part[:, :, ::-1].transpose(2, 0, 1)
        answers = self._session.run(self._outputs, {"input": canvas})
        rows = np.concatenate(
            [_decoded(stride, *answers[4 * i : 4 * i + 4]) for i, stride in enumerate(_STRIDES)]
        )
        boxes, scores = rows[:, :4].tolist(), rows[:, -1].tolist()
        kept = cv2.dnn.NMSBoxes(boxes, scores, _SCORE, _SAME) if boxes else []
        return [_face(rows[int(i)], scale) for i in kept]


def _decoded(
    stride: int,
    cls: NDArray[np.float32],
    obj: NDArray[np.float32],
    bbox: NDArray[np.float32],
    kps: NDArray[np.float32],
) -> NDArray[np.float32]:
    """(faces, 15): x, y, width, height, five landmarks, score; of cells with a score of `_SCORE`.

    Each cell of the grid tells the place of a face from its own, in strides, and the logarithm of
    its size; the score is the geometric mean of the two (as OpenCV's face_detect.cpp has it).
    """
    scores = np.sqrt(cls[0, :, 0].clip(0, 1) * obj[0, :, 0].clip(0, 1))
    sure = np.flatnonzero(scores >= _SCORE)
    cells = np.stack([sure % (_CANVAS_PX // stride), sure // (_CANVAS_PX // stride)], 1)
    centres = (cells + bbox[0, sure, :2]) * stride
    sizes = np.exp(bbox[0, sure, 2:]) * stride
    places = (np.tile(cells, _LANDMARKS) + kps[0, sure]) * stride
    return np.concatenate(
        [centres - sizes / 2, sizes, places, scores[sure, None]], 1, dtype=np.float32
    )


def _tiles(picture: NDArray[np.uint8]) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """Overlapping parts of the size of the canvas, and where they lie."""
    height, width = picture.shape[:2]
    step = _CANVAS_PX - _OVERLAP_PX
    for y in range(0, max(1, height - _OVERLAP_PX), step):
        for x in range(0, max(1, width - _OVERLAP_PX), step):
            yield x, y, picture[y : y + _CANVAS_PX, x : x + _CANVAS_PX]


def _face(row: NDArray[np.float32], scale: float) -> Face:
    x, y, width, height = (round(float(v) / scale) for v in row[:4])
    places = [round(float(v) / scale, 2) for v in row[4:14]]
    landmarks = tuple(zip(places[::2], places[1::2], strict=True))
    return Face(Box(x, y, max(1, width), max(1, height)), round(float(row[14]), 4), landmarks)


def _moved(face: Face, x: int, y: int) -> Face:
    box = Box(face.box.x + x, face.box.y + y, face.box.width, face.box.height)
    return Face(box, face.score, tuple((a + x, b + y) for a, b in face.landmarks or ()))


def _without_repeats(faces: list[Face]) -> list[Face]:
    """One face for those found in overlapping tiles and in the overview.

    The largest box stays: a face cut by the edge of a tile has a smaller one, however sure.
    """
    kept: list[Face] = []
    for face in sorted(faces, key=lambda f: -f.box.width * f.box.height):
        if all(face.box.overlap(other.box) <= _SAME and not _inside(face, other) for other in kept):
            kept.append(face)
    return kept


def _inside(face: Face, other: Face) -> bool:
    """Whether the centre of `face` lies in `other`, and `face` is not much smaller."""
    x, y = face.box.centre
    box = other.box
    within = box.x < x < box.x + box.width and box.y < y < box.y + box.height
    return within and 3 * face.box.width > box.width
