from pathlib import Path

from PIL import Image

import mien
from mien.demo import PORTRAIT


def test_the_portrait_lies_in_the_package():
    assert Path(mien.__file__).parent / "assets" / "astronaut.jpg" == PORTRAIT
    with Image.open(PORTRAIT) as portrait:
        assert (portrait.format, portrait.mode, portrait.size) == ("JPEG", "RGB", (512, 512))
