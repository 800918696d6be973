import inspect

import pytest

from mien import errors
from mien.errors import InputError, MienError, MissingExtra, ShapeError
from mien.extras import need

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
    ],
)
def test_errors_can_be_caught_by_their_wider_kind(kind, parent):
    with pytest.raises(parent):
        raise kind("told")


def test_a_missing_package_names_the_line_that_installs_it():
    with pytest.raises(MissingExtra, match=r"pip install 'mien\[train\]'"):
        need("no_such_package_of_mien.part", extra="train")


def test_a_present_package_is_handed_over():
    import json

    assert need("json", extra="train") is json
