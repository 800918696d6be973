import csv
import errno
import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mien.errors import InputError, RunError
from mien.files import (
    existing,
    home,
    offline,
    read_json,
    replacing,
    replacing_folder,
    sha256,
    write_csv,
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
    print(type(error).__name__, error.filename)
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


def test_a_full_disk_is_a_file_error_that_leaves_the_old_file(tmp_path):
    pytest.importorskip("resource")
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout.strip() == f"FileError {path}", "which file could not be written is said"
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


def test_nothing_has_the_name_before_it_is_whole(tmp_path):
    """What is half done is hidden, and on the same disk."""
    with replacing(tmp_path / "file") as file:
        file.write(b"half")
        (half,) = names(tmp_path)
        assert half.startswith(".file.")
    with replacing_folder(tmp_path / "a" / "b" / "folder"):
        (half,) = names(tmp_path / "a" / "b")
        assert half.startswith(".folder.")
    assert names(tmp_path) == ["a", "file"]
    assert names(tmp_path / "a" / "b") == ["folder"]


@pytest.mark.parametrize(("named", "told"), [((), "{path}"), (("elsewhere",), "elsewhere")])
def test_an_error_of_the_disk_says_which_file(tmp_path, named, told):
    path = tmp_path / "file"
    with pytest.raises(OSError) as caught, replacing(path):
        raise OSError(errno.ENOSPC, "full", *named)
    assert caught.value.filename == told.format(path=path)
    assert names(tmp_path) == []


def test_other_errors_come_out_as_they_are(tmp_path):
    with pytest.raises(RuntimeError), replacing_folder(tmp_path / "folder") as folder:
        folder.rmdir()
        raise RuntimeError
    assert names(tmp_path) == []


def test_what_is_there_can_be_kept(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    with pytest.raises(OSError), replacing_folder(tmp_path / "folder", keep=True) as folder:
        (folder / "new").touch()
    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == ["old"]
    with replacing_folder(tmp_path / "fresh", keep=True) as folder:
        (folder / "new").touch()
    assert names(tmp_path / "fresh") == ["new"]


def test_a_folder_comes_back_if_the_new_one_cannot_take_its_name(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    rename = Path.rename

    def refuse(self, target):
        if Path(target) == tmp_path / "folder" and not self.name.endswith(".old"):
            raise PermissionError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError), replacing_folder(tmp_path / "folder"):
        pass
    monkeypatch.undo()
    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == ["old"]


def test_the_current_folder_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").touch()
    with pytest.raises(InputError, match="name a folder inside it"), replacing_folder(Path()):
        pass
    assert names(tmp_path) == ["mine"]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_files_and_folders_have_the_usual_rights(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_json(tmp_path / "file", {})
        with replacing_folder(tmp_path / "folder"):
            pass
        assert os.umask(umask) == umask, "it is put back"
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o777 & ~umask


def test_json_is_written_for_people_and_read_back(tmp_path):
    write_json(tmp_path / "a.json", {"a": [1, "ü"]})
    expected = '{\n  "a": [\n    1,\n    "\\u00fc"\n  ]\n}\n'
    assert (tmp_path / "a.json").read_text() == expected
    assert read_json(tmp_path / "a.json") == {"a": [1, "ü"]}


@pytest.mark.parametrize("text", [None, "", "{", "\x00"])
def test_json_that_cannot_be_read_is_told_by_name(tmp_path, text):
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RunError, match=r"a\.json is missing or damaged \(.+\); make it again"):
        read_json(path)


def test_a_table_is_written_to_six_digits(tmp_path):
    columns = {
        "name": ["a,b", "ü", ""],
        "count": [1, 12345678, -3],
        "share": [1 / 3, float("nan"), np.float64(1234567.8)],
    }
    write_csv(tmp_path / "t.csv", columns)
    assert (tmp_path / "t.csv").read_bytes().decode() == (
        'name,count,share\n"a,b",1,0.333333\nü,12345678,\n,-3,1.23457e+06\n'
    )
    with pytest.raises(ValueError, match=r"shorter|longer"):
        write_csv(tmp_path / "u.csv", {"a": [1, 2], "b": [1]})
    assert names(tmp_path) == ["t.csv"]


def test_names_with_line_ends_stay_one_cell_of_a_table(tmp_path):
    odd = ["a\rb", "a\nb", "a\r\nb", 'a"b', "a,b", "a\r"]
    write_csv(tmp_path / "t.csv", {"name": odd, "count": [1, 2, 3, 4, 5, 6]})
    with (tmp_path / "t.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["name", "count"]
    assert rows == [[name, str(number)] for number, name in enumerate(odd, 1)]


@pytest.mark.parametrize("size", [0, 3, 3_000_000])
def test_sha256_is_that_of_the_whole_file(tmp_path, size):
    data = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "file").write_bytes(data[:size])
    assert sha256(tmp_path / "file") == hashlib.sha256(data[:size]).hexdigest()


def test_sha256_is_the_known_digest(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "file") == expected


def test_a_missing_path_is_told(tmp_path):
    with pytest.raises(InputError, match=r"photo .*nothing\.png does not exist; check the path"):
        existing(tmp_path / "nothing.png", "photo")
    assert existing(str(tmp_path), "folder") == tmp_path


def test_what_is_no_path_is_told_in_short():
    with pytest.raises(InputError, match=r"photo 'a{80}'\.\.\. is no path \(File name too long\)"):
        existing("a" * 300, "photo")
    with pytest.raises(InputError):
        existing("zero\0byte", "photo")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"MIEN_HOME": "/here"}, Path("/here")),
        ({"XDG_CACHE_HOME": "/cache"}, Path("/cache/mien")),
        ({"LOCALAPPDATA": "/local"}, Path("/local/mien")),
        ({"XDG_CACHE_HOME": "/cache", "LOCALAPPDATA": "/local"}, Path("/cache/mien")),
        ({"MIEN_HOME": "", "XDG_CACHE_HOME": ""}, Path("/me/.cache/mien")),
        ({"MIEN_HOME": "/here", "XDG_CACHE_HOME": "/cache"}, Path("/here")),
        ({"MIEN_HOME": "~/there"}, Path("/me/there")),
        ({"XDG_CACHE_HOME": "~/cache"}, Path("/me/cache/mien")),
        ({}, Path("/me/.cache/mien")),
    ],
)
def test_home_is_chosen_or_the_user_s_cache(monkeypatch, variables, expected):
    for name in ("MIEN_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert home() == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((on, True) for on in ("1", "yes", "true", "on", "2")),
        *((off, False) for off in ("0", "", "no", "No", "false", "FALSE")),
    ],
)
def test_offline_is_a_switch(monkeypatch, value, expected):
    monkeypatch.setenv("MIEN_OFFLINE", value)
    assert offline() is expected


def test_one_is_not_offline_unless_one_says_so(monkeypatch):
    monkeypatch.delenv("MIEN_OFFLINE")
    assert offline() is False
