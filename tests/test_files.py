import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mien.errors import InputError
from mien.files import (
    existing,
    home,
    offline,
    replacing,
    replacing_folder,
    sha256,
    write_json,
    write_text,
)

FULL_DISK = """
import resource, sys
from pathlib import Path
from mien.files import replacing
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with replacing(Path(sys.argv[1])) as file:
        file.write(bytes(5000))
except OSError as error:
    print(type(error).__name__)
"""


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("before", [None, "old"])
def test_a_failing_write_leaves_what_was_there(tmp_path, before):
    path = tmp_path / "file.txt"
    if before:
        path.write_text(before)
    with pytest.raises(RuntimeError), replacing(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert names(tmp_path) == (["file.txt"] if before else [])
    assert not before or path.read_text() == before


@pytest.mark.parametrize("before", [None, "old"])
def test_a_failing_folder_leaves_what_was_there(tmp_path, before):
    path = tmp_path / "folder"
    if before:
        path.mkdir()
        (path / before).touch()
    with pytest.raises(RuntimeError), replacing_folder(path) as folder:
        (folder / "half").touch()
        raise RuntimeError
    assert names(tmp_path) == (["folder"] if before else [])
    assert not before or names(path) == ["old"]


def test_a_full_disk_is_an_oserror_that_leaves_the_old_file(tmp_path):
    pytest.importorskip("resource")
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout.strip() == "OSError"
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file.bin"]


def test_a_whole_file_replaces_the_old_one_and_makes_its_folders(tmp_path):
    path = tmp_path / "a" / "b" / "file.txt"
    write_text(path, "old")
    write_text(path, "grüße")
    assert path.read_text(encoding="utf-8") == "grüße"
    assert names(path.parent) == ["file.txt"]


def test_a_whole_folder_replaces_the_old_one(tmp_path):
    for name in ("first", "second"):
        with replacing_folder(tmp_path / "folder") as folder:
            (folder / name).touch()
    assert names(tmp_path / "folder") == ["second"]


def test_files_have_the_usual_rights(tmp_path):
    (tmp_path / "usual").touch()
    write_json(tmp_path / "ours", {"a": [1]})
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "ours")}
    assert len(modes) == 1


def test_sha256_is_the_known_digest(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256(tmp_path / "file").startswith("ba7816bf8f01cfea")


def test_a_missing_path_is_told(tmp_path):
    with pytest.raises(InputError, match=r"photo .*nothing\.png does not exist; check the path"):
        existing(tmp_path / "nothing.png", "photo")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"MIEN_HOME": "/here"}, Path("/here")),
        ({"XDG_CACHE_HOME": "/cache"}, Path("/cache/mien")),
        ({"HOME": "/me"}, Path("/me/.cache/mien")),
    ],
)
def test_home_is_chosen_or_the_user_s_cache(monkeypatch, variables, expected):
    for name in ("MIEN_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert home() == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("yes", True), ("0", False), ("", False), ("no", False)]
)
def test_offline_is_a_switch(monkeypatch, value, expected):
    monkeypatch.setenv("MIEN_OFFLINE", value)
    assert offline() is expected
