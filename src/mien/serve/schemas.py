"""What goes in and out, as JSON; `examples.json` has an example of each answer."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mien.card import Measured
from mien.serve.jobs import Job, Jobs
from mien.stream import Result
from mien.types import Box, Reading, Status


class PictureIn(BaseModel):
    """A picture: its base64 text, or its address where the service allows that."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, max_length=200, description="Comes back with the answer.")
    base64: str | None = Field(None, description="A picture; a data: URL will do.")
    url: str | None = Field(None, max_length=2000)


class PicturesIn(BaseModel):
    """Pictures."""

    model_config = ConfigDict(extra="forbid")

    pictures: list[PictureIn] = Field(min_length=1, fail_fast=True)


class PicturesForm(BaseModel):
    """Pictures as files of a form."""

    pictures: list[bytes] = Field(min_length=1)


class ReadingOut(BaseModel):
    """A face and the expression it shows."""

    box: Box
    score: float | None = Field(description="The detector's, 0-1.")
    label: str = Field(description="The most probable expression.")
    confidence: float = Field(description="Its probability.")
    expressions: dict[str, float] = Field(description="Probabilities; they sum to 1.")
    status: Status = Field(description="ok, or why to be careful.")
    face_id: int | None = Field(None, description="Of streams: a number of the face, from 1.")
    smoothed: dict[str, float] | None = Field(
        None, description="Of streams: probabilities averaged over the last moments."
    )


class PictureOut(BaseModel):
    """The faces of a picture, the largest first; none is an empty list."""

    name: str
    readings: list[ReadingOut]
    unread: list[Box] = Field([], description="More faces, beyond the limit of a picture.")
    error: str | None = Field(None, description="Why it could not be read.")


class Answer(BaseModel):
    """One entry for each picture, in the order of the request."""

    model: str
    pictures: list[PictureOut]


class ModelOut(BaseModel):
    """A model of this service."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    digest: str = Field(description="SHA-256 of its network.")
    labels: list[str]
    licence: str
    parameters: int
    views: str
    unsure_below: float
    measured: list[Measured]


class VersionOut(BaseModel):
    """Versions of the service and its model."""

    mien: str
    model: str
    digest: str
    detector: str


class Health(BaseModel):
    """The service is alive, or ready."""

    status: Literal["ok"] = "ok"


class JobOut(BaseModel):
    """A video and how far it has been read."""

    id: str
    state: Literal["waiting", "running", "done", "failed"]
    frames: int = Field(description="Read so far.")
    total: int | None = Field(description="Frames in all, where the file tells.")
    error: str | None = None
    warnings: list[str] = Field(
        [], description="What the video lacks: damage that was passed over, where it breaks off."
    )
    files: list[str] = Field(description="What can be fetched under /v1/videos/{id}/.")
    expires_in_s: float | None = Field(description="Until its files are deleted.")


def picture_out(result: Result) -> PictureOut:
    """A picture's answer."""
    found = [_reading_out(r) for r in result.readings if r.face is not None]
    error, unread = result.readings[0].error, [*result.unread]
    return PictureOut(name=result.path or "", readings=found, unread=unread, error=error)


def _reading_out(reading: Reading) -> ReadingOut:
    """A reading that has a face."""
    return ReadingOut.model_validate(
        reading.to_dict() | {"score": reading.face and reading.face.score}
    )


def job_out(jobs: Jobs, job: Job) -> JobOut:
    """The state of a job and its files."""
    return JobOut(
        id=job.id,
        state=job.state,
        frames=job.frames,
        total=job.total,
        error=job.error,
        warnings=list(job.warnings),
        files=jobs.files(job),
        expires_in_s=jobs.expires_in_s(job),
    )
