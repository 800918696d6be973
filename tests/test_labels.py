import pytest

from mien.errors import DataError
from mien.labels import (
    AFFECTNET,
    CK_PLUS,
    DFEW,
    EIGHT,
    FER2013,
    FER2013_CSV,
    FERPLUS,
    RAFDB,
    canonical,
    chosen,
    label_index,
    misspelt,
)
from mien.labels import vocabulary as vocabulary_of

PUBLISHED = {
    "FER-2013 in folders": (FER2013, "angry disgust fear happy neutral sad surprise"),
    "FER-2013 as CSV": (FER2013_CSV, "angry disgust fear happy sad surprise neutral"),
    "FER+": (
        FERPLUS,
        "neutral happy surprise sad angry disgust fear contempt unknown no_face",
    ),
    "RAF-DB": (RAFDB, "surprise fear disgust happy sad angry neutral"),
    "AffectNet": (AFFECTNET, "neutral happy sad surprise fear disgust angry contempt"),
    "DFEW": (DFEW, "happy sad neutral angry surprise disgust fear"),
    "CK+": (CK_PLUS, "neutral angry contempt disgust fear happy sad surprise"),
}


@pytest.mark.parametrize("data_set", PUBLISHED)
def test_labels_are_in_the_order_of_the_data_set_s_own_numbers(data_set):
    found, published = PUBLISHED[data_set]
    assert found == tuple(published.split())
    assert [canonical(name) for name in found] == list(found)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("anger", "angry"),
        ("angry", "angry"),
        ("Happiness", "happy"),
        (" Happiness\n", "happy"),
        ("SAD", "sad"),
        ("sadness", "sad"),
        ("fearful", "fear"),
        ("disgusted", "disgust"),
        ("surprised", "surprise"),
        ("NF", "no_face"),
        ("joy", "happy"),
        ("Afraid", "fear"),
        ("surprising", "surprise"),
        ("calm", "neutral"),
        ("neutrality", "neutral"),
        ("contempt", "contempt"),
        ("Thoughtful ", "thoughtful"),
    ],
)
def test_class_names_get_one_spelling(given, expected):
    assert canonical(given) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (FER2013_CSV, FER2013),
        (["Happy", "sad"], FER2013),
        (["anger", "Surprised", "happiness"], FER2013),
        ([], FER2013),
        (["happy", "contempt"], ("contempt", "happy")),
        (["happy", "Happiness", "neutral", "contempt"], ("contempt", "happy", "neutral")),
        (["dog", "cat", "dog"], ("cat", "dog")),
        (iter(["b", "A"]), ("a", "b")),
    ],
)
def test_vocabulary_is_fer2013_where_the_classes_fit(names, expected):
    assert vocabulary_of(names) == expected


def test_an_unknown_label_is_told_with_its_place_and_the_known_ones():
    with pytest.raises(DataError) as caught:
        label_index(("cat", "dog"), "Bored", where="line 4")
    assert str(caught.value) == "line 4: unknown label 'Bored'; expected one of cat, dog"


@pytest.mark.parametrize(
    ("labels", "name", "index"),
    [(FER2013, "Happiness", 3), (FER2013, "angry", 0), (FERPLUS, "NF", 9), (RAFDB, " anger", 5)],
)
def test_label_index_understands_other_spellings(labels, name, index):
    assert label_index(labels, name, where="here") == index


def test_the_place_is_named():
    with pytest.raises(TypeError):
        label_index(FER2013, "happy", "here")  # type: ignore[misc]


@pytest.mark.parametrize(
    ("present", "choice", "labels"),
    [
        ([FER2013], None, FER2013),
        ([EIGHT], None, FER2013),
        ([EIGHT], 8, EIGHT),
        ([("happy", "sad")], 8, EIGHT),
        ([EIGHT], 7, FER2013),
        ([("bored", "happy")], None, ("bored", "happy")),
        ([("bored", "happy")], 7, FER2013),
        ([EIGHT, ("sad", "contempt", "angry")], "common", ("angry", "sad", "contempt")),
        ([("bored", "sad", "happy"), ("sad", "bored")], "common", ("sad", "bored")),
        ([("happy",), ("sad",)], None, FER2013),
    ],
)
def test_labels_are_chosen_of_those_present(present, choice, labels):
    assert chosen(present, choice) == labels


def test_data_sets_need_two_labels_in_common():
    with pytest.raises(DataError, match="have 1 labels in common; expected two or more"):
        chosen([("happy", "sad"), ("sad",)], "common")


@pytest.mark.parametrize(
    ("label", "near"),
    [
        ("suprise", "surprise"),
        ("hapy", "happy"),
        ("hapiness", "happiness"),
        ("nuetral", "neutral"),
        ("digust", "disgust"),
        ("angery", "angry"),
        ("sadd", "sad"),
    ],
)
def test_a_misspelt_label_is_seen_among_known_ones(label, near):
    assert misspelt([*FER2013, label]) == (label, near)
    assert misspelt(["cat", "dog", label]) is None
    with pytest.raises(DataError, match=f"the label '{label}'; did you mean {near}"):
        chosen([FER2013, (label,)], None)


@pytest.mark.parametrize(
    "own",
    [
        *("bored", "confused", "tired", "excited", "content", "unhappy", "unafraid", "unsurprised"),
        *("disappointed", "anxious", "joyful", "fearless", "helpless", "angered", "disgusting"),
        *("contemptuous", "hungry", "natural", "mad", "pain", "no_face"),
    ],
)
def test_one_s_own_labels_are_not_taken_for_misspelt_ones(own):
    assert misspelt([*FER2013, own]) is None
