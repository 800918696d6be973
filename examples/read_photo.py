"""Read a photo: print the expression of each face, and save a picture with boxes and bars.

    python examples/read_photo.py photo.jpg

Without a photo it reads the portrait that comes with mien.
"""

import sys
from pathlib import Path

import mien
from mien.demo import PORTRAIT
from mien.output import draw, save_picture
from mien.sources import load

photo = load(sys.argv[1] if len(sys.argv) > 1 else PORTRAIT)  # (H, W, 3) uint8, RGB
readings = mien.Recognizer().recognize(photo)

for reading in readings:
    print(reading.label, f"{reading.confidence:.2f}", reading.status, reading.face.box)

save_picture(Path("drawn.png"), draw(photo, readings))
print("saved: drawn.png")
