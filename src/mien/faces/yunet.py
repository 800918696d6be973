"""YuNet (Wu et al. 2023, doi 10.1007/s11633-023-1423-y), the face detector of OpenCV Zoo.

A picture is searched coarsely, at a scale at which the smallest face that is wanted still shows.
Each place where a face may be is then looked at closely, and where that is not sure, once more with
its wide surroundings: both looks decide, and the close one measures. Run by
ONNX Runtime: OpenCV's own `FaceDetectorYN` gives the same answers at half the speed, and is not
safe to share between threads.
"""

import functools
import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from importlib.resources import files

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.faces import largest_first
from mien.faces.poses import from_cell, look_again, quarter, same_place, to_cell, turned_back
from mien.sessions import open_session
from mien.types import Box, Face

MIN_FACE_PX = 30
"""A smaller face has less to show than FER-2013's 48 px frame: `mien.quality` calls it small."""
_COARSE_FACE_PX = 18  # of the smallest face, in the coarse search
_LEAST_SHARE = 0.6  # what is smaller by more than the smallest face shows too little in it
_LARGE_FACE_PX = 15  # the same in a large picture, which would take too long
_SEARCHED_PX = (320, 640)  # a picture is large if it is searched at more; small ones at no less
_CLOSE_SIDES, _WIDE_SIDES, _FOLLOW_SIDES = 1.25, 3.0, 1.6  # of the face, which a look takes in
_CLOSE_PX, _CLOSE_SMALL_PX = (128, 192), 60
"""Canvases of a close look, of smaller and of larger faces. YuNet draws the landmarks of a face of
less than about 150 px as if it were upright: 192 px for 1.25 sides tell a roll as well as 320 px
for 1.6 (docs/faces.md#turned-faces)."""
_FOLLOW_PX = 128  # the same where a face was in the frame before
_BATCH = 16
_MAYBE, _LIKELY, _SURE, _CERTAIN = 0.1, 0.5, 0.65, 0.86
"""Scores of what is looked at, of a look that something bears out, of a look of a film's face, and
of one that nothing needs to bear out."""
_SURE_OF_LARGE, _SURE_OF_SMALL, _SMALL_PX = 0.55, 0.8, 100
"""A large face is borne out by the mean of search and look; a small one by that of the surer of
them and of a look with wide surroundings, which a face without a head lacks. Chosen on one half of
655 pictures without a face and on faces; of the other half 0.9 % have one (docs/faces.md)."""
_UPRIGHT = 0.89  # 84 % of upright faces of FER-2013 have more, 6 % of those on their head
_LYING, _TURNED = 0.85, 0.87  # of one that lies, of one in a turned photo (a cat's there: 0.86)
_TURNED_LEAST_PX = 30  # a smaller face is not looked at again
_LIES_DEG, _STEP_DEG = 45, 30  # a face rolled by more is followed turned upright, in such steps
_HOLD = 0.85  # share of what a followed face was in how large it is
_HELD, _FREE = 0.1, 0.25  # by so much (logarithm of a side) it differs: held as above, not held
_STEPS = (-_STEP_DEG, 0, _STEP_DEG)
_FOLLOWED_UPRIGHT, _FOLLOWED_GAIN = 0.87, 0.04  # small looks are less sure than `detect`'s
_WHEEL_PX, _TURNED_PX = 640, 448  # canvases of a turned photo, of a face in all directions
_SAME = 0.3
_STRIDES = (8, 16, 32)
_OUTPUTS = [f"told_{stride}" for stride in _STRIDES]  # scripts/yunet.py
_LANDMARKS = 5

Pixels = NDArray[np.uint8]
Rows = NDArray[np.float32]
"""(faces, 15): x, y, width, height, five landmarks (x, y), score."""


class YuNet:
    """Faces from about `min_face` px (of the box's longer side) up; safe to share between threads.

    The time of a search is that of its pixels: half the `min_face` takes four times as long.
    `device` is cpu or cuda; auto is cpu, as runs are short and of many sizes. InputError for
    another, and where there is no card.
    """

    name = "yunet"
    margin = 1.0  # scripts/framing.py: median over training faces

    def __init__(self, min_face: int = MIN_FACE_PX, device: str = "cpu") -> None:
        import onnxruntime

        if min_face < 1:
            raise InputError(f"expected a smallest face of at least 1 px, got {min_face}")
        self.min_face, self.device = min_face, device
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # several pictures at once are worth more
        options.log_severity_level = 3
        self._session = open_session(
            (files("mien.faces") / "yunet.onnx").read_bytes(),
            options,
            "cpu" if device == "auto" else device,
            # The card's best algorithm is not sought by trial for each new size of a picture.
            cudnn_conv_algo_search="HEURISTIC",
        )

    @property
    def version(self) -> str:
        """What of it decides which faces are found."""
        return f"2023mar, from {self.min_face} px"

    def __reduce__(self) -> tuple[type["YuNet"], tuple[int, str]]:
        return type(self), (self.min_face, self.device)  # another process opens the network again

    def detect(self, picture: Pixels) -> list[Face]:
        """Faces of a (H, W, 3) uint8 RGB picture, the largest first.

        One that is found with a score below `_UPRIGHT` is looked at in every direction.
        """
        return self.search(picture, ())

    def search(self, picture: Pixels, known: Sequence[Face]) -> list[Face]:
        """The `known` faces of a picture, measured anew, and the others, as `detect` tells them."""
        known = self._measured(picture, known)
        found = self._search(picture, known)
        told = [self._settled(picture, face, found[face]) for face in _without_repeats(found)]
        return _without_repeats(filter(None, told), known)

    def detect_in_photo(self, picture: Pixels) -> list[Face]:
        """The same; a picture without a face, or with one that lies, is searched turned, too.

        That takes as long again, so it is not for the frames of a film.
        """
        faces = self.detect(picture)
        quarters = quarter(faces[0]) if faces else self._quarters(picture)
        if quarters == 0:
            return faces
        height, width = picture.shape[:2]
        turned = self.detect(np.ascontiguousarray(np.rot90(picture, quarters)))
        sure = [face for face in turned if _score(face) >= _TURNED]
        back = [turned_back(face, quarters, width, height) for face in sure]
        return _without_repeats(back + faces)

    def _search(self, picture: Pixels, known: Sequence[Face]) -> dict[Face, float]:
        """What a close look takes for a face, and the score of the search for its place."""
        scale = self._scale(max(picture.shape[:2]))
        height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
        canvas = np.zeros((-(-height // 32) * 32, -(-width // 32) * 32, 3), np.uint8)
        canvas[:height, :width] = _scaled(picture, width, height)
        (rows,) = self._answers([canvas], _MAYBE)
        wanted = (_face(row, scale) for row in rows)
        wanted = (face for face in wanted if _longer(face) >= _LEAST_SHARE * self.min_face)
        places = _elsewhere(wanted, known)
        looks = self._looks(picture, [place.box for place in places], _CLOSE_SIDES)
        pairs = ((f, _score(p)) for p, faces in zip(places, looks, strict=True) for f in faces)
        return {face: score for face, score in pairs if _score(face) >= _LIKELY}

    def _settled(self, picture: Pixels, face: Face, searched: float) -> Face | None:
        """A face as it lies; None where a look is unsure, and nothing bears it out."""
        if _score(face) >= _UPRIGHT:
            return face
        turned = self._again(picture, face)
        if turned != face and _score(turned) >= _LYING:
            return turned
        certain = _score(face) >= _CERTAIN or self._is_borne_out(picture, face, searched)
        return face if certain else None

    def _is_borne_out(self, picture: Pixels, face: Face, searched: float) -> bool:
        if _longer(face) >= _SMALL_PX:
            return (searched + _score(face)) / 2 >= _SURE_OF_LARGE
        (looks,) = self._looks(picture, [face.box], _WIDE_SIDES)
        wide = max(map(_score, looks), default=0.0)
        return (max(searched, _score(face)) + wide) / 2 >= _SURE_OF_SMALL

    def _scale(self, longest: int) -> float:
        """That of the coarse search of a picture whose longer side has so many pixels."""
        least, most = (side / longest for side in _SEARCHED_PX)
        wanted = min(_COARSE_FACE_PX / self.min_face, most)
        return min(1.0, max(least, _LARGE_FACE_PX / self.min_face, wanted))

    def _quarters(self, picture: Pixels) -> int:
        """By how many quarters, 0-3, a picture without a face must be turned to show one."""
        scale = min(1.0, _WHEEL_PX / 2 / max(picture.shape[:2]))
        height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
        small = _scaled(picture, width, height)
        canvas = np.zeros((_WHEEL_PX, _WHEEL_PX, 3), np.uint8)
        for quarters in (1, 2, 3):
            part = np.rot90(small, quarters)
            top, left = (v * _WHEEL_PX // 2 for v in divmod(quarters, 2))
            canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
        best = max(self._sure(canvas), key=_score, default=None)
        if best is None:
            return 0
        x, y = best.box.centre
        return int(2 * (y >= _WHEEL_PX / 2) + (x >= _WHEEL_PX / 2))

    def _again(self, picture: Pixels, face: Face) -> Face:
        if _is_small(face):
            return face
        return look_again(picture, face, self._sure, _TURNED_PX)

    def _sure(self, canvas: Pixels) -> list[Face]:
        (rows,) = self._answers([canvas], _SURE)
        return [_face(row, 1.0) for row in rows]

    def look(self, picture: Pixels, faces: Sequence[Face]) -> list[Face]:
        """The `faces` of the frame before, where they are in this one, the largest first.

        One may have moved by about a third of its side, and turned by about 30 degrees. Where
        nobody looks, no face is found.
        """
        found = self._near(picture, [_way(face) for face in faces])
        pairs = [(face, was) for face, was in zip(found, faces, strict=True) if face is not None]
        unsure = [p for p in pairs if _score(p[0]) < _FOLLOWED_UPRIGHT and not _is_small(p[0])]
        kept = [_held(face, was) for face, was in pairs if (face, was) not in unsure]
        turned = [self._near(picture, [_way(was, step) for _, was in unsure]) for step in _STEPS]
        kept += [_surest(face, *told) for (face, _), *told in zip(unsure, *turned, strict=True)]
        return _without_repeats(kept)

    def _measured(self, picture: Pixels, faces: Collection[Face]) -> list[Face]:
        """The faces as a close look has them, which tells how they are tilted; but for those that
        lie."""
        upright = [face for face in faces if abs(face.roll_deg) <= _LIES_DEG]
        looks = self._looks(picture, [face.box for face in upright], _CLOSE_SIDES)
        pairs = zip(upright, looks, strict=True)
        told = {face: max(seen, key=_score, default=face) for face, seen in pairs}
        return [told.get(face, face) for face in faces]

    def _near(self, picture: Pixels, ways: Sequence["_Way"]) -> list[Face | None]:
        """The surest face at each place, looked at in a direction; None if there is none."""
        looks = iter([_look(picture, *way) for way in ways])
        told: list[Face | None] = []
        while some := list(itertools.islice(looks, _BATCH)):
            answers = self._answers([look.canvas for look in some], _SURE)
            pairs = zip(some, answers, strict=True)
            told += [max(look.faces(rows), key=_score, default=None) for look, rows in pairs]
        return told

    def _looks(self, picture: Pixels, places: Sequence[Box], sides: float) -> list[list[Face]]:
        """What may be a face at each place, seen with surroundings of so many of its sides."""
        told: dict[Box, list[Face]] = {}
        for px, alike in itertools.groupby(sorted(dict.fromkeys(places), key=_close_px), _close_px):
            while some := list(itertools.islice(alike, _BATCH)):
                looks = [_Look(picture, place, px, sides) for place in some]
                answers = self._answers([look.canvas for look in looks], _MAYBE)
                for place, look, rows in zip(some, looks, answers, strict=True):
                    told[place] = look.faces(rows)
        return [told[place] for place in places]

    def _answers(self, canvases: list[Pixels], least: float) -> list[Rows]:
        """The faces of each (H, W, 3) RGB canvas, in its pixels, with a score of `least`."""
        grids = self._session.run(_OUTPUTS, {"input": _planes(canvases)})
        cells = _cells(canvases[0].shape[:2])
        told = np.concatenate([grid.reshape(*grid.shape[:2], -1) for grid in grids], 2)
        return [_distinct(_decoded(each, cells, least), least) for each in told]


def _close_px(place: Box) -> int:
    """The side of a look's canvas."""
    return _CLOSE_PX[max(place.width, place.height) > _CLOSE_SMALL_PX]


class _Look:
    """The surroundings of a place in a picture, and what they are when the network is asked."""

    def __init__(self, picture: Pixels, place: Box, side: int, sides: float) -> None:
        self._place = place
        around = place.square(sides)
        self._scale = side / around.width
        height, width = picture.shape[:2]
        self._size = width, height
        self._left, self._top = max(0, around.x), max(0, around.y)
        right, bottom = min(width, around.x + around.width), min(height, around.y + around.height)
        part = picture[self._top : bottom, self._left : right]
        columns, rows = (max(1, round(side * self._scale)) for side in part.shape[1::-1])
        self.canvas = np.zeros((side, side, 3), np.uint8)
        if part.size:
            scaled = _quickly_scaled if side == _FOLLOW_PX else _scaled
            self.canvas[:rows, :columns] = scaled(part, columns, rows)

    def faces(self, rows: Rows) -> list[Face]:
        """Those of `rows`, in pixels of the canvas, that are at the place."""
        found = [_face(row, self._scale, self._left, self._top) for row in rows]
        here = [face for face in found if face.box.overlap(self._place) > _SAME]
        return [face for face in here if face.box.within(*self._size)]  # not of the padding


class _TurnedLook:
    """The same of a face that is rolled by about `turn_deg`, turned upright."""

    def __init__(self, picture: Pixels, place: Box, side: int, turn_deg: int) -> None:
        self._place, self._side = place, side
        self._turn = to_cell(place, turn_deg, side)
        size, border = (side, side), cv2.BORDER_REPLICATE
        self.canvas = np.asarray(
            cv2.warpAffine(picture, self._turn, size, borderMode=border), np.uint8
        )

    def faces(self, rows: Rows) -> list[Face]:
        """Those of `rows`, in pixels of the canvas, that are at the place."""
        found = [from_cell(_face(row, 1.0), [self._turn], self._side) for row in rows]
        return [one for one in found if one is not None and same_place(one.box, self._place)]


_Way = tuple[Box, int]
"""A place, and by how many degrees a face there is expected to be rolled."""


def _way(was: Face, step_deg: int | None = None) -> _Way:
    """Where a face of the frame before is looked for: upright, unless it lies; or, with `step_deg`,
    rolled by so much more than it was."""
    lies = step_deg is not None or abs(was.roll_deg) > _LIES_DEG
    turn_deg = _STEP_DEG * round(was.roll_deg / _STEP_DEG) if lies else 0
    return was.box, turn_deg + (step_deg or 0)


def _held(face: Face, was: Face) -> Face:
    """A face where a small look finds it, about as large and as tilted as it was: that is measured
    by close looks, of which small ones differ by some per cent. What differs by more has grown, or
    comes into the picture."""
    if abs(was.roll_deg) > _LIES_DEG or face.landmarks is None:
        return face
    (x, y), sides = face.box.centre, (face.box.width, face.box.height)
    before = was.box.width, was.box.height
    width, height = (_mixed(b, s) for b, s in zip(before, sides, strict=True))
    box = Box(round(x - width / 2), round(y - height / 2), round(width), round(height))
    turn = cv2.getRotationMatrix2D((x, y), face.roll_deg - was.roll_deg, 1)
    points = np.asarray(face.landmarks) @ turn[:, :2].T + turn[:, 2]
    return Face(box, face.score, tuple((round(a, 2), round(b, 2)) for a, b in points.tolist()))


def _mixed(before: int, now: int) -> float:
    """A side in px, between what it was and what it is now."""
    before, now = max(before, 1), max(now, 1)
    free = (abs(math.log(now / before)) - _HELD) / (_FREE - _HELD)
    share = _HOLD * (1 - min(max(free, 0), 1))
    return float(before**share * now ** (1 - share))


def _look(picture: Pixels, place: Box, turn_deg: int) -> _Look | _TurnedLook:
    if turn_deg % 360:
        return _TurnedLook(picture, place, _FOLLOW_PX, turn_deg)
    return _Look(picture, place, _FOLLOW_PX, _FOLLOW_SIDES)


def _surest(face: Face, *turned: Face | None) -> Face:
    """The face as it was, unless it is clearly surer turned."""
    best = max((one for one in turned if one is not None), key=_score, default=face)
    return best if _score(best) > _score(face) + _FOLLOWED_GAIN else face


@functools.lru_cache(maxsize=64)
def _cells(size: tuple[int, int]) -> Rows:
    """(N, 3): column, row and stride of each cell that answers for a canvas of (height, width)."""
    grids = []
    for stride in _STRIDES:
        rows, columns = np.indices([side // stride for side in size]).reshape(2, -1)
        grids.append(np.stack([columns, rows, np.full_like(rows, stride)], 1))
    return np.concatenate(grids, dtype=np.float32)


def _decoded(told: Rows, cells: Rows, least: float) -> Rows:
    """The faces of (16, N) answers of `cells`, those with a score of `least`.

    Each cell tells how sure it is in two ways, as logits; the place of a face from its own and the
    logarithm of its size; and the landmarks. Places are in strides. The score is the geometric mean
    of the two (as OpenCV's face_detect.cpp has it).
    """
    one, other = 1 + np.exp(-told[:2].clip(-40))
    scores = 1 / np.sqrt(one * other)
    sure = np.flatnonzero(scores >= least)
    told, places, strides = told[2:, sure].T, cells[sure, :2], cells[sure, 2:]
    centres, sizes = places + told[:, :2], np.exp(told[:, 2:4])
    landmarks = np.tile(places, _LANDMARKS) + told[:, 4:]
    rows = np.concatenate([centres - sizes / 2, sizes, landmarks], 1) * strides
    return np.concatenate([rows, scores[sure, None]], 1, dtype=np.float32)


def _planes(canvases: Sequence[Pixels]) -> Rows:
    """(N, 3, H, W) float32 BGR; a tenth of the time of OpenCV's `blobFromImages`."""
    inputs = np.empty((len(canvases), 3, *canvases[0].shape[:2]), np.float32)
    for planes, canvas in zip(inputs, canvases, strict=True):
        for place, plane in enumerate(reversed(cv2.split(canvas))):
            planes[place] = plane
    return inputs


def _scaled(picture: Pixels, width: int, height: int) -> Pixels:
    """The picture in another size; averaging is slow, and needed only where much is left out."""
    much = 2 * width < picture.shape[1]
    kind = cv2.INTER_AREA if much else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=kind), np.uint8)


def _quickly_scaled(picture: Pixels, width: int, height: int) -> Pixels:
    """The same by two steps, of which the second halves: a fifth of the time."""
    if 2 * width < picture.shape[1] <= 4 * width:
        picture = np.asarray(cv2.resize(picture, (2 * width, 2 * height)), np.uint8)
    return _scaled(picture, width, height)


def _distinct(rows: Rows, least: float) -> Rows:
    """The surest of those that overlap."""
    if len(rows) < 2:
        return rows
    return rows[cv2.dnn.NMSBoxes(rows[:, :4].tolist(), rows[:, -1].tolist(), least, _SAME)]


def _face(row: Rows, scale: float, left: int = 0, top: int = 0) -> Face:
    """A row as a face, in pixels of the picture from which (left, top) was cut and scaled."""
    x, y, width, height = (float(v) / scale for v in row[:4])
    box = Box(round(x + left), round(y + top), max(1, round(width)), max(1, round(height)))
    xs, ys = (row[4:14].reshape(-1, 2).astype(float) / scale + (left, top)).round(2).T.tolist()
    return Face(box, round(float(row[14]), 4), tuple(zip(xs, ys, strict=True)))


def _longer(face: Face) -> int:
    return max(face.box.width, face.box.height)


def _is_small(face: Face) -> bool:
    return _longer(face) < _TURNED_LEAST_PX


def _score(face: Face) -> float:
    return face.score or 0.0


def _elsewhere(faces: Iterable[Face], known: Sequence[Face]) -> list[Face]:
    """Those where no face is known."""
    return [f for f in faces if all(f.box.overlap(k.box) <= _SAME for k in known)]


def _without_repeats(faces: Iterable[Face], known: Sequence[Face] = ()) -> list[Face]:
    """One face, the surest, for those that were found from several places; the largest first.

    The `known` ones are kept before all others.
    """
    kept = [*known]
    for face in sorted(faces, key=_score, reverse=True):
        if _elsewhere([face], kept):
            kept.append(face)
    return largest_first(kept)
