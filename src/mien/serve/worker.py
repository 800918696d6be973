"""A process that reads one job's video; `python -m mien.serve.worker VIDEO`.

Its answer lies in the folder `done` beside it, whole or not at all. Progress goes
out as lines of JSON.
"""

import argparse
import json
import sys
from pathlib import Path

from mien.analyse import Outputs, analyse
from mien.errors import MienError
from mien.files import replacing_folder
from mien.recognizer import Recognizer
from mien.sources import Cut

TABLE, LINES, OVERLAY, SEGMENTS = "table.csv", "table.jsonl", "overlay.mp4", "segments.csv"


def read(video: Path, model: str, detector: str, *, seconds: float, blur: bool) -> None:
    """Read `video` into the folder `done` beside it."""
    done, total = 0, None

    def tell(frames: int = 0) -> None:
        nonlocal done
        done += frames
        sys.stdout.write(f"{json.dumps([done, total])}\n")
        sys.stdout.flush()

    def begin(frames: int | None) -> None:
        nonlocal total
        total = frames
        tell()

    with replacing_folder(video.parent / "done") as out:
        outputs = Outputs(
            (out / TABLE, out / LINES), video=out / OVERLAY, segments=out / SEGMENTS, blur=blur
        )
        analyse(
            Recognizer(model, detector=detector),
            str(video),
            outputs,
            cut=Cut(end_s=seconds),
            begin=begin,
            advance=tell,
        )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--detector", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--blur", action=argparse.BooleanOptionalAction, default=False)
    given = parser.parse_args()
    try:
        read(given.video, given.model, given.detector, seconds=given.seconds, blur=given.blur)
    except MienError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
