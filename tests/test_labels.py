import pytest

from mien.errors import DataError
from mien.labels import AFFECTNET, FER2013, FER2013_CSV, FERPLUS, RAFDB, canonical, label_index
from mien.labels import vocabulary as vocabulary_of


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("anger", "angry"),
        (" Happiness ", "happy"),
        ("SAD", "sad"),
        ("sadness", "sad"),
        ("fearful", "fear"),
        ("disgusted", "disgust"),
        ("surprised", "surprise"),
        ("NF", "no_face"),
        ("contempt", "contempt"),
    ],
)
def test_class_names_get_one_spelling(given, expected):
    assert canonical(given) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (FER2013_CSV, FER2013),
        (["Happy", "sad"], FER2013),
        (["happy", "contempt"], ("contempt", "happy")),
        (["dog", "cat", "dog"], ("cat", "dog")),
    ],
)
def test_vocabulary_is_fer2013_where_the_classes_fit(names, expected):
    assert vocabulary_of(names) == expected


@pytest.mark.parametrize("labels", [FER2013_CSV, FERPLUS, RAFDB, AFFECTNET])
def test_every_vocabulary_holds_the_seven_expressions_in_mien_s_spelling(labels):
    assert set(FER2013) <= set(labels)
    assert [canonical(name) for name in labels] == list(labels)


def test_an_unknown_label_is_told_with_its_place_and_the_known_ones():
    with pytest.raises(DataError, match=r"line 4: unknown label 'bored'; expected one of angry, "):
        label_index(FER2013, "bored", where="line 4")


def test_label_index_understands_other_spellings():
    assert label_index(FER2013, "Happiness", where="here") == 3
