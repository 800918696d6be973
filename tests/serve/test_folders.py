"""A folder of one service, and those that killed services left."""

import os
import time
from pathlib import Path

import pytest

from mien.errors import InputError
from mien.serve import folders
from mien.serve.folders import LockedFolder, delete_abandoned


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """The system's folder of temporary files."""
    monkeypatch.setattr(folders.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left(folder: Path, name: str = "mien-jobs-killed", seconds: float = 61) -> Path:
    """What a service that was killed so long ago left behind."""
    found = folder / name
    found.mkdir()
    (found / "video.mp4").write_bytes(b"x")
    ago = time.time() - seconds
    os.utime(found, (ago, ago))
    return found


def test_a_given_folder_is_made_for_its_owner_alone_and_stays(tmp_path):
    place = tmp_path / "new" / "jobs"
    own = LockedFolder(place)
    assert own.path == place.resolve()
    assert place.stat().st_mode & 0o777 == 0o700
    with pytest.raises(InputError, match=f"another service uses {place}; choose another folder"):
        LockedFolder(place)
    own.close()
    assert place.is_dir()
    LockedFolder(place).close()


def test_a_temporary_folder_goes_with_the_service(temporary):
    own = LockedFolder(None)
    assert own.path.parent == temporary
    assert own.path.name.startswith("mien-jobs-")
    assert own.path.stat().st_mode & 0o777 == 0o700
    (own.path / "video.mp4").write_bytes(b"x")
    own.close()
    assert list(temporary.iterdir()) == []


def test_the_next_service_deletes_what_a_killed_one_left_and_no_living_ones(temporary):
    killed, living = left(temporary), LockedFolder(None)
    os.utime(living.path, (1, 1))
    mine = LockedFolder(None)
    assert not killed.exists()
    assert living.path.is_dir() and mine.path.is_dir()


@pytest.mark.parametrize(("seconds", "stays"), [(0, True), (58, True), (62, False)])
def test_what_may_be_of_a_service_that_is_starting_is_left_for_a_minute(temporary, seconds, stays):
    folder = left(temporary, seconds=seconds)
    delete_abandoned()
    assert folder.exists() is stays


def test_what_is_not_of_a_service_is_left(temporary):
    other, photos = left(temporary, "mien-jobs"), left(temporary, "photos")
    (temporary / "mien-jobs-file").write_text("x")
    (temporary / "mien-jobs-link").symlink_to(photos)
    for name in ("mien-jobs-file", "mien-jobs-link"):
        os.utime(temporary / name, (1, 1), follow_symlinks=False)
    delete_abandoned()
    assert len(list(temporary.iterdir())) == 4
    assert (photos / "video.mp4").is_file() and (other / "video.mp4").is_file()


def test_what_is_of_another_user_is_left(temporary, monkeypatch):
    folder = left(temporary)
    monkeypatch.setattr(folders.os, "getuid", lambda: folder.stat().st_uid + 1)
    delete_abandoned()
    assert folder.exists()


def test_without_locks_folders_are_used_and_none_is_deleted(temporary, monkeypatch):
    monkeypatch.setattr(folders, "fcntl", None)
    folder = left(temporary)
    own = LockedFolder(None)
    assert own.path.is_dir() and folder.exists()
    own.close()
    assert not own.path.exists()
