"""Every error mien raises on purpose.

    MienError
    ├── InputError        a path, a picture or an argument that cannot be used
    │   ├── PictureError  a picture or video that cannot be read
    │   ├── NoFace        a picture without a face, where `strict` asks for one
    │   └── DataError     a data set, or one of its files, that cannot be read
    ├── ShapeError        an array or a value of the wrong shape or range
    ├── RecipeError       an unknown key, model or value in a recipe
    ├── RunError          a run folder that is missing, unfinished or in the way
    │   └── OutOfMemory   a training that needs more memory than the device has
    ├── BundleError       a bundle whose card or digest is wrong
    ├── WeightsError      weights that cannot be found, fetched or read
    ├── FileError         a file that cannot be read or written: a full disk, no permission
    ├── Overloaded        a service that has no room for more work now
    │   └── OverShare     a client that has as much in the service as one may
    ├── JobNotFound       a job of a service that is not there, or no longer
    ├── MissingExtra      a package of an extra that is not installed
    └── NotComparable     evaluations that were scored on different images

A message says what was expected, what came, and what to do now. `mien.cli` turns each into one
line and exit code 2.
"""

import errno

_FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class MienError(Exception):
    """Base of all errors of mien."""


class InputError(MienError):
    """A path, a picture or an argument that cannot be used."""


class PictureError(InputError):
    """A picture or video that cannot be read."""


class NoFace(InputError):
    """A picture without a face, where `strict` asks for one."""


class DataError(InputError):
    """A data set, or one of its files, that cannot be read."""


class ShapeError(MienError, ValueError):
    """An array or a value of the wrong shape or range."""


class RecipeError(MienError):
    """An unknown key, model or value in a recipe."""


class RunError(MienError):
    """A run folder that is missing, unfinished or in the way."""


class OutOfMemory(RunError):
    """A training that needs more memory than the device has."""


class BundleError(MienError):
    """A bundle whose card or digest is wrong."""


class WeightsError(MienError):
    """Weights that cannot be found, fetched or read."""


class FileError(MienError, OSError):
    """A file that cannot be read or written: a full disk, no permission.

    Made of the errno, the reason and the file's name, as every OSError.
    """

    def __str__(self) -> str:
        remedy = "; free some space and repeat (training: with --resume)"
        what = f"cannot read or write {self.filename or 'a file'}: {self.strerror}"
        return what + (remedy if self.errno in _FULL_DISK else "")


class Overloaded(MienError):
    """A service that has no room for more work now; worth another try after `wait_s` seconds."""

    def __init__(self, message: str, wait_s: int = 1) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class OverShare(Overloaded):
    """A client that has as much in the service as one may."""


class JobNotFound(MienError):
    """A job of a service that is not there, or no longer."""


class MissingExtra(MienError, ImportError):
    """A package of an optional extra is not installed."""


class NotComparable(MienError):
    """Evaluations that were scored on different images or labels."""
