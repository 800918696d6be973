"""What goes in and out, as JSON; the answers are `mien.types` in another dress."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from mien.card import Measured
from mien.serve.jobs import Job, Jobs
from mien.stream import Result
from mien.types import Box, Reading, Status

_ANSWER: JsonDict = {
    "model": "mien-m-int8",
    "pictures": [
        {
            "name": "me.jpg",
            "readings": [
                {
                    "box": {"x": 178, "y": 63, "width": 90, "height": 113},
                    "score": 0.93,
                    "label": "happy",
                    "confidence": 0.92,
                    "expressions": {"happy": 0.92, "neutral": 0.06, "angry": 0.02},
                    "status": "ok",
                    "face_id": None,
                    "smoothed": None,
                }
            ],
            "error": None,
        }
    ],
}
_JOB: JsonDict = {
    "id": "3q0sZcWnqk1cY5mJ0m7b3A",
    "state": "done",
    "frames": 250,
    "total": 250,
    "error": None,
    "files": ["overlay.mp4", "segments.csv", "table.csv", "table.jsonl"],
    "expires_in_s": 3594.2,
}
_MODEL: JsonDict = {
    "name": "mien-m-int8",
    "digest": "3a92980f849519088827daef1e96e3306be1a7d606ed092059ac2c50b0e22665",
    "labels": ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"],
    "licence": "Apache-2.0",
    "parameters": 2723775,
    "views": "plain",
    "unsure_below": 0.4747,
    "measured": [
        {
            "data": "fer2013.zip",
            "split": "public",
            "images": 3589,
            "digest": "d5d65b228b7834b82dc6a44522d48c6944d9c9ff0ed0abb18d3972473d623b8e",
            "accuracy": 0.6952,
            "low": 0.6801,
            "high": 0.7102,
        }
    ],
}


class PictureIn(BaseModel):
    """A picture: its base64 text, or its address where the service allows that."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, max_length=200, description="Comes back with the answer.")
    base64: str | None = Field(None, description="PNG, JPEG, WebP or BMP; a data: URL will do.")
    url: str | None = Field(None, max_length=2000)


class PicturesIn(BaseModel):
    """Pictures."""

    model_config = ConfigDict(extra="forbid")

    pictures: list[PictureIn] = Field(min_length=1, fail_fast=True)


class ReadingOut(BaseModel):
    """A face and the expression it shows."""

    box: Box
    score: float | None = Field(description="The detector's, 0-1.")
    label: str = Field(description="The most probable expression.")
    confidence: float = Field(description="Its probability.")
    expressions: dict[str, float] = Field(description="Probabilities; they sum to 1.")
    status: Status = Field(description="ok, or why to be careful: small, blurred, unsure.")
    face_id: int | None = Field(None, description="Of streams: the same face, the same number.")
    smoothed: dict[str, float] | None = Field(
        None, description="Of streams: probabilities averaged over the last moments."
    )


class PictureOut(BaseModel):
    """The faces of a picture, the largest first; none is an empty list."""

    name: str
    readings: list[ReadingOut]
    error: str | None = Field(None, description="Why it could not be read.")


class Answer(BaseModel):
    """A picture each, in the order they came."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ANSWER]})

    model: str
    pictures: list[PictureOut]


class ModelOut(BaseModel):
    """A bundle that this service reads with."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [_MODEL]})

    name: str
    digest: str = Field(description="SHA-256 of its network.")
    labels: list[str]
    licence: str
    parameters: int
    views: str
    unsure_below: float
    measured: list[Measured]


class VersionOut(BaseModel):
    """What answers here."""

    mien: str
    model: str
    digest: str
    detector: str


class Health(BaseModel):
    """Alive, or ready."""

    status: Literal["ok"] = "ok"


class JobOut(BaseModel):
    """A video and how far it has been read."""

    model_config = ConfigDict(json_schema_extra={"examples": [_JOB]})

    id: str
    state: Literal["waiting", "running", "done", "failed"]
    frames: int = Field(description="Read so far.")
    total: int | None = Field(description="Frames in all, where the file tells.")
    error: str | None = None
    files: list[str] = Field(description="What can be fetched under /v1/videos/{id}/.")
    expires_in_s: float | None = Field(description="Until its files are deleted.")


def picture_out(result: Result) -> PictureOut:
    """A picture's answer."""
    found = [_reading_out(r) for r in result.readings if r.face is not None]
    return PictureOut(name=result.path or "", readings=found, error=result.readings[0].error)


def _reading_out(reading: Reading) -> ReadingOut:
    """A reading that has a face."""
    return ReadingOut.model_validate(
        reading.to_dict() | {"score": reading.face and reading.face.score}
    )


def job_out(jobs: Jobs, job: Job) -> JobOut:
    """How far a job is, and what it has to be fetched."""
    return JobOut(
        id=job.id,
        state=job.state,
        frames=job.frames,
        total=job.total,
        error=job.error,
        files=jobs.files(job),
        expires_in_s=jobs.expires_in_s(job),
    )
