"""Every reader, over a small drawn copy of its data set."""

import zipfile

import numpy as np
import pytest

from mien.data import Asked, attributes, open_dataset
from mien.data.formats import FORMATS, find, open_clips
from mien.data.tree import Tree
from mien.errors import DataError, InputError
from tests.data.formats.layouts import HF, LAYOUTS, hugging_face, jpeg, renamed, swapped

pytest.importorskip("pyarrow")

PICTURES = [name for name, layout in LAYOUTS.items() if not layout.films]
FILMS = [name for name, layout in LAYOUTS.items() if layout.films]


def told(data):
    """Split, label and person of each picture."""
    for split in data.splits.values():
        whose = [""] * len(split) if split.persons is None else split.persons
        for label, person in zip(split.labels, whose, strict=True):
            yield split.name, data.labels[label], str(person)


def one_line(error) -> bool:
    return "\n" not in str(error.value) and len(str(error.value)) < 400


def test_every_format_has_a_drawn_copy():
    assert set(LAYOUTS) == {format.name for format in FORMATS}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_format_is_recognised_by_its_layout_whatever_folder_it_lies_in(tmp_path, name):
    layout = LAYOUTS[name]
    path = layout.write(tmp_path / "downloads" / "my copy")
    assert find(Tree.open(path)).name == name
    if not layout.opened and name != "fer2013":
        assert find(Tree.open(tmp_path / "downloads")).name == name


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("format", [False, True], ids=["recognised", "named"])
def test_splits_labels_and_people_are_those_of_the_data_set(tmp_path, name, format):
    layout = LAYOUTS[name]
    data = open_dataset(layout.write(tmp_path / "data"), Asked(name if format else None))
    persons = layout.persons or [""] * len(layout.records)
    assert sorted(told(data)) == sorted(
        (*r, p) for r, p in zip(layout.records, persons, strict=True)
    )
    assert data.left_out == layout.left_out
    names = [str(n) for split in data.splits.values() for n in split.names]
    assert len(set(names)) == len(names) or name == "fer2013"


@pytest.mark.parametrize("name", [n for n in PICTURES if n not in ("table", "fer2013")])
def test_a_zip_is_read_as_its_folder(tmp_path, name):
    path = LAYOUTS[name].write(tmp_path / "data")
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            archive.write(file, f"top/{file.relative_to(path).as_posix()}")
    unpacked, packed = open_dataset(path), open_dataset(tmp_path / "data.zip")
    assert {s: v.digest for s, v in packed.splits.items()} == {
        s: v.digest for s, v in unpacked.splits.items()
    }


@pytest.mark.parametrize("name", PICTURES)
def test_a_broken_file_is_told_in_one_line(tmp_path, name):
    layout = LAYOUTS[name]
    path = layout.write(tmp_path / "data")
    file = tmp_path / "data" / layout.picture
    file.write_bytes(file.read_bytes()[:-1000][:300])
    with pytest.raises(DataError, match=file.name) as error:
        open_dataset(path)
    assert one_line(error)


@pytest.mark.parametrize(
    "name", [n for n in PICTURES if n not in ("folder", "fer2013", "parquet", "kdef", "jaffe")]
)
def test_a_picture_that_is_listed_and_not_there_is_told(tmp_path, name):
    layout = LAYOUTS[name]
    path = layout.write(tmp_path / "data")
    (tmp_path / "data" / layout.picture).unlink()
    if name in ("ck+", "ck+48", "raf-db-folder"):  # they have no lists: what is there counts
        assert sum(map(len, open_dataset(path).splits.values())) >= 1
        return
    with pytest.raises(
        DataError, match=r"lacks the picture .*; unpack the data set whole"
    ) as error:
        open_dataset(path)
    assert one_line(error)


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_unknown_label_is_told_with_its_place_and_those_known(tmp_path, name):
    layout = LAYOUTS[name]
    path = layout.write(tmp_path / "data", layout.unknown(layout.files))
    with pytest.raises(DataError, match=layout.told) as error:
        open_clips(path, name) if layout.films else open_dataset(path, Asked(name))
    assert one_line(error)


@pytest.mark.parametrize("name", FILMS)
def test_films_give_clips_with_their_frames_in_order(tmp_path, name):
    layout = LAYOUTS[name]
    clips = open_clips(layout.write(tmp_path / "data"))
    assert sorted((c.split, c.label) for c in clips) == sorted(layout.records)
    for clip in clips:
        files = clip.frames if isinstance(clip.frames, tuple) else (clip.frames,)
        assert all(file.is_file() for file in files)
        assert list(files) == sorted(files)
        assert len({file.parent for file in files}) == 1
    assert len({clip.name for clip in clips}) == len(clips)


@pytest.mark.parametrize("name", FILMS)
def test_films_are_no_pictures_and_pictures_no_films(tmp_path, name):
    with pytest.raises(DataError, match="is a data set of clips, and still images are expected"):
        open_dataset(LAYOUTS[name].write(tmp_path / "films"))
    with pytest.raises(DataError, match=r"of pictures \(kdef\); expected clips: one of dfew, fer"):
        open_clips(LAYOUTS["kdef"].write(tmp_path / "pictures"))


@pytest.mark.parametrize("name", FILMS)
def test_a_broken_frame_or_film_is_told_in_one_line(tmp_path, name):
    path = LAYOUTS[name].write(tmp_path / "data")
    frames = next(c for c in open_clips(path) if c.split == "train").frames
    file = frames[0] if isinstance(frames, tuple) else frames
    file.write_bytes(jpeg()[:300])
    with pytest.raises(DataError, match=file.name) as error:
        open_dataset(path, Asked(clips=True))
    assert one_line(error)


@pytest.mark.parametrize("name", [n for n in FILMS if n not in ("afew", "clips")])
def test_a_clip_that_is_not_there_is_told_with_the_line_of_its_list(tmp_path, name):
    layout = LAYOUTS[name]
    kept = {n: d for n, d in layout.files.items() if not n.startswith(layout.picture)}
    with pytest.raises(DataError, match=r"line \d: no frames and no film of clip") as error:
        open_clips(layout.write(tmp_path / "data", kept))
    assert one_line(error)


def test_dfew_has_five_folds_and_the_others_are_told(tmp_path):
    path = LAYOUTS["dfew"].write(tmp_path / "data")
    assert {c.split: c.label for c in open_clips(path, fold=2)} == {
        "train": "angry",
        "test": "happy",
    }
    with pytest.raises(InputError, match="folds 1 to 5, got 6"):
        open_clips(path, fold=6)
    with pytest.raises(DataError, match="holds no clips of dfew; expected"):
        open_clips(path, fold=3)


def test_faces_are_cut_from_photos_by_their_boxes(tmp_path):
    """The face lies in the middle of a picture of 68 px; ExpW lists top before left."""
    for name in ("affectnet", "expw"):
        data = open_dataset(LAYOUTS[name].write(tmp_path / name), Asked(side_px=48))
        image = data.split("train").images[0]
        assert image[:, 0].mean() > 5, "black is what lies beside the face"
    beyond = LAYOUTS["expw"].files | {"label/label.lst": b"a.jpg 0 0 90 130 48 9.0 3\n"}
    with pytest.raises(DataError, match=r"a\.jpg has 68x48 px, its face lies beyond"):
        open_dataset(LAYOUTS["expw"].write(tmp_path / "beyond", beyond))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"a.jpg 0 0 10\n", "line 1: expected 8 words, got 'a.jpg 0 0 10'"),
        (b"a.jpg 0 x 10 58 48 9 3\n", "expected a face's left, top, right and bottom edge"),
        (b"a.jpg 0 0 58 10 48 9 3\n", "expected a face's left, top, right and bottom edge"),
    ],
)
def test_a_damaged_line_of_a_list_is_told(tmp_path, line, message):
    files = LAYOUTS["expw"].files | {"label/label.lst": line}
    with pytest.raises(DataError, match=message):
        open_dataset(LAYOUTS["expw"].write(tmp_path / "data", files))


def test_attributes_of_people_come_by_the_picture_s_name(tmp_path):
    raf = attributes(LAYOUTS["raf-db"].write(tmp_path / "raf"))
    assert raf == {
        "basic/Image/aligned/train_00001_aligned.jpg": {
            "sex": "female",
            "race": "Asian",
            "age": "40-69",
        },
        "basic/Image/aligned/test_0001_aligned.jpg": {
            "sex": "male",
            "race": "Caucasian",
            "age": "0-3",
        },
    }
    kdef = attributes(LAYOUTS["kdef"].write(tmp_path / "kdef"))
    assert kdef["KDEF/BM35/BM35SUFR.JPG"] == {"sex": "male", "angle": "full right"}
    with pytest.raises(DataError, match="tells nothing of its people"):
        attributes(LAYOUTS["folder"].write(tmp_path / "folder"))


@pytest.mark.parametrize(
    ("classes", "what"),
    [
        (["0", "1", "2"], "numbers"),
        (["AF01", "AF02"], "numbered, as people are"),
        (["S005", "happy"], "numbered, as people are"),
        ([f"person {chr(97 + n)}" for n in range(13)], "no expressions that mien knows, perhaps"),
    ],
)
def test_classes_that_are_numbers_or_people_are_refused(tmp_path, classes, what):
    for name in classes:
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "x.jpg").write_bytes(jpeg())
    with pytest.raises(DataError, match=rf"its {len(classes)} classes .* are {what}") as error:
        open_dataset(tmp_path / "data")
    assert "rename them, or name the data set with --format" in str(error.value)


MISSPELT = {
    "folder": renamed("train/anger", "train/suprise"),
    "clips": renamed("train/anger", "train/suprise"),
    "table": swapped("labels.csv", "joy", "suprise"),
    "parquet": lambda files: {**files, HF: hugging_face([(jpeg(), n) for n in range(3)], CALLED)},
}
CALLED = ["happy", "sad", "suprise"]


@pytest.mark.parametrize("name", MISSPELT)
def test_a_misspelt_label_is_told_with_its_place(tmp_path, name):
    layout = LAYOUTS[name]
    path = layout.write(tmp_path / "data", MISSPELT[name](layout.files))
    place = r"(train/suprise|line 2|row 2).* has the label 'suprise'; did you mean surprise\?"
    with pytest.raises(DataError, match=place) as error:
        open_clips(path) if layout.films else open_dataset(path)
    assert one_line(error)


def test_pictures_beside_parquet_are_left_out_with_a_word(tmp_path):
    files = {"train.parquet": hugging_face([(jpeg(), "joy")]), "sad/a.jpg": jpeg()}
    data = open_dataset(LAYOUTS["parquet"].write(tmp_path, files))
    assert data.left_out == {"beside Parquet": 1}


def test_numbers_in_parquet_need_their_names(tmp_path):
    (tmp_path / "train.parquet").write_bytes(hugging_face([(jpeg(), 3)]))
    with pytest.raises(DataError, match=r"its 1 classes \(3\) are numbers"):
        open_dataset(tmp_path / "train.parquet")
    (tmp_path / "words.parquet").write_bytes(hugging_face([(jpeg(), "joy")]))
    assert open_dataset(tmp_path / "words.parquet").labels[3] == "happy"


def test_parquet_may_call_its_labels_emotion_and_lacks_no_column_unsaid(tmp_path):
    import pandas

    (tmp_path / "d").mkdir()
    words = pandas.DataFrame({"image": [{"bytes": jpeg()}], "emotion": ["joy"]})
    words.to_parquet(tmp_path / "d" / "train.parquet")
    assert open_dataset(tmp_path / "d").labels[3] == "happy"
    words.rename(columns={"emotion": "mood"}).to_parquet(tmp_path / "d" / "train.parquet")
    says = "train.parquet has no column label or emotion; expected image and label, got: image, m"
    with pytest.raises(DataError, match=says):
        open_dataset(tmp_path / "d")


@pytest.mark.parametrize("pictures", ["images", "."])
def test_a_folder_of_pictures_and_their_table_says_to_give_the_table(tmp_path, pictures):
    (tmp_path / pictures).mkdir(exist_ok=True)
    (tmp_path / pictures / "a.jpg").write_bytes(jpeg())
    (tmp_path / "labels.csv").write_text(f"path,label\n{pictures}/a.jpg,happy\n")
    with pytest.raises(DataError, match=rf"give it itself \(--data {tmp_path}/labels.csv\), else"):
        open_dataset(tmp_path)
    assert open_dataset(tmp_path / "labels.csv").labels[3] == "happy"


def test_parquet_is_read_in_any_order(tmp_path):
    """More rows than a batch; pictures of two sizes are decoded twice."""
    sizes = [20 + row % 2 for row in range(600)]
    rows = [(picture(row % 250, side), "happy") for row, side in enumerate(sizes)]
    (tmp_path / "train.parquet").write_bytes(hugging_face(rows))
    images = open_dataset(tmp_path / "train.parquet").split("train").images
    assert images[:, 0, 0].tolist() == [row % 250 for row in range(600)]


def picture(grey: int, side: int) -> bytes:
    import cv2

    return cv2.imencode(".png", np.full((side, side), grey, np.uint8))[1].tobytes()


def test_a_table_counts_with_its_pictures(tmp_path):
    path = LAYOUTS["table"].write(tmp_path / "data")
    before = open_dataset(path).split("train").digest
    (tmp_path / "data" / "pictures" / "a.png").write_bytes(jpeg("sad"))
    assert open_dataset(path).split("train").digest != before


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_table_of_a_spreadsheet_is_read(tmp_path, mark):
    files = LAYOUTS["table"].files
    text = files["labels.csv"].replace(b",", mark.encode()).replace(b"\n", b"\r\n")
    path = LAYOUTS["table"].write(tmp_path, {**files, "labels.csv": b"\xef\xbb\xbf" + text})
    assert list(told(open_dataset(path))) == [("train", "happy", ""), ("val", "neutral", "")]


def test_points_of_a_face_do_not_part_a_list_without_a_heading(tmp_path):
    files = dict(LAYOUTS["affectnet"].files)
    name = "Manually_Annotated_file_lists/validation.csv"
    files[name] = files[name].replace(b"1;2", b";".join([b"1"] * 136))
    assert len(open_dataset(LAYOUTS["affectnet"].write(tmp_path, files)).split("test")) == 1


def test_a_table_may_be_parquet(tmp_path):
    import pandas

    LAYOUTS["table"].write(tmp_path / "data")
    table = pandas.read_csv(tmp_path / "data" / "labels.csv")
    table.to_parquet(tmp_path / "data" / "labels.parquet")
    found, same = (open_dataset(tmp_path / "data" / f"labels.{s}") for s in ("parquet", "csv"))
    assert list(told(found)) == list(told(same))
    table.assign(split="dev").to_parquet(tmp_path / "data" / "labels.parquet")
    with pytest.raises(DataError, match="row 0: unknown split 'dev'; expected train, val or test"):
        open_dataset(tmp_path / "data" / "labels.parquet")


def test_an_unknown_format_is_told_with_a_near_one(tmp_path):
    path = LAYOUTS["folder"].write(tmp_path / "data")
    with pytest.raises(InputError, match="no format 'rafdb'; did you mean raf-db"):
        open_dataset(path, Asked("rafdb"))
    with pytest.raises(InputError, match="no format 'xyz'; there are: table, fer2013"):
        open_dataset(path, Asked("xyz"))


def test_a_format_that_does_not_fit_is_told(tmp_path):
    path = LAYOUTS["folder"].write(tmp_path / "data")
    with pytest.raises(DataError, match=r"lacks EmoLabel/list_.*; unpack the data set whole"):
        open_dataset(path, Asked("raf-db"))
    with pytest.raises(DataError, match=r"holds no pictures; expected"):
        open_dataset(path, Asked("jaffe"))


@pytest.mark.parametrize(
    "strange",
    [
        "train/happy/S010_004_00000017.png",
        "train/happy/KA.HA1.39.png",
        "train/happy/AF01HAS.png",
        "train/1/train_00001_aligned.jpg",
        "train/cohn-kanade-images/S005/001/S005_001_00000001.png",
    ],
)
def test_one_name_of_a_known_data_set_does_not_make_it_one(tmp_path, strange):
    """Of a folder with two names of its own and one of that data set, nothing is dropped."""
    names = ("train/happy/a.png", "train/sad/b.png", strange)
    assert find(Tree(tmp_path, tuple(sorted(names)))).name in ("folder", "clips")


@pytest.mark.parametrize("name", ["ck+", "ck+48", "jaffe", "kdef", "raf-db-folder"])
def test_pictures_that_a_data_set_does_not_name_so_are_left_out_with_a_word(tmp_path, name):
    path = LAYOUTS[name].write(tmp_path / "data", LAYOUTS[name].files | {"other/me.png": jpeg()})
    told = open_dataset(path).left_out
    assert any(reason.startswith("not named as") for reason in told), told


@pytest.mark.parametrize(
    ("format", "file"),
    [("ck+48", "S010_004_00000017.png"), ("jaffe", "KA.HA1.39.png"), ("kdef", "AF01HAS.JPG")],
)
def test_the_author_s_own_splits_are_kept(tmp_path, format, file):
    for split in ("train", "Validation", "test"):
        (tmp_path / split / "happy").mkdir(parents=True)
        (tmp_path / split / "happy" / file).write_bytes(jpeg())
    tree = Tree.open(tmp_path)
    assert find(tree).name == format
    assert list(open_dataset(tmp_path).splits) == ["train", "val", "test"]
