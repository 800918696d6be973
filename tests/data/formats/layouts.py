"""A small drawn copy of every data set that mien reads: what lies where, and what it holds."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from mien.data.drawn import draw_face

Files = dict[str, bytes]
LABELS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


@cache
def face(label: str = "happy", format: str = "PNG", wide: int = 0) -> bytes:
    """A drawn face of 48 px in colour, in the middle of a picture that is `wide` px wider."""
    grey = draw_face(label if label in LABELS else "neutral", np.random.default_rng(len(label)))
    picture = np.pad(np.stack([grey, grey // 2, grey // 3], 2), [(0, 0), (wide // 2,) * 2, (0, 0)])
    out = io.BytesIO()
    Image.fromarray(picture).save(out, format)
    return out.getvalue()


def jpeg(label: str = "happy") -> bytes:
    return face(label, "JPEG")


@dataclass(frozen=True)
class Layout:
    """What a data set is made of, and what its reader is to say of it."""

    files: Files
    records: list[tuple[str, str]]
    """Split and label, in the order of the cache."""
    picture: str
    """A picture, which tests break."""
    unknown: Callable[[Files], Files]
    """The same with a label that the data set does not have."""
    told: str
    """What the error of that says."""
    persons: tuple[str, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)
    opened: str = ""
    """What is opened of it; else the folder."""
    films: bool = False

    def write(self, root: Path, files: Files | None = None) -> Path:
        for name, data in (files or self.files).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        return root / self.opened


def swapped(name: str, old: str, new: str) -> Callable[[Files], Files]:
    """Text of one file changed."""
    return lambda files: {**files, name: files[name].replace(old.encode(), new.encode())}


def renamed(old: str, new: str) -> Callable[[Files], Files]:
    return lambda files: {name.replace(old, new): data for name, data in files.items()}


def attributes(sex: int, race: int, age: int) -> bytes:
    landmarks = "\n".join(f"{n}.5\t{n + 1}.25" for n in range(5))
    return f"{landmarks}\n{sex}\n{race}\n{age}\n".encode()


RAF = "basic/EmoLabel/list_patition_label.txt"
RAF_DB = Layout(
    {
        RAF: b"train_00001.jpg 5\ntrain_00002.jpg 1\ntest_0001.jpg 7\n",
        **{
            f"basic/Image/aligned/{stem}_aligned.jpg": jpeg()
            for stem in ("train_00001", "train_00002", "test_0001")
        },
        "basic/Annotation/manual/train_00001_manu_attri.txt": attributes(1, 2, 3),
        "basic/Annotation/manual/test_0001_manu_attri.txt": attributes(0, 0, 0),
    },
    [("train", "sad"), ("train", "surprise"), ("test", "neutral")],
    "basic/Image/aligned/train_00001_aligned.jpg",
    swapped(RAF, ".jpg 5", ".jpg 8"),
    r"list_patition_label\.txt, line 1: unknown label '8'; expected 1 surprise, 2 fear",
)
MIRROR = Layout(
    {
        "DATASET/train/4/train_00001_aligned.jpg": jpeg(),
        "DATASET/train/6/train_00002_aligned.jpg": jpeg(),
        "DATASET/test/3/test_0001_aligned.jpg": jpeg(),
        "train_labels.csv": b"image,label\ntrain_00001_aligned.jpg,4\n",
    },
    [("train", "happy"), ("train", "angry"), ("test", "disgust")],
    "DATASET/train/4/train_00001_aligned.jpg",
    renamed("train/6", "train/8"),
    r"train/8/train_00002_aligned\.jpg: unknown label '8'; expected 1 surprise",
)
AFF = "Manually_Annotated_file_lists/training.csv"
AFF_HEAD = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,"
    "valence,arousal\n"
)
AFFECTNET = Layout(
    {
        AFF: (
            f"{AFF_HEAD}1/a.jpg,10,0,48,48,1;2,6,0,0\n1/b.jpg,10,0,48,48,1;2,10,-2,-2\n"
            "1/c.jpg,10,0,48,48,1;2,7,0,0\n1/d.jpg,10,0,48,48,1;2,9,0,0\n"
        ).encode(),
        "Manually_Annotated_file_lists/validation.csv": b"2/e.jpg,10,0,48,48,1;2,3,0.5,0.5\n",
        **{
            f"Manually_Annotated_Images/{name}.jpg": face(format="JPEG", wide=20)
            for name in ("1/a", "1/b", "1/c", "1/d", "2/e")
        },
    },
    [("train", "angry"), ("train", "contempt"), ("test", "surprise")],
    "Manually_Annotated_Images/1/a.jpg",
    swapped(AFF, "1;2,6,0,0", "1;2,11,0,0"),
    r"training\.csv, line 2: unknown label '11'; expected 0 neutral, 1 happy",
    left_out={"no face": 1, "uncertain": 1},
)


def npy(value: object) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array(value))
    return out.getvalue()


AFFECTNET_8 = Layout(
    {
        "train_set/images/0.jpg": jpeg(),
        "train_set/annotations/0_exp.npy": npy("1"),
        "train_set/annotations/0_val.npy": npy("0.7"),
        "train_set/images/1.jpg": jpeg(),
        "train_set/annotations/1_exp.npy": npy(7),
        "val_set/images/9.jpg": jpeg(),
        "val_set/annotations/9_exp.npy": npy("0"),
    },
    [("train", "happy"), ("train", "contempt"), ("test", "neutral")],
    "train_set/images/0.jpg",
    lambda files: {**files, "train_set/annotations/0_exp.npy": npy("12")},
    r"0_exp\.npy: unknown label '12'; expected 0 neutral",
)
PLUS = "human_annotated/train_set"
AFFECTNET_PLUS = Layout(
    {
        f"{PLUS}/images/0.jpg": jpeg(),
        f"{PLUS}/annotations/0.json": json.dumps({"human-label": 4}).encode(),
        f"{PLUS}/images/1.png": face(),
        f"{PLUS}/annotations/1.json": json.dumps({"human-label": 5}).encode(),
        "human_annotated/validation_set/images/2.jpg": jpeg(),
        "human_annotated/validation_set/annotations/2.json": b'{"human-label": 2}',
    },
    [("train", "fear"), ("train", "disgust"), ("test", "sad")],
    f"{PLUS}/images/0.jpg",
    swapped(f"{PLUS}/annotations/0.json", "4", "44"),
    r"0\.json: unknown label '44'; expected 0 neutral",
)
EXPW = Layout(
    {
        "label/label.lst": (
            b"a.jpg 0 0 10 58 48 97.5 3\na.jpg 1 5 12 40 40 30.1 6\nb.jpg 0 0 10 58 48 9.0 0\n"
        ),
        "image/origin/a.jpg": face(format="JPEG", wide=20),
        "image/origin/b.jpg": face(format="JPEG", wide=20),
    },
    [("train", "happy"), ("train", "neutral"), ("train", "angry")],
    "image/origin/a.jpg",
    swapped("label/label.lst", "97.5 3", "97.5 7"),
    r"label\.lst, line 1: unknown label '7'; expected 0 angry",
    persons=("a.jpg", "a.jpg", "b.jpg"),
)
KDEF = Layout(
    {
        "KDEF/AF01/AF01AFS.JPG": jpeg(),
        "KDEF/AF01/AF01NEHL.JPG": jpeg(),
        "KDEF/BM35/BM35SUFR.JPG": jpeg(),
        "KDEF/BM35/BM35.JPG": jpeg(),
    },
    [("train", "fear"), ("train", "neutral"), ("train", "surprise")],
    "KDEF/AF01/AF01AFS.JPG",
    renamed("AF01NEHL", "AF01XXHL"),
    r"AF01XXHL\.JPG: unknown label 'XX'; expected AF fear",
    persons=("F01", "F01", "M35"),
    left_out={"not named as KDEF names its pictures": 1},
)
JAFFE = Layout(
    {
        "KA.AN1.39.tiff": face(format="TIFF"),
        "KA.FE2.46.tiff": face(format="TIFF"),
        "YM.NE3.51.tiff": face(format="TIFF"),
        "README": b"about",
    },
    [("train", "angry"), ("train", "fear"), ("train", "neutral")],
    "KA.AN1.39.tiff",
    renamed("KA.FE2", "KA.XX2"),
    r"KA\.XX2\.46\.tiff: unknown label 'XX'; expected AN angry",
    persons=("KA", "KA", "YM"),
)
CK = "cohn-kanade-images"
CK_PLUS = Layout(
    {
        **{f"{CK}/S005/001/S005_001_0000000{n}.png": face() for n in (1, 2, 3)},
        f"{CK}/S010/002/S010_002_00000001.png": face(),
        "Emotion/S005/001/S005_001_00000003_emotion.txt": b"   2.0000000e+00\n",
    },
    [("train", "contempt"), ("train", "neutral")],
    f"{CK}/S005/001/S005_001_00000003.png",
    swapped("Emotion/S005/001/S005_001_00000003_emotion.txt", "2.0000000e+00", "9.0"),
    r"_emotion\.txt: unknown label '9'; expected 0 neutral, 1 angry",
    persons=("S005", "S005"),
    left_out={"sequence without a label": 1},
)
CK_48 = Layout(
    {
        "CK+48/anger/S010_004_00000017.png": face(),
        "CK+48/contempt/S138_008_00000007.png": face(),
        "CK+48/sadness/S010_002_00000014.png": face(),
    },
    [("train", "angry"), ("train", "contempt"), ("train", "sad")],
    "CK+48/anger/S010_004_00000017.png",
    renamed("sadness", "bored"),
    r"bored/S010_002_00000014\.png: unknown label 'bored'; expected angry",
    persons=("S010", "S138", "S010"),
)
TABLE = Layout(
    {
        "labels.csv": b"path,label,split\npictures/a.png,joy,train\npictures\\b.png,calm,val\n",
        "pictures/a.png": face(),
        "pictures/b.png": face(),
    },
    [("train", "happy"), ("val", "neutral")],
    "pictures/a.png",
    swapped("labels.csv", "joy", "3"),
    r"its 2 classes \(3, neutral\) are numbers; expected names such as happy",
    opened="labels.csv",
)


def hugging_face(rows: list[tuple[bytes, object]], names: list[str] | None = None) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pictures = [{"bytes": data, "path": f"{n}.png"} for n, (data, _) in enumerate(rows)]
    table = pa.table({"image": pictures, "label": [label for _, label in rows]})
    if names:
        told = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(told)})
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


NAMES = ["afraid", "Happiness", "surprising"]
HF = "data/train-00000-of-00001.parquet"
PARQUET = Layout(
    {
        HF: hugging_face([(face(), 1), (jpeg(), 0)], NAMES),
        "data/test-00000-of-00001.parquet": hugging_face([(face(), 2)], NAMES),
        "README.md": b"about",
    },
    [("train", "happy"), ("train", "fear"), ("test", "surprise")],
    HF,
    lambda files: {**files, HF: hugging_face([(face(), 9)], NAMES)},
    r"train-00000-of-00001\.parquet, row 0: unknown label '9'; expected 0 fear, 1 happy",
)
FOLDER = Layout(
    {
        "train/Joy/a.png": face(),
        "train/anger/b.png": face(),
        "validation/fearful/c.png": face(),
        "test/disgusted/d.png": face(),
    },
    [("train", "happy"), ("train", "angry"), ("val", "fear"), ("test", "disgust")],
    "train/Joy/a.png",
    renamed("anger", "AF01"),
    r"its 4 classes \(af01, disgust, fear, \.\.\.\) are numbered, as people are; expected names",
)
PIXELS = " ".join(["7"] * 48 * 48)
FER2013 = Layout(
    {"fer2013.csv": f"emotion,pixels,Usage\n3,{PIXELS},Training\n6,{PIXELS},PublicTest\n".encode()},
    [("train", "happy"), ("public", "neutral")],
    "fer2013.csv",
    swapped("fer2013.csv", "\n3,", "\n8,"),
    r"line 2: unknown label '8'; expected one of angry",
)


def frames(folder: str, number: int = 2) -> Files:
    return {f"{folder}/{n:02d}.jpg": jpeg() for n in range(number)}


DFEW_LISTS = "EmoLabel_DataSplit/{}(single-labeled)/set_{}.csv"
DFEW_TRAIN = DFEW_LISTS.format("train", 1)
DFEW = Layout(
    {
        DFEW_TRAIN: b"video_name,label\n1,1\n00002,7\n",
        DFEW_LISTS.format("test", 1): b"video_name,label\n3,4\n",
        DFEW_LISTS.format("train", 2): b"video_name,label\n3,4\n",
        DFEW_LISTS.format("test", 2): b"video_name,label\n1,1\n",
        **frames("Clip/clip_224x224_16f/00001"),
        **frames("Clip/jpg_256/00001", 3),
        **frames("Clip/clip_224x224_16f/00002"),
        **frames("Clip/clip_224x224_16f/00003"),
    },
    [("train", "happy"), ("train", "fear"), ("test", "angry")],
    "Clip/clip_224x224_16f/00002",
    swapped(DFEW_TRAIN, "00002,7", "00002,8"),
    r"set_1\.csv, line 3: unknown label '8'; expected 1 happy",
    films=True,
)
FERV_TRAIN, FERV = "4_setups/All_scenes/train_All.csv", "2_ClipsforFaceCrop"
FERV39K = Layout(
    {
        FERV_TRAIN: b"Action/Sad/0010 Sad\nDaily life/Angry/0011 Angry\n",
        "4_setups/All_scenes/test_All.csv": b"Action/Sad/0012 Sad\n",
        **frames(f"{FERV}/Action/Sad/0010"),
        **frames(f"{FERV}/Daily life/Angry/0011"),
        **frames(f"{FERV}/Action/Sad/0012"),
    },
    [("train", "sad"), ("train", "angry"), ("test", "sad")],
    f"{FERV}/Daily life/Angry/0011",
    swapped(FERV_TRAIN, "0010 Sad", "0010 Bored"),
    r"train_All\.csv, line 1: unknown label 'Bored'; expected angry",
    films=True,
)
MAFW_TRAIN = "Train & Test Set/single/no_caption/set_1/train.txt"
MAFW = Layout(
    {
        MAFW_TRAIN: b"00001.mp4 anger\n00002.mp4 helplessness\n",
        MAFW_TRAIN.replace("train.txt", "test.txt"): b"00003.mp4 contempt\n",
        **frames("data/frames/00001"),
        "data/clips/00002.mp4": b"film",
        "data/clips/00003.mp4": b"film",
    },
    [("train", "angry"), ("train", "helplessness"), ("test", "contempt")],
    "data/clips/00002.mp4",
    swapped(MAFW_TRAIN, "anger", "boredom"),
    r"train\.txt, line 1: unknown label 'boredom'; expected angry",
    films=True,
)
AFEW = Layout(
    {
        "Train_AFEW/Angry/000046280.avi": b"film",
        "Train_AFEW/Happy/000149120.avi": b"film",
        **frames("Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/000046280"),
        "Val_AFEW/Neutral/000111.avi": b"film",
    },
    [("train", "angry"), ("train", "happy"), ("val", "neutral")],
    "",
    renamed("AFEW/Happy", "AFEW/Bored"),
    r"Bored/000149120\.avi: unknown label 'Bored'; expected angry",
    films=True,
)
CLIPS = Layout(
    {
        **frames("train/Joy/one"),
        **frames("train/anger/two", 3),
        **frames("test/sadness/three", 1),
    },
    [("train", "happy"), ("train", "angry"), ("test", "sad")],
    "train/anger/two",
    renamed("anger", "AF01"),
    r"its 3 classes \(af01, happy, sad\) are numbered, as people are; expected names",
    films=True,
)

LAYOUTS = {
    "fer2013": FER2013,
    "raf-db": RAF_DB,
    "raf-db-folder": MIRROR,
    "affectnet": AFFECTNET,
    "affectnet-8": AFFECTNET_8,
    "affectnet+": AFFECTNET_PLUS,
    "expw": EXPW,
    "kdef": KDEF,
    "jaffe": JAFFE,
    "ck+": CK_PLUS,
    "ck+48": CK_48,
    "dfew": DFEW,
    "ferv39k": FERV39K,
    "mafw": MAFW,
    "afew": AFEW,
    "clips": CLIPS,
    "table": TABLE,
    "parquet": PARQUET,
    "folder": FOLDER,
}
