"""A process that reads one job's video; `python -m mien.serve.worker VIDEO`.

Its answer lies in the folder `done` beside it, whole or not at all. Progress goes out as lines of
JSON, and what the video lacks as the last one. With `--check`, it only tells whether the video
would be read.
"""

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path

from mien.analyse import Outputs, analyse
from mien.errors import MienError, PictureError
from mien.files import replacing_folder
from mien.recognizer import Recognizer
from mien.serve.jobs import REFUSED
from mien.sources import Cut, open_source
from mien.sources.animation import Animation
from mien.sources.films import animated
from mien.sources.video import Video
from mien.stream import Result

TABLE, LINES, OVERLAY = "table.csv", "table.jsonl", "overlay.mp4"
SEGMENTS, SUMMARY, TIMELINE = "segments.csv", "summary.csv", "timeline.html"


def check(video: Path, *, seconds: float, pixels: int) -> None:
    """PictureError for what is no video, is too long or has too many pixels a frame."""
    name = "the file"  # the path is private
    if (moving := animated(video)) is not None:
        Animation(moving, name, most_pixels=pixels)
        return
    length_s = Video(str(video), name=name, most_pixels=pixels).duration_s
    if length_s is not None and length_s > seconds:
        raise PictureError(f"{name} lasts {length_s:.0f} s; expected at most {seconds:g}")


def read(video: Path, recognizer: Recognizer, *, seconds: float, pixels: int, blur: bool) -> None:
    """Read `video` into the folder `done` beside it; its tables know it by its name alone."""
    done, total = 0, None
    errors: list[str] = []

    def tell(value: object) -> None:
        sys.stdout.write(f"{json.dumps(value)}\n")
        sys.stdout.flush()

    def begin(frames: int | None) -> None:
        nonlocal total
        total = frames
        tell([done, total])

    def advance(result: Result) -> None:
        nonlocal done
        failures = [reading.error for reading in result.readings if reading.error]
        errors.extend(failures)
        if errors and not done:
            raise PictureError(errors[0])
        done += not failures
        tell([done, total])

    with contextlib.chdir(video.parent), replacing_folder(video.parent / "done") as out:
        outputs = Outputs(
            (out / TABLE, out / LINES),
            video=out / OVERLAY,
            plot=out / TIMELINE,
            segments=out / SEGMENTS,
            summary=out / SUMMARY,
            blur=blur,
        )
        source = open_source(video.name, cut=Cut(end_s=seconds), most_pixels=pixels)
        summary = analyse(recognizer, source, outputs, begin=begin, show=advance)
    if errors or summary.warnings:
        tell({"warnings": [*errors, *summary.warnings]})


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--detector", required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--pixels", type=int, required=True)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--blur", action=argparse.BooleanOptionalAction, default=False)
    given = parser.parse_args()
    video = given.video.resolve()
    try:
        if given.check:
            check(video, seconds=given.seconds, pixels=given.pixels)
            return
        if hasattr(os, "nice"):
            os.nice(5)  # somebody waits for a picture's answer
        chosen = {name: getattr(given, name) for name in ("detector", "device", "threads")}
        recognizer = Recognizer(given.model, **chosen)
        read(video, recognizer, seconds=given.seconds, pixels=given.pixels, blur=given.blur)
    except MienError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
