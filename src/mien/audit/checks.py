"""The checks, as a table: a code, a severity, what it says, why it matters and what to do."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

Severity = Literal["error", "warning", "hint"]

_ALIKE = (
    "Score: correlation of the details with the most similar other picture, 1 for the same pixels."
)
TRAIN = "train"
"""The split that is trained on: what lies in another as well is a leak."""


class Check(Enum):
    """One kind of fault. Training pictures with an `error` go into exclude.csv,
    those with another label `proposed` into relabel.csv."""

    def __init__(self, code: str, severity: Severity, title: str, why: str, fix: str) -> None:
        self.code, self.severity = code, severity
        self.title, self.why, self.fix = title, why, fix

    UNREADABLE = (
        "MD101",
        "error",
        "Files that are no readable picture",
        "Other files, truncated pictures, and files outside of a class folder. Training refuses a "
        "data set with such files.",
        "replace the file, or move it out of the data set",
    )
    BLANK = (
        "MD201",
        "error",
        "Blank pictures",
        "The standard deviation of the grey levels (score) is below 5 of 255.",
        "leave it out of training",
    )
    FLAT = (
        "MD202",
        "error",
        "Pictures of mostly one grey",
        "Placeholders and error messages: at least 70 % (score) of the pixels lie within 8 of 256 "
        "grey levels.",
        "leave it out of training",
    )
    NO_FACE = (
        "MD203",
        "warning",
        "No face, by FER+",
        "FER+ dropped the picture, or at least half of its voters (score) saw no face. It dropped "
        "placeholders, but also turned and cropped faces.",
        "look at it; leave it out of training if there is no face",
    )
    LEAK = (
        "MD301",
        "error",
        "Training pictures in a test split, pixel for pixel",
        "The model was trained on them, so its test accuracy is too high. The test split stays as "
        "published, so that figures remain comparable.",
        "leave the training copies out",
    )
    NEAR_LEAK = (
        "MD302",
        "error",
        "Training pictures in a test split, altered",
        "The same photo, shifted, scaled, mirrored, re-compressed, brightened or overprinted. "
        + _ALIKE,
        "leave the training copies out",
    )
    CONFLICT = (
        "MD303",
        "error",
        "The same pixels with different labels",
        "At most one label can be right; no model can learn both.",
        "leave the training pictures out, or set one label",
    )
    NEAR_CONFLICT = (
        "MD304",
        "error",
        "The same photo, altered, with different labels",
        "At most one label can be right. " + _ALIKE,
        "leave the training pictures out, or set one label",
    )
    REPEATED = (
        "MD305",
        "warning",
        "The same pixels more than once in a split",
        "They count more than once, and a validation split made of them would leak.",
        "keep one of each: list the others in the exclude table (data.exclude)",
    )
    NEAR_REPEATED = (
        "MD306",
        "hint",
        "The same photo, altered, more than once in a split",
        "They do little harm in training; a validation split would leak. " + _ALIKE,
        "keep each group in one part when you divide a split",
    )
    SHARED = (
        "MD307",
        "warning",
        "The same photo in two test splits",
        "A model that was selected on one split has seen part of the other. " + _ALIKE,
        "report the accuracy without them, too",
    )
    SUSPECT = (
        "MD401",
        "warning",
        "Suspected label errors",
        "Confident learning (Northcutt et al. 2021, arXiv:1911.00068): the model says another "
        "class with more confidence than it usually has in that class. Score: probability of the "
        "label less that of the best other class; the worst come first.",
        "look at it; correct the label if it is wrong",
    )
    OUTVOTED = (
        "MD402",
        "warning",
        "Labels against a clear vote of FER+",
        "At least 80 % (score) of the FER+ voters chose one other class.",
        "look at it; correct the label, or train with the votes",
    )
    UNCLEAR = (
        "MD403",
        "hint",
        "Voters of FER+ disagree",
        "Two classes share the first place, or `unknown` won. Score: the winner's share.",
        "train with the votes instead of one label",
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """One picture with a fault; `row` is its place in the pool, None where it has no pixels.

    `group` counts the groups of copies of a check from 1; the meaning of `score` is the check's.
    """

    check: Check
    name: str
    detail: str
    split: str = ""
    label: str = ""
    score: float | None = None
    group: int | None = None
    row: int | None = None
    proposed: str = ""
    """The label that it should have, by this check."""
