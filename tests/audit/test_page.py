"""Which pictures an audit's page shows, in which order, and its tables beside it."""

import base64
import csv
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("jinja2")

from mien.audit.checks import Check, Finding
from mien.audit.page import summary, write_audit
from mien.audit.pool import pool
from mien.audit.run import Audit
from mien.data import Dataset, Split

SEEN = 70


def split(name: str, first: int, side: int = 48) -> Split:
    """Pictures of one tone each, by which they are known again."""
    tones = np.arange(first, first + SEEN, dtype=np.uint8)
    names = np.array([f"{name}/{tone}" for tone in tones])
    images = tones[:, None, None].repeat(side, 1).repeat(side, 2)
    return Split(name, images, np.arange(SEEN) % 2, names)


POOL = pool(
    Dataset("<faces>", ("no", "yes"), {"train": split("train", 0), "public": split("public", 100)})
)


def audit(*findings: Finding, **more: object) -> Audit:
    return Audit(POOL, findings, tuple(Check), **more)


def shown(page: str) -> list[int]:
    """The tones of the pictures on a page."""
    found = re.findall(r'data:image/png;base64,([^"]+)"', page)
    files = (np.frombuffer(base64.b64decode(text), np.uint8) for text in found)
    return [int(cv2.imdecode(file, cv2.IMREAD_GRAYSCALE)[0, 0]) for file in files]


def group(number: int, score: float, *rows: int, check=Check.NEAR_LEAK) -> list[Finding]:
    return [POOL.finding(check, row, f"like {row}", score, number) for row in rows]


def test_the_groups_that_are_least_alike_come_first(tmp_path: Path) -> None:
    findings = [*group(1, 0.99, 0, 70), *group(2, 0.89, 1, 71), *group(3, 0.95, 2, 72)]
    page = write_audit(audit(*findings), tmp_path)[0].read_text()
    assert shown(page) == [1, 101, 2, 102, 0, 100]
    assert re.findall(r"<p>(group \d.*?)</p>", page) == ["group 2", "group 3", "group 1"]
    assert "<strong>6</strong> pictures in 3 groups." in page.replace("\n", " ").replace("  ", " ")


def test_of_a_large_group_one_of_each_kind_is_shown_before_a_second(tmp_path: Path) -> None:
    """Eight of train without a label, one with, one of public: the last two are not left out."""
    findings = group(1, 0.9, 0, 2, 4, 6, 8, 10, 12, 14, 15, 70)
    page = write_audit(audit(*findings), tmp_path)[0].read_text()
    assert shown(page) == [0, 15, 100, 2, 4, 6]
    assert "<p>group 1, 4 more</p>" in page


def test_at_most_24_groups_and_60_single_pictures_are_shown(tmp_path: Path) -> None:
    groups = [finding for n in range(30) for finding in group(n + 1, 0.9, n, 70 + n)]
    singles = [POOL.finding(Check.SUSPECT, row, f"doubt {row}", -0.5) for row in range(65)]
    page = write_audit(audit(*groups, *singles, joint=np.eye(2)), tmp_path)[0].read_text()
    assert shown(page) == [
        *(tone for n in range(24) for tone in (n, 100 + n)),
        *range(60),
    ]
    assert "30 groups; 24 are shown, the least alike first." in page
    assert "<strong>65</strong> pictures; the first 60 are shown." in page


def test_files_without_pixels_are_listed(tmp_path: Path) -> None:
    files = [Finding(Check.UNREADABLE, f"<{n}>.txt", f"no picture {n}") for n in range(62)]
    page = write_audit(audit(*files), tmp_path)[0].read_text()
    assert re.findall(r"<li><code>(.+?)</code>: (.+?)</li>", page) == [
        (f"&lt;{n}&gt;.txt", f"no picture {n}") for n in range(60)
    ]
    assert "<strong>62</strong> files; the first 60 are shown." in page
    assert shown(page) == []


def test_a_picture_has_its_split_label_and_reason(tmp_path: Path) -> None:
    finding = POOL.finding(Check.BLANK, 71, "nothing & more", 0.5)
    page = write_audit(audit(finding), tmp_path)[0].read_text()
    assert 'alt="public/101: nothing &amp; more"' in page
    assert "<figcaption>public · yes<br>nothing &amp; more</figcaption>" in page
    assert "<strong>1</strong> picture." in page
    assert "&lt;faces&gt;: an audit" in page
    assert "70 pictures in train, 70 pictures in public;" in page.replace("\n", " ")


@pytest.mark.parametrize(("side", "drawn"), [(96, 96), (97, 48)])
def test_large_pictures_are_made_small_for_the_page(tmp_path: Path, side: int, drawn: int) -> None:
    large = pool(Dataset("d", ("no", "yes"), {"train": split("train", 0, side)}))
    page = write_audit(replace(audit(large.finding(Check.BLANK, 3, "", 0)), pool=large), tmp_path)[
        0
    ].read_text()
    (uri,) = re.findall(r'"data:image/[^"]*base64,([^"]+)"', page)
    image = cv2.imdecode(np.frombuffer(base64.b64decode(uri), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image.shape == (drawn, drawn)
    assert image[0, 0] == 3


def test_tables_beside_the_page(tmp_path: Path) -> None:
    findings = [
        Finding(Check.UNREADABLE, "stray", "no folder"),
        *group(1, 0.98765, 0, 70, check=Check.LEAK),
        *group(2, 1, 1, 71, 72, check=Check.LEAK),
        POOL.finding(Check.SUSPECT, 4, "the model says yes", -0.25),
    ]
    found = audit(*findings, joint=np.array([[68.6, 1.4], [0.4, 69.6]]), predictor="a model")
    page, listed = write_audit(found, tmp_path)
    assert listed == {"exclude": 2, "relabel": 0, "weights": 1}
    with (tmp_path / "findings.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[:3] == [
        ["code", "severity", "group", "split", "name", "label", "score", "detail", "fix"],
        ["MD101", "error", "", "", "stray", "", "", "no folder", Check.UNREADABLE.fix],
        ["MD301", "error", "1", "train", "train/0", "no", "0.98765", "like 0", Check.LEAK.fix],
    ]
    assert rows[-1][:7] == ["MD401", "warning", "", "train", "train/4", "no", "-0.25"]
    with (tmp_path / "summary.csv").open() as file:
        head, *rows = csv.reader(file)
    assert head == ["code", "severity", "check", "pictures", "groups", "train", "public"]
    counted = {row[0]: row[3:] for row in rows}
    assert list(counted) == [check.code for check in Check]
    assert counted["MD101"] == ["1", "", "0", "0"]
    assert counted["MD301"] == ["5", "2", "2", "3"]
    assert counted["MD401"] == ["1", "", "1", "0"]
    assert counted["MD202"] == ["0", "", "0", "0"]
    assert [row["check"] for row in summary(found).rows] == [check.title for check in Check]
    joint = (tmp_path / "confident_joint.csv").read_text()
    assert joint == "label,no,yes\nno,69,1\nyes,0,70\n"
    text = page.read_text()
    assert "Probabilities: a model." in text
    assert '<th scope="row">no</th><td class="words">yes</td><td>1</td>' in text


def test_without_a_model_there_is_no_joint(tmp_path: Path) -> None:
    write_audit(audit(), tmp_path)
    assert not (tmp_path / "confident_joint.csv").exists()
    assert (tmp_path / "findings.csv").read_text().count("\n") == 1
