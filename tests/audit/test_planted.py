"""Faults that were put in are found, and little else."""

import csv
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("jinja2")

from mien.audit.checks import Check
from mien.audit.cleaning import read_exclude, without
from mien.audit.labels import confident_learning, log_probabilities, out_of_fold
from mien.audit.page import write_audit
from mien.audit.pool import pool
from mien.audit.run import Audit, Evidence, audit
from mien.data import Dataset, Split, open_dataset
from mien.data.drawn import draw_face
from mien.data.ferplus import join_votes
from mien.errors import DataError, InputError
from mien.labels import FERPLUS
from tests.audit.conftest import ALTERATIONS, PLANTED_EACH, Planted, write
from tests.data.formats.test_folder import zipped


@pytest.fixture(scope="module")
def audited(planted: Planted) -> Audit:
    return audit(planted.folder)


def names(audit: Audit, *codes: str) -> set[str]:
    return {finding.name for finding in audit.findings if finding.check.code in codes}


def found_pairs(audit: Audit) -> set[frozenset[str]]:
    """All pairs of pictures that one group of copies holds."""
    groups = defaultdict(set)
    for finding in audit.findings:
        if finding.group is not None:
            groups[finding.check.code, finding.group].add(finding.name)
    return {frozenset((a, b)) for group in groups.values() for a in group for b in group if a != b}


def test_copies_are_found_with_recall_and_precision_of_95_percent(
    audited: Audit, planted: Planted
) -> None:
    truth = {frozenset(pair) for pairs in planted.copies.values() for pair in pairs}
    found = found_pairs(audited)
    blanks = {pair for pair in found if pair <= planted.blank}
    assert len(found & truth) >= 0.95 * len(truth)
    assert len(found & truth) >= 0.95 * len(found - blanks)


@pytest.mark.parametrize("kind", ALTERATIONS)
def test_every_kind_of_copy_is_found_and_named(audited, planted, kind) -> None:
    leaks, inside = ("MD301", "MD305") if kind == "copied" else ("MD302", "MD306")
    pairs = planted.copies[kind]
    missed = [p for p in pairs[1::2] if not set(p) <= names(audited, leaks)]
    missed += [p for p in pairs[::2] if not set(p) <= names(audited, inside)]
    assert len(missed) <= 0.1 * PLANTED_EACH
    if kind == "mirrored":
        told = [f.detail for f in audited.findings if f.check == Check.NEAR_LEAK and kind in f.name]
        assert all(detail.endswith(", mirrored") for detail in told)


def test_blank_pictures_and_unreadable_files_are_all_found_and_nothing_else(
    audited: Audit, planted: Planted
) -> None:
    assert names(audited, "MD201") == planted.blank
    assert names(audited, "MD202") == set()
    assert names(audited, "MD101") == planted.broken
    told = {finding.name: finding.detail for finding in audited.findings}
    assert "is not a picture" in told["train/sad/notes.txt"]
    assert "truncated" in told["test/fear/cut.png"]
    assert "has no class folder" in told["stray.png"]


def test_what_was_checked_is_counted_in_the_order_of_the_checks(audited: Audit) -> None:
    codes = [check.code for check in Check]
    made = [code for code in codes if code not in ("MD203", "MD401", "MD402", "MD403")]
    assert [check.code for check in audited.checks] == list(audited.counts) == made
    found = [finding.check.code for finding in audited.findings]
    assert found == sorted(found)
    assert audited.counts == {code: found.count(code) for code in made}
    assert audited.counts["MD307"] == 0
    assert (audited.joint, audited.predictor) == (None, "")


def test_what_training_refuses_the_audit_opens_and_training_still_refuses(
    audited: Audit, planted: Planted
) -> None:
    with pytest.raises(DataError):
        open_dataset(planted.folder)


def test_a_zip_is_audited_alike_with_a_damaged_entry(
    audited: Audit, planted: Planted, tmp_path: Path
) -> None:
    archive = zipped(planted.folder, tmp_path / "faces.zip")
    spoiled = bytearray(archive.read_bytes())
    place = spoiled.find(b"train/happy/face003.png") + len(b"train/happy/face003.png") + 40
    spoiled[place : place + 20] = bytes(20)
    archive.write_bytes(spoiled)
    found = audit(archive)
    assert names(found, "MD101") == planted.broken | {"train/happy/face003.png"}
    assert found.counts["MD301"] == audited.counts["MD301"]


def test_the_page_its_tables_and_exclude_csv(
    audited: Audit, planted: Planted, tmp_path: Path
) -> None:
    page, listed = write_audit(audited, tmp_path / "out")
    assert {path.name for path in page.parent.iterdir()} == {
        *("index.html", "findings.csv", "summary.csv", "exclude.csv", "relabel.csv"),
        "weights.csv",
    }
    html = page.read_text()
    assert "http" not in html.replace("http-equiv", "")
    assert html.count("data:image/png;base64,") > 50
    with (tmp_path / "out" / "findings.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(audited.findings)
    assert all(row["code"] and row["severity"] and row["name"] and row["fix"] for row in rows)
    with (tmp_path / "out" / "summary.csv").open() as file:
        counts = {row["code"]: int(row["pictures"]) for row in csv.DictReader(file)}
    assert counts == audited.counts
    table = read_exclude(tmp_path / "out" / "exclude.csv")
    assert len(table) == listed["exclude"]
    leaked = {pair[0] for pairs in planted.copies.values() for pair in pairs[1::2]}
    assert {split for split, _ in table} == {"train"}
    assert {name for _, name in table} >= planted.blank
    assert len({name for _, name in table} & leaked) >= 0.95 * len(leaked)

    kept = without(audited.pool.data, table)
    assert len(kept.split("train")) == len(audited.pool.data.split("train")) - listed["exclude"]
    assert kept.split("test").digest == audited.pool.data.split("test").digest
    clean = pool(kept)
    assert not set(clean.names[clean.splits == "train"]) & {name for _, name in table}


def test_conflicting_labels_are_found_in_equal_and_in_altered_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    faces = [draw_face("fear", rng) for _ in range(40)]
    for number, face in enumerate(faces):
        write(tmp_path, f"train/fear/{number}.png", face)
    write(tmp_path, "train/surprise/same.png", faces[0])
    altered = ALTERATIONS["recompressed"](faces[1], rng)
    write(tmp_path, "train/surprise/altered.png", altered)
    found = audit(tmp_path)
    assert names(found, "MD303") == {"train/fear/0.png", "train/surprise/same.png"}
    assert names(found, "MD304") == {"train/fear/1.png", "train/surprise/altered.png"}


def swapped(data: Dataset, share: float, seed: int) -> tuple[Dataset, set[str]]:
    """The first split with some labels exchanged, and the names of those."""
    part = next(iter(data.splits.values()))
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(part), round(share * len(part)), replace=False)
    present = np.unique(part.labels)
    labels = part.labels.copy()
    for row in rows:
        labels[row] = rng.choice(present[present != labels[row]])
    wrong = replace(part, labels=labels)
    return Dataset(data.name, data.labels, {part.name: wrong}), set(part.names[rows].tolist())


def suspected(data: Dataset) -> set[str]:
    seen = pool(data)
    features = log_probabilities(seen, "mien-s", lambda items, unit: items)
    sure = out_of_fold(features, seen.labels, seen.twins, 5, len(data.labels))
    return set(seen.names[confident_learning(sure, seen.labels).rows].tolist())


def drawn_pair() -> Dataset:
    """Happy and surprised drawn faces, which the shipped weights tell apart."""
    rng = np.random.default_rng(8)
    images = np.stack(
        [draw_face(label, rng) for _ in range(150) for label in ("happy", "surprise")]
    )
    names = np.array([f"{number}" for number in range(300)])
    split = Split("train", images, np.arange(300) % 2, names)
    return Dataset("drawn", ("happy", "surprise"), {"train": split})


def agreed(fer2013: Dataset, shared: Path) -> Dataset:
    """PublicTest, which the shipped weights were not fitted on, where nine of ten voters agree."""
    part = fer2013.split("public")
    votes = join_votes(part, shared / "data" / "ferplus_votes.csv")
    columns = np.array([FERPLUS.index(label) for label in fer2013.labels])[part.labels]
    sure = np.flatnonzero(votes[np.arange(len(part)), columns] >= 9)
    return Dataset("agreed", fer2013.labels, {"public": part.take(sure)})


def assert_swaps_are_found(data: Dataset, share: float) -> None:
    wrong, truth = swapped(data, share, seed=0)
    found = suspected(wrong)
    assert len(found & truth) >= 0.8 * len(truth)
    assert len(found & truth) >= 0.8 * len(found)


def test_swapped_labels_of_drawn_faces_are_found() -> None:
    assert_swaps_are_found(drawn_pair(), 0.1)


def test_swapped_labels_of_real_faces_are_found(fer2013: Dataset, shared: Path) -> None:
    assert_swaps_are_found(agreed(fer2013, shared), 0.2)


def test_a_model_s_suspicions_come_with_their_joint(
    planted: Planted, audited: Audit, tmp_path: Path
) -> None:
    found = audit(planted.folder, Evidence(model="mien-s", folds=3))
    assert found.counts["MD401"] == sum(f.check == Check.SUSPECT for f in found.findings) > 0
    write_audit(found, tmp_path)
    with (tmp_path / "confident_joint.csv").open() as file:
        rows = [[float(cell) for cell in row[1:]] for row in list(csv.reader(file))[1:]]
    assert np.sum(rows) == pytest.approx(len(found.pool), rel=0.05)
    assert "MD401" not in audited.counts
    assert found.predictor == "3 folds of a logistic regression on what mien-s says"
    before = [f for f in found.findings if f.check != Check.SUSPECT]
    assert before == list(audited.findings), "nothing else changes"


def test_checks_have_codes_of_their_own() -> None:
    assert len({check.code for check in Check}) == len(Check)


def test_a_model_and_predictions_are_too_much(planted: Planted) -> None:
    with pytest.raises(InputError, match="not both"):
        audit(planted.folder, Evidence(model="mien-s", predictions=planted.folder))


def test_only_broken_files_and_no_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        audit(tmp_path / "none")
    with pytest.raises(DataError, match="holds no pictures"):
        audit(tmp_path)
    (tmp_path / "train" / "sad").mkdir(parents=True)
    (tmp_path / "train" / "sad" / "a.png").write_bytes(b"no")
    with pytest.raises(DataError, match="not a readable picture"):
        audit(tmp_path)
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match="not a whole zip"):
        audit(tmp_path / "a.zip")


def test_a_file_as_folder_is_refused(audited: Audit, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        write_audit(audited, tmp_path / "out")
