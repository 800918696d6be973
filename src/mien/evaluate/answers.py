"""What a network answers to a split: to its images, or to its clips, frame after frame."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mien.bundle import Classifier
from mien.data import Clips, Split, seen
from mien.errors import NotComparable
from mien.framing import Framing

_BATCH = 128
_CLIPS = 32

Progress = Callable[[int], None]


def answers(
    classifier: Classifier,
    split: Split,
    progress: Progress | None = None,
    framing: Framing | None = None,
) -> NDArray[np.float64]:
    """(N, classes) probabilities of each image or clip, framed by an (N, 4) `framing`.

    `progress` is told how many are done of each batch. Raises NotComparable for clips where the
    network reads images, and the other way round.
    """
    state, of_clips = classifier.card.state, isinstance(split, Clips)
    if of_clips != (state is not None):
        raise NotComparable(
            f"{classifier.card.name} reads {'images' if of_clips else 'clips'}, and the data is of "
            f"{'clips' if of_clips else 'images'}"
        )
    split = seen(split, state.frames if state else None)
    found, size = [], _CLIPS if of_clips else _BATCH
    for start in range(0, len(split), size):
        rows = np.arange(start, min(start + size, len(split)))
        part = split.take(rows)
        part = part if framing is None else part.framed(framing[rows])
        found.append(_read(classifier, part))
        if progress:
            progress(len(rows))
    return np.concatenate(found)


def _read(classifier: Classifier, part: Split) -> NDArray[np.float64]:
    """Of a batch."""
    if not isinstance(part, Clips):
        return classifier.probabilities(part.images)
    frames, lengths = part.frames(np.arange(len(part)))
    faces, starts = classifier.card.preprocess.resize(frames), np.cumsum(lengths) - lengths
    scores, state = np.zeros((len(part), len(classifier.card.labels))), classifier.begin(len(part))
    for number in range(lengths.max()):
        rows = np.flatnonzero(lengths > number)
        scores[rows], after = classifier.next_scores(
            faces[starts[rows] + number], [tensor[rows] for tensor in state]
        )
        for tensor, new in zip(state, after, strict=True):
            tensor[rows] = new
    return scores
