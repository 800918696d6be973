"""A sample of what `scripts/films.py` does at length."""

from pathlib import Path

from scripts.films import damaged, films, table


def test_films_at_random_are_read_as_ffmpeg_reads_them(tmp_path: Path):
    told = list(films(16, 7, tmp_path))
    assert [result for _, result in told if result != result.lower()] == []
    assert table(told).count("\n") > 5


def test_of_a_long_film_all_frames_come_but_the_damaged_ones(tmp_path: Path):
    found, frames, notes = damaged(1, 10, 0, tmp_path / "long.mp4")
    assert frames == 1500
    assert frames - 60 < found <= frames - 10
    assert notes[0].partition(": ")[2].startswith("10 damaged packets passed over")
