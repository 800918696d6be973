import errno
import inspect
import re

import pytest

from mien import errors
from mien.errors import InputError, MienError, MissingExtra, ShapeError
from mien.extras import need, remedy

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_is_a_mien_error_drawn_in_the_tree(kind):
    assert issubclass(kind, MienError)
    assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("kind", "parent"),
    [
        (errors.PictureError, InputError),
        (errors.DataError, InputError),
        (ShapeError, ValueError),
        (MissingExtra, ImportError),
        (errors.FileError, OSError),
    ],
)
def test_errors_can_be_caught_by_their_wider_kind(kind, parent):
    with pytest.raises(parent):
        raise kind("told")


def test_a_file_that_cannot_be_written_is_named_with_what_to_do():
    full = errors.FileError(errno.ENOSPC, "No space left on device", "t.csv")
    assert str(full).startswith("cannot read or write t.csv: No space left on device; free some")
    assert str(errors.FileError(errno.EACCES, "Permission denied", "t.csv")).endswith("denied")
    assert str(errors.FileError(None, "odd", None)) == "cannot read or write a file: odd"


def test_a_service_that_is_full_says_when_to_come_back():
    assert [errors.Overloaded("full").wait_s, errors.Overloaded("full", 60).wait_s] == [1, 60]


def test_a_missing_package_names_the_line_that_installs_it():
    with pytest.raises(MissingExtra, match=re.escape(remedy("train"))):
        need("no_such_package_of_mien.part", extra="train")


def test_a_present_package_is_handed_over():
    import json

    assert need("json", extra="train") is json
