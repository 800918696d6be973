"""Pictures in, readings out. Never imports torch."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.bundle import DEFAULT, Classifier, open_bundle
from mien.errors import InputError, NoFace, PictureError
from mien.faces import Detector, Finder, as_detector, crop
from mien.faces.tracking import Tracker
from mien.quality import sharpness, status_of
from mien.sources import Cut, Frame, Pending, is_live, is_video, list_pictures, load, open_items
from mien.sources.pictures import Color
from mien.stream import Found, Seen, in_order
from mien.types import Reading, Readings, Scores


class Recognizer:
    """Finds faces and reads their expressions; make one, use it many times, from many threads.

    `model` is the folder of a bundle or the name of one in the package, `detector` one of
    `mien.faces.DETECTORS`, an object that follows `mien.faces.Detector` or a function from a
    picture to boxes; `device` is auto, cpu or cuda; `threads` bounds the threads of the network and
    of the reading of many pictures; `align` turns tilted faces upright; `views` (plain, flip or
    ten-crop) are averaged in place of those that the bundle's card names.
    Raises BundleError, WeightsError or InputError if one of them cannot be had.
    """

    def __init__(
        self,
        model: str | Path = DEFAULT,
        *,
        detector: str | Detector | Finder = "auto",
        device: str = "auto",
        threads: int | None = None,
        align: bool = True,
        views: str | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise InputError(f"expected at least one thread, got {threads}")
        self._classifier = Classifier(open_bundle(model), threads, device, views)
        self.card = self._classifier.card
        self.detector = as_detector(detector)
        self.align = align
        self.threads = threads

    @property
    def labels(self) -> tuple[str, ...]:
        """Expressions, in the order of every `Scores`."""
        return self.card.labels

    def recognize(
        self,
        source: Any,
        *,
        color: Color = "rgb",
        strict: bool = False,
        private: bool = False,
        cut: Cut | None = None,
    ) -> Readings:
        """The readings of `source`, a list.

        A single picture (path, http(s) address, bytes, base64, PIL image, array of `color` order)
        gives one per face, the largest first, and none without a face; if it cannot be read it
        raises PictureError, InputError or ShapeError. Several pictures (list, folder, pattern) and
        videos (of which `cut` chooses frames) give a reading for each that has no face or cannot be
        read, too. With `strict`, both raise (NoFace or PictureError). `private` lets addresses
        lead into private networks.
        """
        if isinstance(source, Iterator):
            source = list(source)
        if self.is_single(source):
            pixels = load(source, color=color, private=private)
            name = Pending(source).name
            seen = self.see(Frame(name, pixels))
            _check(seen.readings, strict)
            return Readings(r for r in seen.readings if r.face)
        found = Readings()
        for seen in self.stream(source, color=color, private=private, cut=cut):
            _check(seen.readings, strict)
            found += seen.readings
        return found

    def stream(
        self,
        source: Any,
        *,
        color: Color = "rgb",
        private: bool = False,
        cut: Cut | None = None,
        pixels: bool = False,
        tracker: Tracker | None = None,
    ) -> Iterator[Seen]:
        """The readings of picture after picture, or frame after frame, in order and flat memory.

        Faces of a video get ids and smoothed scores from `tracker` (a new one by default). With
        `pixels`, each picture comes along as (H, W, 3) uint8 RGB.
        """
        opened = open_items(source, color=color, private=private, cut=cut)
        if opened.film:
            tracker = tracker or Tracker()
        yield from self.read(opened.items, pixels=pixels, tracker=tracker)

    def read(
        self,
        items: Iterable[Frame | Pending],
        *,
        pixels: bool = False,
        tracker: Tracker | None = None,
    ) -> Iterator[Seen]:
        """As `stream`, for pictures that are at hand or still to be read."""

        def find(item: Frame | Pending) -> Found:
            found = self.find(item.read() if isinstance(item, Pending) else item)
            return found if pixels else dataclasses.replace(found, pixels=None)

        if getattr(items, "live", False):  # each frame at once, none kept back for a batch
            answers: Iterable[Seen] = (self.answer([find(frame)])[0] for frame in items)
        else:
            answers = in_order(items, find, self.answer, self.threads)
        for seen in answers:
            yield tracked(seen, tracker) if tracker else seen

    def see(self, frame: Frame) -> Seen:
        """The readings of one frame, at once; with none found, one that says so."""
        return self.answer([self.find(frame)])[0]

    def classify(self, crops: Sequence[NDArray[np.uint8]]) -> list[Scores]:
        """Scores of ready-made face crops, (H, W) grey or (H, W, 3) RGB uint8."""
        if len(crops) == 0:
            return []
        return self._scores(self.card.preprocess.resize(crops))

    @staticmethod
    def is_single(source: Any) -> bool:
        """Whether `source` is one picture, and neither several nor a video."""
        return not is_video(source) and not is_live(source) and list_pictures(source) is None

    def find(self, frame: Frame) -> Found:
        """Faces and crops of a frame, to be answered; what has no pixels keeps its error."""
        size = self.card.preprocess.size_px
        inputs = np.empty((0, size, size), np.uint8)
        where = (frame.path, frame.index, frame.time_s)
        if frame.pixels is None:
            return Found(*where, frame.error, [], inputs, [])
        faces = self.detector.detect(frame.pixels)
        crops = [crop(frame.pixels, face, self.detector, align=self.align) for face in faces]
        if crops:
            inputs = self.card.preprocess.resize(crops)
        return Found(*where, None, faces, inputs, [sharpness(c) for c in crops], frame.pixels)

    def answer(self, batch: list[Found]) -> list[Seen]:
        """The readings of what was found, all faces of the batch in one run of the network."""
        if not batch:
            return []
        scores = iter(self._scores(np.concatenate([found.inputs for found in batch])))
        return [self._told(found, scores) for found in batch]

    def _told(self, found: Found, scores: Iterator[Scores]) -> Seen:
        where: dict[str, Any] = {"path": found.path, "time_s": found.time_s, "frame": found.index}
        readings = Readings()
        for face, sharp in zip(found.faces, found.sharpness, strict=True):
            score = next(scores)
            status = status_of(face.box, sharp, score, self.card.unsure_below)
            readings.append(Reading(face, score, status, **where))
        if found.error is not None:
            readings.append(Reading(None, None, "unreadable", error=found.error, **where))
        elif not readings:
            readings.append(Reading(None, None, "no_face", **where))
        return Seen(found.path, found.index, found.time_s, readings, found.pixels)

    def _scores(self, images: NDArray[np.uint8]) -> list[Scores]:
        rows = self._classifier.scores(images)
        return [Scores(self.labels, tuple(float(v) for v in row)) for row in rows]


def _check(readings: Readings, strict: bool) -> None:
    if not strict or readings[0].face is not None:
        return
    if readings[0].error is not None:
        raise PictureError(readings[0].error)
    where = f" in {readings[0].path}" if readings[0].path else ""
    raise NoFace(f"no face found{where}; for ready-made face crops use detector='none'")


def tracked(seen: Seen, tracker: Tracker) -> Seen:
    """The same with face ids and smoothed scores, for frames in the order of time."""
    faces = [r.face for r in seen.readings if r.face]
    scores = [r.scores for r in seen.readings if r.scores]
    if seen.time_s is None:
        return seen
    told = tracker.update(seen.time_s, faces, scores)
    if not faces:
        return seen
    readings = Readings(
        dataclasses.replace(reading, face_id=face_id, smoothed=smoothed)
        for reading, (face_id, smoothed) in zip(seen.readings, told, strict=True)
    )
    return dataclasses.replace(seen, readings=readings)
