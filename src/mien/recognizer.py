"""Pictures in, readings out. Never imports torch."""

import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mien import __version__
from mien.bundle import DEFAULT, Classifier, open_bundle
from mien.errors import InputError, MienError, NoFace, PictureError
from mien.faces import Detector, Finder, as_detector, framed
from mien.faces import find as find_faces
from mien.faces.following import Follower, FollowingDetector
from mien.faces.people import Looks, People, portrait
from mien.faces.shots import Shots
from mien.faces.tracking import Tracker
from mien.memory import Memory
from mien.origin import Origin
from mien.preprocess import grey, scale
from mien.quality import SIDE_PX, Look, look_at, status_of
from mien.sources import Cut, Frame, Item, Source, open_source, primed
from mien.sources.pictures import Color
from mien.stream import (
    BATCH,
    BATCH_WITH_PIXELS,
    Crops,
    Detections,
    Result,
    ahead,
    batches,
    in_order,
    repeated,
)
from mien.types import Face, Reading, Readings, Scores


class Recognizer:
    """Finds faces and reads their expressions; safe to share between threads.

    `model` is the folder of a bundle or the name of one in the package, `detector` one of
    `mien.faces.DETECTORS`, an object that follows `mien.faces.Detector`, such as
    `mien.faces.yunet.YuNet(min_face=20)`, or a function from a picture to boxes; `device` is auto,
    cpu or cuda, which a detector by name uses, too; `threads` bounds the threads of the network and
    of the reading of many pictures; `align` turns tilted faces upright; `views` (plain, flip or
    ten-crop) are averaged in place of those that the bundle's card names. In films and cameras
    faces are followed from frame to frame (`mien.faces.following`) unless `every_frame` is to be
    searched. With `identify`, people of a film who come back have the same id, by their looks
    (`mien.faces.people`; mien[identify]).
    Raises BundleError or InputError if one of them cannot be had.

    Pickled, it is these arguments: another process opens the networks again. So does the first use
    after `close`, or after the end of a `with` block.
    """

    def __init__(
        self,
        model: str | Path = DEFAULT,
        *,
        detector: str | Detector | Finder = "yunet",
        device: str = "auto",
        threads: int | None = None,
        align: bool = True,
        views: str | None = None,
        every_frame: bool = False,
        identify: bool = False,
    ) -> None:
        if threads is not None and threads < 1:
            raise InputError(f"expected at least one thread, got {threads}")
        self.align = align
        self.every_frame = every_frame
        self.identify = identify
        self.threads = threads
        self._given: dict[str, Any] = {"detector": detector, "device": device, "views": views}
        self._model = model
        self._lock = threading.Lock()
        self._opened: tuple[Classifier, Detector, Looks | None] | None = None
        self.card = self._open()[0].card

    def _open(self) -> tuple[Classifier, Detector, Looks | None]:
        with self._lock:
            if self._opened is None:
                bundle, given = open_bundle(self._model), self._given
                if self.identify and bundle.card.state:
                    raise InputError(
                        f"{bundle.card.name} reads clips, whose faces are told apart by their "
                        "places; leave identify out, or choose a model of images"
                    )
                classifier = Classifier(bundle, self.threads, given["device"], given["views"])
                looks = Looks() if self.identify else None
                finder = as_detector(given["detector"], given["device"])
                self._opened = (classifier, finder, looks)
            return self._opened

    @property
    def detector(self) -> Detector:
        """What finds the faces."""
        return self._open()[1]

    def close(self) -> None:
        """Let go of the networks and their memory; they are opened again when they are needed."""
        with self._lock:
            self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        names = ("threads", "align", "every_frame", "identify")
        chosen = {name: getattr(self, name) for name in names}
        return {"model": self._model, **chosen, **self._given}

    def __setstate__(self, given: dict[str, Any]) -> None:
        self.__init__(**given)  # type: ignore[misc]  # the arguments are all there is to it

    def __repr__(self) -> str:
        return f"<Recognizer {self.card.name}, detector {self.detector.name}>"

    @property
    def labels(self) -> tuple[str, ...]:
        """Expressions, in the order of every `Scores`."""
        return self.card.labels

    def origin(self, cut: Cut | None = None) -> Origin:
        """What its readings depend on, for the tables that tell what made them."""
        cut = cut or Cut()
        return Origin(
            mien=__version__,
            model=self.card.name,
            model_sha256=self.card.digest,
            temperature=self.card.temperature,
            unsure_below=self.card.unsure_below,
            views=self._open()[0].views,
            detector=self.detector.name,
            detector_version=getattr(self.detector, "version", None),
            align=self.align,
            every_frame=self.every_frame,
            identify=self.identify,
            every=cut.every,
            fps=cut.fps,
            start_s=cut.start_s,
            end_s=cut.end_s,
        )

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
        lead into private networks. What `mien.sources.open_source` has opened will do, too.
        """
        opened = open_source(source, color=color, private=private, cut=cut)
        single = opened.kind == "picture"
        found = Readings(labels=self.labels)
        for result in (self.read(one.load()) for one in opened) if single else self.stream(opened):
            if strict:
                require_face(result.readings)
            found += result.readings
        return Readings((r for r in found if r.face), labels=self.labels) if single else found

    def stream(
        self,
        source: Any,
        *,
        color: Color = "rgb",
        private: bool = False,
        cut: Cut | None = None,
        pixels: bool = False,
        tracker: Tracker | None = None,
    ) -> Iterator[Result]:
        """Yield the readings of each picture or frame, in order and in constant memory.

        Faces of a film get ids and smoothed scores; each of several films begins anew. `tracker` is
        that of the film whose `index` it knows (None: a single one), a new one by default. With
        `pixels`, each picture comes along as (H, W, 3) uint8 RGB.
        """
        opened = open_source(source, color=color, private=private, cut=cut)
        if self.identify and opened.live:
            raise InputError("identify is for films, not for cameras; leave it out")
        tracker = tracker or self.tracker()
        for result in self._results(opened, pixels):
            if result.time_s is not None and result.index != tracker.film:
                tracker = self.tracker(result.index)
            result = track(result, tracker)
            if result.readings:  # else it is done
                yield result

    def tracker(self, film: int | None = None) -> Tracker:
        """What gives the faces of one film their ids; `film` is its place among several."""
        looks = self._open()[2]
        return Tracker(film) if looks is None else People(looks, film)

    def _results(self, source: Source, pixels: bool) -> Iterator[Result]:
        # Each frame of a camera is read at once, none kept back for a batch.
        most = 1 if source.live else BATCH_WITH_PIXELS if pixels else BATCH
        found = self._found(source, pixels)
        for batch in batches(found, lambda f: len(f.faces), most_items=most):
            yield from self.answer(batch)

    def _found(self, source: Source, pixels: bool) -> Iterator[Detections]:
        """The faces of all pictures in order; those of each film are followed."""
        find = self.find if pixels else self._find_alone
        for film, items in itertools.groupby(primed(source), _film_of):
            if film is None and not source.live:
                found = partial(in_order, find=find, workers=self.threads)
            else:
                found = partial(self._film, find=find, live=source.live)
            yield from found(items)

    def _film(
        self, items: Iterator[Item], find: Callable[..., Detections], live: bool
    ) -> Iterator[Detections]:
        """Frames are compared as they are decoded; faces are found one frame after the other where
        they are followed, else in several at once."""
        frames = Shots().mark(items)
        follower, memory = self.follower(), self.memory()

        def seen(frame: Item, follower: Follower | None = None) -> Detections:
            return dataclasses.replace(find(frame, follower), memory=memory)

        if live:
            return repeated(seen(frame, follower) for frame in frames)
        if follower is None:
            return repeated(in_order(frames, seen, self.threads))
        return ahead(repeated(seen(frame, follower) for frame in frames))

    def _find_alone(self, item: Item, follower: Follower | None = None) -> Detections:
        """Without the pixels: they are what takes memory."""
        return dataclasses.replace(self.find(item, follower), pixels=None)

    def follower(self) -> Follower | None:
        """What follows the faces of one film or camera, for `find`; None if every frame is
        searched."""
        detector = self.detector
        if self.every_frame or not isinstance(detector, FollowingDetector):
            return None
        return Follower(detector)

    def memory(self) -> Memory | None:
        """What remembers the faces of one film or camera, for `Detections`; None for a network of
        images."""
        return Memory(self.card.state.rate) if self.card.state else None

    def read(self, frame: Frame) -> Result:
        """The readings of one frame; without a face, one with that status."""
        return self.answer([self.find(frame)])[0]

    def classify(self, crops: Sequence[NDArray[np.uint8]]) -> list[Scores]:
        """Scores of ready-made face crops, (H, W) grey or (H, W, 3) RGB uint8."""
        if len(crops) == 0:
            return []
        return self._scores(self.card.preprocess.resize(crops))

    def find(self, item: Item, follower: Follower | None = None) -> Detections:
        """Faces and crops of a picture, for `answer`; an unreadable one has its error.

        The `follower` is that of the film, whose frames come in order.
        """
        try:
            frame = item.load()
        except MienError as error:
            frame = Frame(item.name, None, error=str(error), index=item.index)
        where = (frame.path, frame.frame, frame.time_s)
        found = Detections(
            *where,
            frame.error,
            pixels=frame.pixels,
            index=frame.index,
            new_shot=frame.new_shot,
            done=frame.done,
        )
        if frame.pixels is None:
            return found
        seen = self._faces(frame, frame.pixels, follower)
        if seen is None:
            return dataclasses.replace(found, repeats=True)
        faces, crops = seen
        small, asked = [scale(grey(crop), SIDE_PX) for crop in crops], self.card.preprocess
        same = asked.source_px == SIDE_PX and not asked.color  # what both begin with is made once
        inputs = [*asked.resize(small if same else crops)]
        found = dataclasses.replace(found, faces=faces, crops=Crops(inputs, small))
        if self.identify and frame.time_s is not None:
            found.portraits = [
                portrait(frame.pixels, face) if look.clear else None
                for face, look in zip(faces, look_at(small), strict=True)
            ]
        return found

    def _faces(
        self, frame: Frame, pixels: NDArray[np.uint8], follower: Follower | None
    ) -> tuple[list[Face], list[NDArray[np.uint8]]] | None:
        """Faces and crops; None where they are those of the frame before."""
        if follower is None or frame.time_s is None:
            photo = frame.time_s is None
            if frame.repeats:
                return None
            return find_faces(pixels, self.detector, align=self.align, photo=photo)
        before = follower.faces
        faces = follower.find(pixels, frame.time_s, changed=frame.changed, repeats=frame.repeats)
        if frame.repeats and faces is before:
            return None
        return framed(pixels, faces, self.detector, align=self.align)

    def answer(self, batch: list[Detections]) -> list[Result]:
        """The readings of a batch of pictures, whose faces share one run of the network; frames of
        which there is a memory are read one after the other."""
        asked = {
            id(found.crops): found.crops
            for found in batch
            if not found.done and found.memory is None
        }
        fresh = [crops for crops in asked.values() if crops.told is None]
        inputs = [face for crops in fresh for face in crops.inputs]
        looks = look_at([face for crops in fresh for face in crops.small])
        told = zip(self._scores(np.stack(inputs)) if inputs else (), looks, strict=True)
        for crops in fresh:
            crops.told = [*itertools.islice(told, len(crops.inputs))]
        return [self._result(found) for found in batch]

    def _told(self, found: Detections) -> Sequence[tuple[Scores, Look]]:
        """Scores and look of each face; the scores by what is remembered of it, if anything is."""
        if found.memory is None:
            return found.crops.told or ()
        scores = self._as_scores(found.memory.scores(self._open()[0], found))
        return [*zip(scores, look_at(found.crops.small), strict=True)]

    def _result(self, found: Detections) -> Result:
        place = (found.path, found.frame, found.time_s)
        if found.done:
            return Result(*place, Readings(), None, found.index, found.new_shot)
        where: dict[str, Any] = {"path": found.path, "index": found.index}
        where |= {"time_s": found.time_s, "frame": found.frame}
        readings = Readings(labels=self.labels)
        for face, (score, look) in zip(found.faces, self._told(found), strict=True):
            status = status_of(face, look, score, self.card.unsure_below, aligned=self.align)
            readings.append(Reading(face, score, status, **where))
        if not readings:
            status = "no_face" if found.error is None else "unreadable"
            readings.append(Reading(None, None, status, error=found.error, **where))
        told = Result(*place, readings, found.pixels, found.index, found.new_shot)
        told.portraits, told.unread = found.portraits, found.unread
        return told

    def _scores(self, images: NDArray[np.uint8]) -> list[Scores]:
        return [*self._as_scores(self._open()[0].scores(images))]

    def _as_scores(self, rows: NDArray[np.float64]) -> Iterator[Scores]:
        return (Scores(self.labels, tuple(float(v) for v in row)) for row in rows)


def _film_of(item: Item) -> tuple[str | None, int | None] | None:
    """Which film an item is a frame of; None for a photo."""
    is_frame = isinstance(item, Frame) and item.time_s is not None
    return (item.name, item.index) if is_frame else None


def require_face(readings: Readings) -> None:
    """Raise NoFace or PictureError for the readings of a picture that has no face."""
    first = readings[0]
    if first.error is not None:
        raise PictureError(first.error)
    if first.face is None:
        where = f" in {first.path}" if first.path else ""
        raise NoFace(f"no face found{where}; for ready-made face crops use detector='none'")


def track(result: Result, tracker: Tracker) -> Result:
    """The same with face ids and smoothed scores, for frames in the order of time."""
    if result.time_s is None:
        return result
    if result.new_shot:
        tracker.cut(result.time_s)
    if not result.readings:
        return result
    faces = [r.face for r in result.readings if r.face]
    scores = [r.scores for r in result.readings if r.scores]
    tracks = tracker.update(result.time_s, faces, scores, result.portraits)
    if not faces:
        return result
    readings = Readings(
        dataclasses.replace(reading, face_id=face_id, smoothed=smoothed)
        for reading, (face_id, smoothed) in zip(result.readings, tracks, strict=True)
    )
    return dataclasses.replace(result, readings=readings, portraits=())
