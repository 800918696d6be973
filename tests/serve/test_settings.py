"""What a service may be told to do, and what it does untold."""

import pytest

from mien.bundle import DEFAULT
from mien.errors import InputError
from mien.serve.settings import Limits, Settings


@pytest.mark.parametrize(
    "key",
    ["", "a key of letters"[:15], "a key of many letters: ü", "ü" * 16],
)
def test_a_key_that_is_short_or_that_browsers_send_otherwise_is_refused(key):
    with pytest.raises(InputError, match="at least 16 characters, all of them ASCII"):
        Settings(api_key=key)


def test_a_key_of_sixteen_characters_will_do():
    assert Settings(api_key="a key of letters").api_key == "a key of letters"


@pytest.mark.parametrize("keep_s", [0, -1, float("nan")])
def test_files_are_kept_for_some_time(keep_s):
    with pytest.raises(InputError, match="some time"):
        Settings(keep_s=keep_s)
    assert Settings(keep_s=1e-3).keep_s == 1e-3


def test_a_rate_below_zero_is_refused():
    with pytest.raises(InputError, match="0 for any"):
        Settings(limits=Limits(requests_per_minute=-1))
    assert Settings(limits=Limits(requests_per_minute=0)).limits.requests_per_minute == 0


@pytest.mark.parametrize(
    ("batch", "queue", "files", "fine"),
    [(1, 16, 16, True), (0, 16, 16, False), (-1, 16, 16, False), (1, 15, 16, False)],
)
def test_a_request_of_as_many_pictures_as_may_come_finds_room(batch, queue, files, fine):
    limits = Limits(queue=queue, files=files)
    if fine:
        assert Settings(batch=batch, limits=limits).limits == limits
        return
    with pytest.raises(InputError, match="a batch of at least 1, a queue of at least `files`"):
        Settings(batch=batch, limits=limits)


def test_untold_it_is_for_this_machine_alone_and_fetches_nothing():
    """The limits are those of docs/operator.md and of `mien serve --help`."""
    settings = Settings()
    assert settings.model == DEFAULT
    assert settings.hosts == ("127.0.0.1", "localhost", "[::1]", "::1")
    assert (settings.urls, settings.api_key, settings.jobs_folder) == (False, None, None)
    assert (settings.detector, settings.threads, settings.batch) == ("yunet", None, 16)
    assert (settings.keep_s, settings.wait_s) == (3600, 0.002)
    assert settings.limits == Limits(
        request_bytes=20 * 1024 * 1024,
        pixels=25_000_000,
        side_px=16_384,
        files=16,
        faces=64,
        bytes_at_once=400 * 1024 * 1024,
        video_bytes=200 * 1024 * 1024,
        video_s=600,
        reading_s=3600,
        jobs=16,
        streams=16,
        silence_s=60,
        requests_per_minute=600,
        body_s=30,
        queue=64,
    )
