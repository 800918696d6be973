import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

import mien
from mien.demo import PORTRAIT


def test_the_portrait_lies_in_the_package():
    assert Path(mien.__file__).parent / "assets" / "astronaut.jpg" == PORTRAIT
    with Image.open(PORTRAIT) as portrait:
        assert (portrait.format, portrait.mode, portrait.size) == ("JPEG", "RGB", (512, 512))


def test_nothing_is_told_to_others_nor_left_in_the_home_folder(tmp_path):
    """ONNX Runtime would number the machine there, to send with what it counts."""
    ours = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MIEN_HOME": str(tmp_path / "mien")}
    code = "import mien, mien.demo; print(mien.recognize(mien.demo.PORTRAIT)[0].label)"
    done = subprocess.run([sys.executable, "-c", code], env=ours, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("happy", "")
    assert [path for path in tmp_path.rglob("*") if tmp_path / "mien" not in path.parents] == []
