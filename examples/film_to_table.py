"""Read a film: a table with a row per face and frame, and a summary per person.

    python examples/film_to_table.py clip.mp4

Without a film it makes clip.mp4 first: two copies of the portrait that comes with mien, four
seconds; the one on the left leaves after two. Needs pandas: pip install '.[report]'.
"""

import sys
from fractions import Fraction

import av
import cv2
import numpy as np

import mien
from mien.demo import PORTRAIT


def draw_film(path: str) -> None:
    """Write 100 frames of 640 x 360 pixels, 25 a second."""
    portrait = cv2.cvtColor(cv2.imread(str(PORTRAIT)), cv2.COLOR_BGR2RGB)[:300, 120:340]
    with av.open(path, "w") as film:
        stream = film.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for number in range(100):
            frame = np.full((360, 640, 3), 100, np.uint8)
            drift = int(20 * np.sin(number / 15))
            frame[30:330, 380 + drift : 600 + drift] = portrait[:, ::-1]
            if number < 50:
                frame[30:330, 50 + drift : 270 + drift] = portrait
            film.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        film.mux(stream.encode())


film = sys.argv[1] if len(sys.argv) > 1 else "clip.mp4"
if len(sys.argv) == 1:
    draw_film(film)

readings = mien.Recognizer().recognize(film)
readings.to_pandas().to_csv("table.csv", index=False)

summary = readings.summary().to_pandas()
faces = summary[summary.kind == "face"].set_index("face_id")
means = faces[[f"mean_{label}" for label in readings.labels]].round(3)
print(
    faces[["seconds"]]
    .join(means.rename(columns=lambda name: name.removeprefix("mean_")))
    .to_string()
)
print(f"saved: table.csv ({len(readings)} rows)")
