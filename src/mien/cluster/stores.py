"""Files and folders on this machine, in a bucket or on another file system that pyarrow or fsspec
knows, by their addresses."""

import contextlib
import functools
import itertools
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from mien.errors import FileError, InputError, MienError, PictureError
from mien.extras import need
from mien.sources.frames import LIVE, REMOTE
from mien.sources.stored import temporary

_WHOLE = ("s3", "gcs", "abfs")
"""Stores where a file appears once it is whole; elsewhere it is renamed then."""
_TRIES, _WAIT_S = 5, 0.5
"""Of a file that cannot be fetched, 8 s in all."""
ANSWERED = dict[str, str]()
"""Of each bucket or server that has answered, a path that was there: where that is silent, too, no
file is to blame."""
_GOOGLE = "retry_limit_seconds=30"
"""Instead of a quarter of an hour, for a bucket that is not there, too."""


def is_stored(source: str) -> bool:
    """Whether a text is an address in a store, such as s3://bucket/photos."""
    scheme, found, _ = source.partition("://")
    return bool(found) and scheme.isalnum() and not source.startswith((*REMOTE, *LIVE))


def shown(address: str) -> str:
    """The address without what opens its store, and without a password."""
    if not is_stored(address):
        return address
    return re.sub(r"(//[^/@:]*):[^/@]*@", r"\1:...@", address.partition("?")[0])


class Place:
    """A file or folder. InputError for an address of no store that is known here."""

    def __init__(self, address: str) -> None:
        self.address = address if is_stored(address) else str(Path(address).absolute())
        self._files, self._path = _opened(self.address)
        self._store = _root(self.address)

    def __truediv__(self, name: str) -> "Place":
        place, query = self.address.partition("?")[::2]
        return Place(f"{place.rstrip('/')}/{name}" + (f"?{query}" if query else ""))

    @property
    def name(self) -> str:
        """The address as it is told."""
        return shown(self.address)

    def is_folder(self) -> bool:
        """Whether it is a folder, or a bucket's prefix; InputError where nothing is."""
        kind = self._info().type.name
        if kind == "NotFound":
            raise InputError(f"{self.name} does not exist; check the address")
        return bool(kind == "Directory")

    def files(self, *, deep: bool = False) -> list[str]:
        """Names of the files in a folder, in order; those of its folders too if `deep`, as
        `sub/name`; none if it is not there."""
        selector = need("pyarrow.fs", extra="ray").FileSelector
        with self._errors():
            found = self._files.get_file_info(selector(self._path, True, recursive=deep))
        start = len(self._path.rstrip("/")) + 1
        return sorted(info.path[start:] for info in found if info.type.name == "File")

    def read(self) -> bytes:
        """What the file holds; PictureError, or FileError where the store is silent that has
        answered before (`ANSWERED`)."""
        return b"".join(self._tried(lambda file: [file.read()]))

    def fetch(self) -> IO[bytes]:
        """A temporary file that holds the same; errors as of `read`, FileError for a full disk."""
        with self._errors():
            copy = temporary(self.name)

        def take(file: Any) -> None:
            with self._errors():
                copy.seek(0)  # a try before this one may have ended half way
                copy.truncate()
            while data := file.read(2**20):
                with self._errors():
                    copy.write(data)

        self._tried(take)
        with self._errors():
            copy.flush()
        return copy

    @contextlib.contextmanager
    def table(self) -> Iterator[Any]:
        """The Parquet file; InputError for one that is none."""
        arrow, parquet = need("pyarrow", extra="ray"), need("pyarrow.parquet", extra="ray")
        with self._errors(), self._files.open_input_file(self._path) as file:
            try:
                yield parquet.ParquetFile(file)
            except arrow.ArrowInvalid as error:
                reason = " ".join(str(error).split())[:200]
                raise InputError(f"{self.name} is no whole Parquet table: {reason}") from error

    def tables(self, names: Sequence[str]) -> Any:
        """pyarrow's data set of these Parquet files in the folder."""
        dataset = need("pyarrow.dataset", extra="ray").dataset
        paths = [f"{self._path}/{name}" for name in names]
        with self._errors():
            return dataset(paths, filesystem=self._files, format="parquet")

    def write(self, data: bytes, within: "Place") -> None:
        """Make the file, which gets its name when it is whole; elsewhere it lies in the folder
        `within`. FileError."""
        with self._errors():
            if self._files.type_name in _WHOLE:
                self._put(self._path, data)
                return
            self._files.create_dir(within._path, recursive=True)
            part = f"{within._path}/{uuid.uuid4().hex}"
            try:
                self._put(part, data)
                self._files.move(part, self._path)
            except OSError:
                with contextlib.suppress(OSError):
                    self._files.delete_file(part)
                if self._info().type.name != "File":  # HDFS replaces nothing that another has made
                    raise

    def delete(self) -> None:
        """Take the folder away, if it is there; a run that is ending may still write into it."""
        with contextlib.suppress(OSError):
            self._files.delete_dir(self._path)

    def _put(self, path: str, data: bytes) -> None:
        with self._files.open_output_stream(path) as file:
            file.write(data)

    def _tried(self, take: Any) -> Any:
        """What `take` makes of the open file; a store may fail now and then."""
        for again in itertools.count(1):
            try:
                with self._files.open_input_stream(self._path) as file:
                    found = take(file)
                ANSWERED[self._store] = self._path
                return found
            except MienError:  # of the copy
                raise
            except Exception as error:  # some of fsspec's raise what is no OSError
                own = isinstance(error, (FileNotFoundError, PermissionError))
                if own or "ACCESS_DENIED" in str(error) or again > _TRIES:
                    raise self._lost(error) from error
                if again < _TRIES:
                    time.sleep(_WAIT_S * 2 ** (again - 1))
                elif known := ANSWERED.get(self._store):
                    with self._errors():  # is it this file, or all that is there?
                        self._files.get_file_info(known)
                else:
                    raise self._lost(error) from error

    def _lost(self, error: Exception) -> PictureError:
        reason = " ".join(str(error).split())[:200]
        return PictureError(f"{self.name} cannot be fetched: {reason}")

    def _info(self) -> Any:
        with self._errors():
            return self._files.get_file_info(self._path)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except MienError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise FileError(getattr(error, "errno", None), reason, self.name) from error


def count_on(addresses: Iterable[str]) -> None:
    """What is at these addresses has answered another process."""
    for place in map(Place, addresses):
        ANSWERED.setdefault(place._store, place._path)


def _root(address: str) -> str:
    """Of its store, with what opens it; "" of this machine."""
    if not is_stored(address):
        return ""
    place, _, query = address.partition("?")
    return "/".join(place.split("/", 3)[:3]) + f"/?{query}"


def _opened(address: str) -> tuple[Any, str]:
    """pyarrow's file system, and the path in it."""
    fs = need("pyarrow.fs", extra="ray")
    if not is_stored(address):
        return fs.LocalFileSystem(), address
    place, _, query = address.partition("?")
    scheme, _, rest = place.partition("://")
    root, _, path = rest.partition("/")
    if ":" in root.rpartition("@")[0]:
        raise InputError(
            f"{shown(address)}: a password in an address would be written into the tables; give it "
            "by the environment, such as AWS_SECRET_ACCESS_KEY"
        )
    if scheme in ("gs", "gcs") and "retry_limit_seconds" not in query:
        query = f"{query}&{_GOOGLE}".lstrip("&")
    files, base = _file_system(f"{scheme}://{root}/" + (f"?{query}" if query else ""))
    return files, f"{base.rstrip('/')}/{path}".rstrip("/") or "/"


@functools.cache
def _file_system(root: str) -> tuple[Any, str]:
    """That of a bucket or server, and its own path in it."""
    fs = need("pyarrow.fs", extra="ray")
    try:
        files, base = fs.FileSystem.from_uri(root)
    except (ValueError, NotImplementedError):  # pyarrow has none of this scheme
        files, base = _by_fsspec(root)
    except OSError as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{root} cannot be opened: {reason}") from error
    return files, base


def _by_fsspec(root: str) -> tuple[Any, str]:
    import pyarrow.fs as fs

    scheme = root.partition("://")[0]
    try:
        from fsspec.core import url_to_fs

        files, base = url_to_fs(root)
    except (ImportError, ValueError) as error:
        raise InputError(
            f"{root} is in no store that is known here ({error}); expected s3://, gs://, hdfs://, "
            f"or the fsspec package of {scheme}"
        ) from error
    return fs.PyFileSystem(fs.FSSpecHandler(files)), base
