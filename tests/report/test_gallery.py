from typing import Any

import numpy as np
import pytest

from mien.report import gallery as showing
from mien.report.gallery import gallery
from tests.fakes import an_evaluation

LABELS = ("yes", "no")


def shown(panel: Any) -> tuple[int, str] | None:
    """The tone of the picture in a place, and what stands below it."""
    pictures = panel.get_images()
    return (int(pictures[0].get_array()[0, 0]), panel.get_xlabel()) if pictures else None


def test_the_surest_right_and_wrong_answers_of_each_class(monkeypatch: pytest.MonkeyPatch):
    """Nine pictures of the first class, eight of them right, the surer the darker; one of the
    second, which is wrong."""
    monkeypatch.setattr(showing, "png", lambda figure: figure)
    sure = np.array([0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.4, 0.97])
    truth = np.array([0] * 9 + [1])
    found = an_evaluation(truth, np.stack([sure, 1 - sure], 1), labels=LABELS)
    images = (200 - 100 * sure).astype(np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    panels = np.array(gallery(found, images).axes).reshape(2, 13)
    tones = [int(image[0, 0]) for image in images]
    assert [shown(panel) for panel in panels[0, :6]] == [
        *((tones[7], "90 %"), (tones[6], "85 %"), (tones[5], "80 %")),
        *((tones[4], "75 %"), (tones[3], "70 %"), (tones[2], "65 %")),
    ]
    assert [shown(panel) for panel in panels[0, 6:]] == [
        *(None, (tones[8], "no 60 %"), None, None, None, None, None)
    ]
    assert [shown(panel) for panel in panels[1]] == [
        *([None] * 7),
        (tones[9], "yes 97 %"),
        *([None] * 5),
    ]
    assert [row[0].get_ylabel() for row in panels] == ["yes", "no"]
    assert panels[0, 0].get_title("left") == "right, the surest first"
    assert panels[0, 7].get_title("left") == "wrong, the surest first"
    assert panels[0, 0].get_images()[0].get_clim() == (0, 255), "every picture on one scale"
    assert not panels[0, 0].get_xticks().size
