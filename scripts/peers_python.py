"""What a Python package makes of crops or of a film; `scripts/peers.py` calls it, with the Python
of the package's own environment: nothing of mien is imported but by mien.

    python scripts/peers_python.py PEER crops|film INPUT OUTPUT

INPUT is (N, 48, 48) uint8 as .npy, or a film; OUTPUT is JSON.
"""

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
WARM = 3
NAMES = {"anger": "angry", "sadness": "sad", "surprised": "surprise", "happiness": "happy"}


def frames(path: str) -> Iterator:
    """(H, W, 3) uint8 BGR, as OpenCV gives them."""
    import cv2

    film = cv2.VideoCapture(path)
    while (read := film.read())[0]:
        yield read[1]


def mien(model: str) -> tuple[Callable, Callable]:
    """Both as a user has them: the film's faces are followed."""
    from mien import Recognizer
    from mien.bundle import Classifier, open_bundle

    reader = Recognizer(model, threads=1)
    network = Classifier(open_bundle(model), 1, "cpu", "plain")

    def film(path: str) -> Iterator[int]:
        for result in reader.stream(path):
            yield sum(reading.face is not None for reading in result.readings)

    return film, lambda crop: network.card.labels[
        int(network.probabilities(crop[None])[0].argmax())
    ]


def fer() -> tuple[Callable, Callable]:
    """Its defaults; a crop is taken as it is, without the ten pixels that it adds to a box."""
    import cv2
    from fer.fer import FER

    reader, plain = FER(), FER(offsets=(0, 0))

    def crop(picture) -> str:
        colours = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
        side = picture.shape[0]
        (face,) = plain.detect_emotions(colours, face_rectangles=[(0, 0, side, side)])
        return max(face["emotions"], key=face["emotions"].get)

    return each(lambda frame: len(reader.detect_emotions(frame))), crop


def facex() -> tuple[Callable, Callable]:
    """Its classifier."""
    from facex import PoolManager

    reader = PoolManager(1).get_classifier()

    def crop(picture) -> str:
        answer = reader.detect_emotion(picture)
        return max(answer, key=answer.get)

    return each(lambda frame: len(reader.predict(frame))), crop


def mediapipe(what: str) -> tuple[Callable, None]:
    """Faces alone: it knows no expressions. The mesh is followed from frame to frame."""
    import cv2
    from mediapipe.python import solutions

    if what == "mesh":
        network, found = solutions.face_mesh.FaceMesh(max_num_faces=4), "multi_face_landmarks"
    else:
        network = solutions.face_detection.FaceDetection(model_selection=1)
        found = "detections"

    def count(frame) -> int:
        answer = network.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        return len(getattr(answer, found) or ())

    return each(count), None


def each(count: Callable) -> Callable:
    """The faces of each frame of a film."""
    return lambda path: map(count, frames(path))


PEERS = {
    "mien-m-int8": lambda: mien("mien-m-int8"),
    "mien-s": lambda: mien("mien-s"),
    "fer": fer,
    "facex": facex,
    "mediapipe-mesh": lambda: mediapipe("mesh"),
    "mediapipe-detection": lambda: mediapipe("detection"),
}


def main() -> None:
    peer, task, given, output = sys.argv[1:]
    film, crop = PEERS[peer]()
    if task == "film":
        all(itertools.islice(film(given), WARM))
        answers, spent, wall = timed(film(given))
    else:
        import numpy as np

        crops = np.load(given)
        list(map(crop, crops[:WARM]))
        answers, spent, wall = timed(map(crop, crops))
        answers = [NAMES.get(label, label) for label in answers]
    with open(output, "w") as file:  # noqa: PTH123  (old Pythons, too)
        json.dump({"answers": answers, "processor_s": spent, "wall_s": wall}, file)


def timed(work: Iterator) -> tuple[list, float, float]:
    """What comes, the processor time of the process, and the time on the clock."""
    spent, wall = time.process_time(), time.perf_counter()
    return list(work), time.process_time() - spent, time.perf_counter() - wall


if __name__ == "__main__":
    main()
