"""What a service may be told to do, and what it does untold."""

import pytest

from mien.bundle import DEFAULT
from mien.errors import InputError
from mien.serve.limits import Limits, size
from mien.serve.settings import Settings


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


def test_a_batch_has_at_least_one():
    with pytest.raises(InputError, match="a batch of at least 1, got 0"):
        Settings(batch=0)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"rate": -1}, "--rate of at least 0, got -1"),
        ({"files": 0}, "--files of at least 1, got 0"),
        ({"video_s": float("nan")}, "--video-s of at least 0.01, got nan"),
        ({"client_share": 1.5}, "--client-share of at most 1, got 1.5"),
        ({"queue": 31}, "--files of at most 15, what one client may have of --queue, got 16"),
        ({"client_share": 0.4}, "--request-pixels of at most 320,000,000"),
        ({"request_bytes": 10**9}, "--request-bytes of at most 220,200,960"),
    ],
)
def test_limits_that_are_none_or_that_no_request_could_meet_are_refused(limits, words):
    with pytest.raises(InputError, match=words):
        Limits(**limits)


@pytest.mark.parametrize(
    "limits", [{"rate": 0}, {"cameras": 0}, {"videos": 0}, {"queue": 16, "client_share": 1}]
)
def test_limits_that_are_none_on_purpose_are_taken(limits):
    for name, value in limits.items():
        assert getattr(Limits(**limits), name) == value


@pytest.mark.parametrize(
    ("text", "bytes_"), [("7", 7), ("20MiB", 20 * 2**20), ("1 kib", 1024), ("2GiB", 2**31)]
)
def test_a_size_may_have_a_unit(text, bytes_):
    assert size(text) == bytes_


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1.5MiB", "20MB", "9" * 16])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(InputError, match="expected a size such as 20MiB, got"):
        size(text)


def test_untold_it_is_for_this_machine_alone_and_fetches_nothing():
    """The limits are those of docs/operator.md and of `mien serve --help`."""
    settings = Settings()
    assert settings.model == DEFAULT
    assert settings.hosts == ("127.0.0.1", "localhost", "[::1]", "::1")
    assert (settings.urls, settings.api_key, settings.jobs_folder) == (False, None, None)
    assert (settings.detector, settings.threads, settings.batch) == ("yunet", None, 16)
    assert (settings.keep_s, settings.wait_s) == (3600, 0.002)
    assert settings.access_log is False
    assert settings.limits == Limits(
        rate=600,
        client_share=0.5,
        body_s=30,
        silence_s=60,
        request_bytes=20 * 1024 * 1024,
        request_pixels=400_000_000,
        files=16,
        pixels=25_000_000,
        side_px=16_384,
        faces=64,
        video_bytes=200 * 1024 * 1024,
        video_s=600,
        reading_s=3600,
        queue=128,
        pixels_at_once=800_000_000,
        bytes_at_once=420 * 1024 * 1024,
        cameras=16,
        videos=16,
    )
